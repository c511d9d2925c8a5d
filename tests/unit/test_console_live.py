"""The status that all readers share: how often the store and Kafka are looked at, whoever asks."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest
from support.console import contracts

from hub.console import live as live_module
from hub.console.live import AWAY_S, FRESH_S, STALE_S, LiveStatus, Snapshot
from hub.errors import Retriable
from hub.ops.log_reader import LogReader
from hub.ops.parts import Parts
from hub.ops.status import Standing, Status


@pytest.fixture
def parts() -> Iterator[Parts]:
    made = contracts()
    yield made
    made.close()


@pytest.fixture
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """However slow this machine is, a look is waited for."""
    monkeypatch.setattr(live_module, "PATIENCE_S", 120)


class Clock:
    """Time that passes when it is told to."""

    now = 100.0

    def __call__(self) -> float:
        return self.now


class Looking(LiveStatus):
    """Counts its looks, each of which takes a while."""

    looks = 0
    takes_s = 0.0
    standing: Standing | None = None

    def _look(self) -> Snapshot:
        self.looks += 1
        self._clock.now += self.takes_s  # type: ignore[attr-defined]
        standings = (self.standing,) if self.standing else ()
        return Snapshot(Status(float(self.looks), standings, {}, 0, 0, 0, ()), ())


@pytest.mark.usefixtures("patient")
def test_however_many_ask_it_is_looked_at_once_in_a_while(parts: Parts) -> None:
    clock = Clock()
    live = Looking(parts, clock=clock)
    assert {live.snapshot().status.at for _ in range(50)} == {1.0}
    clock.now += FRESH_S + 0.1
    assert live.snapshot().status.at == 2.0
    assert live.looks == 2


@pytest.mark.usefixtures("patient")
def test_what_takes_long_is_done_less_often(parts: Parts) -> None:
    clock = Clock()
    live = Looking(parts, clock=clock)
    live.takes_s = 3.0
    live.snapshot()
    clock.now += 29.0
    live.snapshot()
    assert live.looks == 1, "a tenth of the time at most"
    clock.now += 2.0
    live.snapshot()
    assert live.looks == 2


@pytest.mark.usefixtures("patient")
def test_who_begins_to_watch_soon_sees_rates(parts: Parts) -> None:
    """However long looks take: the first has none, and the second is not put off."""
    clock = Clock()
    live = Looking(parts, clock=clock)
    live.takes_s, live.standing = 3.0, Standing("ads", "person")
    live.snapshot()
    live.standing = Standing("ads", "person", changes_per_second=0.0)
    clock.now += FRESH_S + 0.1
    live.snapshot()
    assert live.looks == 2
    clock.now += FRESH_S + 0.1
    live.snapshot()
    assert live.looks == 2


def test_nobody_waits_long_for_a_look_unless_the_one_before_would_mislead(parts: Parts) -> None:
    """With a million records a look takes seconds; a page shows the one before, and says when that was."""
    clock, may_end, looking = Clock(), threading.Event(), threading.Event()

    class Slow(Looking):
        def _look(self) -> Snapshot:
            found = super()._look()
            if self.looks > 1:
                looking.set()
                assert may_end.wait(120)
            return found

    live = Slow(parts, clock=clock)
    live.snapshot()
    clock.now += FRESH_S + 1
    for _ in range(5):
        assert live.snapshot().status.at == 1.0
    assert looking.wait(120)
    assert live.looks == 2, "one look, however many would wait for it"

    clock.now += STALE_S
    asked = threading.Thread(target=lambda: found.append(live.snapshot().status.at))
    found: list[float] = []
    asked.start()
    asked.join(0.5)
    assert found == [], "so old a look is shown to nobody"
    may_end.set()
    asked.join(120)
    assert found == [2.0]
    live.close()


@pytest.mark.usefixtures("patient")
def test_while_kafka_is_away_few_try_and_then_it_is_tried_again(parts: Parts) -> None:
    clock = Clock()
    tries = 0

    def away() -> LogReader:
        nonlocal tries
        tries += 1
        raise Retriable("Kafka does not answer")

    live = LiveStatus(parts, away, clock)
    for _ in range(20):
        with pytest.raises(Retriable, match="Kafka does not answer"):
            live.snapshot()
    assert tries == 1
    clock.now += AWAY_S + 0.1
    with pytest.raises(Retriable):
        live.snapshot()
    assert tries == 2
