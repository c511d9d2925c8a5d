"""Whatever bytes come: the quick reading of changes says what fastavro says, or refuses, and never fails."""

from __future__ import annotations

import contextlib
import copy
import datetime
import io
from typing import Any

import fastavro
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.strategies import DrawFn
from support.contracts import CATALOGUE, EVENTS
from support.messages import SCHEMA_IDS, body, message, reading, schema

from hub.contracts import wire
from hub.contracts.records import FieldSpec, RecordType
from hub.contracts.values import decode, encode_string
from hub.contracts.wire import ChangeReader, RawChange, encode_value, encoded_record, frame
from hub.errors import SkipRecord

READING = reading()
texts = st.text(st.characters(codec="utf-8"), max_size=8)
records = st.sampled_from(sorted(CATALOGUE.records)).map(CATALOGUE.records.__getitem__)
_VALUES: dict[str, st.SearchStrategy[Any]] = {
    "string": texts,
    "strings": st.lists(texts, max_size=3),
    "int": st.integers(-(2**31), 2**31 - 1),
    "long": st.integers(-(2**63), 2**63 - 1),
    "double": st.floats(allow_nan=False),
    "boolean": st.booleans(),
    "date": st.dates(),
}


@st.composite
def events(draw: DrawFn, record: RecordType) -> dict[str, Any]:
    """A change that fits its schema; whether its values mean anything is another matter."""
    names = [spec.name for spec in record.fields]
    some = st.lists(st.sampled_from(names), unique=True, max_size=6)
    stale = draw(some)
    image = {
        spec.name: draw(_VALUES[spec.kind])
        for spec in record.fields
        if spec.name in draw(some) or spec.name in stale
    }
    return {
        "event_id": draw(texts),
        "local_id": draw(texts),
        "incarnation": draw(st.integers(-(2**31), 2**31 - 1)),
        "operation": draw(st.sampled_from(wire.OPERATIONS)),
        "stamp": draw(st.integers(-(2**63), 2**63 - 1)),
        "asserted": draw(st.none() | st.integers(-(2**63), 2**63 - 1)),
        "changed": draw(some),
        "stale": stale,
        "removed": draw(
            st.dictionaries(st.sampled_from(names) | texts, st.lists(texts, max_size=2), max_size=2)
        ),
        "record": draw(st.sampled_from([None, image])),
        "entity": draw(st.none() | texts),
        "actor": draw(st.none() | texts),
    }


def as_fastavro_reads(record: RecordType, raw: bytes) -> dict[str, Any]:
    return fastavro.schemaless_reader(io.BytesIO(raw), schema(record.name), None)


def shown(spec: FieldSpec, raw: Any) -> Any:
    if isinstance(raw, list):
        return [decode(spec, item) for item in raw]
    if raw is not None and spec.kind == "strings":
        return [decode(spec, item) for item in wire.elements(raw)]
    return None if raw is None else decode(spec, raw)


def same(record: RecordType, change: RawChange, event: dict[str, Any]) -> bool:
    """Whether both say the same, value by value."""
    specs, image = record.by_name, event["record"] or {}
    singles = [name for name in event["changed"] if specs[name].kind != "strings"]
    lists = [name for name in event["changed"] if specs[name].kind == "strings"]
    header = ("event_id", "local_id", "incarnation", "operation", "stamp", "asserted", "entity", "actor")
    return (
        [getattr(change, name) for name in header] == [event[name] for name in header]
        and {name: shown(specs[name], raw) for name, raw in change.values.items()}
        == {name: image.get(name) for name in singles}
        and {name: shown(specs[name], raw) for name, raw in change.added.items()}
        == {name: image.get(name) or [] for name in lists}
        and {name: shown(specs[name], raw) for name, raw in change.removed.items()}
        == {name: event["removed"].get(name, []) for name in lists}
        and {name: shown(specs[name], raw) for name, raw in change.stale.items()}
        == {name: image.get(name) for name in event["stale"]}
    )


@given(data=st.data())
def test_a_change_is_read_as_fastavro_reads_it(data: st.DataObject) -> None:
    record = data.draw(records)
    event = data.draw(events(record))
    raw = body(record.name, **event)
    change = ChangeReader(record, EVENTS).read(1, raw, lambda _: EVENTS.change(record))
    assert same(record, change, as_fastavro_reads(record, raw))


