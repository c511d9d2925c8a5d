"""The registry as clients meet it: a served process, a real PostgreSQL, stock Confluent clients."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest
from click.testing import CliRunner
from confluent_kafka.schema_registry import Schema, SchemaRegistryClient
from confluent_kafka.schema_registry.avro import AvroDeserializer, AvroSerializer
from confluent_kafka.schema_registry.error import SchemaRegistryError
from confluent_kafka.serialization import MessageField, SerializationContext
from sqlalchemy.engine import make_url
from support import plain_http

from hub.contracts.registry_client import NotRegistered, RegistryClient, RegistryRefusal
from hub.errors import ConfigurationError, Retriable, SkipRecord
from hub.local.stack import Stack
from hub.registry.commands import read_token
from hub.registry.schema_commands import schema as schema_commands
from hub.registry.storage import Storage, open_engine

ROOT = Path(__file__).parents[2]
TOKEN = "a-token-for-the-tests"

Serve = Callable[..., "Served"]


class Served:
    """A registry process, and where it listens."""

    def __init__(self, process: subprocess.Popen[str], url: str) -> None:
        self.process = process
        self.url = url

    def stop(self) -> int:
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(timeout=30)


@pytest.fixture(scope="module")
def new_database(stack: Stack) -> Iterator[Callable[[], str]]:
    """Makes an empty database and gives its URL; for the module, since one registry serves most tests."""
    made: list[str] = []

    def make() -> str:
        made.append(f"registry_{uuid4().hex[:12]}")
        return stack.create_database(made[-1])

    yield make
    for name in made:
        stack.drop_database(name)


@pytest.fixture(scope="module")
def token_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("secrets") / "token"
    path.write_text(f"{TOKEN}\n")
    return path


@pytest.fixture(scope="module")
def serve() -> Iterator[Serve]:
    """Starts `jisr registry serve` on a free port and waits until it is ready."""
    started: list[Served] = []

    def start(database: str, token_file: Path | None = None) -> Served:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        command = [sys.executable, "-c", "from hub.cli import main; main()", "registry", "serve"]
        command += ["--port", str(port), "--database", database]
        command += ["--token-file", str(token_file)] if token_file else []
        environment = {k: v for k, v in os.environ.items() if not k.startswith("JISR_")}
        process = subprocess.Popen(command, cwd=ROOT, text=True, env=environment)
        served = Served(process, f"http://127.0.0.1:{port}")
        started.append(served)
        wait_until_ready(served)
        return served

    yield start
    for served in started:
        if served.process.poll() is None:
            served.process.kill()
            served.process.wait()


def wait_until_ready(served: Served) -> None:
    for _ in range(600):
        if served.process.poll() is not None:
            pytest.fail(f"the registry ended with {served.process.returncode}")
        try:
            if plain_http.get(f"{served.url}/readyz").status_code == 200:
                return
        except httpx.TransportError:
            pass
        time.sleep(0.1)
    pytest.fail("the registry did not become ready")


@pytest.fixture(scope="module")
def url(serve: Serve, new_database: Callable[[], str], token_file: Path) -> str:
    return serve(new_database(), token_file).url


@pytest.fixture
def subject() -> str:
    return f"test.{uuid4().hex}-value"


@pytest.fixture
def client(url: str) -> Iterator[RegistryClient]:
    client = RegistryClient(url, TOKEN)
    yield client
    client.close()


def stock_client(url: str) -> SchemaRegistryClient:
    return SchemaRegistryClient({"url": url, "basic.auth.user.info": f"operator:{TOKEN}"})


def record(*fields: dict[str, Any], name: str = "Person") -> dict[str, Any]:
    return {"type": "record", "name": name, "namespace": "test", "fields": list(fields)}


NAME = {"name": "name", "type": "string"}
AGE = {"name": "age", "type": ["null", "int"], "default": None}
FIRST, SECOND = record(NAME), record(NAME, AGE)


# --- Stock clients ----------------------------------------------------------------------------------


def test_stock_serializer_and_deserializer(url: str, client: RegistryClient) -> None:
    topic = f"test.{uuid4().hex}"
    schema_id = client.register(f"{topic}-value", SECOND)
    stock = SchemaRegistryClient({"url": url})  # an agency's: without a token
    conf = {"auto.register.schemas": False, "use.latest.version": True}
    context = SerializationContext(topic, MessageField.VALUE)
    data = AvroSerializer(stock, None, conf=conf)({"name": "أمينة", "age": 31}, context)
    assert data is not None
    assert data[:5] == b"\x00" + schema_id.to_bytes(4, "big")
    assert AvroDeserializer(stock)(data, context) == {"name": "أمينة", "age": 31}
    old = AvroDeserializer(stock, json.dumps(FIRST))
    assert old(data, context) == {"name": "أمينة"}


def test_stock_client_calls(url: str, subject: str) -> None:
    stock = stock_client(url)
    assert stock.set_compatibility(subject, "FULL_TRANSITIVE") == {"compatibility": "FULL_TRANSITIVE"}
    assert stock.get_compatibility(subject) == "FULL_TRANSITIVE"
    schema = Schema(json.dumps(FIRST), "AVRO")
    schema_id = stock.register_schema(subject, schema, normalize_schemas=True)
    found = SchemaRegistryClient({"url": url}).lookup_schema(subject, schema)
    assert (found.schema_id, found.version, found.subject) == (schema_id, 1, subject)
    second = Schema(json.dumps(SECOND), "AVRO")
    assert stock.test_compatibility(subject, second) is True
    assert stock.test_compatibility_all_versions(subject, second, verbose=True) is True
    assert stock.register_schema(subject, second) != schema_id
    assert stock.get_versions(subject) == [1, 2]
    assert stock.get_version(subject, 1).schema_id == schema_id
    latest = stock.get_latest_version(subject)
    assert latest.version == 2
    assert json.loads(latest.schema.schema_str or "") == SECOND
    assert json.loads(stock.get_schema(schema_id).schema_str or "") == FIRST
    assert subject in stock.get_subjects()
    assert stock.get_subjects(subject_prefix=subject) == [subject]
    assert stock.get_subjects(limit=0) == []
    assert stock.get_schema_types() == ["AVRO"]
    assert subject in stock.get_subjects_by_schema_id(schema_id)
    assert [(v.subject, v.version) for v in stock.get_schema_versions(schema_id, subject)] == [(subject, 1)]
    assert stock.get_global_mode() == "READWRITE"
    assert stock.delete_config(subject).compatibility_level == "FULL_TRANSITIVE"
    with pytest.raises(SchemaRegistryError) as caught:
        stock.get_compatibility(subject)
    assert caught.value.error_code == 40408


def test_stock_client_is_told_why(url: str, subject: str) -> None:
    stock = stock_client(url)
    stock.register_schema(subject, Schema(json.dumps(FIRST), "AVRO"))
    required = record(NAME, {"name": "cin", "type": "string"})
    with pytest.raises(SchemaRegistryError, match="field cin: was not written") as caught:
        stock.register_schema(subject, Schema(json.dumps(required), "AVRO"))
    assert (caught.value.http_status_code, caught.value.error_code) == (409, 409)
    assert stock.test_compatibility(subject, Schema(json.dumps(required), "AVRO")) is False
    recursive = record({"name": "next", "type": ["null", "Person"]})
    with pytest.raises(SchemaRegistryError, match="contains itself") as caught:
        stock.register_schema(subject, Schema(json.dumps(recursive), "AVRO"))
    assert (caught.value.http_status_code, caught.value.error_code) == (422, 42201)
    with pytest.raises(SchemaRegistryError) as caught:
        stock.get_schema(2_000_000_000)
    assert caught.value.error_code == 40403


# --- Ids --------------------------------------------------------------------------------------------


def test_one_id_for_one_schema(client: RegistryClient, subject: str) -> None:
    schema_id = client.register(subject, FIRST)
    assert client.register(subject, FIRST) == schema_id
    assert client.register(f"other-{subject}", FIRST) == schema_id
    spaced_and_reordered = json.dumps(dict(reversed(FIRST.items())), indent=4)
    assert client.register(subject, spaced_and_reordered) == schema_id
    assert client.lookup(subject, spaced_and_reordered) == schema_id
    assert client.latest(subject) == (schema_id, 1, FIRST)


def test_two_instances_that_register_at_once(
    serve: Serve, new_database: Callable[[], str], token_file: Path
) -> None:
    database = new_database()
    clients = [RegistryClient(serve(database, token_file).url, TOKEN, 60) for _ in range(2)]
    # Forty schemas, each registered from both sides at once, under four subjects.
    jobs = [(clients[n % 2], n // 2) for n in range(80)]

    def register(job: tuple[RegistryClient, int]) -> tuple[int, int]:
        client, n = job
        added = {"name": f"f{n}", "type": ["null", "int"], "default": None}
        return n, client.register(f"subject-{n % 4}", record(NAME, added))

    with ThreadPoolExecutor(8) as pool:
        answers = set(pool.map(register, jobs))
    assert sorted(schema_id for _, schema_id in answers) == list(range(1, 41))
    for n in range(4):
        versions = clients[0].versions(f"subject-{n}")
        assert [version for version, _ in versions] == list(range(10, 0, -1))


def test_instances_that_create_the_tables_at_once(new_database: Callable[[], str]) -> None:
    storages = [Storage(open_engine(new_database_url)) for new_database_url in [new_database()] * 6]
    with ThreadPoolExecutor(6) as pool:
        list(pool.map(Storage.create_tables, storages))
    for storage in storages:
        storage.ping()
        storage.close()


def test_ids_survive_a_restart(serve: Serve, new_database: Callable[[], str], token_file: Path) -> None:
    database = new_database()
    served = serve(database, token_file)
    assert RegistryClient(served.url, TOKEN).register("s", FIRST) == 1
    assert served.stop() == 0
    again = RegistryClient(serve(database, token_file).url, TOKEN)
    assert again.schema_by_id(1) == FIRST
    assert again.register("s", SECOND) == 2


# --- Compatibility and configuration ----------------------------------------------------------------


def test_levels_are_inherited_and_removed(url: str, client: RegistryClient, subject: str) -> None:
    auth = ("x", TOKEN)
    level = f"{url}/config/{subject}"
    assert plain_http.get(f"{url}/config").json() == {"compatibilityLevel": "BACKWARD_TRANSITIVE"}
    assert plain_http.get(level).status_code == 404
    assert plain_http.get(level, params={"defaultToGlobal": "true"}).json() == {
        "compatibilityLevel": "BACKWARD_TRANSITIVE"
    }
    client.register(subject, FIRST)
    other = record({"name": "x", "type": "int"})
    with pytest.raises(RegistryRefusal, match="cannot read version 1: field x"):
        client.register(subject, other)
    client.set_compatibility(subject, "none")
    assert client.register(subject, other)
    assert plain_http.delete(level, auth=auth).json() == {"compatibilityLevel": "NONE"}
    with pytest.raises(RegistryRefusal, match="version 2"):
        client.register(subject, SECOND)
    with pytest.raises(RegistryRefusal, match="compatibility level"):
        client.set_compatibility(subject, "SIDEWAYS")


def test_compatibility_is_answered_with_messages(url: str, client: RegistryClient, subject: str) -> None:
    client.register(subject, FIRST)
    body = {"schema": json.dumps(record({"name": "x", "type": "int"}))}
    path = f"{url}/compatibility/subjects/{subject}/versions"
    answer = plain_http.post(f"{path}/latest?verbose=true", json=body).json()
    assert answer["is_compatible"] is False
    assert "field x: was not written" in answer["messages"][0]
    assert plain_http.post(f"{path}/1", json=body).json() == {"is_compatible": False}
    assert plain_http.post(f"{path}/9", json=body).json()["error_code"] == 40402
    unknown = f"{url}/compatibility/subjects/unknown/versions"
    assert plain_http.post(unknown, json=body).json() == {"is_compatible": True}
    assert plain_http.post(f"{unknown}/latest", json=body).json()["error_code"] == 40401


def test_schemas_alone(url: str, client: RegistryClient, subject: str) -> None:
    schema_id = client.register(subject, FIRST)
    assert plain_http.get(f"{url}/subjects/{subject}/versions/latest/schema").json() == FIRST
    assert plain_http.get(f"{url}/subjects/{subject}/versions/-1").json()["id"] == schema_id
    answer = plain_http.get(f"{url}/schemas/ids/{schema_id}/schema")
    assert answer.json() == FIRST
    assert answer.headers["content-type"] == "application/vnd.schemaregistry.v1+json"


# --- Who may write (R5) -----------------------------------------------------------------------------

WRITES = [
    ("POST", "/subjects/s/versions", {"schema": json.dumps(FIRST)}),
    ("PUT", "/config", {"compatibility": "NONE"}),
    ("PUT", "/config/s", {"compatibility": "NONE"}),
    ("DELETE", "/config", None),
    ("DELETE", "/config/s", None),
]


@pytest.mark.parametrize(("method", "path", "body"), WRITES, ids=lambda x: str(x)[:20])
@pytest.mark.parametrize(
    "header",
    [None, "Bearer wrong", "Bearer", "Basic", "Basic !", "Basic eDp3cm9uZw==", f"Digest {TOKEN}"],
)
def test_writing_needs_the_token(url: str, method: str, path: str, body: Any, header: str | None) -> None:
    headers = {"Authorization": header} if header else {}
    answer = plain_http.request(method, url + path, json=body, headers=headers)
    assert answer.status_code == 401
    assert answer.json()["error_code"] == 40101
    assert "WWW-Authenticate" in answer.headers


def test_a_wrong_token_is_the_operators_to_mend(url: str) -> None:
    with pytest.raises(RegistryRefusal, match="401"):
        RegistryClient(url, "wrong").register("s", FIRST)


def test_user_and_password_in_the_url(url: str, subject: str) -> None:
    with_password = url.replace("http://", f"http://operator:{TOKEN}@")
    assert RegistryClient(with_password).register(subject, FIRST)
    with pytest.raises(SkipRecord) as caught:
        RegistryClient(with_password).schema_by_id(1_999_999_999)
    assert TOKEN not in str(caught.value)


@pytest.mark.parametrize(("method", "path", "body"), WRITES, ids=lambda x: str(x)[:20])
def test_without_a_token_nobody_writes(read_only: str, method: str, path: str, body: Any) -> None:
    for headers in ({}, {"Authorization": "Bearer"}, {"Authorization": "Bearer None"}):
        answer = plain_http.request(method, read_only + path, json=body, headers=headers)
        assert answer.status_code == 403
        assert answer.json()["error_code"] == 40301


@pytest.fixture(scope="module")
def read_only(serve: Serve, new_database: Callable[[], str]) -> str:
    return serve(new_database()).url


def test_an_empty_token_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "empty").write_text(" \n")
    with pytest.raises(ConfigurationError, match="empty"):
        read_token(tmp_path / "empty")
    with pytest.raises(ConfigurationError, match="No such file"):
        read_token(tmp_path / "missing")


# --- What is wrong is answered with 4xx, in JSON ----------------------------------------------------

SCHEMA = json.dumps(FIRST)
MISTAKES = {
    "no JSON": ("POST", "/subjects/s", b"{", 400),
    "no object": ("POST", "/subjects/s", b"[]", 400),
    "nothing": ("POST", "/subjects/s", b"", 400),
    "not UTF-8": ("POST", "/subjects/s", b'{"schema":"\xff"}', 400),
    "deep JSON": ("POST", "/subjects/s", b"[" * 100_000, 400),
    "too large": ("POST", "/subjects/s", b" " * 1_100_000, 413),
    "too large a schema": ("POST", "/subjects/s", {"schema": " " * 300_000 + SCHEMA}, 422),
    "no schema": ("POST", "/subjects/s", {}, 422),
    "schema is no text": ("POST", "/subjects/s", {"schema": FIRST}, 422),
    "half a surrogate pair": ("POST", "/subjects/s", b'{"schema":"{\\"x\\":\\"\\ud800\\"}"}', 422),
    "other type": ("POST", "/subjects/s", {"schema": "{}", "schemaType": "JSON"}, 422),
    "type is a list": ("POST", "/subjects/s", {"schema": "{}", "schemaType": []}, 422),
    "references": (
        "POST",
        "/subjects/s",
        {"schema": SCHEMA, "references": [{"name": "a", "subject": "b", "version": 1}]},
        422,
    ),
    "rules": ("POST", "/subjects/s", {"schema": SCHEMA, "ruleSet": {"domainRules": []}}, 422),
    "lookup of unknown subject": ("POST", "/subjects/unknown", {"schema": SCHEMA}, 404),
    "NUL in a subject": ("GET", "/subjects/a%00b/versions", None, 422),
    "slash in a subject": ("GET", "/subjects/a%2Fb/versions", None, 404),
    "long subject": ("GET", f"/subjects/{'s' * 300}/versions", None, 422),
    "unknown subject": ("GET", "/subjects/unknown/versions", None, 404),
    "version 0": ("GET", "/subjects/s/versions/0", None, 422),
    "version -2": ("GET", "/subjects/s/versions/-2", None, 422),
    "version too large": ("GET", "/subjects/s/versions/99999999999", None, 422),
    "version is no number": ("GET", "/subjects/s/versions/newest", None, 422),
    "Arabic digits": ("GET", "/subjects/s/versions/١", None, 422),
    "id too large": ("GET", "/schemas/ids/99999999999", None, 404),
    "id without end": ("GET", f"/schemas/ids/{'9' * 5000}", None, 404),
    "id is no number": ("GET", "/schemas/ids/one", None, 404),
    "bad page": ("GET", "/subjects?offset=x", None, 422),
    "no such route": ("GET", "/nothing", None, 404),
    "deletion": ("DELETE", "/subjects/s", None, 405),
}


@pytest.mark.parametrize(("method", "path", "body", "status"), MISTAKES.values(), ids=MISTAKES)
def test_mistakes(url: str, method: str, path: str, body: Any, status: int) -> None:
    content = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
    answer = plain_http.request(method, url + path, content=content)
    assert answer.status_code == status
    assert set(answer.json()) == {"error_code", "message"}


# --- Health, metrics, life --------------------------------------------------------------------------


def test_health_and_metrics(url: str) -> None:
    assert plain_http.get(f"{url}/livez").text == "ok"
    assert plain_http.get(f"{url}/readyz").text == "ok"
    assert plain_http.get(f"{url}/").json() == {}
    plain_http.get(f"{url}/subjects/unknown/versions")
    shown = plain_http.get(f"{url}/metrics").text
    route = 'method="GET",route="/subjects/{subject}/versions",status="404"'
    assert f"jisr_registry_requests_total{{{route}}}" in shown
    assert "jisr_registry_request_seconds_bucket" in shown


def test_a_database_that_goes_away(
    stack: Stack, serve: Serve, new_database: Callable[[], str], token_file: Path
) -> None:
    database = new_database()
    served = serve(database, token_file)
    client = RegistryClient(served.url, TOKEN, 30)
    client.register("s", FIRST)
    stack.drop_database(make_url(database).database or "")
    assert plain_http.get(f"{served.url}/livez").status_code == 200
    assert plain_http.get(f"{served.url}/readyz").status_code == 503
    with pytest.raises(Retriable, match="503"):
        client.latest("s")
    assert served.stop() == 0


def test_a_database_that_is_not_there() -> None:
    missing = "postgresql://nobody@127.0.0.1:1/nothing"
    command = [sys.executable, "-c", "from hub.cli import main; main()", "registry", "serve"]
    ended = subprocess.run(
        [*command, "--database", missing], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert ended.returncode == 1
    assert "database does not answer" in ended.stderr
    assert "Traceback" not in ended.stderr


# --- The client and the release ---------------------------------------------------------------------


def test_client_says_what_is_missing(client: RegistryClient, subject: str) -> None:
    with pytest.raises(NotRegistered, match="jisr schema register"):
        client.latest(subject)
    with pytest.raises(NotRegistered):
        client.lookup(subject, FIRST)
    assert client.versions(subject) == []
    with pytest.raises(SkipRecord) as caught:
        client.schema_by_id(1_999_999_999)
    assert caught.value.code == "unknown_schema_id"


def test_release_is_checked_and_registered(
    serve: Serve, new_database: Callable[[], str], token_file: Path, tmp_path: Path
) -> None:
    url = serve(new_database(), token_file).url
    schemas = tmp_path / "schemas"
    for source in (ROOT / "schemas").rglob("*.avsc"):
        target = schemas / source.relative_to(ROOT / "schemas")
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(source.read_bytes())
    options = ["--schemas", schemas, "--agreements", ROOT / "deploy/agreements", "--registry", url]
    writing = [*options, "--token-file", token_file]

    assert "in order" in jisr_schema("check", *options)
    first = jisr_schema("register", *writing)
    assert "entraide.person.changes-value" in first
    assert jisr_schema("register", *writing) == first

    person = schemas / "records" / "person.avsc"
    before = person.read_text(encoding="utf-8")
    contract = json.loads(before)
    field = next(f for f in contract["fields"] if f["merge"] == "latest" and f["privacy"] != "none")
    name = f"person.{field['name']}"
    field |= {"privacy": "none", "authority": ["*", "nobody"]}
    person.write_text(json.dumps(contract), encoding="utf-8")
    assert f"{name}: privacy" in jisr_schema("check", *options, fails=True)
    assert f"{name}: privacy" in jisr_schema("register", *writing, fails=True)
    allowed = jisr_schema("check", *options, "--weaken-privacy", name)
    assert f"note: {name}: authority changes" in allowed

    field["merge"] = "immutable"
    person.write_text(json.dumps(contract), encoding="utf-8")
    assert "it never changes" in jisr_schema("check", *options, "--weaken-privacy", name, fails=True)
    assert "it never changes" in jisr_schema("check", person, *options, fails=True)

    contract = json.loads(before)
    string = next(f for f in contract["fields"] if f["type"] == ["null", "string"])
    string |= {"type": ["null", "long"], "codes": {}}
    person.write_text(json.dumps(contract), encoding="utf-8")
    broken = jisr_schema("check", *options, fails=True)
    assert f"field {string['name']}: string was written" in broken
    assert (
        f"entraide.person.changes-value: version 1 cannot read this: field record.{string['name']}" in broken
    )

    person.write_text(before, encoding="utf-8")
    assert jisr_schema("register", *writing) == first


def jisr_schema(*arguments: Any, fails: bool = False) -> str:
    result = CliRunner().invoke(schema_commands, [str(argument) for argument in arguments])
    assert result.exit_code == int(fails), result.output
    return result.output
