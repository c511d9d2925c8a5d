"""What goes by Kafka in the story: notices and dead letters read, messages written as a stock client."""

from __future__ import annotations

from contextlib import closing
from typing import Any

import fastavro
from kafka import KafkaConsumer, KafkaProducer, TopicPartition

from hub.contracts import topics
from hub.contracts.kafka_connection import KafkaConnection
from hub.contracts.registry_client import RegistryClient
from hub.contracts.wire import frame, read, unframe, write
from hub.local.demo.region import Region
from hub.ops.log_reader import LogReader

_SEND_WITHIN_S = 30


class Post:
    """Reads what each agency is told beside its inbox; writes to topics without our connectors."""

    def __init__(self, region: Region) -> None:
        self._registry = RegistryClient(region.registry_url)
        self._bootstrap = region.bootstrap
        self._producer = KafkaProducer(bootstrap_servers=region.bootstrap, acks="all")
        self._schemas = {
            "notices": fastavro.parse_schema(region.events.plain("notice")),
            "dlq": fastavro.parse_schema(region.events.plain("dead_letter")),
        }
        self._consumer = KafkaConsumer(
            bootstrap_servers=region.bootstrap, group_id=None, enable_auto_commit=False
        )
        places = [
            (name(agency), 0)
            for agency in region.agreements
            for name in (topics.notices, topics.dead_letters)
        ]
        # What comes from now on must not be missed, however busy Kafka is just now.
        with closing(LogReader(KafkaConnection(region.bootstrap))) as log:
            ends = log.ends(places)
        self._consumer.assign([TopicPartition(*place) for place in places])
        for place, end in ends.items():
            self._consumer.seek(TopicPartition(*place), end)
        self._came: list[tuple[str, dict[str, Any]]] = []

    def close(self) -> None:
        self._producer.close(timeout=1)
        self._consumer.close(autocommit=False)
        self._registry.close()

    def notices(self, agency: str, reason: str) -> list[dict[str, Any]]:
        """Notices for a reason that came since the story began. Blocks for 20 ms at most."""
        self._read()
        return [
            one for topic, one in self._came if topic == topics.notices(agency) and one["reason"] == reason
        ]

    def dead_letters(self, agency: str) -> list[dict[str, Any]]:
        """Dead letters that came since the story began."""
        self._read()
        return [one for topic, one in self._came if topic == topics.dead_letters(agency)]

    def _read(self) -> None:
        for place, records in self._consumer.poll(timeout_ms=20).items():
            schema = self._schemas[place.topic.rpartition(".")[2]]
            self._came += [(place.topic, read(schema, unframe(one.value)[1])) for one in records]

    def send(self, topic: str, key: str, change: dict[str, Any]) -> None:
        """One change, by the schema that the registry has for the topic. Blocks until it is stored."""
        schema_id, _, schema = self._registry.latest(topics.subject(topic))
        self.send_raw(topic, key, frame(schema_id, write(fastavro.parse_schema(schema), change)))

    def send_raw(self, topic: str, key: str, value: bytes) -> None:
        """Any bytes at all."""
        self._producer.send(topic, key=key.encode(), value=value).get(_SEND_WITHIN_S)
