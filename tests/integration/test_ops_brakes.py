"""Brakes on a real store: a mass is held, shown, released or rejected; nothing is lost (R32)."""

from __future__ import annotations

import datetime
import itertools
import json
import random
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from braked_worker import NOON_MS, Worker
from ops_hub import OpsHub, ops_hub
from support.changes import said
from support.store_hub import empty

from hub.contracts.values import encode
from hub.core.assertions import Change, RecordKey, unpack
from hub.core.brakes import MASS_DELETE, MASS_UPDATE
from hub.core.merge import golden_record
from hub.core.projection import UPSERT
from hub.errors import Fatal
from hub.lanes.converged import Converged
from hub.lanes.corrections import CorrectingIntake
from hub.lanes.reading import Read
from hub.local.stack import Stack
from hub.ops.brakes import Brakes
from hub.ops.finding import NotFound

BORN = datetime.date(1990, 5, 1)


@pytest.fixture(scope="module")
def made(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[OpsHub]:
    folder: Path = tmp_path_factory.mktemp("brakes")
    with ops_hub(stack, folder) as hub:
        yield hub


@pytest.fixture
def hub(made: OpsHub) -> OpsHub:
    empty(made.parts.store)
    return made


def people(hub: OpsHub, count: int, agency: str = "ads") -> list[RecordKey]:
    """So many people of an agency, known to entraide as well."""
    keys = [hub.key(agency, str(n)) for n in range(count)]
    Worker(hub).take(
        [
            said(key, 1, "insert", cin=f"AB{n}", birth_date=BORN, phone="+212611111111")
            for n, key in enumerate(keys)
        ]
    )
    return keys


def phones(keys: Sequence[RecordKey], at_minute: float = 2, phone: str = "+212622222222") -> list[Change]:
    return [said(key, at_minute, phone=phone) for key in keys]


def deletions(keys: Sequence[RecordKey], at_minute: float = 2) -> list[Change]:
    return [said(key, at_minute, "delete") for key in keys]


def golden(hub: OpsHub, record: RecordKey, name: str = "phone") -> Any:
    identity = hub.parts.ids.record(*record)
    with hub.parts.looking() as tx:
        entity = tx.records({identity}).entity_of[identity]
        members = tx.members({entity}).records.values()
    won = golden_record(hub.parts.types[record.record_type], members).get(name)
    return won and won.value


def encoded(hub: OpsHub, name: str, value: Any) -> bytes | None:
    return encode(hub.parts.catalogue.records["person"].by_name[name], value)


def live(hub: OpsHub, agency: str = "ads") -> int:
    return int(
        hub.rows("SELECT count(*) AS n FROM record WHERE ended = 0 AND agency = %s", hub.name(agency))[0].n
    )


def states(hub: OpsHub) -> list[Any]:
    """All that converges: without versions, and without how often an edit was answered."""
    rows = hub.rows("SELECT id, entity, born, seen, ended, linked, asserts FROM record ORDER BY id")
    asserted = [unpack(row.asserts) for row in rows]
    return [(*row[:-1], one.values, one.unions) for row, one in zip(rows, asserted, strict=True)]


def told(hub: OpsHub, agency: str) -> list[Any]:
    """The last delivery to the agency of each entity, from what the last decision left to publish."""
    settled = [one for done in DONE for one in done.settled]
    return [d for one in settled for d in one.deliveries if d.agency == hub.name(agency)]


DONE: list[Converged] = []


@pytest.fixture(autouse=True)
def _kept(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep what decisions settled."""
    DONE.clear()
    attempt = CorrectingIntake._attempt

    def kept(self: CorrectingIntake, *arguments: Any) -> Converged:
        done = attempt(self, *arguments)
        DONE.append(done)
        return done

    monkeypatch.setattr(CorrectingIntake, "_attempt", kept)


# What is held


def test_a_mass_is_held_and_everything_else_goes_on(hub: OpsHub) -> None:
    keys = people(hub, 20)
    newcomer = said(hub.key("ads", "new"), 3, "insert", cin="NW1", birth_date=BORN)
    other = said(hub.key("health", "h"), 3, "insert", cin="HH1", birth_date=BORN)
    done = Worker(hub).take([*deletions(keys[:12]), newcomer, other, *phones(keys[12:15])])
    assert live(hub) == 21
    assert golden(hub, keys[12]) == encoded(hub, "phone", "+212622222222")
    assert golden(hub, hub.key("health", "h"), "cin") == encoded(hub, "cin", "HH1")
    (brake,) = Brakes(hub.parts).list()
    assert (brake.kind, brake.held, brake.undone, brake.live, brake.allowed) == (MASS_DELETE, 12, 12, 20, 10)
    (note,) = [note for note in done.notes if note.kind == "held"]
    assert (note.reason, note.records, note.key.agency) == (MASS_DELETE, 12, hub.name("ads"))


def test_what_an_agency_does_by_hand_passes(hub: OpsHub) -> None:
    keys = people(hub, 20)
    Worker(hub).take([*deletions(keys[:10]), *phones(keys[10:18])])
    assert Brakes(hub.parts).list() == []
    assert live(hub) == 10


def test_a_first_load_is_no_mass(hub: OpsHub) -> None:
    rows = [said(hub.key("ads", str(n)), 1, "snapshot", cin=f"AB{n}", birth_date=BORN) for n in range(300)]
    Worker(hub).take(rows)
    assert Brakes(hub.parts).list() == []
    assert hub.rows("SELECT * FROM brake_count") == []


def test_changes_are_counted_over_batches_within_the_window_of_the_brokers_clock(hub: OpsHub) -> None:
    keys = people(hub, 20)
    worker = Worker(hub)
    for number, key in enumerate(keys[:7]):
        worker.take(deletions([key]), at_minute=number)
    assert live(hub) == 13
    # When the floor of five was passed fifteen were left: half of them are seven.
    worker.take(deletions(keys[7:9]), at_minute=9.5)
    assert (live(hub), Brakes(hub.parts).list()[0].held) == (13, 2)
    # Later the rate has fallen: by hand again, though nobody has decided yet.
    worker.take(deletions(keys[9:11]), at_minute=40)
    assert live(hub) == 11


def test_the_same_mass_again_is_held_once_and_nothing_of_it_slips_through_later(hub: OpsHub) -> None:
    keys = people(hub, 20)
    worker = Worker(hub)
    mass = deletions(keys[:12])
    worker.take(mass)
    worker.take(mass[:6], at_minute=1)
    # Long after, a connector repeats what it never saw acknowledged: few, but held ones.
    worker.take(mass[:2], at_minute=120)
    assert live(hub) == 20
    assert [(b.held, b.undone) for b in Brakes(hub.parts).list()] == [(12, 12)]


def test_positions_and_what_is_held_are_one_transaction(hub: OpsHub) -> None:
    keys = people(hub, 20)
    worker = Worker(hub)
    read = Read([(change, worker._message(change, 0)) for change in deletions(keys)])

    def fail(tx: object, done: object) -> None:
        raise KeyError("the worker dies")

    with pytest.raises(KeyError):
        worker.intake.converge(read, [], fail)
    assert hub.rows("SELECT 1 FROM braked") == hub.rows("SELECT 1 FROM brake_count") == []


# Released


def test_a_released_mass_leaves_the_same_state_as_if_it_had_come_in_order(hub: OpsHub) -> None:
    keys = people(hub, 20)
    mass = phones(keys)
    late = [said(keys[0], 3, phone="+212633333333"), said(keys[1], 1.5, phone="+212644444444")]
    hub.take(*mass)
    hub.take(*late)
    expected = states(hub)
    empty(hub.parts.store)
    keys = people(hub, 20)
    worker = Worker(hub)
    random.Random(3).shuffle(mass)
    worker.take(mass[:12])
    worker.take(late)
    worker.take(mass[12:])
    brakes = Brakes(hub.parts)
    (brake,) = brakes.list()
    assert brakes.release(brake.id, "Salma", "the new prefix") == brake.held
    assert states(hub) == expected
    assert brakes.list() == []
    assert brakes.release(brake.id, "Salma", "again") == 0


def test_more_of_the_kind_passes_after_a_release_for_the_length_of_the_window(
    hub: OpsHub, monkeypatch: pytest.MonkeyPatch
) -> None:
    keys = people(hub, 20)
    worker = Worker(hub)
    worker.take(phones(keys))
    brakes = Brakes(hub.parts, clock=lambda: NOON_MS / 1000 + 60)
    brakes.release(brakes.list()[0].id, "Salma", "announced")
    worker.take(phones(keys, 5, "+212655555555"), at_minute=8)
    assert brakes.list() == []
    worker.take(phones(keys, 9, "+212666666666"), at_minute=30)
    assert [one.held for one in brakes.list()] == [20]


def test_a_decision_that_was_cut_off_goes_on(hub: OpsHub, monkeypatch: pytest.MonkeyPatch) -> None:
    keys = people(hub, 20)
    Worker(hub).take(phones(keys))
    brakes = Brakes(hub.parts)
    number = brakes.list()[0].id
    monkeypatch.setattr("hub.ops.brakes.CHUNK", 6)
    apply = hub.parts.intake.apply
    calls = itertools.count()

    def dies(*arguments: Any) -> Converged:
        if next(calls) == 2:
            raise KeyboardInterrupt
        return apply(*arguments)

    monkeypatch.setattr(hub.parts.intake, "apply", dies)
    with pytest.raises(KeyboardInterrupt):
        brakes.release(number, "Salma", "fine")
    (left,) = brakes.list()
    assert (left.state, left.held, left.undone) == ("released", 20, 8)
    assert brakes.release(number, "Salma", "fine") == 8
    assert {golden(hub, key) for key in keys} == {encoded(hub, "phone", "+212622222222")}


# Rejected


def test_rejected_updates_are_answered_with_what_stands(hub: OpsHub) -> None:
    keys = people(hub, 20)
    worker = Worker(hub)
    mass = phones(keys)
    worker.take(mass)
    brakes = Brakes(hub.parts)
    number = brakes.list()[0].id
    DONE.clear()
    assert brakes.reject(number, "Salma", "a mad script") == 20
    back = told(hub, "ads")
    assert len(back) == 20
    # The agency's side puts the value back: it is told that the hub has seen the edit.
    assert all(d.seen >= mass[0].stamp and d.content.operation == UPSERT for d in back)
    assert {d.content.values["phone"] for d in back} == {encoded(hub, "phone", "+212611111111")}
    assert not told(hub, "entraide")
    (note,) = [note for done in DONE for note in done.notes]
    assert (note.kind, note.reason, note.records) == ("answered", "mass_rejected", 20)
    # Never applied, also when it comes again; an edit of the day is.
    worker.take(mass[:3], at_minute=300)
    assert golden(hub, keys[0]) == encoded(hub, "phone", "+212611111111")
    worker.take(phones(keys[:1], 5, "+212677777777"), at_minute=301)
    assert golden(hub, keys[0]) == encoded(hub, "phone", "+212677777777")
    with pytest.raises(Fatal, match="was rejected already"):
        brakes.release(number, "Driss", "no")


def test_where_nothing_stood_before_a_rejected_update_empties_the_agencys_row(hub: OpsHub) -> None:
    keys = people(hub, 20)
    worker = Worker(hub)
    worker.take([said(key, 10, commune="11.321.01.03") for key in keys])
    DONE.clear()
    brakes = Brakes(hub.parts)
    brakes.reject(brakes.list()[0].id, "Salma", "a mad script")
    back = told(hub, "ads")
    assert len(back) == 20
    assert all("commune" in d.content.fields and "commune" not in d.content.values for d in back)


def test_rejected_deletions_bring_the_rows_back_and_nobody_else_notices(hub: OpsHub) -> None:
    keys = people(hub, 20)
    # Without any identifier, too: it stays the person that it was.
    nameless = hub.key("ads", "nameless")
    worker = Worker(hub)
    worker.take([said(nameless, 1, "insert", family_name_fr="Alami", phone="+212699999999")])
    mass = deletions([*keys, nameless])
    worker.take(mass)
    brakes = Brakes(hub.parts)
    DONE.clear()
    brakes.reject(brakes.list()[0].id, "Salma", "a lost table")
    back = told(hub, "ads")
    assert sorted(d.content.local_id or "" for d in back) == sorted(key.local_id for key in [*keys, nameless])
    assert all(d.seen >= mass[0].stamp for d in back)
    assert not told(hub, "entraide")
    assert (live(hub), golden(hub, nameless)) == (21, encoded(hub, "phone", "+212699999999"))
    # The agency's side has made the row again: its link and its edits are of the next life.
    again = nameless._replace(incarnation=1)
    identity = hub.parts.ids.record(*nameless)
    worker.take([said(again, 4, "link", entity=identity)], at_minute=60)
    worker.take([said(again, 5, phone="+212688888888")], at_minute=61)
    assert golden(hub, nameless) == encoded(hub, "phone", "+212688888888")
    with hub.parts.looking() as tx:
        world = tx.records({identity, hub.parts.ids.record(*again)})
    assert set(world.entity_of.values()) == {identity}
    # A real deletion of the new life ends it.
    worker.take([said(again, 6, "delete")], at_minute=90)
    assert live(hub) == 20


def test_a_rejected_deletion_of_an_id_that_was_used_again(hub: OpsHub) -> None:
    keys = people(hub, 20)
    worker = Worker(hub)
    worker.take(deletions(keys))
    # While that waits, the agency enters one of them again itself, and uses another's id for somebody else.
    same, other = keys[0]._replace(incarnation=1), keys[1]._replace(incarnation=1)
    worker.take(
        [
            said(same, 3, "insert", cin="AB0", birth_date=BORN, commune="11.321.01.03"),
            said(other, 3, "insert", cin="CD1", birth_date=BORN, phone="+212633333333"),
        ]
    )
    brakes = Brakes(hub.parts)
    brakes.reject(brakes.list()[0].id, "Salma", "a lost table")
    # The new life of the same person takes over; whoever is somebody else stays so.
    assert golden(hub, same) == encoded(hub, "phone", "+212611111111")
    assert golden(hub, same, "commune") == encoded(hub, "commune", "11.321.01.03")
    assert golden(hub, other, "cin") == encoded(hub, "cin", "CD1")
    assert golden(hub, other) == encoded(hub, "phone", "+212633333333")
    assert golden(hub, keys[1]) == encoded(hub, "phone", "+212611111111")
    worker.take([said(same, 4, phone="+212644444444")], at_minute=60)
    assert golden(hub, same) == encoded(hub, "phone", "+212644444444")


# Two workers, and the commands


def test_two_workers_share_one_brake(hub: OpsHub) -> None:
    keys = people(hub, 20)
    one, other = Worker(hub), Worker(hub)
    for start in range(0, 20, 4):
        one.take(phones(keys[start : start + 2]))
        other.take(phones(keys[start + 2 : start + 4]))
    (brake,) = Brakes(hub.parts).list()
    assert brake.held == 10


def test_a_brake_by_its_number_on_the_command_line(hub: OpsHub) -> None:
    keys = people(hub, 20)
    Worker(hub).take(phones(keys))
    listed = json.loads(hub.run("hold", "list", "--json").stdout)
    assert [(one["kind"], one["held"]) for one in listed] == [(MASS_UPDATE, 20)]
    number = listed[0]["id"]
    shown = hub.run("hold", "show", number).stdout
    assert "phone: 20" in shown
    assert "20 are of records that other agencies hold, too" in shown
    assert f"hold {number}: {hub.name('ads')} (person) mass_update, 20 updates" in hub.run("status").stdout
    refused = hub.run("hold", "release", "B99999", "--who", "Salma", "--why", "announced")
    assert (refused.returncode, "no brake B99999" in refused.stderr) == (1, True)
    released = hub.run("hold", "release", number, "--who", "Salma", "--why", "announced")
    assert f"hold {number} released: 20 changes applied" in released.stdout
    assert number in hub.run("audit", "list").stdout
    assert hub.run("hold", "list").stdout.strip() == "nothing is held"
    assert "no agency 'adz'" in hub.run("hold", "list", "--agency", "adz").stderr
    assert "is no hold" in hub.run("hold", "show", "x3").stderr


def test_what_is_unknown_is_said(hub: OpsHub) -> None:
    with pytest.raises(NotFound, match="no brake B4711"):
        Brakes(hub.parts).show(4711)
