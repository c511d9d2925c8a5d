"""The kept topics read back: what was published, as the store is built anew from it (R31)."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from hub.core.assertions import RecordKey, RecordState, unpack
from hub.core.tokens import Ids
from hub.errors import Fatal, SkipRecord
from hub.lanes.messages import hub_id
from hub.ops.log_reader import Found
from hub.ops.parts import Parts
from hub.ops.said import Interpreter
from hub.store.rebuilding import Link, Told, Version

T = TypeVar("T")


class ForeignKey(Fatal):
    """What is published was named with another key than the one at hand: every id would be another."""

    def __init__(self, where: str) -> None:
        super().__init__(
            f"{where} was not named with the key in JISR_SECRET_FILE: with this key everybody would be a "
            "stranger to every agency. Put back the hub's own key (from the safe), and try again"
        )


class Unreadable(Fatal):
    """A message of the hub's own is not what its topic and key promise."""


class KeptTopics:
    """Reads messages of the hub's own topics and of inboxes; raises `Unreadable`."""

    def __init__(self, parts: Parts) -> None:
        self._interpreter = Interpreter(parts.catalogue, parts.events, parts.ids, parts.registry)
        self._ids: Ids = parts.ids

    def link(self, message: Found) -> tuple[Link, bool] | None:
        """A line of the crosswalk, and whether it was named with our key; None for a tombstone."""
        if message.value is None:
            return None
        event = self._read(message, self._interpreter.payload)
        found = Link(*_taken(message, event, _link_of))
        return found, self._ids.record(*_key_of(event)) == found.record

    def state(self, message: Found) -> RecordState | None:
        """All that one local record asserts; None for a tombstone. Raises `ForeignKey`."""
        if message.value is None:
            return None
        event = self._read(message, self._interpreter.payload)
        state = _taken(message, event, _state_of)
        if self._ids.record(*state.key) != state.id:
            raise ForeignKey(_place(message))
        return state

    def golden(self, record_type: str, message: Found) -> Version | None:
        """The version of a golden record; None for a tombstone."""
        if message.value is None:
            return None
        event = self._read(message, self._interpreter.payload)
        entity, version = _taken(message, event, _version_of)
        return Version(entity, record_type, version)

    def told(self, agency: str, record_type: str, message: Found) -> Told | None:
        """What an agency was told of an entity; None for a message that nobody can have understood."""
        name = (message.key or b"").decode(errors="replace")
        entity = self._ids.pairwise(agency).hub_id(name)
        if entity is None:
            return None
        if message.value is None:
            return Told(entity, agency, record_type, 0, "")
        event = self._read(message, self._interpreter.event)
        if event.get("entity") != name:
            raise Unreadable(f"{_place(message)} is not of the entity of its key: {_REGISTRY}")
        return Told(entity, agency, record_type, int(event["version"]), str(event["operation"]))

    @staticmethod
    def _read(message: Found, read: Callable[[bytes], T]) -> T:
        try:
            return read(message.value or b"")
        except (SkipRecord, KeyError, TypeError, ValueError, IndexError, EOFError) as error:
            raise Unreadable(
                f"{_place(message)} cannot be read ({type(error).__name__}): {_REGISTRY}"
            ) from error


_REGISTRY = (
    "is this the schema registry that the hub published with? Restore its tables, which by default are in "
    "the hub's database, or register the schemas in the order of the releases (`jisr schema register`)"
)


def _taken(message: Found, event: dict[str, object], take: Callable[[dict[str, object]], T]) -> T:
    try:
        return take(event)
    except (KeyError, TypeError, ValueError) as error:
        raise Unreadable(f"{_place(message)} does not say what it should: {_REGISTRY}") from error


def _place(message: Found) -> str:
    return f"{message.topic}[{message.partition}] at offset {message.offset}"


def _key_of(event: dict[str, object]) -> RecordKey:
    names = ("agency", "record_type", "local_id", "incarnation")
    return RecordKey(*(event[name] for name in names))  # type: ignore[arg-type]  # by the event's schema


def _link_of(event: dict[str, object]) -> tuple[bytes, str, bytes, int]:
    record, entity = hub_id(str(event["record"])), hub_id(str(event["entity"]))
    return record, str(event["record_type"]), entity, int(str(event["version"]))


def _version_of(event: dict[str, object]) -> tuple[bytes, int]:
    return hub_id(str(event["entity"])), int(str(event["version"]))


def _state_of(event: dict[str, object]) -> RecordState:
    linked, state = event["linked"], event["state"]
    assert isinstance(state, bytes)
    return RecordState(
        id=hub_id(str(event["record"])),
        key=_key_of(event),
        born=int(str(event["born"])),
        seen=int(str(event["seen"])),
        ended=int(str(event["ended"])),
        linked=None if linked is None else hub_id(str(linked)),
        asserts=unpack(state),
    )
