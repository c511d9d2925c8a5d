"""Intake in rehearsal: the whole of it, over a transaction that reads and cannot write.

What a change would do is found out by the code that would do it. PostgreSQL itself refuses to write in this
transaction, so whatever intake learns to save and this file does not know fails loudly, and harms nothing.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from hub.core.assertions import Change, RecordKey, RecordState, Replaced
from hub.core.contents import Reference
from hub.core.crosswalk import Entity, World
from hub.core.matching import Review
from hub.core.merge import Golden, golden_record
from hub.core.settle import Settled
from hub.core.step import Hold
from hub.lanes.converged import Converged
from hub.lanes.intake import Intake
from hub.lanes.reading import DeadLetter, Message, Read
from hub.ops.parts import Parts
from hub.store.dead_letters import hold_states
from hub.store.looking import Looking
from hub.store.overlay import look_at_sharers
from hub.store.stewardship import HELD
from hub.store.transaction import Transaction


class Onlooker(Looking):
    """A transaction of intake that looks instead of locking, and keeps in memory what would be saved."""

    def __init__(self, tx: Transaction) -> None:
        super().__init__(tx.connection)
        self.worlds: list[World] = []
        self.holds: list[Hold] = []
        self.reviews: list[Review] = []

    def claim_identities(self, claims: Iterable[tuple[bytes, bytes]]) -> dict[bytes, list[bytes]]:
        """Who would share each value; nothing is claimed."""
        return {value: sorted(records) for value, records in look_at_sharers(self, claims).items()}

    def save_records(self, world: World, ids: Iterable[bytes]) -> None:
        del ids  # the whole world is looked at
        self.worlds.append(world)

    def save_names(self, keys: Mapping[bytes, Collection[int]]) -> None:
        pass

    def save_entities(self, entities: Iterable[Entity]) -> None:
        pass

    def save_references(self, rows: Sequence[tuple[bytes, str, Reference]]) -> None:
        pass

    def save_due(self, days: Mapping[bytes, int]) -> None:
        pass

    def save_holds(self, holds: Sequence[Hold]) -> None:
        self.holds += holds

    def save_reviews(self, world: World, reviews: Sequence[Review]) -> None:
        del world  # the pairs alone are counted
        self.reviews += reviews

    def save_replaced(self, replaced: Mapping[bytes, Sequence[Replaced]]) -> None:
        pass

    def save_disputes(self, disputes: Sequence[tuple[bytes, str, RecordKey]]) -> None:
        pass


@dataclass(frozen=True)
class Rehearsed:
    """What one change would do. `after`: its record then; `before` and `golden`: of the entity that it would
    stand for, without the change and with it; `known`: the record as the hub has it now, if it does;
    `holds`: what would wait for a person, unless one has decided on it already."""

    after: RecordState
    known: RecordState | None
    entity: bytes
    entity_before: bytes | None
    before: Golden
    golden: Golden
    settled: tuple[Settled, ...]
    holds: tuple[Hold, ...]
    reviews: tuple[Review, ...]


class Rehearsal:
    """Rehearses changes inside one read-only transaction (`Parts.looking`). Blocks; locks nothing."""

    def __init__(self, parts: Parts, tx: Transaction) -> None:
        self._parts = parts
        self._tx = tx
        self._stage = Onlooker(tx)
        self._intake = parts.intake_over(Intake, self._begin)

    def rehearse(self, change: Change, message: Message) -> Rehearsed | DeadLetter:
        """What `change` would do now by itself, or why it can never be applied."""
        done = self._intake.converge(Read([(change, message)]), [], publish_nothing)
        if done.dead:
            return done.dead[0]
        stage, record = self._stage, self._parts.ids.record(*change.key)
        world = next(one for one in stage.worlds if record in one.records)
        entity = world.entity_of[record]
        before = self._tx.records({record})
        policy = self._parts.types[change.key.record_type]
        members = list(self._tx.members({entity}).records.values())
        settled = next((one for one in done.settled if one.entity.id == entity), None)
        return Rehearsed(
            after=world.records[record],
            known=before.records.get(record),
            entity=entity,
            entity_before=before.entity_of.get(record),
            before=golden_record(policy, members),
            golden=settled.golden if settled else golden_record(policy, world.members()[entity]),
            settled=tuple(done.settled),
            holds=tuple(self._undecided(stage.holds)),
            reviews=tuple(stage.reviews),
        )

    def _undecided(self, holds: Sequence[Hold]) -> Iterator[Hold]:
        states = hold_states(self._tx, {one.record for one in holds})
        for one in holds:
            if states.get((one.record, one.change.event_id, one.reason), HELD) == HELD:
                yield one

    @contextmanager
    def _begin(self) -> Iterator[Transaction]:
        self._stage = Onlooker(self._tx)
        yield self._stage


def publish_nothing(tx: Transaction, done: Converged) -> None:
    """Nothing is published in rehearsal."""
