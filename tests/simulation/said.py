"""What agencies said: their changes topics, decoded, and folded into what every record asserts.

The rules are written down a second time, without `hub.core`: R3, R8, R10, R11, R14, R15.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import fastavro

from hub.contracts import topics
from hub.contracts.agreements import Agreement
from hub.contracts.wire import read, unframe
from simulation.broker import Broker
from simulation.forms import Values

# How far ahead of the broker's clock a stamp counts: the number of the contract, not of the code.
AHEAD_MS = 5 * 60 * 1000
# Lives of one epoch: those of a later one are counted from further up (R24).
LIVES_BITS = 16


class Name(NamedTuple):
    """One life of a local record."""

    agency: str
    record_type: str
    local_id: str
    incarnation: int


class Saying(NamedTuple):
    """One change as it stands in its topic, since `at_ms`; `stamp`: what its values are ranked by."""

    name: Name
    stamp: int
    change: Mapping[str, Any]
    at_ms: int

    def value(self, field_name: str) -> Any:
        return (self.change["record"] or {}).get(field_name)


class Meant(NamedTuple):
    """A reference of a record that was lost: to the last life of a local id before these."""

    local_id: str
    below: int


@dataclass
class Record:
    """What one life of a local record amounts to. Values are kept with their stamps."""

    name: Name
    born: int = 0
    ended: int = 0
    returned: bool = False
    linked: str | None = None
    # Whom a row was made for, as it was said first: after a restore it is said as what that has become.
    made_for: str | None = None
    # Of the agency's epochs (R24): the latest in which the row was there, that of its last deletion, and the
    # one of which all was said, and in which it was missing.
    epoch: int = 0
    ended_in: int = 0
    missing_in: int = 0
    values: dict[str, tuple[int, Any]] = field(default_factory=dict)
    elements: dict[str, dict[str, tuple[int, bool]]] = field(default_factory=dict)

    @property
    def live(self) -> bool:
        return not self.ended

    @property
    def lost(self) -> bool:
        """Whether the agency's restored database has lost its row."""
        return self.live and self.missing_in > 0

    @property
    def speaks(self) -> bool:
        return self.live and bool(self.values or self.elements)

    def value(self, name: str) -> Any:
        return self.values.get(name, (0, None))[1]


class Schemas:
    """Parsed schemas by the registry's number."""

    def __init__(self, registry: Any) -> None:
        self._registry = registry
        self._parsed: dict[int, Any] = {}

    def decode(self, value: bytes) -> Any:
        number, body = unframe(value)
        if number not in self._parsed:
            self._parsed[number] = fastavro.parse_schema(self._registry.schema_by_id(number))
        return read(self._parsed[number], body)


def read_sayings(broker: Broker, schemas: Schemas) -> Iterator[Saying]:
    """All changes, partition by partition."""
    for (topic, _), log in sorted(broker.log.items()):
        if not topic.endswith(".changes"):
            continue
        agency, record_type = topics.split(topic)
        for message in log:
            change = schemas.decode(message.value or b"")
            name = Name(agency, record_type, change["local_id"], change["incarnation"])
            said = change["asserted"]
            if said is None:
                said = 0 if change["operation"] == "snapshot" else change["stamp"]
            bound = (message.timestamp + AHEAD_MS) << 16 | message.offset % 65_536
            yield Saying(name, min(said, bound), change, message.timestamp)


def fold(
    sayings: Iterator[Saying],
    specs: Mapping[str, Mapping[str, Any]],
    agreements: Mapping[str, Agreement],
    whole: Mapping[tuple[str, str], int],
) -> dict[Name, Record]:
    """What every record asserts. `whole`: (agency, record type) → the epoch of which all was said."""
    ends: dict[Name, list[tuple[int, int, bool]]] = {}
    records: dict[Name, Record] = {}
    for one in sayings:
        record = records.setdefault(one.name, Record(one.name))
        change, stamp = one.change, one.change["stamp"]
        record.born = min(record.born or stamp, stamp)
        if change["operation"] in ("delete", "unlink"):
            ends.setdefault(one.name, []).append((change["epoch"], stamp, change["operation"] == "unlink"))
            continue
        record.epoch = max(record.epoch, change["epoch"])
        if change["operation"] == "link":
            record.linked = max(record.linked or "", change["entity"])
            record.made_for = record.made_for or change["entity"]
        says = agreements[one.name.agency].publishes.get(one.name.record_type, frozenset())
        _join(record, one, specs[one.name.record_type], says)
    for name, record in records.items():
        _count_epochs(record, ends.get(name, ()), whole.get(name[:2], 0), specs[name.record_type])
    return records


def _count_epochs(
    record: Record, ends: Collection[tuple[int, int, bool]], whole: int, specs: Mapping[str, Any]
) -> None:
    """Whether it has ended, or is lost: a row that a later epoch has again lives again."""
    record.ended_in = max((epoch for epoch, _, _ in ends), default=0)
    last = [end for end in ends if end[0] == record.ended_in]
    if last and record.ended_in >= record.epoch:
        record.ended = max(stamp for _, stamp, _ in last)
        record.returned = any(unlinked for _, _, unlinked in last)
    elif record.epoch < whole:
        record.missing_in = whole
        for name, (stamp, value) in record.values.items():
            if specs[name].reference and value is not None:
                record.values[name] = stamp, Meant(value, whole << LIVES_BITS)


def _join(record: Record, one: Saying, specs: Mapping[str, Any], says: frozenset[str]) -> None:
    for name in says.intersection(one.change["changed"]):
        if specs[name].kind == "strings":
            mentioned = [(element, True) for element in one.value(name) or ()]
            mentioned += [(element, False) for element in one.change["removed"].get(name, ())]
            elements = record.elements.setdefault(name, {})
            for element, there in mentioned:
                elements[element] = max(elements.get(element, (-1, False)), (one.stamp, there))
        elif one.value(name) is not None or one.change["operation"] == "update":
            said, known = (one.stamp, one.value(name)), record.values.get(name)
            first = specs[name].merge == "immutable"
            if known is None or (earlier(said, known) if first else said[0] > known[0]):
                record.values[name] = said


def earlier(a: tuple[int, Any], b: tuple[int, Any]) -> bool:
    return (a[1] is None, a[0] == 0, a[0]) < (b[1] is None, b[0] == 0, b[0])


def plain(value: Any) -> Any:
    """A value as forms show it."""
    return (sorted(value) or None) if isinstance(value, list | tuple) else value


def shown(values: Mapping[str, Any]) -> Values:
    return {name: plain(value) for name, value in values.items()}
