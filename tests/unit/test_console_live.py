"""The status that all readers share: how often the store and Kafka are looked at, whoever asks."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from support.console import contracts

from hub.console.live import AWAY_S, FRESH_S, LiveStatus, Snapshot
from hub.errors import Retriable
from hub.ops.log_reader import LogReader
from hub.ops.parts import Parts
from hub.ops.status import Status


@pytest.fixture
def parts() -> Iterator[Parts]:
    made = contracts()
    yield made
    made.close()


class Clock:
    """Time that passes when it is told to."""

    now = 100.0

    def __call__(self) -> float:
        return self.now


class Looking(LiveStatus):
    """Counts its looks, each of which takes a while."""

    looks = 0
    takes_s = 0.0

    def _look(self) -> Snapshot:
        self.looks += 1
        self._clock.now += self.takes_s  # type: ignore[attr-defined]
        return Snapshot(Status(float(self.looks), (), {}, 0, 0, 0, ()), ())


def test_however_many_ask_it_is_looked_at_once_in_a_while(parts: Parts) -> None:
    clock = Clock()
    live = Looking(parts, clock=clock)
    assert {live.snapshot().status.at for _ in range(50)} == {1.0}
    clock.now += FRESH_S + 0.1
    assert live.snapshot().status.at == 2.0
    assert live.looks == 2


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
