"""Identification in intake: who is connected to whom by identity values, under lock (R16, R25)."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

from hub.core.assertions import Assertion, Change, RecordKey, RecordState
from hub.core.crosswalk import World
from hub.core.matching import identity_values
from hub.core.policy import TypePolicy
from hub.core.step import Absorbed, Linked, link
from hub.store.transaction import Transaction

Claim = tuple[bytes, bytes]


@dataclass
class Block:
    """Records connected by identity values, and the entities to lock for them."""

    records: set[bytes] = field(default_factory=set)
    entities: set[bytes] = field(default_factory=set)


def find_block(
    tx: Transaction,
    policy: TypePolicy,
    changes: Sequence[Change],
    guess: World,
    record_id: Callable[[RecordKey], bytes],
) -> Block:
    """Claim the identity values that the changes speak of, and find everyone connected to them.

    Locks those values until the commit, so that two workers cannot each miss the other's newcomer.
    """
    block = Block()
    claims: set[Claim] = set()
    frontier: set[bytes] = set()
    own = {record_id(change.key) for change in changes}
    for change in changes:
        record = record_id(change.key)
        if change.entity is not None:
            block.entities.add(change.entity)
            frontier |= {change.entity, record}
        if not policy.evidence.isdisjoint(change.values):
            known = guess.records.get(record)
            frontier |= {record} if known else set()
            claims |= {
                (_identity_key(policy.name, *identity), record)
                for identity in _identities_after(policy, known, change)
            }
    _close(tx, policy, block, claims, frontier, own)
    return block


def _close(
    tx: Transaction,
    policy: TypePolicy,
    block: Block,
    claims: set[Claim],
    frontier: set[bytes],
    own: set[bytes],
) -> None:
    """Follow shared values from record to record until nobody new appears."""
    claimed: set[bytes] = set()
    visited: set[bytes] = set()
    while claims or frontier:
        sharers = tx.claim_identities(claims)
        claimed |= sharers.keys()
        for those in sharers.values():
            if len(those) > 1 or those[0] not in own:
                frontier.update(those)
        frontier -= visited
        members = tx.members(set(tx.records(frontier).entity_of.values())) if frontier else World()
        visited |= frontier | members.records.keys()
        block.records |= members.records.keys()
        # A record may have to stand for itself again (a split), so its own entity is locked too.
        block.entities |= set(members.entity_of.values()) | members.records.keys()
        claims = {
            (key, state.id)
            for state in members.records.values()
            for identity in identity_values(policy, state)
            if (key := _identity_key(policy.name, *identity)) not in claimed
        }
        frontier = {state.linked for state in members.records.values() if state.linked} - visited


def link_block(tx: Transaction, policy: TypePolicy, world: World, absorbed: Absorbed, block: Block) -> Linked:
    """Recompute who is who among the records whose evidence changed and all connected to them."""
    if not absorbed.evidence:
        return Linked([], [])
    together = absorbed.evidence | (block.records & world.records.keys())
    if together <= absorbed.created and not _meet(policy, world, together):
        # Newcomers whom nobody knows and who do not know each other: each is its own entity.
        return Linked([], [])
    entities = {world.entity_of[record] for record in together}
    together |= {record for record, entity in world.entity_of.items() if entity in entities}
    return link(world, policy, together, tx.decisions(together))


def _identity_key(record_type: str, name: str, value: bytes) -> bytes:
    return hashlib.blake2b(f"{record_type}\0{name}\0".encode() + value, digest_size=16).digest()


def _identities_after(
    policy: TypePolicy, state: RecordState | None, change: Change
) -> list[tuple[str, bytes]]:
    """The identity values of a record once `change` is absorbed, or more: a claim too many is harmless."""
    values: dict[str, Assertion] = dict(state.asserts.values) if state else {}
    values |= {name: (0, value) for name, value in change.values.items() if value is not None}
    overlaid = RecordState(id=b"", key=change.key)
    overlaid.asserts.values = values
    return identity_values(policy, overlaid)


def _meet(policy: TypePolicy, world: World, records: Iterable[bytes]) -> bool:
    """Whether any two of these share an identity value, or one was created for an entity."""
    seen: set[tuple[str, bytes]] = set()
    for record in records:
        state = world.records[record]
        identities = identity_values(policy, state)
        if state.linked is not None or not seen.isdisjoint(identities):
            return True
        seen.update(identities)
    return False
