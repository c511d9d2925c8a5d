"""Changes and receipts to messages, messages to deliveries: the events' Avro in Confluent's frame."""

from __future__ import annotations

import datetime
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, TypeVar

import fastavro

from connectors.kafka_records import encoded_pairs, header_count
from connectors.sdk import Change, Delivery, Notice, Partition, Receipt, Sent
from hub.contracts import topics, wire
from hub.contracts.control import Condition, Target, Wish
from hub.contracts.events import EventSchemas
from hub.contracts.records import Catalogue
from hub.contracts.registry_client import NotRegistered, SchemaNumbers
from hub.core import stamps
from hub.core.tokens import record_token
from hub.errors import Retriable, SkipRecord

Known = TypeVar("Known")


class Message(NamedTuple):
    """One message to send; `headers` as they stand at the end of a Kafka record."""

    topic: str
    key: bytes
    value: bytes
    headers: bytes


class Writer:
    """Encodes what one agency says; asks the registry once per subject, which may block."""

    def __init__(
        self, agency: str, key: bytes, catalogue: Catalogue, events: EventSchemas, registry: SchemaNumbers
    ) -> None:
        self._agency = agency
        self._key = key
        self._catalogue = catalogue
        self._events = events
        self._registry = registry
        self._schemas: dict[str, tuple[int, Any]] = {}
        self._headers_of: dict[str, bytes] = {}

    def change(self, change: Change) -> Message:
        topic = topics.changes(self._agency, change.record_type)
        record = self._catalogue.records[change.record_type]
        schema_id, schema = self._schema(topic, lambda: self._events.change(record))
        value = {
            "event_id": change.event_id,
            "local_id": change.local_id,
            "incarnation": change.incarnation,
            "operation": change.operation,
            "stamp": change.stamp,
            "asserted": change.asserted,
            "changed": list(change.changed),
            "stale": list(change.stale),
            "removed": change.removed,
            "record": change.values or None,
            "entity": change.entity,
            "actor": change.actor,
            "epoch": change.epoch,
        }
        token = record_token(self._key, change.record_type, change.local_id)
        headers = self._headers(
            f"ma.jisr.{change.record_type}.change", change.event_id, stamps.milliseconds(change.stamp)
        )
        return Message(topic, token.encode(), wire.frame(schema_id, wire.write(schema, value)), headers)

    def receipt(self, receipt: Receipt) -> Message:
        topic = topics.receipts(self._agency)
        schema_id, schema = self._schema(topic, lambda: self._events.plain("receipt"))
        place = f"{receipt.topic}-{receipt.partition}"
        value = {
            "topic": receipt.topic,
            "partition": receipt.partition,
            "offset": receipt.offset,
            "committed_ms": receipt.committed_ms,
            "epoch": receipt.epoch,
            "set_back_ms": receipt.set_back_ms,
            "exceptions": [
                {
                    "entity": e.entity,
                    "version": e.version,
                    "state": e.state,
                    "code": e.code,
                    "column": e.column,
                }
                for e in receipt.exceptions
            ],
        }
        headers = self._headers("ma.jisr.receipt", f"{place}@{receipt.offset}", receipt.committed_ms)
        return Message(topic, place.encode(), wire.frame(schema_id, wire.write(schema, value)), headers)

    def state(self, target: Target, condition: Condition, at_ms: int) -> Message:
        topic = topics.state(self._agency)
        schema_id, schema = self._schema(topic, lambda: self._events.plain("state"))
        body = wire.write(schema, condition.event(target))
        headers = self._headers("ma.jisr.state", f"{target}@{at_ms}", at_ms)
        return Message(topic, target.encode(), wire.frame(schema_id, body), headers)

    def _schema(self, topic: str, schema: Any) -> tuple[int, Any]:
        """(id, parsed schema) of what this release writes to a topic."""
        if topic not in self._schemas:
            declared = schema()
            try:
                schema_id = self._registry.lookup(topics.subject(topic), declared)
            except NotRegistered as error:
                # The hub registers its schemas when it starts, perhaps after us.
                raise Retriable(str(error)) from error
            self._schemas[topic] = schema_id, fastavro.parse_schema(declared)
        return self._schemas[topic]

    def _headers(self, kind: str, event_id: str, at_ms: int) -> bytes:
        """CloudEvents 1.0 attributes, Kafka's binary mode. They hold no identifier of a person (R4)."""
        moment = datetime.datetime.fromtimestamp(at_ms / 1000, datetime.UTC)
        time = moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
        own = encoded_pairs((("ce_id", event_id.encode()), ("ce_time", time.encode())))
        return self._same_headers(kind) + own

    def _same_headers(self, kind: str) -> bytes:
        """The number of headers, and those that are alike in all messages of one kind."""
        if kind not in self._headers_of:
            self._headers_of[kind] = header_count(6) + encoded_pairs(
                (
                    ("ce_specversion", b"1.0"),
                    ("ce_source", f"/agencies/{self._agency}".encode()),
                    ("ce_type", kind.encode()),
                    ("content-type", b"application/avro"),
                )
            )
        return self._headers_of[kind]


