"""`jisr connector run` as a process, on real Kafka, registry and databases; the test speaks as the hub."""

from __future__ import annotations

import json
import os
import signal
import socket
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any
from uuid import uuid4

import fastavro
import httpx
import pytest
from kafka import KafkaConsumer, KafkaProducer, TopicPartition
from support import plain_http
from support.command_line import run_jisr

from hub.contracts import topics, wire
from hub.contracts.agreements import load_agreements
from hub.contracts.events import EventSchemas
from hub.contracts.records import Catalogue
from hub.contracts.registry_client import RegistryClient
from hub.contracts.subjects import event_subjects
from hub.core.tokens import record_token
from hub.local.stack import Stack
from hub.ops.provision import provision_topics

ROOT = Path(__file__).parents[2]
JISR = [sys.executable, "-c", "from hub.cli import main; main()"]
KEY = b"a key of the tests' agency......"
WAIT_S = 60
CATALOGUE = Catalogue.load(ROOT / "schemas" / "records")
EVENTS = EventSchemas(ROOT / "schemas" / "events")

AGREEMENT = """
agency: AGENCY
name: {ar: س, fr: A, en: A}
until: 2030-12-31
publishes:
  person: [cin, family_name_fr, phone]
receives:
  person:
    fields: [cin, family_name_fr, phone]
    purpose: tests
    legal_basis: public-mission
    create: true
"""
MAPPING = """
agency: AGENCY
records:
  person:
    tables:
      - table: personne
        key: id
        fields: {cin: cin, family_name_fr: nom, phone: tel}
"""


def until(condition: Callable[[], Any], what: str) -> Any:
    """The first true answer of `condition`; a bound on how long a broken connector keeps the tests."""
    deadline = time.monotonic() + WAIT_S
    while time.monotonic() < deadline:
        if found := condition():
            return found
        time.sleep(0.05)
    return pytest.fail(f"{what}: not within {WAIT_S} s")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def environment(**more: str) -> dict[str, str]:
    return {k: v for k, v in os.environ.items() if not k.startswith("JISR_")} | more


@pytest.fixture(scope="module")
def registry(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Path]]:
    """A registry process: (its URL, the file with its token)."""
    token = tmp_path_factory.mktemp("secrets") / "token"
    token.write_text("a-token-for-the-tests\n")
    name = f"registry_{uuid4().hex[:12]}"
    port = free_port()
    arguments = ["registry", "serve", "--port", str(port), "--token-file", str(token)]
    process = subprocess.Popen(
        [*JISR, *arguments, "--database", stack.create_database(name)], cwd=ROOT, env=environment()
    )
    url = f"http://127.0.0.1:{port}"
    try:
        until(lambda: answers(f"{url}/readyz") or process.poll(), "the registry is ready")
        yield url, token
    finally:
        process.kill()
        process.wait()
        stack.drop_database(name)


def answers(url: str) -> bool:
    try:
        return plain_http.get(url).status_code == 200
    except httpx.TransportError:
        return False


