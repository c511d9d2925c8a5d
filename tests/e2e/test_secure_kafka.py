"""Kafka with TLS, passwords and access rules: the whole path works, and each agency speaks for itself alone.

One secure stack for all of it: two agencies with connectors, one (`field`) with Confluent's own client.
"""

from __future__ import annotations

import importlib.util
import json
import re
import shutil
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import confluent_kafka
import httpx
import pytest
from click.testing import CliRunner, Result
from confluent_kafka import KafkaException
from kafka import KafkaAdminClient
from kafka.admin import ACL, ACLOperation, ACLPermissionType, ResourcePattern, ResourceType
from prometheus_client.parser import text_string_to_metric_families
from sqlalchemy import create_engine, text
from support import plain_http

from hub.cli import jisr
from hub.errors import ConfigurationError, Fatal, JisrError, Retriable
from hub.local.services import base_environment
from hub.local.stack import PROJECT, AgencyDatabase, Endpoints, Stack, StackOptions
from hub.local.tls import broker_certificate

WAIT_S = 180
WRONG = "a-wrong-password-of-the-tests"
HUB = "jisr-hub"
AGREEMENT = """
agency: {agency}
name: {{ar: "{agency}", fr: "{agency}", en: "{agency}"}}
until: {until}
publishes:
  person: [cin, family_name_fr, given_name_fr]
receives:
  person:
    fields: [cin, family_name_fr, given_name_fr]
    purpose: tests
    legal_basis: public-mission
    create: true
"""
MAPPING = """
agency: {agency}
records:
  person:
    tables:
      - table: personne
        key: id
        fields: {{cin: cin, family_name_fr: nom, given_name_fr: prenom}}
"""
TABLE = "CREATE TABLE personne (id {key} PRIMARY KEY, cin text, nom text, prenom text)"


def until(condition: Callable[[], Any], what: str | Callable[[], str]) -> Any:
    """The first true answer of `condition`; a bound on how long a broken hub keeps the tests."""
    deadline = time.monotonic() + WAIT_S
    while time.monotonic() < deadline:
        if found := condition():
            return found
        time.sleep(0.2)
    return pytest.fail(f"{what() if callable(what) else what}: not within {WAIT_S} s")


class Secure:
    """The stack, its release, and what its users know."""

    def __init__(self, stack: Stack) -> None:
        self.stack, self.options = stack, stack.options
        assert stack.endpoints.secure is not None
        self.endpoint = stack.endpoints.secure

    def password_file(self, user: str) -> Path:
        return Path(self.endpoint.password_files[user])

    def environment(self, user: str | None = None, **more: str) -> dict[str, str]:
        """Of a command: as that user, or as whoever started the stack."""
        found = {
            "JISR_HOME": str(self.options.home.parent / "no-stack-here"),
            "JISR_BOOTSTRAP": self.stack.endpoints.bootstrap,
            "JISR_REGISTRY_URL": str(self.stack.endpoints.registry),
            "JISR_STORE_URL": self.stack.endpoints.store,
            "JISR_SECRET_FILE": str(self.stack.folder.secret_file("hub")),
            "JISR_SCHEMAS": str(self.options.schemas),
            "JISR_AGREEMENTS": str(self.options.agreements),
        }
        if user is not None:
            found |= {
                "JISR_BOOTSTRAP": self.endpoint.bootstrap,
                "JISR_KAFKA_PROTOCOL": "SASL_SSL",
                "JISR_KAFKA_CA_FILE": self.endpoint.ca_file,
                "JISR_KAFKA_USER": user,
                "JISR_KAFKA_PASSWORD_FILE": str(self.password_file(user)),
            }
        return found | more

    def run(self, *arguments: str, user: str | None = None, **more: str) -> Result:
        """A command of ours, in this process; an error of ours is the result's exception."""
        found = CliRunner().invoke(jisr, arguments, env=self.environment(user, **more))
        if found.exception is not None and not isinstance(found.exception, (SystemExit, JisrError)):
            raise found.exception
        return found

    def stock(self, user: str, **more: Any) -> dict[str, Any]:
        """Settings of a stock client, as docs/agencies.md has them."""
        return {
            "bootstrap.servers": self.endpoint.bootstrap,
            "security.protocol": "SASL_SSL",
            "ssl.ca.location": self.endpoint.ca_file,
            "sasl.mechanisms": "SCRAM-SHA-512",
            "sasl.username": user,
            "sasl.password": self.password_file(user).read_text().strip(),
            "log_level": 0,
            **more,
        }

    def rows(self, agency: str, statement: str) -> list[Any]:
        engine = create_engine(self.stack.endpoints.agencies[agency])
        with engine.begin() as connection:
            found = connection.execute(text(statement))
            return list(found.all()) if found.returns_rows else []


