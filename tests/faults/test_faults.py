"""Delivery under faults, on the real stack: nothing acknowledged is lost, doubled or shown out of order."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator

import pytest

from faults import oracle
from faults.ledger import Entry
from faults.schedule import Draw, Round, Step
from faults.stage import SEED, WORKERS, Stage
from hub.crash import POINTS
from hub.local.demo.desk import Desk, write
from hub.local.demo.proof.verdict import Rows
from hub.local.demo.story.people import (
    FIND_AT_ADS,
    SET_ADS_PHONE,
    SET_ENTRAIDE_COMMUNE,
    at_ads,
    at_entraide,
)

ROUNDS = int(os.environ.get("FAULTS_ROUNDS") or 40)
# The short slice of every test run.
SLICE_ROUNDS = 2
# Crash points of one round: every third of the list, so that they lie on different parts of the path.
TOGETHER = 8


def play(stage: Stage, rounds: Iterator[Round], again: Callable[[int], str]) -> None:
    """Play rounds until one shows something wrong; the failure says how to play them again."""
    played = []
    for round_ in rounds:
        played.append(f"{len(played) + 1}. {round_}")
        print(played[-1], flush=True)
        problems = stage.play(round_)
        if problems:
            schedule = "\n".join(played)
            shown = "\n".join(problems[:40])
            pytest.fail(f"seed {SEED}; again: {again(len(played))}\n{schedule}\n\n{shown}")


def slice_again(_: int) -> str:
    return f'FAULTS_SEED={SEED} make test ARGS="tests/faults"'


def campaign_again(rounds: int) -> str:
    return f"make faults SEED={SEED} N={rounds}"


def test_a_death_between_any_two_effects_loses_and_doubles_nothing(stage: Stage) -> None:
    play(stage, Draw(SEED).all_points(TOGETHER), slice_again)
    assert stage.caught == POINTS.keys()


def test_a_short_schedule_of_faults(stage: Stage) -> None:
    play(stage, Draw(SEED, first=1_000_000).rounds(SLICE_ROUNDS), slice_again)


def come_and_go(workers: int, deaths: int) -> Round:
    """Workers are added until there are so many, some are killed, one is stopped, while people work."""
    joined = [Step("join", f"hub-{number}") for number in range(WORKERS, workers)]
    killed = [Step("die", f"hub-{number}") for number in range(deaths)]
    moves = [*joined, *killed, Step("restart", f"hub-{workers - 1}")]
    return Round(f"{workers} workers", [step for move in moves for step in (move, Step("busy"))])


def test_workers_come_and_go_under_load(stage: Stage) -> None:
    play(stage, iter([come_and_go(WORKERS + 1, deaths=1)]), slice_again)


Change = tuple[str, str, str, str]


def _changed(before: Rows, after: Rows) -> dict[Change, object]:
    """(agency, record type, local id, field) → the value by now, of all that is not as it was; a row that
    came or went stands for itself."""
    found: dict[Change, object] = {}
    for agency, tables in after.items():
        for record_type, rows in tables.items():
            there = before[agency][record_type]
            for local_id in rows.keys() ^ there.keys():
                found[agency, record_type, local_id, ""] = local_id in rows
            for local_id in rows.keys() & there.keys():
                for name, value in rows[local_id].items():
                    if there[local_id][name] != value:
                        found[agency, record_type, local_id, name] = value
    return found


def _proven(stage: Stage) -> Rows:
    """What every agency holds, once everything has come to rest and nothing is wrong."""
    stage.settle()
    assert stage.verdict() == []
    return oracle.read_rows(stage.region.site)


_NAME_AT_ADS = "UPDATE beneficiaire SET cin = :cin WHERE id_beneficiaire = :id"
_ENROL_AT_ADS = """
    INSERT INTO inscription (numero, id_beneficiaire, id_centre, parcours, statut)
    VALUES (:number, :person, (SELECT min(id_centre) FROM centre), 'ORI', 'P') RETURNING id_inscription
