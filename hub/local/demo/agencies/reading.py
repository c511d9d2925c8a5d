"""Read an agency's tables back in the hub's terms: the reverse of how a population was written into them.

Not by the connectors' mapping files: whoever checks their work must not read through their eyes.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import date, datetime
from typing import Any

from hub.contracts.records import FieldSpec, RecordType
from hub.contracts.values import InvalidValue, normalise
from hub.local.demo.agencies.tables import Column, Table
from hub.local.demo.desk import Desk

Row = Mapping[str, Any]
# Field → value in the hub's terms, as `hub.contracts.values.normalise` gives it; None: empty.
Held = dict[str, Any]


def read_table(desk: Desk, table: Table, record: RecordType) -> dict[str, Held]:
    """Every row of a record type by local id. References are the agency's own local ids. Blocks.

    A value that cannot be read in the hub's terms is given as it is, so that it equals nothing.
    """
    columns, rows = _rows(desk, table)
    return {
        str(row[table.key]): _held(columns, row, record)
        | {name: None if row[at] is None else str(row[at]) for name, at in table.references.items()}
        for row in rows
    }


def fields_of(table: Table) -> tuple[str, ...]:
    """The hub's fields that the agency has columns for."""
    columns = (*table.columns, *(column for part in table.parts for column in part.columns))
    return tuple(dict.fromkeys([*(f for column in columns for f in column.fields), *table.references]))


def _rows(desk: Desk, table: Table) -> tuple[tuple[Column, ...], Iterator[Row]]:
    columns = list(table.columns)
    names = [f'm."{name}"' for name in (table.key, *(c.name for c in columns), *table.references.values())]
    joins = ""
    for number, part in enumerate(table.parts):
        names += [f'p{number}."{column.name}"' for column in part.columns]
        columns += part.columns
        joins += f' LEFT JOIN "{part.name}" p{number} ON p{number}."{part.key}" = m."{table.key}"'
    labels = [name.split(".", 1)[1].strip('"') for name in names]
    found = desk.ask(f'SELECT {", ".join(names)} FROM "{table.name}" m{joins}')  # noqa: S608 — our own text
    return tuple(columns), (dict(zip(labels, row, strict=True)) for row in found)


def _held(columns: tuple[Column, ...], row: Row, record: RecordType) -> Held:
    held: Held = {}
    for names in dict.fromkeys(column.fields for column in columns):
        sharing = [column for column in columns if column.fields == names]
        for name, raw in _raw(sharing, names, row).items():
            held[name] = _normal(record.by_name[name], raw)
    return held


def _raw(columns: list[Column], names: tuple[str, ...], row: Row) -> dict[str, Any]:
    """The fields that these columns hold together."""
    values = [row[column.name] for column in columns]
    first = columns[0]
    if any(value is None for value in values):
        return dict.fromkeys(names)
    if len(names) > 1:
        return dict(zip(names, str(values[0]).split(first.separator), strict=False))
    (name,) = names
    if first.form:
        form = " ".join(column.form for column in columns)
        return {name: _date(" ".join(map(str, values)), form)}
    if first.codes:
        codes = {local: code for code, local in first.codes.items()}
        return {name: codes.get(values[0], values[0])}
    if first.separator:
        return {name: [item for item in values[0].split(first.separator) if item]}
    return {name: values[0]}


def _date(text: str, form: str) -> date | str:
    try:
        return datetime.strptime(text, form).date()  # noqa: DTZ007 — a day, not a moment
    except ValueError:
        return text


def _normal(spec: FieldSpec, raw: Any) -> Any:
    try:
        value = normalise(spec, raw)
    except InvalidValue:
        return f"unreadable: {raw!r}"
    return None if value == [] else value