class Reader:
    """Decodes projections by whatever schema they were written with."""

    def __init__(self, registry: SchemaNumbers) -> None:
        self._registry = registry
        self._schemas: dict[int, Any] = {}

    def sent(self, record_type: str, value: bytes) -> Sent:
        """A change as the agency itself once wrote it; raises `SkipRecord` for anything else."""
        event = self._event(value)
        try:
            return Sent(event["event_id"], record_type, event["local_id"], event["stamp"], event["operation"])
        except (KeyError, TypeError) as error:
            raise SkipRecord("wrong_schema", f"written as something else than a change: {error}") from error

    def delivery(self, partition: Partition, value: bytes, appended_ms: int) -> Delivery:
        """Raises `SkipRecord` for what is no projection."""
        _, record_type = topics.split(partition[0])
        return _delivery(record_type, self._event(value), partition, appended_ms)

    def notice(self, partition: Partition, offset: int, value: bytes) -> Notice:
        """Raises `SkipRecord` for what is no notice."""
        event = self._event(value)
        try:
            return Notice(
                notice_id=event["notice_id"],
                kind=event["kind"],
                reason=event["reason"],
                record_type=event["record_type"],
                at_ms=event["at_ms"],
                local_id=event["local_id"],
                fields=tuple(event["fields"]),
                # A hub of an earlier release does not count.
                count=event.get("count", 1),
                message=event["message"],
                partition=partition,
                offset=offset,
            )
        except (KeyError, TypeError) as error:
            raise SkipRecord("wrong_schema", f"written as something else than a notice: {error}") from error

    def wish(self, value: bytes) -> tuple[Target, Wish]:
        """Raises `SkipRecord` for what is no wish."""
        return self._as(Wish.read, value, "a wish")

    def condition(self, value: bytes) -> tuple[Target, Condition]:
        """Raises `SkipRecord` for what is no condition."""
        return self._as(Condition.read, value, "a condition")

    def _as(self, read: Callable[[Mapping[str, Any]], Known], value: bytes, what: str) -> Known:
        event = self._event(value)
        try:
            return read(event)
        except (KeyError, TypeError, ValueError) as error:
            raise SkipRecord("wrong_schema", f"written as something else than {what}: {error}") from error

    def _event(self, value: bytes) -> Any:
        schema_id, body = wire.unframe(value)
        schema = self._schemas.get(schema_id)
        if schema is None:
            schema = fastavro.parse_schema(self._registry.schema_by_id(schema_id))
            self._schemas[schema_id] = schema
        return wire.read(schema, body)


def _delivery(record_type: str, event: Mapping[str, Any], partition: Partition, appended_ms: int) -> Delivery:
    try:
        record = event["record"] or {}
        fields = tuple(event["fields"])
        return Delivery(
            record_type=record_type,
            entity=event["entity"],
            version=event["version"],
            operation=event["operation"],
            local_id=event["local_id"],
            merged_into=event["merged_into"],
            fields=fields,
            values={name: record.get(name) for name in fields},
            stamp=event["stamp"],
            seen=event["seen"],
            # A hub of an earlier release does not say.
            own=tuple(event.get("own", ())),
            incarnation=event.get("incarnation"),
            partition=partition,
            appended_ms=appended_ms,
        )
    except (KeyError, TypeError) as error:
        raise SkipRecord("wrong_schema", f"written as something else than a projection: {error}") from error
