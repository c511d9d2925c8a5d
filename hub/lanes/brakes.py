"""Brakes in intake: what is a mass is set aside, in the transaction that moves the positions (R32).

A batch costs one statement if it holds a deletion or an update, and nothing if it does not. What is held is
as if it had not come yet: since order does not matter to state (R8), it can be applied at any later time.
Counted by the broker's append time, so that a worker that catches up judges as one that was awake. Two
workers do not see each other's last batch: a brake may be pulled by so much later.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Sequence

from hub.core.assertions import Change, RecordKey
from hub.core.brakes import MINUTE_MS, Limits, kind_of
from hub.lanes.converged import Note
from hub.lanes.reading import Message
from hub.store import brakes as store
from hub.store.brakes import Counted, Group
from hub.store.transaction import Transaction

Said = tuple[Change, Message]

# How long an agency's number of live records is believed: counting them reads an index.
_LIVE_S = 60.0


class Brakes:
    """Sifts batches. One per worker; blocks."""

    def __init__(self, limits: Limits, clock: Callable[[], float] = time.monotonic) -> None:
        self._limits = limits
        self._clock = clock
        self._live: dict[tuple[str, str], tuple[float, int]] = {}
        self._forgotten = 0

    def sift(
        self, tx: Transaction, batch: Sequence[Said], record_id: Callable[[RecordKey], bytes]
    ) -> tuple[Sequence[Said], list[Note]]:
        """What of `batch` is to be taken in now, and what the agencies are told of the rest."""
        numbers = Counter(
            ((change.key.agency, change.key.record_type, kind), message.timestamp_ms // MINUTE_MS)
            for change, message in batch
            if (kind := kind_of(change)) is not None
        )
        if not numbers:
            return batch, []
        counted = self.count(tx, numbers)
        mass = {place for place in numbers if self.is_mass(tx, place, numbers, counted)}
        if not mass and not counted.brakes:
            return batch, []
        return self._split(tx, batch, mass, counted, record_id)

    def count(self, tx: Transaction, numbers: Counter[tuple[Group, int]]) -> Counted:
        """Add these numbers of a batch, and learn what came before."""
        counted = store.count(tx, numbers, self._limits.window_min)
        before = min(minute for _, minute in numbers) - self._limits.window_min
        if before > self._forgotten:
            self._forgotten = before
            # A worker far behind may still need what another would drop: leave an hour.
            store.forget_counts(tx, before - 60)
        return counted

    def is_mass(
        self,
        tx: Transaction,
        place: tuple[Group, int],
        numbers: Counter[tuple[Group, int]],
        counted: Counted,
    ) -> bool:
        """Whether what came within the window up to this minute is above the limit."""
        group, minute = place
        window = range(minute - self._limits.window_min + 1, minute + 1)
        total = sum(counted.before.get((group, one), 0) + numbers[group, one] for one in window)
        limit = self._limits.of_kind[group[2]]
        if total <= limit.floor or minute <= counted.passing.get(group, 0) // MINUTE_MS:
            return False
        return total > limit.of(self._live_records(tx, group))

    def is_many(self, tx: Transaction, group: Group, number: int) -> bool:
        """Whether so many at once are above the limit."""
        return number > self._limits.of_kind[group[2]].of(self._live_records(tx, group))

    def _live_records(self, tx: Transaction, group: Group) -> int:
        agency, record_type, _ = group
        known = self._live.get((agency, record_type))
        if known is None or self._clock() - known[0] > _LIVE_S:
            known = self._clock(), store.live_records(tx, agency, record_type)
            self._live[agency, record_type] = known
        return known[1]

    def _split(
        self,
        tx: Transaction,
        batch: Sequence[Said],
        mass: set[tuple[Group, int]],
        counted: Counted,
        record_id: Callable[[RecordKey], bytes],
    ) -> tuple[list[Said], list[Note]]:
        """Set aside what is a mass, and what is held or was rejected already and comes once more."""
        on = {number for numbers in counted.brakes.values() for number in numbers}
        events = [(record_id(change.key), change.event_id) for change, _ in batch]
        again = store.barred(tx, on, events)
        passed: list[Said] = []
        held: dict[Group, list[tuple[bytes, Change]]] = {}
        for (change, message), event in zip(batch, events, strict=True):
            kind = kind_of(change)
            group = (change.key.agency, change.key.record_type, kind or "")
            if kind is None or (
                event not in again and (group, message.timestamp_ms // MINUTE_MS) not in mass
            ):
                passed.append((change, message))
            elif event not in again:
                held.setdefault(group, []).append((event[0], change))
        return passed, [self.hold(tx, group, held[group]) for group in sorted(held)]

    def hold(self, tx: Transaction, group: Group, changes: Sequence[tuple[bytes, Change]]) -> Note:
        """Keep changes by the group's brake; returns what the agency is told."""
        live = self._live_records(tx, group)
        brake = store.pull(tx, group, live, self._limits.of_kind[group[2]].of(live))
        store.hold(tx, brake, changes)
        first = changes[0][1]
        return Note("held", group[2], first.key, (), first.stamp, None, first.event_id, len(changes))
