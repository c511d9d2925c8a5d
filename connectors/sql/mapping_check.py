"""Whether a mapping fits the contract and the agreement: everything that is wrong, at once, with places."""

from __future__ import annotations

import datetime
import zoneinfo
from collections.abc import Collection, Iterator
from pathlib import Path

from connectors.sql.mapping import FieldMap, JoinMap, Mapping, RecordMap, TableMap
from connectors.sql.mapping_reader import Problem, read_mapping, suggestion
from hub.contracts.agreements import Agreement
from hub.contracts.records import Catalogue, FieldSpec, RecordType
from hub.errors import ConfigurationError


def load_mapping(path: Path, catalogue: Catalogue, agreement: Agreement | None = None) -> Mapping:
    """A mapping that can be worked with; raises `ConfigurationError` that lists all that is wrong."""
    mapping, problems = read_mapping(path)
    problems += check_mapping(mapping, catalogue, agreement)
    errors = [problem.line(path) for problem in sorted(problems, key=lambda p: p.at) if not problem.warning]
    if errors:
        raise ConfigurationError("\n".join(("the mapping is wrong:", *errors)))
    return mapping


def check_mapping(mapping: Mapping, catalogue: Catalogue, agreement: Agreement | None) -> list[Problem]:
    """What does not fit the record types, and, as warnings, what the agreement does not cover."""
    problems = list(_timezone(mapping))
    if agreement is not None and agreement.agency != mapping.agency:
        message = f"agency {mapping.agency!r}: the agreement is {agreement.agency!r}'s"
        problems.append(Problem(mapping.at, message))
    for name, record_map in mapping.records.items():
        record = catalogue.records.get(name)
        if record is None:
            hint = suggestion(name, catalogue.records)
            problems.append(Problem(record_map.at, f"no record type {name!r}{hint}"))
            continue
        problems += _record(record_map, record, mapping.records)
        if agreement is not None:
            problems += _agreed(record_map, agreement)
    return problems


def _timezone(mapping: Mapping) -> Iterator[Problem]:
    try:
        zoneinfo.ZoneInfo(mapping.timezone)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError):
        # OSError: a folder of zones, or a name too long for a file.
        yield Problem(
            mapping.at, f"timezone {mapping.timezone!r} is unknown: use a name like Africa/El_Aaiun"
        )


def _reference(item: FieldMap, spec: FieldSpec, mapped: Collection[str]) -> Iterator[Problem]:
    if spec.reference and spec.reference not in mapped:
        message = f"{item.field} refers to a {spec.reference}, which this file does not map"
        yield Problem(item.at, f"{message}: such records would wait for ever")


def _record(record_map: RecordMap, record: RecordType, mapped: Collection[str]) -> Iterator[Problem]:
    seen: dict[str, str] = {}
    for table in record_map.tables:
        if not table.field_names:
            yield Problem(table.at, f"table {table.table}: no field is mapped to it")
        yield from _columns(table)
        for item in table.fields:
            yield from _known(item.field, item.at, record, seen, table)
            if item.field in record.by_name:
                yield from _field(item, record.by_name[item.field])
                yield from _reference(item, record.by_name[item.field], mapped)
        for join in table.joined:
            yield from _joined(join, record, seen, table)


def _known(
    name: str, at: tuple[int, int], record: RecordType, seen: dict[str, str], table: TableMap
) -> Iterator[Problem]:
    if name not in record.by_name:
        yield Problem(at, f"{record.name} has no field {name!r}{suggestion(name, record.by_name)}")
    elif name in seen:
        yield Problem(at, f"field {name} is mapped twice: it is in table {seen[name]} already")
    seen.setdefault(name, table.table)


def _columns(table: TableMap) -> Iterator[Problem]:
    """Two fields in one column would overwrite each other; the key is not the hub's to write."""
    owners: dict[str, str] = {}
    places = [(item.columns, item.field, item.at) for item in table.fields]
    places += [((join.column,), "/".join(join.fields), join.at) for join in table.joined]
    for columns, owner, at in places:
        for column in columns:
            if column in owners:
                yield Problem(at, f"column {column!r} already holds {owners[column]}; use `joined` for both")
            if column == table.key:
                yield Problem(at, f"column {column!r} is the key: it cannot hold a field too")
            owners.setdefault(column, owner)
    for column in set(table.fixed) & set(owners):
        yield Problem(table.at, f"column {column!r} is fixed: it cannot hold {owners[column]} too")


