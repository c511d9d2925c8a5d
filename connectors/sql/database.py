"""The port to an agency's database: what `source`, `sink` and `install` ask of a dialect."""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, TypeVar

from connectors.sql.local_values import Image, Local
from connectors.sql.mapping import RecordMap, TableMap
from connectors.sql.tables import Bookkeeping
from hub.errors import Retriable

Answer = TypeVar("Answer")


class Refusal(Retriable):
    """The database refuses a statement; `code` and `column` are all that is told to anyone else.

    `detail` is for this side's own log: the database's word, where it names no value of any row. What is
    refused of no single delivery, as a table that may not be read, is waited for like an absent database.
    """

    def __init__(self, code: str, column: str = "", detail: str = "") -> None:
        told = (f"refused: {code}", f" in column {column}" if column else "", f": {detail}" if detail else "")
        super().__init__("".join(told))
        self.code = code
        self.column = column


class Locked(Retriable):
    """Somebody at the agency holds a lock; they come first, try again later."""


@dataclass(frozen=True)
class Column:
    """A column of an agency's table. `kind` is one of text, number, boolean, date, array, other."""

    name: str
    type: str
    kind: str
    nullable: bool
    has_default: bool
    generated: bool = False
    max_length: int | None = None


@dataclass(frozen=True)
class NewRow:
    """A row as the database made it: its key as text, and the mapped columns."""

    key: str
    image: Image


