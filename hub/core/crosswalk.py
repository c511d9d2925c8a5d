"""The crosswalk: which local record stands for which entity (R16, R21).

An entity's id is its founding record's id, so whether an entity was merged is read off the crosswalk
itself: entity E is merged exactly when the record E now stands for another entity. Merge and split are
therefore the same step, `regroup`, and exactly reversible.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

import msgspec

from hub.core.assertions import RecordState
from hub.core.echoes import Echoes
from hub.core.epochs import life_meant, meant
from hub.core.projection import UPSERT, Consent

# A version is `epoch << 40 | counter`: a restored or rebuilt store raises the epoch (R18).
EPOCH_BITS = 40


class Held(msgspec.Struct, array_like=True, frozen=True):
    """What an agency was last told of an entity, and with which version. `echoes`: what it was told of each
    field and when, where its agreement has the hub filter echoes. `marks`: of the fields it was told of
    (`hub.core.disclosure`), empty where nobody kept them. `life`: which incarnation of its row was named
    (`Content.told_life`).

    Kept as an array, of which an older release reads what it knows."""

    digest: bytes
    operation: str
    version: int = 0
    echoes: Echoes | None = None
    marks: bytes = b""
    life: int = 0

    @property
    def holding(self) -> bytes | None:
        """The marks of what the agency holds; None: nothing."""
        return self.marks if self.operation == UPSERT else None


class Entity(msgspec.Struct, kw_only=True):
    """An entity's own state: its version, what each agency was told, and a person's consents.

    `golden`: digest of the golden record last published. `consents`: consent's entity → its content.
    `about`: for a consent, the person's entity that it is an input of.
    """

    id: bytes
    record_type: str
    version: int = 0
    golden: bytes = b""
    held: dict[str, Held] = msgspec.field(default_factory=dict)
    consents: dict[bytes, Consent] = msgspec.field(default_factory=dict)
    about: bytes | None = None

    def raise_version(self, epoch: int) -> None:
        """Take the next version of the store's epoch (R18)."""
        self.version = max(self.version, epoch << EPOCH_BITS) + 1

    def bury(self, agency: str, version: int) -> bool:
        """Forget the agency, which acknowledged that it holds nothing since `version`; whether that is so.

        Of a later retraction the receipt is still to come, and a projection since then stands (R29).
        """
        told = self.held.get(agency)
        if told is None or told.operation == UPSERT or told.version != version:
            return False
        del self.held[agency]
        return True


@dataclass
class World:
    """All that one step needs, loaded and locked beforehand; the step changes it in place.

    `entity_of`: record id → entity id. `records` holds every member of every entity in `entities`.
    """

    records: dict[bytes, RecordState] = field(default_factory=dict)
    entity_of: dict[bytes, bytes] = field(default_factory=dict)
    entities: dict[bytes, Entity] = field(default_factory=dict)

    def members(self) -> dict[bytes, list[RecordState]]:
        """Entity id → its members, in a fixed order."""
        members: dict[bytes, list[RecordState]] = {entity: [] for entity in self.entities}
        for record_id, entity in self.entity_of.items():
            members.setdefault(entity, []).append(self.records[record_id])
        for states in members.values():
            if len(states) > 1:
                states.sort(key=lambda state: state.key)
        return members


class Move(NamedTuple):
    """One record that stands for another entity than before."""

    record: bytes
    before: bytes
    after: bytes


def regroup(world: World, founder: Mapping[bytes, bytes]) -> list[Move]:
    """Let records stand for the entities of their founders; returns the moves.

    All entities concerned get the highest of their versions, so that whatever an agency has seen of any of
    them is lower than what it is told next (R18); the step itself then adds one.
    """
    moves = [
        Move(record, world.entity_of[record], after)
        for record, after in sorted(founder.items())
        if world.entity_of[record] != after
    ]
    if not moves:
        return []
    concerned = {move.before for move in moves} | {move.after for move in moves}
    kind = world.records[moves[0].record].key.record_type
    for entity in concerned:
        world.entities.setdefault(entity, Entity(id=entity, record_type=kind))
    for group in _connected(moves):
        highest = max(world.entities[entity].version for entity in group)
        for entity in group:
            world.entities[entity].version = highest
    for move in moves:
        world.entity_of[move.record] = move.after
    _move_consents(world, concerned)
    return moves


def enter(world: World, record: bytes, entity: bytes) -> Move:
    """Let a new record, of whose own entity nobody has been told, stand for `entity`."""
    move = Move(record, world.entity_of[record], entity)
    world.entity_of[record] = entity
    return move


def _connected(moves: Iterable[Move]) -> list[set[bytes]]:
    """Entities joined by moves, each group for itself."""
    group_of: dict[bytes, set[bytes]] = {}
    for move in moves:
        smaller, larger = sorted(
            (group_of.get(entity) or {entity} for entity in (move.before, move.after)), key=len
        )
        larger |= smaller
        group_of.update(dict.fromkeys(smaller, larger))
        group_of.update(dict.fromkeys((move.before, move.after), larger))
    return list({id(group): group for group in group_of.values()}.values())


def _move_consents(world: World, concerned: Collection[bytes]) -> None:
    """A consent goes where the record goes that it was given for, in the same step (R17)."""
    entities = [world.entities[entity] for entity in sorted(concerned)]
    pool = {consent: content for entity in entities for consent, content in entity.consents.items()}
    if not pool:
        return
    lives: dict[tuple[str, str], list[RecordState]] = {}
    for record_id in world.entity_of:
        state = world.records[record_id]
        lives.setdefault((state.key.agency, state.key.local_id), []).append(state)
    for entity_row in entities:
        entity_row.consents = {}
    for consent, content in pool.items():
        local_id, below = meant(content.about_local_id)
        person = life_meant(lives.get((content.about_agency, local_id), ()), below)
        if person is not None and (entity := world.entity_of[person.id]) in concerned:
            world.entities[entity].consents[consent] = content


def merged_into(world: World, entity: bytes) -> bytes | None:
    """The entity that `entity` is now part of, or None if it stands for itself."""
    now = world.entity_of.get(entity, entity)
    return None if now == entity else now
