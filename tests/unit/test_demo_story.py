"""The story: the same people for a seed, and a step that fails says so and ends nothing."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from hub.contracts.records import Catalogue
from hub.contracts.values import normalise
from hub.local.demo.desk import Desk
from hub.local.demo.population import population
from hub.local.demo.region import Region
from hub.local.demo.story import scene as stage
from hub.local.demo.story.scene import NotSeen, Scene, Step
from hub.local.demo.story.steps import STEPS

ROOT = Path(__file__).parents[2]
SPECS = Catalogue.load(ROOT / "schemas" / "records").records
# More than any step makes up.
MANY = 200


class Unsent:
    """No Kafka here: these tests read no notices."""

    def __init__(self, _: Region) -> None: ...

    def close(self) -> None: ...


@pytest.fixture(autouse=True)
def no_post(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stage, "Post", Unsent)


def on_stage(seed: int, **desks: Desk) -> Scene:
    region = SimpleNamespace(population=population(50, seed), desks=desks)
    return Scene(cast(Region, region))


def made_up(seed: int) -> list[Any]:
    scene = on_stage(seed)
    return [(dataclasses.astuple(scene.newcomer()), scene.phone(), scene.number()) for _ in range(MANY)]


def test_the_same_seed_tells_the_same_story() -> None:
    assert made_up(5) == made_up(5)
    assert made_up(5) != made_up(6)


def test_newcomers_are_valid_and_like_nobody_of_the_population() -> None:
    scene = on_stage(5)
    held = scene.region.population.copies.values()
    known = [copy.values for shelves in held for copy in shelves["person"]]
    born, cards = {one.get("birth_date") for one in known}, {one.get("cin") for one in known}
    newcomers = [scene.newcomer() for _ in range(MANY)]
    assert len({one.birth for one in newcomers}) == len({one.cin for one in newcomers}) == MANY
    for one in newcomers:
        assert one.birth not in born
        assert one.cin not in cards
        for field, value in (("cin", one.cin), ("phone", one.phone), ("family_name_ar", one.family_ar)):
            assert normalise(SPECS["person"].by_name[field], value) == value


def test_numbers_of_enrolments_are_valid() -> None:
    scene = on_stage(5)
    spec = SPECS["enrolment"].by_name["number"]
    assert all(normalise(spec, number) == number for number in (scene.number() for _ in range(MANY)))


def test_there_are_twelve_steps_with_names_of_their_own() -> None:
    assert len({step.name for step in STEPS}) == len(STEPS) == 12


def test_a_step_that_waits_in_vain_says_what_was_expected_and_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stage, "WITHIN_S", 0.05)
    desk = Desk("ads", f"sqlite:///{tmp_path / 'x.sqlite3'}")
    desk.do("CREATE TABLE t (id INTEGER, name TEXT)")
    scene = on_stage(5, ads=desk)

    def act(scene: Scene) -> None:
        scene.edit("ads", "INSERT INTO t VALUES (1, :name)", name="old")
        scene.see("ads", "new", "SELECT name FROM t WHERE id = :id", id=1)

    outcome = scene.play(Step("waits", "It waits.", act))
    assert not outcome.ok
    assert "expected 'new', found 'old'" in outcome.problem
    assert "ads: SELECT name FROM t" in outcome.problem
    assert outcome.delay_ms is None
    desk.close()


def test_a_step_that_breaks_is_a_failure_and_the_next_goes_on(tmp_path: Path) -> None:
    desk = Desk("ads", f"sqlite:///{tmp_path / 'x.sqlite3'}")
    desk.do("CREATE TABLE t (id INTEGER)")
    scene = on_stage(5, ads=desk)

    def breaks(_: Scene) -> None:
        raise ZeroDivisionError

    def works(scene: Scene) -> None:
        scene.at_once(lambda: scene.edit("ads", "INSERT INTO t VALUES (1)"), lambda: None)
        scene.see("ads", 1, "SELECT count(*) FROM t")
        scene.remark("it worked")

    broken, well = scene.play(Step("a", "A.", breaks)), scene.play(Step("b", "B.", works))
    assert (broken.ok, "ZeroDivisionError" in broken.problem) == (False, True)
    assert (well.ok, well.problem, well.remarks) == (True, "", ["it worked"])
    assert well.delay_ms is not None
    desk.close()


def test_what_fails_in_one_of_several_edits_at_once_is_not_lost() -> None:
    def fails() -> None:
        raise NotSeen("in a thread")

    with pytest.raises(NotSeen, match="in a thread"):
        on_stage(5).at_once(fails, lambda: None)
