"""What the log still shows of an entity: what each agency was sent last, and the notices about it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

import fastavro

from hub.contracts import topics
from hub.contracts.partitioner import partition_of
from hub.contracts.registry_client import RegistryClient
from hub.contracts.wire import read, unframe
from hub.errors import Retriable, SkipRecord
from hub.ops.log_reader import Found, LogReader, Place

# How far back notices are looked for: they are one topic per agency, without an index.
NOTICE_DEPTH = 100_000


@dataclass(frozen=True)
class Sent:
    """The last message of an agency's inbox about an entity; `operation` tombstone: it may be forgotten.

    `problem`: why its content cannot be read, if it cannot.
    """

    topic: str
    partition: int
    offset: int
    at_ms: int
    operation: str
    version: int | None = None
    fields: tuple[str, ...] = ()
    problem: str = ""


@dataclass(frozen=True)
class Older:
    """Nothing among the messages that were looked at; a partition has others, all before offset `before`."""

    topic: str
    partition: int
    before: int


@dataclass(frozen=True)
class NoticeSeen:
    """One notice of an agency about an entity; it holds no values."""

    agency: str
    kind: str
    reason: str
    local_id: str | None
    fields: tuple[str, ...]
    at_ms: int
    text: str


class Traces:
    """Reads messages of Kafka by the registry's schemas. Blocks."""

    def __init__(self, log: LogReader, registry: RegistryClient) -> None:
        self._log = log
        self._registry = registry
        self._schemas: dict[int, Any] = {}

    def last_sent(
        self, names: Mapping[str, str], record_type: str, depth: int | None = None
    ) -> dict[str, Sent | Older]:
        """The newest message to each agency about the entity that it calls by its name here, if there is one.

        `depth`: how many messages back it is looked for, since that takes as long as reading them.
        """
        inboxes = {agency: topics.inbox(agency, record_type) for agency in names}
        places, _ = self._log.places(inboxes.values())
        partitions = Counter(topic for topic, _ in places)
        keys = {
            (topic, partition_of(names[agency].encode(), partitions[topic])): names[agency].encode()
            for agency, topic in inboxes.items()
            if partitions[topic]
        }
        older: dict[Place, int] = {}
        if depth is None:
            newest = [one for place, key in keys.items() for one in self._log.newest(place, {key})]
            last = {(one.topic, one.partition): one for one in newest}
        else:
            last, older = self._log.last_of(keys, depth)
        found: dict[str, Sent | Older] = {
            topics.split(one.topic)[0]: self._sent(one) for one in last.values()
        }
        return found | {topics.split(place[0])[0]: Older(*place, before) for place, before in older.items()}

    def notices(self, agency: str, names: Collection[str], count: int) -> list[NoticeSeen]:
        """The newest notices to `agency` about entities that it calls by one of `names`."""
        keys = {name.encode() for name in names}
        places, _ = self._log.places([topics.notices(agency)])
        found = [one for place in places for one in self._log.newest(place, keys, count, NOTICE_DEPTH)]
        found.sort(key=lambda one: one.timestamp_ms, reverse=True)
        seen = []
        for one in found[:count]:
            value = self._value(one)
            seen.append(
                NoticeSeen(
                    agency,
                    value["kind"],
                    value["reason"],
                    value["local_id"],
                    tuple(value["fields"]),
                    value["at_ms"],
                    value["message"].get("en", ""),
                )
            )
        return seen

    def _sent(self, found: Found) -> Sent:
        where = (found.topic, found.partition, found.offset, found.timestamp_ms)
        if found.value is None:
            return Sent(*where, "tombstone")
        try:
            value = self._value(found)
        except (Retriable, SkipRecord) as error:
            return Sent(*where, "unreadable", problem=str(error))
        return Sent(*where, value["operation"], value["version"], tuple(value["fields"]))

    def _value(self, found: Found) -> Any:
        schema_id, body = unframe(found.value)
        if schema_id not in self._schemas:
            self._schemas[schema_id] = fastavro.parse_schema(self._registry.schema_by_id(schema_id))
        return read(self._schemas[schema_id], body)
