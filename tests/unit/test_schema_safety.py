"""R6: which schemas are refused before anything is decoded with them, one case each."""

from __future__ import annotations

import json
from typing import Any

import pytest

from hub.contracts.safety import MAX_NODES, UnsafeSchema, check_schema, read_schema

EMPTY = {"type": "record", "name": "Empty", "fields": []}


def record(*fields: dict[str, Any], name: str = "R") -> dict[str, Any]:
    return {"type": "record", "name": name, "fields": list(fields)}


def field(name: str, kind: Any, **more: Any) -> dict[str, Any]:
    return {"name": name, "type": kind, **more}


def array(items: Any) -> dict[str, Any]:
    return {"type": "array", "items": items}


def map_of(values: Any) -> dict[str, Any]:
    return {"type": "map", "values": values}


def nested(levels: int) -> dict[str, Any]:
    schema = record(field("x", "int"), name="L0")
    for level in range(1, levels):
        schema = record(field("x", schema), name=f"L{level}")
    return schema


def doubling(levels: int) -> dict[str, Any]:
    """Each record holds the one before twice: 2^levels values, from a schema of `levels` lines."""
    lines = [field("l0", record(field("x", "null"), name="L0"))]
    for level in range(1, levels):
        below = [field(side, f"L{level - 1}") for side in "ab"]
        lines.append(field(f"l{level}", record(*below, name=f"L{level}")))
    return record(*lines)


SAFE = {
    "primitive": {"type": "string"},
    "optional": ["null", "string"],
    "null outside an array": record(field("x", "null")),
    "empty record": EMPTY,
    "array of optional": array(["null", "string"]),
    "array of enum": array({"type": "enum", "name": "E", "symbols": ["A"]}),
    "array of optional empty record": array(["null", EMPTY]),
    "array of records": array(record(field("x", "int"))),
    "named type used twice": record(
        field("a", record(field("x", "int"), name="S")), field("b", ["null", "S"], default=None)
    ),
    "names with underscores first": record(field("__deleted", "boolean", default=False)),
    "record named like a type": record(field("x", map_of("int")), name="union"),
    "deep enough": nested(30),
    "defaults of every type": record(
        field("n", "null", default=None),
        field("b", "boolean", default=True),
        field("i", "int", default=-(2**31)),
        field("l", "long", default=2**63 - 1),
        field("f", "float", default=1),
        field("y", "bytes", default="\u00ff"),
        field("x", {"type": "fixed", "name": "X", "size": 2}, default="ab"),
        field("e", {"type": "enum", "name": "E", "symbols": ["A"]}, default="A"),
        field("a", array("int"), default=[1]),
        field("m", map_of("int"), default={"k": 1}),
        field("r", record(field("i", "int"), field("j", "int", default=0), name="S"), default={"i": 1}),
        field("u", ["null", "int"], default=None),
    ),
}

