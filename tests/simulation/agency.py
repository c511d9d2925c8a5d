"""An agency's database: SQLite in memory under the production dialect, with a simulated clock.

One handle serves the connector's sides and the people: SQLite knows one writer at a time, and here whoever
comes while a transaction is open waits for its end. A death rolls back what was open.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple
from unittest import mock
from weakref import WeakMethod

from sqlalchemy import URL, Integer, Table, event
from sqlalchemy import Column as CoreColumn

from connectors.sql import sqlite as production
from connectors.sql import sqlite_capture, store
from connectors.sql.core_database import CoreDatabase
from connectors.sql.database import Column, Locked
from connectors.sql.local_values import Image, Local
from connectors.sql.mapping import Mapping as AgencyMapping
from connectors.sql.mapping import TableMap
from connectors.sql.sqlite import SQLite
from hub.errors import Retriable
from simulation.forms import FORMS
from simulation.schedule import Schedule

HERE = Path(__file__).parent
# Of how many transactions one finds the database locked by a program of the agency.
ONE_IS_LOCKED_IN = 80

SCHEMAS = {
    "entraide": """
        CREATE TABLE personne (
            id INTEGER PRIMARY KEY, cin text, nom text, prenom text, ne_le date, sexe text, tel text,
            niveau text, handicap text, langues text, recu date, maj text);
        CREATE TABLE inscription (
            id INTEGER PRIMARY KEY, numero text, personne integer, statut text, modules text);
        CREATE TABLE accord (
            id INTEGER PRIMARY KEY, personne integer, finalite text, pour text, statut text, le date);
    """,
    "ads": """
        CREATE TABLE beneficiaire (
            id INTEGER PRIMARY KEY, cin text, noms text, naissance text, genre text, handicap text,
            langues text, accueil date);
        CREATE TABLE contact (
            id INTEGER PRIMARY KEY, qui integer UNIQUE REFERENCES beneficiaire ON DELETE CASCADE,
            gsm text, etudes text);
        CREATE TABLE parcours (
            id INTEGER PRIMARY KEY, reference text, qui integer, etat text, modules text);
        CREATE TABLE consentement (
            id INTEGER PRIMARY KEY, qui integer, objet text, qui_sait text, etat text, depuis date);
    """,
    "health": """
        CREATE TABLE patient (
            id INTEGER PRIMARY KEY, cin text, nom text, prenom text, ne_le date, sexe text, handicap text);
    """,
}


# What no reader may do: go back to a version that is lower than one it has applied (R18).
_WENT_BACK = """
    CREATE TABLE went_back (record text, entity text, before integer, after integer);
    CREATE TRIGGER went_back AFTER UPDATE ON jisr_entity WHEN NEW.version < OLD.version BEGIN
        INSERT INTO went_back VALUES (NEW.record, NEW.entity, OLD.version, NEW.version); END;
"""


class Handle(sqlite3.Connection):
    """A connection that stays when it is closed: the database is in it."""

    def close(self) -> None:
        pass


class HubWrote(NamedTuple):
    """The hub's statement changed a field of a row."""

    at_ms: int
    record_type: str
    local_id: str
    field: str
    before: Any
    after: Any


class Copy(NamedTuple):
    """A database as it was; `hub_wrote`: how much the hub had written into it by then."""

    image: bytes
    hub_wrote: int


class AgencyDatabase:
    """One agency's database and its clock, `skew_ms` ahead of the true time."""

    def __init__(self, schedule: Schedule, agency: str, skew_ms: int = 0, image: bytes | None = None) -> None:
        """`image`: what `make_template` made."""
        self.schedule = schedule
        self.agency = agency
        self.skew_ms = skew_ms
        self.writer: object | None = None
        self.claims: dict[str, object] = {}
        # How often somebody wrote: who saw nothing new need not look before.
        self.writes = 0
        # What the hub's statements did to people's rows: (when, record type, local id, field, before, after).
        self.hub_wrote: list[HubWrote] = []
        # Which of these a restore has undone: (from, to, when), by their places in the list.
        self._undone: list[tuple[int, int, int]] = []
        # What a reader did that went back to a lower version, before a restore.
        self.went_back: list[tuple[Any, ...]] = []
        # Asked of each of these at once: whether the hub could know what it wrote over.
        self.watch: Callable[[HubWrote], None] = lambda _: None
        self.handle = sqlite3.connect(
            ":memory:", factory=Handle, isolation_level=None, check_same_thread=False
        )
        # The collector does not see what SQLite holds: by this alone every region of a run would be kept.
        clock_ms = WeakMethod(self.clock_ms)
        self.handle.create_function("jisr_now_ms", 0, lambda: clock_ms()())  # type: ignore[misc]
        if image is not None:
            self.handle.deserialize(image)

    def clock_ms(self) -> int:
        return self.schedule.now_ms + self.skew_ms

    def await_writer(self, who: object) -> None:
        """Wait while somebody else has a transaction open."""
        if self.writer is not None and self.writer is not who:
            self.schedule.wait(lambda: self.writer is None)

    def hub_wrote_until(self, at_ms: int) -> list[HubWrote]:
        """What the hub had written by then, and no restore had undone."""
        undone = {number for a, b, when in self._undone if when <= at_ms for number in range(a, b)}
        return [
            one for number, one in enumerate(self.hub_wrote) if one.at_ms <= at_ms and number not in undone
        ]

    def copy(self) -> Copy:
        """All of it, between two transactions."""
        return Copy(self.handle.serialize(), len(self.hub_wrote))

    def put_back(self, copy: Copy) -> None:
        """Everything in it is as it was, between two transactions."""
        self.went_back += self.handle.execute("SELECT * FROM went_back").fetchall()
        self._undone.append((copy.hub_wrote, len(self.hub_wrote), self.schedule.now_ms))
        backup = sqlite3.connect(":memory:")
        backup.deserialize(copy.image)
        backup.backup(self.handle)
        backup.close()
        self.handle.execute("DELETE FROM went_back")
        self.writes += 1

    @contextmanager
    def people(self) -> Iterator[sqlite3.Connection]:
        """A transaction of the agency's own program."""
        self.await_writer(None)
        self.handle.execute("BEGIN IMMEDIATE")
        yield self.handle
        self.handle.execute("COMMIT")
        self.writes += 1


