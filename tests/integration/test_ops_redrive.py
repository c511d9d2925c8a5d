"""Dead letters taken in again: what takes effect and what is superseded, foretold and done (R27)."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from dead_letter_desk import (
    BAD,
    BORN,
    GOOD,
    OTHER,
    arrive,
    contents,
    golden,
    letter,
    preview,
    redrive,
    refused_phone,
    says,
    superseded,
    trail,
    wider,
)
from ops_hub import OpsHub, ops_hub, wait_until
from support.changes import minute

from hub.core import stamps
from hub.errors import Fatal
from hub.lanes.publication import read_named
from hub.local.stack import Stack
from hub.ops.effects import APPLIED, DEAD, HELD, SUPERSEDED
from hub.ops.holds import Holds
from hub.ops.parts import Parts
from hub.ops.redrive import Preview, Redriven
from hub.ops.veil import COVER
from hub.store.positions import leftover_publications
from hub.store.transaction import Transaction


@pytest.fixture(scope="module")
def hub(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[OpsHub]:
    folder: Path = tmp_path_factory.mktemp("ops")
    with ops_hub(stack, folder) as made:
        yield made


@pytest.fixture(scope="module")
def wide(hub: OpsHub, tmp_path_factory: pytest.TempPathFactory) -> Iterator[OpsHub]:
    with wider(hub, tmp_path_factory.mktemp("wide")) as made:
        yield made


@pytest.fixture(autouse=True)
def _empty(hub: OpsHub) -> None:
    hub.rest()


def left_to_publish(hub: OpsHub) -> set[bytes]:
    """Entities in publications that a sweeping worker takes at once; takes them away."""
    with hub.parts.store.begin() as tx:
        rows = leftover_publications(tx, "any worker", 15.0)
        tx.drop_publications([row for row, _ in rows])
    return set(read_named(payload for _, payload in rows)[0])


def effects(one: Preview) -> dict[str, tuple[str, bool]]:
    return {effect.name: (effect.outcome, effect.changes) for effect in one.fields}


# Redriving


def test_what_was_mended_takes_effect(hub: OpsHub, wide: OpsHub) -> None:
    ads, number = refused_phone(hub)
    assert [one.outcome for one in redrive(hub, number)] == [DEAD]
    assert letter(hub, number).row.redrives == 1
    assert golden(hub, ads, "phone") == OTHER
    left_to_publish(hub)

    assert redrive(wide, number) == [Redriven(number, APPLIED, "person")]

    assert golden(hub, ads, "phone") == BAD
    assert left_to_publish(hub) == {hub.parts.ids.record(*ads)}
    row = letter(hub, number).row
    assert (row.state, row.outcome, row.redrives, row.who, row.why) == (
        "redriven", "applied", 2, "Salma", "mended",
    )  # fmt: skip
    subject = f"dead letter {number}"
    assert trail(hub) == [
        ("Salma", "redrive", subject, "mended", "dead"),
        ("Salma", "redrive", subject, "mended", "applied"),
    ]


def test_it_counts_from_the_day_on_which_it_was_said(hub: OpsHub, wide: OpsHub) -> None:
    """A redrive next year is not news: another agency's later word stands above it (R9)."""
    ads, number = refused_phone(hub)
    region = hub.key("region", "1")
    assert says(hub, region, 3, "insert", cin="AB1", given_name_fr="Zineb") == 0
    assert says(hub, ads, 4, birth_date=BORN) == 0
    assert says(hub, region, 5, birth_date=BORN, phone=GOOD) == 0
    assert golden(hub, ads, "phone") == GOOD
    (foreseen,) = preview(wide, number)
    assert effects(foreseen) == {"phone": ("older", False)}
    assert (foreseen.outcome, foreseen.changes) == (APPLIED, False)
    assert foreseen.fields[0].rival == region.agency
    redrive(wide, number)
    assert golden(hub, ads, "phone") == GOOD


