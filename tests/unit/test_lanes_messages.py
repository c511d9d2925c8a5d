"""What the hub's own topics say of a local record, as their readers see it: by the schema, with fastavro."""

from __future__ import annotations

import io
from typing import Any

import fastavro
from support.contracts import CATALOGUE, EVENTS, IDS

from hub.contracts.subjects import event_subjects
from hub.contracts.wire import unframe
from hub.core.assertions import Assertions, RecordKey, RecordState, pack
from hub.lanes.messages import Encoder, OutMessage, hub_name

SCHEMA_IDS = {subject: number for number, subject in enumerate(event_subjects(CATALOGUE, EVENTS, {}), 1)}
ENCODER = Encoder(CATALOGUE, EVENTS, IDS, SCHEMA_IDS)
KEY = RecordKey("entraide", "person", "رقم-7", 3)
FOUNDER, ENTITY = bytes(range(16)), bytes(range(16, 32))
# More than the smallest numbers, whose encodings are kept ready.
STAMP = 1_790_000_000_000 << 16


def read(name: str, message: OutMessage) -> Any:
    """The payload of a message in its envelope; all of it is read."""
    envelope = fastavro.parse_schema(EVENTS.plain("envelope"))
    _, body = unframe(message.value)
    payload = fastavro.schemaless_reader(io.BytesIO(body), envelope, None)["payload"]
    schema_id, body = unframe(payload)
    assert schema_id == SCHEMA_IDS[f"hub.{name}-payload"]
    stream = io.BytesIO(body)
    value = fastavro.schemaless_reader(stream, fastavro.parse_schema(EVENTS.plain(name)), None)
    assert stream.tell() == len(body)
    return value


def state(**more: Any) -> RecordState:
    asserts = Assertions(values={"cin": (STAMP, b"\x04SH")})
    return RecordState(id=IDS.record(*KEY), key=KEY, born=5, seen=STAMP + 1, asserts=asserts, **more)


def test_r31_all_that_a_record_asserts_is_said() -> None:
    for linked, ended in ((None, 0), (FOUNDER, STAMP)):
        said = state(linked=linked, ended=ended)
        assert read("assertions", ENCODER.assertions(said)) == {
            "record": hub_name(said.id),
            **KEY._asdict(),
            "born": 5,
            "seen": STAMP + 1,
            "ended": ended,
            "linked": linked and hub_name(linked),
            "state": pack(said.asserts),
        }


def test_r31_a_line_of_the_crosswalk_is_said() -> None:
    for ended in (0, STAMP):
        said = state(ended=ended)
        assert read("link", ENCODER.link(said, ENTITY, (1 << 40) + 2)) == {
            "record": hub_name(said.id),
            **KEY._asdict(),
            "entity": hub_name(ENTITY),
            "version": (1 << 40) + 2,
            "live": not ended,
        }
