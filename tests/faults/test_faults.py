"""Delivery under faults, on the real stack: nothing acknowledged is lost, doubled or shown out of order."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator

import pytest
from ledger import Entry
from schedule import Draw, Round, Step
from stage import WORKERS, Stage

from hub.crash import POINTS
from hub.local.demo.desk import Desk, write

PEOPLE = 40
SEED = int(os.environ.get("FAULTS_SEED") or 1)
ROUNDS = int(os.environ.get("FAULTS_ROUNDS") or 40)
# The short slice of every test run.
SLICE_ROUNDS = 3
# Crash points of one round: every fourth of the list, so that they lie on different parts of the path.
TOGETHER = 4


@pytest.fixture(scope="module")
def stage() -> Iterator[Stage]:
    with Stage(PEOPLE, SEED) as running:
        yield running


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
