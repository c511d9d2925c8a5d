"""Simulated parts in the places where production code looks for the real ones, while a run lasts."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Coroutine, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from types import SimpleNamespace
from typing import Any, TypeVar
from unittest import mock

from connectors import loops, sweeping
from connectors.loops import LONGEST_IDLE_S
from connectors.sql import sink, sqlite_capture, sweep_look
from hub import crash
from hub.lanes import intake_lane, lane, log
from hub.lanes.intake_lane import IntakeLane
from hub.lanes.receipts import ReceiptsLane
from simulation import broker as kafka
from simulation.broker import Broker
from simulation.schedule import START_MS, Schedule

T = TypeVar("T")
# How long an idle side waits for a write.
IDLE_MS = 3_000
# Fewer than in production, so that a sweep has several pages of the few rows that there are.
PAGE_ROWS = 2
# Fewer than in production: what matters is that there are several.
PARTITIONS = 2


def done_at_once(work: Coroutine[Any, Any, T]) -> T:
    """The result of a coroutine that never has to wait: simulated parts block instead."""
    try:
        work.send(None)
    except StopIteration as end:
        result: T = end.value
        return result
    raise AssertionError("a lane waits for something that is not simulated")


class Clock:
    """The module `time`."""

    def __init__(self, schedule: Schedule) -> None:
        self._schedule = schedule

    def time(self) -> float:
        return self._schedule.now_ms / 1000

    def monotonic(self) -> float:
        return (self._schedule.now_ms - START_MS) / 1000

    perf_counter = monotonic


class Turn:
    """What a side of a connector waits for between two steps.

    `writes`: a number that changes when there may be something to do. An idle side is left alone until then:
    polls that find nothing were half of a run.
    """

    def __init__(self, schedule: Schedule, writes: Callable[[], int] | None = None) -> None:
        self._schedule = schedule
        self._writes = writes

    def clear(self) -> None:
        """Nobody but time and the database calls it."""

    def wait(self, timeout_s: float | None = None) -> bool:
        if self._writes is not None and timeout_s is not None and timeout_s <= LONGEST_IDLE_S:
            before = self._writes()
            self._schedule.wait(lambda: self._writes() != before, IDLE_MS)
        else:
            self._schedule.wait(None, None if timeout_s is None else int(timeout_s * 1000))
        return False


class InThread:
    """A lane on a thread of the schedule: no event loop, and what blocks, blocks."""

    schedule: Schedule

    async def in_thread(self, call: Callable[..., T], *arguments: Any) -> T:
        return call(*arguments)

    async def sleep(self, seconds: float, **_: Any) -> None:
        self.schedule.wait(timeout_ms=int(float(seconds) * 1000))

    async def crash(self, reason: BaseException) -> None:
        raise reason

    def run(self) -> None:
        """What the lane does as long as it lives."""
        done_at_once(self._run())  # type: ignore[attr-defined]


class SimulatedIntake(InThread, IntakeLane):
    loop = None


class SimulatedReceipts(InThread, ReceiptsLane):
    loop = None


@contextmanager
def ports(schedule: Schedule, broker: Broker, passage: Callable[[str], None]) -> Iterator[None]:
    """Let everything that production code imported be simulated; `passage` is told of crash points."""
    clock = Clock(schedule)
    patches = [
        mock.patch.object(crash, "on_passage", passage),
        mock.patch.object(loops, "Producer", partial(_producer, broker, passage)),
        mock.patch.object(loops, "Consumer", partial(_consumer, broker)),
        mock.patch.object(loops, "time", clock),
        mock.patch.object(sink, "time", clock),
        mock.patch.object(sweeping, "time", clock),
        mock.patch.object(sweep_look, "time", clock),
        mock.patch.object(sweep_look, "PAGE_ROWS", PAGE_ROWS),
        mock.patch.object(sqlite_capture, "NOW_MS", "jisr_now_ms()"),
        mock.patch.object(
            lane, "AIOKafkaConsumer", lambda group_id, **_: kafka.LaneConsumer(broker, group_id)
        ),
        mock.patch.object(intake_lane, "time", clock),
        mock.patch.object(intake_lane, "asyncio", SimpleNamespace(run_coroutine_threadsafe=_threadsafe)),
        mock.patch.object(log, "asyncio", SimpleNamespace(gather=kafka.gather)),
        mock.patch.object(uuid, "uuid4", partial(_uuid, schedule)),
    ]
    with ExitStack() as stack:
        for patch in patches:
            stack.enter_context(patch)
        yield


def _producer(broker: Broker, passage: Callable[[str], None], _bootstrap: str) -> kafka.SimulatedProducer:
    return kafka.SimulatedProducer(broker, passage)


def _consumer(broker: Broker, _bootstrap: str) -> kafka.SimulatedConsumer:
    return kafka.SimulatedConsumer(broker)


def _uuid(schedule: Schedule) -> uuid.UUID:
    return uuid.UUID(int=schedule.rng.getrandbits(128), version=4)


def _threadsafe(work: Coroutine[Any, Any, T], _: Any) -> Any:
    done = done_at_once(work)
    return SimpleNamespace(result=lambda _timeout: done)
