"""Looking into Kafka without taking part: offsets, and messages at or with something. Commits nothing."""

from __future__ import annotations

import contextlib
import time
from collections import deque
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from typing import Any, NamedTuple

from kafka import KafkaConsumer, TopicPartition
from kafka.errors import AuthorizationError, KafkaConfigurationError, KafkaError

from hub.contracts.kafka_connection import KafkaConnection, brief
from hub.errors import Fatal, Retriable

Place = tuple[str, int]

_CONNECT_MS, _BLOCK_MS = 5_000, 10_000
_POLL_MS = 200
# For how long after metadata was had it is not asked for again.
_BACKOFF_MS = 10
_SCAN_BYTES = 1024 * 1024
# Who wants only the first message of each of many partitions.
PEEK_BYTES = 128 * 1024
_FIRST_WINDOW, _LARGEST_WINDOW = 2_000, 200_000


class Found(NamedTuple):
    """A message as it stands in the log; `timestamp_ms` is the broker's append time."""

    topic: str
    partition: int
    offset: int
    timestamp_ms: int
    key: bytes | None
    value: bytes | None


class LogReader:
    """Reads what is in Kafka now. Every call blocks, and raises `Retriable` while Kafka is away."""

    def __init__(self, kafka: KafkaConnection, fetch_bytes: int = _SCAN_BYTES) -> None:
        """`fetch_bytes`: how much of one partition is fetched at a time."""
        self._kafka = kafka
        with self._translated():
            self._consumer: Any = KafkaConsumer(
                **kafka.options(),
                client_id="jisr-ops",
                group_id=None,
                enable_auto_commit=False,
                auto_offset_reset="earliest",
                allow_auto_create_topics=False,
                bootstrap_timeout_ms=_CONNECT_MS,
                request_timeout_ms=_BLOCK_MS + 5_000,
                # Nothing more is coming at the end of a partition: waiting for it only delays the answer.
                fetch_max_wait_ms=50,
                max_partition_fetch_bytes=fetch_bytes,
                max_poll_records=5_000,
                metrics_enabled=False,
            )
            # By default 100 ms, and kafka-python 3.0 does not pass on its own setting of this name: whoever
            # opens a page would wait for it, as topics are asked for right after what a consumer begins with.
            self._consumer._cluster.config["retry_backoff_ms"] = _BACKOFF_MS

    def places(self, topics: Iterable[str]) -> tuple[list[Place], list[str]]:
        """(All partitions of the topics that exist, the topics that do not)."""
        found: list[Place] = []
        missing = []
        with self._translated():
            existing = self._consumer.topics()
            for topic in topics:
                numbers = self._consumer.partitions_for_topic(topic) if topic in existing else None
                found += [(topic, number) for number in sorted(numbers or ())]
                if not numbers:
                    missing.append(topic)
        return found, missing

    def ends(self, places: Collection[Place]) -> dict[Place, int]:
        """The offset after the last message of each partition."""
        with self._translated():
            return _by_place(self._consumer.end_offsets(self._known(places))) if places else {}

    def beginnings(self, places: Collection[Place]) -> dict[Place, int]:
        """The offset of the oldest message that each partition still has."""
        with self._translated():
            return _by_place(self._consumer.beginning_offsets(self._known(places))) if places else {}

    def timestamps(self, offsets: Mapping[Place, int]) -> dict[Place, int]:
        """When the first message at or after each offset was appended (Unix ms).

        Compaction may have removed the message itself; the last one of a partition it never removes.
        """
        found: dict[Place, int] = {}
        if not offsets:
            return found
        for records in self._read(offsets, lambda place: place in found):
            for message in records:
                found.setdefault((message.topic, message.partition), message.timestamp_ms)
        return found

    def at_time(self, places: Collection[Place], ms: int) -> dict[Place, int]:
        """The offset of the first message that was appended at or after a moment (Unix ms), for partitions
        that have one."""
        if not places:
            return {}
        with self._translated():
            found = self._consumer.offsets_for_times(dict.fromkeys(self._known(places), ms))
        return {(at.topic, at.partition): one.offset for at, one in found.items() if one is not None}

    def onwards(self, offsets: Mapping[Place, int], count: int) -> list[Found]:
        """The first messages at or after each offset, at most `count` of each partition, in their order."""
        found: dict[Place, list[Found]] = {place: [] for place in offsets}
        ends = self.ends(offsets)
        wanted = {place: offset for place, offset in offsets.items() if offset < ends[place]}

        def done(place: Place) -> bool:
            return len(found[place]) >= count or self._position(place) >= ends[place]

        for records in self._read(wanted, done) if wanted else ():
            for one in records:
                found[one.topic, one.partition].append(one)
        return [one for messages in found.values() for one in messages[:count]]

    def latest(self, place: Place, count: int) -> list[Found]:
        """The last messages of one partition, newest first, at most `count`."""
        found: list[Found] = []
        first, end = self.beginnings([place])[place], self.ends([place])[place]
        window = count
        while end > first and len(found) < count:
            start = max(first, end - window)
            found = (found + self._between(place, start, end, None))[:count]
            # Compaction leaves gaps: what it took away is stepped over in growing steps.
            end, window = start, min(window * 4, _LARGEST_WINDOW)
        return found

    def newest(
        self, place: Place, keys: Collection[bytes], count: int = 1, depth: int | None = None
    ) -> list[Found]:
        """The newest messages of one partition with one of these keys, newest first, at most `count`.

        Reads backwards, in growing steps, since a topic has no index by key; `depth`: how many messages
        back at most. Time is that of reading: about a second for 100 thousand messages.
        """
        found: list[Found] = []
        first, end = self.beginnings([place])[place], self.ends([place])[place]
        if depth is not None:
            first = max(first, end - depth)
        window = _FIRST_WINDOW
        while end > first and len(found) < count:
            start = max(first, end - window)
            found = found[:count] + self._between(place, start, end, keys)
            end, window = start, min(window * 4, _LARGEST_WINDOW)
        return found[:count]

    def last_of(self, keys: Mapping[Place, bytes], depth: int) -> tuple[dict[Place, Found], dict[Place, int]]:
        """The last message with its key among the last `depth` of each partition, all read at once; and for
        partitions without one, before which offset they have others.
        """
        firsts, ends = self.beginnings(keys), self.ends(keys)
        starts = {place: max(firsts[place], ends[place] - depth) for place in keys}
        wanted = {place: start for place, start in starts.items() if start < ends[place]}
        found: dict[Place, Found] = {}
        for one in self._to_the_end(wanted, ends):
            if one.key == keys[one.topic, one.partition]:
                found[one.topic, one.partition] = one
        older = {p: start for p, start in starts.items() if p not in found and start > firsts[p]}
        return found, older

    def whole(self, *topics: str) -> Iterator[Found]:
        """Every message that topics hold now; those of one partition in their order."""
        places, _ = self.places(topics)
        firsts, ends = self.beginnings(places), self.ends(places)
        wanted = {place: firsts[place] for place in places if firsts[place] < ends[place]}
        yield from self._to_the_end(wanted, ends)

    def tails(self, places: Collection[Place], count: int) -> Iterator[Found]:
        """The last messages of each partition: of its last `count` offsets, those that compaction left."""
        firsts, ends = self.beginnings(places), self.ends(places)
        starts = {place: max(firsts[place], ends[place] - count) for place in places}
        wanted = {place: start for place, start in starts.items() if start < ends[place]}
        yield from self._to_the_end(wanted, ends)

    def _to_the_end(self, wanted: Mapping[Place, int], ends: Mapping[Place, int]) -> Iterator[Found]:
        for records in self._read(wanted, lambda place: self._position(place) >= ends[place]):
            yield from (one for one in records if one.offset < ends[one.topic, one.partition])

    def close(self) -> None:
        with contextlib.suppress(KafkaError, OSError):
            self._consumer.close(autocommit=False, timeout_ms=1_000)

    def _known(self, places: Collection[Place]) -> list[TopicPartition]:
        """These partitions, known to the consumer.

        After some minutes kafka-python forgets what it is not assigned to; asked for several partitions, of
        which it knows some, it then asks the broker for those alone, and says nothing of the others.
        """
        for topic in {topic for topic, _ in places}:
            self._consumer.partitions_for_topic(topic)
        return _partitions(places)

    def _between(self, place: Place, start: int, end: int, keys: Collection[bytes] | None) -> list[Found]:
        matching = [
            message
            for records in self._read({place: start}, lambda _: self._position(place) >= end)
            for message in records
            if message.offset < end and (keys is None or message.key in keys)
        ]
        return matching[::-1]

    def _position(self, place: Place) -> int:
        return int(self._consumer.position(TopicPartition(*place)))

    def _read(self, offsets: Mapping[Place, int], done: Any) -> Iterator[list[Found]]:
        """Read on from `offsets` until `done(place)` of every partition."""
        with self._translated():
            self._consumer.assign(_partitions(offsets))
            # A partition that was read to its end before is still paused.
            self._consumer.resume(*_partitions(offsets))
            for place, offset in offsets.items():
                self._consumer.seek(TopicPartition(*place), offset)
            waiting = set(offsets)
            deadline = time.monotonic() + _BLOCK_MS / 1000
            while waiting:
                if time.monotonic() > deadline:
                    raise Retriable(f"Kafka at {self._kafka} sent nothing of {sorted(waiting)}")
                for partition, records in self._consumer.poll(timeout_ms=_POLL_MS).items():
                    yield [_found(partition, record) for record in records]
                    # Whoever reads may take its time.
                    deadline = time.monotonic() + _BLOCK_MS / 1000
                over = {place for place in waiting if done(place)}
                if over:
                    waiting -= over
                    self._consumer.pause(*_partitions(over))

    @contextlib.contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except (AuthorizationError, KafkaConfigurationError) as error:
            raise Fatal(f"Kafka at {self._kafka} refuses: {error}; check the user's rights") from error
        except (KafkaError, OSError) as error:
            trouble = self._kafka.trouble()
            raise Retriable(f"Kafka at {self._kafka} does not answer: {brief(error)}{trouble}") from error


