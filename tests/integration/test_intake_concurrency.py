"""Several workers over one store: whatever one of them sees of the others, they end where one alone ends."""

from __future__ import annotations

import datetime
import random
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import pytest
from support.changes import key, record_id, said
from support.contracts import CATALOGUE, HEALTH, IDS, TERMS, TYPES
from support.facts import differences, facts
from support.memory_hub import MemoryHub
from support.store_hub import WAITING, StoreHub, open_store, position, start_positions

from hub.contracts import topics
from hub.core.assertions import Change, RecordKey
from hub.core.crosswalk import World
from hub.lanes.converged import Converged
from hub.lanes.intake import Intake
from hub.lanes.reading import Message, Read
from hub.lanes.stewards import StewardsIntake
from hub.store.engine import HubStore
from hub.store.errors import Fenced
from hub.store.loading import Advance
from hub.store.stewardship import Decided, save_decision
from hub.store.transaction import Transaction

BORN = datetime.date(1990, 1, 1)
EN, ADS, REGION = key("entraide", "1"), key("ads", "a"), key("region", "r")
ENROLMENT, CONSENT = key("entraide", "e", "enrolment"), key("entraide", "k", "consent")
NUMBER = "INS-2026-000001"

# Far beyond what any of these steps takes; only a test that hangs reaches it.
_PATIENCE_S = 60


@pytest.fixture
def store(database: str) -> Iterator[HubStore]:
    store = open_store(database)
    yield store
    store.close()


def person(record: RecordKey, at_minute: float, operation: str = "insert", **values: Any) -> Change:
    return said(record, at_minute, operation, **{"cin": "SH1", "birth_date": BORN, **values})


def enrolment(at_minute: float) -> Change:
    return said(ENROLMENT, at_minute, "insert", number=NUMBER, person="1")


def consent(at_minute: float) -> Change:
    return said(
        CONSENT, at_minute, "insert", person="1", purpose=HEALTH, recipients=["health"], status="given"
    )


def told_at_once(*changes: Change) -> MemoryHub:
    model = MemoryHub()
    model.take(*changes)
    model.settle_due()
    return model


def assert_same(hub: StoreHub, *changes: Change) -> None:
    model = told_at_once(*changes)
    expected = facts(model.world.records, model.world.entity_of, model.golden, model.inbox)
    assert differences(hub.facts(), expected) == {}


def overlapped(store: HubStore, first: Change, second: Change) -> StoreHub:
    """Both at once: `second` is begun before the commit of `first`, and has met its locks if it meets any."""
    log: list[Converged] = []
    one, other = StoreHub(store, log=log), StoreHub(store, log=log)
    with ThreadPoolExecutor(1) as pool:
        started: list[Future[Converged]] = []

        def meanwhile(tx: Transaction, done: Converged) -> None:
            started.append(pool.submit(other.take, second))
            _until(lambda: started[0].done() or other.rows(WAITING)[0].count > 0)

        read = Read([(first, one.message(first))])
        log.append(one.intake.converge(read, [], meanwhile))
        started[0].result(_PATIENCE_S)
    one.settle_due()
    return one


def _until(reached: Callable[[], bool]) -> None:
    waiting = threading.Event()
    for _ in range(_PATIENCE_S * 100):
        if reached():
            return
        waiting.wait(0.01)
    raise AssertionError("never came to it")


PAIRS = {
    "two newcomers who are one person": (person(EN, 1), person(ADS, 2)),
    "a reference and whom it leads to": (person(EN, 1), enrolment(2)),
    "a consent and who gives it": (person(EN, 1), consent(2)),
    "a link and the entity that it leads to": (person(EN, 1), said(ADS, 2, "link", entity=record_id(EN))),
}


@pytest.mark.parametrize("first_is_first", [True, False], ids=["in order", "the other way round"])
@pytest.mark.parametrize("pair", PAIRS.values(), ids=PAIRS)
def test_two_transactions_that_need_each_other_do_not_miss_each_other(
    store: HubStore, pair: tuple[Change, Change], first_is_first: bool
) -> None:
    first, second = pair if first_is_first else pair[::-1]
    assert_same(overlapped(store, first, second), *pair)


MERGE = said(ADS, 4, cin="SH1")


