"""What a restored database has lost, on a real store: found, made again, or held for a person (R24)."""

from __future__ import annotations

import datetime
from collections.abc import Iterator
from pathlib import Path

import pytest
from ops_hub import OpsHub, ops_hub
from support.changes import said, shown
from support.store_hub import empty

from hub.contracts import topics
from hub.core.assertions import Change, RecordKey
from hub.core.brakes import MASS_LOST, Limit, Limits
from hub.core.epochs import first_life, named_below
from hub.core.projection import RETRACT
from hub.core.settle import Delivery
from hub.lanes.brakes import Brakes as WorkersBrakes
from hub.lanes.converged import Converged, Note
from hub.lanes.restores import REMADE, Restores
from hub.local.stack import Stack
from hub.ops.brakes import Brakes
from hub.store.brakes import Brake
from hub.store.transaction import Transaction

BORN = datetime.date(1990, 5, 1)
PHONE = "+212611111111"
BACKUP_MS = 1_780_000_000_000
WHO, WHY = "Salma", "the backup of Monday"


@pytest.fixture(scope="module")
def made(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[OpsHub]:
    folder: Path = tmp_path_factory.mktemp("restores")
    with ops_hub(stack, folder) as hub:
        yield hub


@pytest.fixture
def hub(made: OpsHub) -> OpsHub:
    empty(made.parts.store)
    run(made, "DELETE FROM receipt")
    run(made, "DELETE FROM setting WHERE starts_with(name, 'epoch:')")
    return made


def run(hub: OpsHub, statement: str, *values: object) -> None:
    with hub.parts.store.begin() as tx:
        tx.connection.exec_driver_sql(statement, values or None)


class Side:
    """An agency's side, and the worker that looks after what it has lost."""

    def __init__(self, hub: OpsHub, agency: str = "ads", makes: bool = True) -> None:
        self.hub, self.agency = hub, hub.name(agency)
        place = (self.agency, "person")
        parts = hub.parts
        self.topic = topics.changes(*place)
        limits = Limits(10, {MASS_LOST: Limit(5, 10.0)})
        self.restores = Restores(
            parts.intake,
            WorkersBrakes(limits, clock=lambda: 0.0),
            parts.store.begin,
            parts.ids,
            {"person": 2},
            [place],
            [place] if makes else [],
        )
        self.taken_in(100)

    def taken_in(self, offset: int) -> None:
        """How far intake has read both partitions."""
        run(self.hub, "DELETE FROM position WHERE topic = %s", self.topic)
        for partition in (0, 1):
            run(
                self.hub,
                "INSERT INTO position (lane, topic, partition, topic_id, next_offset)"
                " VALUES ('intake', %s, %s, 'id', %s)",
                self.topic,
                partition,
                offset,
            )

    def tell(self, epoch: int, partition: int, *, set_back_ms: int = BACKUP_MS, offset: int = 100) -> None:
        run(
            self.hub,
            "INSERT INTO receipt (topic, partition, agency, next_offset, committed_ms, epoch, set_back_ms)"
            " VALUES (%s, %s, %s, %s, 1, %s, %s) ON CONFLICT (topic, partition) DO UPDATE SET"
            " epoch = excluded.epoch, set_back_ms = excluded.set_back_ms, next_offset = excluded.next_offset",
            self.topic,
            partition,
            self.agency,
            offset,
            epoch,
            set_back_ms,
        )

    def whole(self, epoch: int, set_back_ms: int = BACKUP_MS) -> list[Converged]:
        """It has said everything in an epoch; what a worker makes of that, until it has nothing to do."""
        for partition in (0, 1):
            self.tell(epoch, partition, set_back_ms=set_back_ms)
        return self.looked()

    def looked(self) -> list[Converged]:
        done: list[Converged] = []
        for _ in range(100):
            if self.restores.look():
                done.append(self.restores.carry_out(_finish))
            elif not self.restores.busy:
                return done
        raise AssertionError("there is always more to do")


def _finish(tx: Transaction, done: Converged) -> None:
    """Nothing is published here."""


def people(hub: OpsHub, count: int, agency: str = "ads", **values: object) -> list[RecordKey]:
    keys = [hub.key(agency, str(n)) for n in range(count)]
    hub.take(*(said(one, 1, "insert", phone=PHONE, **values) for one in keys))
    return keys


def there(keys: list[RecordKey], epoch: int = 2) -> list[Change]:
    return [said(one, 3, "snapshot", epoch=epoch, asserted=0, phone=PHONE) for one in keys]


def told(hub: OpsHub, done: list[Converged], agency: str = "ads") -> list[Delivery]:
    settled = [one for batch in done for one in batch.settled]
    return [d for one in settled for d in one.deliveries if d.agency == hub.name(agency)]


def notes(done: list[Converged]) -> list[Note]:
    return [note for batch in done for note in batch.notes]


def brake(hub: OpsHub) -> Brake:
    (found,) = Brakes(hub.parts).list()
    return found


def test_what_a_complete_epoch_does_not_have_is_made_again_and_the_agency_is_told(hub: OpsHub) -> None:
    side = Side(hub)
    keys = people(hub, 8)
    assert side.whole(1, 0) == []
    hub.take(*there(keys[3:]))
    done = side.whole(2)
    assert [(d.content.local_id, d.content.own) for d in told(hub, done)] == [(None, ("phone",))] * 3
    assert {shown(d)["phone"] for d in told(hub, done)} == {PHONE}
    (note,) = notes(done)
    assert (note.reason, note.records, note.key.agency) == (REMADE, 3, hub.name("ads"))
    assert Brakes(hub.parts).list() == []
    # Once for each epoch, also for another worker.
    assert side.looked() == []
    assert Side(hub).whole(2) == []


def test_nothing_is_lost_before_all_of_an_epoch_has_been_read(hub: OpsHub) -> None:
    """A snapshot that was interrupted says nothing, and neither do messages that are still on their way."""
    side = Side(hub)
    keys = people(hub, 4)
    side.whole(1, 0)
    hub.take(*there(keys[:2]))
    side.tell(2, 0)
    assert side.looked() == []
    side.taken_in(99)
    side.tell(2, 1)
    assert side.looked() == []
    hub.take(*there(keys[2:3]))
    side.taken_in(100)
    assert len(told(hub, side.looked())) == 1


def test_the_first_epoch_of_which_the_hub_hears_is_where_it_counts_from(hub: OpsHub) -> None:
    """Where an agency's earlier release did not count them, a connector of this one has lost nothing."""
    side = Side(hub)
    people(hub, 4)
    assert side.whole(5, 0) == []
    assert side.looked() == []


def test_what_was_lost_before_the_hub_had_heard_of_any_epoch_is_made_again(hub: OpsHub) -> None:
    """The database was set back before a worker had looked, as while the hub was away."""
    side = Side(hub)
    keys = people(hub, 4)
    hub.take(*there(keys[1:]))
    assert len(told(hub, side.whole(2))) == 1
    assert side.looked() == []


def test_an_id_that_somebody_else_had_after_the_backup_means_who_has_it_again(hub: OpsHub) -> None:
    (first,) = people(hub, 1)
    after = first._replace(incarnation=1)
    paper = RecordKey(first.agency, "enrolment", "1", 0)
    hub.take(said(paper, 2, "insert", number="INS-2026-000001", person=first.local_id))
    hub.take(said(first, 3, "delete"))
    hub.take(said(after, 4, "insert", family_name_fr="Benani"))
    ids = hub.parts.ids
    place = first[:3]
    pinned = (*place[:2], named_below(first.local_id, first_life(2)))
    run(hub, "DELETE FROM due")
    assert _led_to(hub, place) == _led_to(hub, pinned) == {ids.record(*after)}
    hub.take(said(first, 5, "snapshot", epoch=2, asserted=0, phone=PHONE))
    assert _led_to(hub, place) == {ids.record(*first)}
    assert _led_to(hub, pinned) == {ids.record(*after)}
    # So what refers to it is looked at again.
    with hub.parts.store.begin() as tx:
        due = tx.connection.exec_driver_sql("SELECT entity FROM due").scalars().all()
    assert [bytes(one) for one in due] == [ids.record(*paper)]


def _led_to(hub: OpsHub, place: tuple[str, str, str]) -> set[bytes]:
    with hub.parts.store.begin() as tx:
        found = tx.look_at_targets({place})
        assert found == tx.targets({place}, locked=True)
    return {target.entity for target in found.values()}


def test_a_mass_is_held_and_released_or_taken_for_deleted(hub: OpsHub) -> None:
    side = Side(hub)
    keys = people(hub, 9)
    side.whole(1, 0)
    hub.take(*there(keys[7:]))
    done = side.whole(2)
    assert told(hub, done) == []
    one = brake(hub)
    assert (one.kind, one.held, one.allowed, one.agency) == (MASS_LOST, 7, 5, hub.name("ads"))
    assert [(n.kind, n.reason, n.records) for n in notes(done)] == [("held", MASS_LOST, 7)]
    story = Brakes(hub.parts).show(one.id)
    assert (story.sampled, story.elsewhere) == (7, 7)
    assert "restored database does not have" in hub.run("hold", "list").stdout
    assert Brakes(hub.parts).release(one.id, WHO, WHY) == 7
    states = [hub.parts.ids.record(*k) for k in keys[:7]]
    with hub.parts.looking() as tx:
        assert all(state.lost for state in tx.records(states).records.values())


def test_a_rejected_mass_is_withdrawn_and_not_made_again(
    hub: OpsHub, monkeypatch: pytest.MonkeyPatch
) -> None:
    side = Side(hub)
    keys = people(hub, 7)
    side.whole(1, 0)
    side.whole(2)
    done: list[Converged] = []
    attempt = type(hub.parts.intake)._attempt
    monkeypatch.setattr(
        type(hub.parts.intake), "_attempt", lambda self, *a: done.append(attempt(self, *a)) or done[-1]
    )
    assert Brakes(hub.parts).reject(brake(hub).id, WHO, WHY) == 7
    assert {d.content.operation for d in told(hub, done, "entraide")} == {RETRACT}
    assert {d.content.operation for d in told(hub, done)} == {RETRACT}
    with hub.parts.looking() as tx:
        assert not any(
            state.live for state in tx.records([hub.parts.ids.record(*k) for k in keys]).records.values()
        )


@pytest.mark.parametrize("why", ["nobody knows", "no rows", "dead letter"])
def test_a_person_is_asked_where_it_may_be_wrong_to_make_rows(hub: OpsHub, why: str) -> None:
    """Nobody found the database set back; the hub makes no rows there; a message could not be read."""
    side = Side(hub, makes=why != "no rows")
    people(hub, 2)
    side.whole(1, 0)
    if why == "dead letter":
        run(
            hub,
            "INSERT INTO dead_letter (topic, partition, kafka_offset, agency, record_type, code, path,"
            " message, at_ms) VALUES (%s, 0, 7, %s, 'person', 'invalid_value', '', '', %s)",
            side.topic,
            hub.name("ads"),
            BACKUP_MS,
        )
    done = side.whole(2, 0 if why == "nobody knows" else BACKUP_MS)
    assert told(hub, done) == []
    assert (brake(hub).kind, brake(hub).held) == (MASS_LOST, 2)


def test_rows_that_the_hub_had_made_are_made_again_whatever_their_number(hub: OpsHub) -> None:
    side = Side(hub)
    theirs = people(hub, 9, "entraide")
    founders = [hub.parts.ids.record(*one) for one in theirs]
    hub.take(*(said(hub.key("ads", f"m{n}"), 2, "link", entity=one) for n, one in enumerate(founders)))
    side.whole(1, 0)
    done = side.whole(2)
    assert [(d.content.local_id, d.content.own) for d in told(hub, done)] == [(None, ())] * 9
    assert notes(done) == []
    assert Brakes(hub.parts).list() == []