class SimulatedSQLite(SQLite):
    """The production dialect on an `AgencyDatabase`, which `database` gives: it is another in each run.

    What SQLAlchemy and the dialect learn of the tables is kept from run to run: they are always the same.
    """

    def __init__(self, *, prepared: bool = True) -> None:
        """`prepared`: the bookkeeping is there already."""
        CoreDatabase.__init__(self, URL.create("sqlite"), creator=self._handle)
        event.listen(self._engine, "connect", production._configure)
        self._path = Path(":memory:")
        self.database: AgencyDatabase | None = None
        self._claims: dict[str, Any] = {}
        self._rows: dict[int, Any] = {}
        self._columns: dict[str, Mapping[str, Column]] = {}
        self._prepared = prepared

    def _handle(self) -> sqlite3.Connection:
        assert self.database is not None
        return self.database.handle

    def connect(self) -> None:
        self.close()
        CoreDatabase.connect(self)
        if not self.tables:
            self.describe()
            self._origin = Table("jisr_origin", self.metadata, CoreColumn("hub", Integer, nullable=False))

    def claim(self, side: str) -> None:
        assert self.database is not None
        if self.database.claims.get(side) not in (None, self):
            raise Retriable(f"another connector's {side} is at work; only one may be")
        self.database.claims[side] = self
        self._claims[side] = None

    def release(self, side: str) -> None:
        assert self.database is not None
        self._claims.pop(side)
        self.database.claims.pop(side, None)

    @contextmanager
    def transaction(self, *, by_hub: bool = False) -> Iterator[None]:
        with self._as_writer():
            if self.database.schedule.chance(ONE_IS_LOCKED_IN):
                raise Locked("a program of the agency holds a lock: simulated")
            with super().transaction(by_hub=by_hub):
                yield
            self.database.writes += 1

    @contextmanager
    def one_moment(self) -> Iterator[None]:
        with self._as_writer(), super().one_moment():
            yield

    @contextmanager
    def _as_writer(self) -> Iterator[None]:
        assert self.database is not None
        self.database.schedule.pause()
        self.database.await_writer(self)
        self.database.writer = self
        try:
            yield
        finally:
            self.database.writer = None

    @contextmanager
    def at_work(self) -> Iterator[Any]:
        assert self.database is not None
        self.database.await_writer(self)
        with super().at_work() as db:
            yield db

    def update_rows(
        self, table: TableMap, rows: Sequence[tuple[str, Mapping[str, Local]]]
    ) -> list[Image | None]:
        with self._watched(table, [key for key, _ in rows]):
            return super().update_rows(table, rows)

    def delete_rows(self, table: TableMap, keys: Sequence[str]) -> None:
        with self._watched(table, keys):
            super().delete_rows(table, keys)

    @contextmanager
    def _watched(self, table: TableMap, keys: Sequence[str]) -> Iterator[None]:
        database = self.database
        assert database is not None
        found = [(k, f) for k, f in FORMS[database.agency].items() if table.table in (f.table, f.second)]
        before = {(kind, key): form.read(database.handle, key) or {} for kind, form in found for key in keys}
        yield
        for (kind, key), row in before.items():
            now = FORMS[database.agency][kind].read(database.handle, key) or {}
            for name in row:
                if row[name] != now.get(name):
                    wrote = HubWrote(database.schedule.now_ms, kind, key, name, row[name], now.get(name))
                    database.watch(wrote)
                    database.hub_wrote.append(wrote)

    def clock_ms(self) -> int:
        assert self.database is not None
        return self.database.clock_ms()

    def columns(self, table: str) -> Mapping[str, Column]:
        if table not in self._columns:
            self._columns[table] = super().columns(table)
        return self._columns[table]

    def create_bookkeeping(self) -> None:
        """Only where the tables are made: each run begins with a copy of them."""
        if not self._prepared:
            super().create_bookkeeping()
            self._prepared = True


class AtRest(SimulatedSQLite):
    """For the judge: everybody has gone."""

    @contextmanager
    def _as_writer(self) -> Iterator[None]:
        yield


class _Alone:
    """A schedule with nobody else in it."""

    now_ms = 0

    def pause(self) -> None:
        pass

    def chance(self, _: int) -> bool:
        return False


def make_template(mapping: AgencyMapping) -> bytes:
    """An empty database of an agency, with bookkeeping and triggers, as bytes."""
    db = SimulatedSQLite(prepared=False)
    db.database = AgencyDatabase(_Alone(), mapping.agency)  # type: ignore[arg-type]
    db.database.handle.executescript(SCHEMAS[mapping.agency])
    db.connect()
    store.prepare(db, mapping.agency)
    db.database.handle.executescript(_WENT_BACK)
    with mock.patch.object(sqlite_capture, "NOW_MS", "jisr_now_ms()"):
        for record in mapping.records.values():
            db.install_capture(record)
    return db.database.handle.serialize()


def ask(database: AgencyDatabase, sql: str, values: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
    """What the agency's people see; right only between transactions."""
    return database.handle.execute(sql, values).fetchall()
