"""Compatibility: the levels, and each way in which a version can break a reader."""

from __future__ import annotations

import re
from typing import Any

import pytest

from hub.contracts.compatibility import EVENT_LEVEL, LEVELS, incompatibilities, unreadable
from hub.contracts.safety import check_schema


def record(*fields: dict[str, Any], name: str = "R", **more: Any) -> dict[str, Any]:
    return {"type": "record", "name": name, "fields": list(fields), **more}


def field(name: str, kind: Any, **more: Any) -> dict[str, Any]:
    return {"name": name, "type": kind, **more}


def enum(*symbols: str, **more: Any) -> dict[str, Any]:
    return {"type": "enum", "name": "E", "symbols": list(symbols), **more}


def fixed(size: int) -> dict[str, Any]:
    return {"type": "fixed", "name": "F", "size": size}


def decimal(precision: int, scale: int) -> dict[str, Any]:
    return {"type": "bytes", "logicalType": "decimal", "precision": precision, "scale": scale}


DATE = {"type": "int", "logicalType": "date"}
MILLIS = {"type": "long", "logicalType": "timestamp-millis"}
MICROS = {"type": "long", "logicalType": "timestamp-micros"}
ONE = record(field("a", "int"))
X_INT, X_TEXT = record(field("x", "int"), name="X"), record(field("x", "string"), name="X")

# name: (reader, writer)
READABLE = {
    "same": (ONE, ONE),
    "field dropped": (record(), ONE),
    "field with a default": (record(*ONE["fields"], field("b", "int", default=1)), ONE),
    "fields in another order": (
        record(field("b", "int"), field("a", "int")),
        record(field("a", "int"), field("b", "int")),
    ),
    "made optional": (record(field("a", ["null", "int"])), ONE),
    "int to long": (record(field("a", "long")), ONE),
    "int to double": (record(field("a", "double")), ONE),
    "string to bytes": ({"type": "bytes"}, {"type": "string"}),
    "branch added": (["null", "int", "string"], ["null", "int"]),
    "symbol added": (enum("A", "B"), enum("A")),
    "symbol dropped, default": (enum("A", default="A"), enum("A", "B")),
    "field renamed with an alias": (record(field("b", "int", aliases=["a"])), ONE),
    "record renamed with an alias": (record(*ONE["fields"], name="S", aliases=["R"]), ONE),
    "moved with an alias": (
        record(*ONE["fields"], namespace="new", aliases=["old.R"]),
        record(*ONE["fields"], namespace="old"),
    ),
    "promoted in an array": (
        {"type": "array", "items": "long"},
        {"type": "array", "items": "int"},
    ),
    "promoted in a map": (
        {"type": "map", "values": ["null", "long"]},
        {"type": "map", "values": "int"},
    ),
    "unused branch of the reader": ([X_TEXT, "int"], {"type": "int"}),
    "attribute and doc changed": (record(field("a", "int", doc="x", privacy="none")), ONE),
}

UNREADABLE = {
    "no default": (record(*ONE["fields"], field("b", "int")), ONE, "field b: was not written"),
    "another type": (record(field("a", "string")), ONE, "field a: int was written, string is read"),
    "narrowed": ({"type": "int"}, {"type": "long"}, "long was written, int is read"),
    "made required": (ONE, record(field("a", ["null", "int"])), "null was written, int is read"),
    "branch dropped": (
        record(field("a", ["null", "int"])),
        record(field("a", ["null", "string"])),
        "field a: string was written, the union",
    ),
    "symbol dropped": (enum("A"), enum("A", "B"), "symbols B are gone"),
    "record renamed": (record(*ONE["fields"], name="S"), ONE, "add an alias"),
    "moved to another namespace": (
        record(*ONE["fields"], namespace="new"),
        record(*ONE["fields"], namespace="old"),
        "old.R was written, new.R is read",
    ),
    "size changed": (fixed(3), fixed(2), "2 bytes were written, 3 are read"),
    "deep in a record": (
        record(field("o", {"type": "array", "items": X_TEXT})),
        record(field("o", {"type": "array", "items": X_INT})),
        r"field o\[\]\.x: int was written",
    ),
    # From here on, the specification's checker alone says "compatible".
    "bytes to string": ({"type": "string"}, {"type": "bytes"}, "bytes was written"),
    "date to plain int": ({"type": "int"}, DATE, "logical type date was written, None is read"),
    "plain int to date": (DATE, {"type": "int"}, "logical type None was written, date is read"),
    "date promoted": ({"type": "long"}, DATE, "logical type date"),
    "millis to micros": (MICROS, MILLIS, "logical type timestamp-millis"),
    "scale changed": (decimal(9, 3), decimal(9, 2), "logical type decimal"),
    "logical type in a union": (
        record(field("a", ["null", DATE])),
        record(field("a", ["null", "int"])),
        "field a: logical type",
    ),
    "one old field for two": (
        record(field("a", "int"), field("b", "int", aliases=["a"])),
        ONE,
        "field b: was not written",
    ),
    "two old fields for one": (
        record(field("b", "int", aliases=["a"])),
        record(field("a", "int"), field("b", "int")),
        "field b: fields a and b would both become it",
    ),
    "two old fields for one, the alias last": (
        record(field("b", "int", aliases=["a"])),
        record(field("b", "int"), field("a", "int")),
        "field b: fields b and a would both become it",
    ),
    "first branch looks right": (
        [record(field("x", "string"), name="Y", aliases=["X"]), X_INT],
        X_INT,
        "field x: int was written",
    ),
}


