"""From what was settled to messages for Kafka: encoded once, joined many times."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import fastavro

from hub.contracts import notices, topics
from hub.contracts.events import EventSchemas
from hub.contracts.records import Catalogue
from hub.contracts.subjects import projection_subject
from hub.contracts.values import encode_long, encode_string
from hub.contracts.wire import (
    encoded_names,
    encoded_optional_text,
    encoded_record,
    frame,
    write,
)
from hub.core import stamps
from hub.core.answers import Answer
from hub.core.assertions import RecordKey, RecordState, pack
from hub.core.settle import Delivery, Settled
from hub.core.tokens import Ids
from hub.lanes.reading import DeadLetter

Headers = tuple[tuple[str, bytes], ...]

_DELIVERY_INDEX = {
    name: encode_long(index) for index, name in enumerate(("upsert", "retract", "delete", "merged"))
}
_NULL = b"\x00"


class OutMessage(NamedTuple):
    """One message to publish; `value` None is a tombstone."""

    topic: str
    key: bytes
    value: bytes | None
    headers: Headers


class Encoder:
    """Builds the messages of each output topic."""

    def __init__(
        self, catalogue: Catalogue, events: EventSchemas, ids: Ids, schema_ids: Mapping[str, int]
    ) -> None:
        """`schema_ids`: the registry's id of each subject (`hub.contracts.subjects.event_subjects`)."""
        self._records = catalogue.records
        self._ids = ids
        self._schema_ids = schema_ids
        self._plain = {name: fastavro.parse_schema(events.plain(name)) for name in ("notice", "dead_letter")}

    def projection(self, delivery: Delivery) -> OutMessage:
        """A projection for one agency's inbox: its values are joined, not encoded again."""
        agency, content = delivery.agency, delivery.content
        pairwise = self._ids.pairwise(agency)
        name = pairwise.name(delivery.entity)
        record = self._records[delivery.record_type]
        merged = None if content.merged_into is None else pairwise.name(content.merged_into)
        image = b"\x02" + encoded_record(record, content.values) if content.fields else _NULL
        body = b"".join(
            (
                encode_string(name),
                encoded_optional_text(content.local_id),
                encode_long(delivery.version),
                _DELIVERY_INDEX[content.operation],
                encoded_optional_text(merged),
                encoded_names(content.fields),
                encode_long(delivery.stamp),
                encode_long(delivery.seen),
                image,
                encoded_names(content.own),
                _NULL if content.local_id is None else b"\x02" + encode_long(content.life),
            )
        )
        topic = topics.inbox(agency, delivery.record_type)
        kind = f"ma.jisr.{delivery.record_type}.projection"
        value = frame(self._schema_ids[projection_subject(delivery.record_type)], body)
        return OutMessage(topic, name.encode(), value, _headers(kind, f"{name}-{delivery.version}"))

    def tombstone(self, agency: str, record_type: str, entity: bytes) -> OutMessage:
        """What lets compaction forget an entity that the agency has let go (R29)."""
        name = self._ids.pairwise(agency).name(entity)
        return OutMessage(topics.inbox(agency, record_type), name.encode(), None, ())

    def golden(self, settled: Settled) -> OutMessage:
        """The golden record for `hub.<record>.golden`."""
        entity = settled.entity
        record = self._records[entity.record_type]
        names = tuple(settled.golden)
        values = dict(settled.encoded)
        for name, target in settled.references.items():
            # The hub's own topic speaks of entities by the hub's ids.
            values.pop(name, None)
            if target is not None:
                values[name] = encode_string(hub_name(target))
        stamps_ = [encode_long(won.stamp) for won in settled.golden.values()]
        body = b"".join(
            (
                encode_string(hub_name(entity.id)),
                encode_long(entity.version),
                encoded_optional_text(_optional_name(settled.merged_into)),
                b"\x01" if settled.live else b"\x00",
                encoded_names(names),
                encoded_names(tuple(won.key.agency for won in settled.golden.values())),
                encode_long(len(stamps_)) + b"".join(stamps_) + _NULL if stamps_ else _NULL,
                b"\x02" + encoded_record(record, values) if names else _NULL,
            )
        )
        payload = frame(self._schema_ids[f"hub.{record.name}.golden-payload"], body)
        return self._enveloped(topics.golden(record.name), entity.id, payload, "golden", entity.version)

    def assertions(self, state: RecordState) -> OutMessage:
        """All that one local record asserts, for `hub.<record>.assertions` (R31)."""
        packed = pack(state.asserts)
        body = b"".join(
            (
                _encoded_record_name(state),
                encode_long(state.born),
                encode_long(state.seen),
                encode_long(state.ended),
                encoded_optional_text(_optional_name(state.linked)),
                encode_long(len(packed)),
                packed,
            )
        )
        payload = frame(self._schema_ids["hub.assertions-payload"], body)
        topic = topics.assertions(state.key.record_type)
        return self._enveloped(topic, state.id, payload, "assertions", state.seen)

    def link(self, state: RecordState, entity: bytes, version: int) -> OutMessage:
        """One line of the crosswalk, for `hub.links`."""
        body = b"".join(
            (
                _encoded_record_name(state),
                encode_string(hub_name(entity)),
                encode_long(version),
                b"\x01" if state.live else b"\x00",
            )
        )
        payload = frame(self._schema_ids["hub.link-payload"], body)
        return self._enveloped(topics.LINKS, state.id, payload, "link", version)

    def answer(self, answer: Answer, entity: bytes) -> list[OutMessage]:
        """The notices of one answered edit: one per reason, and one for what is now disputed (R19)."""
        by_reason: dict[str, list[str]] = {}
        for name, reason in answer.lost:
            by_reason.setdefault(reason, []).append(name)
        told = [("answered", reason, fields) for reason, fields in by_reason.items()]
        if answer.disputed:
            told.append(("disputed", "disputed", list(answer.disputed)))
        return [
            self.notice(kind, reason, answer.key, fields, answer.stamp, entity, answer.event_id)
            for kind, reason, fields in told
        ]

    def notice(
        self,
        kind: str,
        reason: str,
        key: RecordKey,
        fields: Sequence[str],
        stamp: int,
        entity: bytes | None,
        event_id: str,
        count: int = 1,
    ) -> OutMessage:
        """What an agency's staff should know of one of their records, or of `count` like it."""
        agency = key.agency
        name = None if entity is None else self._ids.pairwise(agency).name(entity)
        event = _notice_id(key, reason, event_id)
        value = {
            "notice_id": event,
            "kind": kind,
            "reason": reason,
            "record_type": key.record_type,
            "local_id": key.local_id or None,
            "entity": name,
            "fields": list(fields),
            "at_ms": stamps.milliseconds(stamp),
            "count": count,
            "message": notices.text(reason, self._records[key.record_type], fields),
        }
        body = write(self._plain["notice"], value)
        return self._framed(topics.notices(agency), name or event, body, "ma.jisr.notice", event)

    def dead_letter(self, dead: DeadLetter) -> OutMessage:
        """A message that could not be used, for the dead letters of its agency."""
        message = dead.message
        agency, _ = topics.split(message.topic)
        value = {
            "topic": message.topic,
            "partition": message.partition,
            "offset": message.offset,
            "code": dead.code,
            "path": dead.path,
            "message": dead.text,
            "at_ms": message.timestamp_ms,
            "key": message.key,
            "value": message.value,
        }
        event = f"{message.topic}-{message.partition}-{message.offset}"
        body = write(self._plain["dead_letter"], value)
        return self._framed(topics.dead_letters(agency), event, body, "ma.jisr.dead_letter", event)

    def _framed(self, topic: str, key: str, body: bytes, kind: str, event: str) -> OutMessage:
        value = frame(self._schema_ids[topics.subject(topic)], body)
        return OutMessage(topic, key.encode(), value, _headers(kind, event))

    def _enveloped(self, topic: str, key: bytes, payload: bytes, kind: str, version: int) -> OutMessage:
        # key_id null, then the payload: switching encryption on changes the payload alone (R7).
        body = _NULL + encode_long(len(payload)) + payload
        name = hub_name(key)
        return self._framed(topic, name, body, f"ma.jisr.hub.{kind}", f"{name}-{version}")


