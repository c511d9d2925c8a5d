"""Changes, said briefly: by an agency, of one of its records, at a minute of the tests' day."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from hub.contracts.records import FieldSpec
from hub.contracts.values import decode, encode
from hub.contracts.wire import elements
from hub.core import stamps
from hub.core.assertions import Change, RecordKey
from hub.core.epochs import FIRST
from hub.core.settle import Delivery
from support.contracts import CATALOGUE, IDS, TODAY

_START_MS = TODAY * 24 * 3600 * 1000


def minute(number: float, counter: int = 0) -> int:
    """The stamp of a minute of the tests' day."""
    return stamps.at(_START_MS + int(number * 60_000), counter)


def key(agency: str, local_id: str, record_type: str = "person", incarnation: int = 0) -> RecordKey:
    return RecordKey(agency, record_type, local_id, incarnation)


def record_id(record: RecordKey) -> bytes:
    """The hub's id of a record; the entity it founds has the same."""
    return IDS.record(*record)


def said(
    record: RecordKey,
    at_minute: float,
    operation: str = "update",
    *,
    counter: int = 0,
    asserted: int | None = None,
    entity: bytes | None = None,
    stale: dict[str, Any] | None = None,
    removed: dict[str, Iterable[str]] | None = None,
    withheld: tuple[str, ...] = (),
    confirmed: bool = False,
    event_id: str = "",
    actor: str | None = None,
    epoch: int = FIRST,
    **values: Any,
) -> Change:
    """A change as intake has it after reading. Lists are elements added, `removed` those taken away."""
    specs = CATALOGUE.records[record.record_type].by_name
    stamp = minute(at_minute, counter)
    change = Change(
        key=record,
        operation=operation,
        stamp=stamp,
        effective=stamp if asserted is None else asserted,
        event_id=event_id or f"{record.agency}-{record.local_id}-{record.incarnation}-{at_minute}-{counter}",
        entity=entity,
        withheld=withheld,
        confirmed=confirmed,
        actor=actor,
        epoch=epoch,
    )
    for name, value in values.items():
        if specs[name].kind == "strings":
            change.added[name] = _elements(record, name, value)
            change.removed.setdefault(name, [])
        else:
            change.values[name] = encode(specs[name], value)
    for name, items in (removed or {}).items():
        change.added.setdefault(name, [])
        change.removed[name] = _elements(record, name, items)
    change.stale = {name: encode(specs[name], value) for name, value in (stale or {}).items()}
    return change


def _elements(record: RecordKey, name: str, items: Iterable[str]) -> list[bytes]:
    spec = CATALOGUE.records[record.record_type].by_name[name]
    return [raw for item in items if (raw := encode(spec, item)) is not None]


def encoded(record_type: str, name: str, value: Any) -> bytes:
    """The canonical bytes of a value of one field (of one element, for a list field)."""
    raw = encode(CATALOGUE.records[record_type].by_name[name], value)
    assert raw is not None
    return raw


def shown(delivery: Delivery) -> dict[str, Any]:
    """The fields that a delivery speaks of, as Python values; a reference is the agency's own name."""
    record = CATALOGUE.records[delivery.record_type]
    return {
        name: _decoded(record.by_name[name], delivery.content.values.get(name))
        for name in delivery.content.fields
    }


def _decoded(spec: FieldSpec, raw: bytes | None) -> Any:
    if raw is None:
        return None
    return [decode(spec, item) for item in elements(raw)] if spec.kind == "strings" else decode(spec, raw)
