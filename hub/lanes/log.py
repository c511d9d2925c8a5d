"""The log: how lanes write to Kafka and find where to read on."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Iterable, Sequence
from typing import Any

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError

from hub.contracts.kafka_connection import KafkaConnection, brief
from hub.contracts.partitioner import partition_of
from hub.crash import crash_point
from hub.errors import Retriable
from hub.lanes.messages import OutMessage

# One Kafka batch per partition holds what a transaction says there; larger ones are split.
_MAX_BATCH_BYTES = 512 * 1024


def make_producer(kafka: KafkaConnection, client_id: str) -> AIOKafkaProducer:
    """A producer that waits for all replicas and does not double or reorder on retries."""
    return AIOKafkaProducer(
        **kafka.options(),
        client_id=client_id,
        acks="all",
        enable_idempotence=True,
        max_batch_size=_MAX_BATCH_BYTES,
        max_request_size=4 * 1024 * 1024,
        request_timeout_ms=20_000,
    )


# (partition, offset) of a message that the broker has.
Place = tuple[int, int]


class LogWriter:
    """Publishes batches and waits for their acknowledgement."""

    def __init__(self, producer: AIOKafkaProducer) -> None:
        self._producer = producer

    async def publish(
        self, messages: Iterable[OutMessage], followed: Collection[OutMessage] = ()
    ) -> dict[tuple[str, bytes], Place]:
        """Send all and return when the broker has acknowledged all; order is kept per partition.

        Returns where the (topic, key) of those that are `followed` was last written. Raises `Retriable`
        if any was not acknowledged: publishing all again is harmless.
        """
        by_partition: dict[tuple[str, int], list[OutMessage]] = {}
        counts: dict[str, int] = {}
        try:
            for message in messages:
                count = counts.get(message.topic)
                if count is None:
                    count = len(await self._producer.partitions_for(message.topic))
                    counts[message.topic] = count
                place = (message.topic, partition_of(message.key, count))
                by_partition.setdefault(place, []).append(message)
            sent = [
                (partition, batch, future)
                for (topic, partition), those in by_partition.items()
                for batch, future in await self._send(topic, partition, those)
            ]
            crash_point("publication.sending")
            acknowledged = await asyncio.gather(*(future for _, _, future in sent))
        except KafkaError as error:
            raise Retriable(f"Kafka did not acknowledge a batch: {brief(error)}") from error
        wanted = {(message.topic, message.key) for message in followed}
        return {
            (message.topic, message.key): (partition, where.offset + index)
            for (partition, batch, _), where in zip(sent, acknowledged, strict=True)
            if wanted
            for index, message in enumerate(batch)
            if (message.topic, message.key) in wanted
        }

    async def _send(
        self, topic: str, partition: int, messages: Sequence[OutMessage]
    ) -> list[tuple[Sequence[OutMessage], asyncio.Future[Any]]]:
        """Queue batches of at most the producer's size; returns each with its acknowledgement."""
        sent = []
        start = 0
        while start < len(messages):
            batch = self._producer.create_batch()
            end = start
            while end < len(messages) and self._append(batch, messages[end]):
                end += 1
            if end == start:
                size = len(messages[start].value or b"")
                raise Retriable(f"{topic}: a message of {size} bytes is larger than a batch may be")
            future = await self._producer.send_batch(batch, topic, partition=partition)
            sent.append((messages[start:end], future))
            start = end
        return sent

    @staticmethod
    def _append(batch: Any, message: OutMessage) -> bool:
        added = batch.append(
            key=message.key, value=message.value, timestamp=None, headers=list(message.headers)
        )
        return added is not None
