"""Topics as anyone with the right to read finds them: every message from the beginning, with its place."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from kafka import KafkaConsumer, TopicPartition

# A topic that gives nothing of what it has for so many polls of a second never will.
_SILENT_POLLS = 60


class Logged(NamedTuple):
    """One message; `appended_ms` is the broker's own clock (LogAppendTime)."""

    topic: str
    partition: int
    offset: int
    appended_ms: int
    key: bytes | None
    value: bytes | None


def read_topics(bootstrap: str, names: Iterable[str]) -> Mapping[str, list[Logged]]:
    """All that these topics hold now, in the order of each partition. Blocks."""
    consumer = KafkaConsumer(bootstrap_servers=bootstrap, group_id=None, enable_auto_commit=False)
    found: dict[str, list[Logged]] = defaultdict(list)
    try:
        places = [TopicPartition(n, part) for n in names for part in consumer.partitions_for_topic(n) or ()]
        ends = consumer.end_offsets(places)
        consumer.assign(places)
        consumer.seek_to_beginning(*places)
        silent = 0
        while any(consumer.position(place) < ends[place] for place in places):
            fetched = consumer.poll(timeout_ms=1_000)
            silent = 0 if fetched else silent + 1
            assert silent < _SILENT_POLLS, "the broker does not give what it holds"
            for records in fetched.values():
                for one in records:
                    found[one.topic].append(
                        Logged(one.topic, one.partition, one.offset, one.timestamp, one.key, one.value)
                    )
    finally:
        consumer.close(autocommit=False)
    return {name: sorted(messages) for name, messages in found.items()}
