"""What the hub's own topics say of a local record, as their readers see it: by the schema, with fastavro."""

from __future__ import annotations

import io
from typing import Any

import fastavro
from support.contracts import CATALOGUE, EVENTS, IDS

from hub.contracts.subjects import event_subjects
from hub.contracts.wire import unframe
from hub.core.assertions import Assertions, RecordKey, RecordState, pack
from hub.core.epochs import first_life
from hub.core.projection import Content
from hub.core.settle import Delivery
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


def test_r14_a_projection_says_which_life_of_a_local_id_it_means() -> None:
    schema = fastavro.parse_schema(EVENTS.projection(CATALOGUE.records["person"]))
    for content, life in (
        (Content("upsert", "7", None, ("cin",), {"cin": b"\x04SH"}, life=first_life(2)), first_life(2)),
        # Also where its side knows by itself which row is meant.
        (Content("upsert", "7", None, ("cin",), {"cin": b"\x04SH"}, known=True), 0),
        (Content("retract", "7", life=1), 1),
        (Content("retract"), None),
    ):
        delivery = Delivery("ads", ENTITY, "person", 1, content, STAMP, STAMP)
        _, body = unframe(ENCODER.projection(delivery).value)
        stream = io.BytesIO(body)
        value = fastavro.schemaless_reader(stream, schema, None)
        assert stream.tell() == len(body)
        assert (value["local_id"], value["incarnation"]) == (content.local_id, life)


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