@pytest.fixture(scope="module")
def secure() -> Iterator[Secure]:
    home = Path(tempfile.mkdtemp(prefix="jisr-secure-"))
    try:
        with Stack(_options(home)) as running:
            yield Secure(running)
    finally:
        shutil.rmtree(home, ignore_errors=True)


def _options(home: Path) -> StackOptions:
    for folder in ("agreements", "connectors"):
        (home / folder).mkdir()
    for agency in ("left", "right", "field"):
        agreed = AGREEMENT.format(agency=agency, until="2099-12-31")
        (home / "agreements" / f"{agency}.yaml").write_text(agreed, encoding="utf-8")
        (home / "connectors" / f"{agency}.yaml").write_text(MAPPING.format(agency=agency), encoding="utf-8")

    def populate(endpoints: Endpoints) -> None:
        for agency, key in (("left", "serial"), ("right", "integer")):
            with create_engine(endpoints.agencies[agency]).begin() as connection:
                connection.execute(text(TABLE.format(key=key)))

    return StackOptions(
        home=home / "data",
        agencies=[AgencyDatabase("left"), AgencyDatabase("right", "sqlite")],
        processes="full",
        secure=True,
        agreements=home / "agreements",
        connectors=home / "connectors",
        populate=populate,
    )


@pytest.fixture(scope="module")
def field(secure: Secure) -> Iterator[Any]:
    """An agency with the example's stock client."""
    path = PROJECT / "docs" / "examples" / "stock_client.py"
    spec = importlib.util.spec_from_file_location("secure_stock_client", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["secure_stock_client"] = module
    spec.loader.exec_module(module)
    environment = secure.environment("jisr-agency-field")
    registry, bootstrap = environment["JISR_REGISTRY_URL"], environment["JISR_BOOTSTRAP"]
    agency = module.Agency("field", bootstrap, registry, b"f" * 32, module.tls_and_user(environment))
    yield agency
    agency.close()


# What is allowed


def test_the_whole_path_for_connectors_and_for_a_stock_client(secure: Secure, field: Any) -> None:
    secure.rows("left", "INSERT INTO personne (cin, nom, prenom) VALUES ('AB1234', 'Alaoui', 'Leila')")
    until(lambda: secure.rows("right", "SELECT * FROM personne WHERE cin = 'AB1234'"), "left to right")
    secure.rows("right", "UPDATE personne SET prenom = 'Laila' WHERE cin = 'AB1234'")
    until(lambda: secure.rows("left", "SELECT * FROM personne WHERE prenom = 'Laila'"), "right to left")

    field.join(["person"])
    field.say("person", "7", "insert", {"cin": "CD5678", "family_name_fr": "Idrissi"})
    until(lambda: secure.rows("left", "SELECT * FROM personne WHERE cin = 'CD5678'"), "field to left")
    held = until(lambda: field.read(["person"], idle_s=1), "field hears")
    assert "AB1234" in {one["record"]["cin"] for one in held}


def test_the_hub_can_do_all_of_its_own_work_as_its_user(secure: Secure) -> None:
    assert "left" in secure.run("status", user=HUB).output
    swept = secure.run("sweep", "--json", user=HUB)
    assert swept.exit_code == 0, swept.output
    # Rights are an administrator's to change, not a worker's.
    refused = secure.run("access", "apply", user=HUB).exception
    assert isinstance(refused, Fatal)
    assert "super.users" in str(refused)
    refused = secure.run("topics", "create", user="jisr-agency-left").exception
    assert isinstance(refused, JisrError)


def test_endpoints_and_metrics_tell_of_it(secure: Secure) -> None:
    told = secure.run("endpoints", "--json", JISR_HOME=str(secure.options.home)).output
    shown = json.loads(told)["secure"]
    assert shown["bootstrap"] == secure.endpoint.bootstrap
    assert shown["password_files"].keys() == {HUB, *(f"jisr-agency-{a}" for a in ("left", "right", "field"))}
    assert (
        "password of jisr-agency-left" in secure.run("endpoints", JISR_HOME=str(secure.options.home)).output
    )

    for url in secure.stack.endpoints.metrics[1:]:
        families = text_string_to_metric_families(plain_http.get(url).text)
        (expiry,) = (it for it in families if it.name == "jisr_certificate_expires_timestamp_seconds")
        ends = {sample.labels["file"]: sample.value for sample in expiry.samples}
        assert ends[secure.endpoint.ca_file] > time.time() + 300 * 86400


# What is not


def produced(settings: dict[str, Any], topic: str) -> str:
    """How the broker answers a message: 'ok', or the error's name."""
    answer: list[str] = []
    producer = confluent_kafka.Producer({**settings, "message.timeout.ms": 60_000})
    producer.produce(topic, b"x", on_delivery=lambda error, _: answer.append(error.name() if error else "ok"))
    producer.flush(WAIT_S)
    return answer[0] if answer else "no answer"


def consumed(settings: dict[str, Any], topic: str, group: str) -> str:
    """'ok' if the topic's first partition can be read in that group, or the error's name."""
    consumer = confluent_kafka.Consumer({**settings, "group.id": group, "auto.offset.reset": "earliest"})
    try:
        consumer.subscribe([topic])
        deadline = time.monotonic() + WAIT_S
        while time.monotonic() < deadline:
            message = consumer.poll(0.5)
            if message is not None:
                return message.error().name() if message.error() else "ok"
    except KafkaException as error:
        return str(error.args[0].name())
    finally:
        consumer.close()
    return "no answer"


@pytest.mark.parametrize(
    "topic",
    [
        "right.person.changes",
        "right.receipts",
        "left.person.inbox",
        "left.notices",
        "left.dlq",
        "hub.person.golden",
        "hub.person.assertions",
        "hub.links",
    ],
)
def test_an_agency_writes_nothing_but_its_own_word(secure: Secure, topic: str) -> None:
    assert produced(secure.stock("jisr-agency-left"), topic) == "TOPIC_AUTHORIZATION_FAILED"


@pytest.mark.parametrize(
    "topic",
    [
        "right.person.inbox",
        "right.person.changes",
        "right.notices",
        "right.dlq",
        "left.receipts",
        "hub.person.golden",
        "hub.person.assertions",
        "hub.links",
    ],
)
def test_an_agency_reads_nothing_but_its_own(secure: Secure, topic: str) -> None:
    assert consumed(secure.stock("jisr-agency-left"), topic, "left.curious") == "TOPIC_AUTHORIZATION_FAILED"


def test_what_it_says_and_what_went_wrong_are_its_own(secure: Secure) -> None:
    left = secure.stock("jisr-agency-left")
    assert produced(left, "left.person.changes") == "ok"
    # Not a change at all: it comes back as a dead letter, which the agency can read.
    assert consumed(left, "left.dlq", "left.clerk") == "ok"
    assert consumed(left, "left.person.inbox", "left.clerk") == "ok"
    for group in ("right.clerk", "left", "left-south.clerk", "jisr-hub-intake"):
        assert consumed(left, "left.person.inbox", group) == "GROUP_AUTHORIZATION_FAILED", group
    seen = confluent_kafka.Producer(left).list_topics(timeout=WAIT_S).topics
    assert {topic.split(".")[0] for topic in seen} == {"left"}


def test_without_a_user_there_is_nothing(secure: Secure) -> None:
    nobody = {"bootstrap.servers": secure.endpoint.bootstrap, "log_level": 0}
    with pytest.raises(KafkaException):
        confluent_kafka.Producer(nobody).list_topics(timeout=3)


def test_another_authority_is_refused(secure: Secure, tmp_path: Path) -> None:
    other = broker_certificate(tmp_path / "tls").ca_file
    client = confluent_kafka.Producer(secure.stock("jisr-agency-left", **{"ssl.ca.location": str(other)}))
    with pytest.raises(KafkaException):
        client.list_topics(timeout=3)
    refused = secure.run("status", user=HUB, JISR_KAFKA_CA_FILE=str(other)).exception
    assert isinstance(refused, Retriable)
    assert "is refused (unable to get local issuer certificate): see JISR_KAFKA_CA_FILE" in str(refused)
    # The same broker by a name that its certificate does not have.
    elsewhere = secure.endpoint.bootstrap.replace("127.0.0.1", "localhost")
    refused = secure.run("status", user=HUB, JISR_BOOTSTRAP=elsewhere).exception
    assert isinstance(refused, Retriable)
    assert re.search("is refused .*Hostname mismatch", str(refused))


def test_a_wrong_password_is_waited_for_and_never_told(secure: Secure, tmp_path: Path) -> None:
    mapping = secure.options.connectors / "field.yaml"
    parts = [
        Part(secure, tmp_path, HUB, ["hub"]),
        Part(secure, tmp_path, "jisr-agency-field", ["connector", "run", str(mapping)]),
    ]
    try:
        for part in parts:
            until(part.says_whose_password_is_wrong, part.told)
            assert not part.ready()
        for part in parts:
            # As soon as it is right, the part is at work: it reads the file at each attempt.
            shutil.copy(secure.password_file(part.user), part.password)
        for part in parts:
            until(part.ready, part.told)
    finally:
        for part in parts:
            part.process.terminate()
        for part in parts:
            part.process.wait(WAIT_S)
    for part in parts:
        assert WRONG not in part.told()
        assert part.password.read_text().strip() not in part.told()


class Part:
    """A hub worker or a connector as a process, begun with a wrong password."""

    def __init__(self, secure: Secure, folder: Path, user: str, command: list[str]) -> None:
        self.user, self.password = user, folder / f"password-{user}"
        self.password.write_text(WRONG)
        self._log = folder / f"{user}.log"
        self._port = secure.stack.port(f"another-{user}")
        environment = secure.environment(
            user,
            JISR_KAFKA_PASSWORD_FILE=str(self.password),
            JISR_WORKER_NAME="hub-9",
            JISR_WEB_PORT=str(self._port),
            JISR_DATABASE_URL=f"sqlite:///{folder}/field.sqlite3",
            JISR_AGENCY_KEY_FILE=str(secure.stack.folder.secret_file("agency-field")),
        )
        with create_engine(environment["JISR_DATABASE_URL"]).begin() as connection:
            connection.execute(text("DROP TABLE IF EXISTS personne"))
            connection.execute(text(TABLE.format(key="integer")))
        with self._log.open("wb") as output:
            self.process = subprocess.Popen(
                [sys.executable, "-c", "from hub.cli import main; main()", *command],
                env={**base_environment(), **environment},
                cwd=PROJECT,
                stdout=output,
                stderr=output,
            )

    def told(self) -> str:
        return self._log.read_text()

    def says_whose_password_is_wrong(self) -> bool:
        assert self.process.poll() is None, self.told()
        return f"({self.user}) and JISR_KAFKA_PASSWORD_FILE ({self.password})" in self.told()

    def ready(self) -> bool:
        try:
            return plain_http.get(f"http://127.0.0.1:{self._port}/readyz").status_code == 200
        except httpx.TransportError:
            return False


# The rules themselves


def test_what_differs_is_found_and_put_right_and_others_are_left_alone(secure: Secure) -> None:
    assert secure.run("access", "check").exit_code == 0
    foreign = right("somebody", ACLOperation.READ, "right.person.inbox")
    stray = right("jisr-agency-left", ACLOperation.READ, "right.person.inbox")
    gone = right("jisr-agency-gone", ACLOperation.WRITE, "gone.person.changes")
    needed = right("jisr-agency-left", ACLOperation.WRITE, "left.receipts")
    with closing(KafkaAdminClient(bootstrap_servers=secure.stack.endpoints.bootstrap)) as admin:
        admin.create_acls([foreign, stray, gone])
        admin.delete_acls([needed])
        made = secure.run(
            "access", "rotate", "jisr-agency-gone", "--passwords", str(secure.options.home / "p")
        )
        assert made.exit_code == 0, made.output

        checked = secure.run("access", "check")
        assert checked.exit_code == 1
        lines = checked.output.splitlines()
        assert "lacking: jisr-agency-left may write topic left.receipts" in lines
        assert "too much: jisr-agency-left may read topic right.person.inbox" in lines
        assert "too much: jisr-agency-gone may write topic gone.person.changes" in lines
        assert "too much: jisr-agency-gone has a password, and no agreement" in lines
        assert "somebody" not in checked.output
        assert json.loads(secure.run("access", "check", "--json").output)["in_order"] is False

        applied = secure.run("access", "apply").output.splitlines()
        assert "given: jisr-agency-left may write topic left.receipts" in applied
        assert secure.run("access", "check").output == "all rights are as this release says\n"
        assert secure.run("access", "apply").output == "all rights are as this release says\n"
        kept, _ = admin.describe_acls(foreign)
        assert kept == [foreign]
        admin.delete_acls([foreign])
    wanted = json.loads(secure.run("access", "plan", "--json").output)["rights"]
    assert "jisr-agency-left may read topic left.person.inbox" in wanted


def right(user: str, operation: ACLOperation, topic: str) -> ACL:
    pattern = ResourcePattern(ResourceType.TOPIC, topic)
    return ACL(f"User:{user}", "*", operation, ACLPermissionType.ALLOW, pattern)


def test_a_password_is_replaced(secure: Secure, tmp_path: Path) -> None:
    user = "jisr-agency-field"
    stock = secure.stock(user)
    rotated = secure.run("access", "rotate", user, "--passwords", str(tmp_path))
    assert rotated.exit_code == 0, rotated.exception
    written = tmp_path / user
    assert stat.S_IMODE(written.stat().st_mode) == 0o600
    assert written.read_text().strip() not in rotated.output
    with pytest.raises(KafkaException):
        confluent_kafka.Producer(stock).list_topics(timeout=3)
    shutil.copy(written, secure.password_file(user))
    assert "field.receipts" in confluent_kafka.Producer(secure.stock(user)).list_topics(timeout=WAIT_S).topics
    # Users of others are nobody's business here.
    refused = secure.run("access", "rotate", "somebody", "--passwords", str(tmp_path)).exception
    assert isinstance(refused, Fatal)


def test_an_agency_that_leaves_is_cut_off(secure: Secure, tmp_path: Path) -> None:
    user = "jisr-agency-field"
    open_before = confluent_kafka.Producer(secure.stock(user, **{"message.timeout.ms": 60_000}))
    answer: list[str | None] = []

    def said() -> None:
        open_before.produce(
            "field.receipts", b"x", on_delivery=lambda error, _: answer.append(error and str(error.name()))
        )
        open_before.flush(WAIT_S)

    # A connection to the broker that takes it, which stays open: another one would not be let in.
    said()
    assert answer.pop() is None
    deciding = ["agency", "retire", "field", "--apply", "--who", "Salma", "--why", "it leaves"]
    assert isinstance(secure.run(*deciding).exception, Fatal)

    release = tmp_path / "agreements"
    shutil.copytree(secure.options.agreements, release)
    over = AGREEMENT.format(agency="field", until="2020-12-31")
    (release / "field.yaml").write_text(over, encoding="utf-8")
    ended = {"JISR_AGREEMENTS": str(release)}
    # Over, and not retired yet: it is still to be told what it may hold no more.
    kept = secure.run("access", "check", **ended)
    assert kept.exit_code == 0, kept.output
    assert f"{user}: its agreement has ended; it keeps what it has" in kept.output

    retired = secure.run(*deciding, **ended)
    assert "its access to Kafka has ended" in retired.output, retired.exception
    said()
    assert answer == ["TOPIC_AUTHORIZATION_FAILED"]
    with pytest.raises(KafkaException):
        confluent_kafka.Producer(secure.stock(user)).list_topics(timeout=3)
    # Nothing brings it back but an agreement.
    applied = secure.run("access", "apply", **ended)
    assert "given" not in applied.output
    assert secure.run("access", "check").exit_code == 1


def test_settings_that_do_not_fit_are_refused_before_anything_is_sent(secure: Secure) -> None:
    found = secure.run("topics", "check", JISR_KAFKA_USER="salma").exception
    assert isinstance(found, ConfigurationError)
    assert "set JISR_KAFKA_PROTOCOL to SASL_SSL" in str(found)