class Database(ABC):
    """One connection. Not thread-safe. Every call may block and may raise `Retriable`.

    Statements are written once for all dialects: `{name}` is a bookkeeping table, `:name` a parameter,
    `IN_LIST(:name)` a parameter that is a list of texts or integers.
    """

    dialect: str
    # How SQL says "and lock these rows": empty where a write transaction locks the database anyway.
    for_update: str = ""
    # Whether the queue knows which rows were of one transaction.
    tells_transactions: bool = True

    @abstractmethod
    def connect(self) -> None: ...

    @abstractmethod
    def close(self) -> None: ...

    @abstractmethod
    def claim(self, side: str) -> None:
        """Become this database's only `source`, `sink` or `sweep`, until `release` or `close`.

        `Retriable` if there is one.
        """

    @abstractmethod
    def release(self, side: str) -> None:
        """Let somebody else claim it."""

    @abstractmethod
    def transaction(self, *, by_hub: bool = False) -> AbstractContextManager[None]:
        """A short write transaction; `by_hub` makes capture silent for its own statements (R23)."""

    @abstractmethod
    def one_moment(self) -> AbstractContextManager[None]:
        """A short transaction whose reads all see the same moment; it locks nothing, writes nothing."""

    @abstractmethod
    def query(self, sql: str, params: Mapping[str, Any] | None = None) -> list[tuple[Any, ...]]: ...

    @abstractmethod
    def execute(self, sql: str, params: Mapping[str, Any] | None = None) -> int:
        """Run; return the number of rows."""

    @abstractmethod
    def upsert(self, table: Bookkeeping, rows: Sequence[Any], *, keep: bool = False) -> int:
        """Insert or replace bookkeeping rows; `keep` leaves existing ones alone. Returns how many it wrote.

        `rows` are mappings with exactly the table's columns, or dataclasses of them.
        """

    @abstractmethod
    def append(self, table: Bookkeeping, rows: Sequence[Any]) -> None:
        """Insert rows, given as to `upsert`, into a table with a serial key."""

    @abstractmethod
    def clock_ms(self) -> int: ...

    def settled_seq(self) -> int:
        """A `seq` of the queue such that nothing more can appear at or below it; 0 if that is unknown."""
        return 0

    @abstractmethod
    def has_table(self, name: str) -> bool: ...

    @abstractmethod
    def columns(self, table: str) -> Mapping[str, Column]:
        """The columns of a table, by name; empty if there is no such table."""

    @abstractmethod
    def forget_columns(self) -> None:
        """Let `columns` look at the tables anew: somebody may have changed them."""

    def layout(self, tables: Sequence[str]) -> str:  # noqa: ARG002
        """Another text once the columns of these tables are others; empty where statements do not mind."""
        return ""

    @abstractmethod
    def unique(self, table: str, column: str) -> bool:
        """Whether `column` alone is a primary key or unique."""

    @abstractmethod
    def is_view(self, table: str) -> bool:
        """Whether what is called so holds no rows of its own, but shows those of tables."""

    @abstractmethod
    def may_capture(self, table: str) -> bool:
        """Whether triggers may be put on `table`."""

    @abstractmethod
    def lock_rows(
        self, table: TableMap, keys: Sequence[str], *, whole: bool
    ) -> tuple[dict[str, Image], set[str]]:
        """(locked rows by key, keys of rows that somebody else holds). Waits for nobody.

        `whole` also keeps others from attaching rows to these.
        """

    @abstractmethod
    def part_rows(self, table: TableMap, keys: Sequence[str]) -> dict[str, Image]:
        """Rows of a further table by the key of their record, locked; raises `Locked`."""

    @abstractmethod
    def page(self, table: TableMap, after: str | None, limit: int) -> list[tuple[str, Image, int | None]]:
        """(key, columns, modification time in ms) of existing rows in the order of the key."""

    @abstractmethod
    def rows(self, table: TableMap, keys: Sequence[str]) -> dict[str, tuple[Image, int | None]]:
        """Rows by key, without locking: (columns, modification time in ms)."""

    @abstractmethod
    def present(self, table: TableMap, keys: Sequence[str]) -> set[str]:
        """Which of these keys have a row; reads nothing else of it."""

    @abstractmethod
    def referring(self, table: TableMap, column: str, keys: Sequence[str]) -> set[str]:
        """The keys of rows that hold one of `keys` in `column`."""

    @abstractmethod
    def insert_rows(
        self, table: TableMap, columns: Sequence[str], rows: Sequence[Sequence[Local]]
    ) -> list[NewRow]:
        """Insert; the rows as they became, in order. Raises `Refusal` or `Locked` for the whole."""

    @abstractmethod
    def update_rows(
        self, table: TableMap, rows: Sequence[tuple[str, Mapping[str, Local]]]
    ) -> list[Image | None]:
        """Write columns of rows by key; the rows as they became, in order, None for one that is gone."""

    @abstractmethod
    def delete_rows(self, table: TableMap, keys: Sequence[str]) -> None: ...

    @abstractmethod
    def create_bookkeeping(self) -> None:
        """Create what is missing of the bookkeeping: tables, and columns that a newer release added."""

    @abstractmethod
    def install_capture(self, record: RecordMap) -> bool:
        """Put the triggers on the tables of a record type that are missing, disabled or others there.

        Returns whether there were any such.
        """

    @abstractmethod
    def drop_capture(self, keep: Iterable[RecordMap]) -> None:
        """Take the triggers away that belong to none of these: what the mapping no longer speaks of."""

    @abstractmethod
    def uninstall(self) -> None:
        """Remove triggers, functions and bookkeeping tables."""


def alike(
    rows: Sequence[tuple[str, Mapping[str, Local]]],
) -> dict[tuple[str, ...], list[tuple[str, Mapping[str, Local]]]]:
    """Rows that write the same columns, together."""
    groups: dict[tuple[str, ...], list[tuple[str, Mapping[str, Local]]]] = {}
    for key, row in rows:
        groups.setdefault(tuple(sorted(row)), []).append((key, row))
    return groups


# Tries against people's locks before a side counts as away: each waits for the dialect's lock timeout.
TRIES = 20


def patiently(work: Callable[[], Answer]) -> Answer:
    """The answer of a whole transaction, tried again while somebody at the agency is in the way."""
    for _ in range(TRIES - 1):
        try:
            return work()
        except Locked:
            continue
    return work()


def object_name(*parts: str) -> str:
    """A short, stable name for a trigger or function: identifiers are limited to 63 bytes."""
    digest = hashlib.sha256("\x00".join(parts).encode()).hexdigest()[:12]
    return f"jisr_capture_{digest}"


def trigger_sets(records: Iterable[RecordMap]) -> set[str]:
    """Names, or beginnings of names, of the triggers on these records' tables."""
    return {
        object_name(record.record_type, table.table, str(table.part))
        for record in records
        for table in record.tables
    }
