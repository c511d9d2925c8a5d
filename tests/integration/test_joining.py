"""Who is let in when, and what becomes of terms that are agreed on no more; over a real PostgreSQL."""

from __future__ import annotations

import datetime
import threading
from collections.abc import Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor

import pytest
from support.changes import key, record_id, said
from support.contracts import AGENCIES, CATALOGUE, IDS, TERMS, TODAY, TYPES
from support.facts import differences, facts
from support.memory_hub import MemoryHub
from support.store_hub import WAITING, StoreHub, open_store

from hub.contracts import topics
from hub.contracts.agreements import Agreement, Grant
from hub.core.assertions import Change
from hub.lanes.converged import Converged
from hub.lanes.intake import LANE, Intake
from hub.lanes.joining import TOGETHER_S, Joining
from hub.lanes.reading import Read
from hub.store.positions import Position, save_first_positions, save_receipts
from hub.store.transaction import Transaction

PARTITIONS = range(topics.CHANGES_PARTITIONS)
PERSON = frozenset(CATALOGUE.records["person"].by_name)


@pytest.fixture
def hub(database: str) -> Iterator[StoreHub]:
    store = open_store(database)
    yield StoreHub(store)
    store.close()


def agreement(agency: str) -> Agreement:
    grants: Mapping[str, tuple[Grant, ...]] = {"person": ()}
    return Agreement(agency, {}, datetime.date(2090, 1, 1), {"person": PERSON}, grants, snapshot=True)


class Entrance:
    """A joining of some agencies, with a clock that stands still until it is moved."""

    def __init__(self, hub: StoreHub, *agencies: str, partitions: int = topics.CHANGES_PARTITIONS) -> None:
        """`partitions`: of each changes topic."""
        self.hub = hub
        self.now = 0.0
        self.partitions = range(partitions)
        self.joining = Joining(
            {name: agreement(name) for name in agencies},
            {},
            lambda: self.now,
            partitions={"person": partitions},
        )

    def read(self, agency: str, offset: int) -> None:
        """Intake has read the agency's changes so far, in each partition."""
        topic = topics.changes(agency, "person")
        with self.hub.store.begin() as tx:
            save_first_positions(tx, LANE, {(topic, n): Position("id", 0) for n in self.partitions})
        self.hub.execute("UPDATE position SET next_offset = :at WHERE topic = :topic", at=offset, topic=topic)

    def ends(self, agency: str, offset: int, committed_ms: int = 1) -> None:
        """The agency says where its snapshot ends."""
        topic = topics.changes(agency, "person")
        rows = [
            {
                "topic": topic,
                "partition": n,
                "agency": agency,
                "next_offset": offset,
                "committed_ms": committed_ms,
            }
            for n in self.partitions
        ]
        with self.hub.store.begin() as tx:
            save_receipts(tx, rows, [])

    def admit(self) -> list[str]:
        with self.hub.store.begin() as tx:
            return self.joining.admit(tx)


def test_an_agency_is_let_in_once_its_snapshot_has_been_read(hub: StoreHub) -> None:
    entrance = Entrance(hub, "ads")
    entrance.read("ads", 5)
    assert entrance.admit() == []
    entrance.ends("ads", 7)
    assert entrance.admit() == []
    entrance.read("ads", 7)
    assert entrance.admit() == ["ads"]
    assert entrance.admit() == []


def test_all_partitions_of_a_small_record_type_are_a_whole_snapshot(hub: StoreHub) -> None:
    entrance = Entrance(hub, "ads", partitions=1)
    entrance.read("ads", 7)
    assert entrance.admit() == []
    entrance.ends("ads", 7)
    assert entrance.admit() == ["ads"]


def test_agencies_that_join_at_one_time_are_let_in_together(hub: StoreHub) -> None:
    """The record by which two people turn out to be one may be in any of the snapshots."""
    entrance = Entrance(hub, "ads", "region")
    entrance.read("ads", 3)
    entrance.ends("ads", 3)
    assert entrance.admit() == [], "region may have begun a moment later"
    for read in (1, 2, 3):
        entrance.now += TOGETHER_S - 1
        entrance.read("region", read)
        assert entrance.admit() == [], "region's snapshot is still coming"
    entrance.ends("region", 3)
    assert entrance.admit() == ["ads", "region"]


def test_nobody_waits_for_a_snapshot_that_does_not_move(hub: StoreHub) -> None:
    entrance = Entrance(hub, "ads", "region", "health")
    entrance.read("ads", 3)
    entrance.ends("ads", 3)
    entrance.read("region", 1)
    assert entrance.admit() == []
    entrance.now += TOGETHER_S
    assert entrance.admit() == ["ads"]


def arriving(hub: StoreHub, *agencies: str) -> Entrance:
    """All these have begun to join, and the hub's intake knows of it."""
    entrance = Entrance(hub, *agencies)
    hub.intake = Intake(
        CATALOGUE, TYPES, TERMS, IDS, hub.store.begin, hub._today, joining=entrance.joining.agencies
    )
    for agency in agencies:
        entrance.read(agency, 3)
    return entrance


def snapshots() -> list[Change]:
    born = {"birth_date": datetime.date(1990, 1, 1), "cin": "SH1"}
    known = {"entraide": {"phone": "+212600000001"}, "ads": {"sex": "female"}}
    return [said(key(a, "1"), n, "snapshot", **born, **known[a]) for n, a in enumerate(known)]


