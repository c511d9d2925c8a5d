"""Delivery under faults, on the real stack: nothing acknowledged is lost, doubled or shown out of order."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest
from schedule import Draw, Round
from stage import Stage

from hub.crash import POINTS

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


def play(stage: Stage, rounds: Iterator[Round]) -> None:
    """Play rounds until one shows something wrong; the failure says how to play them again."""
    played = []
    for round_ in rounds:
        played.append(f"{len(played) + 1}. {round_}")
        print(played[-1], flush=True)
        problems = stage.play(round_)
        if problems:
            schedule = "\n".join(played)
            shown = "\n".join(problems[:40])
            pytest.fail(f"seed {SEED} (make faults SEED={SEED} N={len(played)}):\n{schedule}\n\n{shown}")


def test_a_death_between_any_two_effects_loses_and_doubles_nothing(stage: Stage) -> None:
    play(stage, Draw(SEED).all_points(TOGETHER))
    assert stage.caught == POINTS.keys()


def test_a_short_schedule_of_faults(stage: Stage) -> None:
    play(stage, Draw(SEED).rounds(SLICE_ROUNDS))


@pytest.mark.campaign
def test_a_long_schedule_of_faults(stage: Stage) -> None:
    play(stage, Draw(SEED).rounds(ROUNDS))
