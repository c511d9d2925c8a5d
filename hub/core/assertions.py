"""Assertions: the latest that one local record says of each of its fields (R8).

The state of a record is a join-semilattice: `absorb` takes, per field, the greater of two assertions, so
the same changes in any order, doubled, or batched in any way, give the same state. Values are opaque
canonical bytes; None means "known to be empty" (R3). A field merged by union is a set of elements, each
with the latest (stamp, present) said of it, so that an agency asserts its own additions and removals.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

import msgspec

from hub.core.epochs import FIRST, LOST, as_meant, end, heard, miss
from hub.core.policy import STEWARD, TypePolicy
from hub.core.stamps import LOWEST

Assertion = tuple[int, bytes | None]


class RecordKey(NamedTuple):
    """One life of one local record: the unit that asserts. Tuples compare in this order (R9)."""

    agency: str
    record_type: str
    local_id: str
    incarnation: int


class Change(msgspec.Struct, kw_only=True):
    """A validated change, as the core sees it.

    `stamp`: as the source gave it; `effective`: what its values are ranked by, held back to the bound on
    skew, or a snapshot's modification time. `entity`: the founding record's id, where the source says
    that it stands for that entity. `withheld`: fields that the agency may not assert; they are not here.
    `actor`: the account at the agency that made it, where known; it decides nothing. `appended_ms`: when the
    broker got it, Unix milliseconds; 0 where it came from no topic. `epoch`: the agency's, counted from the
    restores of its database. `echoes`: what was taken out of it, since
    the agency only repeated what it had been told (R12).
    """

    key: RecordKey
    operation: str
    stamp: int
    effective: int
    event_id: str = ""
    values: dict[str, bytes | None] = msgspec.field(default_factory=dict)
    added: dict[str, list[bytes]] = msgspec.field(default_factory=dict)
    removed: dict[str, list[bytes]] = msgspec.field(default_factory=dict)
    stale: dict[str, bytes | None] = msgspec.field(default_factory=dict)
    entity: bytes | None = None
    withheld: tuple[str, ...] = ()
    confirmed: bool = False
    actor: str | None = None
    appended_ms: int = 0
    epoch: int = FIRST
    echoes: Change | None = None


class Assertions(msgspec.Struct, array_like=True):
    """The packed part of a record's state: what it asserts (fields in the order of first mention).

    `rewrites`: per field, the stamps of recent edits that were answered (R19); not part of what converges.
    `returned`: the record was created for an entity and removed when that was retracted, so nobody at the
    agency deleted it, and it may be created again. `restored`: the record goes on for an earlier life whose
    deletion a person took back; its row is to be made again under its own local id. `withdrawn`: per field,
    marks of assertions that a person took back, so that they do not come again. `decided`: by record, whether
    a steward decided that it is the same as this one, and the stamp of that: here so that the store can be
    rebuilt, who is who is read from the store's decisions (R16, R31). Of the agency's epochs (R24): `epoch`
    is the latest in which it said that it has the row, `ended_in` that of its deletion, `lost` the latest in
    which the row was missing.
    """

    values: dict[str, Assertion] = msgspec.field(default_factory=dict)
    unions: dict[str, dict[bytes, tuple[int, bool]]] = msgspec.field(default_factory=dict)
    rewrites: dict[str, list[int]] = msgspec.field(default_factory=dict)
    returned: bool = False
    restored: bool = False
    withdrawn: dict[str, list[bytes]] = msgspec.field(default_factory=dict)
    decided: dict[bytes, tuple[int, bool]] = msgspec.field(default_factory=dict)
    epoch: int = FIRST
    ended_in: int = FIRST
    lost: int = 0


class RecordState(msgspec.Struct, kw_only=True):
    """What the hub knows from and of one record incarnation.

    `id`: its opaque id; `born`: the lowest and `seen` the highest stamp received; `ended`: the stamp of its
    deletion or 0; `linked`: the founding record of the entity that this record was created for.
    """

    id: bytes
    key: RecordKey
    born: int = 0
    seen: int = 0
    ended: int = 0
    linked: bytes | None = None
    asserts: Assertions = msgspec.field(default_factory=Assertions)

    @property
    def live(self) -> bool:
        return not self.ended

    @property
    def lost(self) -> bool:
        """Whether it lives on at the hub alone: the agency's restored database has lost its row (R24)."""
        return not self.ended and self.asserts.lost > self.asserts.epoch

    @property
    def speaks(self) -> bool:
        """Whether it supports its entity: it lives, and asserts something of its own (R15).

        A steward's word on an entity does not: nobody is at an agency because a steward spoke of them.
        """
        if self.ended or self.key.agency == STEWARD:
            return False
        return bool(self.asserts.values or self.asserts.unions)


def greater(a: Assertion, b: Assertion) -> bool:
    """Whether assertion `a` of a record supersedes the same record's `b`: stamp, then canonical bytes."""
    return (a[0], a[1] is not None, a[1] or b"") > (b[0], b[1] is not None, b[1] or b"")


def earlier(a: Assertion, b: Assertion) -> bool:
    """Whether `a` was said before `b`, for an immutable field; undated comes last, null never counts."""
    return (a[1] is None, a[0] == LOWEST, a[0], a[1] or b"") < (
        b[1] is None,
        b[0] == LOWEST,
        b[0],
        b[1] or b"",
    )


class Replaced(NamedTuple):
    """An assertion beside which another of the same record and field stands: what undoing goes back to.

    Of a field merged by union `element` is set, and `value` is empty bytes for present, None for absent.
    With an `actor` it is one that this actor made, whether it stands or not: the state itself does not tell
    who made what. A deletion has the field `DELETION`.
    """

    field: str
    stamp: int
    value: bytes | None
    element: bytes | None = None
    actor: str | None = None


