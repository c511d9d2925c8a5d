"""Schedules follow from their seed alone, and every fault is described."""

from __future__ import annotations

import re
from pathlib import Path

from faults.schedule import AFTER, AT_START, EDITS, FAULTS, FREEZES, Draw
from faults.staff import Staff
from faults.stage import Stage
from hub.crash import POINTS

DOCUMENT = (Path(__file__).parents[2] / "docs" / "faults.md").read_text(encoding="utf-8")


def test_the_same_seed_plays_the_same_schedule() -> None:
    assert list(Draw(7).rounds(50)) == list(Draw(7).rounds(50))
    assert list(Draw(7).rounds(50)) != list(Draw(8).rounds(50))


def test_a_long_schedule_knows_every_fault_and_every_edit() -> None:
    rounds = list(Draw(1).rounds(200))
    assert {name for one in rounds for name in one.name.split(" and ")} == FAULTS.keys()
    assert {step.what for one in rounds for step in one.steps if step.kind == "edit"} == set(EDITS)


def test_every_crash_point_is_in_one_round_of_them_all() -> None:
    killed = [step.what for one in Draw(1).all_points(4) for step in one.steps if step.kind == "arm"]
    assert set(killed) == POINTS.keys() - set(AT_START)
    assert {*AFTER, *AFTER.values(), *FREEZES} <= POINTS.keys()


def test_whatever_a_schedule_says_can_be_done() -> None:
    kinds = {step.kind for one in Draw(1).rounds(200) for step in one.steps}
    assert [kind for kind in kinds if not hasattr(Stage, f"_{kind}")] == []
    assert [edit for edit in EDITS if not hasattr(Staff, f"_{edit}")] == []


def test_every_fault_is_described() -> None:
    table = DOCUMENT.split("\n## The faults\n")[1].split("\n## ")[0]
    assert re.findall(r"^\| `([a-z_]+)` \|", table, re.MULTILINE) == list(FAULTS)
