"""The SQLite dialect, on the standard library. One writer at a time: a write transaction is the lock."""

# Identifiers are quoted and texts escaped by the functions in `sqlite_capture`; values are parameters.
# ruff: noqa: S608

from __future__ import annotations

import contextlib
import fcntl
import json
import re
import sqlite3
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO, Any

from connectors.sql import sqlite_capture as capture
from connectors.sql.database import Column, Database, NewRow
from connectors.sql.local_values import Image, Local, as_text
from connectors.sql.mapping import RecordMap, TableMap
from connectors.sql.sqlite_capture import quoted
from connectors.sql.sqlite_errors import translated
from connectors.sql.sqlite_values import (
    bound,
    fixed_condition,
    image_of,
    kind_of,
    lenient_text,
    milliseconds,
    parser_of,
    stored,
)
from connectors.sql.tables import TABLES, Bookkeeping
from hub.errors import Retriable

# People at work come first: give way after this long, and try again (R28).
BUSY_TIMEOUT_S = 0.25

_IN_LIST = re.compile(r"IN_LIST\(:([a-z_]+)\)")
_TABLE = re.compile(r"\{([a-z]+)\}")
_LENGTH = re.compile(r"char[a-z ]*\(\s*(\d+)\s*\)", re.IGNORECASE)


