"""The side of a connector that reads what an operator of the hub wants, and tells how the others are."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Collection

from connectors.kafka_io import BLOCK_MS, Consumer, Producer
from connectors.messages import Reader, Writer
from connectors.sdk import Partition
from connectors.steering import Steering
from hub.contracts import topics
from hub.contracts.control import Condition, Target
from hub.contracts.kafka_connection import KafkaConnection
from hub.errors import Retriable, SkipRecord

log = logging.getLogger(__name__)

_POLL_RECORDS = 500
# What does not change is told again so often: whoever falls silent is away.
TELL_EVERY_S = 60.0


class ControlSide:
    """Reads the wishes from the beginning at each start: the topics are compacted, and small."""

    name = "control"

    def __init__(
        self,
        agency: str,
        steering: Steering,
        names: Collection[str],
        reader: Reader,
        writer: Writer,
        kafka: KafkaConnection,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """`names`: the sides of the runner that follow."""
        self._control, self._state = topics.control(agency), topics.state(agency)
        self._steering = steering
        self._names = names
        self._reader = reader
        self._writer = writer
        self._kafka = kafka
        self._clock = clock
        self._consumer: Consumer | None = None
        self._producer: Producer | None = None
        self._told: dict[Target, Condition] = {}
        self._told_at = 0.0

    def open(self) -> None:
        self._producer = Producer(self._kafka)
        self._consumer = Consumer(self._kafka)
        wanted = self._consumer.ends([self._control, self._state])
        self._consumer.assign([self._control, self._state], {})
        came_at = time.monotonic()
        while any(self._consumer.position(place) < end for place, end in wanted.items()):
            if self._read():
                came_at = time.monotonic()
            elif time.monotonic() > came_at + BLOCK_MS / 1000:
                raise Retriable(f"Kafka is away: it does not send what {self._control} holds")
        self._steering.all_read()

    def step(self) -> float:
        self._read()
        self._tell()
        return 0.0

    def _read(self) -> bool:
        """Whether anything came."""
        assert self._consumer is not None
        found = self._consumer.poll(_POLL_RECORDS)
        for (topic, partition), records in found.items():
            for record in records:
                try:
                    self._note((topic, partition), record.value or b"")
                except SkipRecord as error:
                    log.warning("%s[%s]@%s is passed over: %s", topic, partition, record.offset, error)
        return bool(found)

    def _note(self, place: Partition, value: bytes) -> None:
        if place[0] == self._control:
            self._steering.note(*self._reader.wish(value))
        else:
            self._steering.note_told(*self._reader.condition(value))

    def _tell(self) -> None:
        """Tell what is new at once, and everything now and then."""
        assert self._producer is not None
        found = self._steering.conditions(self._names)
        again = time.monotonic() >= self._told_at + TELL_EVERY_S
        news = {target: one for target, one in found.items() if again or self._told.get(target) != one}
        if again:
            self._told_at = time.monotonic()
        if news:
            at_ms = int(self._clock() * 1000)
            self._producer.send([self._writer.state(target, one, at_ms) for target, one in news.items()])
        self._told = found

    def close(self) -> None:
        if self._consumer is not None:
            self._consumer.close()
            self._consumer = None
        if self._producer is not None:
            self._producer.close()
            self._producer = None
