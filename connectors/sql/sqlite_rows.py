"""Statements about the rows of one mapped table of SQLite, in SQLAlchemy Core; made once and kept."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from sqlalchemy import Column as CoreColumn
from sqlalchemy import (
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
    bindparam,
    cast,
    delete,
    func,
    insert,
    literal_column,
    null,
    select,
    update,
)

from connectors.sql.mapping import TableMap
from connectors.sql.sqlite_values import Json

Statement = TypeVar("Statement", bound=Executable)


class RowStatements:
    """Statements for `table`. Values pass as they are: SQLite's columns hold what they are given.

    Answers to reading begin with the key as text and the modification time, then the mapped columns.
    `numbered`: the key is the row's own number, which SQLite makes.
    """

    def __init__(self, table: TableMap, columns: Sequence[str], *, numbered: bool) -> None:
        self.map = table
        self.numbered = numbered
        key: CoreColumn[Any] = CoreColumn(table.key, Integer() if numbered else None, primary_key=numbered)
        wanted = dict.fromkeys((*table.columns, *table.fixed, *filter(None, [table.modified_at]), *columns))
        others: list[CoreColumn[Any]] = [CoreColumn(c) for c in wanted if c != table.key]
        self.target = Table(table.table, MetaData(), key, *others)
        # Without a type: a key is compared by the affinity of its column, so that "5" finds the number 5.
        self.key = self.target.c[table.key]
        self._kept: dict[Any, Any] = {}

    def by_keys(self) -> Select[Any]:
        return self._once("by_keys", lambda: self._select().where(self._is_named()))

    def present(self) -> Select[Any]:
        """The keys of rows by `keys`."""
        return self._once(
            "present", lambda: select(cast(self.key, Text)).where(self._is_named(), *self._fixed())
        )

    def referring(self, column: str) -> Select[Any]:
        """The keys of rows that hold one of `keys` in `column`."""
        held = self._is_one_of(self.target.c[column])
        return self._once(
            ("referring", column), lambda: select(cast(self.key, Text)).where(held, *self._fixed())
        )

    def page(self, *, first: bool) -> Select[Any]:
        """`limit` rows by the order of the key, beyond `after` unless `first`."""

        def build() -> Select[Any]:
            statement = self._select().where(self.key.is_not(None)).order_by(self.key)
            statement = statement.limit(bindparam("limit", type_=Integer))
            return statement if first else statement.where(self.key > bindparam("after", type_=Text))

        return self._once(("page", first), build)

    def key_of(self) -> Select[Any]:
        """The key of the row with the number `number`."""
        number = literal_column("rowid") == bindparam("number")
        return self._once(
            "key_of", lambda: select(cast(self.key, Text)).select_from(self.target).where(number)
        )

    def insert(self, columns: Sequence[str], *, ordered: bool = False) -> Insert:
        """Rows by column name; `ordered` answers with their numbers, in the order of the rows."""

        def build() -> Insert:
            statement = insert(self.target) if columns else insert(self.target).values(())
            return statement.returning(self.key, sort_by_parameter_order=True) if ordered else statement

        return self._once(("insert", tuple(columns), ordered), build)

    def update(self, columns: Sequence[str]) -> Update:
        """One row: `k` is its key, `c0`… the values."""

        def build() -> Update:
            values: dict[str, Any] = {c: bindparam(f"c{i}") for i, c in enumerate(columns)}
            named = self.key == bindparam("k", type_=Text)
            return update(self.target).values(values).where(named, *self._fixed())

        return self._once(("update", tuple(columns)), build)

    def delete(self) -> Delete:
        return self._once("delete", lambda: delete(self.target).where(self._is_named(), *self._fixed()))

    def _select(self) -> Select[Any]:
        at = self.target.c[self.map.modified_at] if self.map.modified_at else null()
        columns = (self.target.c[name] for name in self.map.columns)
        return select(cast(self.key, Text), at, *columns).where(*self._fixed())

    def _is_named(self) -> ColumnElement[bool]:
        return self._is_one_of(self.key)

    @staticmethod
    def _is_one_of(column: ColumnElement[Any]) -> ColumnElement[bool]:
        # One parameter, whatever the number of keys.
        keys = func.json_each(bindparam("keys", type_=Json())).table_valued("value")
        return column.in_(select(keys.c.value))

    def _fixed(self) -> list[ColumnElement[bool]]:
        return [cast(self.target.c[name], Text) == value for name, value in self.map.fixed.items()]

    def _once(self, name: Any, build: Callable[[], Statement]) -> Statement:
        if name not in self._kept:
            self._kept[name] = build()
        kept: Statement = self._kept[name]
        return kept
