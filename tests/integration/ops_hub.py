"""A hub without workers, for tests of operations: its store, its registry, its topics, and agencies' words.

Agencies have names of their own in every test module, since topics outlive a test; the release's contracts
are copied with those names in their authorities.
"""

from __future__ import annotations

import json
import os
import secrets
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from functools import cache, cached_property, partial
from pathlib import Path
from typing import Any

import fastavro
import httpx
from kafka import KafkaProducer
from sqlalchemy import NullPool, create_engine
from support.changes import key
from support.command_line import run_jisr
from support.contracts import SCHEMAS

from hub.contracts import topics
from hub.contracts.partitioner import partition_of
from hub.contracts.records import ANYONE
from hub.contracts.registry_client import RegistryClient
from hub.contracts.subjects import event_subjects
from hub.contracts.wire import frame, write
from hub.core.assertions import Change, RecordKey
from hub.lanes.converged import Converged
from hub.lanes.intake import LANE
from hub.lanes.messages import Encoder
from hub.lanes.publication import Outbound, outbound
from hub.local import services
from hub.local.ports import LOOPBACK
from hub.local.postgres import SUPERUSER
from hub.local.process_spec import ProcessSpec
from hub.local.stack import Stack
from hub.ops.behind import adopt_key
from hub.ops.log_reader import LogReader
from hub.ops.parts import Parts
from hub.ops.provision import provision_topics, release_topics
from hub.settings import HubSettings
from hub.store.migrate import migrate
from hub.store.positions import Position, save_first_positions
from hub.store.tables import metadata
from hub.store.transaction import Transaction

JISR = [sys.executable, "-c", "from hub.cli import main; main()"]
PURPOSE = "social-integration"
RECORD_TYPES = ("centre", "consent", "enrolment", "person")
# What ads may hold of a person: neither the pupil's code nor, without consent, the disability.
NOT_FOR_ADS = ("massar_code", "disability")


@dataclass
class OpsHub:
    """A hub's parts with everything that they talk to. `name`: what an agency is called here."""

    parts: Parts
    environment: Mapping[str, str]
    suffix: str
    bootstrap: str
    outs: list[Outbound] = field(default_factory=list)

    def name(self, agency: str) -> str:
        return f"{agency}-{self.suffix}"

    def key(self, agency: str, local_id: str, record_type: str = "person", incarnation: int = 0) -> RecordKey:
        return key(self.name(agency), local_id, record_type, incarnation)

    @cached_property
    def encoder(self) -> Encoder:
        """Asked for once: the registry is asked for every schema of the release."""
        return self.parts.encoder()

    def take(self, *changes: Change) -> Converged:
        """Converge a batch as if a topic had carried it; `outs` gets what would be published."""
        encoder = self.encoder

        def finish(_: Transaction, done: Converged) -> None:
            self.outs.append(outbound(encoder, done)[0])

        return self.parts.intake.apply(lambda _: changes, finish)

    def settle_due(self) -> None:
        """Settle what is due, and keep what would be published."""
        encoder = self.encoder

        def finish(_: Transaction, done: Converged) -> None:
            self.outs.append(outbound(encoder, done)[0])

        while self.parts.intake.settle_due(100, finish).due_taken:
            pass

    def publish(self) -> None:
        """Publish what has been kept, in order, as a worker would."""
        with producing(self.bootstrap) as send:
            for out in self.outs:
                for message in out.messages:
                    send(message.topic, message.key, message.value)
        self.outs.clear()

    def acknowledge(self, agency: str, record_type: str, partition: int, offset: int) -> None:
        """Note a receipt's watermark, as the receipts lane does."""
        with self.parts.store.begin() as tx:
            tx.connection.exec_driver_sql(
                "INSERT INTO receipt VALUES (%s, %s, %s, %s, 1000)"
                " ON CONFLICT (topic, partition) DO UPDATE SET next_offset = excluded.next_offset",
                (topics.inbox(self.name(agency), record_type), partition, self.name(agency), offset),
            )

    def acknowledge_all(self, *agencies: str) -> None:
        """Note receipts for all that these agencies' inboxes hold."""
        with closing(LogReader(self.parts.settings.kafka)) as log:
            places, _ = log.places(
                topics.inbox(one.agency, kind)
                for one in self.parts.agreements.values()
                if one.agency in map(self.name, agencies)
                for kind in one.record_types
            )
            for (topic, partition), end in log.ends(places).items():
                name, kind = topics.split(topic)
                self.acknowledge(name.removesuffix(f"-{self.suffix}"), kind, partition, end)

    def rest(self) -> None:
        """As good as new: an empty store, and what the topics hold is read and acknowledged."""
        tables = ", ".join(f'"{table}"' for table in metadata.tables)
        with self.parts.store.begin() as tx:
            tx.connection.exec_driver_sql(f"TRUNCATE {tables}")
        self.outs.clear()
        with closing(LogReader(self.parts.settings.kafka)) as log:
            said, _ = log.places(
                topics.changes(one.agency, kind)
                for one in self.parts.agreements.values()
                for kind in one.record_types
            )
            ends = {place: Position("id", end) for place, end in log.ends(said).items()}
        with self.parts.store.begin() as tx:
            save_first_positions(tx, LANE, ends)
            adopt_key(tx, self.parts.ids)
        self.acknowledge_all("ads", "entraide", "health", "region")

    def rows(self, statement: str, *values: Any) -> list[Any]:
        with self.parts.store.begin() as tx:
            return list(tx.connection.exec_driver_sql(statement, values or None))

    def run(self, *arguments: str, given: str = "", **environment: str) -> subprocess.CompletedProcess[str]:
        """`jisr`, as a person would run it; `environment` overrides this hub's, `given` is typed in."""
        return run_jisr(arguments, {**self.environment, **environment}, given)

    def say(self, record: RecordKey, stamp: int, operation: str = "insert", **values: Any) -> bytes:
        """A change as an agency's connector frames it; `values` are Python values of its mask."""
        spec = self.parts.catalogue.records[record.record_type]
        schema = self.parts.events.change(spec)
        subject = topics.subject(topics.changes(record.agency, record.record_type))
        event = {
            "event_id": f"{record.local_id}-{stamp}",
            "local_id": record.local_id,
            "incarnation": record.incarnation,
            "operation": operation,
            "stamp": stamp,
            "changed": list(values),
            "record": {one.name: values.get(one.name) for one in spec.fields},
        }
        body = write(fastavro.parse_schema(schema), event)
        return frame(self.parts.registry.lookup(subject, schema), body)


