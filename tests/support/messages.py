"""Messages of a changes topic, as an agency's own Avro library writes them."""

from __future__ import annotations

import io
from collections.abc import Mapping
from functools import cache
from typing import Any

import fastavro

from hub.contracts.wire import frame
from hub.errors import SkipRecord
from hub.lanes.reading import Message, Reading
from support.changes import minute
from support.contracts import CATALOGUE, EVENTS, IDS, TERMS

# Any number will do as the registry's id, as long as it is the same on both sides.
SCHEMA_IDS = {name: number for number, name in enumerate(CATALOGUE.records, start=1)}
APPENDED_MS = minute(1) >> 16


@cache
def schema(record_type: str) -> Any:
    """The parsed schema of a record type's changes."""
    return fastavro.parse_schema(EVENTS.change(CATALOGUE.records[record_type]))


def schema_of(schema_id: int) -> Any:
    """What a registry answers that knows the schemas of these tests."""
    for name, number in SCHEMA_IDS.items():
        if number == schema_id:
            return EVENTS.change(CATALOGUE.records[name])
    raise SkipRecord("unknown_schema_id", f"schema id {schema_id} is not in the registry")


def body(record_type: str = "person", **fields: Any) -> bytes:
    """The Avro body of an update; a field of the event that is not given has a value that is fine.

    `record`: the record's image as Python values; by default all its fields are in the mask.
    """
    record: Mapping[str, Any] | None = fields.get("record")
    event = {
        "event_id": "e1",
        "local_id": "1",
        "operation": "update",
        "stamp": minute(1),
        "changed": list(record or ()),
        **fields,
    }
    stream = io.BytesIO()
    fastavro.schemaless_writer(stream, schema(record_type), event)
    return stream.getvalue()


def message(
    value: bytes | None = None,
    *,
    topic: str = "entraide.person.changes",
    key: bytes | None = b"token",
    offset: int = 0,
    partition: int = 0,
    timestamp_ms: int = APPENDED_MS,
    **fields: Any,
) -> Message:
    """A message with this value, or with a well-formed one of these fields."""
    record_type = topic.split(".")[1]
    framed = frame(SCHEMA_IDS[record_type], body(record_type, **fields)) if value is None else value
    return Message(topic, partition, offset, timestamp_ms, key, framed)


def reading() -> Reading:
    return Reading(CATALOGUE, EVENTS, TERMS, IDS, schema_of)
