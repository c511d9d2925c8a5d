"""The PostgreSQL dialect (14 or later), on psycopg."""

# Identifiers are quoted and texts escaped by the functions in `postgresql_capture`; values are parameters.
# ruff: noqa: S608

from __future__ import annotations

import contextlib
import hashlib
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import psycopg
from psycopg.types.json import set_json_loads

from connectors.sql import postgresql_capture as capture
from connectors.sql.database import Column, Database, NewRow, object_name
from connectors.sql.local_values import Image, Local
from connectors.sql.mapping import RecordMap, TableMap
from connectors.sql.postgresql_capture import image, qualified, quoted
from connectors.sql.postgresql_catalog import columns_of, is_unique, may_put_triggers, valid_key
from connectors.sql.postgresql_errors import translated
from connectors.sql.postgresql_values import escaped, json_text, literal_text, loads, type_of
from connectors.sql.tables import Bookkeeping
from hub.errors import Retriable

# People at work come first: the sink waits this long for a lock, then lets go and tries again (R28). Below
# PostgreSQL's deadlock_timeout of 1 s, so that in a deadlock it is never the agency's side that is ended.
LOCK_TIMEOUT_MS = 250
# A statement that takes longer holds locks for too long, or hangs on a dead connection.
STATEMENT_TIMEOUT_MS = 30_000

_SQL_TYPES = {"text": "text", "bigint": "bigint", "int": "integer", "bool": "boolean", "json": "jsonb"}
_NAME = re.compile(r"(?<![:\w]):([a-z_]+)")
_IN_LIST = re.compile(r"IN_LIST\(:([a-z_]+)\)")
_TABLE = re.compile(r"\{([a-z_]+)\}")
# A new sequence's last value is 1 before anybody has taken it.
_LAST_SEQ = "SELECT CASE WHEN is_called THEN last_value ELSE 0 END FROM {changes_seq_seq}"
_NEXT_XID = "SELECT pg_current_xact_id()::text"
_SNAPSHOT_XMIN = "SELECT pg_snapshot_xmin(pg_current_snapshot())::text"


