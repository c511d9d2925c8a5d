"""Reviews: a steward says whether two records are one, and who is who follows at once (R16)."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import NamedTuple

from hub.core import stamps
from hub.core.assertions import RecordKey
from hub.errors import Fatal
from hub.lanes.converged import Converged
from hub.lanes.messages import hub_id, hub_name
from hub.ops.audit import Person
from hub.ops.finding import NotFound, find
from hub.ops.handing_over import hand_over
from hub.ops.parts import Parts
from hub.store.audit import note
from hub.store.stewardship import (
    Decided,
    Pair,
    PairIds,
    lock_decision,
    reviews,
    save_decision,
    settle_reviews,
)
from hub.store.transaction import Transaction

# What the audit trail calls the decisions.
SAME, DIFFERENT = "same", "different"


class Verdict(NamedTuple):
    """What a decision came to: whether it is new, and whether the two stand for one entity now."""

    new: bool
    together: bool


class Named(NamedTuple):
    """A local record that a steward named."""

    id: bytes
    key: RecordKey


class Reviews:
    """Shows reviews and takes decisions. Blocks; a decision is one transaction, and idempotent."""

    def __init__(self, parts: Parts, clock: Callable[[], float] = time.time) -> None:
        self._parts = parts
        self._clock = clock

    def page(self, after: PairIds | None, limit: int) -> Sequence[Pair]:
        """Open reviews that come after `after`, oldest first."""
        with self._parts.looking() as tx:
            return reviews(tx, waiting=True, after=after, limit=limit)

    def list(self, *, all_states: bool = False) -> list[Pair]:
        """Reviews that are open, or all, oldest first."""
        with self._parts.looking() as tx:
            return reviews(tx, waiting=not all_states)

    def decide(self, a: str, b: str, record_type: str, *, same: bool, who: str | Person, why: str) -> Verdict:
        """Decide that records `a` and `b` are the same, or not; each named by hub name or agency:local_id.

        `who`: a person, or the name of whoever is at this machine's keyboard.
        They need no open review: a steward may know better than any rule. The latest decision on a pair
        counts. Raises `NotFound`, or `Fatal` for a pair that is none.
        """
        person = who if isinstance(who, Person) else Person.at_keyboard(who)
        pair = self._pair(a, b, record_type)
        ids = [one.id for one in pair]
        decided = False

        def decide(tx: Transaction) -> bool:
            nonlocal decided
            before = lock_decision(tx, ids)
            decided = before is None or before.same != same
            if decided:
                stamp = stamps.capture(int(self._clock() * 1000), before.stamp if before else 0)
                save_decision(tx, ids, Decided(same, stamp, person.name, why))
                subject = f"review {hub_name(pair[0].id)} {hub_name(pair[1].id)}"
                deed = person.entry(
                    SAME if same else DIFFERENT, subject, why, record_type=pair[0].key.record_type
                )
                note(tx, [deed])
            return decided

        publish = hand_over(self._parts.encoder())

        def finish(tx: Transaction, done: Converged) -> None:
            settle_reviews(tx, {one.entity.id for one in done.settled})
            publish(tx, done)

        self._parts.intake.reidentify(pair[0].key.record_type, ids, decide, finish)
        with self._parts.looking() as tx:
            entity_of = tx.records(ids).entity_of
        return Verdict(decided, len({entity_of[record] for record in ids}) == 1)

    def _pair(self, a: str, b: str, record_type: str) -> tuple[Named, Named]:
        with self._parts.looking() as tx:
            first, second = self._record(tx, a, record_type), self._record(tx, b, record_type)
        if first.id == second.id:
            raise Fatal(f"{a} and {b} are the same local record: a decision needs two")
        if first.key.record_type != second.key.record_type:
            kinds = f"{first.key.record_type} and {second.key.record_type}"
            raise Fatal(f"{a} and {b} are of different record types: {kinds}")
        return first, second

    def _record(self, tx: Transaction, name: str, record_type: str) -> Named:
        """By agency:local_id, its latest life; or by the hub's name of the record, as a review shows it."""
        if ":" in name:
            record = find(self._parts, tx, name, None, record_type).record or b""
        else:
            record = _hub_id(name)
        state = tx.records({record}).records.get(record)
        if state is None:
            raise NotFound(
                f"no local record {name!r}: `jisr review list` shows the names; or agency:local_id"
            )
        return Named(record, state.key)


def _hub_id(name: str) -> bytes:
    try:
        return hub_id(name)
    except ValueError:
        return b""
