"""An agency about to join, with its own database: planned, and then joined for real, to be compared."""

from __future__ import annotations

import itertools
import sqlite3
import time
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import psycopg
from ops_hub import OpsHub

from connectors.compose import agreed, converters_of, creates, database, dry_run
from connectors.messages import Reader, Writer
from connectors.sdk import Arrivals
from connectors.sql.sink import SqlSink
from connectors.sql.source import SqlSource
from hub.contracts import topics
from hub.core.brakes import Limits
from hub.core.settle import Delivery
from hub.lanes.converged import Converged
from hub.lanes.corrections import CorrectingIntake
from hub.lanes.intake_lane import dead_row
from hub.lanes.joins import JoinBrakes
from hub.lanes.reading import DeadLetter, Message, Read
from hub.local.join_plan import JoinPlanner, Wish
from hub.ops.join_counts import JoinCounts
from hub.ops.parts import today
from hub.ops.veil import Veil
from hub.store.transaction import Transaction

TABLES = """
CREATE TABLE person (
    id varchar(250) PRIMARY KEY, cin text, nom text, prenom text, naissance text, sexe text, commune text,
    tel text, langues text, massar text, maj MOMENT);
CREATE TABLE accord (id varchar(20) PRIMARY KEY, qui varchar(250), objet text, pour text, etat text);
CREATE TABLE inscription (id varchar(20) PRIMARY KEY, numero text, qui varchar(250), statut text);
"""
MAPPING = """
agency: AGENCY
records:
  enrolment:
    tables:
      - table: inscription
        key: id
        fields: {number: numero, person: qui, status: {column: statut, codes: {P: planned, A: active}}}
  person:
    tables:
      - table: person
        key: id
        modified_at: maj
        fields:
          cin: cin
          family_name_fr: nom
          given_name_fr: prenom
          birth_date: naissance
          sex: {column: sexe, codes: {M: male, F: female}}
          commune: commune
          phone: tel
          languages: {column: langues, separator: ","}
          massar_code: massar
  consent:
    tables:
      - table: accord
        key: id
        fields:
          person: qui
          purpose: {column: objet, codes: {I: social-integration}}
          recipients: {column: pour, separator: ","}
          status: {column: etat, codes: {D: given, R: withdrawn}}
"""
MOMENTS = {"postgresql": "timestamptz", "sqlite": "text"}


