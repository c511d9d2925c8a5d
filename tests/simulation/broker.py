"""A simulated Kafka: logs with offsets and append times, a consumer group, and what may go wrong between.

The clients have the faces that production code uses: of `connectors.kafka_io`, and of aiokafka for lanes.
"""

from __future__ import annotations

from collections.abc import Awaitable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from aiokafka import TopicPartition

from connectors.kafka_records import Record
from connectors.messages import Message
from connectors.sdk import Partition
from hub.contracts.partitioner import partition_of
from hub.errors import Retriable
from simulation.schedule import Process, Schedule

# After so long without a sign of life a member of the group counts as dead.
SESSION_MS = 6_000
# Of how many sends one fails half way, and of how many fetches one leaves a partition for later.
ONE_SEND_FAILS_IN = 60
ONE_FETCH_LAGS_IN = 4


class Broker:
    """All topics: a list of records per partition."""

    def __init__(self, schedule: Schedule, partitions: Mapping[str, int]) -> None:
        self.schedule = schedule
        self.partitions = dict(partitions)
        self.log: dict[Partition, list[Record]] = {
            (topic, number): [] for topic, count in partitions.items() for number in range(count)
        }
        self.groups: dict[str, Group] = {}
        # What stands there a second time by no fault of a sender.
        self.repeated: set[tuple[str, int, int]] = set()

    def append(self, topic: str, partition: int, key: bytes | None, value: bytes | None) -> int:
        log = self.log[topic, partition]
        log.append(Record(len(log), self.schedule.now_ms, key, value))
        return len(log) - 1

    def place(self, topic: str, key: bytes) -> Partition:
        return topic, partition_of(key, self.partitions[topic])

    def of(self, topics: Iterable[str]) -> list[Partition]:
        return [(topic, number) for topic in topics for number in range(self.partitions[topic])]

    def fetch(self, positions: Mapping[Any, int], limit: int) -> dict[Any, list[Record]]:
        """Some of what there is beyond these positions, moving nothing; keys are (topic, partition)."""
        rng, found = self.schedule.rng, {}
        places = [place for place, at in positions.items() if len(self.log[place[0], place[1]]) > at]
        lagging = rng.randrange(ONE_FETCH_LAGS_IN) == 0
        for place in rng.sample(places, rng.randint(1, len(places))) if lagging and places else places:
            at = positions[place]
            most = rng.choice((1, 3, limit))
            found[place] = self.log[place[0], place[1]][at : at + most]
        return found

    def repeat(self, ending: str) -> None:
        """Append a message that was there before once more, as after a retry that was not needed."""
        places = [place for place, log in self.log.items() if log and place[0].endswith(ending)]
        if places:
            place = self.schedule.rng.choice(places)
            record = self.schedule.rng.choice(self.log[place])
            if record.value is not None:
                self.repeated.add((*place, self.append(*place, record.key, record.value)))


# Connectors


@dataclass
class SimulatedProducer:
    """`connectors.kafka_io.Producer`."""

    broker: Broker
    crash_point: Any

    def send(self, messages: Iterable[Message]) -> None:
        schedule, those = self.broker.schedule, list(messages)
        arrived = schedule.rng.randint(0, len(those))
        fails = schedule.chance(ONE_SEND_FAILS_IN)
        for number, message in enumerate([*those, None]):
            if number == arrived:
                self.crash_point("connector.sending")
                if fails:
                    raise Retriable("Kafka is away: simulated")
            if message is not None:
                self.broker.append(*self.broker.place(message.topic, message.key), message.key, message.value)
                schedule.pause()

    def close(self) -> None:
        pass


@dataclass
class SimulatedConsumer:
    """`connectors.kafka_io.Consumer`."""

    broker: Broker
    positions: dict[Partition, int] = field(default_factory=dict)

    def ends(self, topics: Sequence[str]) -> dict[Partition, int]:
        return {place: len(self.broker.log[place]) for place in self.broker.of(topics)}

    def tail(self, topics: Sequence[str], count: int) -> list[Record]:
        return [record for place in self.broker.of(topics) for record in self.broker.log[place][-count:]]

    def assign(self, topics: Sequence[str], positions: Mapping[Partition, int]) -> None:
        self.positions = {place: positions.get(place, 0) for place in self.broker.of(topics)}

    def poll(self, limit: int) -> dict[Partition, list[Record]]:
        broker, positions = self.broker, self.positions
        broker.schedule.wait(lambda: any(len(broker.log[p]) > at for p, at in positions.items()), 200)
        found = broker.fetch(positions, limit)
        for place, records in found.items():
            positions[place] = records[-1].offset + 1
        return found

    def close(self) -> None:
        pass


# Lanes


@dataclass
class Member:
    """One consumer in a group; `seen_ms`: when it last gave a sign of life."""

    consumer: LaneConsumer
    process: Process
    seen_ms: int
    generation: int = -1


