"""What the agencies said: their `changes` topics decoded, and folded into what every record asserts.

The rules of folding are written down here a second time, without `hub.core.assertions`: per record and
field the greatest stamp stands, a deletion ends a record, an insert or a snapshot never asserts null (R8,
R10, R11).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import fastavro

from faults.kafka_log import Logged
from faults.ledger import Place
from hub.contracts.agreements import Agreement
from hub.contracts.events import EventSchemas
from hub.contracts.records import Catalogue, RecordType
from hub.contracts.topics import split
from hub.contracts.values import InvalidValue, normalise
from hub.contracts.wire import read, unframe
from hub.errors import SkipRecord

# How far ahead of the broker's clock a stamp may be: the number of the contract, not of the code.
_AHEAD_MS = 5 * 60 * 1000
# (agency, record type, local id, incarnation)
RecordName = tuple[str, str, str, int]


class Saying(NamedTuple):
    """One readable message of a `changes` topic. `stamp` is what its values are ranked by."""

    place: Place
    agency: str
    record_type: str
    stamp: int
    change: Mapping[str, Any]

    @property
    def record(self) -> RecordName:
        return self.agency, self.record_type, self.change["local_id"], self.change["incarnation"]

    def value(self, name: str) -> Any:
        return (self.change["record"] or {}).get(name)


@dataclass
class Asserted:
    """What one record amounts to.

    `values`: field → stamp → values said with that stamp; `elements`: the same of each element of a list,
    whether it is there. `ended`: the stamp of its deletion, or 0.
    """

    values: dict[str, dict[int, list[Any]]] = field(default_factory=dict)
    elements: dict[str, dict[str, dict[int, list[bool]]]] = field(default_factory=dict)
    ended: int = 0


@dataclass
class Said:
    """Everything that was said. `unreadable`: where what no reader can use stands."""

    sayings: list[Saying] = field(default_factory=list)
    unreadable: set[Place] = field(default_factory=set)


def read_said(messages: Iterable[Logged], catalogue: Catalogue, events: EventSchemas) -> Said:
    """Decode all messages of `changes` topics."""
    schemas = {name: fastavro.parse_schema(events.change(one)) for name, one in catalogue.records.items()}
    said = Said()
    for message in messages:
        agency, record_type = split(message.topic)
        place = message.topic, message.partition, message.offset
        try:
            change = read(schemas[record_type], unframe(message.value)[1])
            _check(catalogue.records[record_type], change)
        except SkipRecord:
            said.unreadable.add(place)
            continue
        said.sayings.append(Saying(place, agency, record_type, _stamp(change, message), change))
    return said


def _check(record: RecordType, change: Mapping[str, Any]) -> None:
    for name in change["changed"]:
        if name not in record.by_name:
            raise InvalidValue(name, "no such field")
        normalise(record.by_name[name], (change["record"] or {}).get(name))


def _stamp(change: Mapping[str, Any], message: Logged) -> int:
    said = change["asserted"]
    if said is None:
        said = 0 if change["operation"] == "snapshot" else change["stamp"]
    return min(said, (message.appended_ms + _AHEAD_MS) << 16)


def fold(
    sayings: Iterable[Saying], catalogue: Catalogue, agreements: Mapping[str, Agreement]
) -> dict[RecordName, Asserted]:
    """What every record asserts, in whatever order it was said."""
    records: dict[RecordName, Asserted] = {}
    for one in sayings:
        known = records.setdefault(one.record, Asserted())
        if one.change["operation"] in ("delete", "unlink"):
            known.ended = max(known.ended, one.change["stamp"])
            continue
        permitted = agreements[one.agency].publishes.get(one.record_type, frozenset())
        for name in permitted.intersection(one.change["changed"]):
            spec = catalogue.records[one.record_type].by_name[name]
            if spec.kind == "strings":
                _fold_elements(known, one, name)
            elif one.value(name) is not None or one.change["operation"] == "update":
                value = normalise(spec, one.value(name))
                known.values.setdefault(name, {}).setdefault(one.stamp, []).append(value)
    return records


def _fold_elements(known: Asserted, one: Saying, name: str) -> None:
    elements = known.elements.setdefault(name, {})
    for element in one.value(name) or ():
        elements.setdefault(element, {}).setdefault(one.stamp, []).append(True)
    for element in one.change["removed"].get(name, ()):
        elements.setdefault(element, {}).setdefault(one.stamp, []).append(False)


def repetitions_differ(said: Said) -> Iterable[str]:
    """Event ids under which an agency said different things: a change sent twice is the same change."""
    first: dict[tuple[str, str], Mapping[str, Any]] = {}
    for one in said.sayings:
        # Which entity an edit names is as its agency knows it then, and decides nothing (R16).
        change = {**one.change, "entity": None}
        if first.setdefault((one.agency, one.change["event_id"]), change) != change:
            yield f"{one.agency}: event {one.change['event_id']} was said twice, and not alike"