class SQLite(Database):
    """A database file. The agency's journal mode is left as it is."""

    dialect = "sqlite"

    def __init__(self, path: Path) -> None:
        self._path = path
        self._connection: sqlite3.Connection | None = None
        self._claims: list[IO[str]] = []

    @property
    def _db(self) -> sqlite3.Connection:
        if self._connection is None:
            raise Retriable(f"{self._path}: not connected")
        return self._connection

    def connect(self) -> None:
        self.close()
        if not self._path.exists():
            raise Retriable(f"{self._path}: no such file")
        with translated():
            db = sqlite3.connect(
                self._path, timeout=BUSY_TIMEOUT_S, isolation_level=None, check_same_thread=False
            )
            # Text in a broken encoding would make every row around it unreadable.
            db.text_factory = lenient_text
            db.execute("PRAGMA foreign_keys = ON")
        self._connection = db

    def close(self) -> None:
        if self._connection is not None:
            with contextlib.suppress(sqlite3.Error):
                self._connection.close()
            self._connection = None
        while self._claims:
            self._claims.pop().close()

    def claim(self, side: str) -> None:
        # A lock on a file of its own: closing any handle of the database would drop SQLite's own locks.
        lock = self._path.with_name(f"{self._path.name}.jisr-{side}").open("w")
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            lock.close()
            message = f"another connector's {side} is at work on {self._path}; only one may be"
            raise Retriable(message) from error
        self._claims.append(lock)

    @contextlib.contextmanager
    def transaction(self, *, by_hub: bool = False) -> Iterator[None]:
        with translated():
            self._db.execute("BEGIN IMMEDIATE")
            try:
                if by_hub:
                    # Seen by nobody else: it is set back before the transaction ends.
                    self._db.execute("UPDATE jisr_origin SET hub = 1")
                yield
                if by_hub:
                    self._db.execute("UPDATE jisr_origin SET hub = 0")
                self._db.execute("COMMIT")
            except BaseException:
                with contextlib.suppress(sqlite3.Error):
                    self._db.execute("ROLLBACK")
                raise

    def _run(self, sql: str, params: Mapping[str, Any] | None) -> sqlite3.Cursor:
        ready = _TABLE.sub(r"jisr_\1", sql)
        ready = _IN_LIST.sub(r"IN (SELECT value FROM json_each(:\1))", ready)
        lists = {k: json.dumps(v) if isinstance(v, list) else v for k, v in (params or {}).items()}
        with translated():
            return self._db.execute(ready, lists)

    def query(self, sql: str, params: Mapping[str, Any] | None = None) -> list[tuple[Any, ...]]:
        with translated():
            cursor = self._run(sql, params)
            names = [column[0] for column in cursor.description]
            parse = [parser_of(name) for name in names]
            return [tuple(p(v) if p else v for p, v in zip(parse, row, strict=True)) for row in cursor]

    def execute(self, sql: str, params: Mapping[str, Any] | None = None) -> int:
        return self._run(sql, params).rowcount

    def upsert(self, table: Bookkeeping, rows: Sequence[Mapping[str, Any]], *, keep: bool = False) -> None:
        others = [c for c in table.columns if c not in table.key]
        update = "NOTHING" if keep else "UPDATE SET " + ", ".join(f"{c} = excluded.{c}" for c in others)
        self._bulk(table, rows, f" ON CONFLICT ({', '.join(table.key)}) DO {update}")

    def append(self, table: Bookkeeping, rows: Sequence[Mapping[str, Any]]) -> None:
        self._bulk(table, rows, "")

    def _bulk(self, table: Bookkeeping, rows: Sequence[Mapping[str, Any]], tail: str) -> None:
        names = ", ".join(table.columns)
        marks = ", ".join("?" for _ in table.columns)
        sql = f"INSERT INTO jisr_{table.name} ({names}) VALUES ({marks}){tail}"
        values = [
            tuple(stored(row[name]) if kind == "json" else row[name] for name, kind in table.columns.items())
            for row in rows
        ]
        with translated():
            self._db.executemany(sql, values)

    def clock_ms(self) -> int:
        return time.time_ns() // 1_000_000

    def has_table(self, name: str) -> bool:
        return bool(self.columns(name))

    def columns(self, table: str) -> Mapping[str, Column]:
        with translated():
            found = self._db.execute(f"PRAGMA table_xinfo({quoted(table)})").fetchall()
        keys = [row for row in found if row[5]]
        described = {}
        for _, name, declared, not_null, default, key, hidden in found:
            # The only INTEGER PRIMARY KEY is the row's own number, which SQLite makes.
            number = bool(key) and len(keys) == 1 and declared.upper() == "INTEGER"
            length = _LENGTH.search(declared)
            described[name] = Column(
                name,
                declared or "TEXT",
                kind_of(declared.upper()),
                nullable=not not_null and not number,
                has_default=default is not None or number,
                generated=hidden in (2, 3),
                # SQLite does not hold to a declared length, but the agency's program expects it.
                max_length=int(length.group(1)) if length else None,
            )
        return described

    def unique(self, table: str, column: str) -> bool:
        keys = [row[1] for row in self._db.execute(f"PRAGMA table_info({quoted(table)})") if row[5]]
        if keys == [column]:
            return True
        for row in self._db.execute(f"PRAGMA index_list({quoted(table)})").fetchall():
            members = [r[2] for r in self._db.execute(f"PRAGMA index_info({quoted(row[1])})")]
            if row[2] and not row[4] and members == [column]:
                return True
        return False

    def may_capture(self, table: str) -> bool:  # noqa: ARG002 — who may write the file may write all of it
        return bool(self._db.execute("PRAGMA query_only").fetchone()[0] == 0)

    def _select(self, table: TableMap, keys: Sequence[str]) -> list[tuple[Any, ...]]:
        modified = f"t.{quoted(table.modified_at)}" if table.modified_at else "NULL"
        key = f"t.{quoted(table.key)}"
        sql = (
            f"SELECT CAST({key} AS TEXT), {modified}{self._names(table)} FROM {quoted(table.table)} t "
            f"WHERE {key} IN (SELECT value FROM json_each(?)){fixed_condition(table)}"
        )
        with translated():
            # Texts are compared by the key column's affinity, so that "5" finds the number 5.
            return self._db.execute(sql, (json.dumps(list(keys)),)).fetchall()

    def _names(self, table: TableMap) -> str:
        return "".join(f", t.{quoted(column)}" for column in table.columns)

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

    def page(self, table: TableMap, after: str | None, limit: int) -> list[tuple[str, Image, int | None]]:
        modified = f"t.{quoted(table.modified_at)}" if table.modified_at else "NULL"
        key = f"t.{quoted(table.key)}"
        beyond = f" AND {key} > :after" if after is not None else ""
        sql = (
            f"SELECT CAST({key} AS TEXT), {modified}{self._names(table)} FROM {quoted(table.table)} t "
            f"WHERE {key} IS NOT NULL{fixed_condition(table)}{beyond} ORDER BY {key} LIMIT :limit"
        )
        with translated():
            found = self._db.execute(sql, {"after": after, "limit": limit}).fetchall()
        return [(row[0], image_of(table, row[2:]), milliseconds(row[1])) for row in found]

    def insert_rows(
        self, table: TableMap, columns: Sequence[str], rows: Sequence[Sequence[Local]]
    ) -> list[NewRow]:
        names, marks = ", ".join(map(quoted, columns)), ", ".join("?" for _ in columns)
        values = f"({names}) VALUES ({marks})" if columns else "DEFAULT VALUES"
        sql = f"INSERT INTO {quoted(table.table)} {values}"
        made = []
        with translated():
            for row in rows:
                number = self._db.execute(sql, [bound(value) for value in row]).lastrowid
                made.append(self._made(table, columns, row, number))
        return made

    def _made(
        self, table: TableMap, columns: Sequence[str], row: Sequence[Local], number: int | None
    ) -> NewRow:
        """The row as it became, triggers included; found by its key, or by the number made."""
        if table.key in columns:
            key = as_text(row[list(columns).index(table.key)]) or ""
        else:
            sql = f"SELECT CAST({quoted(table.key)} AS TEXT) FROM {quoted(table.table)} WHERE rowid = ?"
            found = self._db.execute(sql, (number,)).fetchone()
            key = found[0] if found else ""
        return NewRow(key, self.part_rows(table, [key]).get(key, {}))

    def update_rows(
        self, table: TableMap, columns: Sequence[str], rows: Sequence[tuple[str, Sequence[Local]]]
    ) -> list[Image | None]:
        sets = ", ".join(f"{quoted(column)} = ?" for column in columns)
        named = f"{quoted(table.key)} = ?{fixed_condition(table)}"
        sql = f"UPDATE {quoted(table.table)} AS t SET {sets} WHERE {named}"
        with translated():
            for key, values in rows:
                self._db.execute(sql, [*map(bound, values), key])
        became = self.part_rows(table, [key for key, _ in rows])
        return [became.get(key) for key, _ in rows]

    def delete_rows(self, table: TableMap, keys: Sequence[str]) -> None:
        named = f"{quoted(table.key)} IN (SELECT value FROM json_each(?))"
        sql = f"DELETE FROM {quoted(table.table)} AS t WHERE {named}{fixed_condition(table)}"
        with translated():
            self._db.execute(sql, (json.dumps(list(keys)),))

    def create_bookkeeping(self) -> None:
        with self.transaction():
            for statement in capture.create_tables():
                self._db.execute(statement)

    def install_capture(self, record: RecordMap) -> None:
        """Renew only triggers that differ: a change of the schema makes every program prepare anew."""
        present = dict(self.query("SELECT name, sql FROM sqlite_master WHERE type = 'trigger'"))
        for table in record.tables:
            wanted = capture.capture_statements(record, table)
            if all(present.get(name) == statement for name, statement in wanted.items()):
                continue
            with self.transaction():
                for name, statement in wanted.items():
                    self._db.execute(f"DROP TRIGGER IF EXISTS {quoted(name)}")
                    self._db.execute(statement)

    def uninstall(self) -> None:
        names = self.query(
            "SELECT name FROM sqlite_master WHERE type = 'trigger' AND name LIKE 'jisr_capture_%'"
        )
        with self.transaction():
            for (name,) in names:
                self._db.execute(f"DROP TRIGGER {quoted(name)}")
            for table in TABLES:
                self._db.execute(f"DROP TABLE IF EXISTS jisr_{table.name}")
            self._db.execute("DROP TABLE IF EXISTS jisr_origin")