REFUSED = {
    "direct recursion": (record(field("next", ["null", "R"])), "contains itself"),
    "recursion through an array": (record(field("all", array("R"))), "contains itself"),
    "recursion through a map": (record(field("all", map_of("R"))), "contains itself"),
    "mutual recursion": (
        record(field("s", record(field("r", ["null", "R"]), name="S"))),
        "contains itself",
    ),
    "recursion across namespaces": (
        {**record(field("x", ["null", "a.R"])), "namespace": "a"},
        "contains itself",
    ),
    "array of null": (array("null"), "no bytes"),
    "array of written-out null": (array({"type": "null"}), "no bytes"),
    "array of empty record": (array(EMPTY), "no bytes"),
    "array of nulls in a record": (array(record(field("x", "null"))), "no bytes"),
    "array of empty fixed": (array({"type": "fixed", "name": "X", "size": 0}), "no bytes"),
    "map of null": (map_of("null"), "no bytes"),
    "array of a named empty record": (
        record(field("one", EMPTY), field("many", array("Empty"))),
        "no bytes",
    ),
    "array of records with a null": (
        array(record(field("x", "int"), field("y", "null"))),
        "inside an array",
    ),
    "array of optional records with a null": (
        array(["null", record(field("x", "int"), field("y", "null"))]),
        "inside an array",
    ),
    "unknown name": (record(field("x", "Missing")), "unknown type"),
    "unknown name in an array": (array("Missing"), "unknown type"),
    "used before it is defined": (
        record(field("a", "S"), field("b", record(field("x", "int"), name="S"))),
        "unknown type",
    ),
    "too deep": (nested(34), "nested deeper"),
    "far too deep": (nested(120), "nested deeper"),
    "grows by doubling": (doubling(20), str(MAX_NODES)),
    "too large": (record(field("x", "int", doc="x" * 300_000)), "bytes of schema"),
    "default of another type": (record(field("x", "int", default="1")), "not an Avro schema"),
    "default of a later branch": (record(field("x", ["null", "int"], default=1)), "does not fit"),
    "default too large": (record(field("x", "int", default=2**31)), "does not fit"),
    "default true for a number": (record(field("x", "long", default=True)), "does not fit"),
    "default no symbol": (
        record(field("x", {"type": "enum", "name": "E", "symbols": ["A"]}, default="Z")),
        "does not fit",
    ),
    "default lacks a field": (
        record(field("x", record(field("i", "int"), name="S"), default={})),
        "does not fit",
    ),
    "default of wrong length": (
        record(field("x", {"type": "fixed", "name": "X", "size": 2}, default="a")),
        "does not fit",
    ),
    "empty union": (record(field("x", [])), "without branches"),
    "union in union": (record(field("x", ["null", ["string"]])), "not an Avro schema"),
    "type twice in union": (record(field("x", ["null", "null"])), "not an Avro schema"),
    "field twice": (record(field("x", "int"), field("x", "int")), "not an Avro schema"),
    "field's name": (record(field("a-b", "int")), "field's name"),
    "record's name": (record(name="1R"), "not an Avro schema"),
    "name no text": ({"type": "record", "name": ["R"], "fields": []}, "not an Avro schema"),
    "negative size": ({"type": "fixed", "name": "X", "size": -1}, "not an Avro schema"),
    "error type": ({"type": "error", "name": "R", "fields": []}, "RPC"),
    "no fields": ({"type": "record", "name": "R"}, "not an Avro schema"),
    "array without items": ({"type": "array"}, "not an Avro schema"),
    "no such type": ({"type": "strnig"}, "unknown type"),
    "claims to be parsed": (
        {"__fastavro_parsed": True, "__named_schemas": {}, "type": "record", "name": "R"},
        "parsed by fastavro",
    ),
    "hidden claim to be parsed": (
        record(field("x", {"type": "array", "items": {"__fastavro_parsed": True, "type": "int"}})),
        "parsed by fastavro",
    ),
}


@pytest.mark.parametrize("schema", SAFE.values(), ids=SAFE)
def test_safe(schema: Any) -> None:
    check_schema(schema)
    check_schema(json.dumps(schema))


@pytest.mark.parametrize(("schema", "why"), REFUSED.values(), ids=REFUSED)
def test_refused(schema: Any, why: str) -> None:
    with pytest.raises(UnsafeSchema, match=why.replace("(", r"\(")):
        check_schema(schema)
    with pytest.raises(UnsafeSchema):
        check_schema(json.dumps(schema))


NO_JSON = {
    "nothing": "",
    "half an object": "{",
    "number": "3",
    "null": "null",
    "NaN": '{"type":NaN}',
    "infinite": '{"type":"int","x":1e999}',
    "half a surrogate pair": '{"x":"\\ud800"}',
    "number without end": '{"type":"int","x":' + "9" * 5_000 + "}",
    "deep array": "[" * 100_000,
    "deep object": '{"a":' * 50_000,
}


@pytest.mark.parametrize("text", NO_JSON.values(), ids=NO_JSON)
def test_no_json(text: str) -> None:
    with pytest.raises(UnsafeSchema, match="JSON"):
        check_schema(text)


def test_python_values_that_are_no_json() -> None:
    loop: list[Any] = []
    loop.append(loop)
    for schema in (loop, {"type": b"int"}, {"type": "int", "x": float("nan")}):
        with pytest.raises(UnsafeSchema):
            check_schema(schema)  # type: ignore[arg-type]


def test_limits_can_be_tightened() -> None:
    with pytest.raises(UnsafeSchema, match="deeper than 3"):
        check_schema(nested(5), max_depth=3)
    with pytest.raises(UnsafeSchema, match="at most 10"):
        check_schema(SAFE["optional"], max_bytes=10)


def test_message_names_the_place() -> None:
    visit = record(field("centre", "string"), field("x", "null"), name="Visit")
    schema = record(field("visits", array(visit)))
    with pytest.raises(UnsafeSchema) as caught:
        check_schema(schema)
    assert caught.value.path == "visits[].x"
    assert str(caught.value).startswith("at visits[].x: ")


def test_check_leaves_the_schema_alone() -> None:
    schema = record(field("x", {"type": "int", "logicalType": "date"}))
    before = json.dumps(schema)
    check_schema(schema)
    assert json.dumps(schema) == before


def test_a_bare_name_is_read_as_an_object() -> None:
    assert read_schema('"string"') == {"type": "string"}
