"""A steward at the hub decides who is who, through the production code of `jisr review` (R16)."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

from hub.errors import Retriable
from hub.lanes.corrections import CorrectingIntake
from hub.lanes.joining import Joining
from hub.lanes.messages import Encoder, hub_name
from hub.ops.audit import Person
from hub.ops.reviews import Reviews
from simulation.deeds import TODAY, Deed
from simulation.parts import Parts
from simulation.ports import Clock
from simulation.said import Name
from simulation.store import MemoryStore, MemoryTransaction

_STEWARD = Person("a steward", "steward@hub")
# How long after an answer that did not come somebody asks again.
_AGAIN_MS = 700


class Decided(NamedTuple):
    """What the steward was told is done; a later word on the same two stands."""

    a: Name
    b: Name
    same: bool


class _Desk:
    """`hub.ops.parts.Parts`, as far as decisions need it."""

    def __init__(self, store: MemoryStore, given: Parts) -> None:
        joining = Joining(given.agreements, given.terms, order=given.catalogue.dependency_order())
        self._store, self._encoder = store, given.encoder
        self.intake = CorrectingIntake(
            given.catalogue, given.types, given.terms, given.ids, store.begin, lambda: TODAY,
            joining=joining.agencies, clock=Clock(store.schedule).time,
        )  # fmt: skip

    def encoder(self) -> Encoder:
        return self._encoder

    @contextmanager
    def looking(self) -> Iterator[MemoryTransaction]:
        with self._store.begin() as tx:
            yield tx


class Stewards:
    """Decides; `ledger` keeps what was decided, in order."""

    def __init__(self, store: MemoryStore, given: Parts) -> None:
        self._store, self._schedule = store, store.schedule
        desk = _Desk(store, given)
        self._reviews = Reviews(desk, Clock(store.schedule).time)  # type: ignore[arg-type]
        self.ledger: list[Decided] = []

    def work(self, deeds: list[Deed]) -> None:
        start = self._schedule.now_ms
        for deed in deeds:
            self._schedule.wait(timeout_ms=max(0, start + deed.at_ms - self._schedule.now_ms))
            self._decide(deed)

    def _decide(self, deed: Deed) -> None:
        pair = self._pair(deed.number)
        if pair is None:
            return
        a, b = pair
        kind = self._record(a).record_type
        same = self._is_same(a, b, deed.number)
        while True:
            try:
                self._reviews.decide(hub_name(a), hub_name(b), kind, same=same, who=_STEWARD, why="simulated")
            except Retriable:
                self._schedule.wait(timeout_ms=_AGAIN_MS)
            else:
                break
        self.ledger.append(Decided(self._record(a), self._record(b), same))

    def _pair(self, number: int) -> tuple[bytes, bytes] | None:
        """Two records: of an open review, of an earlier decision, of one entity, or any."""
        way, number = number % 4, number // 4
        rows = self._store.rows("record")
        if way == 0:
            found = [row[:2] for row in self._store.rows("review") if row[4] == "open"]
        elif way == 1:
            found = [row[:2] for row in self._store.rows("decision")]
        else:
            kinds = sorted({row[2] for row in rows})
            kind = ("person", "person", kinds[number % len(kinds)])[number % 3] if kinds else ""
            # A row that was made for an entity is of that entity: nobody is asked about it.
            those = [row for row in rows if row[2] == kind and row[9] is None]
            found = [(x[0], y[0]) for x in those for y in those if x[0] < y[0]]
            together = [(x[0], y[0]) for x in those for y in those if x[0] < y[0] and x[5] == y[5]]
            found = together if way == 2 and together else found
        return found[number % len(found)] if found else None

    def _is_same(self, a: bytes, b: bytes, number: int) -> bool:
        """What is one is mostly said to be two, and what is two to be one: other decisions change nothing."""
        entities = {row[5] for row in self._store.rows("record") if row[0] in (a, b)}
        return (len(entities) > 1) == (number % 5 != 0)

    def _record(self, record: bytes) -> Name:
        return Name(*self._store.tables.committed["record"][record][1:5])
