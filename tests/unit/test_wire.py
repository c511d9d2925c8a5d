"""The wire format: frames, the cursor's limits, schema versions, and joining what was encoded once."""

from __future__ import annotations

import copy
import datetime
import io
from typing import Any

import fastavro
import pytest
from support.contracts import CATALOGUE, EVENTS
from support.messages import body, schema

from hub.contracts import wire
from hub.contracts.values import encode_long, encode_string
from hub.contracts.wire import ChangeReader, Cursor, RawChange
from hub.errors import Retriable, SkipRecord

PERSON = CATALOGUE.records["person"]


def read(raw: bytes, record_type: str = "person") -> RawChange:
    record = CATALOGUE.records[record_type]
    return ChangeReader(record, EVENTS).read(1, raw, lambda _: EVENTS.change(record))


def test_a_frame_is_a_zero_byte_the_id_and_the_body() -> None:
    framed = wire.frame(258, b"body")
    assert framed == b"\x00\x00\x00\x01\x02body"
    assert wire.unframe(framed) == (258, b"body")


def test_values_are_cut_out_as_they_were_written() -> None:
    born = datetime.date(1990, 1, 1)
    change = read(body(record={"cin": "SH1", "birth_date": born, "languages": ["fr", "ar"], "phone": None}))
    assert change.values == {"cin": encode_string("SH1"), "birth_date": encode_long(7305), "phone": None}
    assert change.added == {"languages": [encode_string("fr"), encode_string("ar")]}
    assert change.removed == {"languages": []}


def test_every_kind_of_value_is_passed_over() -> None:
    values = {"name": "n", "members": -7, "share": 1.5, "active": True, "crafts": ["zellige"]}
    values["founded_on"] = datetime.date(2020, 1, 1)
    change = read(body("cooperative", record=values, stale=["commune"], changed=list(values)), "cooperative")
    assert change.values["share"] == b"\x00\x00\x00\x00\x00\x00\xf8?"
    assert change.values["active"] == b"\x01"
    assert change.values["members"] == encode_long(-7)
    assert change.added["crafts"] == [encode_string("zellige")]
    assert change.stale == {"commune": None}


def test_a_list_may_come_in_blocks_with_their_sizes() -> None:
    whole = body(changed=["cin", "sex"], record={"cin": "SH1"})
    one_block = encode_long(2) + encode_string("cin") + encode_string("sex") + b"\x00"
    sized = (
        b"".join(encode_long(-1) + encode_long(4) + encode_string(name) for name in ("cin", "sex")) + b"\x00"
    )
    assert whole.count(one_block) == 1
    assert read(whole.replace(one_block, sized)) == read(whole)


@pytest.mark.parametrize("operation", wire.OPERATIONS)
def test_operations_are_in_the_order_of_the_schema(operation: str) -> None:
    assert read(body(operation=operation)).operation == operation


def test_the_mask_may_name_only_fields_of_the_record() -> None:
    for mask in ({"changed": ["sex", "shoe_size"]}, {"changed": [], "stale": ["shoe_size"]}):
        with pytest.raises(SkipRecord) as refusal:
            read(body(**mask))
        assert (refusal.value.code, refusal.value.path) == ("unknown_field", "shoe_size")


@pytest.mark.parametrize("cut", range(len(body(record={"cin": "SH1", "languages": ["ar"]}))))
def test_a_message_that_ends_early_is_undecodable(cut: int) -> None:
    with pytest.raises(SkipRecord) as refusal:
        read(body(record={"cin": "SH1", "languages": ["ar"]})[:cut])
    assert refusal.value.code == "undecodable"


def test_bytes_after_the_record_are_undecodable() -> None:
    with pytest.raises(SkipRecord, match="1 bytes follow"):
        read(body() + b"\x00")


@pytest.mark.parametrize(
    "step", [lambda c: c.skip(-1), lambda c: c.skip(3), lambda c: c.optional(), lambda c: c.text()]
)
def test_a_cursor_stays_inside(step: Any) -> None:
    with pytest.raises(SkipRecord):
        step(Cursor(b"\x05\x00"))