class Hub:
    """The hub's side of one agency, and the connector under test."""

    def __init__(self, stack: Stack, registry: tuple[str, Path], folder: Path, url: str) -> None:
        self.agency, self.url, self.folder = f"t{uuid4().hex[:10]}", url, folder
        self.bootstrap, self.registry = stack.endpoints.bootstrap, registry
        self.agreements = folder / "agreements"
        self.agreements.mkdir()
        (self.agreements / "a.yaml").write_text(AGREEMENT.replace("AGENCY", self.agency), encoding="utf-8")
        self.mapping = folder / "mapping.yaml"
        self.mapping.write_text(MAPPING.replace("AGENCY", self.agency), encoding="utf-8")
        (folder / "key").write_bytes(KEY)
        self._register()
        provision_topics(
            stack.endpoints.kafka, topics.agency_topics(self.agency, ["person"], CATALOGUE.partitions)
        )
        self.client = RegistryClient(registry[0])
        self.producer = KafkaProducer(bootstrap_servers=self.bootstrap)
        self.processes: list[subprocess.Popen[bytes]] = []
        self.port = free_port()

    def _register(self) -> None:
        """The subjects that the agency's side looks up; nothing is said here on the hub's own topics."""
        agreements = load_agreements(self.agreements, CATALOGUE)
        with closing(RegistryClient(self.registry[0], self.registry[1].read_text().strip())) as client:
            for subject, schema in event_subjects(CATALOGUE, EVENTS, agreements).items():
                if subject.startswith(self.agency):
                    client.register(subject, schema)

    def settings(self, **more: str) -> dict[str, str]:
        given = {
            "JISR_BOOTSTRAP": self.bootstrap,
            "JISR_REGISTRY_URL": self.registry[0],
            "JISR_DATABASE_URL": self.url,
            "JISR_AGENCY_KEY_FILE": str(self.folder / "key"),
            "JISR_AGREEMENTS": str(self.agreements),
            "JISR_WEB_PORT": str(self.port),
        }
        return environment(**given | more)

    def start(self, **more: str) -> subprocess.Popen[bytes]:
        command = [*JISR, "connector", "run", str(self.mapping)]
        process = subprocess.Popen(command, cwd=ROOT, env=self.settings(**more))
        self.processes.append(process)
        return process

    def stop(self, process: subprocess.Popen[bytes]) -> None:
        process.send_signal(signal.SIGTERM)
        assert process.wait(WAIT_S) == 0

    def command(self, name: str, *more: str) -> subprocess.CompletedProcess[str]:
        """A command of the agency's side, to its end."""
        return run_jisr(["connector", name, str(self.mapping), *more], self.settings())

    def metrics(self) -> str:
        return plain_http.get(f"http://127.0.0.1:{self.port}/metrics").text

    def metrics_or_nothing(self) -> str:
        return self.metrics() if answers(f"http://127.0.0.1:{self.port}/metrics") else ""

    def ready(self) -> None:
        until(lambda: answers(f"http://127.0.0.1:{self.port}/readyz"), "the connector is ready")

    def close(self) -> None:
        for process in self.processes:
            if process.poll() is None:
                process.kill()
            process.wait()
        self.producer.close(timeout=1)
        self.client.close()

    def read(self, topic: str) -> list[Any]:
        """All records of a topic so far, partition after partition."""
        consumer = KafkaConsumer(bootstrap_servers=self.bootstrap, group_id=None)
        try:
            partitions = [TopicPartition(topic, n) for n in sorted(consumer.partitions_for_topic(topic))]
            ends = consumer.end_offsets(partitions)
            consumer.assign(partitions)
            consumer.seek_to_beginning(*partitions)
            found = []
            while any(consumer.position(p) < ends[p] for p in partitions):
                for batch in consumer.poll(timeout_ms=500).values():
                    found += batch
            return found
        finally:
            consumer.close(autocommit=False)

    def decoded(self, topic: str) -> list[dict[str, Any]]:
        return [self.decode(record.value) for record in self.read(topic)]

    def decode(self, value: bytes) -> dict[str, Any]:
        schema_id, body = wire.unframe(value)
        decoded: dict[str, Any] = wire.read(fastavro.parse_schema(self.client.schema_by_id(schema_id)), body)
        return decoded

    def changes(self) -> list[dict[str, Any]]:
        return self.decoded(topics.changes(self.agency, "person"))

    def deliver(self, entity: str, version: int, fields: dict[str, Any], **more: Any) -> None:
        topic = topics.inbox(self.agency, "person")
        schema = EVENTS.projection(CATALOGUE.records["person"])
        schema_id = self.client.lookup(topics.subject(topic), schema)
        event = {
            "entity": entity,
            "version": version,
            "operation": "upsert",
            "fields": list(fields),
            "record": fields or None,
            **more,
        }
        body = wire.write(fastavro.parse_schema(schema), event)
        self.producer.send(topic, key=entity.encode(), value=wire.frame(schema_id, body)).get(30)

    def receipts(self) -> dict[int, dict[str, Any]]:
        """The last receipt of each partition of the inbox."""
        inbox = topics.inbox(self.agency, "person")
        receipts = self.decoded(topics.receipts(self.agency))
        return {r["partition"]: r for r in receipts if r["topic"] == inbox}


