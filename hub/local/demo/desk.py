"""An agency's own database, as the people who work there use it: plain SQL, their own column names."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from sqlalchemy import Connection, create_engine, text

T = TypeVar("T")


class Desk:
    """One agency's database. Every call is a transaction of its own, and blocks; safe between threads.

    In `sql`, `:name` stands for the value of a keyword argument.
    """

    def __init__(self, agency: str, url: str) -> None:
        self.agency = agency
        self._engine = create_engine(url, pool_size=2)

    def ask(self, sql: str, **values: object) -> list[tuple[Any, ...]]:
        """The rows of a query."""
        with self._engine.connect() as connection:
            return [tuple(row) for row in connection.execute(text(sql), values)]

    def one(self, sql: str, **values: object) -> Any:
        """The single value of a query; None where there is no row."""
        rows = self.ask(sql, **values)
        return rows[0][0] if rows else None

    def do(self, sql: str, **values: object) -> Any:
        """Write something and commit; the value that the statement returns, if it returns one."""
        with self._engine.begin() as connection:
            return write(connection, sql, values)

    def together(self, work: Callable[[Connection], T]) -> T:
        """Do several things in one transaction."""
        with self._engine.begin() as connection:
            return work(connection)

    def close(self) -> None:
        self._engine.dispose()


def write(connection: Connection, sql: str, values: Mapping[str, object]) -> Any:
    """One statement of a transaction; the value that it returns, if it returns one."""
    done = connection.execute(text(sql), values)
    row = done.first() if done.returns_rows else None
    return None if row is None else row[0]