@pytest.mark.parametrize("paper", [enrolment(5), consent(5)], ids=["enrolment", "consent"])
@pytest.mark.parametrize("merge_is_first", [True, False], ids=["the merge first", "the paper first"])
def test_r20_a_paper_that_comes_during_a_merge_leads_to_where_its_person_then_is(
    store: HubStore, paper: Change, merge_is_first: bool
) -> None:
    before = person(EN, 2), person(ADS, 1, cin=None)
    log = StoreHub(store).take(*before)
    hub = overlapped(store, *((MERGE, paper) if merge_is_first else (paper, MERGE)))
    hub.log.insert(0, log)
    assert_same(hub, *before, MERGE, paper)


class Interrupted(Transaction):
    """Lets something happen between what is read as a guess and the locks that are taken on its strength."""

    def __init__(self, tx: Transaction, meanwhile: list[Callable[[], object]]) -> None:
        super().__init__(tx.connection)
        self._meanwhile = meanwhile

    def lock_entities(self, ids: Any) -> World:
        if self._meanwhile:
            self._meanwhile.pop()()
        return super().lock_entities(ids)


def interrupted(store: HubStore, change: Change, meanwhile: Change) -> StoreHub:
    """`change` is taken while `meanwhile` is committed between its guess and its locks."""
    log: list[Converged] = []
    hub = StoreHub(store, log=log)
    todo: list[Callable[[], object]] = [lambda: StoreHub(store, log=log).take(meanwhile)]

    @contextmanager
    def begin() -> Iterator[Transaction]:
        with store.begin() as tx:
            yield Interrupted(tx, todo)

    started: Callable[[], AbstractContextManager[Transaction]] = begin
    hub.intake = Intake(CATALOGUE, TYPES, TERMS, IDS, started, hub._today)
    hub.take(change)
    hub.settle_due()
    assert todo == []
    return hub


def test_r25_what_was_guessed_is_read_again_under_its_lock(store: HubStore) -> None:
    """The record comes to stand for another entity after it was looked for, and before that is locked."""
    before = person(EN, 2), person(ADS, 1, cin=None)
    change = said(EN, 5, phone="+212600000001")
    log = StoreHub(store).take(*before)
    hub = interrupted(store, change, MERGE)
    hub.log.insert(0, log)
    assert_same(hub, *before, MERGE, change)


class Halted(Transaction):
    """Lets another transaction come as far as it can before this one looks at what its records refer to."""

    def __init__(self, tx: Transaction, meanwhile: Callable[[], None]) -> None:
        super().__init__(tx.connection)
        self._meanwhile = meanwhile

    def targets(self, references: Any, **how: Any) -> Any:
        self._meanwhile()
        return super().targets(references, **how)


PEOPLE_OF_PAPERS = person(EN, 1), person(key("entraide", "2"), 1, cin="SH2"), person(ADS, 1, cin="SH3")
OF_ADS = said(key("ads", "x", "enrolment"), 2, "insert", number="INS-2026-000009", person="a")
# What is there, and what each of two workers takes.
CIRCLES = {
    "each enrols whom the other edits": (
        PEOPLE_OF_PAPERS,
        *(
            (
                said(key("entraide", str(edited)), 5, phone="+212600000001"),
                said(
                    key("entraide", f"e{enrolled}", "enrolment"),
                    6,
                    "insert",
                    number=f"INS-2026-00000{enrolled}",
                    person=str(enrolled),
                ),
            )
            for edited, enrolled in ((1, 2), (2, 1))
        ),
    ),
    "another's paper of the same number is of somebody else": (
        (*PEOPLE_OF_PAPERS, OF_ADS),
        (said(key("entraide", "e9", "enrolment"), 5, "insert", number="INS-2026-000009", person="1"),),
        (said(ADS, 6, phone="+212600000001"), said(OF_ADS.key, 6, status="active")),
    ),
}


Begin = Callable[[], AbstractContextManager[Transaction]]


@contextmanager
def halted_by(
    other: StoreHub, *others: Change
) -> Iterator[tuple[Callable[[], AbstractContextManager[Transaction]], Callable[[], None]]]:
    """How transactions begin in which the other worker takes its batch in between, and what lets it begin at
    once; ends when it has taken it."""
    with ThreadPoolExecutor(1) as pool:
        started: list[Future[Converged]] = []

        def meanwhile() -> None:
            if not started:
                started.append(pool.submit(other.take, *others))
                _until(lambda: started[0].done() or other.rows(WAITING)[0].count > 0)

        @contextmanager
        def begin() -> Iterator[Transaction]:
            with other.store.begin() as tx:
                yield Halted(tx, meanwhile)

        yield begin, meanwhile
        started[0].result(_PATIENCE_S)


