"""Schema safety (R6): what a schema must not say, before any message is decoded with it.

Decoding follows the schema, so a hostile or careless one turns a few bytes into much work: an array of
zero-size items loops 2^31 times for a message of four bytes, a recursive type nests as deep as the
message likes until the interpreter's stack ends, and records that repeat one another double in size with
each line. One walk over the schema, with names followed as a decoder would follow them, refuses all
three: what passes costs work in proportion to the length of the message.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from typing import Any, NoReturn

import avro.errors
import avro.schema
from fastavro import parse_schema
from fastavro.schema import SchemaParseException, UnknownType

from hub.errors import ConfigurationError

JsonSchema = dict[str, Any] | list[Any] | str

MAX_SCHEMA_BYTES = 256 * 1024
# Our deepest event nests 6 types. A decoder spends a C stack frame or more on each.
MAX_DEPTH = 32
# Types visited with every reference followed: our largest event has about 200.
MAX_NODES = 10_000

_JSON_LEVELS_PER_TYPE = 4  # {"fields": [{"type": [{…}]}]}
_FASTAVRO_MARKS = ('"__fastavro_parsed"', '"__named_schemas"')
_FIELD_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_WHOLE_NUMBERS = {"int": 31, "long": 63}


class UnsafeSchema(ConfigurationError):
    """A schema that cannot be used; `path` is the place in it (dotted field names, may be empty)."""

    def __init__(self, message: str, path: str = "") -> None:
        super().__init__(f"at {path}: {message}" if path else message)
        self.path = path


def check_schema(
    schema: JsonSchema, *, max_depth: int = MAX_DEPTH, max_bytes: int = MAX_SCHEMA_BYTES
) -> None:
    """Raise `UnsafeSchema` if `schema` (JSON text, or what it parses to) must not be used (R6).

    Refused: recursive types; arrays and maps of items that can take no bytes, or that hold such a part
    outside a union; unknown names; more than `max_depth` nested types, `max_bytes` of JSON or
    `MAX_NODES` types; defaults that do not fit; and whatever fastavro or the stricter `avro` cannot
    parse, since agencies read with either. Pure; a few milliseconds.
    """
    loaded = read_schema(schema, max_bytes=max_bytes)
    if _deeper_than(loaded, max_depth * _JSON_LEVELS_PER_TYPE):
        raise UnsafeSchema(f"nested deeper than {max_depth} types: flatten the schema")
    parsed, named = parse_names(loaded)
    _Walk(named, max_depth).visit(parsed, "", (), repeated=False)
    parse_strictly(loaded)


def read_schema(schema: JsonSchema, *, max_bytes: int = MAX_SCHEMA_BYTES) -> JsonSchema:
    """What JSON `schema` says, as fresh Python values; raises `UnsafeSchema` if it is no JSON.

    A bare name ("string") comes back as {"type": "string"}, so that a `str` is always JSON text.
    """
    try:
        text = schema if isinstance(schema, str) else json.dumps(schema, allow_nan=False)
        size = len(text.encode())
        if size > max_bytes:
            raise UnsafeSchema(f"{size} bytes of schema; at most {max_bytes}")
        loaded = json.loads(text, parse_constant=_finite, parse_float=_finite)
        json.dumps(loaded, ensure_ascii=False).encode()  # refuses half of a surrogate pair
    except (ValueError, TypeError, RecursionError) as error:
        raise UnsafeSchema(f"not usable as JSON: {str(error)[:200]}") from error
    if not isinstance(loaded, (dict, list, str)):
        raise UnsafeSchema("an Avro schema is a JSON object, array or string")
    return {"type": loaded} if isinstance(loaded, str) else loaded


def parse_names(loaded: JsonSchema) -> tuple[Any, Mapping[str, Any]]:
    """(schema with full names, definitions by full name), by fastavro; raises `UnsafeSchema`."""
    if any(mark in json.dumps(loaded) for mark in _FASTAVRO_MARKS):
        # fastavro believes a schema that says of itself that it was parsed already.
        raise UnsafeSchema("parsed by fastavro already: pass the schema as it was written")
    named: dict[str, Any] = {}
    try:
        return parse_schema(loaded, named, _write_hint=False), named
    except UnknownType as error:
        raise UnsafeSchema(f"unknown type {str(error.name)[:200]}: define it in this schema") from error
    except SchemaParseException as error:
        raise UnsafeSchema(f"not an Avro schema: {str(error)[:200]}") from error
    except Exception as error:
        # fastavro trusts the form of what it parses: KeyError, TypeError, AttributeError and others.
        raise UnsafeSchema(f"not an Avro schema: {error!r:.200}") from error


def parse_strictly(loaded: JsonSchema) -> avro.schema.Schema:
    """The schema as the `avro` package reads it: like Java's, it refuses what fastavro lets pass.

    Logical types are left out: they are compared by `hub.contracts.compatibility`, and the package
    prints a warning for each that it does not know.
    """
    bare = json.loads(json.dumps(loaded), object_hook=_without_logical_type)
    try:
        return avro.schema.make_avsc_object(bare)
    except (avro.errors.AvroException, TypeError, AttributeError, KeyError) as error:
        raise UnsafeSchema(f"not an Avro schema: {str(error)[:300]}") from error


def _without_logical_type(node: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in node.items() if key != "logicalType"}


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(f"{text} is not a number in JSON")
    return number


def _deeper_than(node: Any, levels: int) -> bool:
    if levels < 0:
        return True
    children = node.values() if isinstance(node, dict) else node if isinstance(node, list) else ()
    return any(_deeper_than(child, levels - 1) for child in children)


class _Walk:
    """One walk in the decoder's footsteps. `visit` answers: can a value of this take no bytes?

    `inside` holds one entry per enclosing type: a record's full name, "" for the others.
    """

    def __init__(self, named: Mapping[str, Any], max_depth: int) -> None:
        self._named = named
        self._max_depth = max_depth
        self._nodes = 0

    def visit(self, node: Any, path: str, inside: tuple[str, ...], *, repeated: bool) -> bool:
        self._nodes += 1
        if self._nodes > MAX_NODES:
            _refuse(path, f"more than {MAX_NODES} types once names are followed: share less")
        if len(inside) > self._max_depth:
            _refuse(path, f"nested deeper than {self._max_depth} types: flatten the schema")
        node = self._named.get(node, node) if isinstance(node, str) else node
        if isinstance(node, list):
            return self._union(node, path, inside, repeated)
        kind = node if isinstance(node, str) else node["type"]
        if kind == "record":
            return self._record(node, path, inside, repeated)
        if kind in ("array", "map"):
            return self._items(node["items" if kind == "array" else "values"], kind, path, inside)
        if kind == "error":
            _refuse(path, "an error type belongs to Avro RPC: use a record")
        return kind == "null" or (kind == "fixed" and node["size"] == 0)

    def _union(self, node: list[Any], path: str, inside: tuple[str, ...], repeated: bool) -> bool:
        if not node:
            _refuse(path, "a union without branches has no value")
        for branch in node:
            # A branch may be empty (null): the index before it takes a byte.
            self.visit(branch, path, (*inside, ""), repeated=repeated)
        return False

    def _record(self, node: Mapping[str, Any], path: str, inside: tuple[str, ...], repeated: bool) -> bool:
        name = node["name"]
        if name in inside:
            _refuse(path, f"{name} contains itself: a message could nest without end; use references")
        sizeless = []
        for field in node["fields"]:
            where = f"{path}.{field['name']}" if path else str(field["name"])
            if not isinstance(field["name"], str) or not _FIELD_NAME.fullmatch(field["name"]):
                _refuse(where, "a field's name is letters, digits and _, and begins with no digit")
            sizeless.append(self.visit(field["type"], where, (*inside, name), repeated=repeated))
            if repeated and sizeless[-1]:
                _refuse(where, "takes no bytes inside an array or map: make it a union, or drop it")
            if "default" in field and not fits(field["default"], field["type"], self._named):
                _refuse(where, f"default {field['default']!r:.80} does not fit the (first) type")
        return all(sizeless)

    def _items(self, items: Any, kind: str, path: str, inside: tuple[str, ...]) -> bool:
        if self.visit(items, f"{path}[]", (*inside, ""), repeated=True):
            _refuse(path, f"an {kind} of items that take no bytes: four bytes could claim 2^31 of them")
        return False


def _refuse(path: str, message: str) -> NoReturn:
    raise UnsafeSchema(message, path)


def fits(default: Any, node: Any, named: Mapping[str, Any]) -> bool:
    """Is `default` (JSON) a value of the type? A union's default belongs to its first branch.

    Java refuses the whole schema otherwise; fastavro would hand the misfit to the reader.
    """
    if isinstance(node, list):
        return fits(default, node[0], named)
    node = named.get(node, node) if isinstance(node, str) else node
    kind = node if isinstance(node, str) else node["type"]
    if kind == "record":
        return isinstance(default, dict) and all(
            fits(default[field["name"]], field["type"], named)
            if field["name"] in default
            else "default" in field
            for field in node["fields"]
        )
    if kind == "array":
        return isinstance(default, list) and all(fits(v, node["items"], named) for v in default)
    if kind == "map":
        return isinstance(default, dict) and all(fits(v, node["values"], named) for v in default.values())
    if kind == "enum":
        return default in node["symbols"]
    return _fits_primitive(default, kind, node)


def _fits_primitive(default: Any, kind: str, node: Any) -> bool:
    if kind in ("null", "boolean"):
        return default is None if kind == "null" else isinstance(default, bool)
    if kind in _WHOLE_NUMBERS:
        whole = isinstance(default, int) and not isinstance(default, bool)
        return whole and -(2 ** _WHOLE_NUMBERS[kind]) <= default < 2 ** _WHOLE_NUMBERS[kind]
    if kind in ("float", "double"):
        return isinstance(default, (int, float)) and not isinstance(default, bool)
    if not isinstance(default, str):
        return False
    # JSON writes bytes as the characters U+0000 to U+00FF.
    octets = kind == "string" or all(ord(character) < 256 for character in default)
    return octets and (kind != "fixed" or len(default) == node["size"])
