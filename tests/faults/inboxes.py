"""Every inbox from its beginning, as a reader that obeys one rule: ignore what is not newer (R18)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import fastavro

from faults.kafka_log import Logged
from hub.contracts.events import EventSchemas
from hub.contracts.records import Catalogue
from hub.contracts.topics import split
from hub.contracts.wire import read, unframe

# What decides what a reader holds. `local_id`, `seen` and `stamp` may be better known when a version is
# stated again: they tell how to find the row and which edits to leave alone.
_CONTENT = ("operation", "merged_into", "fields", "record")
# (agency, record type, the agency's name of the entity)
Key = tuple[str, str, str]


@dataclass
class Inboxes:
    """`state`: what such a reader ends with: of each key the newest projection that it was told.

    `problems`: what no reader may meet.
    """

    state: dict[Key, Mapping[str, Any]] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)


def read_inboxes(messages: Iterable[Logged], catalogue: Catalogue, events: EventSchemas) -> Inboxes:
    """Read messages of inbox topics, in the order of their partitions."""
    schemas = {name: fastavro.parse_schema(events.projection(one)) for name, one in catalogue.records.items()}
    inboxes = Inboxes()
    versions: dict[tuple[Key, int], Mapping[str, Any]] = {}
    gone: dict[Key, bool] = {}
    for message in messages:
        agency, record_type = split(message.topic)
        key = agency, record_type, (message.key or b"").decode()
        gone[key] = message.value is None
        if message.value is None:
            continue
        told = read(schemas[record_type], unframe(message.value)[1])
        before = versions.setdefault((key, told["version"]), told)
        inboxes.problems += _unlike(key, before, told)
        if key not in inboxes.state or inboxes.state[key]["version"] < told["version"]:
            inboxes.state[key] = told
    inboxes.problems += _buried_alive(inboxes.state, gone)
    return inboxes


def _unlike(key: Key, before: Mapping[str, Any], told: Mapping[str, Any]) -> Iterator[str]:
    differing = [name for name in _CONTENT if before[name] != told[name]]
    if differing:
        yield f"{_named(key)}: version {told['version']} was told in two ways: {', '.join(differing)}"


def _buried_alive(state: Mapping[Key, Mapping[str, Any]], gone: Mapping[Key, bool]) -> Iterator[str]:
    """A tombstone after what is to be held: compaction would leave nothing of it."""
    for key, told in state.items():
        if gone[key] and told["operation"] == "upsert":
            yield f"{_named(key)}: a tombstone stands after the projection to be held"


def _named(key: Key) -> str:
    return f"{key[0]}.{key[1]}.inbox {key[2]}"
