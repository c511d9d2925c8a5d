"""Messages of a topic as a person may read them: decoded by their writer's schema, values veiled.

What is not known to say nothing of a person is covered: everything in a message whose schema is not the
release's own for its topic, and keys that an agency has written.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from hub.contracts.records import FieldSpec
from hub.ops.anatomy import Anatomy, dissect, full_name, payload
from hub.ops.examination import ENVELOPE, STRUCTURE, Seen, see
from hub.ops.log_reader import Found
from hub.ops.parts import Parts
from hub.ops.veil import COVER, Veil

# A larger message is told by its size alone: a page of them must not fill memory or browser.
MAX_SHOWN_BYTES = 64 * 1024
MAX_SHOWN_PARTS = 400

_NAMES = re.compile(
    r"(?P<hub>hub)\.(?P<links>links)"
    r"|hub\.(?P<hub_type>[a-z][a-z0-9_]*)\.(?P<hub_kind>golden|assertions)"
    r"|(?P<agency>[a-z][a-z0-9-]+)\.((?P<kind>dlq|notices|receipts|control|state)"
    r"|(?P<record_type>[a-z][a-z0-9_]*)\.(?P<typed>changes|inbox))"
)
_RECORD = frozenset({"record", "agency", "record_type", "incarnation"})
# What surrounds the record, and says nothing of a person.
_PUBLIC: Mapping[str, frozenset[str]] = {
    "changes": ENVELOPE - {"local_id", "event_id"},
    "inbox": frozenset({"entity", "version", "operation", "merged_into", "fields", "stamp", "seen"}),
    "golden": frozenset({"entity", "version", "merged_into", "live", "fields", "sources", "stamps"}),
    "assertions": _RECORD | {"born", "seen", "ended", "linked"},
    "links": _RECORD | {"entity", "version", "live"},
    "notices": frozenset(
        {"notice_id", "kind", "reason", "record_type", "entity", "fields", "at_ms", "count"}
    ),
    "receipts": frozenset({"topic", "partition", "offset", "committed_ms"})
    | {f"exceptions.{name}" for name in ("entity", "version", "state", "code", "column")},
    "dlq": frozenset({"topic", "partition", "offset", "code", "path", "message", "at_ms"}),
    "control": frozenset({"target", "number", "state", "at_ms"}),
    "state": frozenset({"target", "number", "state", "since_ms", "problem"}),
}
_ENVELOPED = frozenset({"golden", "assertions", "links"})
# Who writes these is an agency: a key that should say nothing of anybody may be anything.
_WRITTEN_OUTSIDE = frozenset({"changes", "receipts", "state"})
_PLAIN = {"assertions": "assertions", "links": "link", "notices": "notice", "receipts": "receipt",
          "dlq": "dead_letter", "control": "control", "state": "state"}  # fmt: skip


class Kind(NamedTuple):
    """What a topic is: `kind` as its name ends; whose, and of which record type, where it is of one."""

    kind: str
    agency: str | None
    record_type: str | None


@dataclass(frozen=True)
class Message:
    """One message. `at_ms`: when it was appended; `key` and the values of `parts` are veiled; `problem`:
    why it could not be read further; `tombstone`: it has no value."""

    partition: int
    offset: int
    at_ms: int
    key: str
    size: int
    tombstone: bool
    schema: str
    parts: tuple[Seen, ...]
    problem: str


def kind_of(topic: str) -> Kind:
    """What a topic is by its name; raises ValueError for none of ours."""
    found = _NAMES.fullmatch(topic)
    if found is None:
        raise ValueError(f"{topic!r} is not called as a topic of the hub")
    kind = found["links"] or found["hub_kind"] or found["kind"] or found["typed"]
    return Kind(kind, found["agency"], found["hub_type"] or found["record_type"])


class MessageReader:
    """Reads messages of one topic. `Retriable` while the registry is needed and away."""

    def __init__(self, parts: Parts, topic: str) -> None:
        self._kind = kind_of(topic)
        self._schema_of: Callable[[int], Any] = parts.registry.schema_by_id
        self._specs: Mapping[str, FieldSpec] = {}
        self._expected = self._contract(parts)

    def _contract(self, parts: Parts) -> str:
        """The full name of the schema that the topic's messages have in this release."""
        kind, events = self._kind.kind, parts.events
        if kind in _PLAIN:
            return full_name(events.plain(_PLAIN[kind]))
        record = parts.catalogue.records[self._kind.record_type or ""]
        self._specs = record.by_name
        typed = {"changes": events.change, "inbox": events.projection, "golden": events.golden}
        return full_name(typed[kind](record))

    def read(self, found: Found, veil: Veil) -> Message:
        """One message as `veil` shows it."""
        value = found.value or b""
        anatomy = self._anatomy(value) if value else None
        known = anatomy is not None and anatomy.schema == self._expected
        public = _PUBLIC[self._kind.kind]
        parts = [part for part in anatomy.parts if part.kind not in STRUCTURE] if anatomy else []
        seen = (see(part, self._specs if known else None, veil, public) for part in parts[:MAX_SHOWN_PARTS])
        return Message(
            partition=found.partition,
            offset=found.offset,
            at_ms=found.timestamp_ms,
            key=self._key(found.key, veil),
            size=len(value),
            tombstone=found.value is None,
            schema=anatomy.schema if anatomy else "",
            parts=tuple(seen),
            problem=anatomy.problem if anatomy else "",
        )

    def _key(self, key: bytes | None, veil: Veil) -> str:
        if key is None:
            return ""
        if self._kind.kind in _WRITTEN_OUTSIDE and not veil.reveal:
            return COVER
        text = key.decode("ascii", errors="replace")
        return text if text.isascii() and text.isprintable() else key.hex()

    def _anatomy(self, value: bytes) -> Anatomy:
        if len(value) > MAX_SHOWN_BYTES:
            return Anatomy(len(value), None, "", (), None, "", "too large to be shown here")
        outer = dissect(value, self._schema_of)
        if self._kind.kind not in _ENVELOPED or outer.problem:
            return outer
        inside = {part.path: part for part in outer.parts if part.kind in ("string", "bytes")}
        if "key_id" in inside:
            return Anatomy(outer.size, None, "", (), None, "", "its payload is encrypted")
        if "payload" not in inside:
            return outer
        return dissect(payload(inside["payload"]), self._schema_of)
