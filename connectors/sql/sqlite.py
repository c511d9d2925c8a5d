"""The SQLite dialect, on SQLAlchemy. One writer at a time: a write transaction is the lock."""

from __future__ import annotations

import ctypes
import fcntl
import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import IO, Any, ClassVar

from sqlalchemy import URL, Connection, Integer, Table, Text, event, inspect, select, text, types
from sqlalchemy import Column as CoreColumn
from sqlalchemy.dialects.sqlite import insert
from sqlalchemy.exc import DBAPIError, InvalidRequestError, NoSuchTableError

from connectors.sql import sqlite_capture as capture
from connectors.sql import sqlite_errors
from connectors.sql.core_database import CoreDatabase
from connectors.sql.database import Column, NewRow, Refusal, alike, trigger_sets
from connectors.sql.local_values import Image, Local, as_text
from connectors.sql.mapping import RecordMap, TableMap
from connectors.sql.sqlite_capture import quoted
from connectors.sql.sqlite_files import OpenFiles
from connectors.sql.sqlite_rows import RowStatements
from connectors.sql.sqlite_values import RESULTS, Json, image_of, kind_of, lenient_text, milliseconds
from hub.errors import JisrError, Retriable

# People at work come first: give way after this long, and try again (R28).
BUSY_TIMEOUT_S = 0.25

# SQLAlchemy does not tell INT from INTEGER, and only an INTEGER PRIMARY KEY is the row's own number.
_KEYS = text("SELECT name, upper(type) FROM pragma_table_info(:name) WHERE pk > 0")
_TRIGGERS = "SELECT name, sql FROM sqlite_master WHERE type = 'trigger'"
_LOOK = text("SELECT count(*) FROM sqlite_master")


