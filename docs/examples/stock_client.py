"""One agency's side without our connector: Confluent's own Python client, and nothing of ours.

    pip install "confluent-kafka[avro]"
    export JISR_BOOTSTRAP=… JISR_REGISTRY_URL=… JISR_AGENCY_KEY_FILE=…
    python stock_client.py AGENCY say person 17 insert family_name_fr=Alaoui given_name_fr=Leila
    python stock_client.py AGENCY join person centre
    python stock_client.py AGENCY read person

`Agency` keeps what it knows in memory. A real system keeps `rows`, `versions` and `named` in its own
database, in the same transaction as the rows that they describe. docs/agencies.md explains each step.
"""

from __future__ import annotations

import argparse
import base64
import datetime
import hashlib
import hmac
import json
import os
import sys
import time
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from confluent_kafka import Consumer, KafkaException, Message, Producer, TopicPartition
from confluent_kafka.schema_registry import SchemaRegistryClient
from confluent_kafka.schema_registry.avro import AvroDeserializer, AvroSerializer
from confluent_kafka.schema_registry.error import SchemaRegistryError
from confluent_kafka.serialization import MessageField, SerializationContext

TIMEOUT_S = 30


class Wrong(Exception):
    """Something that whoever calls can mend: the message says what, where and how."""


@dataclass
class Row:
    """What this side knows of one local record.

    `stamp`: the highest that the hub has shown or we have sent; `delivered`: the values that are the hub's;
    `created`: only the hub's word put the row here.
    """

    entity: str | None = None
    stamp: int = 0
    delivered: dict[str, Any] = field(default_factory=dict)
    created: bool = False


