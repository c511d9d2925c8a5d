"""One review with its evidence, and what would follow from either decision: rehearsed, nothing is written."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from hub.contracts.records import FieldSpec
from hub.core.assertions import RecordKey, RecordState
from hub.core.matching import Decision, Likeness, compare
from hub.lanes.converged import Converged
from hub.lanes.messages import hub_name
from hub.lanes.stewards import StewardsIntake
from hub.ops.finding import NotFound
from hub.ops.parts import Parts
from hub.ops.rehearsal import Onlooker, publish_nothing
from hub.ops.veil import Veil
from hub.store.stewardship import Pair, PairIds, Place, place_in_queue, reviews
from hub.store.transaction import Transaction

# Above every stamp that a clock gives: what is supposed is the latest word.
_LATEST = 2**62


@dataclass(frozen=True)
class FieldPair:
    """What the two records say of one field, veiled, empty for nothing; `likeness` as matching takes it."""

    name: str
    a: str
    b: str
    likeness: Likeness


@dataclass(frozen=True)
class Informed:
    """An agency that would be told: `operation` upsert, merged, retract or delete."""

    agency: str
    operation: str


@dataclass(frozen=True)
class Consequence:
    """What would follow from one decision.

    `together`: both would stand for one entity; `moving`: the records that would come to stand for another
    than now; `joined`: how many records the entity of the first would have; `informed`: who would be told.
    """

    together: bool
    moving: tuple[RecordKey, ...]
    joined: int
    informed: tuple[Informed, ...]


@dataclass(frozen=True)
class ReviewStory:
    """A review. `entities`: the hub ids for which its two records stand now; `place`: None if not open."""

    pair: Pair
    entities: tuple[str, str]
    fields: tuple[FieldPair, ...]
    same: Consequence
    different: Consequence
    place: Place | None


def review_story(parts: Parts, pair: PairIds, veil: Veil) -> ReviewStory:
    """The review of these two records, in its own order; raises `NotFound`. Blocks; locks nothing."""
    with parts.looking() as tx:
        found = next(iter(reviews(tx, pair=pair)), None)
        if found is None:
            raise NotFound("there is no review of these two records: `jisr review list` shows them")
        world = tx.records(pair)
        a, b = (world.records[one] for one in pair)
        return ReviewStory(
            pair=found,
            entities=(hub_name(world.entity_of[a.id]), hub_name(world.entity_of[b.id])),
            fields=tuple(_fields(parts, a, b, veil)),
            same=_consequence(parts, tx, found, same=True),
            different=_consequence(parts, tx, found, same=False),
            place=place_in_queue(tx, pair),
        )


def _fields(parts: Parts, a: RecordState, b: RecordState, veil: Veil) -> Iterator[FieldPair]:
    record_type = a.key.record_type
    specs = parts.catalogue.records[record_type].by_name
    for name, likeness in compare(parts.types[record_type], a, b).items():
        one, other = (_shown(specs[name], state, veil) for state in (a, b))
        yield FieldPair(name, one, other, likeness)


def _shown(spec: FieldSpec, state: RecordState, veil: Veil) -> str:
    said = state.asserts.values.get(spec.name)
    return "" if said is None else veil.value(spec, said[1])


class _Supposing(Onlooker):
    """A transaction in which a decision on a pair has been taken that nobody took."""

    def __init__(self, tx: Transaction, supposed: Decision) -> None:
        super().__init__(tx)
        self._supposed = supposed

    def decisions(self, records: Collection[bytes]) -> list[Decision]:
        """The stewards' decisions, and the one supposed."""
        return [*super().decisions(records), self._supposed]


def _consequence(parts: Parts, tx: Transaction, pair: Pair, *, same: bool) -> Consequence:
    stages: list[_Supposing] = []

    @contextmanager
    def begin() -> Iterator[Transaction]:
        stages.append(_Supposing(tx, Decision(pair.a, pair.b, same, _LATEST)))
        yield stages[-1]

    intake = parts.intake_over(StewardsIntake, begin)
    ids = (pair.a, pair.b)
    done = intake.reidentify(pair.a_key.record_type, ids, lambda _: True, publish_nothing)
    now = tx.records(ids)
    world = next((one for one in stages[-1].worlds if pair.a in one.records), now)
    before = tx.records(world.records.keys()).entity_of
    entity = world.entity_of[pair.a]
    moving = [record for record, stands_for in world.entity_of.items() if before[record] != stands_for]
    return Consequence(
        together=entity == world.entity_of[pair.b],
        moving=tuple(sorted(world.records[record].key for record in moving)),
        joined=sum(one == entity for one in world.entity_of.values()),
        informed=tuple(_informed(done)),
    )


def _informed(done: Converged) -> list[Informed]:
    told = {
        (delivery.agency, delivery.content.operation) for one in done.settled for delivery in one.deliveries
    }
    return [Informed(*one) for one in sorted(told)]
