"""The brake of a join: a snapshot that would change many records elsewhere (R32).

A newcomer's rows must be known, or the hub would create at the agency whom it already has. So they are taken
in as of unknown age, which loses to everything dated (R11), without the values that took others' place (age
does not decide everywhere: others may be undated, too); and what they say with their own age is held whole.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence, Set

import msgspec

from hub.core.assertions import Change, RecordKey
from hub.core.brakes import MASS_JOIN, MINUTE_MS, Limits
from hub.core.crosswalk import World
from hub.core.overwrites import overwriting
from hub.core.policy import TypePolicy
from hub.core.stamps import LOWEST
from hub.lanes.brakes import Brakes, Said
from hub.lanes.converged import Note
from hub.store import brakes as store
from hub.store.brakes import Group
from hub.store.transaction import Transaction


class MassJoin(Exception):
    """These records of a snapshot would put too many values in place of others': of these fields."""

    def __init__(self, records: Mapping[bytes, Set[str]]) -> None:
        super().__init__(f"{len(records)} records")
        self.records = records


class JoinBrakes(Brakes):
    """Brakes that also weigh what snapshots would change elsewhere."""

    def __init__(self, limits: Limits, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__(limits, clock)

    def weaken(
        self,
        tx: Transaction,
        batch: Sequence[Said],
        weak: Mapping[bytes, Collection[str]],
        record_id: Callable[[RecordKey], bytes],
    ) -> tuple[Sequence[Said], list[Note]]:
        """`batch` with the snapshots of `weak` records as of unknown age, without these fields; what they say
        is held whole.

        Without those that are held or were rejected, and come once more.
        """
        if not any(is_dated_snapshot(change) for change, _ in batch):
            return batch, []
        events = [(record_id(change.key), change.event_id) for change, _ in batch]
        again = store.barred(tx, store.numbers_on(tx, MASS_JOIN), events)
        passed: list[Said] = []
        held: dict[Group, list[tuple[bytes, Change]]] = {}
        numbers: Counter[tuple[Group, int]] = Counter()
        for (change, message), (record, event_id) in zip(batch, events, strict=True):
            if (record, event_id) in again:
                continue
            if not is_dated_snapshot(change) or record not in weak:
                passed.append((change, message))
                continue
            group = (change.key.agency, change.key.record_type, MASS_JOIN)
            held.setdefault(group, []).append((record, change))
            numbers[group, message.timestamp_ms // MINUTE_MS] += 1
            values = {name: value for name, value in change.values.items() if name not in weak[record]}
            passed.append((msgspec.structs.replace(change, effective=LOWEST, values=values), message))
        if numbers:
            self.count(tx, numbers)
        return passed, [self.hold(tx, group, held[group]) for group in sorted(held)]

    def weigh(
        self,
        tx: Transaction,
        policy: TypePolicy,
        world: World,
        batch: Sequence[Said],
        record_id: Callable[[RecordKey], bytes],
        joining: Collection[str],
    ) -> None:
        """Raises `MassJoin` if what this batch's snapshots put in place of others' is a mass."""
        minutes = {
            record_id(change.key): message.timestamp_ms // MINUTE_MS
            for change, message in batch
            if is_dated_snapshot(change)
        }
        if not minutes:
            return
        found = overwriting(policy, world, minutes.keys() & world.records.keys(), joining)
        if not found:
            return
        numbers: Counter[tuple[Group, int]] = Counter()
        places: dict[tuple[Group, int], set[bytes]] = {}
        for record in found:
            key = world.records[record].key
            place = ((key.agency, key.record_type, MASS_JOIN), minutes[record])
            numbers[place] += 1
            places.setdefault(place, set()).add(record)
        counted = self.count(tx, numbers)
        mass = [place for place in numbers if self.is_mass(tx, place, numbers, counted)]
        if mass:
            raise MassJoin({record: found[record] for place in mass for record in places[place]})


def is_dated_snapshot(change: Change) -> bool:
    """Whether it could win against what is dated: what a row of unknown age says changes nobody's value."""
    return change.operation == "snapshot" and change.effective > LOWEST
