"""Where a lane reads on when it is dealt partitions that another worker has not quite let go of."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from aiokafka import TopicPartition
from support.lanes import lane_reading

from hub.lanes.lane import Lane
from hub.store.positions import Position

PLACE = TopicPartition("ads.receipts", 0)


class Log:
    """A consumer of one partition; `end` moves on while others write and read."""

    def __init__(self) -> None:
        self.end = 3
        self.sought: dict[TopicPartition, int] = {}

    async def beginning_offsets(self, _: list[TopicPartition]) -> dict[TopicPartition, int]:
        return {PLACE: 0}

    async def end_offsets(self, _: list[TopicPartition]) -> dict[TopicPartition, int]:
        return {PLACE: self.end}

    def seek(self, place: TopicPartition, offset: int) -> None:
        self.sought[place] = offset


class Reader(Lane):
    """A lane whose predecessor moves the position on, over messages that have just come."""

    name = "receipts"

    async def handle(self, *_: Any) -> None:
        raise AssertionError("nothing is read here")

    async def in_thread(self, call: Callable[..., Any], *arguments: Any) -> Any:
        return call(*arguments)

    def _load_positions(self, _: dict[TopicPartition, int]) -> dict[tuple[str, int], Position]:
        self._ids_now = {PLACE.topic: "its id"}
        self._consumer.end = 7
        return {(PLACE.topic, PLACE.partition): Position("its id", 6)}


def test_a_predecessor_that_still_moves_on_leaves_no_gap() -> None:
    async def seek() -> Log:
        log = Log()
        await lane_reading(log, Reader, PLACE.topic).seek({PLACE})
        return log

    assert asyncio.run(seek()).sought == {PLACE: 6}
