"""Fair batches: whoever has something waiting has a share of every batch, whatever others have piled up.

A consumer gives what it has fetched partition by partition: one agency's backlog would be read to its end
before another's single edit, however long that takes. Here each agency is asked in turn.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from typing import Any

from aiokafka import TopicPartition
from aiokafka.errors import KafkaError

Fetched = dict[TopicPartition, list[Any]]


class Turns:
    """Takes batches of at most `limit` records from a consumer (of aiokafka, or one like it)."""

    def __init__(self, consumer: Any, limit: int) -> None:
        self._consumer = consumer
        self._limit = limit
        self._assigned: frozenset[TopicPartition] = frozenset()
        self._agencies: deque[list[TopicPartition]] = deque()
        self._moved = False

    def moved(self) -> None:
        """Positions were set anew: what a batch in the making holds comes again from there."""
        self._moved = True

    async def take(self, timeout_ms: int) -> Fetched:
        """Records by partition, each in order; waits for some up to `timeout_ms` where there are none."""
        return await self._shared() or await self._consumer.getmany(
            timeout_ms=timeout_ms, max_records=self._limit
        )

    async def _shared(self) -> Fetched:
        """Equal shares of what is here already; what some leave free goes to those who have more."""
        fetched: Fetched = {}
        room, hungry = self._limit, self._deal()
        while hungry and room:
            share = max(1, room // len(hungry))
            more = []
            for partitions in hungry:
                taken = await self._some_of(partitions, min(share, room), fetched)
                room -= taken
                if taken == share:
                    more.append(partitions)
            hungry = more
        return fetched

    async def _some_of(self, partitions: Iterable[TopicPartition], limit: int, fetched: Fetched) -> int:
        """Add up to `limit` records of these partitions to `fetched`; how many."""
        if not limit:
            return 0
        self._moved = False
        try:
            found = await self._consumer.getmany(*partitions, timeout_ms=0, max_records=limit)
        except KafkaError:
            # The consumer has moved on past what was fetched before: that must not be lost. The error comes
            # again.
            if not fetched:
                raise
            return 0
        if self._moved:
            fetched.clear()
        for partition, records in found.items():
            fetched.setdefault(partition, []).extend(records)
        return sum(map(len, found.values()))

    def _deal(self) -> list[list[TopicPartition]]:
        """The assigned partitions of each agency, which is the first word of a topic's name."""
        assigned = self._consumer.assignment()
        if assigned != self._assigned:
            by_agency: dict[str, list[TopicPartition]] = {}
            for partition in sorted(assigned):
                by_agency.setdefault(partition.topic.partition(".")[0], []).append(partition)
            self._assigned, self._agencies = assigned, deque(by_agency.values())
        # Another is the first each time: of more agencies than a batch has room for, each has its turn.
        self._agencies.rotate(-1)
        return list(self._agencies)


def onward(records: list[Any], position: int) -> list[Any]:
    """What stands at `position` or after it.

    Records before it were handled while the consumer was set back to them: they are passed over, and only
    they, since the consumer does not come back to the rest.
    """
    if not records or records[0].offset >= position:
        return records
    return [record for record in records if record.offset >= position]