def older() -> dict[str, Any]:
    """An earlier version of a person's change: without two fields, one of them first in the schema."""
    schema = copy.deepcopy(EVENTS.change(PERSON))
    image = next(field for field in schema["fields"] if field["name"] == "record")["type"][1]
    schema["fields"] = [field for field in schema["fields"] if field["name"] != "actor"]
    image["fields"] = [field for field in image["fields"] if field["name"] not in ("cin", "languages")]
    return schema


def encoded(schema: Any, **fields: Any) -> bytes:
    stream = io.BytesIO()
    event = {"event_id": "e", "local_id": "1", "operation": "update", "stamp": 1, **fields}
    fastavro.schemaless_writer(stream, fastavro.parse_schema(schema), event)
    return stream.getvalue()


def test_an_older_writer_is_resolved_and_says_nothing_of_fields_it_does_not_know() -> None:
    raw = encoded(older(), changed=["sex", "phone"], record={"sex": "male", "phone": None})
    change = ChangeReader(PERSON, EVENTS).read(1, raw, lambda _: older())
    assert change.values == {"sex": encode_string("male"), "phone": None}
    assert change.added == {}
    assert change.actor is None


def test_a_schema_that_differs_only_in_texts_and_defaults_is_read_fast() -> None:
    schema = EVENTS.change(PERSON)
    schema["doc"] = "another text"
    for field in schema["fields"]:
        field.pop("doc", None)
    reader = ChangeReader(PERSON, EVENTS)
    reader.read(1, encoded(schema, changed=["cin"], record={"cin": "SH1"}), lambda _: schema)
    assert reader._writers == {1: "same"}


def test_a_schema_id_is_asked_for_once_and_a_registry_that_is_away_is_not_a_bad_message() -> None:
    asked: list[int] = []

    def schema_of(schema_id: int) -> Any:
        asked.append(schema_id)
        if len(asked) == 1:
            raise Retriable("away")
        return EVENTS.change(PERSON)

    reader = ChangeReader(PERSON, EVENTS)
    with pytest.raises(Retriable):
        reader.read(7, body(), schema_of)
    assert reader.read(7, body(), schema_of) == reader.read(7, body(), schema_of)
    assert asked == [7, 7]


def test_the_wrong_record_type_is_refused() -> None:
    with pytest.raises(SkipRecord) as refusal:
        ChangeReader(PERSON, EVENTS).read(
            1, body("centre"), lambda _: EVENTS.change(CATALOGUE.records["centre"])
        )
    assert refusal.value.code == "wrong_schema"


def test_what_was_encoded_once_is_joined_into_a_record() -> None:
    values = {"cin": encode_string("SH1"), "languages": wire.encoded_strings([encode_string("ar")])}
    image = fastavro.parse_schema(_image_schema())
    joined = wire.encoded_record(PERSON, values)
    decoded = fastavro.schemaless_reader(io.BytesIO(joined), image, None)
    assert {name: value for name, value in decoded.items() if value is not None} == {
        "cin": "SH1",
        "languages": ["ar"],
    }


def _image_schema() -> Any:
    event = EVENTS.change(PERSON)
    return next(field for field in event["fields"] if field["name"] == "record")["type"][1]


def test_lists_are_encoded_as_a_stock_client_does() -> None:
    names = ("cin", "sex")
    stream = io.BytesIO()
    fastavro.schemaless_writer(stream, {"type": "array", "items": "string"}, names)
    assert wire.encoded_names(names) == wire.encoded_strings(map(encode_string, names)) == stream.getvalue()
    assert wire.encoded_names(()) == wire.encoded_strings([]) == b"\x00"


def test_a_whole_field_is_encoded_in_one_order() -> None:
    languages = PERSON.by_name["languages"]
    assert wire.encode_value(languages, ["fr", "ar"]) == wire.encode_value(languages, ["ar", "fr"])
    assert wire.encode_value(languages, None) is None
    assert wire.encode_value(languages, []) == b"\x00"
    assert wire.encode_value(PERSON.by_name["cin"], " SH1 ") == encode_string("SH1")


def test_reading_an_event_refuses_what_does_not_fit() -> None:
    parsed = schema("person")
    assert wire.read(parsed, body())["event_id"] == "e1"
    for raw in (b"", body() + b"x", b"\xff" * 30):
        with pytest.raises(SkipRecord):
            wire.read(parsed, raw)
