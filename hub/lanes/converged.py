"""What one committed transaction changed, and so must be published."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from hub.core.assertions import RecordKey, RecordState
from hub.core.crosswalk import Entity, World
from hub.core.policy import STEWARD
from hub.core.projection import primary
from hub.core.settle import Settled
from hub.core.step import STALE_FORM, Hold
from hub.lanes.reading import DeadLetter


class Note(NamedTuple):
    """Something that an agency's staff should know of one of their records, or of `records` like it."""

    kind: str
    reason: str
    key: RecordKey
    fields: tuple[str, ...]
    stamp: int
    entity: bytes | None
    event_id: str
    records: int = 1


@dataclass
class Converged:
    """What one committed transaction changed.

    `states`: records whose assertions changed; `links`: records that are new, moved or ended, with the
    entity they stand for. `due_taken`: entities settled again because they were due; `due_now`: entities
    that have become due by this; `due_busy`: those that are due still, since another worker holds them.
    `echoes`: (agency, record type) → values that were taken out of its changes (R12).
    """

    settled: list[Settled] = field(default_factory=list)
    states: dict[bytes, RecordState] = field(default_factory=dict)
    links: dict[bytes, tuple[RecordState, Entity]] = field(default_factory=dict)
    notes: list[Note] = field(default_factory=list)
    dead: list[DeadLetter] = field(default_factory=list)
    changes: int = 0
    due_taken: int = 0
    due_now: int = 0
    due_busy: int = 0
    echoes: Counter[tuple[str, str]] = field(default_factory=Counter)

    def empty(self) -> bool:
        return not (self.settled or self.states or self.notes or self.dead)

    def add(
        self,
        world: World,
        settled: Sequence[Settled],
        touched: Collection[bytes] = (),
        moved: Collection[bytes] = (),
    ) -> None:
        """Note entities settled, records touched, and those of them that now stand for another entity."""
        self.settled += settled
        self.states |= {record: world.records[record] for record in touched}
        shown = {*moved, *(record for record in touched if world.records[record].ended)}
        self.links |= {
            record: (world.records[record], world.entities[world.entity_of[record]]) for record in shown
        }
        self._add_duplicates(world, moved)

    def _add_duplicates(self, world: World, moved: Collection[bytes]) -> None:
        """Tell an agency of its records that are not, or no longer, the one that is updated (R21)."""
        entities = {world.entity_of[record] for record in moved}
        members: dict[bytes, list[RecordState]] = {entity: [] for entity in entities}
        for record, entity in world.entity_of.items():
            if entity in entities:
                members[entity].append(world.records[record])
        met = {(world.entity_of[record], world.records[record].key.agency) for record in moved}
        for entity, agency in sorted(met):
            mine = [member for member in members[entity] if member.key.agency == agency and member.live]
            first = primary(mine)
            if agency == STEWARD or first is None:
                continue
            # News is a record that came beside an older one, or an older one that came in its place.
            self.notes += [
                Note("duplicate", "duplicate", state.key, (), state.seen, entity, str(state.born))
                for state in mine
                if state.id != first.id and (state.id in moved or first.id in moved)
            ]

    def add_holds(self, world: World, holds: Iterable[Hold]) -> None:
        """Tell of what is held; a stale form is told by its answer."""
        self.notes += [
            Note(
                "held",
                one.reason,
                one.change.key,
                one.fields,
                one.change.stamp,
                world.entity_of[one.record],
                one.change.event_id,
            )
            for one in holds
            if one.reason != STALE_FORM
        ]
