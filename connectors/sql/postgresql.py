"""The PostgreSQL dialect (14 or later), on SQLAlchemy and psycopg."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise
from typing import Any, ClassVar

from sqlalchemy import (
    BigInteger,
    Boolean,
    Integer,
    Table,
    Text,
    bindparam,
    column,
    func,
    make_url,
    select,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB, insert
from sqlalchemy.exc import ArgumentError, DBAPIError

from connectors.sql import postgresql_capture as capture
from connectors.sql import postgresql_catalog as catalog
from connectors.sql import postgresql_errors
from connectors.sql.core_database import CoreDatabase
from connectors.sql.database import Column, NewRow, Refusal, alike, object_name, trigger_sets
from connectors.sql.local_values import Image, Local
from connectors.sql.mapping import RecordMap, TableMap
from connectors.sql.postgresql_capture import placed, qualified
from connectors.sql.postgresql_rows import MASKED_COLUMNS, RowStatements, given, masked
from connectors.sql.postgresql_values import json_text, literal_text, loads
from connectors.sql.tables import Bookkeeping
from hub.errors import ConfigurationError, JisrError, Retriable

# People at work come first: the sink waits this long for a lock, then lets go and tries again (R28). Below
# PostgreSQL's deadlock_timeout of 1 s, so that in a deadlock it is never the agency's side that is ended.
LOCK_TIMEOUT_MS = 250
# A statement that takes longer holds locks for too long, or hangs on a dead connection.
STATEMENT_TIMEOUT_MS = 30_000
# A connector that is frozen, or whose machine is gone, inside a transaction must not keep people from its
# rows: the server ends a transaction that does nothing for so long.
ABANDONED_AFTER_MS = 5_000

_NEXT_XID = "SELECT pg_current_xact_id()::text"
_SNAPSHOT_XMIN = "SELECT pg_snapshot_xmin(pg_current_snapshot())::text"


class PostgreSQL(CoreDatabase):
    """`url` is SQLAlchemy's or libpq's; unqualified tables are in the role's current schema.

    With `read_only` the server refuses whatever would write.
    """

    dialect = "postgresql"
    for_update = " FOR UPDATE"
    kinds: ClassVar = {
        "text": Text(),
        "bigint": BigInteger(),
        "int": Integer(),
        "bool": Boolean(),
        "json": JSONB(none_as_null=True),
    }

    def __init__(self, url: str, *, read_only: bool = False) -> None:
        try:
            given = make_url(url).set(drivername="postgresql+psycopg")
        except ArgumentError as error:
            raise ConfigurationError(f"the database's URL: {error}") from error
        except ValueError:
            # Its own words would name a part of the URL, perhaps of a password.
            raise ConfigurationError("the database's URL: its port is no number") from None
        session = (
            f"-c datestyle=ISO,YMD -c timezone=UTC -c statement_timeout={STATEMENT_TIMEOUT_MS}"
            f" -c idle_in_transaction_session_timeout={ABANDONED_AFTER_MS}"
            # The server's own look at a silent connection, which else comes after two hours: so long would a
            # host that is gone keep its claim.
            " -c tcp_keepalives_idle=5 -c tcp_keepalives_interval=2 -c tcp_keepalives_count=3"
            # A row that a policy hides would be taken for a deleted one: refuse to look instead.
            " -c row_security=off"
        )
        if read_only:
            session += " -c default_transaction_read_only=on"
        arguments = {
            "connect_timeout": 5,
            "application_name": "jisr-connector",
            # A server whose machine is gone says nothing: by the system's defaults it is waited for an hour.
            "keepalives_idle": 15,
            "keepalives_interval": 5,
            "keepalives_count": 3,
            "tcp_user_timeout": 30_000,
            "options": session,
        }
        super().__init__(given, connect_args=arguments, json_serializer=json_text, json_deserializer=loads)
        self._schema = "public"
        self._columns: dict[str, Mapping[str, Column]] = {}
        self._rows: dict[int, RowStatements] = {}
        self._watches: dict[str, bool] = {}
        self._mark: tuple[int, int] | None = None
        self._settled = 0

    def meaning(self, error: DBAPIError) -> JisrError:
        return postgresql_errors.meaning(error)

    def connect(self) -> None:
        super().connect()
        self._schema = self.fetch(select(func.current_schema()))[0][0] or "public"
        self._columns.clear()
        self._rows.clear()
        self._watches.clear()
        self._mark, self._settled = None, 0
        self.describe(self._schema)

    def claim(self, side: str) -> None:
        if not self.fetch(select(func.pg_try_advisory_lock(self._claim(side))))[0][0]:
            raise Retriable(f"another connector's {side} is at work in this database; only one may be")

    def release(self, side: str) -> None:
        self.fetch(select(func.pg_advisory_unlock(self._claim(side))))

    def _claim(self, side: str) -> Any:
        return func.hashtextextended(f"jisr {side} {self._schema}", 0)

    def begin(self, *, by_hub: bool) -> None:
        settings = f"BEGIN; SET LOCAL lock_timeout = {LOCK_TIMEOUT_MS}"
        if by_hub:
            # Deferred constraints are checked at the statement, where the row that breaks one is known.
            settings += "; SET LOCAL jisr.origin = 'hub'; SET CONSTRAINTS ALL IMMEDIATE"
        self.script(settings)

    def begin_reading(self) -> None:
        self.script("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")

    def quoted_table(self, table: Table) -> str:
        return qualified(table.name, self._schema)

    def insert(self, table: Table) -> Any:
        """All rows by one parameter, whatever their number: parameters for each would cost more."""
        columns = [c for c in table.columns if c.identity is None]
        names = (column(c.name, c.type) for c in columns)
        function = func.jsonb_to_recordset(bindparam("jisr_rows", type_=JSONB))
        records = function.table_valued(*names).render_derived(name="jisr_given", with_types=True)
        return insert(table).from_select([c.name for c in columns], select(*records.c))

    def parameters(self, table: Bookkeeping, rows: Sequence[Any]) -> Any:  # noqa: ARG002 — they name its columns
        return {"jisr_rows": rows}

    def clock_ms(self) -> int:
        return int(self.query("SELECT (extract(epoch FROM clock_timestamp()) * 1000)::bigint")[0][0])

    def settled_seq(self) -> int:
        """Once all transactions have ended that ran when the sequence stood at `seq`, none can use it.

        Only an optimisation: while a long read elsewhere keeps deleted rows from being vacuumed, the
        reader need not pass over them again and again. An idle writer only keeps it from advancing.
        """
        if self._mark is None:
            sequence = func.to_regclass(qualified("jisr_changes_seq_seq", self._schema))
            # Null before anybody has taken a number.
            seq = int(self.fetch(select(func.pg_sequence_last_value(sequence)))[0][0] or 0)
            if seq > self._settled:
                # Taken after the sequence: whoever has a lower number has a lower transaction id. (The
                # snapshot's own xmax would not do: transactions above it may be running already.)
                self._mark = (seq, int(self.query(_NEXT_XID)[0][0]))
        elif int(self.query(_SNAPSHOT_XMIN)[0][0]) > self._mark[1]:
            self._settled, self._mark = self._mark[0], None
        return self._settled

    def columns(self, table: str) -> Mapping[str, Column]:
        if table not in self._columns:
            with self.at_work() as db:
                self._columns[table] = catalog.columns_of(db, *placed(table, self._schema))
        return self._columns[table]

    def forget_columns(self) -> None:
        # Statements name the types of columns.
        for kept in (self._columns, self._rows, self._watches):
            kept.clear()

    def layout(self, tables: Sequence[str]) -> str:
        with self.at_work() as db:
            return catalog.layout(db, [qualified(table, self._schema) for table in tables])

    def unique(self, table: str, column: str) -> bool:
        with self.at_work() as db:
            return catalog.is_unique(db, *placed(table, self._schema), column)

    def is_view(self, table: str) -> bool:
        with self.at_work() as db:
            return catalog.is_view(db, qualified(table, self._schema))

    def may_capture(self, table: str) -> bool:
        with self.at_work() as db:
            return catalog.may_put_triggers(db, qualified(table, self._schema))

    def _of(self, table: TableMap) -> RowStatements:
        """By identity: a `TableMap` cannot be hashed; the statements keep it alive."""
        made = self._rows.get(id(table))
        if made is None:
            schema, name = placed(table.table, self._schema)
            made = self._rows[id(table)] = RowStatements(table, schema, name, self.columns(table.table))
        return made

    def _select(
        self, table: TableMap, keys: Sequence[str], *, lock: str = "", modified: bool = False
    ) -> list[tuple[Any, ...]]:
        rows = self._of(table)
        valid = [key for key in keys if catalog.valid_key(rows.key_type, key)]
        return self.fetch(rows.by_keys(lock=lock, modified=modified), {"keys": valid}) if valid else []

    def lock_rows(
        self, table: TableMap, keys: Sequence[str], *, whole: bool
    ) -> tuple[dict[str, Image], set[str]]:
        found = self._select(table, keys, lock="free whole" if whole else "free row")
        rows: dict[str, Image] = dict(found)
        missing = [key for key in keys if key not in rows]
        held = {row[0] for row in self._select(table, missing)} if missing else set()
        return rows, held

    def part_rows(self, table: TableMap, keys: Sequence[str]) -> dict[str, Image]:
        return dict(self._select(table, keys, lock="row"))

    def rows(self, table: TableMap, keys: Sequence[str]) -> dict[str, tuple[Image, int | None]]:
        return {key: (row, at) for key, row, at in self._select(table, keys, modified=True)}

    def present(self, table: TableMap, keys: Sequence[str]) -> set[str]:
        rows = self._of(table)
        valid = [key for key in keys if catalog.valid_key(rows.key_type, key)]
        return {key for (key,) in self.fetch(rows.present(), {"keys": valid})} if valid else set()

    def referring(self, table: TableMap, column: str, keys: Sequence[str]) -> set[str]:
        rows = self._of(table)
        valid = [key for key in keys if catalog.valid_key(rows.type_of(column), key)]
        return {key for (key,) in self.fetch(rows.referring(column), {"keys": valid})} if valid else set()

    def page(self, table: TableMap, after: str | None, limit: int) -> list[tuple[str, Image, int | None]]:
        statement = self._of(table).page(first=after is None)
        found = self.fetch(statement, {"limit": limit} | ({} if after is None else {"after": after}))
        return [(key, row, at) for key, row, at in found]

    def insert_rows(
        self, table: TableMap, columns: Sequence[str], rows: Sequence[Sequence[Local]]
    ) -> list[NewRow]:
        statements = self._of(table)
        if not columns:
            return [_only(self.fetch(statements.insert_defaults())) for _ in rows]
        statement = statements.insert(columns)
        keyed, numbered = table.key in columns, statements.key_type in catalog.INTEGERS
        if len(rows) == 1 or not (keyed or numbered):
            # Nothing else would tell which of several new rows is which.
            return [_only(self.fetch(statement, {"rows": given([row])})) for row in rows]
        made = [NewRow(*row) for row in self.fetch(statement, {"rows": given(rows)})]
        if keyed:
            by_key, place = {row.key: row for row in made}, list(columns).index(table.key)
            made = [by_key[key] for row in rows if (key := literal_text(row[place]) or "") in by_key]
        # Dropped by a trigger, or under another key; or numbers that do not grow in the order of the rows,
        # which nothing but the numbers proves. Of a single row all this is certain: the caller will try.
        if len(made) != len(rows) or (not keyed and not _grow(made)):
            raise Refusal("check")
        return made

    def update_rows(
        self, table: TableMap, rows: Sequence[tuple[str, Mapping[str, Local]]]
    ) -> list[Image | None]:
        statements, groups = self._of(table), alike(rows)
        columns = sorted({column for group in groups for column in group})
        became: dict[str, Image] = {}
        if len(groups) > 1 and len(columns) <= MASKED_COLUMNS and not self._watched(table):
            # Rows differ in what changes: as many statements as there are sets of columns would be slow.
            became.update(self.fetch(statements.update_masked(columns), {"rows": masked(rows, columns)}))
        else:
            for wanted, group in groups.items():
                values = given([[row[c] for c in wanted] for _, row in group], [key for key, _ in group])
                became.update(self.fetch(statements.update(wanted), {"rows": values}))
        return [became.get(key) for key, _ in rows]

    def _watched(self, table: TableMap) -> bool:
        """Whether the agency has triggers on single columns: they are to see only what is written."""
        if table.table not in self._watches:
            with self.at_work() as db:
                name = qualified(table.table, self._schema)
                self._watches[table.table] = catalog.has_column_triggers(db, name)
        return self._watches[table.table]

    def delete_rows(self, table: TableMap, keys: Sequence[str]) -> None:
        rows = self._of(table)
        valid = [key for key in keys if catalog.valid_key(rows.key_type, key)]
        with self.at_work() as db:
            db.execute(rows.delete(), {"keys": valid})

    def create_bookkeeping(self) -> None:
        with self.transaction():
            # Source and sink begin together, and both would find that a table is missing.
            self.query("SELECT pg_advisory_xact_lock(hashtext('jisr bookkeeping'))")
            self.create_tables()

    def install_capture(self, record: RecordMap) -> bool:
        """Renew only what differs: creating a trigger waits for everybody who writes to the table."""
        renewed = False
        for table in record.tables:
            on = qualified(table.table, self._schema)
            numbers = {name: int(place) for name, place in self.fetch(text(capture.NUMBERS), {"on": on})}
            statements = capture.capture_statements(record, table, self._schema, numbers)
            digest = hashlib.sha256("".join(statements).encode()).hexdigest()
            name = object_name(record.record_type, table.table, str(table.part))
            where = {"function": name, "schema": self._schema, "on": on}
            if self.fetch(text(capture.INSTALLED), where) == [(digest,)]:
                continue
            with self.transaction():
                for statement in (*statements, capture.mark(self._schema, name, digest)):
                    self.script(statement)
            renewed = True
        return renewed

    def drop_capture(self, keep: Iterable[RecordMap]) -> None:
        kept = trigger_sets(keep)
        found = self.fetch(text(capture.FUNCTIONS), {"schema": self._schema})
        for (name,) in found:
            if name not in kept:
                with self.transaction():
                    self.script(capture.drop_function(name, self._schema))

    def uninstall(self) -> None:
        found = self.fetch(text(capture.FUNCTIONS), {"schema": self._schema})
        with self.transaction():
            for (name,) in found:
                self.script(capture.drop_function(name, self._schema))
            self.drop_tables()


def _only(rows: Sequence[tuple[Any, ...]]) -> NewRow:
    """No key where a trigger of the agency dropped the row."""
    return NewRow(*rows[0]) if rows else NewRow("", {})


def _grow(rows: Sequence[NewRow]) -> bool:
    numbers = [int(row.key) for row in rows]
    return all(before < after for before, after in pairwise(numbers))