class Agency:
    """Says what changed here, and holds what it may know."""

    def __init__(
        self,
        name: str,
        bootstrap: str,
        registry_url: str,
        key: bytes,
        security: Mapping[str, str] | None = None,
    ) -> None:
        self.name, self.key = name, key
        kafka = {"bootstrap.servers": bootstrap, **(security or {})}
        self.rows: dict[tuple[str, str], Row] = {}  # (record type, local id)
        self.versions: dict[tuple[str, str], int] = {}  # (record type, entity)
        # (record type, entity) → the local id by which the hub itself last named it
        self.named: dict[tuple[str, str], str] = {}
        self.registry = registry = SchemaRegistryClient({"url": registry_url})
        # The hub's release registers schemas; an agency only looks them up.
        self.encode = AvroSerializer(
            registry, conf={"auto.register.schemas": False, "use.latest.version": True}
        )
        self.decode = AvroDeserializer(registry)
        self.producer = Producer(
            kafka
            | {
                "acks": "all",
                "enable.idempotence": True,
                # Java's partitioner: librdkafka's own default puts the same key elsewhere (R4).
                "partitioner": "murmur2_random",
            }
        )
        self.consumer = Consumer(
            kafka
            | {
                # Kafka lets an agency use the groups that begin with its name and a dot.
                "group.id": f"{name}.stock-client",
                "enable.auto.commit": False,
                "auto.offset.reset": "earliest",
            }
        )

    # Out: what people here changed

    def say(
        self, record_type: str, local_id: str, operation: str, values: dict[str, Any], **more: Any
    ) -> dict[str, Any]:
        """Tell the hub of an edit; `values` are the fields that it touched. Returns the change as sent.

        A field merged by union lists the elements added; `removed` those taken away, by field.
        """
        row = self.rows.setdefault((record_type, local_id), Row())
        # The echo rule: what the hub delivered, and nobody here has changed, is not ours to assert (R12).
        news = {name: value for name, value in values.items() if row.delivered.get(name, ...) != value}
        # Later than everything that whoever edited had been shown, whatever our clock says (R10).
        row.stamp = max(int(time.time() * 1000) << 16, row.stamp + 1)
        change = {
            "event_id": f"{self.name}:{record_type}:{uuid.uuid4().hex}",
            "local_id": local_id,
            "operation": operation,
            "stamp": row.stamp,
            # What was there before is of unknown age here, and loses to everything dated (R11).
            "asserted": 0 if operation == "snapshot" else None,
            "changed": sorted(news),
            "record": news or None,
            "entity": row.entity,
            **more,
        }
        self._send(f"{self.name}.{record_type}.changes", self._token(record_type, local_id), change)
        for name in news:
            row.delivered.pop(name, None)
        return change

    def _token(self, record_type: str, local_id: str) -> str:
        """A key that is always the same for this record and says nothing to anybody else (R4)."""
        digest = hmac.digest(self.key, f"{record_type}\0{local_id}".encode(), hashlib.sha256)
        return base64.urlsafe_b64encode(digest[:16]).rstrip(b"=").decode()

    def _send(self, topic: str, key: str, value: dict[str, Any]) -> None:
        failures: list[str] = []

        def delivered(error: object, _: Message) -> None:
            if error is not None:
                failures.append(str(error))

        payload = self.encode(value, SerializationContext(topic, MessageField.VALUE))
        self.producer.produce(topic, key=key, value=payload, on_delivery=delivered)
        if self.producer.flush(TIMEOUT_S) or failures:
            raise Wrong(f"{topic}: not acknowledged: {', '.join(failures) or 'no answer'}; say it again")

    def values(self, record_type: str, given: Mapping[str, str]) -> dict[str, Any]:
        """Values from texts, as the registered schema types them; raises `Wrong`."""
        subject = f"{self.name}.{record_type}.changes-value"
        try:
            schema = self.registry.get_latest_version(subject).schema
        except SchemaRegistryError as error:
            if error.http_status_code != 404:
                raise
            raise Wrong(
                f"{self.name} has no records of type {record_type!r} to say: see its agreement"
            ) from None
        change = {one["name"]: one for one in json.loads(schema.schema_str)["fields"]}
        types = {one["name"]: present(one["type"]) for one in present(change["record"]["type"])["fields"]}
        for name in given:
            if name not in types:
                raise Wrong(f"{record_type} has no field {name!r}; there are {', '.join(types)}")
        return {name: parsed(name, types[name], text) for name, text in given.items()}

    # In: what this agency may know

    def read(self, record_types: list[str], idle_s: float = 5) -> list[dict[str, Any]]:
        """Read the inboxes until nothing came for `idle_s`; returns the projections applied, in order."""
        self.consumer.subscribe([f"{self.name}.{record_type}.inbox" for record_type in record_types])
        applied = []
        until = time.monotonic() + TIMEOUT_S
        while time.monotonic() < until:
            message = self.consumer.poll(0.5)
            if message is None:
                continue
            if message.error():
                raise Wrong(message.error().str())
            until = time.monotonic() + idle_s
            # A message without value is a tombstone: it only makes room (R29).
            if message.value() is not None:
                context = SerializationContext(message.topic(), MessageField.VALUE)
                projection = self.decode(message.value(), context)
                if self.apply(message.topic().split(".")[1], projection):
                    applied.append(projection)
            self._acknowledge(message)
        return applied

    def apply(self, record_type: str, projection: dict[str, Any]) -> bool:
        """Hold what the projection lists, and nothing else of the hub's; False if it is an old one."""
        entity, record = projection["entity"], projection["record"] or {}
        known = (record_type, entity)
        if projection["version"] <= self.versions.get(known, -1) or self._is_overtaken(known, projection):
            return False  # Readers ignore what is not newer: messages come twice, and late (R18).
        self.versions[known] = projection["version"]
        local_id = self._row_of(known, projection)
        if projection["operation"] == "upsert":
            place = (record_type, local_id or uuid.uuid4().hex)
            row = self.rows.setdefault(place, Row(created=local_id is None))
            row.entity, row.stamp = entity, max(row.stamp, projection["stamp"])
            # The whole of what we may hold from the hub: what is no longer listed goes (R17).
            row.delivered = {name: record.get(name) for name in projection["fields"]}
            if local_id is None:
                self.say(*place, "link", {})
        elif local_id and (record_type, local_id) in self.rows:
            self._end(record_type, local_id, projection)
        return True

    def _end(self, record_type: str, local_id: str, projection: dict[str, Any]) -> None:
        row = self.rows[record_type, local_id]
        if projection["operation"] == "merged":
            row.entity = projection["merged_into"]  # Re-point; delete nothing (R21).
            return
        row.delivered = {}
        if row.created:
            # Removed because the hub said so: nobody here deleted it, so it may come back.
            self.say(record_type, local_id, "unlink", {})
            del self.rows[record_type, local_id]

    def _is_overtaken(self, known: tuple[str, str], projection: dict[str, Any]) -> bool:
        """Whether the row that it names has become another entity's since, by that one's higher version: two
        partitions have no order, so a merge may come before what was said earlier."""
        record_type, local_id = known[0], projection["local_id"]
        row = self.rows.get((record_type, local_id))
        if row is None or row.entity in (None, known[1]):
            return False
        holder = (record_type, row.entity)
        return self.named.get(holder) == local_id and self.versions[holder] > projection["version"]

    def _row_of(self, known: tuple[str, str], projection: dict[str, Any]) -> str | None:
        """The row that the hub names, else the one that we made: unless it had named one, and names it no
        longer. That one stands for somebody else now, and the entity gets a new one (R21)."""
        local_id: str | None = projection["local_id"]
        if local_id is not None:
            self.named[known] = local_id
        elif projection["operation"] != "upsert" or known not in self.named:
            local_id = self._local_id(*known)
        else:
            former = self.rows.get((known[0], self.named.pop(known)))
            if former is not None and former.entity == known[1]:
                former.entity = None
        return local_id

    def _local_id(self, record_type: str, entity: str) -> str | None:
        known = (key for key, row in self.rows.items() if key[0] == record_type and row.entity == entity)
        return next(known, ("", None))[1]

    def _acknowledge(self, message: Message) -> None:
        """Tell the hub how far we are: everything before this offset is applied and safe (R29)."""
        topic, partition = message.topic(), message.partition()
        self._receipt(topic, partition, message.offset() + 1)
        self.consumer.commit(message=message, asynchronous=False)

    def _receipt(self, topic: str, partition: int, offset: int) -> None:
        receipt = {
            "topic": topic,
            "partition": partition,
            "offset": offset,
            "committed_ms": int(time.time() * 1000),
            "exceptions": [],
        }
        self._send(f"{self.name}.receipts", f"{topic}-{partition}", receipt)

    # Joining

    def join(self, record_types: list[str]) -> None:
        """All that we had before is said: from here on the hub may create records at our side."""
        for record_type in record_types:
            topic = f"{self.name}.{record_type}.changes"
            found = self.consumer.list_topics(topic, TIMEOUT_S).topics[topic]
            if found.error is not None:
                raise Wrong(f"{topic}: {found.error.str()}; does the agreement name {record_type!r}?")
            for partition in found.partitions:
                place = TopicPartition(topic, partition)
                _, end = self.consumer.get_watermark_offsets(place, TIMEOUT_S)
                self._receipt(topic, partition, end)

    def close(self) -> None:
        self.consumer.close()
        self.producer.flush(TIMEOUT_S)


