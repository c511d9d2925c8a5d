"""What a row looked like when this side last knew it: 32 bits for each mapped column (R30). Pure.

Kept in the shadow as `row_print`, so that a row that was changed behind the triggers is noticed, and in
which columns. Every change of a row that this side sees has an image of before and one of after, so the
print moves by their difference, column by column, and the order in which source and sink note their changes
does not matter: the sum always leads from the first image to the last. A change behind the triggers leaves
a difference, and the same one twice leaves twice that (exclusive or would cancel it).
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from functools import lru_cache
from typing import Any, NamedTuple
from zlib import crc32

from connectors.sql.local_values import Image, Local
from connectors.sql.mapping import RecordMap
from connectors.sql.rows import DELETE, INSERT, UPDATE, Captured

_BITS = 32
_MASK = (1 << _BITS) - 1
# Checksums of short texts differ in few bits: begun far apart, they cannot meet those of numbers.
_TEXT = 0x9E3779B9

# In place of a transaction's id: rows that a sweep queued, whose print the shadow has already.
SWEPT = -1


def value_print(value: Local) -> int:
    """0 for null, another number for anything else; texts and numbers of the same look differ."""
    if value is None:
        return 0
    if isinstance(value, str):
        return crc32(value.encode("utf-8", "surrogatepass"), _TEXT) or 1
    if isinstance(value, float):
        # What SQLite's `quote` kept of it in older releases: both forms of the number must be alike.
        return crc32(f"{value:.15g}".encode()) or 1
    return crc32((str(value) if isinstance(value, (int, Decimal)) else repr(value)).encode()) or 1


@lru_cache(maxsize=1_000)
def _tops(bits: int) -> int:
    """The highest bit of each column's share, in numbers of up to so many bits."""
    return sum(1 << (_BITS * i + _BITS - 1) for i in range(bits // _BITS + 1))


def plus(one: int, other: int) -> int:
    """The sum of two prints, each column by itself: nothing is carried into its neighbour."""
    tops = _tops(max(one.bit_length(), other.bit_length()))
    return ((one & ~tops) + (other & ~tops)) ^ ((one ^ other) & tops)


def minus(one: int, other: int) -> int:
    """What leads from `other` to `one`."""
    tops = _tops(max(one.bit_length(), other.bit_length()))
    return ((one | tops) - (other & ~tops)) ^ ((one ^ other ^ tops) & tops)


class RowPrinter:
    """Prints of one record type: a number in which each column of each table has its place.

    `form` names the columns and their order: prints of another form mean nothing.
    """

    def __init__(self, record: RecordMap) -> None:
        self.columns = {table.part: table.columns for table in record.tables}
        self.places = [(part, column) for part, columns in self.columns.items() for column in columns]
        shifts = {place: _BITS * i for i, place in enumerate(self.places)}
        self._shifts = {
            part: [(column, shifts[part, column]) for column in columns]
            for part, columns in self.columns.items()
        }
        named = "\0".join(f"{part}\0{column}" for part, column in self.places)
        # The share of the main table.
        self.main = (1 << _BITS * len(self.columns[0])) - 1
        self.form = hashlib.sha256(named.encode()).hexdigest()[:16]

    def of(self, images: Mapping[int, Image | None]) -> int:
        """The print of a whole record; a row that is not there is as one of nulls."""
        total = 0
        for part, image in images.items():
            if image:
                for column, shift in self._shifts.get(part, ()):
                    value = image.get(column)
                    if value is not None:
                        total |= value_print(value) << shift
        return total

    def step(self, part: int, old: Image | None, new: Image | None) -> int:
        """By how much the print moves when a row of one table changes."""
        if not old or not new:
            return minus(self.of({part: new}), self.of({part: old}))
        moved = 0
        for column, shift in self._shifts.get(part, ()):
            before, after = old.get(column), new.get(column)
            if before != after or type(before) is not type(after):
                moved |= (value_print(after) - value_print(before) & _MASK) << shift
        return moved

    def differing(self, known: int, found: int) -> list[tuple[int, str]]:
        """(part, column) of those whose value is not as it was known."""
        apart = known ^ found
        return [place for i, place in enumerate(self.places) if apart >> (_BITS * i) & _MASK]

    def nulls(self, known: int) -> set[tuple[int, str]]:
        """(part, column) of those that were null."""
        return {place for i, place in enumerate(self.places) if not known >> (_BITS * i) & _MASK}


def written(number: int) -> str:
    """A print as the shadow keeps it."""
    return f"{number:x}"


class Effect(NamedTuple):
    """What captured rows of one record do to its print: begin anew if `reset`, then move by `step`. Of the
    bits of `over` it is only what `step` says. `life`: of which life the last of them is."""

    reset: bool
    step: int
    over: int = 0
    life: int = 0

    def on(self, row_print: str | None, life: int | None) -> str | None:
        """An unknown print stays unknown, unless the record began or ended meanwhile. `life`: that of the row
        which has the local id now, if there is one; if that is a later one, it is none of this (R14)."""
        if life is not None and life > self.life:
            return row_print
        if self.reset:
            return written(self.step)
        return None if row_print is None else written(plus(int(row_print, 16) & ~self.over, self.step))


@dataclass
class _Course:
    """One record's captured rows, followed. `gone`: its main row was deleted, and none came since. `main`:
    the main table's share, where its row was put over one that is known to be there; else 0."""

    main: int = 0
    step: int = 0
    reset: bool = False
    gone: bool = False
    over: int = 0
    life: int = 0

    def follow(self, row: Captured, moved: int) -> None:
        self.life = max(self.life, row.incarnation)
        if row.part == 0 and row.op == DELETE:
            self.step, self.reset, self.gone = 0, True, True
        elif row.part == 0 and row.op == INSERT and self.main and not self.reset:
            self.step, self.over = plus(self.step & ~self.main, moved), self.main
        elif row.part == 0 and row.op == INSERT:
            # Whatever was left of an earlier life; rows of parts that came before belong to this one.
            self.step, self.reset, self.gone = plus(self.step, moved), True, False
        elif not (self.gone and row.op == DELETE):
            # A part that vanishes after its record took its share of the print along with it.
            self.step = plus(self.step, moved)


def effects(
    rows: Iterable[Captured],
    printers: Mapping[str, RowPrinter],
    over: Collection[tuple[str, str]] = (),
) -> dict[str, dict[str, Effect]]:
    """By record type and local id: what these rows of the queue do to prints, in the order of `seq`.

    `over`: (record type, local id) of those whose row was put over one that is known to be there.
    """
    courses: dict[str, dict[str, _Course]] = {}
    for row in rows:
        if row.op not in (INSERT, UPDATE, DELETE) or row.txid == SWEPT or row.record not in printers:
            continue
        printer = printers[row.record]
        main = printer.main if (row.record, row.local_id) in over else 0
        course = courses.setdefault(row.record, {}).setdefault(row.local_id, _Course(main))
        course.follow(row, printer.step(row.part, row.old, row.new))
    return {
        record: {
            local_id: Effect(course.reset, course.step, course.over, course.life)
            for local_id, course in by_id.items()
        }
        for record, by_id in courses.items()
    }


def size(image: Image | None) -> int:
    """About how many bytes a row's values took on their way here."""
    return sum(len(str(value)) for value in (image or {}).values())


def printers(records: Mapping[str, Any]) -> dict[str, RowPrinter]:
    return {name: RowPrinter(record) for name, record in records.items()}