@pytest.mark.parametrize("oldest", ["first", "last"])
def test_snapshots_are_settled_once_when_their_agencies_have_joined(hub: StoreHub, oldest: str) -> None:
    """Where the oldest comes last, who was there before moves to it."""
    entrance = arriving(hub, *AGENCIES)
    versions = []
    for change in snapshots() if oldest == "first" else snapshots()[::-1]:
        done = hub.take(change)
        assert done.settled == []
        versions += [(state.key, entity.version) for state, entity in done.links.values()]
    # Each link is said in a later version than the one before of the same record: two workers may say them in
    # the wrong order (R18).
    assert len(set(versions)) == len(versions)
    hub.settle_due()
    assert hub.inbox == {}
    for agency in AGENCIES:
        entrance.ends(agency, 3)
    assert entrance.admit() == sorted(AGENCIES)
    assert [len(done.settled) for done in hub.settle_due()] == [1 if oldest == "first" else 2, 0]
    model = MemoryHub()
    model.take(*snapshots())
    model.settle_due()
    expected = facts(model.world.records, model.world.entity_of, model.golden, model.inbox)
    assert differences(hub.facts(), expected) == {}


def test_what_refers_to_a_newcomer_is_not_due_while_all_who_receive_it_join(hub: StoreHub) -> None:
    arriving(hub, *AGENCIES)
    person, paper = key("entraide", "1"), key("entraide", "E1", "enrolment")
    hub.take(said(paper, 1, "snapshot", person="1"))
    hub.take(said(person, 2, "snapshot", cin="SH1", birth_date=datetime.date(1990, 1, 1)))
    assert hub.rows("SELECT entity FROM due") == []
    arriving(hub, *(one for one in AGENCIES if one != "health"))
    hub.take(said(key("entraide", "2"), 3, "snapshot", cin="SH2", birth_date=datetime.date(1991, 1, 1)))
    hub.take(said(key("entraide", "E2", "enrolment"), 4, "snapshot", person="3"))
    hub.take(said(key("entraide", "3"), 5, "snapshot", cin="SH3", birth_date=datetime.date(1992, 1, 1)))
    due = hub.rows("SELECT entity FROM due WHERE day = 0")
    assert [bytes(row.entity) for row in due] == [record_id(key("entraide", "E2", "enrolment"))]


@pytest.mark.parametrize("there", ["a receiver has joined", "it is no snapshot"])
def test_whom_somebody_waits_for_is_settled_at_once(hub: StoreHub, there: str) -> None:
    arriving(hub, *(AGENCIES if there == "it is no snapshot" else AGENCIES[1:]))
    change = snapshots()[0]
    if there == "it is no snapshot":
        change.operation = "insert"
    assert len(hub.take(change).settled) == 1


def test_who_is_taken_in_while_an_agency_is_let_in_becomes_due_too(hub: StoreHub) -> None:
    entrance = arriving(hub, *AGENCIES)
    for agency in AGENCIES:
        entrance.ends(agency, 3)
    with ThreadPoolExecutor(1) as pool:
        admitted: list[Future[list[str]]] = []

        def meanwhile(tx: Transaction, _: Converged) -> None:
            admitted.append(pool.submit(entrance.admit))
            # It sees that all have joined, and waits for this transaction, whose records it does not see.
            for _ in range(200):
                if admitted[0].done() or hub.rows(WAITING)[0].count > 0:
                    break
                threading.Event().wait(0.05)

        change = snapshots()[0]
        hub.intake.converge(Read([(change, hub.message(change))]), [], meanwhile)
        assert admitted[0].result(60) == sorted(AGENCIES)
    assert [bytes(row.entity) for row in hub.rows("SELECT entity FROM due")] == [record_id(change.key)]


def test_r17_holders_are_told_when_a_record_type_is_agreed_on_no_more(hub: StoreHub) -> None:
    hub.take(said(key("entraide", "1"), 1, cin="SH1", birth_date=datetime.date(1990, 1, 1)))
    hub.settle_due()
    with hub.store.begin() as tx:
        assert Joining({}, TERMS).apply_terms(tx, TODAY) == []
        without = {name: those for name, those in TERMS.items() if name != "person"}
        assert Joining({}, without).apply_terms(tx, TODAY) == ["person"]
        assert Joining({}, without).apply_terms(tx, TODAY) == []
    assert hub.rows("SELECT count(*) FROM due")[0].count == 1


def test_of_workers_that_start_at_once_one_makes_everything_due(hub: StoreHub) -> None:
    hub.take(said(key("entraide", "1"), 1, cin="SH1", birth_date=datetime.date(1990, 1, 1)))
    with hub.store.begin() as tx:
        Joining({}, TERMS).apply_terms(tx, TODAY)

    def start() -> list[str]:
        with hub.store.begin() as tx:
            return Joining({}, {}).apply_terms(tx, TODAY)

    with ThreadPoolExecutor(1) as pool, hub.store.begin() as tx:
        assert Joining({}, {}).apply_terms(tx, TODAY) == sorted(TERMS)
        other = pool.submit(start)
        for _ in range(200):
            if other.done() or hub.rows(WAITING)[0].count > 0:
                break
            threading.Event().wait(0.05)
    assert other.result(60) == []
    begun = hub.rows("SELECT record_type FROM reprojection ORDER BY record_type")
    assert [row.record_type for row in begun] == sorted(TERMS)


def test_the_later_receipt_stands_also_where_it_is_lower(hub: StoreHub) -> None:
    """An inbox that was made anew begins at zero, and a restored database has read less."""
    entrance = Entrance(hub, "ads")
    for offset, committed_ms, stands in ((9, 100, 9), (4, 99, 9), (9, 100, 9), (2, 101, 2), (5, 50, 5)):
        entrance.ends("ads", offset, committed_ms)
        assert {row.next_offset for row in hub.rows("SELECT next_offset FROM receipt")} == {stands}