@given(data=st.data())
def test_a_change_of_an_older_schema_is_read_as_fastavro_resolves_it(data: st.DataObject) -> None:
    record = data.draw(records)
    event = data.draw(events(record))
    older = copy.deepcopy(EVENTS.change(record))
    image = next(field for field in older["fields"] if field["name"] == "record")["type"][1]
    dropped = data.draw(st.sets(st.sampled_from(sorted(record.by_name)), min_size=1))
    image["fields"] = [field for field in image["fields"] if field["name"] not in dropped]
    stream = io.BytesIO()
    fastavro.schemaless_writer(stream, fastavro.parse_schema(older), event)
    raw = stream.getvalue()
    resolved = fastavro.schemaless_reader(
        io.BytesIO(raw), fastavro.parse_schema(older), fastavro.parse_schema(EVENTS.change(record))
    )
    change = ChangeReader(record, EVENTS).read(1, raw, lambda _: older)
    assert same(record, change, resolved)


def survives(value: bytes, topic: str) -> None:
    """The message becomes a change or a dead letter, and either can be kept by a database."""
    done = READING.read([message(value, topic=topic)])
    assert len(done.changes) + len(done.dead) == 1
    for letter in done.dead:
        assert "\0" not in letter.path + letter.text
    for change, _ in done.changes:
        assert 0 < change.stamp < 2**63
        assert change.effective < 2**63
        assert "\0" not in change.key.local_id + change.event_id


@given(raw=st.binary(max_size=400), record=records)
def test_arbitrary_bytes_are_at_worst_a_dead_letter(raw: bytes, record: RecordType) -> None:
    topic = f"entraide.{record.name}.changes"
    survives(raw, topic)
    survives(frame(SCHEMA_IDS[record.name], raw), topic)


@settings(max_examples=400)
@given(data=st.data())
def test_a_damaged_change_is_at_worst_a_dead_letter(data: st.DataObject) -> None:
    record = data.draw(records)
    event = data.draw(events(record))
    raw = bytearray(body(record.name, **event))
    for _ in range(data.draw(st.integers(1, 4))):
        start = data.draw(st.integers(0, len(raw) - 1)) if raw else 0
        length = data.draw(st.integers(0, 4))
        raw[start : start + length] = data.draw(st.binary(max_size=12))
    survives(frame(SCHEMA_IDS[record.name], bytes(raw)), f"entraide.{record.name}.changes")


@given(data=st.data())
def test_a_damaged_change_of_an_older_schema_is_at_worst_a_dead_letter(data: st.DataObject) -> None:
    record = CATALOGUE.records["person"]
    older = copy.deepcopy(EVENTS.change(record))
    image = next(field for field in older["fields"] if field["name"] == "record")["type"][1]
    del image["fields"][1]
    raw = data.draw(st.binary(max_size=200))
    with contextlib.suppress(SkipRecord):
        assert isinstance(ChangeReader(record, EVENTS).read(1, raw, lambda _: older), RawChange)


@given(data=st.data())
def test_values_joined_field_by_field_are_the_record_that_fastavro_writes(data: st.DataObject) -> None:
    record = data.draw(records)
    image = {spec.name: data.draw(st.none() | _VALUES[spec.kind]) for spec in record.fields}
    event = EVENTS.change(record)
    parsed = fastavro.parse_schema(next(f for f in event["fields"] if f["name"] == "record")["type"][1])
    stream = io.BytesIO()
    fastavro.schemaless_writer(stream, parsed, image)
    raw = {name: _raw(record.by_name[name], value) for name, value in image.items() if value is not None}
    assert encoded_record(record, raw) == stream.getvalue()


def _raw(spec: FieldSpec, value: Any) -> bytes:
    """As a writer that does not normalise would encode it."""
    if spec.kind == "strings":
        return wire.encoded_strings(map(encode_string, value))
    if spec.kind == "string":
        return encode_string(value)
    if spec.kind == "date":
        value = min(max(value, datetime.date(1, 1, 1)), datetime.date(9999, 12, 31))
    if spec.kind == "double":
        stream = io.BytesIO()
        fastavro.schemaless_writer(stream, "double", value)
        return stream.getvalue()
    raw = encode_value(spec, value)
    assert raw is not None
    return raw
