"""A plan or a report of a join as a sheet of tables: the same for a terminal and for a page."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from hub.contracts.notices import label
from hub.contracts.records import Catalogue, RecordType
from hub.ops.dlq_view import printable
from hub.ops.join_counts import (
    EMPTIED,
    FILLED,
    REPLACED,
    Example,
    FieldChanges,
    JoinCounts,
    Tally,
    TypeCounts,
)
from hub.ops.join_words import word

_OUTCOMES = (FILLED, REPLACED, EMPTIED)


class Table(NamedTuple):
    """A table with a title; `rows` have as many cells as `head`."""

    title: str
    head: tuple[str, ...]
    rows: Sequence[tuple[str, ...]]


class Section(NamedTuple):
    """One record type: its tables, and sentences."""

    title: str
    tables: list[Table]
    notes: list[str]


class Sheet(NamedTuple):
    """All of it, in one language."""

    language: str
    title: str
    notes: list[str]
    sections: list[Section]


@dataclass(frozen=True)
class SheetMaker:
    """Makes the sheet of one plan or report in `language`."""

    catalogue: Catalogue
    language: str
    kind: str = "plan"

    def sheet(self, found: JoinCounts, *, revealed: bool) -> Sheet:
        notes = [self._say(f"{found.kind}_at", at=found.at)]
        if found.sampled:
            types = ", ".join(name for name, one in found.types.items() if one.more)
            notes.append(self._say("sampled", types=types))
        if not revealed:
            notes.append(self._say("covered"))
        title = self._say(found.kind, agency=found.agency)
        return Sheet(self.language, title, notes, [self._section(*one) for one in found.types.items()])

    def _say(self, name: str, **values: object) -> str:
        return word(name, self.language, **values)

    def _head(self, *names: str) -> tuple[str, ...]:
        return tuple(self._say(name) for name in names)

    def _section(self, name: str, one: TypeCounts) -> Section:
        record = self.catalogue.records[name]
        tables = [
            Table(self._say("records"), self._head("records", "number"), list(self._records(one))),
            self._wrong("unusable", record, one.refused),
            self._wrong("unread", record, one.unread),
            self._doubts(one),
            self._waits(record, one),
            self._here(record, one),
            self._refusals(one),
            self._elsewhere(record, one),
        ]
        brake = f"{self.kind}_held" if one.brake.held else f"{self.kind}_passes"
        numbers = {"overwriting": one.brake.overwriting, "limit": one.brake.limit, "live": one.brake.live}
        return Section(name, [table for table in tables if table.rows], [self._say(brake, **numbers)])

    def _records(self, one: TypeCounts) -> Iterator[tuple[str, str]]:
        """How many were read, and of each kind that there is."""
        yield self._say("rows"), str(one.rows)
        none: Mapping[str, int] = {}
        for name, number, reasons in (
            ("known", one.known, none),
            ("matched", one.matched.total(), one.matched),
            ("uncertain", one.uncertain.total(), one.uncertain),
            ("new", one.new, none),
            ("duplicates", one.duplicates, none),
            ("refused", sum(those.number for those in one.refused.values()), none),
            ("silent", one.silent, none),
            ("merged", one.merged, none),
        ):
            if number:
                yield self._say(name), str(number)
            for reason, those in sorted(reasons.items()):
                yield f"– {self._say(reason)}", str(those)

    def _wrong(self, title: str, record: RecordType, table: Mapping[Any, Tally]) -> Table:
        rows = [
            (self._field(record, name), column, self._say(code), *_counted(those))
            for (code, name, column), those in sorted(table.items())
        ]
        return Table(self._say(title), self._head("field", "column", "reason", "number", "examples"), rows)

    def _doubts(self, one: TypeCounts) -> Table:
        rows = [
            (self._say(reason), fields, *_counted(those))
            for (reason, fields), those in sorted([*one.reviews.items(), *one.held.items()])
        ]
        return Table(self._say("reviews"), self._head("reason", "field", "number", "examples"), rows)

    def _waits(self, record: RecordType, one: TypeCounts) -> Table:
        rows = [
            (self._field(record, name), self._say(why), *_counted(those))
            for (name, why), those in sorted(one.waiting.items())
        ]
        return Table(
            self._say(f"{self.kind}_waiting"), self._head("field", "reason", "number", "examples"), rows
        )

    def _here(self, record: RecordType, one: TypeCounts) -> Table:
        rows = [
            (self._field(record, name), *self._changed(changes)) for name, changes in sorted(one.here.items())
        ]
        title = self._say(f"{self.kind}_here", rows=one.here_rows)
        return Table(title, self._head("field", *_OUTCOMES, "rule", "examples"), rows)

    def _refusals(self, one: TypeCounts) -> Table:
        rows = [
            (column, self._say(code), *_counted(those))
            for (code, column), those in sorted(one.here_refused.items())
        ]
        return Table(self._say("here_refused"), self._head("column", "reason", "number", "examples"), rows)

    def _elsewhere(self, record: RecordType, one: TypeCounts) -> Table:
        rows: list[tuple[str, ...]] = []
        for agency, there in sorted(one.elsewhere.items()):
            for name, number in (("created", there.created), ("ended", there.ended)):
                if number:
                    rows.append((agency, self._say(name), str(number), "", "", "", ""))
            rows += [
                (agency, self._field(record, name), *self._changed(changes))
                for name, changes in sorted(there.fields.items())
            ]
        return Table(
            self._say(f"{self.kind}_elsewhere"),
            self._head("agency", "field", *_OUTCOMES, "rule", "examples"),
            rows,
        )

    def _changed(self, changes: FieldChanges) -> tuple[str, ...]:
        rules = ", ".join(f"{self._say(name)}: {n}" for name, n in sorted(changes.rules.items()))
        numbers = [str(changes.outcomes[name]) for name in _OUTCOMES]
        return (*numbers, rules, _shown(changes.examples))

    def _field(self, record: RecordType, name: str) -> str:
        named = label(record, name, self.language)
        return name if named == name else f"{named} ({name})"


def _counted(those: Tally) -> tuple[str, str]:
    return str(those.number), _shown(those.examples)


def _shown(examples: Iterable[Example]) -> str:
    return "; ".join(_example(one) for one in examples)


def _example(one: Example) -> str:
    values = f": {one.before or '∅'} → {one.after or '∅'}" if one.before or one.after else ""
    why = f" [{one.why}]" if one.why else ""
    return f"{one.key}{values}{why}"


def lines(sheet: Sheet) -> Iterator[str]:
    """For a terminal: columns in line, one table below the other."""
    yield sheet.title
    yield from sheet.notes
    for section in sheet.sections:
        yield ""
        yield f"== {section.title}"
        for table in section.tables:
            yield ""
            yield table.title
            yield from _aligned([table.head, *table.rows])
        yield ""
        yield from section.notes


def _aligned(rows: Sequence[tuple[str, ...]]) -> Iterator[str]:
    shown = [tuple(printable(cell) for cell in row) for row in rows]
    widths = [max(len(row[place]) for row in shown) for place in range(len(shown[0]))]
    for row in shown:
        yield "  " + "  ".join(c.ljust(w) for c, w in zip(row, widths, strict=True)).rstrip()