@contextmanager
def producing(bootstrap: str) -> Iterator[Callable[[str, bytes, bytes | None], None]]:
    """Sends (topic, key, value) to the key's own partition; all are acknowledged at the end."""
    producer = KafkaProducer(bootstrap_servers=bootstrap, acks="all")
    counts: dict[str, int] = {}

    def send(topic: str, key: bytes, value: bytes | None) -> None:
        if topic not in counts:
            counts[topic] = len(producer.partitions_for(topic))
        producer.send(topic, key=key, value=value, partition=partition_of(key, counts[topic]))

    try:
        yield send
        producer.flush(timeout=30)
    finally:
        producer.close()


@contextmanager
def ops_hub(stack: Stack, folder: Path, joining: Sequence[str] = ()) -> Iterator[OpsHub]:
    """A hub with agencies ads, entraide, health and region; those in `joining` begin with a snapshot."""
    suffix = secrets.token_hex(3)
    database = f"ops_{suffix}"
    store_url = _new_store(stack, database)
    _copy_schemas(folder / "schemas", suffix)
    _write_agreements(folder / "agreements", suffix, joining)
    (folder / "secret").write_bytes(secrets.token_bytes(32))
    environment = {
        "JISR_BOOTSTRAP": stack.endpoints.bootstrap,
        "JISR_REGISTRY_URL": _registry(stack),
        "JISR_STORE_URL": store_url,
        "JISR_SECRET_FILE": str(folder / "secret"),
        "JISR_SCHEMAS": str(folder / "schemas"),
        "JISR_AGREEMENTS": str(folder / "agreements"),
        "JISR_GROUP": f"ops-{suffix}",
    }
    settings = HubSettings(
        **{name.removeprefix("JISR_").lower(): value for name, value in environment.items()}  # type: ignore[arg-type]
    )
    parts = Parts(settings)
    try:
        _register(parts, _registry(stack))
        wanted = release_topics(parts.catalogue.partitions, parts.agreements.values())
        provision_topics(settings.kafka, wanted)
        with parts.store.begin() as tx:
            # The hub's own topics are every test's: what others published there is none of its store's.
            adopt_key(tx, parts.ids)
        yield OpsHub(parts, environment, suffix, settings.bootstrap)
    finally:
        parts.close()
    stack.drop_database(database)


TEMPLATE = "ops_template"


def _new_store(stack: Stack, database: str) -> str:
    """The URL of an empty store: a copy of one that was migrated once for all hubs on this stack."""
    _make_template(stack)
    stack.copy_database(TEMPLATE, database)
    url = stack.create_database(database)  # it is there: its role is made
    _as_superuser(stack, database, f"REASSIGN OWNED BY {TEMPLATE} TO {database}")
    return url


@cache
def _make_template(stack: Stack) -> None:
    migrate(create_engine(stack.create_database(TEMPLATE), poolclass=NullPool))
    # Not its role's any more: that one hands over all databases that it owns with each copy.
    _as_superuser(stack, TEMPLATE, f"ALTER DATABASE {TEMPLATE} OWNER TO {SUPERUSER}")


