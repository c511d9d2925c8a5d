"""A lane: a faust service that reads topics by batches and keeps its positions in the store (R25).

The consumer group only deals out partitions; where to read on comes from the store, where it moves in the
same transaction as what was read. So a worker that was paused and replaced finds its positions moved, and
starts again from there, having changed nothing.
"""

from __future__ import annotations

import asyncio
import hashlib
import time
from abc import abstractmethod
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

from aiokafka import AIOKafkaConsumer, ConsumerRebalanceListener, TopicPartition
from aiokafka.errors import KafkaError, NoOffsetForPartitionError, OffsetOutOfRangeError
from mode import Service

from hub.contracts.kafka_connection import KafkaConnection
from hub.errors import Fatal, Retriable
from hub.lanes.reading import Message
from hub.lanes.turns import Fetched, Turns, onward
from hub.store.engine import HubStore
from hub.store.errors import Fenced
from hub.store.loading import Advance
from hub.store.positions import Position, load_positions, save_first_positions

# Batches grow under load up to this, and are as small as what is there when there is little.
MAX_BATCH = 2_000
# What a consumer fetches ahead of one partition. However long a backlog is, a worker holds at most this much
# of it for each of its partitions; twice what a batch takes of an agency with six of them.
_AHEAD_BYTES = 512 * 1024
# How long a poll waits when there is nothing: idle work is looked at as often.
POLL_MS = 200
_RETRY_S = (0.1, 0.25, 0.5, 1.0, 2.0)

_MEND = (
    "what was there and never read is gone. Let the agency say everything again (`jisr connector resnapshot "
    "FILE`, at the agency), then let the lane begin at what is there (`jisr topics skip-gap {topic}`); see "
    "docs/operations.md, 'A topic below its retention'"
)

T = TypeVar("T")


class GapInLog(Fatal):
    """Messages that this lane has not read are gone from the log: going on would lose them silently."""


class StoreSetBack(Fatal):
    """The store says less than this worker has brought into it: it was set back beneath the worker."""


