"""The two loops of a connector: edits to Kafka, deliveries from Kafka. They know only `sdk`."""

from __future__ import annotations

import contextlib
import logging
import time
from collections.abc import Sequence
from typing import Any, Protocol

from connectors.kafka_io import Consumer, Producer
from connectors.messages import Reader, Writer
from connectors.metrics import Metrics
from connectors.sdk import Arrivals, Epoch, Partition, Receipt, Sent, Sink, Source, Unsettled
from hub.contracts.kafka_connection import KafkaConnection
from hub.contracts.topics import split
from hub.crash import crash_point
from hub.errors import Fatal, SkipRecord

log = logging.getLogger(__name__)

# Small batches while edits are few keep them fast, large ones under load keep them many.
SMALLEST_BATCH, LARGEST_BATCH = 200, 2_000
# Between looks at a queue that was empty: the sum over a day must not weigh on the agency's server.
IDLE_S, LONGEST_IDLE_S = 0.02, 0.1
BACKLOG_EVERY_S = 5.0
POLL_RECORDS = 2_000
# How far back to look for what was sent: the last records of a partition, of which one is nearly the newest.
TAIL_RECORDS = 20


class Side(Protocol):
    """One direction of a connector, driven by one thread."""

    name: str

    def open(self) -> None:
        """Connect to everything; raises `Retriable` while something is away."""

    def step(self) -> float:
        """Do one piece of work; return how many seconds to wait before the next."""

    def close(self) -> None:
        """Release everything; may be called at any time between steps."""


class SourceSide:
    """Reads, sends, waits for the acknowledgements, and only then forgets."""

    name = "source"

    def __init__(
        self,
        source: Source,
        topics: Sequence[str],
        reader: Reader,
        writer: Writer,
        kafka: KafkaConnection,
        metrics: Metrics,
    ) -> None:
        """`topics`: everything that the agency may write to."""
        self._source = source
        self._reader = reader
        self._topics = topics
        self._joined = False
        self._writer = writer
        self._kafka = kafka
        self._metrics = metrics
        self._producer: Producer | None = None
        self._limit = SMALLEST_BATCH
        self._idle_s = IDLE_S
        self._backlog_at = 0.0

    def open(self) -> None:
        self._producer = Producer(self._kafka)
        self._source.connect()
        # It may be in another epoch by now.
        self._joined = False
        if self._source.look_back(self._sent()):
            self._metrics.restored.inc()

    def _sent(self) -> list[Sent]:
        """The last changes sent: only the log still knows of them, if the database forgot (R24)."""
        consumer = Consumer(self._kafka)
        sent = []
        try:
            for topic in self._topics:
                _, record_type = split(topic)
                for record in consumer.tail([topic], TAIL_RECORDS):
                    with contextlib.suppress(SkipRecord):
                        sent.append(self._reader.sent(record_type, record.value or b""))
        except Fatal as error:
            log.warning("whether the database was set back cannot be seen: %s", error)
        finally:
            consumer.close()
        return sent

    def step(self) -> float:
        assert self._producer is not None
        self._measure()
        batch = self._source.read(self._limit)
        if batch is None:
            if not self._joined and self._source.complete():
                self._join()
            self._limit = SMALLEST_BATCH
            self._idle_s = min(self._idle_s * 1.5, LONGEST_IDLE_S)
            return self._idle_s
        crash_point("source.read")
        self._producer.send([self._writer.change(change) for change in batch.changes])
        crash_point("source.sent")
        self._source.acknowledge(batch)
        crash_point("source.forgotten")
        self._metrics.sent(batch.changes)
        if len(batch.changes) >= self._limit // 2:
            self._limit = min(self._limit * 2, LARGEST_BATCH)
        self._idle_s = IDLE_S
        return 0.0

    def _join(self) -> None:
        """Tell the hub where the snapshot ends: once it has read so far, it may create records here.

        Told again after every start; only the first time matters.
        """
        assert self._producer is not None
        consumer = Consumer(self._kafka)
        try:
            ends = consumer.ends(self._topics)
        finally:
            consumer.close()
        now_ms = int(time.time() * 1000)
        epoch = self._source.epoch()
        receipts = [self._ended(epoch, *end, now_ms) for end in sorted(ends.items())]
        crash_point("source.joining")
        self._producer.send([self._writer.receipt(receipt) for receipt in receipts])
        self._joined = True

    @staticmethod
    def _ended(epoch: Epoch, place: Partition, offset: int, now_ms: int) -> Receipt:
        # Of what the source does not read, it cannot say that it has said everything.
        whole = split(place[0])[1] in epoch.record_types
        number = epoch.number if whole else 0
        return Receipt(*place, offset, now_ms, epoch=number, set_back_ms=epoch.set_back_ms if whole else 0)

    def _measure(self) -> None:
        if time.monotonic() >= self._backlog_at:
            self._metrics.backlog.set(self._source.backlog())
            self._backlog_at = time.monotonic() + BACKLOG_EVERY_S

    def close(self) -> None:
        self._source.close()
        if self._producer is not None:
            self._producer.close()
            self._producer = None


