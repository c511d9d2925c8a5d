"""Statements about the rows of one mapped table of PostgreSQL, in SQLAlchemy Core; made once and kept."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

from sqlalchemy import (
    ARRAY,
    BigInteger,
    ColumnElement,
    Delete,
    Executable,
    Insert,
    Integer,
    MetaData,
    Select,
    Table,
    Text,
    Update,
    any_,
    bindparam,
    case,
    cast,
    column,
    delete,
    extract,
    func,
    insert,
    literal_column,
    select,
    update,
)
from sqlalchemy import Column as CoreColumn
from sqlalchemy.dialects.postgresql import JSONB

from connectors.sql.database import Column
from connectors.sql.local_values import Local
from connectors.sql.mapping import TableMap
from connectors.sql.postgresql_capture import image, quoted
from connectors.sql.postgresql_values import AsText, literal_text

Statement = TypeVar("Statement", bound=Executable)

# The bits of a bigint, without its sign.
MASKED_COLUMNS = 63


class RowStatements:
    """Statements for `table` of `schema`, whose columns are `columns`.

    Answers begin with the key as text and a jsonb of the mapped columns, as capture shows them.
    """

    def __init__(self, table: TableMap, schema: str, name: str, columns: Mapping[str, Column]) -> None:
        self.map = table
        self.key_type = _type(columns, table.key)
        self._columns = columns
        wanted = dict.fromkeys(
            (table.key, *table.columns, *table.fixed, *filter(None, [table.modified_at]), *columns)
        )
        described: list[CoreColumn[Any]] = [CoreColumn(c, AsText(_type(columns, c))) for c in wanted]
        self.target = Table(name, MetaData(), *described, schema=schema)
        self.key = self.target.c[table.key]
        self._became = literal_column(image(quoted(name), table.columns), JSONB).label("became")
        self._kept: dict[Any, Any] = {}

    def by_keys(self, *, lock: str = "", modified: bool = False) -> Select[Any]:
        """Rows by `keys`; `lock` is "row", for what a foreign key does not need, or "whole"; "free" skips."""
        return self._once(("by_keys", lock, modified), lambda: self._by_keys(lock, modified=modified))

    def _by_keys(self, lock: str, *, modified: bool) -> Select[Any]:
        statement = self._select(modified=modified).where(self._is_named())
        if not lock:
            return statement
        # A plain FOR UPDATE would also wait for those who only refer to the row by a foreign key.
        return statement.with_for_update(
            of=self.target, key_share="whole" not in lock, skip_locked="free" in lock
        )

    def present(self) -> Select[Any]:
        """The keys of rows by `keys`."""
        return self._once(
            "present", lambda: select(cast(self.key, Text)).where(self._is_named(), *self._fixed())
        )

    def referring(self, column: str) -> Select[Any]:
        """The keys of rows that hold one of `keys` in `column`."""
        held = self.target.c[column] == any_(bindparam("keys", type_=ARRAY(AsText(self.type_of(column)))))
        return self._once(
            ("referring", column), lambda: select(cast(self.key, Text)).where(held, *self._fixed())
        )

    def type_of(self, column: str) -> str:
        """A column's type, as PostgreSQL writes it."""
        return _type(self._columns, column)

    def page(self, *, first: bool) -> Select[Any]:
        """`limit` rows by the order of the key, beyond `after` unless `first`."""

        def build() -> Select[Any]:
            statement = (
                self._select(modified=True).order_by(self.key).limit(bindparam("limit", type_=Integer))
            )
            after = cast(bindparam("after", type_=Text), AsText(self.key_type))
            return statement if first else statement.where(self.key > after)

        return self._once(("page", first), build)

    def insert(self, columns: Sequence[str]) -> Insert:
        """Rows given as to `update`, in the order of their `n`."""

        def build() -> Insert:
            given = self._given(columns)
            values = select(*(given.c[f"c{i}"] for i in range(len(columns)))).order_by(given.c.n)
            statement = insert(self.target).from_select(list(columns), values)
            return statement.returning(cast(self.key, Text), self._became)

        return self._once(("insert", tuple(columns)), build)

    def insert_defaults(self) -> Insert:
        """One row of which nothing is given."""
        statement = insert(self.target).values(())
        return self._once("defaults", lambda: statement.returning(cast(self.key, Text), self._became))

    def update(self, columns: Sequence[str]) -> Update:
        """`rows` is what `given` makes: one parameter, whatever the number of rows.

        Parameters for each value would be read one by one by the driver, each time.
        """

        def build() -> Update:
            given = self._given(columns)
            values = {c: given.c[f"c{i}"] for i, c in enumerate(columns)}
            statement = update(self.target).values(values).where(self.key == given.c.k, *self._fixed())
            return statement.returning(cast(self.key, Text), self._became)

        return self._once(("update", tuple(columns)), build)

    def update_masked(self, columns: Sequence[str]) -> Update:
        """`rows` is what `masked` makes: each row writes some of `columns` and keeps the others."""

        def build() -> Update:
            given = self._given(columns)
            values = {
                c: case((given.c.m.op("&")(1 << i) != 0, given.c[f"c{i}"]), else_=self.target.c[c])
                for i, c in enumerate(columns)
            }
            statement = update(self.target).values(values).where(self.key == given.c.k, *self._fixed())
            return statement.returning(cast(self.key, Text), self._became)

        return self._once(("masked", tuple(columns)), build)

    def _given(self, columns: Sequence[str]) -> Any:
        names = [column("n", Integer), column("k", AsText(self.key_type)), column("m", BigInteger)]
        names += [column(f"c{i}", AsText(_type(self._columns, c))) for i, c in enumerate(columns)]
        records = func.jsonb_to_recordset(bindparam("rows", type_=JSONB))
        return records.table_valued(*names).render_derived(name="jisr_given", with_types=True)

    def delete(self) -> Delete:
        return self._once("delete", lambda: delete(self.target).where(self._is_named(), *self._fixed()))

    def _select(self, *, modified: bool) -> Select[Any]:
        answer: list[ColumnElement[Any]] = [cast(self.key, Text), self._became]
        if modified and self.map.modified_at is not None:
            at = self.target.c[self.map.modified_at]
            # `infinity` is no moment, and the cast would end the whole page.
            answer.append(case((func.isfinite(at), cast(extract("epoch", at) * 1000, BigInteger))))
        elif modified:
            answer.append(literal_column("NULL"))
        return select(*answer).where(*self._fixed())

    def _is_named(self) -> ColumnElement[bool]:
        return self.key == any_(bindparam("keys", type_=ARRAY(AsText(self.key_type))))

    def _fixed(self) -> list[ColumnElement[bool]]:
        fixed = self.map.fixed.items()
        return [cast(self.target.c[name], Text).is_not_distinct_from(value) for name, value in fixed]

    def _once(self, name: Any, build: Callable[[], Statement]) -> Statement:
        if name not in self._kept:
            self._kept[name] = build()
        kept: Statement = self._kept[name]
        return kept


def given(rows: Sequence[Sequence[Local]], keys: Sequence[str] | None = None) -> list[dict[str, Any]]:
    """The `rows` of `insert` and `update`: each with its number `n`, its key `k`, and values `c0`…"""
    made: list[dict[str, Any]] = [
        {f"c{i}": literal_text(value) for i, value in enumerate(values)} | {"n": n}
        for n, values in enumerate(rows)
    ]
    for row, key in zip(made, keys or (), strict=False):
        row["k"] = key
    return made


def masked(rows: Sequence[tuple[str, Mapping[str, Local]]], columns: Sequence[str]) -> list[dict[str, Any]]:
    """The `rows` of `update_masked`: beside key and values, `m` says by its bits which columns are given."""
    places = {name: i for i, name in enumerate(columns)}
    made = []
    for key, values in rows:
        row: dict[str, Any] = {f"c{places[name]}": literal_text(value) for name, value in values.items()}
        row["k"], row["m"] = key, sum(1 << places[name] for name in values)
        made.append(row)
    return made


def _type(columns: Mapping[str, Column], name: str) -> str:
    return columns[name].type if name in columns else "TEXT"