def _field(item: FieldMap, spec: FieldSpec) -> Iterator[Problem]:
    if item.codes:
        yield from _codes(item, spec)
    if item.format is not None:
        yield from _format(item, spec)
    if len(item.columns) > 1:
        yield from _split(item, spec)
    if item.separator == "" and spec.kind == "strings":
        yield Problem(item.at, f"{item.field}: an empty separator cannot part a list")
    if len(set(item.prefix.values())) < len(item.prefix):
        yield Problem(
            item.at, f"{item.field}: two local beginnings become the same; one cannot be written back"
        )


def _codes(item: FieldMap, spec: FieldSpec) -> Iterator[Problem]:
    if spec.reference:
        yield Problem(item.at, f"{item.field} refers to a {spec.reference}: it holds local ids, not codes")
    first: dict[str, str] = {}
    for local, code in item.codes.items():
        at = item.codes_at.get(local, item.at)
        if spec.codes and code not in spec.codes:
            yield Problem(at, f"{item.field} has no code {code!r}{suggestion(code, spec.codes)}")
        if code in first:
            message = (
                f"{item.field}: {local!r} and {first[code]!r} both mean {code!r}; {first[code]!r} is written"
            )
            yield Problem(at, message, warning=True)
        first.setdefault(code, local)
    missing = [code for code in spec.codes if code not in first]
    if missing:
        message = f"{item.field}: no local code for {', '.join(missing)}: such values will be refused here"
        yield Problem(item.at, message, warning=True)


# Days that a lossy format gives away: centuries, a day above 12, a month beside it.
_PROBES = (datetime.date(1934, 2, 27), datetime.date(2031, 12, 5), datetime.date(1969, 1, 1))


def _format(item: FieldMap, spec: FieldSpec) -> Iterator[Problem]:
    if spec.kind != "date":
        yield Problem(item.at, f"{item.field}: `format` is for dates; this field is a {spec.kind}")
        return
    for day in _PROBES:
        try:
            parsed = datetime.datetime.strptime(day.strftime(item.format or ""), item.format or "")  # noqa: DTZ007
            back = parsed.date()
        except ValueError as error:
            yield Problem(item.at, f"{item.field}: format {item.format!r}: {error}")
            return
        if back != day:
            yield Problem(
                item.at, f"{item.field}: format {item.format!r} loses information: {day} becomes {back}"
            )
            return


def _split(item: FieldMap, spec: FieldSpec) -> Iterator[Problem]:
    if spec.kind not in ("string", "date"):
        yield Problem(item.at, f"{item.field}: a value of kind {spec.kind} cannot be split over columns")
    if not item.separator and not item.lengths:
        message = (
            f"{item.field}: say where to split: a `separator`, or the `lengths` of all columns but the last"
        )
        yield Problem(item.at, message)
    if item.lengths and len(item.lengths) < len(item.columns) - 1:
        yield Problem(item.at, f"{item.field}: `lengths` needs {len(item.columns) - 1} numbers")


def _joined(join: JoinMap, record: RecordType, seen: dict[str, str], table: TableMap) -> Iterator[Problem]:
    for name in join.fields:
        yield from _known(name, join.at, record, seen, table)
        spec = record.by_name.get(name)
        if spec is not None and (spec.kind != "string" or spec.reference):
            yield Problem(join.at, f"{name}: only plain text can share a column")


def _agreed(record_map: RecordMap, agreement: Agreement) -> Iterator[Problem]:
    says = agreement.publishes.get(record_map.record_type, frozenset())
    hears = {f for grant in agreement.receives.get(record_map.record_type, ()) for f in grant.fields}
    if not says and not hears:
        message = f"the agreement of {agreement.agency} has no {record_map.record_type}: nothing will flow"
        yield Problem(record_map.at, message, warning=True)
        return
    for table in record_map.tables:
        places = {item.field: item.at for item in table.fields}
        places |= {name: join.at for join in table.joined for name in join.fields}
        for name, at in places.items():
            if name not in says and name not in hears:
                yield Problem(at, f"{name} is not in the agreement of {agreement.agency}", warning=True)
    for name in sorted((says | hears) - set(record_map.field_names)):
        message = f"{record_map.record_type}.{name} is in the agreement, but no column holds it"
        yield Problem(record_map.at, message, warning=True)
