"""The mapping: which tables and columns of an agency hold which record types and fields.

Plain data, read from YAML by `mapping_reader`. `at` is where in the file a thing stands (line and column,
from 1), so that every complaint can name its place.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping as MappingType
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

Place = tuple[int, int]
NOWHERE: Place = (0, 0)

# Where a wall-clock date is taken from an instant that was stored in UTC.
DEFAULT_TIMEZONE = "Africa/Casablanca"
# In which the agency's staff read notices; what every administration in Morocco reads.
DEFAULT_LANGUAGE = "ar"


@dataclass(frozen=True)
class FieldMap:
    """One field and the column, or columns, that hold it.

    `codes` is local code → contract code; `format` a date's strptime format; `separator` parts a list
    held in text, or a value split over columns (`lengths` instead: characters of each column);
    `prefix` is local beginning → contract beginning (a national telephone number's `0` → `+212`).
    """

    field: str
    columns: tuple[str, ...]
    codes: MappingType[str, str] = dataclasses.field(default_factory=dict)
    format: str | None = None
    separator: str | None = None
    lengths: tuple[int, ...] = ()
    prefix: MappingType[str, str] = dataclasses.field(default_factory=dict)
    strip: str = ""
    upper: bool = False
    at: Place = NOWHERE
    codes_at: MappingType[str, Place] = dataclasses.field(default_factory=dict)


@dataclass(frozen=True)
class JoinMap:
    """One column that holds several text fields, in this order, with `separator` between them."""

    column: str
    fields: tuple[str, ...]
    separator: str
    at: Place = NOWHERE


@dataclass(frozen=True)
class TableMap:
    """One table that holds a record type, or a part of it.

    `key` is the main table's primary key, or a part's foreign key to it; `generated` is `uuid` where
    neither the database nor the agency makes keys. `fixed` are columns that tell these rows from others
    in the same table, and are set in rows made here. `actor` is the column in which the agency's programs
    note who wrote the row.
    """

    part: int
    table: str
    key: str
    fields: tuple[FieldMap, ...] = ()
    joined: tuple[JoinMap, ...] = ()
    fixed: MappingType[str, str] = dataclasses.field(default_factory=dict)
    modified_at: str | None = None
    actor: str | None = None
    generated: str | None = None
    at: Place = NOWHERE
    key_at: Place = NOWHERE

    @cached_property
    def columns(self) -> tuple[str, ...]:
        """Columns that hold fields, each once: the only ones that capture reads (data minimisation)."""
        names = [column for item in self.fields for column in item.columns]
        return tuple(dict.fromkeys((*names, *(item.column for item in self.joined))))

    @cached_property
    def field_names(self) -> tuple[str, ...]:
        return (*(f.field for f in self.fields), *(name for j in self.joined for name in j.fields))


@dataclass(frozen=True)
class RecordMap:
    """A record type and its tables, the main one first."""

    record_type: str
    tables: tuple[TableMap, ...]
    at: Place = NOWHERE

    @property
    def main(self) -> TableMap:
        return self.tables[0]

    @cached_property
    def field_names(self) -> tuple[str, ...]:
        return tuple(name for table in self.tables for name in table.field_names)


@dataclass(frozen=True)
class Mapping:
    """A whole mapping file."""

    agency: str
    records: MappingType[str, RecordMap]
    path: Path
    timezone: str = DEFAULT_TIMEZONE
    language: str = DEFAULT_LANGUAGE
    at: Place = NOWHERE
