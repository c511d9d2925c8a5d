"""Words to say how an agency writes the hub's values down: a table, its columns, their encodings."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import date

from hub.local.demo.copies import Values

# From a copy's values to what the column holds; None where the copy says nothing of it.
Encoder = Callable[[Values], object]


@dataclass(frozen=True, slots=True)
class Column:
    """A column: the hub's fields that it holds, and how.

    `codes`: hub code → the agency's own. `separator`: between the fields that share it, or between the
    elements of a list. `form`: of a date kept as text, or the part of it that this column keeps.
    """

    name: str
    fields: tuple[str, ...]
    encode: Encoder
    codes: Mapping[str, str | int] = field(default_factory=dict)
    separator: str = ""
    form: str = ""


@dataclass(frozen=True, slots=True)
class Part:
    """A further table of the same record, one row each, with the same primary key."""

    name: str
    key: str
    columns: tuple[Column, ...]


@dataclass(frozen=True, slots=True)
class Table:
    """The main table of a record type.

    `new_key` is the SQL expression that makes a fresh primary key, or None where it is the highest
    one plus 1. `references`: the hub's reference field → the foreign key column; `targets`: the same
    field → the record type that it refers to, where that is called otherwise.
    """

    record_type: str
    name: str
    key: str
    new_key: str | None
    columns: tuple[Column, ...]
    references: Mapping[str, str] = field(default_factory=dict)
    targets: Mapping[str, str] = field(default_factory=dict)
    modified_at: str | None = None
    parts: tuple[Part, ...] = ()


def plain(name: str, hub_field: str) -> Column:
    """The value as it is; a list goes to an array column."""
    return Column(name, (hub_field,), lambda values: values.get(hub_field))


def coded(name: str, hub_field: str, codes: Mapping[str, str | int]) -> Column:
    """A code of the agency's own."""
    # Looked up by None where the copy says nothing, which no code list holds.
    return Column(name, (hub_field,), lambda values: codes.get(str(values.get(hub_field))), codes)


def joined(name: str, hub_fields: tuple[str, ...], separator: str) -> Column:
    """Several fields in one column, with `separator` between; None unless all are there."""

    def encode(values: Values) -> str | None:
        if any(hub_field not in values for hub_field in hub_fields):
            return None
        return separator.join(str(values[hub_field]) for hub_field in hub_fields)

    return Column(name, hub_fields, encode, separator=separator)


def listed(name: str, hub_field: str) -> Column:
    """A list as text with commas between."""

    def encode(values: Values) -> str | None:
        items = values.get(hub_field)
        return ",".join(items) if isinstance(items, list) else None

    return Column(name, (hub_field,), encode, separator=",")


def day(name: str, hub_field: str, form: str) -> Column:
    """A date as text, or a part of one: `form` is in the terms of `date.strftime`."""

    def encode(values: Values) -> str | None:
        value = values.get(hub_field)
        return value.strftime(form) if isinstance(value, date) else None

    return Column(name, (hub_field,), encode, form=form)