class SinkSide:
    """Polls, applies, tells the hub how far it came."""

    name = "sink"

    def __init__(
        self,
        sink: Sink,
        topics: Sequence[str],
        reader: Reader,
        writer: Writer,
        kafka: KafkaConnection,
        metrics: Metrics,
    ) -> None:
        self._sink = sink
        self._topics = topics
        self._reader = reader
        self._writer = writer
        self._kafka = kafka
        self._metrics = metrics
        self._producer: Producer | None = None
        self._consumer: Consumer | None = None
        self._waiting_at = 0.0

    def open(self) -> None:
        positions = self._sink.connect()
        self._producer = Producer(self._kafka)
        self._consumer = Consumer(self._kafka)
        self._consumer.assign(self._topics, positions)

    def step(self) -> float:
        assert self._consumer is not None
        arrivals = self._decode(self._consumer.poll(POLL_RECORDS))
        if arrivals.positions:
            crash_point("sink.polled")
        for outcome, count in self._sink.apply(arrivals).items():
            self._metrics.deliveries.labels(outcome).inc(count)
        self._tell()
        self._metrics.applied(arrivals.deliveries)
        self._measure()
        return 0.0

    def _decode(self, records: dict[Partition, list[Any]]) -> Arrivals:
        arrivals = Arrivals()
        for partition, batch in records.items():
            for record in batch:
                # A tombstone only makes room: the retraction before it was the message (R29).
                if record.value is not None:
                    self._decode_one(arrivals, partition, record)
                arrivals.positions[partition] = record.offset + 1
        return arrivals

    def _decode_one(self, arrivals: Arrivals, partition: Partition, record: Any) -> None:
        try:
            delivery = self._reader.delivery(partition, record.value, record.timestamp)
            arrivals.deliveries.append(delivery)
        except SkipRecord as error:
            log.warning("%s[%s]@%s is passed over: %s", *partition, record.offset, error)
            entity = (record.key or b"").decode("utf-8", "replace")
            exception = Unsettled(entity, 0, "refused", error.code)
            arrivals.unreadable.setdefault(partition, []).append(exception)
            self._metrics.deliveries.labels("unreadable").inc()

    def _tell(self) -> None:
        """Send receipts; they are repeated after a crash, which changes nothing for the hub."""
        assert self._producer is not None
        receipts = self._sink.receipts()
        if receipts:
            crash_point("sink.positioned")
            self._producer.send([self._writer.receipt(receipt) for receipt in receipts])
            crash_point("sink.told")
            self._sink.confirm(receipts)
            self._metrics.receipts.inc(len(receipts))

    def _measure(self) -> None:
        if time.monotonic() >= self._waiting_at:
            self._metrics.waiting.clear()
            for code, count in self._sink.waiting().items():
                self._metrics.waiting.labels(code).set(count)
            self._waiting_at = time.monotonic() + BACKLOG_EVERY_S

    def close(self) -> None:
        self._sink.close()
        if self._consumer is not None:
            self._consumer.close()
            self._consumer = None
        if self._producer is not None:
            self._producer.close()
            self._producer = None
