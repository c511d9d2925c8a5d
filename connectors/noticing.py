"""The side of a connector that tells the agency's staff: notices from Kafka onto their board."""

from __future__ import annotations

import logging
from collections import Counter

from connectors.kafka_io import Consumer
from connectors.messages import Reader
from connectors.metrics import Metrics
from connectors.sdk import Notice, NoticeBoard
from hub.contracts.kafka_connection import KafkaConnection
from hub.errors import SkipRecord

log = logging.getLogger(__name__)

POLL_RECORDS = 500
# Staff read notices in minutes; deliveries come first.
REST_S = 0.5


class NoticeSide:
    """Polls, decodes, posts. What was posted is known by the board, so nothing is committed to Kafka."""

    name = "notices"

    def __init__(
        self, board: NoticeBoard, topic: str, reader: Reader, kafka: KafkaConnection, metrics: Metrics
    ) -> None:
        self._board = board
        self._topic = topic
        self._reader = reader
        self._kafka = kafka
        self._metrics = metrics
        self._consumer: Consumer | None = None

    def open(self) -> None:
        positions = self._board.connect()
        self._consumer = Consumer(self._kafka)
        self._consumer.assign([self._topic], positions)

    def step(self) -> float:
        assert self._consumer is not None
        notices: list[Notice] = []
        for partition, batch in self._consumer.poll(POLL_RECORDS).items():
            for record in batch:
                try:
                    notices.append(self._reader.notice(partition, record.offset, record.value or b""))
                except SkipRecord as error:
                    log.warning("%s[%s]@%s is passed over: %s", *partition, record.offset, error)
        if not notices:
            return REST_S
        self._board.post(notices)
        for kind, count in Counter(notice.kind for notice in notices).items():
            self._metrics.notices.labels(kind).inc(count)
        return 0.0

    def close(self) -> None:
        self._board.close()
        if self._consumer is not None:
            self._consumer.close()
            self._consumer = None