class Group:
    """Deals partitions out among the members that live; a frozen one loses its own to others."""

    def __init__(self, broker: Broker) -> None:
        self.broker = broker
        self.members: list[Member] = []
        self.generation = 0
        self._dealt: dict[int, set[TopicPartition]] = {}

    def join(self, member: Member) -> None:
        self.members.append(member)
        self._deal()

    def leave(self, consumer: LaneConsumer) -> None:
        self.members = [member for member in self.members if member.consumer is not consumer]
        self._deal()

    def heartbeat(self, consumer: LaneConsumer) -> Member:
        """A member's sign of life; who was given up joins anew."""
        now_ms = self.broker.schedule.now_ms
        mine = next((member for member in self.members if member.consumer is consumer), None)
        if mine is None:
            mine = Member(consumer, self.broker.schedule.current.process, now_ms)
            self.join(mine)
        mine.seen_ms = now_ms
        silent = [m for m in self.members if not m.process.alive or self._is_silent(m, now_ms)]
        if silent:
            self.members = [member for member in self.members if member not in silent]
            self._deal()
        return mine

    @staticmethod
    def _is_silent(member: Member, now_ms: int) -> bool:
        # Heartbeats go on while a member works; only a frozen process sends none.
        return member.process.frozen_until_ms > now_ms and now_ms - member.seen_ms > SESSION_MS

    def assignment(self, member: Member) -> set[TopicPartition]:
        return self._dealt.get(id(member), set())

    def _deal(self) -> None:
        self.generation += 1
        self._dealt = {id(member): set() for member in self.members}
        topics = sorted({topic for member in self.members for topic in member.consumer.topics})
        for number, place in enumerate(self.broker.of(topics)):
            takers = [member for member in self.members if place[0] in member.consumer.topics]
            # Another worker for a partition than last time, so that taking over is frequent.
            taker = takers[(number + self.generation) % len(takers)]
            self._dealt[id(taker)].add(TopicPartition(*place))


class LaneConsumer:
    """aiokafka's consumer, as far as `hub.lanes.lane` knows it."""

    def __init__(self, broker: Broker, group_id: str) -> None:
        self.broker = broker
        self.group = broker.groups.setdefault(group_id, Group(broker))
        self.topics: frozenset[str] = frozenset()
        self._listener: Any = None
        self._assigned: set[TopicPartition] = set()
        self._positions: dict[TopicPartition, int] = {}
        self._generation = -1

    async def start(self) -> None:
        pass

    async def stop(self) -> None:
        self.group.leave(self)

    def subscribe(self, topics: Collection[str], listener: Any) -> None:
        self.topics, self._listener = frozenset(topics), listener
        self.group.heartbeat(self)

    def assignment(self) -> frozenset[TopicPartition]:
        return frozenset(self._assigned)

    def seek(self, partition: TopicPartition, offset: int) -> None:
        self._positions[partition] = offset

    async def beginning_offsets(self, partitions: Collection[TopicPartition]) -> dict[TopicPartition, int]:
        return dict.fromkeys(sorted(partitions), 0)

    async def end_offsets(self, partitions: Collection[TopicPartition]) -> dict[TopicPartition, int]:
        return {place: len(self.broker.log[place]) for place in sorted(partitions)}

    def highwater(self, partition: TopicPartition) -> int:
        return len(self.broker.log[partition])

    async def getmany(
        self, *partitions: TopicPartition, timeout_ms: int, max_records: int
    ) -> dict[TopicPartition, list[Record]]:
        member = self.group.heartbeat(self)
        if self._generation != self.group.generation:
            self._generation = self.group.generation
            before, self._assigned = self._assigned, set(self.group.assignment(member))
            self._positions = {}
            await self._listener.on_partitions_revoked(before)
            await self._listener.on_partitions_assigned(set(self._assigned))
            return {}
        log, positions = self.broker.log, self._positions
        if partitions:
            positions = {place: at for place, at in positions.items() if place in partitions}
        if timeout_ms:
            waiting = positions.items()
            self.broker.schedule.wait(lambda: any(len(log[p]) > at for p, at in waiting), timeout_ms)
        found = self.broker.fetch(positions, max_records)
        for place, records in found.items():
            self._positions[place] = records[-1].offset + 1
        return found


@dataclass
class Sent:
    """A batch on its way; `offset` once the broker has it."""

    broker: Broker
    place: Partition
    batch: list[tuple[bytes, bytes | None]]
    offset: int = -1

    def arrive(self) -> None:
        if self.offset < 0:
            offsets = [self.broker.append(*self.place, key, value) for key, value in self.batch]
            self.offset = offsets[0]


class Batch(list[tuple[bytes, "bytes | None"]]):
    """What aiokafka's `create_batch` gives."""

    def append(self, *, key: bytes, value: bytes | None, **_: Any) -> bool:  # type: ignore[override]
        super().append((key, value))
        return True


class LaneProducer:
    """aiokafka's producer, as far as `hub.lanes.log` knows it."""

    def __init__(self, broker: Broker) -> None:
        self.broker = broker

    async def partitions_for(self, topic: str) -> set[int]:
        return set(range(self.broker.partitions[topic]))

    def create_batch(self) -> Batch:
        return Batch()

    async def send_batch(self, batch: Batch, topic: str, partition: int) -> Sent:
        sent = Sent(self.broker, (topic, partition), list(batch))
        # Before anybody waits for it, it may be there already; or it may never be, if the sender dies.
        if self.broker.schedule.chance(2):
            sent.arrive()
        return sent


async def gather(*sent: Sent) -> Sequence[Sent]:
    """Wait for all acknowledgements: batches arrive in any order, others work in between, some may fail."""
    if not sent:
        return sent
    schedule = sent[0].broker.schedule
    for one in schedule.rng.sample(sent, len(sent)):
        one.arrive()
        schedule.pause()
    if schedule.chance(ONE_SEND_FAILS_IN):
        raise Retriable("Kafka did not acknowledge a batch: simulated")
    return sent


async def unused(*_: Any) -> Awaitable[None]:
    raise AssertionError("not simulated")