def test_a_clock_that_ran_ahead_is_held_to_the_day_of_the_message(hub: OpsHub, wide: OpsHub) -> None:
    """The bound on skew is taken against the append time of then, not of now (R10)."""
    ads = hub.key("ads", "1")
    says(hub, ads, 1, "insert", cin="AB1", phone=OTHER)
    number = arrive(hub, ads, hub.say(ads, minute(60 * 24 * 365), "update", phone=BAD), at=2)
    redrive(wide, number)
    identity = hub.parts.ids.record(*ads)
    with hub.parts.looking() as tx:
        stamp, _ = tx.records({identity}).records[identity].asserts.values["phone"]
    assert stamps.milliseconds(stamp) == stamps.milliseconds(minute(2)) + stamps.MAX_SKEW_MS


@pytest.mark.parametrize("order", ["late", "in time"])
def test_the_state_is_the_same_as_if_it_had_been_valid(hub: OpsHub, wide: OpsHub, order: str) -> None:
    ads, number = refused_phone(hub)
    messages = [("given_name_fr", "Zohra", 3), ("phone", GOOD, 1.5), ("languages", ["ar"], 4)]
    if order == "in time":
        redrive(wide, number)
    for name, value, at in messages:
        assert says(wide, ads, at, **{name: value}) == 0
    if order == "late":
        redrive(wide, number)
    assert (golden(hub, ads, "phone"), golden(hub, ads, "given_name_fr")) == (BAD, "Zohra")
    identity = hub.parts.ids.record(*ads)
    with hub.parts.looking() as tx:
        state = tx.records({identity}).records[identity]
    assert {name: stamp for name, (stamp, _) in state.asserts.values.items()} == {
        "cin": minute(1), "given_name_fr": minute(3), "phone": minute(2),
    }  # fmt: skip
    assert (state.born, state.seen) == (minute(1), minute(4))


def test_what_was_superseded_changes_nothing_and_says_so(hub: OpsHub, wide: OpsHub) -> None:
    ads, number = refused_phone(hub)
    assert superseded(hub) == []
    assert says(hub, ads, 3, phone=GOOD) == 0
    assert superseded(hub) == [number]
    assert letter(hub, number).superseded
    (foreseen,) = preview(wide, number)
    assert (foreseen.outcome, foreseen.changes, foreseen.told) == (SUPERSEDED, False, {})
    assert effects(foreseen) == {"phone": (SUPERSEDED, False)}
    before = contents(hub)

    assert redrive(wide, number) == [Redriven(number, SUPERSEDED, "person")]

    now = contents(hub)
    # What the record says is published again, as it is; no entity is. That it was said is history.
    changed = {name for name in now if now[name] != before[name]}
    assert changed == {"dead_letter", "audit", "publication", "history"}
    assert left_to_publish(hub) == set()
    assert golden(hub, ads, "phone") == GOOD
    assert letter(hub, number).row.outcome == SUPERSEDED


def test_a_word_that_is_partly_overtaken_takes_effect_in_the_rest(hub: OpsHub, wide: OpsHub) -> None:
    ads, _ = refused_phone(hub)
    number = says(hub, ads, 3, phone=BAD, given_name_fr="Zohra")
    says(hub, ads, 4, given_name_fr="Zahra")
    assert number not in superseded(hub)
    (foreseen,) = preview(wide, number)
    assert effects(foreseen) == {"phone": ("wins", True), "given_name_fr": (SUPERSEDED, False)}
    assert redrive(wide, number) == [Redriven(number, APPLIED, "person")]
    assert (golden(hub, ads, "phone"), golden(hub, ads, "given_name_fr")) == (BAD, "Zahra")


def test_what_a_record_said_before_its_end_is_superseded_by_the_end(hub: OpsHub, wide: OpsHub) -> None:
    ads, number = refused_phone(hub)
    says(hub, ads, 3, "delete")
    assert superseded(hub) == [number]
    assert preview(wide, number)[0].outcome == SUPERSEDED
    assert redrive(wide, number) == [Redriven(number, SUPERSEDED, "person")]
    assert golden(hub, ads, "phone") is None


