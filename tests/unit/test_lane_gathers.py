"""A lane that lets messages gather after a batch: only where the batch was all that there is."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest
from aiokafka import TopicPartition
from support.lanes import lane_reading

from hub.lanes.lane import Lane

PLACE = TopicPartition("ads.receipts", 0)


class Backlog:
    """A consumer of one partition that gives one message at a time; `end` is what the broker last said."""

    def __init__(self, end: int | None) -> None:
        self._end = end
        self._mine = frozenset({PLACE})

    def assignment(self) -> frozenset[TopicPartition]:
        return self._mine

    def highwater(self, place: TopicPartition) -> int | None:
        assert place in self._mine
        return self._end

    async def getmany(self, *_: TopicPartition, **__: Any) -> dict[TopicPartition, list[Any]]:
        return {PLACE: [SimpleNamespace(offset=6, timestamp=0, key=b"", value=b"")]}

    def lose(self) -> None:
        self._mine = frozenset()


class Reader(Lane):
    name = "receipts"
    slept: float = 0.0
    meanwhile: Any = None

    async def handle(self, *_: Any) -> None:
        if self.meanwhile is not None:
            self.meanwhile()

    async def sleep(self, n: float, **_: Any) -> None:
        self.slept += n


def read_once(end: int | None, lost: bool = False) -> float:
    async def read() -> float:
        backlog = Backlog(end)
        lane = lane_reading(backlog, Reader, PLACE.topic)
        lane.meanwhile = backlog.lose if lost else None
        lane._positions = {PLACE: 6}
        lane.gather_s = 0.25
        await lane._once()
        return lane.slept

    return asyncio.run(read())


@pytest.mark.parametrize(("end", "slept"), [(7, 0.25), (None, 0.25), (8, 0.0)])
def test_what_has_piled_up_need_not_gather(end: int | None, slept: float) -> None:
    assert read_once(end) == slept


def test_of_a_partition_that_was_lost_meanwhile_nothing_is_asked() -> None:
    assert read_once(8, lost=True) == 0.25
