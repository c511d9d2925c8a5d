"""Read the hub's kept topics whole, as any auditor with the right to read could (R31)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

import fastavro
from kafka import KafkaConsumer, TopicPartition

from hub.contracts import topics
from hub.contracts.events import EventSchemas
from hub.contracts.records import Catalogue
from hub.contracts.wire import read, unframe
from hub.core.assertions import RecordKey, RecordState, unpack
from hub.errors import Retriable

# A topic that does not give what it has within this many seconds will not.
_SILENT_AFTER_POLLS = 30
_POLL_MS = 1_000


@dataclass
class Kept:
    """What the kept topics say.

    `states`: record → what it asserts. `entity_of`: record → the entity that it stands for. `golden`:
    record type → entity → its last golden record, as the event. All ids are the hub's, as text.
    """

    states: dict[str, RecordState] = field(default_factory=dict)
    entity_of: dict[str, str] = field(default_factory=dict)
    golden: dict[str, dict[str, dict[str, Any]]] = field(default_factory=dict)


def read_kept(bootstrap: str, catalogue: Catalogue, events: EventSchemas) -> Kept:
    """Everything in `hub.<record>.assertions`, `hub.links` and `hub.<record>.golden`. Blocks."""
    # One for all topics: there are dozens, and to connect takes longer than to read most of them.
    consumer = KafkaConsumer(bootstrap_servers=bootstrap, group_id=None, enable_auto_commit=False)
    try:
        return _read_kept(consumer, catalogue, events)
    finally:
        consumer.close(autocommit=False)


def _read_kept(consumer: KafkaConsumer, catalogue: Catalogue, events: EventSchemas) -> Kept:
    kept = Kept()
    envelope = fastavro.parse_schema(events.plain("envelope"))

    def values(topic: str, schema: dict[str, Any], version: Callable[[Any], int]) -> dict[str, Any]:
        return _latest(_payloads(consumer, topic, envelope, fastavro.parse_schema(schema)), version)

    for name, record in catalogue.records.items():
        assertions = values(topics.assertions(name), events.plain("assertions"), lambda one: one["seen"])
        kept.states |= {key: _state(key, value) for key, value in assertions.items()}
        kept.golden[name] = values(topics.golden(name), events.golden(record), lambda one: one["version"])
    links = values(topics.LINKS, events.plain("link"), lambda one: one["version"])
    kept.entity_of = {key: value["entity"] for key, value in links.items()}
    return kept


def _payloads(consumer: KafkaConsumer, topic: str, envelope: Any, schema: Any) -> Iterator[tuple[str, Any]]:
    for key, value in messages(consumer, topic):
        if value is not None:
            payload = read(envelope, unframe(value)[1])["payload"]
            yield key, read(schema, unframe(payload)[1])


def messages(consumer: KafkaConsumer, topic: str) -> Iterator[tuple[str, bytes | None]]:
    """(key, value) of every message that a topic holds now, partition by partition."""
    partitions = [TopicPartition(topic, n) for n in sorted(consumer.partitions_for_topic(topic) or ())]
    ends = consumer.end_offsets(partitions)
    consumer.assign(partitions)
    consumer.seek_to_beginning(*partitions)
    silent = 0
    while any(consumer.position(partition) < ends[partition] for partition in partitions):
        fetched = consumer.poll(timeout_ms=_POLL_MS)
        silent = 0 if fetched else silent + 1
        if silent > _SILENT_AFTER_POLLS:
            raise Retriable(f"{topic} does not give what it holds: is the broker overloaded?")
        for records in fetched.values():
            for record in records:
                yield (record.key or b"").decode(), record.value


def _latest(messages: Iterable[tuple[str, Any]], version: Callable[[Any], int]) -> dict[str, Any]:
    """Of each key the message with the greatest version, of equals the later one."""
    latest: dict[str, Any] = {}
    for key, value in messages:
        if key not in latest or version(value) >= version(latest[key]):
            latest[key] = value
    return latest


def _state(key: str, value: dict[str, Any]) -> RecordState:
    linked = value["linked"]
    return RecordState(
        id=key.encode(),
        key=RecordKey(value["agency"], value["record_type"], value["local_id"], value["incarnation"]),
        born=value["born"],
        seen=value["seen"],
        ended=value["ended"],
        linked=linked.encode() if linked else None,
        asserts=unpack(value["state"]),
    )
