"""Property: what is called compatible, fastavro reads. Small schema evolutions, random valid messages.

Cases come from a seeded generator, not from Hypothesis strategies: pairs that are both safe and
compatible are rare among random ones, and a thousand of them must be met in seconds.
"""

from __future__ import annotations

import copy
import io
import struct
from random import Random
from typing import Any

import pytest
from fastavro import parse_schema, schemaless_reader

from hub.contracts.compatibility import unreadable
from hub.contracts.safety import UnsafeSchema, check_schema
from hub.contracts.values import encode_long

DATE = {"type": "int", "logicalType": "date"}
MILLIS = {"type": "long", "logicalType": "timestamp-millis"}
DECIMAL = {"type": "bytes", "logicalType": "decimal", "precision": 9, "scale": 2}
LEAVES = ["null", "int", "long", "float", "double", "string", "bytes", "boolean", DATE, MILLIS, DECIMAL]
NAMES, FIELDS, SYMBOLS = ("P", "Q", "S"), ("a", "b", "c"), ("X", "Y", "Z")


def any_schema(rng: Random, depth: int = 3) -> Any:
    kind = rng.choice(
        ["leaf", "leaf", "name", "enum", "fixed"] + ["record", "many", "union"] * (depth > 0) * 2
    )
    if kind == "leaf":
        return rng.choice(LEAVES)
    if kind == "name":
        return rng.choice(NAMES)
    if kind == "many":
        array = rng.random() < 0.5
        return {
            "type": "array" if array else "map",
            "items" if array else "values": any_schema(rng, depth - 1),
        }
    if kind == "union":
        branches = [any_schema(rng, depth - 1) for _ in range(rng.randint(1, 3))]
        return rng.sample(["null", *branches], len(branches) + 1) if rng.random() < 0.7 else branches
    named: dict[str, Any] = {"type": kind, "name": rng.choice(NAMES)}
    if rng.random() < 0.3:
        named["aliases"] = [rng.choice([*NAMES, "n.P", "n.Q"])]
    if kind == "enum":
        named["symbols"] = rng.sample(SYMBOLS, rng.randint(1, 3))
        if rng.random() < 0.3:
            named["default"] = rng.choice(named["symbols"])
    elif kind == "fixed":
        named["size"] = rng.randint(1, 2)
    else:
        if rng.random() < 0.3:
            named["namespace"] = rng.choice("nm")
        names = rng.sample(FIELDS, rng.randint(0, 3))
        named["fields"] = [any_field(rng, name, any_schema(rng, depth - 1)) for name in names]
    return named


def any_field(rng: Random, name: str, kind: Any) -> dict[str, Any]:
    field: dict[str, Any] = {"name": name, "type": kind}
    if rng.random() < 0.3:
        field["aliases"] = [rng.choice(FIELDS)]
    if rng.random() < 0.5:
        field["default"] = rng.choice([None, 0, "", [], {}, "X"])
    return field


def evolve(rng: Random, node: Any) -> Any:
    """`node` with a few changes of the kinds that people make, right and wrong."""
    if rng.random() < 0.08:
        return rng.choice([any_schema(rng, 1), ["null", node], "long", "double", "bytes", "string"])
    if isinstance(node, list):
        branches = [evolve(rng, branch) for branch in node]
        if rng.random() < 0.3:
            branches.append(any_schema(rng, 1))
        return rng.sample(branches, len(branches)) if rng.random() < 0.5 else branches
    if not isinstance(node, dict):
        return node
    node = copy.deepcopy(node)
    for inner in ("items", "values"):
        if inner in node:
            node[inner] = evolve(rng, node[inner])
    if "name" in node and rng.random() < 0.2:
        node["aliases"] = [node["name"], f"n.{node['name']}"]
        node["name"] = rng.choice(NAMES)
    if "symbols" in node and rng.random() < 0.3:
        node["symbols"] = rng.sample(SYMBOLS, rng.randint(1, 3))
    if "fields" in node:
        for field in node["fields"]:
            field["type"] = evolve(rng, field["type"])
        if rng.random() < 0.3:
            node["fields"].append(any_field(rng, rng.choice(FIELDS), any_schema(rng, 1)))
        node["fields"] = rng.sample(
            node["fields"], len(node["fields"]) - (rng.random() < 0.2 and len(node["fields"]) > 0)
        )
    return node


def is_safe(schema: Any) -> bool:
    try:
        check_schema(schema)
    except UnsafeSchema:
        return False  # also for a bare "string": a `str` is JSON text
    return True


def message(rng: Random, node: Any, names: dict[str, Any]) -> bytes:
    """A message of the schema (parsed, with full names): any that it allows is possible."""
    if isinstance(node, list):
        index = rng.randrange(len(node))
        return encode_long(index) + message(rng, node[index], names)
    node = names.get(node, node) if isinstance(node, str) else node
    kind = node if isinstance(node, str) else node["type"]
    if kind == "record":
        return b"".join(message(rng, field["type"], names) for field in node["fields"])
    if kind in ("array", "map"):
        inner = node["items" if kind == "array" else "values"]
        count = rng.randint(0, 2)
        key = sized(b"k") if kind == "map" else b""
        items = b"".join(key + message(rng, inner, names) for _ in range(count))
        return (encode_long(count) + items if count else b"") + b"\x00"
    if kind == "enum":
        return encode_long(rng.randrange(len(node["symbols"])))
    if kind == "fixed":
        return rng.randbytes(node["size"])
    return primitive(rng, kind)


def sized(data: bytes) -> bytes:
    return encode_long(len(data)) + data


def primitive(rng: Random, kind: str) -> bytes:
    number = rng.randint(-(2**16), 2**16)
    return {
        "null": b"",
        "boolean": bytes([number & 1]),
        "int": encode_long(number),
        "long": encode_long(number << 24),
        "float": struct.pack("<f", number),
        "double": struct.pack("<d", number),
        "string": sized("جسر".encode()),
        "bytes": sized(rng.randbytes(2)),
    }[kind]


@pytest.mark.parametrize("seed", range(10))
def test_what_is_compatible_can_be_read(seed: int) -> None:
    rng = Random(seed)
    changed = 0
    while changed < 150:
        writer = any_schema(rng)
        reader = evolve(rng, writer)
        if reader == writer or not (is_safe(reader) and is_safe(writer)) or unreadable(reader, writer):
            continue
        changed += 1
        names: dict[str, Any] = {}
        parsed = parse_schema(writer, names, _write_hint=False)
        for _ in range(5):
            data = message(rng, parsed, names)
            schemaless_reader(io.BytesIO(data), writer, None)
            try:
                schemaless_reader(io.BytesIO(data), writer, reader)
            except Exception as error:
                pytest.fail(f"seed {seed}: {writer} wrote {data!r}, {reader} cannot read it: {error!r}")