DELETION = ""


def absorb(
    policy: TypePolicy, state: RecordState, change: Change, replaced: list[Replaced] | None = None
) -> set[str]:
    """Join `change` into `state` (in place); return the fields on which it now stands.

    `replaced` gets what does not stand any more, or never did: the lesser of each two assertions; and all
    that the change asserts, where it names its actor.
    Of an immutable field the first assertion stands, of any other the latest. An insert or a snapshot
    never asserts null, so a sparse newcomer erases nobody (R11). A deletion ends
    the incarnation, for as long as no later epoch has its row again; what it asserted is kept as evidence of
    who it was (R14, R15, R24).
    """
    if change.operation == LOST:
        miss(policy, state, change.epoch)
        return set()
    state.born = min(state.born or change.stamp, change.stamp)
    state.seen = max(state.seen, change.stamp)
    if replaced is not None and change.actor is not None:
        replaced += _authored(change)
    if change.operation in ("delete", "unlink"):
        end(state, change.stamp, change.epoch, returned=change.operation == "unlink")
        return set()
    heard(state, change.epoch)
    if change.entity is not None and (change.operation == "link" or change.key.agency == STEWARD):
        # Only a row that was made for the entity is tied to it; an edit may name its entity, but who its row
        # is remains a matter of evidence. The greatest, so that the order in which they come does not matter.
        state.linked = max(state.linked or b"", change.entity)
    taken = {
        name
        for name, value in _asserted(change)
        for said in [(change.effective, as_meant(policy, state, name, value))]
        if _take(policy.fields[name].merge, state, name, said, replaced)
    }
    for name in change.added.keys() | change.removed.keys():
        if _take_elements(state, change, name, replaced):
            taken.add(name)
    return taken


def _asserted(change: Change) -> Iterator[tuple[str, bytes | None]]:
    asserts_null = change.operation == "update"
    return ((n, value) for n, value in change.values.items() if value is not None or asserts_null)


def _authored(change: Change) -> Iterator[Replaced]:
    """All that a change asserts, with its actor."""
    actor, stamp = change.actor, change.effective
    if change.operation in ("delete", "unlink"):
        yield Replaced(DELETION, change.stamp, None, None, actor)
        return
    for name, value in _asserted(change):
        yield Replaced(name, stamp, value, None, actor)
    for present, lists in ((b"", change.added), (None, change.removed)):
        for name, elements in lists.items():
            for element in elements:
                yield Replaced(name, stamp, present, element, actor)


def _take(
    merge: str, state: RecordState, name: str, assertion: Assertion, replaced: list[Replaced] | None
) -> bool:
    values = state.asserts.values
    known = values.get(name)
    if known is None:
        values[name] = assertion
        return True
    taken = supersedes(merge, assertion, known)
    if replaced is not None and known != assertion:
        replaced.append(Replaced(name, *(known if taken else assertion)))
    if taken:
        values[name] = assertion
    return taken


def supersedes(merge: str, a: Assertion, b: Assertion) -> bool:
    """Whether a record's assertion `a` of a field stands in place of its `b`."""
    return (earlier if merge == "immutable" else greater)(a, b)


def _take_elements(state: RecordState, change: Change, name: str, replaced: list[Replaced] | None) -> bool:
    elements = state.asserts.unions.setdefault(name, {})
    taken = False
    said = [(element, True) for element in change.added.get(name, ())]
    said += [(element, False) for element in change.removed.get(name, ())]
    for element, present in said:
        known, new = elements.get(element), (change.effective, present)
        lesser = None if known is None else min(known, new)
        if replaced is not None and lesser is not None and known != new:
            replaced.append(Replaced(name, lesser[0], b"" if lesser[1] else None, element))
        if known is None or new > known:
            elements[element] = new
            taken = True
    if not elements:
        # An update to an empty list speaks of the field without naming an element.
        del state.asserts.unions[name]
    return taken


def contradicted_identifiers(
    state: RecordState, change: Change, identifiers: Iterable[str]
) -> tuple[str, ...]:
    """Strong identifiers that the change would replace by another: perhaps another person's row (R14).

    Only a later change can contradict; an older one is superseded anyway. Compares against the record's
    own latest assertions; a first identifier, or one taken away, contradicts nothing.
    """
    if change.confirmed or not state.live:
        return ()
    contradicted = []
    for name in identifiers:
        known, new = state.asserts.values.get(name), change.values.get(name)
        if known and new and known[1] is not None and known[1] != new and change.effective >= known[0]:
            contradicted.append(name)
    return tuple(contradicted)


_PACK = msgspec.msgpack.Encoder()
_UNPACK = msgspec.msgpack.Decoder(Assertions)


def pack(asserts: Assertions) -> bytes:
    """For storage and for `hub.<record>.assertions`: MessagePack, dicts sorted so that equal is equal."""
    return _PACK.encode(
        Assertions(
            values=dict(sorted(asserts.values.items())),
            unions={name: dict(sorted(asserts.unions[name].items())) for name in sorted(asserts.unions)},
            rewrites=asserts.rewrites,
            returned=asserts.returned,
            restored=asserts.restored,
            withdrawn=asserts.withdrawn,
            decided=dict(sorted(asserts.decided.items())),
            epoch=asserts.epoch,
            ended_in=asserts.ended_in,
            lost=asserts.lost,
        )
    )


def unpack(data: bytes) -> Assertions:
    return _UNPACK.decode(data)