@pytest.mark.parametrize(("before", "mine", "others"), CIRCLES.values(), ids=CIRCLES)
def test_r25_two_workers_do_not_wait_for_each_other_in_a_circle(
    store: HubStore, before: tuple[Change, ...], mine: tuple[Change, ...], others: tuple[Change, ...]
) -> None:
    log: list[Converged] = []
    one, other = StoreHub(store, log=log), StoreHub(store, log=log)
    one.take(*before)
    with halted_by(other, *others) as (begin, _):
        one.intake = Intake(CATALOGUE, TYPES, TERMS, IDS, begin, one._today)
        one.take(*mine)
    assert (one.rolled_back, other.rolled_back) == (0, 0)
    one.intake = other.intake
    one.settle_due()
    assert_same(one, *before, *mine, *others)


# What is there, of what a steward decides that it is one, and what a worker takes meanwhile.
STEWARDS_CIRCLES = {
    "papers of persons whom the worker edits": (
        (*PEOPLE_OF_PAPERS, OF_ADS, enrolment(2)),
        (ENROLMENT, OF_ADS.key),
        (said(EN, 5, phone="+212600000001"), said(ENROLMENT, 6, status="active")),
    ),
    "persons of whom the worker has a review": (
        (person(EN, 1, sex="female"), person(ADS, 2, sex="male")),
        (EN, ADS),
        (said(ADS, 5, birth_date=datetime.date(1990, 1, 2)),),
    ),
}


@pytest.mark.parametrize(("before", "pair", "others"), STEWARDS_CIRCLES.values(), ids=STEWARDS_CIRCLES)
def test_r25_a_steward_and_a_worker_do_not_wait_for_each_other_in_a_circle(
    store: HubStore, before: tuple[Change, ...], pair: tuple[RecordKey, RecordKey], others: tuple[Change, ...]
) -> None:
    one, other = StoreHub(store), StoreHub(store)
    one.take(*before)
    ids = [record_id(record) for record in pair]
    with halted_by(other, *others) as (begin, meanwhile):

        def decide(tx: Transaction) -> bool:
            save_decision(tx, ids, Decided(True, 1, "a steward", "the same"))
            if pair[0].record_type == "person":
                meanwhile()
            return True

        intake = StewardsIntake(CATALOGUE, TYPES, TERMS, IDS, begin, one._today)
        intake.reidentify(pair[0].record_type, ids, decide, lambda *_: None)
    assert other.rolled_back == 0
    assert one.entity(pair[0]) == one.entity(pair[1])


@pytest.mark.parametrize("held", [EN, ENROLMENT, CONSENT], ids=["a person", "an enrolment", "a consent"])
def test_what_is_due_is_settled_around_what_another_worker_holds(store: HubStore, held: RecordKey) -> None:
    hub = StoreHub(store)
    hub.take(person(EN, 1), person(key("entraide", "2"), 1, cin="SH2"), enrolment(2), consent(2))
    hub.settle_due()
    everyone = set(hub.world().entities)
    hub.execute("INSERT INTO due (entity, day) SELECT id, 0 FROM entity")
    with store.begin() as tx:
        tx.lock_entities({hub.entity(held)})
        (first, *_) = hub.settle_due()
        # Whom the holder may be about to change is not waited for; nor is what refers to that person.
        late = {EN: {EN, ENROLMENT, CONSENT}}.get(held, {held})
        assert (first.due_taken, first.due_busy) == (len(everyone) - len(late), len(late))
        left = {bytes(row.entity) for row in hub.rows("SELECT entity FROM due WHERE day = 0")}
        assert left == {hub.entity(one) for one in late}
    (then, *_) = hub.settle_due()
    assert (then.due_taken, then.due_busy) == (len(late), 0)


# Many at once

PEOPLE = 12


