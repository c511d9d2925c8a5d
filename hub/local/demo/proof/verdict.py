"""The verdict: rows laid beside what they should be, compared one by one, digested on both sides."""

from __future__ import annotations

import hashlib
import json
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

from hub.local.demo.agencies.reading import Held
from hub.local.demo.kept import Kept
from hub.local.demo.proof.entitled import Entitled, Place

# agency → record type → local id → field → value: `agencies.reading.read_table` for all of them.
Rows = Mapping[str, Mapping[str, Mapping[str, Held]]]


@dataclass
class Sheet:
    """One agency's records of one type. `problems`: what is wrong, without any personal value.

    `rows`: in its table; `entitled`: entities that it may hold; `duplicates`: further rows of a person
    who has one already (R21), which receive nothing. The digests do not depend on any order.
    """

    agency: str
    record_type: str
    rows: int
    entitled: int
    duplicates: int
    held_digest: str
    entitled_digest: str
    problems: list[str] = field(default_factory=list)

    @property
    def equal(self) -> bool:
        return self.held_digest == self.entitled_digest and not self.problems


@dataclass
class Verdict:
    """The whole proof.

    `compared`: pairs of values of one field of one entity at two agencies that may both hold it, taken
    from the rows alone; `disagreeing`: such pairs that differ. `golden_differs`: entities whose published
    golden record is not what the assertions amount to.
    """

    sheets: list[Sheet]
    compared: int
    disagreeing: list[str]
    golden_published: int
    golden_differs: list[str]

    @property
    def proven(self) -> bool:
        return all(sheet.equal for sheet in self.sheets) and not self.disagreeing and not self.golden_differs

    def problems(self) -> list[str]:
        """Everything that is wrong, worst first."""
        return [
            *(problem for sheet in self.sheets for problem in sheet.problems),
            *self.disagreeing,
            *self.golden_differs,
        ]


def judge(rows: Rows, fields: Mapping[tuple[str, str], tuple[str, ...]], entitled: Entitled) -> list[Sheet]:
    """A sheet per agency and record type. `fields`: those that the agency has columns for."""
    return [
        _sheet(agency, record_type, held, fields[agency, record_type], entitled)
        for agency, tables in rows.items()
        for record_type, held in tables.items()
    ]


def _sheet(
    agency: str, record_type: str, held: Mapping[str, Held], fields: tuple[str, ...], entitled: Entitled
) -> Sheet:
    allowed = entitled.fields[agency, record_type]
    problems: list[str] = []
    actual: dict[str, Held] = {}
    duplicates = 0
    for local_id, row in held.items():
        place = (agency, record_type, local_id)
        entity = entitled.entity_at(place)
        if entity is None:
            problems.append(f"{_named(place)}: a row that the hub does not know")
            actual[f"unknown {local_id}"] = row
        elif _is_primary(entitled, place, entity):
            actual[entity] = _with_entities(row, agency, record_type, entitled)
        else:
            duplicates += 1
    wanted = {
        entity: _wanted(agency, record_type, entity, fields, allowed.get(entity, frozenset()), entitled)
        for entity in {*allowed, *(e for e in actual if e in entitled.things)}
    }
    problems += _differences(agency, record_type, actual, wanted)
    digests = digest(actual), digest(wanted)
    return Sheet(agency, record_type, len(held), len(wanted), duplicates, *digests, problems)


def _is_primary(entitled: Entitled, place: Place, entity: str) -> bool:
    primary = entitled.things[entity].primary(place[0])
    return primary is not None and primary.key.local_id == place[2]


def _with_entities(row: Held, agency: str, record_type: str, entitled: Entitled) -> Held:
    """The row with the entities that it refers to in place of the agency's own ids of them."""
    resolved = dict(row)
    for spec in entitled.references(record_type):
        if resolved.get(spec.name) is not None:
            place = (agency, spec.reference or "", resolved[spec.name])
            resolved[spec.name] = entitled.entity_at(place) or f"unknown {resolved[spec.name]}"
    return resolved