def test_twice_is_the_same_as_once(hub: OpsHub, wide: OpsHub) -> None:
    _, number = refused_phone(hub)
    redrive(wide, number)
    assert left_to_publish(hub) != set()
    before = contents(hub)
    assert redrive(wide, number) == [Redriven(number, APPLIED, "person")]
    now = contents(hub)
    assert {name for name in now if now[name] != before[name]} <= {"dead_letter", "audit", "publication"}
    assert left_to_publish(hub) == set()
    assert preview(wide, number)[0].changes is False


def test_many_at_once_and_one_by_one_come_to_the_same(
    hub: OpsHub, wide: OpsHub, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hub.ops.redrive.BATCH", 2)
    letters = dict(refused_phone(hub, str(n)) for n in range(1, 6))
    assert [one.outcome for one in redrive(wide, *letters.values())] == [APPLIED] * 5
    assert {golden(hub, record, "phone") for record in letters} == {BAD}


def test_a_word_that_a_person_must_look_at_is_held(hub: OpsHub, wide: OpsHub) -> None:
    ads, _ = refused_phone(hub)
    number = says(hub, ads, 3, cin="CD99", phone=BAD)
    (foreseen,) = preview(wide, number)
    assert (foreseen.outcome, foreseen.why) == (HELD, "identifier_changed: cin")
    assert redrive(wide, number) == [Redriven(number, HELD, "person")]
    (hold,) = Holds(hub.parts).list()
    assert hold.change.key == ads
    assert redrive(wide, number) == [Redriven(number, HELD, "person")]
    assert len(Holds(hub.parts).list()) == 1
    # What a person has decided is not asked again.
    Holds(hub.parts).reject(hold.id, "Salma", "a typing error")
    assert preview(wide, number)[0].outcome == SUPERSEDED
    assert redrive(wide, number) == [Redriven(number, SUPERSEDED, "person")]
    assert golden(hub, ads, "cin") == "AB1"


def test_a_life_that_is_not_begun_stays_dead_until_it_is_superseded(hub: OpsHub) -> None:
    ads = hub.key("ads", "1")
    says(hub, ads, 1, "insert", phone=GOOD)
    says(hub, ads, 2, "delete")
    number = says(hub, ads, 3, "insert", phone=OTHER)
    assert letter(hub, number).row.code == "incarnation_ended"
    assert preview(hub, number)[0].outcome == DEAD
    assert redrive(hub, number)[0].why.startswith("incarnation_ended: ")
    assert superseded(hub) == []
    says(hub, hub.key("ads", "1", incarnation=1), 4, "insert", phone=OTHER)
    assert superseded(hub) == [number]


def test_a_deletion_that_was_lost_is_not_superseded_by_the_next_life(hub: OpsHub) -> None:
    ads = hub.key("ads", "1")
    says(hub, ads, 1, "insert", phone=GOOD)
    number = arrive(hub, ads, hub.say(ads, minute(2), "delete"), at=2, key=None)  # type: ignore[arg-type]
    assert letter(hub, number).row.code == "no_key"
    says(hub, hub.key("ads", "1", incarnation=1), 3, "insert", phone=OTHER)
    # The first life goes on as far as the hub knows: discarding this would leave it so.
    assert superseded(hub) == []


def test_a_life_that_goes_on_is_not_spoken_for_by_the_next(hub: OpsHub, wide: OpsHub) -> None:
    ads, number = refused_phone(hub)
    says(hub, hub.key("ads", "1", incarnation=1), 3, "insert", phone=GOOD)
    assert superseded(hub) == []
    assert redrive(wide, number) == [Redriven(number, APPLIED, "person")]
    assert golden(hub, ads, "phone") == BAD


def test_what_an_agency_may_no_longer_say_is_not_taken_in(hub: OpsHub, wide: OpsHub, tmp_path: Path) -> None:
    _, number = refused_phone(hub)
    agreements = tmp_path / "agreements"
    shutil.copytree(hub.parts.settings.agreements, agreements)
    (agreements / "ads.yaml").unlink()
    with closing(Parts(wide.parts.settings.model_copy(update={"agreements": agreements}))) as parts:
        later = OpsHub(parts, hub.environment, hub.suffix, hub.bootstrap)
        assert preview(later, number)[0].outcome == DEAD
        (done,) = redrive(later, number)
        assert (done.outcome, done.why[:12]) == (DEAD, "no_agreement")
    row = letter(hub, number).row
    assert (row.state, row.code, row.redrives) == ("open", "invalid_value", 1)
    assert trail(hub)[-1][-1] == DEAD


def test_who_discards_meanwhile_is_heeded(hub: OpsHub, wide: OpsHub) -> None:
    ads, number = refused_phone(hub)
    failures: list[Fatal] = []

    def work() -> None:
        try:
            redrive(wide, number)
        except Fatal as error:
            failures.append(error)

    with hub.parts.store.begin() as tx:
        tx.lock_entities({hub.parts.ids.record(*ads)})
        thread = threading.Thread(target=work)
        thread.start()
        wait_until(lambda: _somebody_waits(tx))
        discard = "UPDATE dead_letter SET state = 'discarded', who = 'Driss', why = 'old' WHERE id = %s"
        tx.connection.exec_driver_sql(discard, (number,))
    thread.join(30)
    assert ["somebody else decided" in str(one) for one in failures] == [True]
    assert golden(hub, ads, "phone") == OTHER


def _somebody_waits(tx: Transaction) -> bool:
    waiting = (
        "SELECT count(*) FROM pg_locks l JOIN pg_stat_activity a USING (pid)"
        " WHERE NOT l.granted AND a.datname = current_database()"
    )
    return bool(tx.connection.exec_driver_sql(waiting).scalar_one())


# Previews


def test_a_preview_changes_nothing_and_foretells(hub: OpsHub, wide: OpsHub) -> None:
    numbers = [refused_phone(hub, str(n))[1] for n in range(1, 4)]
    says(hub, hub.key("ads", "2"), 3, phone=GOOD)
    ads = hub.key("ads", "new")
    numbers.append(says(hub, ads, 1, "insert", cin="XY1", phone=BAD, languages=["ar"]))
    numbers.append(says(hub, hub.key("ads", "3"), 3, cin="ZZ9", phone=BAD))
    numbers.append(arrive(hub, ads, b"\0junk"))
    before = contents(hub)
    foreseen = preview(wide, *numbers)
    assert contents(hub) == before
    assert [one.outcome for one in foreseen] == [APPLIED, SUPERSEDED, APPLIED, APPLIED, HELD, DEAD]
    assert [one.identity for one in foreseen[:5]] == ["same", "same", "same", "new", "same"]
    assert foreseen[3].told.keys() == {hub.name(agency) for agency in ("ads", "entraide", "region")}
    assert [redrive(wide, one)[0].outcome for one in numbers] == [one.outcome for one in foreseen]


def test_a_preview_foretells_also_where_others_wait_for_the_record(hub: OpsHub, wide: OpsHub) -> None:
    ads = hub.key("ads", "late")
    number = says(hub, ads, 1, "insert", cin="AB8", phone=BAD)
    enrolment = hub.key("ads", "e1", "enrolment")
    assert says(hub, enrolment, 2, "insert", number="INS-2026-000001", person="late") == 0
    before = contents(hub)
    assert (preview(wide, number)[0].outcome, contents(hub)) == (APPLIED, before)
    redrive(wide, number)
    assert hub.rows("SELECT entity FROM due"), "the enrolment is to be settled again"


def test_a_preview_covers_what_is_personal(hub: OpsHub, wide: OpsHub) -> None:
    _, number = refused_phone(hub)
    shown = repr(preview(wide, number))
    assert BAD not in shown
    assert OTHER not in shown
    assert COVER in shown


def test_a_preview_that_finds_another_person_says_whom(hub: OpsHub, wide: OpsHub) -> None:
    entraide, ads = hub.key("entraide", "1"), hub.key("ads", "2")
    says(hub, entraide, 1, "insert", cin="AB7", birth_date=BORN)
    number = says(hub, ads, 2, "insert", cin="AB7", birth_date=BORN, phone=BAD)
    (foreseen,) = preview(wide, number)
    assert foreseen.identity == "found"
    redrive(wide, number)
    assert golden(hub, entraide, "phone") == BAD