class KeptReaders:
    """Readers that stay open between two uses: to connect takes longer than to look. Thread-safe."""

    def __init__(self, open_reader: Callable[[], LogReader], most: int = 4) -> None:
        """`most`: how many wait open; whoever comes while all are in use gets one more, for the once."""
        self._open_reader = open_reader
        self._most = most
        self._idle: deque[LogReader] = deque()
        self._closed = False

    @contextlib.contextmanager
    def borrowed(self) -> Iterator[LogReader]:
        """A reader for one use at a time; one that failed is not kept. Raises `Retriable` as it does."""
        try:
            reader = self._idle.pop()
        except IndexError:
            reader = self._open_reader()
        kept = False
        try:
            yield reader
            kept = len(self._idle) < self._most and not self._closed
        finally:
            if kept:
                self._idle.append(reader)
            else:
                reader.close()

    def close(self) -> None:
        self._closed = True
        while self._idle:
            self._idle.pop().close()


def _partitions(places: Iterable[Place]) -> list[TopicPartition]:
    return [TopicPartition(*place) for place in places]


def _by_place(offsets: Mapping[Any, int]) -> dict[Place, int]:
    return {(partition.topic, partition.partition): offset for partition, offset in offsets.items()}


def _found(partition: Any, record: Any) -> Found:
    return Found(
        partition.topic, partition.partition, record.offset, record.timestamp, record.key, record.value
    )