def tls_and_user(environ: Mapping[str, str]) -> dict[str, str]:
    """librdkafka's settings for TLS and a user, from the variables that our connectors read."""
    if environ.get("JISR_KAFKA_PROTOCOL") != "SASL_SSL":
        return {}
    return {
        "security.protocol": "SASL_SSL",
        "ssl.ca.location": environ["JISR_KAFKA_CA_FILE"],
        "sasl.mechanisms": "SCRAM-SHA-512",
        "sasl.username": environ["JISR_KAFKA_USER"],
        "sasl.password": Path(environ["JISR_KAFKA_PASSWORD_FILE"]).read_text(encoding="utf-8").strip(),
    }


def present(union: Any) -> Any:
    """Of a union with null, the other type."""
    return next(one for one in union if one != "null") if isinstance(union, list) else union


def parsed(name: str, avro: Any, text: str) -> Any:
    """A field's value from a text, where a comma parts a list and nothing is "known to be empty".

    Raises `Wrong`.
    """
    if not text:
        return None
    kind = avro if isinstance(avro, str) else avro.get("logicalType", avro["type"])
    try:
        if kind == "date":
            return datetime.date.fromisoformat(text)
        if kind in ("int", "long"):
            return int(text)
        if kind in ("float", "double"):
            return float(text)
        if kind == "boolean":
            return {"true": True, "false": False}[text]
    except (KeyError, ValueError):
        form = {"date": "a day like 1990-05-01", "boolean": "true or false"}.get(kind, "a number")
        raise Wrong(f"{name}: {text!r} is not {form}") from None
    return text.split(",") if kind == "array" else text


def pair(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals:
        raise argparse.ArgumentTypeError(f"{text!r} is not of the form field=text")
    return name, value


def main(arguments: list[str]) -> None:
    parser = argparse.ArgumentParser(description="Speak with the hub as one agency.")
    parser.add_argument("agency")
    commands = parser.add_subparsers(dest="command", required=True)
    say = commands.add_parser("say", help="tell of an edit")
    say.add_argument("record_type")
    say.add_argument("local_id")
    say.add_argument("operation", choices=("insert", "update", "delete", "snapshot"))
    say.add_argument("values", nargs="*", metavar="field=text", type=pair)
    commands.add_parser("join", help="the snapshot is complete").add_argument("record_type", nargs="+")
    commands.add_parser("read", help="read the inboxes").add_argument("record_type", nargs="+")
    asked = parser.parse_args(arguments)

    try:
        run(asked)
    except (Wrong, OSError, KafkaException, SchemaRegistryError) as error:
        sys.exit(f"stock_client: {error}")


def run(asked: argparse.Namespace) -> None:
    """Do what was asked."""
    try:
        key = Path(os.environ["JISR_AGENCY_KEY_FILE"]).read_bytes()
        bootstrap, registry = os.environ["JISR_BOOTSTRAP"], os.environ["JISR_REGISTRY_URL"]
        security = tls_and_user(os.environ)
    except KeyError as error:
        raise Wrong(f"the variable {error.args[0]} is not set") from None
    agency = Agency(asked.agency, bootstrap, registry, key, security)
    try:
        if asked.command == "say":
            values = agency.values(asked.record_type, dict(asked.values))
            print(agency.say(asked.record_type, asked.local_id, asked.operation, values))
        elif asked.command == "join":
            agency.join(asked.record_type)
        else:
            for projection in agency.read(asked.record_type):
                print(projection)
    finally:
        agency.close()


if __name__ == "__main__":
    main(sys.argv[1:])
