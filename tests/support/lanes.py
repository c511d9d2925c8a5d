"""Lanes without Kafka or a store, for tests of how they read."""

from __future__ import annotations

from typing import Any, TypeVar

from hub.contracts.kafka_connection import KafkaConnection
from hub.lanes.lane import Lane
from hub.lanes.turns import Turns

T = TypeVar("T", bound=Lane)


def lane_reading(consumer: Any, kind: type[T], topic: str) -> T:
    """A lane that reads a topic by a test's own consumer; to be made on an event loop."""
    options: dict[str, Any] = {"kafka": KafkaConnection("127.0.0.1:9"), "group": "jisr", "worker": "hub-0"}
    lane = kind(**options, topics=[topic], store=None, topic_ids=dict)
    lane._consumer, lane._turns = consumer, Turns(consumer, 10)
    return lane