def _wanted(
    agency: str,
    record_type: str,
    entity: str,
    fields: tuple[str, ...],
    allowed: frozenset[str],
    entitled: Entitled,
) -> Held:
    """What the agency's row should hold: golden values where it may, else only what it says itself."""
    thing = entitled.things[entity]
    primary = thing.primary(agency)
    wanted: Held = {}
    for name in fields:
        if name in allowed:
            wanted[name] = thing.values[name]
        elif primary is None:
            wanted[name] = None
        else:
            wanted[name] = entitled.asserted((agency, record_type, primary.key.local_id), name)
    return wanted


def _differences(
    agency: str, record_type: str, actual: Mapping[str, Held], wanted: Mapping[str, Held]
) -> Iterable[str]:
    where = f"{agency}: {record_type}"
    for entity in sorted(wanted.keys() - actual.keys()):
        yield f"{where} {entity}: entitled to it, and has no row"
    for entity in sorted(wanted.keys() & actual.keys()):
        wrong = [name for name in wanted[entity] if actual[entity].get(name) != wanted[entity][name]]
        if wrong:
            yield f"{where} {entity}: holds another value of {', '.join(wrong)} than it should"


def compare(
    rows: Rows, fields: Mapping[tuple[str, str], tuple[str, ...]], entitled: Entitled
) -> tuple[int, list[str]]:
    """(pairs of values compared, those that differ) between agencies that may hold the same field."""
    shared: dict[tuple[str, str], list[tuple[str, Any]]] = defaultdict(list)
    for agency, tables in rows.items():
        for record_type, held in tables.items():
            allowed = entitled.fields[agency, record_type]
            for local_id, row in held.items():
                place = (agency, record_type, local_id)
                entity = entitled.entity_at(place)
                if entity in allowed and entity is not None and _is_primary(entitled, place, entity):
                    resolved = _with_entities(row, agency, record_type, entitled)
                    for name in allowed[entity] & set(fields[agency, record_type]):
                        shared[entity, name].append((agency, resolved.get(name)))
    compared, differing = 0, []
    for (entity, name), values in shared.items():
        for (one, left), (other, right) in pairwise(values):
            compared += 1
            if left != right:
                differing.append(f"{entity}: {name} is not the same at {one} and {other}")
    return compared, differing


def golden_differences(kept: Kept, entitled: Entitled) -> tuple[int, list[str]]:
    """(golden records published, those that are not what the assertions amount to)."""
    published = {entity: one for of_type in kept.golden.values() for entity, one in of_type.items()}
    differing = []
    for entity, thing in entitled.things.items():
        event = published.get(entity)
        if event is None:
            differing.append(f"{entity}: no golden record was published")
            continue
        image = event["record"] or {}
        said = {name: _plain(image.get(name)) for name in event["fields"]}
        wrong = [
            name
            for name in sorted({*said, *thing.values})
            if name not in said or name not in thing.values or said[name] != _plain(thing.values[name])
        ]
        if wrong or event["live"] != thing.live:
            differing.append(f"{thing.record_type} {entity}: golden published otherwise: {', '.join(wrong)}")
    for entity in published.keys() - entitled.things.keys():
        if published[entity]["live"] and published[entity]["merged_into"] is None:
            differing.append(f"{entity}: a golden record was published, and nothing stands behind it")
    return len(published), differing


def _plain(value: Any) -> Any:
    return (sorted(value) or None) if isinstance(value, list) else value


def digest(contents: Mapping[str, Held]) -> str:
    """16 hexadecimal digits of all rows, in whatever order they come."""
    lines = sorted(
        json.dumps([entity, sorted(_filled(row).items())], ensure_ascii=False, default=str)
        for entity, row in contents.items()
    )
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()[:16]


def _filled(row: Held) -> Held:
    """An empty column holds nothing, as one that is not there."""
    return {name: value for name, value in row.items() if value is not None}


def _named(place: Place) -> str:
    return f"{place[0]}: {place[1]} {place[2]}"