class SQLite(CoreDatabase):
    """A database file. The agency's journal mode is left as it is.

    With `read_only` SQLite refuses whatever would write. The file is opened as ever: a connection that could
    not write at all would leave the files of a WAL behind when it is the last one.
    """

    dialect = "sqlite"
    tells_transactions = False
    kinds: ClassVar = {
        "text": Text(),
        "bigint": Integer(),
        "int": Integer(),
        "bool": Integer(),
        "json": Json(),
    }
    in_list = r"IN (SELECT value FROM json_each(:\1))"
    list_type = Json()
    results = RESULTS
    _files: OpenFiles | None = None

    def __init__(self, path: Path, *, read_only: bool = False) -> None:
        super().__init__(
            URL.create("sqlite", database=str(path)),
            connect_args={"timeout": BUSY_TIMEOUT_S, "check_same_thread": False},
        )
        event.listen(self._engine, "connect", _configure)
        if read_only:
            event.listen(self._engine, "connect", _refuse_writes)
        self._path = path
        self._claims: dict[str, IO[str]] = {}
        self._rows: dict[int, RowStatements] = {}

    def connect(self) -> None:
        self.close()
        files = OpenFiles.at(self._path)
        super().connect()
        # SQLite opens the log with the first read.
        self.fetch(_LOOK)
        files.check()
        self._files = files
        self._rows.clear()
        self.describe()
        # One row, which silences capture for the hub's own statements.
        self._origin = Table("jisr_origin", self.metadata, CoreColumn("hub", Integer, nullable=False))

    def meaning(self, error: DBAPIError) -> JisrError:
        return sqlite_errors.meaning(error, self._path)

    @property
    def _db(self) -> Connection:
        if self._files is not None:
            self._files.check()
        return super()._db

    def close(self) -> None:
        if self._files is not None and self._files.is_log_lost():
            # Never closed, also by nobody who clears up: it would write over what was restored.
            ctypes.pythonapi.Py_IncRef(ctypes.py_object(self._connection))
            self._connection = None
        self._files = None
        super().close()
        while self._claims:
            self.release(next(iter(self._claims)))

    def claim(self, side: str) -> None:
        # A lock on a file of its own: closing any handle of the database would drop SQLite's own locks.
        file = self._path.with_name(f"{self._path.name}.jisr-{side}")
        try:
            lock = file.open("w")
        except OSError as error:
            raise Retriable(f"{file} cannot be made: {error.strerror}") from error
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            lock.close()
            message = f"another connector's {side} is at work on {self._path}; only one may be"
            raise Retriable(message) from error
        self._claims[side] = lock

    def release(self, side: str) -> None:
        self._claims.pop(side).close()

    def begin(self, *, by_hub: bool) -> None:
        self.script("BEGIN IMMEDIATE")
        if by_hub:
            # Seen by nobody else: it is set back before the transaction ends.
            self.script("UPDATE jisr_origin SET hub = 1")

    def begin_reading(self) -> None:
        # Deferred: the first read fixes the moment, and no writer waits where the journal is a WAL.
        self.script("BEGIN")

    def before_commit(self, *, by_hub: bool) -> None:
        if by_hub:
            self.script("UPDATE jisr_origin SET hub = 0")

    def quoted_table(self, table: Table) -> str:
        return quoted(table.name)

    def insert(self, table: Table) -> Any:
        return insert(table)

    def clock_ms(self) -> int:
        return time.time_ns() // 1_000_000

    def columns(self, table: str) -> Mapping[str, Column]:
        with self.at_work() as db:
            try:
                found = inspect(db).get_columns(table)
            except NoSuchTableError:
                return {}
        numbers = self._number(table)
        described = {}
        for column in found:
            name, type_ = column["name"], column["type"]
            number = name == numbers
            described[name] = Column(
                name,
                "TEXT" if isinstance(type_, types.NullType) else str(type_),
                kind_of(type_),
                nullable=column["nullable"] and not number,
                has_default=column["default"] is not None or number,
                generated="computed" in column,
                # SQLite does not hold to a declared length, but the agency's program expects it.
                max_length=type_.length if isinstance(type_, types.String) else None,
            )
        return described

    def forget_columns(self) -> None:
        """Nothing is kept."""

    def is_view(self, table: str) -> bool:
        with self.at_work() as db:
            return table in inspect(db).get_view_names()

    def unique(self, table: str, column: str) -> bool:
        with self.at_work() as db:
            inspector = inspect(db)
            if not inspector.has_table(table):
                return False
            if inspector.get_pk_constraint(table)["constrained_columns"] == [column]:
                return True
            indexes = inspector.get_indexes(table, include_auto_indexes=True)
        return any(
            index["unique"]
            and index["column_names"] == [column]
            and "sqlite_where" not in index.get("dialect_options", {})
            for index in indexes
        )

    def may_capture(self, table: str) -> bool:  # noqa: ARG002 — who may write the file may write all of it
        return self.query("PRAGMA query_only") == [(0,)]

    def _number(self, table: str) -> str | None:
        """The column that is the row's own number, which SQLite makes."""
        keys = self.fetch(_KEYS, {"name": table})
        return str(keys[0][0]) if len(keys) == 1 and keys[0][1] == "INTEGER" else None

    def _of(self, table: TableMap) -> RowStatements:
        """By identity: a `TableMap` cannot be hashed; the statements keep it alive."""
        made = self._rows.get(id(table))
        if made is None:
            numbered = self._number(table.table) == table.key
            columns = list(self.columns(table.table))
            made = self._rows[id(table)] = RowStatements(table, columns, numbered=numbered)
        return made

    def _select(self, table: TableMap, keys: Sequence[str]) -> list[tuple[Any, ...]]:
        return self.fetch(self._of(table).by_keys(), {"keys": list(keys)})

    def lock_rows(
        self,
        table: TableMap,
        keys: Sequence[str],
        *,
        whole: bool,  # noqa: ARG002 — the transaction has locked the whole file
    ) -> tuple[dict[str, Image], set[str]]:
        return self.part_rows(table, keys), set()

    def part_rows(self, table: TableMap, keys: Sequence[str]) -> dict[str, Image]:
        return {row[0]: image_of(table, row[2:]) for row in self._select(table, keys)}

    def rows(self, table: TableMap, keys: Sequence[str]) -> dict[str, tuple[Image, int | None]]:
        return {row[0]: (image_of(table, row[2:]), milliseconds(row[1])) for row in self._select(table, keys)}

    def present(self, table: TableMap, keys: Sequence[str]) -> set[str]:
        return {key for (key,) in self.fetch(self._of(table).present(), {"keys": list(keys)})}

    def referring(self, table: TableMap, column: str, keys: Sequence[str]) -> set[str]:
        return {key for (key,) in self.fetch(self._of(table).referring(column), {"keys": list(keys)})}

    def page(self, table: TableMap, after: str | None, limit: int) -> list[tuple[str, Image, int | None]]:
        statement = self._of(table).page(first=after is None)
        found = self.fetch(statement, {"limit": limit} | ({} if after is None else {"after": after}))
        return [(row[0], image_of(table, row[2:]), milliseconds(row[1])) for row in found]

    def insert_rows(
        self, table: TableMap, columns: Sequence[str], rows: Sequence[Sequence[Local]]
    ) -> list[NewRow]:
        statements = self._of(table)
        given = [dict(zip(columns, row, strict=True)) for row in rows]
        if table.key in columns:
            with self.at_work() as db:
                db.execute(statements.insert(columns), given)
            keys = [as_text(row[table.key]) or "" for row in given]
        elif statements.numbered and columns:
            keys = self._insert_numbered(statements, columns, given)
        else:
            keys = [self._insert_one(statements, columns, row) for row in given]
        # As they became, triggers included.
        became = self.part_rows(table, keys)
        if not became.keys() >= set(keys):
            # A trigger of the agency dropped one.
            raise Refusal("check")
        return [NewRow(key, became[key]) for key in keys]

    def _insert_numbered(
        self, statements: RowStatements, columns: Sequence[str], given: list[dict[str, Local]]
    ) -> list[str]:
        try:
            keys = [str(key) for (key,) in self.fetch(statements.insert(columns, ordered=True), given)]
        except InvalidRequestError as error:
            # Fewer rows than given: a trigger of the agency dropped one.
            raise Refusal("check") from error
        if len(keys) < len(given):
            raise Refusal("check")
        return keys

    def _insert_one(self, statements: RowStatements, columns: Sequence[str], row: Mapping[str, Local]) -> str:
        """The key that the database made, found by the row's number."""
        with self.at_work() as db:
            made = db.execute(statements.insert(columns), row)
            if made.rowcount != 1:
                # A trigger of the agency dropped it; the last number is another row's.
                raise Refusal("check")
            return db.scalar(statements.key_of(), {"number": made.lastrowid}) or ""

    def update_rows(
        self, table: TableMap, rows: Sequence[tuple[str, Mapping[str, Local]]]
    ) -> list[Image | None]:
        for columns, group in alike(rows).items():
            given = [{"k": key, **{f"c{i}": row[c] for i, c in enumerate(columns)}} for key, row in group]
            with self.at_work() as db:
                db.execute(self._of(table).update(columns), given)
        became = self.part_rows(table, [key for key, _ in rows])
        return [became.get(key) for key, _ in rows]

    def delete_rows(self, table: TableMap, keys: Sequence[str]) -> None:
        with self.at_work() as db:
            db.execute(self._of(table).delete(), {"keys": list(keys)})

    def create_bookkeeping(self) -> None:
        with self.transaction():
            self.create_tables()
            if not self.fetch(select(self._origin)):
                self.fetch(self._origin.insert().values(hub=0).returning(self._origin.c.hub))

    def install_capture(self, record: RecordMap) -> bool:
        """Renew only triggers that differ: a change of the schema makes every program prepare anew."""
        renewed = False
        present = dict(self.query(_TRIGGERS))
        for table in record.tables:
            wanted = capture.capture_statements(record, table)
            if all(present.get(name) == statement for name, statement in wanted.items()):
                continue
            with self.transaction():
                for name, statement in wanted.items():
                    self.script(f"DROP TRIGGER IF EXISTS {quoted(name)}")
                    self.script(statement)
            renewed = True
        return renewed

    def drop_capture(self, keep: Iterable[RecordMap]) -> None:
        kept = trigger_sets(keep)
        for name, _ in self.query(f"{_TRIGGERS} AND name LIKE 'jisr_capture_%'"):
            if name.rpartition("_")[0] not in kept:
                with self.transaction():
                    self.script(f"DROP TRIGGER {quoted(name)}")

    def uninstall(self) -> None:
        names = self.query(f"{_TRIGGERS} AND name LIKE 'jisr_capture_%'")
        with self.transaction():
            for name, _ in names:
                self.script(f"DROP TRIGGER {quoted(name)}")
            self.drop_tables()


def _configure(driver: Any, _: Any) -> None:
    # Text in a broken encoding would make every row around it unreadable.
    driver.text_factory = lenient_text
    driver.execute("PRAGMA foreign_keys = ON")


def _refuse_writes(driver: Any, _: Any) -> None:
    driver.execute("PRAGMA query_only = ON")
