"""The simulated store and the real one on the same sequences: they must answer alike."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support.changes import key, said
from support.contracts import TERMS, TODAY
from support.facts import differences
from support.histories import arrivals, histories
from support.store_hub import StoreHub, empty, open_store

from hub.lanes.intake import LANE
from hub.lanes.joining import Joining
from hub.store.errors import Fenced
from hub.store.loading import Advance
from hub.store.positions import (
    Farewell,
    Position,
    ReceiptException,
    leftover_publications,
    load_positions,
    save_farewells,
    save_first_positions,
    save_receipts,
    take_farewells,
)
from simulation.schedule import Schedule
from simulation.store import MemoryStore


@pytest.fixture
def stores(database: str) -> Iterator[list[Any]]:
    """The real store, and the simulated one with nobody else in it."""
    real = open_store(database)
    yield [real, simulated()]
    real.close()


def simulated() -> MemoryStore:
    return MemoryStore(Schedule("conformance"), fails=False)


def test_positions_fence_alike(stores: list[Any]) -> None:
    place = ("ads.person.changes", 1)
    answers = []
    for store in stores:
        seen: list[Any] = []
        with store.begin() as tx:
            save_first_positions(tx, LANE, {place: Position("an id", 4)})
            save_first_positions(tx, LANE, {place: Position("another", 9)})
        for expected, following in ((4, 6), (4, 7), (6, 8)):
            try:
                with store.begin() as tx:
                    tx.advance(LANE, [Advance(*place, expected, following)])
            except Fenced:
                seen.append("fenced")
            with store.begin() as tx:
                seen.append(load_positions(tx, LANE, [place[0], "not.a.topic"]))
        answers.append(seen)
    assert answers[0] == answers[1]


def test_what_was_not_committed_was_not_there(stores: list[Any]) -> None:
    for store in stores:
        with suppress(ZeroDivisionError), store.begin() as tx:
            number = tx.save_publication("hub-0", b"payload")
            assert leftover_publications(tx, "hub-0", 15.0) == [(number, b"payload")]
            raise ZeroDivisionError
        with store.begin() as tx:
            assert leftover_publications(tx, "hub-0", 15.0) == []
            kept = tx.save_publication("hub-0", b"kept")
            tx.save_publication("hub-1", b"somebody else's, and new")
        with store.begin() as tx:
            assert leftover_publications(tx, "hub-0", 15.0) == [(kept, b"kept")]
            tx.drop_publications([kept])
        with store.begin() as tx:
            assert leftover_publications(tx, "hub-0", 15.0) == []


def test_receipts_and_farewells_go_alike(stores: list[Any]) -> None:
    inbox, one, other = "ads.person.inbox", b"1" * 16, b"2" * 16
    answers = []
    for store in stores:
        seen: list[Any] = []
        with store.begin() as tx:
            save_farewells(
                tx, [Farewell("ads", e, "person", inbox, 0, at, at) for e, at in ((one, 3), (other, 7))]
            )
            # A later version stands, at whatever offset; an earlier one that is saved late does not.
            save_farewells(tx, [Farewell("ads", other, "person", inbox, 0, 5, 8)])
            save_farewells(tx, [Farewell("ads", other, "person", inbox, 0, 1, 6)])
        for offset, at_ms in ((3, 10), (2, 9), (4, 9), (4, 20), (9, 1)):
            row = {
                "topic": inbox,
                "partition": 0,
                "agency": "ads",
                "next_offset": offset,
                "committed_ms": at_ms,
            }
            states = [ReceiptException("ads", one, "person", offset, "refused", "check", "", at_ms)]
            with store.begin() as tx:
                save_receipts(tx, [row], states)
                seen.append(take_farewells(tx, 10))
        answers.append(seen)
    assert answers[0] == answers[1]


def test_due_entities_are_taken_alike(stores: list[Any]) -> None:
    a, b, c = (bytes([number]) * 16 for number in range(3))
    answers = []
    for store in stores:
        seen = []
        for days in ({a: 5, b: 0}, {a: 0, c: 9}, {b: 0}):
            with store.begin() as tx:
                tx.save_due(days)
        for day, limit in ((5, 1), (5, 10), (9, 10)):
            with store.begin() as tx:
                seen.append(tx.take_due(day, limit))
        answers.append(seen)
    assert answers[0] == answers[1]


def test_settings_and_joining_go_alike(stores: list[Any]) -> None:
    answers = []
    for store in stores:
        joining = Joining({}, TERMS)
        with store.begin() as tx:
            first = joining.apply_terms(tx, TODAY)
        with store.begin() as tx:
            later = (
                joining.apply_terms(tx, TODAY),
                joining.apply_terms(tx, TODAY + 60_000),
                joining.agencies(tx),
            )
        answers.append((first, later))
    assert answers[0] == answers[1]


class AnyHub(StoreHub):
    """The tests' intake over either store."""

    def world(self) -> Any:
        if not isinstance(self.store, MemoryStore):
            return super().world()
        with self.store.begin() as tx:
            return tx.lock_entities({row[0] for row in self.store.rows("entity")})


@settings(
    max_examples=15,
    derandomize=True,
    database=None,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
@given(st.data())
def test_intake_comes_to_the_same_over_both(stores: list[Any], data: st.DataObject) -> None:
    """Histories of persons, papers and consents, in the same batches: records, crosswalk, what is told."""
    batches = data.draw(arrivals(data.draw(histories())))
    empty(stores[0])
    hubs = [AnyHub(store) for store in (stores[0], simulated())]
    for hub in hubs:
        for batch in batches:
            hub.take(*batch)
        hub.settle_due()
    assert differences(*(hub.facts() for hub in hubs)) == {}
    real, other = ([one for done in hub.log for s in done.settled for one in s.deliveries] for hub in hubs)
    assert real == other


def test_who_waits_for_whom_is_the_same(stores: list[Any]) -> None:
    """What `lock_free` and impatient targets leave out is what another transaction holds."""
    answers = []
    for store in stores:
        hub = AnyHub(store)
        hub.take(said(key("entraide", "1"), 1, cin="SH1"), said(key("ads", "a"), 1, cin="SH2"))
        mine, other = hub.entity(key("entraide", "1")), hub.entity(key("ads", "a"))
        with store.begin() as first, store.begin() as second:
            first.lock_early({mine})
            free, held = second.lock_free({mine, other, b"nobody"})
            places = {("entraide", "person", "1"), ("ads", "person", "a")}
            found = second.targets(places, locked=False, patient=False)
            led_to = second.led_to(places)
            answers.append(
                ([one == other for one in free], [one == mine for one in held], set(found), led_to)
            )
    assert answers[0] == answers[1]
