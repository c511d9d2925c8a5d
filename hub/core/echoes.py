"""Echoes: values that an agency says only because the hub had told it so (R12). Pure.

A client that saves whole records repeats what it was told, with a new stamp. Where an agreement has the hub
filter that, the hub notes what it told the agency of each field, and when. Whether a value is an echo follows
from that, the change's own stamp and its append time: never from when or with what it is processed (R8).
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable, Mapping
from itertools import pairwise
from typing import NamedTuple

import msgspec

from hub.core.assertions import Change
from hub.core.merge import Golden, Winner
from hub.core.projection import UPSERT, Content
from hub.core.stamps import COUNTER_BITS, MAX_SKEW_MS

# How long a form that was opened before it was told may still come back as it was, like a stale form (R13).
WINDOW_MS = 15 * 60 * 1000
# Tellings of a field: more than this often within the window nothing changes that people look at.
KEPT = 8

_DIGEST_BYTES = 8
_NOTHING = b""


class Telling(NamedTuple):
    """What an agency was told of a field: digests of the value, or of each element of a list; empty for
    nothing. `at_ms`: not after it was published; `own`: it is the agency's own word."""

    at_ms: int
    value: bytes
    own: bool


class Echoes(msgspec.Struct, array_like=True):
    """By field: what one agency was told of one entity, the oldest first; the stamp of the last echo."""

    told: dict[str, list[Telling]] = msgspec.field(default_factory=dict)
    dropped: dict[str, int] = msgspec.field(default_factory=dict)


def note_told(
    before: Echoes | None,
    agency: str,
    content: Content,
    golden: Golden,
    fields: Iterable[str],
    now_ms: int,
) -> Echoes:
    """`before` with what is being told now; `fields`: those that the agency may ever be told."""
    noted = Echoes() if before is None else Echoes(dict(before.told), before.dropped)
    shown = content.fields if content.operation == UPSERT else ()
    for name in {*fields, *noted.told}:
        won = golden.get(name) if name in shown else None
        value = _NOTHING if won is None else _digests(won)
        known = noted.told.get(name, [])
        if not known or known[-1].value != value:
            at_ms = max(now_ms, known[-1].at_ms) if known else now_ms
            own = won is not None and won.elements is None and won.key.agency == agency
            noted.told[name] = [*known, Telling(at_ms, value, own)][-KEPT:]
    return noted


def without_echoes(change: Change, told: Mapping[str, list[Telling]], exempt: Collection[str]) -> Change:
    """`change` without what is an echo, which it has in its `echoes`.

    `exempt`: fields that are compared in other terms than they are told in (references).
    """
    said_ms = change.stamp >> COUNTER_BITS
    known_by = min(change.appended_ms or said_ms, said_ms + MAX_SKEW_MS)
    values: dict[str, bytes | None] = {}
    added: dict[str, list[bytes]] = {}
    removed: dict[str, list[bytes]] = {}
    for name, tellings in told.items():
        known = [one for one in tellings if one.at_ms <= known_by]
        if not known or name in exempt:
            continue
        seen = _perhaps_seen(known, said_ms)
        if name in change.values:
            value = change.values[name]
            if any(one.value == (_NOTHING if value is None else _digest(value)) for one in seen):
                values[name] = value
        there = set().union(*(_elements(one) for one in seen))
        if again := [e for e in change.added.get(name, ()) if _digest(e) in there]:
            added[name] = again
        if gone := [e for e in change.removed.get(name, ()) if _digest(e) not in _elements(known[-1])]:
            removed[name] = gone
    if not (values or added or removed):
        return change
    return msgspec.structs.replace(
        change,
        values={name: value for name, value in change.values.items() if name not in values},
        added={n: [e for e in those if e not in added.get(n, ())] for n, those in change.added.items()},
        removed={n: [e for e in those if e not in removed.get(n, ())] for n, those in change.removed.items()},
        echoes=msgspec.structs.replace(change, values=values, added=added, removed=removed, stale={}),
    )


def _perhaps_seen(known: list[Telling], said_ms: int) -> list[Telling]:
    """The tellings that whoever made the change may have had before them: the last one, and those that were
    replaced not long before. What the agency replaced by a word of its own it had seen replaced."""
    own = max((position for position, one in enumerate(known) if one.own), default=0)
    since = known[own:]
    lately = [one for one, after in pairwise(since) if after.at_ms + WINDOW_MS > said_ms]
    return [*lately, since[-1]]


def _digest(value: bytes) -> bytes:
    return hashlib.blake2b(value, digest_size=_DIGEST_BYTES).digest()


def _digests(won: Winner) -> bytes:
    if won.elements is not None:
        return b"".join(sorted(map(_digest, won.elements)))
    return _NOTHING if won.value is None else _digest(won.value)


def _elements(one: Telling) -> set[bytes]:
    return {one.value[at : at + _DIGEST_BYTES] for at in range(0, len(one.value), _DIGEST_BYTES)}