class Lane(Service):  # type: ignore[misc]
    """Reads `topics` in batches and hands each to `handle`, which moves the positions with its effects."""

    abstract = True
    name = "lane"

    def __init__(
        self,
        *,
        kafka: KafkaConnection,
        group: str,
        worker: str,
        topics: Sequence[str],
        store: HubStore,
        topic_ids: Callable[[], dict[str, str]],
        **options: Any,
    ) -> None:
        super().__init__(**options)
        self._kafka = kafka
        self._group = group
        self._worker = worker
        self._topics = tuple(topics)
        self._store = store
        self._topic_ids = topic_ids
        self._positions: dict[TopicPartition, int] = {}
        # One thread: SQL runs off the event loop, and one batch after another.
        self._executor = ThreadPoolExecutor(1, thread_name_prefix=f"jisr-{self.name}")
        self._consumer: AIOKafkaConsumer | None = None
        self.progress = time.monotonic()
        self.poll_ms = POLL_MS
        # How long to let messages gather after a batch that was all there is, in seconds.
        self.gather_s = 0.0
        self.ready = False

    # What a lane does

    @abstractmethod
    async def handle(self, messages: list[Message], advances: list[Advance]) -> None:
        """Apply one batch, moving the positions by `advances`; may raise `Fenced` or `Retriable`."""

    async def idle(self) -> None:
        """Called when there is nothing to read, and between batches."""

    async def prepare(self) -> None:
        """Called once before the first batch."""

    # How it runs

    async def in_thread(self, call: Callable[..., T], *arguments: Any) -> T:
        """Run blocking work of this lane off the event loop, in order."""
        return await asyncio.get_running_loop().run_in_executor(self._executor, call, *arguments)

    async def on_start(self) -> None:
        self.add_future(self._run())

    async def on_stop(self) -> None:
        if self._consumer is not None:
            await self._consumer.stop()
        self._executor.shutdown(wait=False, cancel_futures=True)

    async def _run(self) -> None:
        try:
            await self.persist(self.prepare)
            await self.persist(self._connect)
            while not self.should_stop:
                await self.persist(self._once)
        except Exception as error:
            self.log.exception("%s stops", self.name)
            await self.crash(error)

    async def persist(self, step: Callable[[], Any]) -> None:
        """Do `step`, again and again while a dependency is away; polling and heartbeats go on."""
        attempt = 0
        while not self.should_stop:
            try:
                await step()
            except Fenced as error:
                self.log.warning("%s: %s; reading on from the store", self.name, error)
                await self.persist(self._seek_assigned)
            except (Retriable, KafkaError) as error:
                wait = _RETRY_S[min(attempt, len(_RETRY_S) - 1)]
                attempt += 1
                self.ready = False
                self.log.warning("%s waits %.2f s: %s", self.name, wait, error)
                await self.sleep(wait)
            else:
                return

    async def _connect(self) -> None:
        """A known name: a worker that was killed gets its partitions back at once when it restarts.

        With other topics it has another name. Under the same one Kafka deals nothing out anew (KIP-345), and
        the client asks for that only if it knows KIP-814: new topics would not be read, and one that is not
        subscribed to any more would be an error for ever.
        """
        if self._consumer is not None:
            await self._consumer.stop()
        self._consumer = AIOKafkaConsumer(
            **self._kafka.options(),
            client_id=f"{self._worker}-{self.name}",
            group_id=f"{self._group}-{self.name}",
            group_instance_id=f"{self._worker}-{self.name}-{_print_of(self._topics)}",
            enable_auto_commit=False,
            auto_offset_reset="none",
            session_timeout_ms=6_000,
            heartbeat_interval_ms=1_000,
            max_poll_interval_ms=600_000,
            max_partition_fetch_bytes=_AHEAD_BYTES,
            fetch_max_wait_ms=100,
        )
        self._turns = Turns(self._consumer, MAX_BATCH)
        await self._consumer.start()
        self._consumer.subscribe(list(self._topics), listener=_Assigned(self))

    async def _once(self) -> None:
        try:
            fetched = await self._turns.take(self.poll_ms)
        except NoOffsetForPartitionError:
            # Partitions have just been dealt out, and the positions are still being read.
            await self.sleep(0.05)
            return
        except OffsetOutOfRangeError as error:
            raise GapInLog(
                f"lane {self.name}: the log no longer holds the offsets to read on from {error.args}; "
                f"{_MEND.format(topic='TOPIC')}"
            ) from error
        messages, advances = self._batch(fetched)
        if messages:
            await self.persist(lambda: self._handle(messages, advances))
        else:
            await self.idle()
        self.ready = True
        self.progress = time.monotonic()
        if messages and self.gather_s and not self._more_waits(advances):
            await self.sleep(self.gather_s)

    def _more_waits(self, advances: Iterable[Advance]) -> bool:
        """Whether Kafka has said that it holds more of what was read: it need not gather, it has piled up."""
        assert self._consumer is not None
        read = {TopicPartition(a.topic, a.partition): a.following for a in advances}
        ours = read.keys() & self._consumer.assignment()
        return any((self._consumer.highwater(place) or 0) > read[place] for place in ours)

    async def _handle(self, messages: list[Message], advances: list[Advance]) -> None:
        if any(self._positions.get(TopicPartition(a.topic, a.partition)) != a.expected for a in advances):
            # The partitions were dealt out anew, or we were fenced, while this batch waited: what it
            # holds comes again from where the store says.
            return
        await self.handle(messages, advances)
        for advance in advances:
            partition = TopicPartition(advance.topic, advance.partition)
            # Unless it was dealt out anew meanwhile: then the store's word is newer than ours.
            if self._positions.get(partition) == advance.expected:
                self._positions[partition] = advance.following

    def _batch(self, fetched: Fetched) -> tuple[list[Message], list[Advance]]:
        messages: list[Message] = []
        advances: list[Advance] = []
        for partition, found in fetched.items():
            expected = self._positions.get(partition)
            records = [] if expected is None else onward(found, expected)
            if expected is None or not records:
                continue
            messages += [
                Message(partition.topic, partition.partition, r.offset, r.timestamp, r.key, r.value)
                for r in records
            ]
            following = records[-1].offset + 1
            advances.append(Advance(partition.topic, partition.partition, expected, following))
        return messages, advances

    async def _seek_assigned(self) -> None:
        assert self._consumer is not None
        await self.seek(set(self._consumer.assignment()))

    async def seek(self, partitions: set[TopicPartition]) -> None:
        """Read on where the store says; begin at the beginning of what was never read."""
        assert self._consumer is not None
        self._positions = {p: at for p, at in self._positions.items() if p in partitions}
        if not partitions:
            return
        earliest = await self._consumer.beginning_offsets(list(partitions))
        known = await self.in_thread(self._load_positions, earliest)
        # After the positions: who had these partitions before may still have been moving on.
        latest = await self._consumer.end_offsets(list(partitions))
        for partition in partitions:
            position = known[partition.topic, partition.partition]
            self._check(partition, position, earliest[partition], latest[partition])
            self._check_forward(partition, position, self._positions.get(partition))
            self._consumer.seek(partition, position.next_offset)
            self._positions[partition] = position.next_offset
        self.moved()

    def moved(self) -> None:
        """The consumer reads on elsewhere: what it gave and was not handled yet comes again."""
        self._turns.moved()

    def _load_positions(self, earliest: dict[TopicPartition, int]) -> dict[tuple[str, int], Position]:
        self._ids_now = self._topic_ids()
        topics = {partition.topic for partition in earliest}
        with self._store.begin() as tx:
            known = load_positions(tx, self.name, topics)
            first = {
                (p.topic, p.partition): Position(self._ids_now[p.topic], offset)
                for p, offset in earliest.items()
                if (p.topic, p.partition) not in known
            }
            save_first_positions(tx, self.name, first)
            return load_positions(tx, self.name, topics)

    def _check(self, partition: TopicPartition, position: Position, earliest: int, latest: int) -> None:
        where = f"lane {self.name}: {partition.topic}[{partition.partition}]"
        mend = _MEND.format(topic=partition.topic)
        if self._ids_now[partition.topic] != position.topic_id:
            raise GapInLog(f"{where}: the topic was deleted and made anew since it was read; {mend}")
        if not earliest <= position.next_offset <= latest:
            raise GapInLog(
                f"{where}: offset {position.next_offset} is next, but the log holds {earliest} to {latest}; "
                f"{mend}"
            )

    def _check_forward(self, partition: TopicPartition, position: Position | None, ours: int | None) -> None:
        """A position only ever moves on; whoever sees it go back reads a store that was set back (R31)."""
        stored = None if position is None else position.next_offset
        if ours is not None and (stored is None or stored < ours):
            raise StoreSetBack(
                f"lane {self.name}: {partition.topic}[{partition.partition}]: the store says that {stored} "
                f"is next, and this worker had come to {ours}: it was set back. Stop all workers, then run "
                "`jisr rebuild`; see docs/operations.md, 'The hub's store was lost, or restored'"
            )

    async def look_back(self) -> None:
        """Raise `StoreSetBack` if the store has forgotten how far this worker had come: now and then."""
        # Before the store is asked: whatever it says is not older than these.
        ours = dict(self._positions)
        known = await self.in_thread(self._stored_positions, {partition.topic for partition in ours})
        for partition, at in ours.items():
            self._check_forward(partition, known.get((partition.topic, partition.partition)), at)

    def _stored_positions(self, topics: set[str]) -> dict[tuple[str, int], Position]:
        with self._store.begin() as tx:
            return load_positions(tx, self.name, topics)


class _Assigned(ConsumerRebalanceListener):  # type: ignore[misc]
    """Seeks before the first fetch: the group's own offsets are not used."""

    def __init__(self, lane: Lane) -> None:
        self._lane = lane

    async def on_partitions_revoked(self, _: set[TopicPartition]) -> None:
        self._lane.moved()

    async def on_partitions_assigned(self, assigned: set[TopicPartition]) -> None:
        try:
            await self._lane.persist(lambda: self._lane.seek(assigned))
        except Fatal as error:
            await self._lane.crash(error)


def _print_of(topics: Iterable[str]) -> str:
    """Eight characters, others for any other set of topics."""
    return hashlib.sha256("\n".join(sorted(topics)).encode()).hexdigest()[:8]
