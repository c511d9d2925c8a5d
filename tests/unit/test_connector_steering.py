"""What an operator wants of a connector: numbers decide, a pause is told when it is sure, a restart once."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
from prometheus_client import generate_latest

from connectors import runner as runner_module
from connectors.metrics import Metrics
from connectors.runner import Runner
from connectors.steering import Steering
from hub.contracts.control import Condition, State, Target, Wish
from hub.errors import ConfigurationError, Retriable

NAMES = ("source", "sweep", "sink", "notices")
PAUSE = Wish(2, State.PAUSED, 1_000, "Samira", "maintenance")
RESUME = Wish(3, State.RUNNING, 2_000, "Samira", "done")
LONG_S = 120


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runner_module, "FIRST_WAIT_S", 0.001)
    monkeypatch.setattr(runner_module, "LONGEST_WAIT_S", 0.001)


class Claimed:
    """A side whose work somebody else may have claimed; counts what it does."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.foreign = False
        self.calls: list[str] = []
        self._moved = threading.Condition()

    def _note(self, call: str) -> None:
        with self._moved:
            self.calls.append(call)
            self._moved.notify_all()

    def open(self) -> None:
        self._note("refused" if self.foreign else "open")
        if self.foreign:
            raise Retriable("another connector is at work")

    def step(self) -> float:
        self._note("step")
        return 0.001

    def close(self) -> None:
        self._note("close")

    def until(self, condition: Callable[[list[str]], bool]) -> None:
        with self._moved:
            assert self._moved.wait_for(lambda: condition(self.calls), LONG_S), self.calls


@contextmanager
def running(runner: Runner) -> Iterator[None]:
    thread = threading.Thread(target=runner.run)
    thread.start()
    try:
        yield
    finally:
        runner.stop()
        thread.join()


def reported(steering: Steering, target: Target, wanted: Condition) -> None:
    """Wait until that is what would be told."""
    done = threading.Event()
    for _ in range(LONG_S * 100):
        found = steering.conditions(NAMES).get(target)
        if found and (found.number, found.state, found.problem) == (
            wanted.number,
            wanted.state,
            wanted.problem,
        ):
            return
        done.wait(0.01)
    pytest.fail(f"{target}: {steering.conditions(NAMES)}")


def said(number: int, state: State, problem: str = "") -> Condition:
    return Condition(number, state, 0, problem)


def sides() -> dict[str, Claimed]:
    return {name: Claimed(name) for name in NAMES}


def test_a_late_or_doubled_wish_changes_nothing() -> None:
    steering = Steering()
    woken: list[int] = []
    steering.changed = lambda: woken.append(1)
    for wish in (RESUME, PAUSE, RESUME):
        steering.note(Target.SINK, wish)
    assert steering.wish("sink") == steering.wish("notices") == RESUME
    assert steering.wish("source") == steering.wish("control") == Wish()
    assert len(woken) == 1


def test_nothing_opens_before_the_wishes_are_read_nor_while_they_say_paused() -> None:
    steering, those = Steering(known=False), sides()
    with running(Runner(list(those.values()), Metrics("ads"), steering)):
        steering.note(Target.SINK, PAUSE)
        steering.note_told(Target.SINK, said(2, State.PAUSED))
        assert [one.calls for one in those.values()] == [[], [], [], []]
        steering.all_read()
        those["source"].until(lambda calls: "step" in calls)
        reported(steering, Target.SOURCE, said(0, State.RUNNING))
        reported(steering, Target.SINK, said(2, State.PAUSED))
        assert those["sink"].calls == those["notices"].calls == []
        steering.note(Target.SINK, RESUME)
        those["notices"].until(lambda calls: "step" in calls)
        reported(steering, Target.SINK, said(3, State.RUNNING))


def test_a_pause_ends_a_step_and_closes_and_only_its_own_sides() -> None:
    steering, those, metrics = Steering(), sides(), Metrics("ads")
    runner = Runner(list(those.values()), metrics, steering)
    with running(runner):
        those["source"].until(lambda calls: "step" in calls)
        steering.note(Target.SOURCE, PAUSE)
        reported(steering, Target.SOURCE, said(2, State.PAUSED))
        for name in ("source", "sweep"):
            assert those[name].calls[-1] == "close"
            assert those[name].calls.count("open") == 1
            assert runner.health[name].away == ""
        steps = those["sink"].calls.count("step")
        those["sink"].until(lambda calls: calls.count("step") > steps)
        paused = 'jisr_connector_paused_timestamp_seconds{agency="ads",side="source"}'
        assert f"{paused} 1.0" in generate_latest(metrics.registry).decode()
        steering.note(Target.SOURCE, RESUME)
        those["source"].until(lambda calls: calls.count("open") == 2)
        reported(steering, Target.SOURCE, said(3, State.RUNNING))
        assert f"{paused} 0.0" in generate_latest(metrics.registry).decode()


def test_who_stands_by_does_not_say_that_it_is_paused_while_another_one_may_be_at_work() -> None:
    steering, those = Steering(), sides()
    for one in those.values():
        one.foreign = one.name != "sweep"
    with running(Runner(list(those.values()), Metrics("ads"), steering)):
        those["sink"].until(lambda calls: "refused" in calls)
        steering.note(Target.SINK, PAUSE)
        those["sink"].until(lambda calls: calls.count("refused") > 3)
        assert steering.conditions(NAMES) == {}
        # The other one died: the claim is free.
        for one in those.values():
            one.foreign = False
        reported(steering, Target.SINK, said(2, State.PAUSED))
        assert those["sink"].calls[-2:] == ["open", "close"]
        assert "step" not in those["sink"].calls


def test_a_restart_happens_once_with_new_sides_and_keeps_a_pause() -> None:
    steering, first, second = Steering(), sides(), sides()
    rounds = iter([second])
    runner = Runner(list(first.values()), Metrics("ads"), steering, lambda: list(next(rounds).values()))
    with running(runner):
        steering.note(Target.SINK, PAUSE)
        reported(steering, Target.SINK, said(2, State.PAUSED))
        for _ in range(3):
            steering.note(Target.PROCESS, Wish(7))
        reported(steering, Target.PROCESS, said(7, State.RUNNING))
        second["source"].until(lambda calls: "step" in calls)
        assert [one.calls[-1] for one in first.values()] == ["close"] * 4
        reported(steering, Target.SINK, said(2, State.PAUSED))
        assert "step" not in second["sink"].calls


def test_a_wrong_configuration_is_told_and_ends_nothing() -> None:
    steering, those = Steering(), sides()

    def wrong() -> list[Claimed]:
        raise ConfigurationError("mapping.yaml:3:1: no such column")

    with running(Runner(list(those.values()), Metrics("ads"), steering, wrong)):
        those["source"].until(lambda calls: "step" in calls)
        steering.note(Target.PROCESS, Wish(7))
        reported(steering, Target.PROCESS, said(7, State.RUNNING, "mapping"))
        steps = those["source"].calls.count("step")
        those["source"].until(lambda calls: calls.count("step") > steps)
        assert those["source"].calls.count("open") == 1


def test_a_start_fulfils_a_wish_to_start_anew_that_was_there_before() -> None:
    steering = Steering(known=False)
    steering.note(Target.PROCESS, Wish(7))
    steering.all_read()
    assert not steering.restart_wanted()
    steering.note(Target.PROCESS, Wish(8))
    assert steering.restart_wanted()
