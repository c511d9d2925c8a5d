"""What a message on a topic says, as the store would remember having said it (R26). Blocks for schemas."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import fastavro

from hub.contracts.events import EventSchemas
from hub.contracts.records import Catalogue, RecordType
from hub.contracts.registry_client import RegistryClient
from hub.contracts.values import encode
from hub.contracts.wire import encoded_strings, read, unframe
from hub.core.projection import DELETE, UPSERT, Content
from hub.core.tokens import Ids
from hub.lanes.messages import hub_id


class Said(NamedTuple):
    """What one message says; the store has one of `digests`. `upsert`: it tells somebody to hold it."""

    version: int
    digests: frozenset[bytes]
    upsert: bool = True


class Interpreter:
    """Reads messages of inboxes and of the hub's own topics."""

    def __init__(
        self, catalogue: Catalogue, events: EventSchemas, ids: Ids, registry: RegistryClient
    ) -> None:
        self._catalogue = catalogue
        self._envelope = fastavro.parse_schema(events.plain("envelope"))
        self._ids = ids
        self._registry = registry
        self._schemas: dict[int, Any] = {}

    def projection(self, agency: str, record_type: str, value: bytes) -> Said:
        event = self.event(value)
        merged = event["merged_into"]
        content = Content(
            event["operation"],
            event["local_id"],
            None if merged is None else self._ids.pairwise(agency).hub_id(merged),
            tuple(event["fields"]),
            _encoded(self._catalogue.records[record_type], event["fields"], event["record"] or {}),
        )
        # Whether the row that it names was known to the agency's side does not show.
        digests = frozenset({content.digest(), content._replace(known=True).digest()})
        return Said(event["version"], digests, content.operation == UPSERT)

    def golden(self, record_type: str, value: bytes) -> Said:
        event = self.payload(value)
        record = self._catalogue.records[record_type]
        merged = event["merged_into"]
        values = _encoded(record, event["fields"], event["record"] or {})
        named = [spec.name for spec in record.references if spec.name in event["fields"]]
        for name in named:
            target = (event["record"] or {}).get(name)
            if target is not None:
                values[name] = hub_id(target)
        operation = UPSERT if event["live"] else DELETE
        moved = None if merged is None else hub_id(merged)
        digests = (
            Content(operation, None, moved, tuple(event["fields"]), {**values, **unknown}).digest()
            for unknown in _unknown(name for name in named if name not in values)
        )
        return Said(event["version"], frozenset(digests))

    def assertions(self, value: bytes) -> Said:
        event = self.payload(value)
        return Said(event["seen"], frozenset({event["state"]}))

    def link(self, value: bytes) -> Said:
        event = self.payload(value)
        return Said(event["version"], frozenset({hub_id(event["entity"])}))

    def payload(self, value: bytes) -> Any:
        """The event within the envelope of one of the hub's own topics."""
        return self.event(read(self._envelope, unframe(value)[1])["payload"])

    def event(self, value: bytes) -> Any:
        """A framed event, read by the schema that its frame names."""
        schema_id, body = unframe(value)
        if schema_id not in self._schemas:
            self._schemas[schema_id] = fastavro.parse_schema(self._registry.schema_by_id(schema_id))
        return read(self._schemas[schema_id], body)


def _encoded(record: RecordType, fields: Sequence[str], image: Mapping[str, Any]) -> dict[str, bytes]:
    """The values as they are encoded: those of fields that are known to be empty are not among them."""
    values: dict[str, bytes] = {}
    for name in fields:
        spec, value = record.by_name[name], image.get(name)
        if value is None:
            continue
        if spec.kind == "strings":
            values[name] = encoded_strings([raw for one in value if (raw := encode(spec, one)) is not None])
        elif (raw := encode(spec, value)) is not None:
            values[name] = raw
    return values


def _unknown(names: Iterable[str]) -> list[dict[str, bytes]]:
    """A reference without a value leads nowhere yet, or is known to be empty: the message does not tell."""
    listed = list(names)
    chosen = (itertools.combinations(listed, count) for count in range(len(listed) + 1))
    return [dict.fromkeys(some, b"") for some in itertools.chain.from_iterable(chosen)]
