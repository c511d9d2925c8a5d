"""Identification in intake: who is connected to whom by identity values, under lock (R16, R25)."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, field

from hub.contracts.records import HUB
from hub.core.assertions import Change, RecordKey, RecordState
from hub.core.contents import Reference
from hub.core.crosswalk import Move, World, enter
from hub.core.matching import identity_values
from hub.core.policy import TypePolicy
from hub.core.step import Absorbed, Linked, absorb_all, link
from hub.store.transaction import Transaction

Claim = tuple[bytes, bytes]


# Links that wait are kept among the references, under a field name that no record type has.
LINK = ""


def link_reference(record_type: str, founder: bytes) -> Reference:
    """How a record refers to the founding record of the entity that it was created for."""
    return HUB, record_type, founder.hex()


@dataclass
class Block:
    """Records connected by identity values and links, and the entities to lock for them.

    `waiting`: records that were created for an entity whose founding record nobody knows yet; `joining`:
    new ones that say nothing of who they are, and were created for an entity that is known.
    """

    records: set[bytes] = field(default_factory=set)
    entities: set[bytes] = field(default_factory=set)
    waiting: dict[bytes, Reference] = field(default_factory=dict)
    joining: set[bytes] = field(default_factory=set)


def find_block(
    tx: Transaction,
    policy: TypePolicy,
    changes: Sequence[Change],
    guess: World,
    record_id: Callable[[RecordKey], bytes],
) -> Block:
    """Claim the identity values that the changes leave their records with, and find everyone connected.

    Locks those values until the commit, so that two workers cannot each miss the other's newcomer. What the
    changes will do is found out by absorbing them; the states in `guess` are used up by that.
    """
    foreseen = World(dict(guess.records), dict(guess.entity_of))
    absorbed = absorb_all(foreseen, changes, record_id, {policy.name: policy})
    states = [foreseen.records[record] for record in absorbed.evidence]
    links = {state.linked for state in states if state.linked is not None}
    known = tx.records(links)
    # An agency may have named an entity of another type: its record was not created for that.
    foreign = {record for record, state in known.records.items() if state.key.record_type != policy.name}
    block = Block()
    identities = {state.id: identity_values(policy, state) for state in states}
    claims = {
        (identity_key(policy.name, *identity), record)
        for record, those in identities.items()
        for identity in those
    }
    frontier = absorbed.evidence & guess.records.keys()
    for state in states:
        if state.linked is None or state.linked in foreign:
            continue
        if state.linked not in known.records and state.linked not in foreseen.records:
            block.waiting[state.id] = link_reference(policy.name, state.linked)
        elif state.id in absorbed.created and not identities[state.id] and state.linked in known.records:
            # A row created for an entity, the most frequent case: it joins that entity's members and,
            # saying nothing of who it is, connects them with nobody else.
            block.records.add(state.linked)
            block.entities.add(known.entity_of[state.linked])
            block.joining.add(state.id)
        else:
            frontier.add(state.linked)
    # Who was created for an entity whose founding record comes only now (R27).
    waiting = tx.dependents({link_reference(policy.name, record) for record in absorbed.created})
    frontier |= tx.members(waiting).records.keys()
    _close(tx, policy, block, claims, frontier, set(foreseen.records))
    return block


def find_block_around(
    tx: Transaction, policy: TypePolicy, records: Collection[bytes], foreseen: Iterable[RecordState] = ()
) -> Block:
    """Everyone connected to `records` as they stand, or as `foreseen` says some of them will.

    Locks their identity values like `find_block`.
    """
    block = Block()
    states = list(foreseen)
    _close(tx, policy, block, claims_of(policy, states), set(records), {state.id for state in states})
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
        known = tx.records(frontier)
        ours = {r for r, state in known.records.items() if state.key.record_type == policy.name}
        members = tx.members({known.entity_of[record] for record in ours})
        visited |= frontier | members.records.keys()
        block.records |= members.records.keys()
        # A record may have to stand for itself again (a split), so its own entity is locked too.
        block.entities |= set(members.entity_of.values()) | members.records.keys()
        claims = {one for one in claims_of(policy, members.records.values()) if one[0] not in claimed}
        frontier = {state.linked for state in members.records.values() if state.linked} - visited


def link_block(tx: Transaction, policy: TypePolicy, world: World, absorbed: Absorbed, block: Block) -> Linked:
    """Recompute who is who among the records whose evidence changed and all connected to them."""
    if not absorbed.evidence:
        return Linked([], [])
    if absorbed.evidence <= block.joining and (moves := _joined(tx, world, absorbed.evidence)):
        return Linked(moves, [])
    together = absorbed.evidence | (block.records & world.records.keys())
    if together <= absorbed.created and not _meet(policy, world, together):
        # Newcomers whom nobody knows and who do not know each other: each is its own entity.
        return Linked([], [])
    entities = {world.entity_of[record] for record in together}
    together |= {record for record, entity in world.entity_of.items() if entity in entities}
    return link(world, policy, together, tx.decisions(together))


def _joined(tx: Transaction, world: World, joining: Collection[bytes]) -> list[Move]:
    """Let new records stand for the entities that they were created for; none if it is not as plain as that.

    What `link` would come to: they share no value with anybody, and a founder that was not itself created
    for an entity is older than they are by rule. Every created row comes back so, most often by hundreds.
    """
    places = {}
    for record in sorted(joining):
        entity = world.entity_of.get(world.records[record].linked or b"")
        founder = world.records.get(entity or b"")
        if entity is None or founder is None or founder.linked is not None:
            return []
        places[record] = entity
    if tx.decisions(places):
        return []
    return [enter(world, record, entity) for record, entity in places.items()]


def claims_of(policy: TypePolicy, states: Iterable[RecordState]) -> set[Claim]:
    """By which values these records can meet others: (hash of the value, record)."""
    return {
        (identity_key(policy.name, *identity), state.id)
        for state in states
        for identity in identity_values(policy, state)
    }


def identity_key(record_type: str, name: str, value: bytes) -> bytes:
    """Under what the store keeps who shares this value; `name` and `value` as `identity_values` has them."""
    return hashlib.blake2b(f"{record_type}\0{name}\0".encode() + value, digest_size=16).digest()


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