class PersonTable:
    """The agency's table, as its own people see it."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.execute("CREATE TABLE personne (id INTEGER PRIMARY KEY, cin text, nom text NOT NULL, tel text)")

    def execute(self, sql: str, *params: Any) -> list[tuple[Any, ...]]:
        session = sqlite3.connect(self.url.partition(":///")[2], isolation_level=None, timeout=10)
        try:
            return session.execute(sql, params).fetchall()
        finally:
            session.close()


@pytest.fixture
def hub(stack: Stack, registry: tuple[str, Path], tmp_path: Path) -> Iterator[Hub]:
    hub = Hub(stack, registry, tmp_path, f"sqlite:///{tmp_path / 'agency.db'}")
    yield hub
    hub.close()


@pytest.fixture
def people(hub: Hub) -> PersonTable:
    return PersonTable(hub.url)


def test_edits_reach_the_topic_and_deliveries_the_table(hub: Hub, people: PersonTable) -> None:
    people.execute("INSERT INTO personne VALUES (1, 'SH1', 'Alami', NULL)")
    hub.start()
    hub.ready()
    first = until(hub.changes, "the snapshot")[0]
    assert (first["operation"], first["local_id"], first["asserted"]) == ("snapshot", "1", 0)
    people.execute("UPDATE personne SET tel = '+212612345678' WHERE id = 1")
    change = until(lambda: [c for c in hub.changes() if c["operation"] == "update"], "the edit")[0]
    assert change["changed"] == ["phone"]
    assert change["record"]["phone"] == "+212612345678"
    hub.deliver("E1", 5, {"cin": "SH1", "phone": "+212712345678"}, local_id="1", seen=change["stamp"])
    hub.deliver("E2", 6, {"family_name_fr": "Bennani"})
    until(lambda: people.execute("SELECT * FROM personne WHERE tel = '+212712345678'"), "the delivery")
    created = until(lambda: people.execute("SELECT id FROM personne WHERE nom = 'Bennani'"), "the new row")
    link = until(lambda: [c for c in hub.changes() if c["operation"] == "link"], "the link")[0]
    assert (link["local_id"], link["entity"]) == (str(created[0][0]), "E2")
    until(lambda: sum(r["offset"] for r in hub.receipts().values()) == 2, "the receipts")


def test_messages_hold_no_identifier_outside_their_value(hub: Hub, people: PersonTable) -> None:
    people.execute("INSERT INTO personne VALUES (48151623, 'SH1', 'Alami', NULL)")
    hub.start()
    record = until(lambda: hub.read(topics.changes(hub.agency, "person")), "the snapshot")[0]
    assert record.key.decode() == record_token(KEY, "person", "48151623")
    headers = dict(record.headers)
    assert headers["ce_source"] == f"/agencies/{hub.agency}".encode()
    assert headers["ce_type"] == b"ma.jisr.person.change"
    assert headers["ce_specversion"] == b"1.0"
    assert not any(b"48151623" in value for value in headers.values())


def test_what_cannot_be_read_is_reported_and_passed(hub: Hub, people: PersonTable) -> None:
    topic = topics.inbox(hub.agency, "person")
    hub.producer.send(topic, key=b"E9", value=b"\x00garbage", partition=0).get(30)
    hub.producer.send(topic, key=b"E9", value=None, partition=0).get(30)
    hub.deliver("E1", 1, {"family_name_fr": "Bennani"})
    hub.start()
    until(lambda: people.execute("SELECT id FROM personne WHERE nom = 'Bennani'"), "the good one")

    def exceptions() -> list[tuple[str, str]]:
        told = [e for r in hub.decoded(topics.receipts(hub.agency)) for e in r["exceptions"]]
        return [(e["entity"], e["state"]) for e in told]

    # The row is committed before the hub is told.
    until(exceptions, "the receipt")
    assert exceptions() == [("E9", "refused")]


def test_sigterm_ends_it_cleanly(hub: Hub, people: PersonTable) -> None:
    process = hub.start()
    hub.ready()
    process.send_signal(signal.SIGTERM)
    assert process.wait(WAIT_S) == 0


def test_kills_between_any_two_moments_lose_and_double_nothing(hub: Hub, people: PersonTable) -> None:
    """Edits and deliveries go on while the connector is killed again and again."""
    names = [f"Livré {n}" for n in range(12)]
    for number in range(1, 13):
        people.execute("INSERT INTO personne (cin, nom) VALUES (?, 'Local')", f"SH{number}")
        hub.deliver(f"E{number}", number, {"family_name_fr": names[number - 1]})
        if number % 4 == 1:
            process = hub.start()
        if number % 4 == 0:
            heard = len(hub.changes())
            until(lambda heard=heard: len(hub.changes()) > heard, "a sign of life")  # type: ignore[misc]
            process.kill()
            process.wait()
    hub.start()

    def links() -> list[str]:
        return sorted({str(c["entity"]) for c in hub.changes() if c["operation"] == "link"})

    until(lambda: len(links()) == 12, "all links")
    until(lambda: sum(r["offset"] for r in hub.receipts().values()) == 12, "all receipts")
    assert sorted(people.execute("SELECT nom FROM personne WHERE nom LIKE 'Livré %'")) == sorted(
        (name,) for name in names
    )
    changes = hub.changes()
    said = {c["record"]["cin"] for c in changes if c["operation"] in ("insert", "snapshot") and c["record"]}
    assert said >= {f"SH{number}" for number in range(1, 13)}
    # A repetition is the same in every respect.
    by_id: dict[str, dict[str, Any]] = {}
    for change in changes:
        assert by_id.setdefault(change["event_id"], change) == change


def test_a_restored_database_is_noticed_at_the_start(hub: Hub, people: PersonTable) -> None:
    """A backup of the file is put back after more was sent; people go on working before the start."""
    people.execute("INSERT INTO personne VALUES (1, 'SH1', 'Alami', NULL), (2, 'SH2', 'Bennani', NULL)")
    process = hub.start()
    until(lambda: len(hub.changes()) == 2, "the snapshot")
    hub.stop(process)
    file = Path(people.url.partition(":///")[2])
    backup = file.read_bytes()
    people.execute("UPDATE personne SET nom = 'Lost' WHERE id = 1")
    process = hub.start()
    until(lambda: len(hub.changes()) == 3, "the edit of the lost hours")
    hub.stop(process)
    file.write_bytes(backup)
    people.execute("UPDATE personne SET nom = 'Idrissi' WHERE id = 2")
    people.execute("UPDATE personne SET tel = '+212612345678' WHERE id = 2")
    process = hub.start()

    def again() -> list[dict[str, Any]]:
        return [c for c in hub.changes() if ":2-" in c["event_id"]]

    until(lambda: sum(c["operation"] == "snapshot" for c in again()) == 2, "a snapshot of a new epoch")
    assert {c["operation"] for c in again()} == {"update", "snapshot"}
    said = {c["local_id"]: c["record"]["family_name_fr"] for c in again() if c["operation"] == "snapshot"}
    assert said == {"1": "Alami", "2": "Idrissi"}
    assert f'jisr_connector_restored_total{{agency="{hub.agency}"}} 1.0' in hub.metrics()
    hub.stop(process)
    assert "set back to an earlier state" in hub.command("status").stdout
    # Noticed once: the next start is an ordinary one.
    sent = len(hub.changes())
    process = hub.start()
    hub.ready()
    people.execute("UPDATE personne SET nom = 'Tazi' WHERE id = 1")
    until(lambda: len(hub.changes()) > sent, "the next edit")
    assert len(hub.changes()) == sent + 1
    assert f'jisr_connector_restored_total{{agency="{hub.agency}"}} 0.0' in hub.metrics()
    until(lambda: {(1, False), (2, True)} <= epochs(hub), "where each epoch was said whole")
    # One that somebody begins beneath a running connector is said whole, too.
    assert hub.command("resnapshot", "--yes").returncode == 0
    until(lambda: (3, False) in epochs(hub), "where the next epoch was said whole")
    assert sum(":3-" in c["event_id"] for c in hub.changes()) == 2


def epochs(hub: Hub) -> set[tuple[int, bool]]:
    """Of which epochs the connector has told that all is said, and whether each began by a restore."""
    told = hub.decoded(topics.receipts(hub.agency))
    own = [r for r in told if r["topic"] == topics.changes(hub.agency, "person")]
    return {(r["epoch"], r["set_back_ms"] > 0) for r in own}


def silently(people: PersonTable, statement: str) -> None:
    """A statement that the triggers do not see."""
    triggers = people.execute("SELECT name, sql FROM sqlite_master WHERE type = 'trigger'")
    for name, _ in triggers:
        people.execute(f'DROP TRIGGER "{name}"')
    people.execute(statement)
    for _, text in triggers:
        people.execute(text)


def test_a_silent_edit_is_found_by_the_command_and_repaired(hub: Hub, people: PersonTable) -> None:
    people.execute("INSERT INTO personne VALUES (1, 'SH1', 'Alami', NULL), (2, 'SH2', 'Bennani', NULL)")
    process = hub.start()
    until(lambda: len(hub.changes()) == 2, "the snapshot")
    hub.stop(process)
    assert hub.command("sweep").returncode == 0
    silently(people, "UPDATE personne SET nom = 'Idrissi' WHERE id = 2")
    told = hub.command("sweep")
    assert told.returncode == 1
    assert "1 rows are not as they were known" in told.stdout
    assert "2: edited: family_name_fr; raised" in told.stdout
    assert "2 rows and 2 keys read" in told.stdout
    assert "Idrissi" not in told.stdout
    assert "1 rows edited behind the triggers: raised" in hub.command("status").stdout
    found = json.loads(hub.command("sweep", "--repair", "--json").stdout)["records"]["person"]
    assert [(f["local_id"], f["fields"], f["state"]) for f in found["findings"]] == [
        ("2", ["family_name_fr"], "repaired")
    ]
    hub.start()
    change = until(lambda: [c for c in hub.changes() if c["operation"] == "update"], "the edit")[0]
    assert (change["local_id"], change["changed"]) == ("2", ["family_name_fr"])
    assert change["record"]["family_name_fr"] == "Idrissi"
    assert hub.command("sweep", "--record-type", "centre").returncode == 1


def test_a_connector_sweeps_by_itself(hub: Hub, people: PersonTable) -> None:
    people.execute("INSERT INTO personne VALUES (1, 'SH1', 'Alami', NULL), (2, 'SH2', 'Bennani', NULL)")
    hub.start(JISR_SWEEP_EVERY_H="0.0002", JISR_SWEEP_REPAIR="1")
    until(lambda: "sweep_finished_timestamp_seconds{agency" in hub.metrics_or_nothing(), "a first sweep")
    silently(people, "UPDATE personne SET nom = 'Idrissi' WHERE id = 2")
    updates = until(lambda: [c for c in hub.changes() if c["operation"] == "update"], "the edit")
    assert [(c["local_id"], c["changed"]) for c in updates] == [("2", ["family_name_fr"])]
    whose = f'agency="{hub.agency}"'
    found = f'findings_total{{{whose},kind="edited",record_type="person",state="repaired"}} 1.0'
    assert f"jisr_connector_sweep_{found}" in hub.metrics()
    assert f'jisr_connector_sweep_rows_total{{{whose},record_type="person"}}' in hub.metrics()


def test_notices_become_rows_that_staff_can_read(hub: Hub, people: PersonTable) -> None:
    topic = topics.notices(hub.agency)
    schema = EVENTS.plain("notice")
    schema_id = hub.client.lookup(topics.subject(topic), schema)
    notice = {
        "kind": "answered",
        "reason": "older",
        "record_type": "person",
        "fields": ["phone"],
        "at_ms": int(time.time() * 1000) // 3_600_000 * 3_600_000,
        "message": {"ar": "أحدث", "fr": "plus récente", "en": "newer"},
    }
    for number in (1, 2, 2):
        event = {**notice, "notice_id": f"n{number}", "local_id": str(number)}
        body = wire.write(fastavro.parse_schema(schema), event)
        hub.producer.send(topic, key=b"k", value=wire.frame(schema_id, body)).get(30)
    hub.producer.send(topic, key=b"k", value=b"no notice").get(30)
    process = hub.start()
    hub.ready()
    query = "SELECT message, times, local_ids FROM jisr_notice"
    assert until(lambda: people.execute(query), "the notice") == [("أحدث", 2, '["1", "2"]')]
    # A message that cannot be read holds up nothing, and a new start reads on from where it was.
    hub.stop(process)
    hub.start()
    hub.ready()
    event = {**notice, "notice_id": "n3", "local_id": "3"}
    body = wire.write(fastavro.parse_schema(schema), event)
    hub.producer.send(topic, key=b"k", value=wire.frame(schema_id, body)).get(30)
    until(lambda: people.execute("SELECT 1 FROM jisr_notice WHERE times = 3"), "the next one")