class JoiningAgency:
    """The database, its mapping file, and both sides of its connector, driven by hand."""

    def __init__(self, hub: OpsHub, kind: str, url: str, folder: Path, agency: str = "entraide") -> None:
        self.hub, self.kind, self.url = hub, kind, url
        self.name = hub.name(agency)
        self.file = folder / f"{agency}.yaml"
        self.file.write_text(MAPPING.replace("AGENCY", self.name), encoding="utf-8")
        self.people = self.session()
        for statement in filter(str.strip, TABLES.replace("MOMENT", MOMENTS[kind]).split(";")):
            self.people.execute(statement)
        self.dead: list[DeadLetter] = []
        self.told: list[Delivery] = []

    def close(self) -> None:
        self.people.close()

    def session(self) -> Any:
        if self.kind == "sqlite":
            return sqlite3.connect(self.url.partition(":///")[2], isolation_level=None, timeout=5)
        return psycopg.connect("postgresql://" + self.url.partition("://")[2], autocommit=True)

    def add(self, table: str, **columns: Any) -> None:
        mark = "?" if self.kind == "sqlite" else "%s"
        marks = ", ".join(mark for _ in columns)
        statement = f"INSERT INTO {table} ({', '.join(columns)}) VALUES ({marks})"
        self.people.execute(statement, tuple(columns.values()))

    def rows(self, table: str) -> dict[str, dict[str, Any]]:
        cursor = self.people.execute(f"SELECT * FROM {table} ORDER BY id")
        names = [one[0] for one in cursor.description]
        return {row[0]: dict(zip(names, row, strict=True)) for row in cursor.fetchall()}

    def objects(self) -> list[Any]:
        """Everything that there is in the database's schema, triggers included."""
        if self.kind == "sqlite":
            return self.people.execute("SELECT type, name, sql FROM sqlite_master ORDER BY 1, 2").fetchall()
        catalogue = """
            SELECT 'table', relname::text, relkind::text FROM pg_class
                   WHERE relnamespace = 'public'::regnamespace
            UNION ALL SELECT 'trigger', tgname::text, tgtype::text FROM pg_trigger
            UNION ALL SELECT 'function', proname::text, '' FROM pg_proc
                      WHERE pronamespace = 'public'::regnamespace
            ORDER BY 1, 2"""
        return self.people.execute(catalogue).fetchall()

    # Beforehand

    def plan(self, wish: Wish | None = None, *, reveal: bool = False) -> JoinCounts:
        parts = self.hub.parts
        dry = dry_run(self.file, parts.settings.schemas, parts.settings.agreements, self.url)
        with closing(dry):
            dry.connect()
            planner = JoinPlanner(parts, dry, wish or Wish(rows_per_s=1e9), Veil(reveal=reveal))
            return planner.plan()

    # Really

    def join(self, limits: Limits) -> None:
        """Send the snapshot, let the agency in, and apply what it is told: with capture, as in production."""
        source = self._source()
        self._send(source, limits)
        with self.hub.parts.store.begin() as tx:
            tx.connection.exec_driver_sql(
                "INSERT INTO setting (name, value) VALUES (%s, 'snapshot') ON CONFLICT DO NOTHING",
                (f"joined:{self.name}",),
            )
            for kind in ("person", "consent", "enrolment"):
                tx.connection.exec_driver_sql(
                    "INSERT INTO due (entity, day) SELECT id, 0 FROM entity WHERE record_type = %s", (kind,)
                )
        while True:
            done = self.hub.parts.intake.settle_due(1_000, self._note)
            if not done.due_taken:
                break

    def apply(self) -> None:
        """Let the sink write what the agency was told."""
        parts = self.hub.parts
        mapping, agreement = agreed(self.file, parts.settings.agreements, parts.catalogue)
        sink = SqlSink(
            database(self.url),
            mapping,
            converters_of(mapping, parts.catalogue),
            parts.catalogue.dependency_order(),
            creates(agreement),
        )
        sink.connect()
        encoder, reader, offsets = parts.encoder(), Reader(parts.registry), itertools.count()
        for kind in parts.catalogue.dependency_order():
            place = (topics.inbox(self.name, kind), 0)
            mine = [one for one in self.told if one.agency == self.name and one.record_type == kind]
            found = [reader.delivery(place, encoder.projection(one).value or b"", 0) for one in mine]
            if found:
                sink.apply(Arrivals(found, {place: next(offsets) + 1}))
        sink.close()

    def _source(self) -> SqlSource:
        parts = self.hub.parts
        mapping, agreement = agreed(self.file, parts.settings.agreements, parts.catalogue)
        converters = converters_of(mapping, parts.catalogue)
        return SqlSource(database(self.url), mapping, converters, agreement.publishes)

    def _send(self, source: SqlSource, limits: Limits) -> None:
        parts = self.hub.parts
        writer = Writer(self.name, b"the agency's key", parts.catalogue, parts.events, parts.registry)
        worker = CorrectingIntake(
            parts.catalogue,
            parts.types,
            parts.terms,
            parts.ids,
            parts.store.begin,
            today,
            joining=parts.joining.agencies,
            brakes=JoinBrakes(limits),
        )
        source.connect()
        numbers = itertools.count()
        while (batch := source.read(500)) is not None:
            said = [writer.change(change) for change in batch.changes]
            messages = [
                Message(one.topic, 0, next(numbers), time.time_ns() // 1_000_000, one.key, one.value)
                for one in said
            ]
            read = parts.reading.read(messages)
            worker.converge(Read(read.changes, read.dead), [], self._note)
            source.acknowledge(batch)
        source.close()

    def _note(self, tx: Transaction, done: Converged) -> None:
        tx.save_dead_letters([dead_row(one) for one in done.dead])
        self.dead += done.dead
        self.told += [one for settled in done.settled for one in settled.deliveries]


def inbox(told: Sequence[Delivery], agency: str) -> dict[bytes, Delivery]:
    """What an agency holds, by entity: what it was told last."""
    latest: dict[bytes, Delivery] = {}
    for one in told:
        if one.agency == agency and (one.entity not in latest or latest[one.entity].version <= one.version):
            latest[one.entity] = one
    return latest


def values_changed(
    before: dict[bytes, Delivery], after: dict[bytes, Delivery]
) -> Iterator[tuple[bytes, tuple[str, str]]]:
    """(entity, (field, what became of it)) for what an agency held before and holds still."""
    for entity, was in before.items():
        now = after.get(entity, was)
        if now.content.merged_into is not None:
            now = after[now.content.merged_into]
        for name in {*was.content.fields, *now.content.fields}:
            x, y = was.content.values.get(name), now.content.values.get(name)
            if x != y:
                yield entity, (name, "filled" if x is None else "emptied" if y is None else "replaced")
