"""One dead letter under the lamp: its bytes, what could be read of them, and where they broke.

Values are veiled by their fields' privacy, and so are their bytes: whoever wrote a wrong message may have put
anything anywhere, so what could not be read, and the key, are covered as well.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence, Set
from dataclasses import dataclass
from typing import Any, NamedTuple

from hub.contracts.records import FieldSpec
from hub.contracts.values import decode, encode
from hub.errors import SkipRecord
from hub.ops.anatomy import FRAME_BYTES, Anatomy, Part, dissect, full_name, hexdump, plain_text
from hub.ops.parts import Parts
from hub.ops.veil import COVER, Veil
from hub.store.dead_letters import DeadLetterRow

# Parts of a change that say nothing of a person: who wrote it, when, and of which fields.
# The names in masks, and the keys of `removed`, are fields' names.
ENVELOPE = frozenset(
    {"event_id", "local_id", "incarnation", "operation", "stamp", "asserted", "entity"}
    | {"changed", "stale", "removed"}
)
STRUCTURE = frozenset({"branch", "count", "null"})
_RECORD = "record."
_REMOVED = "removed."

Specs = Mapping[str, FieldSpec]


class Contract(NamedTuple):
    """What a `changes` topic takes: the full name of its schema, and the record type's fields."""

    schema: str
    specs: Specs


@dataclass(frozen=True)
class Seen:
    """One value that could be read: bytes `start` to `end`, the last not included; `problem`: what is wrong
    with it by the contract."""

    path: str
    start: int
    end: int
    value: str
    problem: str = ""


@dataclass(frozen=True)
class Examined:
    """What can be seen of a message. `broke_at`: the byte at which it breaks, in `broke_path`; None where
    nothing in the bytes is wrong by itself. `bytes_covered`: whether the dump leaves bytes out."""

    size: int
    schema_id: int | None
    schema: str
    seen: tuple[Seen, ...]
    broke_at: int | None
    broke_path: str
    problem: str
    dump: tuple[str, ...]
    bytes_covered: bool


def contract_of(parts: Parts, record_type: str) -> Contract | None:
    """What the `changes` topics of a record type take; None if this release has no such type."""
    record = parts.catalogue.records.get(record_type)
    return None if record is None else Contract(full_name(parts.events.change(record)), record.by_name)


def examine(
    row: DeadLetterRow,
    change: Contract | None,
    schema_of: Callable[[int], Any],
    veil: Veil,
    covered: Set[str] = frozenset(),
) -> Examined:
    """Examine one dead letter; raises `Retriable` if the registry is needed and away.

    `change`: what its topic takes, None if that is unknown by now. `covered`: paths outside of the record
    that are not for this reader either, such as `local_id`.
    """
    anatomy = dissect(row.value, schema_of)
    # In another schema a field of the same name may be a person's.
    specs = change.specs if change is not None and anatomy.schema == change.schema else None
    public = ENVELOPE - covered
    seen = tuple(see(part, specs, veil, public) for part in anatomy.parts if part.kind not in STRUCTURE)
    at, path = _broken(row, anatomy, seen)
    shown = _shown(anatomy, specs, veil, public)
    return Examined(
        size=anatomy.size,
        schema_id=anatomy.schema_id,
        schema=anatomy.schema,
        seen=seen,
        broke_at=at,
        broke_path=path,
        problem=anatomy.problem,
        dump=tuple(hexdump(row.value or b"", shown, at)),
        bytes_covered=not all(shown),
    )


def see(part: Part, specs: Specs | None, veil: Veil, public: Set[str]) -> Seen:
    """One value as `veil` shows it: of a record's field by its privacy, of what surrounds the record only
    what `public` names. `specs`: the fields; None where the schema is not the one that is known."""
    spec = _spec(part.path, specs)
    place = (part.path, part.start, part.end)
    if spec is None:
        open_to_all = veil.reveal or _is_public(part.path, specs, public)
        return Seen(*place, plain_text(part) if open_to_all else COVER)
    try:
        value = decode(spec, part.raw)
    except SkipRecord as error:
        return Seen(*place, plain_text(part) if veil.reveal else COVER, str(error))
    try:
        encode(spec, value)
        problem = ""
    except SkipRecord as error:
        problem = str(error)
    return Seen(*place, veil.value(spec, part.raw), problem)


def _spec(path: str, specs: Specs | None) -> FieldSpec | None:
    """The field whose value (or element) stands at this path of a change."""
    for prefix in (_RECORD, _REMOVED):
        if specs and path.startswith(prefix):
            return specs.get(re.sub(r"\[\d+\]$", "", path.removeprefix(prefix)))
    return None


def _is_public(path: str, specs: Specs | None, public: Set[str]) -> bool:
    """Whether what stands there, outside of the record, says nothing of a person."""
    return specs is not None and re.sub(r"\[\d+\]", "", path) in public


def _broken(row: DeadLetterRow, anatomy: Anatomy, seen: Sequence[Seen]) -> tuple[int | None, str]:
    """Where it broke: where reading ended, else the value that the contract refuses."""
    if anatomy.broke_at is not None:
        return anatomy.broke_at, anatomy.broke_path
    paths = (row.path, f"{_RECORD}{row.path}", f"{_REMOVED}{row.path}")
    mine = [one for one in seen if re.sub(r"\[\d+\]$", "", one.path) in paths]
    mine += [one for one in seen if one.path.startswith(("changed[", "stale[")) and one.value == row.path]
    found = next((one for one in mine if one.problem), mine[0] if mine and row.path else None)
    return (None, row.path) if found is None else (found.start, found.path)


def _shown(anatomy: Anatomy, specs: Specs | None, veil: Veil, public: Set[str]) -> bytearray:
    """For each byte whether it may be shown."""
    if veil.reveal:
        return bytearray(b"\x01" * anatomy.size)
    shown = bytearray(anatomy.size)
    shown[: min(FRAME_BYTES, anatomy.size)] = b"\x01" * min(FRAME_BYTES, anatomy.size)
    for part in anatomy.parts:
        spec = _spec(part.path, specs)
        open_to_all = spec.privacy == "none" if spec else _is_public(part.path, specs, public)
        if part.kind in STRUCTURE or open_to_all:
            shown[part.start : part.end] = b"\x01" * (part.end - part.start)
    if anatomy.schema_id is None:
        # Not even a frame: its first bytes are as much a secret as the rest.
        shown = bytearray(anatomy.size)
    return shown