"""
_DUPLICATES = "SELECT coalesce(sum(times), 0) FROM jisr_notice WHERE reason = 'duplicate'"


def _enrol(stage: Stage, person: int) -> str:
    """An enrolment of a person at ADS, by number and key."""
    number = stage.scene.number()
    key = stage.scene.edit("ads", _ENROL_AT_ADS, number=number, person=person)
    stage.ledger.note(
        Entry("ads", "enrolment", str(key), "insert", {"number": number, "person": str(person)})
    )
    return number


def _person_of(rows: Rows, agency: str, number: str) -> object:
    """Whose row, at an agency, an enrolment is of."""
    return next(row["person"] for row in rows[agency]["enrolment"].values() if row["number"] == number)


def test_r21_a_late_merge_and_its_split_reach_every_agency_and_leave_nothing_behind(stage: Stage) -> None:
    """One person, received twice for months: rows and enrolments in three places. A card that is learned
    late makes them one; it was the wrong card, and everybody holds again what they held."""
    scene, note = stage.scene, stage.ledger.note
    who, phone = scene.newcomer(), scene.phone()
    first = at_entraide(scene, who, phone=None, commune=None)
    note(Entry("entraide", "person", str(first), "insert", {"cin": who.cin}))
    there = scene.find("ads", FIND_AT_ADS, cin=who.cin)
    second = at_ads(scene, who, cin=None, phone=None)
    note(Entry("ads", "person", str(second), "insert", {"birth_date": who.birth}))
    enrolments = _enrol(stage, there), _enrol(stage, second)
    apart = _proven(stage)
    owners = [_person_of(apart, "entraide", number) for number in enrolments]
    assert owners[0] == str(first) != owners[1], "both are everywhere, each with what is theirs"
    told = {agency: scene.desk(agency).one(_DUPLICATES) for agency in ("ads", "entraide")}

    scene.edit("ads", _NAME_AT_ADS, cin=who.cin, id=second)
    note(Entry("ads", "person", str(second), "update", {"cin": who.cin}))
    merged = _proven(stage)
    assert [_person_of(merged, "entraide", number) for number in enrolments] == [str(first)] * 2
    for agency, before in told.items():
        stage.until(
            lambda a=agency, n=before: scene.desk(a).one(_DUPLICATES) > n,  # type: ignore[misc]
            f"{agency} is told of its duplicate",
        )

    # As one person they are worked with at two agencies, on two rows.
    commune = scene.communes(1)[0]
    scene.edit("ads", SET_ADS_PHONE, phone=phone, id=second)
    note(Entry("ads", "person", str(second), "update", {"phone": phone}))
    scene.edit("entraide", SET_ENTRAIDE_COMMUNE, commune=commune, id=first)
    note(Entry("entraide", "person", str(first), "update", {"commune": commune}))
    together = _proven(stage)
    assert together["entraide"]["person"][str(first)]["phone"] == phone

    scene.edit("ads", _NAME_AT_ADS, cin=None, id=second)
    note(Entry("ads", "person", str(second), "update", {"cin": None}))
    changed = _changed(apart, _proven(stage))
    # Exactly what was said since, each with the person of whose row it was said, wherever that one is held.
    of_first = {("entraide", str(first)), ("ads", str(there))}
    of_second = {("ads", str(second)), ("entraide", str(owners[1]))}
    at = {(agency, local_id, name): value for (agency, _, local_id, name), value in changed.items()}
    assert {record_type for _, record_type, _, _ in changed} == {"person"}
    assert {place for place in at if place[0] != "region-laayoune"} == {
        *((agency, key, "commune") for agency, key in of_first),
        *((agency, key, "phone") for agency, key in of_second),
    }
    assert {place[2]: value for place, value in at.items()} == {"commune": commune, "phone": phone}
    # The region may hold no phones, and has both of them: one commune more.
    assert [name for agency, _, name in at if agency == "region-laayoune"] == ["commune"]


def test_the_oracle_sees_what_is_planted(stage: Stage) -> None:
    """A proof that cannot fail proves nothing: a lost edit, a doubled row, a changed value."""
    ads = stage.region.desks["ads"]
    person = int(min(stage.region.local_ids["ads"].values(), key=int))
    assert stage.verdict() == []

    stage.ledger.note(Entry("ads", "person", str(person), "update", {"phone": "+212799999999"}))
    assert stage.verdict() == [f"{stage.ledger.entries.pop()}: phone was never said, nor held"]

    double = _unseen(ads, _DOUBLE, id=person)
    assert any("a row that nobody made" in problem for problem in stage.verdict())
    _unseen(ads, "DELETE FROM beneficiaire WHERE id_beneficiaire = :id", id=double)

    before = ads.one("SELECT cin FROM beneficiaire WHERE id_beneficiaire = :id", id=person)
    _unseen(ads, _SET_CIN, cin="ZZ1", id=person)
    assert any("another value of cin" in problem for problem in stage.verdict())
    _unseen(ads, _SET_CIN, cin=before, id=person)
    assert stage.verdict() == []


_SET_CIN = "UPDATE beneficiaire SET cin = :cin WHERE id_beneficiaire = :id"
_DOUBLE = """
    INSERT INTO beneficiaire (cin, nom_complet, sexe, date_naissance)
    SELECT cin, nom_complet, sexe, date_naissance FROM beneficiaire WHERE id_beneficiaire = :id
    RETURNING id_beneficiaire
"""


def _unseen(desk: Desk, sql: str, **values: object) -> object:
    """Write as the hub's sink does, so that capture does not see it, and nothing mends it."""
    return desk.together(
        lambda connection: (
            write(connection, "SET LOCAL jisr.origin = 'hub'", {}),
            write(connection, sql, values),
        )
    )[1]


@pytest.mark.campaign
def test_four_workers_come_and_go_under_load(stage: Stage) -> None:
    play(stage, iter([come_and_go(4, deaths=4)] * 3), campaign_again)


@pytest.mark.campaign
def test_a_long_schedule_of_faults(stage: Stage) -> None:
    play(stage, Draw(SEED, first=2_000_000).rounds(ROUNDS), campaign_again)