class PostgreSQL(Database):
    """`url` is a libpq connection string; unqualified tables are in the role's current schema."""

    dialect = "postgresql"
    for_update = " FOR UPDATE"

    def __init__(self, url: str) -> None:
        self._url = url
        self._connection: psycopg.Connection[Any] | None = None
        self._schema = "public"
        self._columns: dict[str, Mapping[str, Column]] = {}
        self._translated: dict[str, str] = {}
        self._mark: tuple[int, int] | None = None
        self._settled = 0

    @property
    def _db(self) -> psycopg.Connection[Any]:
        if self._connection is None:
            raise Retriable("PostgreSQL: not connected")
        return self._connection

    def connect(self) -> None:
        self.close()
        with translated():
            db = psycopg.connect(
                self._url,
                autocommit=True,
                connect_timeout=5,
                application_name="jisr-connector",
                keepalives_idle=15,
                options=f"-c datestyle=ISO,YMD -c timezone=UTC -c statement_timeout={STATEMENT_TIMEOUT_MS}",
            )
            set_json_loads(loads, db)
            self._connection = db
            row = db.execute("SELECT current_schema()").fetchone()
        self._schema = row[0] if row and row[0] else "public"
        self._columns.clear()
        self._translated.clear()
        self._mark, self._settled = None, 0

    def close(self) -> None:
        if self._connection is not None:
            with contextlib.suppress(psycopg.Error):
                self._connection.close()
            self._connection = None

    def claim(self, side: str) -> None:
        key = {"key": f"jisr {side} {self._schema}"}
        if not self.query("SELECT pg_try_advisory_lock(hashtextextended(:key, 0))", key)[0][0]:
            raise Retriable(f"another connector's {side} is at work in this database; only one may be")

    @contextlib.contextmanager
    def transaction(self, *, by_hub: bool = False) -> Iterator[None]:
        with translated(), self._db.transaction():
            settings = f"SET LOCAL lock_timeout = {LOCK_TIMEOUT_MS}"
            if by_hub:
                # Deferred constraints are checked at the statement, where the row that breaks one is known.
                settings += "; SET LOCAL jisr.origin = 'hub'; SET CONSTRAINTS ALL IMMEDIATE"
            self._db.execute(settings)
            yield

    def _sql(self, sql: str) -> str:
        ready = self._translated.get(sql)
        if ready is None:
            ready = _TABLE.sub(lambda m: f"{quoted(self._schema)}.jisr_{m.group(1)}", sql)
            ready = _IN_LIST.sub(r"= ANY(%(\1)s)", ready)
            ready = _NAME.sub(r"%(\1)s", ready)
            self._translated[sql] = ready
        return ready

    def query(self, sql: str, params: Mapping[str, Any] | None = None) -> list[tuple[Any, ...]]:
        with translated():
            return self._db.execute(self._sql(sql), params).fetchall()

    def execute(self, sql: str, params: Mapping[str, Any] | None = None) -> int:
        with translated():
            return self._db.execute(self._sql(sql), params).rowcount

    def upsert(self, table: Bookkeeping, rows: Sequence[Mapping[str, Any]], *, keep: bool = False) -> None:
        if not rows:
            return
        others = [c for c in table.columns if c not in table.key]
        update = "NOTHING" if keep else "UPDATE SET " + ", ".join(f"{c} = excluded.{c}" for c in others)
        self._bulk(table, rows, f" ON CONFLICT ({', '.join(table.key)}) DO {update}")

    def append(self, table: Bookkeeping, rows: Sequence[Mapping[str, Any]]) -> None:
        if rows:
            self._bulk(table, rows, "")

    def _bulk(self, table: Bookkeeping, rows: Sequence[Mapping[str, Any]], tail: str) -> None:
        """All rows by one statement and one parameter, whatever their number."""
        names = ", ".join(table.columns)
        typed = ", ".join(f"{name} {_SQL_TYPES[kind]}" for name, kind in table.columns.items())
        sql = (
            f"INSERT INTO {quoted(self._schema)}.jisr_{table.name} ({names}) "
            f"SELECT {names} FROM jsonb_to_recordset(%s::jsonb) AS u ({typed}){tail}"
        )
        values = [{name: row[name] for name in table.columns} for row in rows]
        with translated():
            self._db.execute(sql, (json_text(values),))

    def clock_ms(self) -> int:
        return int(self.query("SELECT (extract(epoch FROM clock_timestamp()) * 1000)::bigint")[0][0])

    def settled_seq(self) -> int:
        """Once all transactions have ended that ran when the sequence stood at `seq`, none can use it.

        Only an optimisation: while a long read elsewhere keeps deleted rows from being vacuumed, the
        reader need not pass over them again and again. An idle writer only keeps it from advancing.
        """
        if self._mark is None:
            seq = int(self.query(_LAST_SEQ)[0][0])
            if seq > self._settled:
                # Taken after the sequence: whoever has a lower number has a lower transaction id. (The
                # snapshot's own xmax would not do: transactions above it may be running already.)
                self._mark = (seq, int(self.query(_NEXT_XID)[0][0]))
        elif int(self.query(_SNAPSHOT_XMIN)[0][0]) > self._mark[1]:
            self._settled, self._mark = self._mark[0], None
        return self._settled

    def has_table(self, name: str) -> bool:
        return bool(self.columns(name))

    def columns(self, table: str) -> Mapping[str, Column]:
        if table not in self._columns:
            with translated():
                self._columns[table] = columns_of(self._db, qualified(table, self._schema))
        return self._columns[table]

    def unique(self, table: str, column: str) -> bool:
        with translated():
            return is_unique(self._db, qualified(table, self._schema), column)

    def may_capture(self, table: str) -> bool:
        with translated():
            return may_put_triggers(self._db, qualified(table, self._schema))

    def _keys(self, table: TableMap, keys: Sequence[str]) -> tuple[str, list[str]]:
        """(the condition on the key, the keys that can be of its type)."""
        column = self.columns(table.table).get(table.key)
        kind = column.type if column else "text"
        condition = f"t.{quoted(table.key)} = ANY(%s::{kind}[])".replace("%s", "\0")
        return condition.replace("%", "%%").replace("\0", "%s"), [k for k in keys if valid_key(kind, k)]

    def _select(self, table: TableMap, keys: Sequence[str], extra: str, tail: str) -> list[tuple[Any, ...]]:
        condition, valid = self._keys(table, keys)
        if not valid:
            return []
        head = f"SELECT t.{quoted(table.key)}::text, {image('t', table.columns)}{extra}"
        where = f" FROM {qualified(table.table, self._schema)} t WHERE "
        fixed = self._fixed(table)
        sql = escaped(head + where) + condition + escaped(fixed + tail)
        with translated():
            return self._db.execute(sql, (valid,)).fetchall()

    def _fixed(self, table: TableMap) -> str:
        return "".join(
            f" AND t.{quoted(column)}::text IS NOT DISTINCT FROM {capture.literal(value)}"
            for column, value in table.fixed.items()
        )

    def lock_rows(
        self, table: TableMap, keys: Sequence[str], *, whole: bool
    ) -> tuple[dict[str, Image], set[str]]:
        # A plain FOR UPDATE would also wait for those who only refer to the row by a foreign key.
        strength = "FOR UPDATE" if whole else "FOR NO KEY UPDATE"
        rows: dict[str, Image] = dict(self._select(table, keys, "", f" {strength} OF t SKIP LOCKED"))
        missing = [key for key in keys if key not in rows]
        held = {row[0] for row in self._select(table, missing, "", "")} if missing else set()
        return rows, held

    def part_rows(self, table: TableMap, keys: Sequence[str]) -> dict[str, Image]:
        return dict(self._select(table, keys, "", " FOR NO KEY UPDATE OF t"))

    def _modified(self, table: TableMap) -> str:
        if table.modified_at is None:
            return ", NULL::bigint"
        return f", (extract(epoch FROM t.{quoted(table.modified_at)}) * 1000)::bigint"

    def rows(self, table: TableMap, keys: Sequence[str]) -> dict[str, tuple[Image, int | None]]:
        return {key: (row, at) for key, row, at in self._select(table, keys, self._modified(table), "")}

    def page(self, table: TableMap, after: str | None, limit: int) -> list[tuple[str, Image, int | None]]:
        column = self.columns(table.table).get(table.key)
        key, kind = f"t.{quoted(table.key)}", column.type if column else "text"
        sql = escaped(
            f"SELECT {key}::text, {image('t', table.columns)}{self._modified(table)}"
            f" FROM {qualified(table.table, self._schema)} t WHERE true{self._fixed(table)}"
        )
        if after is not None:
            sql += escaped(f" AND {key} > ") + f"CAST(%(after)s AS {escaped(kind)})"
        sql += escaped(f" ORDER BY {key}") + " LIMIT %(limit)s"
        with translated():
            return self._db.execute(sql, {"after": after, "limit": limit}).fetchall()

    def insert_rows(
        self, table: TableMap, columns: Sequence[str], rows: Sequence[Sequence[Local]]
    ) -> list[NewRow]:
        names = ", ".join(quoted(column) for column in columns)
        sql = escaped(f"INSERT INTO {qualified(table.table, self._schema)} AS t ({names}) VALUES (")
        sql += ", ".join("%s" for _ in columns) + ")" + self._returning(table)
        if not columns:
            sql = escaped(f"INSERT INTO {qualified(table.table, self._schema)} AS t DEFAULT VALUES")
            sql += self._returning(table)
        made = self._many(sql, [tuple(row) for row in rows])
        return [NewRow(*row) if row else NewRow("", {}) for row in made]

    def _returning(self, table: TableMap) -> str:
        return escaped(f" RETURNING t.{quoted(table.key)}::text, {image('t', table.columns)}")

    def update_rows(
        self, table: TableMap, columns: Sequence[str], rows: Sequence[tuple[str, Sequence[Local]]]
    ) -> list[Image | None]:
        known = self.columns(table.table)
        sets = ", ".join(f"{quoted(c)} = u.c{i}::{type_of(known, c)}" for i, c in enumerate(columns))
        fields = "".join(f", c{i} text" for i in range(len(columns)))
        sql = (
            escaped(f"UPDATE {qualified(table.table, self._schema)} t SET {sets}")
            + f" FROM jsonb_to_recordset(%s::jsonb) AS u (k text{fields})"
            + escaped(
                f" WHERE t.{quoted(table.key)} = u.k::{type_of(known, table.key)}{self._fixed(table)}"
                f" RETURNING t.{quoted(table.key)}::text, {image('t', table.columns)}"
            )
        )
        given = [
            {"k": key, **{f"c{i}": literal_text(value) for i, value in enumerate(values)}}
            for key, values in rows
        ]
        with translated():
            became = dict(self._db.execute(sql, (json_text(given),)).fetchall())
        return [became.get(key) for key, _ in rows]

    def _many(self, sql: str, rows: list[tuple[Local, ...]]) -> list[tuple[Any, ...] | None]:
        """Run once per row in one pipeline (no round trip per row); each row's first result."""
        bound = [tuple(literal_text(value) for value in row) for row in rows]
        results: list[tuple[Any, ...] | None] = []
        with translated(), self._db.cursor() as cursor:
            cursor.executemany(sql, bound, returning=True)
            while True:
                results.append(cursor.fetchone())
                if not cursor.nextset():
                    return results

    def delete_rows(self, table: TableMap, keys: Sequence[str]) -> None:
        condition, valid = self._keys(table, keys)
        sql = escaped(f"DELETE FROM {qualified(table.table, self._schema)} t WHERE ") + condition
        with translated():
            self._db.execute(sql + escaped(self._fixed(table)), (valid,))

    def create_bookkeeping(self) -> None:
        with self.transaction():
            # Source and sink begin together, and two CREATE TABLE IF NOT EXISTS at once can collide.
            self._db.execute("SELECT pg_advisory_xact_lock(hashtext('jisr bookkeeping'))")
            for statement in capture.create_tables(self._schema):
                self._db.execute(statement)

    def install_capture(self, record: RecordMap) -> None:
        """Renew only what differs: creating a trigger waits for everybody who writes to the table."""
        for table in record.tables:
            statements = capture.capture_statements(record, table, self._schema)
            digest = hashlib.sha256("".join(statements).encode()).hexdigest()
            name = object_name(record.record_type, table.table, str(table.part))
            on = qualified(table.table, self._schema)
            if self.query(capture.INSTALLED, {"function": name, "schema": self._schema, "on": on}) == [
                (digest,)
            ]:
                continue
            with self.transaction():
                for statement in (*statements, capture.mark(self._schema, name, digest)):
                    self._db.execute(statement)

    def uninstall(self) -> None:
        found = self.query(capture.FUNCTIONS, {"schema": self._schema})
        with self.transaction():
            for statement in capture.drop_statements([name for (name,) in found], self._schema):
                self._db.execute(statement)
