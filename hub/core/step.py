"""One step of convergence: changes go in, the world moves, what follows comes out.

`absorb_all` joins the changes into the records' states; `link` recomputes who is who where the evidence
changed; then `settle` says what is told to whom. The caller loads and stores in between.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from hub.core.answers import end_disputes
from hub.core.assertions import (
    Change,
    RecordKey,
    RecordState,
    Replaced,
    absorb,
    contradicted_identifiers,
)
from hub.core.crosswalk import Entity, Move, World, regroup
from hub.core.echoes import without_echoes
from hub.core.epochs import heard
from hub.core.matching import Decision, Review, cluster
from hub.core.policy import STEWARD, TypePolicy
from hub.core.undo import standing

IDENTIFIER_CHANGED = "identifier_changed"
STALE_FORM = "stale_form"
INCARNATION_ENDED = "incarnation_ended"


class Hold(NamedTuple):
    """A change, or fields of it, that waits for a person's word instead of being applied."""

    record: bytes
    change: Change
    reason: str
    fields: tuple[str, ...]


@dataclass
class Absorbed:
    """What a batch of changes did to the records.

    `edits`: record id → changes to answer if they lost; `evidence`: records whose identity may have
    changed; `created`: records first heard of; `rejected`: changes that can never be applied, with a code;
    `replaced`: record id → its assertions beside which others stand now. `restored`: records that are lost,
    or live again, by a restore: their agency is told anew, whatever it was told before (R24). `echoes`:
    (agency, record type) → fields that only repeated what the agency had been told.
    """

    touched: set[bytes] = field(default_factory=set)
    evidence: set[bytes] = field(default_factory=set)
    created: set[bytes] = field(default_factory=set)
    edits: dict[bytes, list[Change]] = field(default_factory=dict)
    holds: list[Hold] = field(default_factory=list)
    rejected: list[tuple[Change, str]] = field(default_factory=list)
    replaced: dict[bytes, list[Replaced]] = field(default_factory=dict)
    restored: set[bytes] = field(default_factory=set)
    echoes: Counter[tuple[str, str]] = field(default_factory=Counter)


def absorb_all(
    world: World,
    changes: Iterable[Change],
    record_id: Callable[[RecordKey], bytes],
    types: Mapping[str, TypePolicy],
) -> Absorbed:
    """Join `changes` into `world`; a record first heard of founds an entity of its own."""
    done = Absorbed()
    for change in changes:
        _absorb_one(world, change, record_id(change.key), types[change.key.record_type], done)
    return done


def _absorb_one(world: World, change: Change, record: bytes, policy: TypePolicy, done: Absorbed) -> None:
    state = world.records.get(record)
    if state is None:
        state = RecordState(id=record, key=change.key)
        world.records[record] = state
        world.entity_of[record] = record
        world.entities.setdefault(record, Entity(id=record, record_type=policy.name))
        done.created.add(record)
        done.evidence.add(record)
    if _is_over(state, change):
        done.rejected.append((change, INCARNATION_ENDED))
        return
    done.touched.add(record)
    if state.asserts.withdrawn:
        change = standing(state, change)
    change = _heard(world, change, record, policy, done)
    if fields := contradicted_identifiers(state, change, policy.identifiers):
        state.seen = max(state.seen, change.stamp)
        heard(state, change.epoch)
        done.holds.append(Hold(record, change, IDENTIFIER_CHANGED, fields))
        return
    news = change.stamp > state.seen
    before = state.linked, state.born
    stood = state.live, state.lost
    replaced: list[Replaced] = []
    taken = absorb(policy, state, change, replaced)
    if change.key.agency == STEWARD:
        done.touched |= end_disputes(_led_to(world, change), change.values.keys() | change.added.keys())
    if state.live and (state.live, state.lost) != stood:
        done.restored.add(record)
    if replaced:
        done.replaced.setdefault(record, []).extend(replaced)
    if change.stale and news:
        done.holds.append(Hold(record, change, STALE_FORM, tuple(sorted(change.stale))))
    if taken or news:
        done.edits.setdefault(record, []).append(change)
    if taken & policy.evidence or (state.linked, state.born) != before:
        # Also an older word than any so far: the oldest record of an entity is its founder.
        done.evidence.add(record)


def _led_to(world: World, change: Change) -> Iterator[RecordState]:
    """The records of the entity that a change names, as far as they are known here."""
    entity = world.entity_of.get(change.entity or b"")
    return (world.records[record] for record, one in world.entity_of.items() if entity and one == entity)


def _is_over(state: RecordState, change: Change) -> bool:
    """Whether a change begins a life that has ended: none does, unless a restore has brought its row back."""
    if not state.ended or change.operation not in ("insert", "snapshot"):
        return False
    return change.stamp > state.ended and change.epoch <= state.asserts.ended_in


def _heard(world: World, change: Change, record: bytes, policy: TypePolicy, done: Absorbed) -> Change:
    """`change` without its echoes, where the hub filters them: then it has noted what the agency was told.

    A client that names the entity may do so before its record is linked, in the same batch or in another.
    """
    named = None if change.entity is None else world.entity_of.get(change.entity)
    entity = world.entities.get(named or world.entity_of[record])
    held = entity and entity.held.get(change.key.agency)
    if not held or held.echoes is None:
        return change
    own = without_echoes(change, held.echoes.told, policy.references)
    if (echoes := own.echoes) is not None:
        names = echoes.values.keys() | echoes.added.keys() | echoes.removed.keys()
        done.echoes[change.key.agency, policy.name] += len(names)
        for name in names:
            held.echoes.dropped[name] = max(held.echoes.dropped.get(name, 0), change.stamp)
    return own


@dataclass
class Linked:
    """What identification changed: the records that moved, and what a person must look at."""

    moves: list[Move]
    reviews: list[Review]

    def concerned(self, created: Collection[bytes]) -> frozenset[bytes]:
        """All entities of a merge or split, but for records in `created`, which merely found theirs."""
        return frozenset(
            entity
            for move in self.moves
            if move.record not in created
            for entity in (move.before, move.after)
        )


def link(
    world: World, policy: TypePolicy, block: Iterable[bytes], decisions: Iterable[Decision] = ()
) -> Linked:
    """Recompute who is who among the records of `block`, a closed set; moves them in `world` (R16)."""
    clustering = cluster(policy, (world.records[record] for record in block), decisions)
    return Linked(regroup(world, clustering.founder), list(clustering.reviews))