def hub_name(identity: bytes) -> str:
    """A hub id as text (22 characters); never shown to an agency, which has its own names."""
    return base64.urlsafe_b64encode(identity).rstrip(b"=").decode()


def _encoded_record_name(state: RecordState) -> bytes:
    """How the events of the hub's own topics begin that speak of one local record."""
    key = state.key
    texts = (hub_name(state.id), key.agency, key.record_type, key.local_id)
    return b"".join(map(encode_string, texts)) + encode_long(key.incarnation)


def _optional_name(identity: bytes | None) -> str | None:
    return None if identity is None else hub_name(identity)


def hub_id(name: str) -> bytes:
    """The hub id of its text; raises ValueError if it is none."""
    raw = base64.urlsafe_b64decode(name + "==")
    if len(raw) != 16:
        raise ValueError(f"not a hub id: {name!r}")
    return raw


def _notice_id(key: RecordKey, reason: str, event_id: str) -> str:
    # Derived, so that a notice published again after a crash is the same notice.
    text = "\0".join((*map(str, key), reason, event_id))
    return hashlib.blake2b(text.encode(), digest_size=12).hexdigest()


def _headers(kind: str, event: str) -> Headers:
    """CloudEvents 1.0, Kafka binary mode; no identifier of a person in any header (R4)."""
    return (
        ("ce_specversion", b"1.0"),
        ("ce_id", event.encode()),
        ("ce_source", b"/jisr/hub"),
        ("ce_type", kind.encode()),
        ("content-type", b"application/avro"),
    )