def story(seed: int) -> dict[str, list[Change]]:
    """Topic → its changes: three agencies know the same people, and some papers of theirs."""
    drawn = random.Random(seed)
    log: dict[str, list[Change]] = {}

    def say(record: RecordKey, at_minute: float, operation: str = "update", **values: Any) -> None:
        topic = topics.changes(record.agency, record.record_type)
        log.setdefault(topic, []).append(said(record, at_minute, operation, **values))

    for agency in ("entraide", "ads", "region"):
        for number in drawn.sample(range(PEOPLE), PEOPLE):
            record = key(agency, str(number))
            born = BORN + datetime.timedelta(drawn.choice([0, 0, 0, 1]))
            known = {"cin": f"SH{number + 1}"} if drawn.random() < 0.7 else {}
            say(record, drawn.uniform(1, 50), "insert", birth_date=born, **known)
            say(record, drawn.uniform(50, 80), phone=f"+2126{drawn.randrange(10**8):08}", languages=["ar"])
            say(record, drawn.uniform(80, 90), cin=f"SH{number + 1}")
            if drawn.random() < 0.2:
                say(record, 99, "delete")
    for agency in ("entraide", "ads"):
        for number in range(PEOPLE):
            say(
                key(agency, f"e{number}", "enrolment"),
                40,
                "insert",
                number=f"INS-2026-{number:06}",
                person=str(number),
            )
            if drawn.random() < 0.5:
                given = {"purpose": HEALTH, "recipients": ["health"], "status": "given"}
                say(
                    key(agency, f"k{number}", "consent"),
                    drawn.uniform(1, 90),
                    "insert",
                    person=str(number),
                    **given,
                )
    return log


class Worker:
    """Reads its topics in small batches, as a lane does: from its positions, and never past a failure."""

    def __init__(
        self, store: HubStore, log: dict[str, list[Change]], seed: int, done: list[Converged]
    ) -> None:
        self.hub = StoreHub(store, log=done)
        self._log = log
        self._drawn = random.Random(seed)
        self.fenced = 0

    def run(self) -> None:
        at = dict.fromkeys(self._log, 0)
        while any(at[topic] < len(changes) for topic, changes in self._log.items()):
            batch, advances = self._batch(at)
            try:
                self.hub.converge(Read(batch), advances)
            except Fenced:
                self.fenced += 1
                at = {topic: position(self.hub.store, topic, 0) for topic in at}
            else:
                at |= {advance.topic: advance.following for advance in advances}
            if self._drawn.random() < 0.3:
                self.hub.settle_due()

    def _batch(self, at: dict[str, int]) -> tuple[list[tuple[Change, Message]], list[Advance]]:
        batch, advances = [], []
        for topic in self._drawn.sample(sorted(at), self._drawn.randint(1, len(at))):
            following = min(at[topic] + self._drawn.randint(1, 8), len(self._log[topic]))
            batch += [
                (change, self.hub.message(change)) for change in self._log[topic][at[topic] : following]
            ]
            advances.append(Advance(topic, 0, at[topic], following))
        return batch, advances


def run_all(workers: list[Worker]) -> None:
    with ThreadPoolExecutor(len(workers)) as pool:
        for future in [pool.submit(worker.run) for worker in workers]:
            future.result(_PATIENCE_S)
    workers[0].hub.settle_due()


@pytest.mark.parametrize("seed", [1, 2, 4, 5])
def test_two_workers_on_the_same_people_end_as_one_alone(store: HubStore, seed: int) -> None:
    log = story(seed)
    start_positions(store, [(topic, 0) for topic in log])
    done: list[Converged] = []
    mine = {topic: changes for topic, changes in log.items() if topic.startswith("entraide")}
    theirs = {topic: changes for topic, changes in log.items() if topic not in mine}
    workers = [Worker(store, mine, seed, done), Worker(store, theirs, seed + 100, done)]
    run_all(workers)
    assert [worker.fenced for worker in workers] == [0, 0]
    assert_same(workers[0].hub, *(change for changes in log.values() for change in changes))


def test_two_workers_who_both_believe_to_own_all_topics_apply_each_message_once(store: HubStore) -> None:
    log = story(3)
    start_positions(store, [(topic, 0) for topic in log])
    done: list[Converged] = []
    workers = [Worker(store, log, seed, done) for seed in (1, 2)]
    run_all(workers)
    assert sum(one.changes for one in done) == sum(map(len, log.values()))
    assert_same(workers[0].hub, *(change for changes in log.values() for change in changes))
