"""What a hub says when all is quiet, so that two hubs can be compared (R8)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import msgspec

from hub.core.assertions import RecordState, pack
from hub.core.projection import UPSERT, Content
from hub.core.settle import Delivery, Settled


class Facts(NamedTuple):
    """All that must not depend on the order, doubling or batching of changes.

    `records`: record id → its state; `crosswalk`: record id → entity; `golden`: entity that some record
    stands for → the golden record as published; `held`: (agency, entity) → what the agency holds. Versions
    and entities of the past are not in it: they tell how it came to be so.
    """

    records: Mapping[bytes, Any]
    crosswalk: Mapping[bytes, bytes]
    golden: Mapping[bytes, Any]
    held: Mapping[tuple[str, bytes], Any]


def facts(
    records: Mapping[bytes, RecordState],
    crosswalk: Mapping[bytes, bytes],
    golden: Mapping[bytes, Settled],
    inbox: Mapping[tuple[str, bytes], Delivery],
) -> Facts:
    return Facts(
        {record: _state(state) for record, state in records.items()},
        dict(crosswalk),
        {entity: _golden(golden[entity]) for entity in set(crosswalk.values())},
        {place: _held(one.content) for place, one in inbox.items() if one.content.operation == UPSERT},
    )


def _state(state: RecordState) -> Any:
    # How often the source was answered is history, not state.
    asserts = msgspec.structs.replace(state.asserts, rewrites={})
    return state.key, state.born, state.seen, state.ended, state.linked, pack(asserts)


def _held(content: Content) -> Content:
    # A row that its side knows by itself is named in passing: whether before or after it was made is history.
    return content._replace(local_id=None, known=False) if content.known else content


def _golden(settled: Settled) -> Any:
    values = {name: settled.encoded.get(name) for name in settled.golden} | settled.references
    return settled.live, settled.merged_into, values


def differences(a: Facts, b: Facts) -> dict[str, Any]:
    """Where two differ: part → place → (there, here); empty if they say the same."""
    found: dict[str, Any] = {}
    for part, one, other in zip(Facts._fields, a, b, strict=True):
        places = {key for key in one.keys() | other.keys() if one.get(key) != other.get(key)}
        if places:
            found[part] = {key: (one.get(key), other.get(key)) for key in places}
    return found
