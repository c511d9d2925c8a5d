"""Kafka for connectors: a producer that reports every failure, a consumer whose positions live elsewhere."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from kafka import KafkaConsumer, KafkaProducer, TopicPartition
from kafka.errors import (
    AuthorizationError,
    KafkaConfigurationError,
    KafkaError,
    OffsetOutOfRangeError,
)

from connectors.kafka_records import PartitionRecords, Record, batches
from connectors.messages import Message
from connectors.sdk import Partition
from hub.contracts.kafka_connection import KafkaConnection
from hub.contracts.partitioner import partition_of
from hub.crash import crash_point
from hub.errors import Fatal, Retriable

# How long one call may wait for the broker before the side counts as away.
BLOCK_MS = 10_000
POLL_MS = 200


@contextlib.contextmanager
def translated(kafka: KafkaConnection | None = None) -> Iterator[None]:
    """Kafka's errors as ours: nearly all mean that the broker is away. With `kafka` the reason is looked for.

    A password that is refused is waited for, too: it may be replaced at Kafka first, or here.
    """
    try:
        yield
    except (AuthorizationError, KafkaConfigurationError) as error:
        raise Fatal(f"Kafka refuses: {error}; check the connector's user and its rights") from error
    except (KafkaError, OSError) as error:
        trouble = kafka.trouble() if kafka is not None else ""
        raise Retriable(f"Kafka is away: {type(error).__name__}{trouble}") from error


class Producer:
    """Sends messages and waits for the acknowledgement of all of them."""

    def __init__(self, kafka: KafkaConnection) -> None:
        with translated(kafka):
            self._producer: Any = KafkaProducer(
                **kafka.options(),
                client_id="jisr-connector",
                acks="all",
                enable_idempotence=True,
                # The caller flushes at once: waiting for more would only delay a single edit.
                linger_ms=0,
                max_block_ms=BLOCK_MS,
                bootstrap_timeout_ms=BLOCK_MS,
                request_timeout_ms=BLOCK_MS,
                delivery_timeout_ms=2 * BLOCK_MS,
                allow_auto_create_topics=False,
                metrics_enabled=False,
            )

    def send(self, messages: Iterable[Message]) -> None:
        """Blocks until the broker has all; raises `Retriable`, and then some may have arrived.

        kafka-python's own `send` costs 40 µs a message. Its accumulator, its sender thread and what they
        know of retries are used as they are; they are given whole batches.
        """
        with translated():
            acknowledged = []
            for place, records in self._placed(messages).items():
                for batch, future in batches(TopicPartition(*place), records):
                    self._enqueue(batch)
                    acknowledged.append(future)
            crash_point("connector.sending")
            self._producer.flush(timeout=2 * BLOCK_MS / 1000)
            for future in acknowledged:
                future.get(timeout=BLOCK_MS / 1000)

    def _placed(self, messages: Iterable[Message]) -> dict[Partition, list[tuple[bytes, bytes, bytes]]]:
        """(key, value, headers) by topic and partition."""
        placed: dict[Partition, list[tuple[bytes, bytes, bytes]]] = {}
        counts: dict[str, int] = {}
        for topic, key, value, headers in messages:
            count = counts.get(topic)
            if count is None:
                count = counts[topic] = len(self._producer.partitions_for(topic))
            placed.setdefault((topic, partition_of(key, count)), []).append((key, value, headers))
        return placed

    def _enqueue(self, batch: Any) -> None:
        accumulator = self._producer._accumulator
        place = batch.topic_partition
        with accumulator._tp_lock(place):
            accumulator._batches[place].append(batch)
            accumulator._incomplete.add(batch)

    def close(self) -> None:
        with contextlib.suppress(KafkaError, OSError):
            self._producer.close(timeout=1)


class Consumer:
    """Reads inboxes from given positions; commits nothing to Kafka."""

    def __init__(self, kafka: KafkaConnection) -> None:
        with translated(kafka):
            self._consumer: Any = KafkaConsumer(
                **kafka.options(),
                client_id="jisr-connector",
                group_id=None,
                enable_auto_commit=False,
                auto_offset_reset="none",
                bootstrap_timeout_ms=BLOCK_MS,
                request_timeout_ms=BLOCK_MS + 5_000,
                fetch_max_wait_ms=500,
                allow_auto_create_topics=False,
                metrics_enabled=False,
            )
        self._consumer._fetcher.PartitionRecords = PartitionRecords

    def ends(self, topics: Sequence[str]) -> dict[Partition, int]:
        """The offset after the last message of every partition of `topics`."""
        with translated():
            ends = self._consumer.end_offsets(self._partitions(topics))
        return {(partition.topic, partition.partition): offset for partition, offset in ends.items()}

    def tail(self, topics: Sequence[str], count: int) -> list[Record]:
        """The last `count` records of every partition of `topics`; blocks until they are here.

        Raises `Retriable` while the broker is away, `Fatal` where these topics may not be read.
        """
        found: list[Record] = []
        with translated():
            partitions = self._partitions(topics)
            ends = self._consumer.end_offsets(partitions)
            firsts = self._consumer.beginning_offsets(partitions)
            wanted = [tp for tp in partitions if ends[tp] > firsts[tp]]
            self._consumer.assign(wanted)
            for partition in wanted:
                self._consumer.seek(partition, max(firsts[partition], ends[partition] - count))
            deadline = time.monotonic() + BLOCK_MS / 1000
            while wanted:
                for batch in self._consumer.poll(timeout_ms=POLL_MS).values():
                    found += batch
                wanted = [tp for tp in wanted if self._consumer.position(tp) < ends[tp]]
                if wanted and time.monotonic() > deadline:
                    raise Retriable("Kafka is away: it does not send what was sent to it")
        return found

    def assign(self, topics: Sequence[str], positions: Mapping[Partition, int]) -> None:
        """Read all partitions of `topics`, from their positions or their beginning."""
        with translated():
            partitions = self._partitions(topics)
            self._consumer.assign(partitions)
            for partition in partitions:
                offset = positions.get((partition.topic, partition.partition))
                if offset is None:
                    self._consumer.seek_to_beginning(partition)
                else:
                    self._consumer.seek(partition, offset)

    def position(self, partition: Partition) -> int:
        """The offset of what `poll` gives next."""
        with translated():
            return int(self._consumer.position(TopicPartition(*partition)))

    def _partitions(self, topics: Sequence[str]) -> list[TopicPartition]:
        found = []
        for topic in topics:
            numbers = self._consumer.partitions_for_topic(topic)
            if not numbers:
                raise Retriable(f"topic {topic} does not exist yet; the hub makes it when it starts")
            found += [TopicPartition(topic, number) for number in sorted(numbers)]
        return found

    def poll(self, limit: int) -> dict[Partition, list[Record]]:
        """Records by partition; waits for some, up to `POLL_MS`.

        A position that the broker no longer has (a topic made anew) goes back to the beginning: what was
        applied before is recognised by its version.
        """
        try:
            with translated():
                records = self._consumer.poll(timeout_ms=POLL_MS, max_records=limit)
        except Retriable as error:
            if not isinstance(error.__cause__, OffsetOutOfRangeError):
                raise
            with translated():
                self._consumer.seek_to_beginning(*error.__cause__.args[0])
            return {}
        return {(tp.topic, tp.partition): batch for tp, batch in records.items()}

    def close(self) -> None:
        with contextlib.suppress(KafkaError, OSError):
            self._consumer.close(autocommit=False, timeout_ms=1000)
