"""Create an agency's tables, and fill them with its copies of a population."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from importlib import resources
from typing import Any, Literal, Protocol

from psycopg import sql
from sqlalchemy import create_engine
from sqlalchemy.engine import make_url
from sqlalchemy.pool import NullPool

from hub.errors import ConfigurationError
from hub.local.demo.agencies import (
    ads,
    ads_directory,
    ads_followup,
    entraide,
    entraide_directory,
    entraide_followup,
    health,
    region_laayoune,
    youth,
)
from hub.local.demo.agencies.tables import Table
from hub.local.demo.copies import Copy, Population

Kind = Literal["postgresql", "sqlite"]
# Agency → (kind of database, tables so that each comes after those that it refers to).
AGENCY_DATABASES: Mapping[str, tuple[Kind, tuple[Table, ...]]] = {
    "entraide": (
        "postgresql",
        (*entraide.TABLES, *entraide_directory.TABLES, *entraide_followup.TABLES),
    ),
    "ads": ("postgresql", (*ads.TABLES, *ads_directory.TABLES, *ads_followup.TABLES)),
    "region-laayoune": ("sqlite", region_laayoune.TABLES),
    "health": ("postgresql", health.TABLES),
}
# Those that join while the others are at work.
LATER_DATABASES: Mapping[str, tuple[Kind, tuple[Table, ...]]] = {"youth": ("postgresql", youth.TABLES)}
ALL_DATABASES = {**AGENCY_DATABASES, **LATER_DATABASES}

# Called after each commit with (rows written so far, rows in all); a row of two tables counts once.
Progress = Callable[[int, int], None]
# Primary keys as the database gives them, by logical number.
Keys = dict[int, Any]


def create(url: str, agency: str) -> None:
    """Create the tables of `agency` in the database at `url` where they do not exist yet.

    `url` is SQLAlchemy's. Blocks. Raises `ConfigurationError` if the agency is unknown, or its
    tables are for another kind of database.
    """
    with _connected(url, agency) as database:
        source = resources.files(__package__) / f"{agency}.sql"
        database.run_script(source.read_text(encoding="utf-8"))


def load(
    url: str,
    agency: str,
    population: Population,
    *,
    batch: int = 100,
    progress: Progress | None = None,
    rate: float | None = None,
) -> dict[int, str]:
    """Insert the agency's copies, `batch` rows a commit; return logical person number → local id.

    The agency may be at work meanwhile, and so may a connector: keys come from the same sequences as
    everybody's. A second call inserts everything again under new keys. `rate` is the number of rows
    a second not to be exceeded. Blocks; raises as `create` does, and the driver's errors: what was
    committed before stays.
    """
    copies = population.copies[agency]
    pace = _Pace(sum(map(len, copies.values())), progress, rate)
    keys: dict[str, Keys] = {}
    with _connected(url, agency) as database:
        for table in ALL_DATABASES[agency][1]:
            keys[table.record_type] = {}
            for rows in _batches(copies[table.record_type], batch):
                keys[table.record_type] |= _insert(database, table, rows, keys)
                database.commit()
                pace.done(len(rows))
    return {number: str(key) for number, key in keys["person"].items()}


class _Database(Protocol):
    def run_script(self, script: str) -> None: ...
    def new_keys(self, table: Table, count: int) -> list[Any]: ...
    def insert(self, name: str, columns: Sequence[str], rows: list[tuple[Any, ...]]) -> None: ...
    def timestamp(self, moment: datetime) -> object: ...
    def commit(self) -> None: ...


class _PostgreSQL:
    def __init__(self, connection: Any) -> None:
        self._connection = connection

    def run_script(self, script: str) -> None:
        self._connection.execute(script)
        self._connection.commit()

    def new_keys(self, table: Table, count: int) -> list[Any]:
        query = f"SELECT {table.new_key} FROM generate_series(1, %s)"  # noqa: S608 — our own text
        return [key for (key,) in self._connection.execute(query, (count,))]

    def insert(self, name: str, columns: Sequence[str], rows: list[tuple[Any, ...]]) -> None:
        statement = sql.SQL("COPY {} ({}) FROM STDIN").format(
            sql.Identifier(name), sql.SQL(", ").join(map(sql.Identifier, columns))
        )
        with self._connection.cursor() as cursor, cursor.copy(statement) as copy:
            for row in rows:
                copy.write_row(row)

    def timestamp(self, moment: datetime) -> object:
        return moment

    def commit(self) -> None:
        self._connection.commit()


class _SQLite:
    def __init__(self, connection: Any) -> None:
        self._connection = connection
        connection.execute("PRAGMA foreign_keys = ON")

    def run_script(self, script: str) -> None:
        self._connection.executescript(script)

    def new_keys(self, table: Table, count: int) -> list[Any]:
        # The write lock first: else another writer could take the same numbers meanwhile.
        self._connection.execute("BEGIN IMMEDIATE")
        query = f'SELECT coalesce(max("{table.key}"), 0) FROM "{table.name}"'  # noqa: S608
        (highest,) = self._connection.execute(query).fetchone()
        return list(range(highest + 1, highest + 1 + count))

    def insert(self, name: str, columns: Sequence[str], rows: list[tuple[Any, ...]]) -> None:
        names = ", ".join(f'"{column}"' for column in columns)
        places = ", ".join("?" * len(columns))
        statement = f'INSERT INTO "{name}" ({names}) VALUES ({places})'  # noqa: S608
        self._connection.executemany(statement, rows)

    def timestamp(self, moment: datetime) -> object:
        return moment.strftime("%Y-%m-%dT%H:%M:%S.000Z")

    def commit(self) -> None:
        self._connection.commit()


@contextmanager
def _connected(url: str, agency: str) -> Iterator[_Database]:
    if agency not in ALL_DATABASES:
        known = ", ".join(ALL_DATABASES)
        raise ConfigurationError(f"no demonstration database for agency {agency!r}: use {known}")
    expected = ALL_DATABASES[agency][0]
    given = make_url(url).get_backend_name()
    if given != expected:
        raise ConfigurationError(f"the tables of {agency} are for {expected}, the URL is {given}'s")
    engine = create_engine(url, poolclass=NullPool)
    connection = engine.raw_connection()
    try:
        driver = connection.driver_connection
        yield _PostgreSQL(driver) if given == "postgresql" else _SQLite(driver)
    finally:
        connection.close()


def _insert(database: _Database, table: Table, copies: Sequence[Copy], known: Mapping[str, Keys]) -> Keys:
    """Insert one row a copy, in the main table and each part; return their keys."""
    keys = database.new_keys(table, len(copies))
    references = list(table.references.items())
    stamped = [table.modified_at] if table.modified_at else []
    names = [table.key, *(column.name for column in table.columns)]
    rows = [
        (
            key,
            *(column.encode(copy.values) for column in table.columns),
            *(_key_of(table, field, copy, known) for field, _ in references),
            *(database.timestamp(copy.modified_at) for _ in stamped),
        )
        for key, copy in zip(keys, copies, strict=True)
    ]
    database.insert(table.name, [*names, *(column for _, column in references), *stamped], rows)
    for part in table.parts:
        part_rows = [
            (key, *(column.encode(copy.values) for column in part.columns))
            for key, copy in zip(keys, copies, strict=True)
        ]
        database.insert(part.name, [part.key, *(column.name for column in part.columns)], part_rows)
    return {copy.number: key for copy, key in zip(copies, keys, strict=True)}


def _key_of(table: Table, field: str, copy: Copy, known: Mapping[str, Keys]) -> Any:
    """The agency's key of what a copy refers to; None if it refers to nothing there."""
    number = copy.references.get(field)
    return None if number is None else known[table.targets.get(field, field)][number]


def _batches(copies: Sequence[Copy], size: int) -> Iterator[Sequence[Copy]]:
    for start in range(0, len(copies), size):
        yield copies[start : start + size]


class _Pace:
    """Counts rows, tells of them, and sleeps so that they do not come faster than `rate`."""

    def __init__(self, total: int, progress: Progress | None, rate: float | None) -> None:
        self._total, self._progress, self._rate = total, progress, rate
        self._written = 0
        self._started = time.monotonic()

    def done(self, rows: int) -> None:
        self._written += rows
        if self._progress is not None:
            self._progress(self._written, self._total)
        if self._rate:
            due = self._started + self._written / self._rate
            time.sleep(max(0.0, due - time.monotonic()))
