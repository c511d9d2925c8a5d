"""From a message of a changes topic to a validated change, or to a dead letter (R2, R3, R6, R10)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from hub.contracts import topics
from hub.contracts.events import EventSchemas
from hub.contracts.records import Catalogue
from hub.contracts.values import SpecKey, canonical, encode_string
from hub.contracts.wire import ChangeReader, RawChange, unframe
from hub.core import stamps
from hub.core.assertions import Change, RecordKey
from hub.core.epochs import FIRST
from hub.core.projection import Terms
from hub.core.tokens import Ids
from hub.errors import SkipRecord
from hub.lanes.consents import CONSENT

# Ids become part of keys and indexes in several databases.
MAX_ID = 200
# What a dead letter says of its message; the message itself is kept whole.
_MAX_PRINTED = 500
_DAY_MS = 24 * 3600 * 1000
_WITHDRAWN = encode_string("withdrawn")


class Message(NamedTuple):
    """One Kafka message; `timestamp_ms` is the broker's append time."""

    topic: str
    partition: int
    offset: int
    timestamp_ms: int
    key: bytes | None
    value: bytes | None


class DeadLetter(NamedTuple):
    """A message that cannot be used, with what is wrong and where in it."""

    message: Message
    code: str
    path: str
    text: str


@dataclass
class Read:
    """What a batch of messages says: changes in order, each with its message, and dead letters."""

    changes: list[tuple[Change, Message]] = field(default_factory=list)
    dead: list[DeadLetter] = field(default_factory=list)


class Reading:
    """Reads changes by the contracts and agreements of this release."""

    def __init__(
        self,
        catalogue: Catalogue,
        events: EventSchemas,
        terms: Mapping[str, tuple[Terms, ...]],
        ids: Ids,
        schema_of: Callable[[int], Any],
    ) -> None:
        self._readers = {name: ChangeReader(record, events) for name, record in catalogue.records.items()}
        self._specs = {
            name: {spec.name: SpecKey(spec) for spec in record.fields}
            for name, record in catalogue.records.items()
        }
        self._publishes = {
            (one.agency, record_type): one.publishes for record_type, those in terms.items() for one in those
        }
        # By the record's append time, so that a replay decides alike (R8).
        self._ends_ms = {
            one.agency: (one.until_day + 1) * _DAY_MS for those in terms.values() for one in those
        }
        self._ids = ids
        self._schema_of = schema_of

    def read(self, messages: Iterable[Message]) -> Read:
        """Read a batch; raises `Retriable` if the registry is needed and away."""
        done = Read()
        for message in messages:
            try:
                done.changes.append((self._change(message), message))
            except SkipRecord as error:
                done.dead.append(DeadLetter(message, error.code, _printed(error.path), _printed(str(error))))
        return done

    def _change(self, message: Message) -> Change:
        agency, record_type = topics.split(message.topic)
        schema_id, body = unframe(message.value)
        raw = self._readers[record_type].read(schema_id, body, self._schema_of)
        _check_header(raw, message)
        bound = stamps.bounded(raw.stamp, message.timestamp_ms, message.offset)
        publishes = self._publishes.get((agency, record_type), frozenset())
        specs = self._specs[record_type]
        _check_stale(raw, specs)
        spoken = (*raw.values, *raw.added, *raw.stale)
        change = Change(
            key=RecordKey(agency, record_type, raw.local_id, raw.incarnation),
            operation=raw.operation,
            stamp=raw.stamp,
            effective=min(raw.held_since, bound),
            event_id=raw.event_id,
            entity=self._entity(agency, raw.entity),
            withheld=tuple(name for name in spoken if name not in publishes),
            actor=raw.actor,
            appended_ms=message.timestamp_ms,
            epoch=max(raw.epoch, FIRST),
        )
        change.values = _canonical(specs, raw.values, publishes)
        change.stale = _canonical(specs, raw.stale, publishes)
        change.added = _elements(specs, raw.added, publishes)
        change.removed = _elements(specs, raw.removed, publishes)
        if message.timestamp_ms >= self._ends_ms.get(agency, message.timestamp_ms + 1) and not _ends(change):
            raise SkipRecord("agreement_ended", f"the agreement of {agency} had ended when this was sent")
        return change

    def _entity(self, agency: str, name: str | None) -> bytes | None:
        if name is None:
            return None
        hub_id = self._ids.pairwise(agency).hub_id(name)
        if hub_id is None:
            raise SkipRecord("unknown_entity", "entity is not an id that this agency was given", "entity")
        return hub_id


def _ends(change: Change) -> bool:
    """Whether it only takes something back, or tells what became of the hub's own rows.

    That counts even of an agency without an agreement in force. A consent's deletion waits for a person: if
    it was a withdrawal, its end would let another consent come into force again.
    """
    if change.key.record_type == CONSENT and change.operation == "delete":
        return False
    withdraws = change.key.record_type == CONSENT and change.values.get("status") == _WITHDRAWN
    return withdraws or change.operation in ("delete", "link", "unlink")


def _check_header(raw: RawChange, message: Message) -> None:
    named = [("local_id", raw.local_id), ("event_id", raw.event_id)]
    if raw.actor is not None:
        named.append(("actor", raw.actor))
    for name, text in named:
        if not text or len(text) > MAX_ID or "\x00" in text:
            raise SkipRecord("invalid_value", f"{name}: 1 to {MAX_ID} characters expected", name)
    if raw.incarnation < 0 or raw.incarnation >= 2**31:
        raise SkipRecord("invalid_value", "incarnation: 0 or more expected", "incarnation")
    if raw.stamp <= 0 or (raw.asserted or 0) < 0:
        raise SkipRecord("invalid_value", "stamp: Unix milliseconds * 65536 + counter expected", "stamp")
    if raw.epoch < 0:
        raise SkipRecord("invalid_value", "epoch: 0 or more expected", "epoch")
    if message.key is None:
        raise SkipRecord("no_key", "the message has no key: without one its order is not kept (R4)")


def _check_stale(raw: RawChange, specs: Mapping[str, SpecKey]) -> None:
    for name in raw.stale:
        if name in raw.values or specs[name].spec.kind == "strings":
            text = f"field {name}: only a single value that is not asserted too can be stale (R13)"
            raise SkipRecord("invalid_value", text, name)


def _printed(text: str) -> str:
    """`text` as a database can keep it: an unknown field's name, for one, may be anything."""
    return text.replace("\x00", "\ufffd")[:_MAX_PRINTED]


def _canonical(
    specs: Mapping[str, SpecKey], values: Mapping[str, bytes | None], publishes: frozenset[str]
) -> dict[str, bytes | None]:
    return {
        name: None if raw is None else canonical(specs[name], raw)
        for name, raw in values.items()
        if name in publishes
    }


def _elements(
    specs: Mapping[str, SpecKey], lists: Mapping[str, list[bytes]], publishes: frozenset[str]
) -> dict[str, list[bytes]]:
    return {
        name: [element for raw in items if (element := canonical(specs[name], raw)) is not None]
        for name, items in lists.items()
        if name in publishes
    }