@pytest.mark.parametrize(("reader", "writer"), READABLE.values(), ids=READABLE)
def test_readable(reader: Any, writer: Any) -> None:
    assert unreadable(reader, writer) == []


@pytest.mark.parametrize(("reader", "writer", "why"), UNREADABLE.values(), ids=UNREADABLE)
def test_unreadable(reader: Any, writer: Any, why: str) -> None:
    check_schema(reader)
    found = unreadable(reader, writer)
    assert found
    assert any(re.search(why, message) for message in found), found


FIRST = record(field("a", "int"))
WITH_B = record(field("a", "int"), field("b", "int", default=0))
B_REQUIRED = record(field("a", "int"), field("b", "int"))
WITHOUT_A = record(field("b", "int", default=0))


@pytest.mark.parametrize(
    ("level", "existing", "new", "allowed"),
    [
        ("NONE", [(1, FIRST)], enum("A"), True),
        ("BACKWARD", [(1, FIRST)], WITHOUT_A, True),
        ("BACKWARD", [(1, FIRST)], B_REQUIRED, False),
        # Version 2 has b, so that only the transitive level looks at version 1, which has not.
        ("BACKWARD", [(2, WITH_B), (1, FIRST)], B_REQUIRED, True),
        ("BACKWARD_TRANSITIVE", [(2, WITH_B), (1, FIRST)], B_REQUIRED, False),
        ("FORWARD", [(1, FIRST)], B_REQUIRED, True),
        ("FORWARD", [(1, FIRST)], WITHOUT_A, False),
        ("FORWARD", [(2, WITHOUT_A), (1, FIRST)], WITHOUT_A, True),
        ("FORWARD_TRANSITIVE", [(2, WITHOUT_A), (1, FIRST)], WITHOUT_A, False),
        ("FULL", [(1, FIRST)], WITH_B, True),
        ("FULL", [(1, FIRST)], B_REQUIRED, False),
        ("FULL", [(1, FIRST)], WITHOUT_A, False),
        ("FULL", [(2, B_REQUIRED), (1, FIRST)], B_REQUIRED, True),
        ("FULL_TRANSITIVE", [(2, B_REQUIRED), (1, FIRST)], B_REQUIRED, False),
        ("FULL_TRANSITIVE", [(2, WITH_B), (1, FIRST)], WITH_B, True),
        *((level, [], FIRST, True) for level in LEVELS),
    ],
)
def test_levels(level: str, existing: list[Any], new: Any, allowed: bool) -> None:
    assert (incompatibilities(new, existing, level) == []) is allowed


def test_messages_name_version_direction_and_place() -> None:
    existing = [(7, record(field("a", "string"))), (6, FIRST)]
    assert incompatibilities(FIRST, existing, EVENT_LEVEL) == [
        "cannot read version 7: field a: string was written, int is read",
        "version 7 cannot read this: field a: int was written, string is read",
    ]


def test_unknown_level_is_a_mistake_of_the_caller() -> None:
    with pytest.raises(ValueError, match="BACKWARD_TRANSITIVE"):
        incompatibilities(FIRST, [], "SIDEWAYS")