def _as_superuser(stack: Stack, database: str, statement: str) -> None:
    with create_engine(stack.superuser_url(database), poolclass=NullPool).begin() as connection:
        connection.exec_driver_sql(statement)


def _copy_schemas(folder: Path, suffix: str) -> None:
    """The release's schemas, with the names of this hub's agencies where a field names who has a say."""
    for path in SCHEMAS.rglob("*.avsc"):
        if path.parent.name == "records" and path.stem not in RECORD_TYPES:
            continue
        copied = folder / path.relative_to(SCHEMAS)
        copied.parent.mkdir(parents=True, exist_ok=True)
        schema = json.loads(path.read_text(encoding="utf-8"))
        for one in schema["fields"]:
            if "authority" in one:
                one["authority"] = [who if who == ANYONE else f"{who}-{suffix}" for who in one["authority"]]
        copied.write_text(json.dumps(schema, ensure_ascii=False), encoding="utf-8")


def _write_agreements(folder: Path, suffix: str, joining: Sequence[str]) -> None:
    person = "[cin, family_name_fr, given_name_fr, birth_date, sex, commune, phone, languages]"
    everything = person.replace("]", ", massar_code, disability, education_level, received_on]")
    grant = "{{fields: {}, purpose: " + PURPOSE + ", legal_basis: {}, create: {}}}"
    public = "public-mission"
    enrolment, consent = "[number, person, status]", "[person, purpose, recipients, status]"
    others = {
        "enrolment": f"[{grant.format(enrolment, public, 'true')}]",
        "consent": f"[{grant.format(consent, public, 'true')}]",
    }
    receives = {
        "ads": {
            "person": f"[{grant.format(person, public, 'true')}, "
            f"{grant.format('[disability]', 'consent', 'false')}]",
            **others,
        },
        "entraide": {"person": f"[{grant.format(everything, public, 'true')}]", **others},
        "health": {"person": f"[{grant.format(everything, public, 'false')}]"},
        "region": {"person": f"[{grant.format(person, public, 'true')}]"},
    }
    folder.mkdir()
    for agency, those in receives.items():
        publishes = {"person": everything, "enrolment": enrolment, "consent": consent}
        lines = [
            f"agency: {agency}-{suffix}",
            "name: {ar: وكالة, fr: Agence, en: Agency}",
            "until: 2099-12-31",
            f"snapshot: {'true' if agency in joining else 'false'}",
            f"echoes: {'filtered' if agency == 'health' else 'none'}",
            "publishes:",
            *(f"  {kind}: {fields}" for kind, fields in publishes.items() if kind in those),
            "receives:",
            *(f"  {kind}: {grants}" for kind, grants in those.items()),
        ]
        (folder / f"{agency}.yaml").write_text("\n".join(lines) + "\n", encoding="utf-8")


REGISTRY_TOKEN = "a token of the tests, which nobody else knows"


def _register(parts: Parts, url: str) -> None:
    client = RegistryClient(url, token=REGISTRY_TOKEN)
    for subject, schema in event_subjects(parts.catalogue, parts.events, parts.agreements).items():
        client.register(subject, schema)
    client.close()


@cache
def _registry(stack: Stack) -> str:
    """The URL of a registry for all hubs on this stack, whose agencies have names of their own; it ends with
    the stack."""
    token = stack.folder.home / "ops-registry-token"
    token.write_text(REGISTRY_TOKEN)
    port = stack.port("ops-registry")
    url = f"http://{LOOPBACK}:{port}"
    environment = {
        **_plain_environment(),
        "JISR_REGISTRY_DATABASE": stack.create_database("ops_registry"),
        "JISR_REGISTRY_TOKEN_FILE": str(token),
    }
    command = [*JISR, "registry", "serve", "--host", LOOPBACK, "--port", str(port)]
    ready = partial(services.answers, f"{url}/readyz")
    stack.run([ProcessSpec("ops-registry", command, environment, ready, after=["postgres"])])
    return url


@contextmanager
def running(
    arguments: Sequence[str], environment: Mapping[str, str], folder: Path
) -> Iterator[subprocess.Popen[bytes]]:
    """`jisr` with these arguments, in `folder`, until the end."""
    process = subprocess.Popen([*JISR, *arguments], env={**_plain_environment(), **environment}, cwd=folder)
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def wait_until(
    condition: Callable[[], object], process: subprocess.Popen[bytes] | None = None, within_s: float = 60
) -> None:
    """Return when it holds; fails when the process ends first, or after a time that only a fault takes."""
    deadline = time.monotonic() + within_s
    while time.monotonic() < deadline:
        assert process is None or process.poll() is None, "the process that was waited for has ended"
        try:
            if condition():
                return
        except httpx.TransportError:
            pass
        time.sleep(0.1)
    raise AssertionError("it did not come to be so")


def _plain_environment() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if not name.startswith("JISR_")}
