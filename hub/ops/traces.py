"""What the log still shows of an entity: what each agency was sent last, and the notices about it."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

import fastavro

from hub.contracts import topics
from hub.contracts.partitioner import partition_of
from hub.contracts.registry_client import RegistryClient
from hub.contracts.wire import read, unframe
from hub.errors import Retriable, SkipRecord
from hub.ops.log_reader import Found, LogReader

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
        self, agency: str, record_type: str, name: str, depth: int | None = None
    ) -> Sent | Older | None:
        """The newest message to `agency` about the entity that it calls `name`; `depth`: how many messages
        back it is looked for, since that takes as long as reading them."""
        topic = topics.inbox(agency, record_type)
        places, _ = self._log.places([topic])
        if not places:
            return None
        place = (topic, partition_of(name.encode(), len(places)))
        found = self._log.newest(place, {name.encode()}, depth=depth)
        if found:
            return self._sent(found[0])
        before = 0 if depth is None else self._log.ends([place])[place] - depth
        return Older(*place, before) if before > self._log.beginnings([place])[place] else None

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
