"""Compatibility of schema versions: can what one version wrote be read with another?

Two checkers must agree. The `avro` package's follows the specification; ours follows fastavro, which
reads for us, and closes the gaps between them: fastavro takes the first branch of a union that looks
right, lets two old fields fall on one new field through aliases, and applies the writer's logical type
whatever the reader's says. Messages come from ours where it objects, since it knows names and places.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from avro.compatibility import ReaderWriterCompatibilityChecker, SchemaCompatibilityType

from hub.contracts.safety import JsonSchema, parse_names, parse_strictly, read_schema

LEVELS = (
    "NONE",
    "BACKWARD",
    "BACKWARD_TRANSITIVE",
    "FORWARD",
    "FORWARD_TRANSITIVE",
    "FULL",
    "FULL_TRANSITIVE",
)
RECORD_LEVEL = "BACKWARD_TRANSITIVE"
EVENT_LEVEL = "FULL_TRANSITIVE"

# Writer's type → reader's types that it is promoted to.
_PROMOTIONS: Mapping[str, tuple[str, ...]] = {
    "int": ("long", "float", "double"),
    "long": ("float", "double"),
    "float": ("double",),
    "string": ("bytes",),
}
# In the specification and in fastavro also bytes → string, but old bytes need not be UTF-8: a message
# that is not cannot be read.
_LOOKS_RIGHT = {**_PROMOTIONS, "bytes": ("string",)}
_NAMED = ("record", "enum", "fixed")
_LOGICAL = ("logicalType", "precision", "scale")


def incompatibilities(
    new: JsonSchema, existing_newest_first: Sequence[tuple[int, JsonSchema]], level: str
) -> list[str]:
    """Why `new` may not follow the existing (version, schema) pairs at a Confluent `level`; [] if it may.

    BACKWARD: the new schema reads what the last version wrote; FORWARD: the last version reads what the
    new one writes; FULL: both; _TRANSITIVE: the same with every version. All schemas must have passed
    `check_schema`. Each message names version, direction and place.
    """
    if level not in LEVELS:
        raise ValueError(f"{level!r} is no compatibility level: use one of {', '.join(LEVELS)}")
    compared = existing_newest_first if level.endswith("_TRANSITIVE") else existing_newest_first[:1]
    messages = []
    for version, old in compared if level != "NONE" else ():
        if level.startswith(("BACKWARD", "FULL")):
            messages += [f"cannot read version {version}: {why}" for why in unreadable(new, old)]
        if level.startswith(("FORWARD", "FULL")):
            messages += [f"version {version} cannot read this: {why}" for why in unreadable(old, new)]
    return messages


def unreadable(reader: JsonSchema, writer: JsonSchema) -> list[str]:
    """Why data of `writer` cannot be read as `reader`; [] if all of it can."""
    reader, writer = read_schema(reader), read_schema(writer)
    (reader_type, reader_names), (writer_type, writer_names) = parse_names(reader), parse_names(writer)
    found = list(_Resolution(reader_names, writer_names).problems(reader_type, writer_type, ""))
    return found or _by_specification(reader, writer)


def _by_specification(reader: JsonSchema, writer: JsonSchema) -> list[str]:
    result = ReaderWriterCompatibilityChecker().get_compatibility(
        parse_strictly(reader), parse_strictly(writer)
    )
    if result.compatibility is SchemaCompatibilityType.compatible:
        return []
    return [f"{', '.join(sorted(result.messages))} (at {', '.join(sorted(result.locations))})"]


@dataclass(frozen=True)
class _Resolution:
    """Schema resolution as fastavro does it, over types with full names; yields what would fail."""

    reader_names: Mapping[str, Any]
    writer_names: Mapping[str, Any]

    def problems(self, reader: Any, writer: Any, path: str) -> Iterator[str]:
        reader, writer = _look_up(reader, self.reader_names), _look_up(writer, self.writer_names)
        if isinstance(writer, list):
            for branch in writer:
                yield from self.problems(reader, branch, path)
        elif isinstance(reader, list):
            yield from self._branch(reader, writer, path)
        elif (kind := _kind(reader)) != (old := _kind(writer)):
            if kind not in _PROMOTIONS.get(old, ()):
                yield f"{_at(path)}{old} was written, {kind} is read"
            yield from _logical_problems(reader, writer, path)
        elif kind in ("array", "map"):
            inner = "items" if kind == "array" else "values"
            yield from self.problems(reader[inner], writer[inner], f"{path}[]")
        elif kind in _NAMED:
            yield from self._named(kind, reader, writer, path)
        else:
            yield from _logical_problems(reader, writer, path)

    def _branch(self, reader: list[Any], writer: Any, path: str) -> Iterator[str]:
        # fastavro takes the first that looks right, also where a later branch would fit better.
        for branch in reader:
            if self._looks_right(branch, writer):
                yield from self.problems(branch, writer, path)
                return
        yield f"{_at(path)}{_title(writer)} was written, the union that is read has no branch for it"

    def _looks_right(self, reader: Any, writer: Any) -> bool:
        reader, writer = _look_up(reader, self.reader_names), _look_up(writer, self.writer_names)
        if isinstance(reader, list) or isinstance(writer, list):
            return True
        kind, old = _kind(reader), _kind(writer)
        if kind in _NAMED and old in _NAMED:
            names = (_short(reader), *reader.get("aliases", ()))
            return _short(writer) in names or writer["name"] in names
        if kind == old and kind in ("array", "map"):
            inner = "items" if kind == "array" else "values"
            return self._looks_right(reader[inner], writer[inner])
        return kind == old or kind in _LOOKS_RIGHT.get(old, ())

    def _named(self, kind: str, reader: Any, writer: Any, path: str) -> Iterator[str]:
        if reader["name"] != writer["name"] and not _is_alias(writer, reader):
            yield f"{_at(path)}{writer['name']} was written, {reader['name']} is read: add an alias"
        if kind == "record":
            yield from self._fields(reader, writer, path)
        elif kind == "fixed" and reader["size"] != writer["size"]:
            yield f"{_at(path)}{writer['size']} bytes were written, {reader['size']} are read"
        elif kind == "enum" and "default" not in reader:
            lost = [symbol for symbol in writer["symbols"] if symbol not in reader["symbols"]]
            if lost:
                yield f"{_at(path)}symbols {', '.join(lost)} are gone, and the enum has no default"
        yield from _logical_problems(reader, writer, path)

    def _fields(self, reader: Any, writer: Any, path: str) -> Iterator[str]:
        by_name = {field["name"]: field for field in reader["fields"]}
        by_alias = {a: field for field in reader["fields"] for a in field.get("aliases", ())}
        sources: dict[str, str] = {}
        for old in writer["fields"]:
            field = by_name.get(old["name"], by_alias.get(old["name"]))
            if field is None:
                continue
            name = field["name"]
            where = f"{path}.{name}" if path else name
            if name in sources:
                yield f"{_at(where)}fields {sources[name]} and {old['name']} would both become it"
            sources[name] = old["name"]
            yield from self.problems(field["type"], old["type"], where)
        for name, field in by_name.items():
            if name not in sources and "default" not in field:
                yield f"{_at(f'{path}.{name}' if path else name)}was not written, and has no default"


def _look_up(node: Any, names: Mapping[str, Any]) -> Any:
    return names.get(node, node) if isinstance(node, str) else node


def _kind(node: Any) -> str:
    return str(node if isinstance(node, str) else node["type"])


def _title(node: Any) -> str:
    return str(node["name"]) if _kind(node) in _NAMED else _kind(node)


def _short(node: Mapping[str, Any]) -> str:
    return str(node["name"]).rpartition(".")[2]


def _is_alias(writer: Mapping[str, Any], reader: Mapping[str, Any]) -> bool:
    return writer["name"] in reader.get("aliases", ())


def _at(path: str) -> str:
    return f"field {path}: " if path else ""


def _logical_problems(reader: Any, writer: Any, path: str) -> Iterator[str]:
    """A changed logical type reads without an error, as another value: days as milliseconds."""
    before, after = (
        tuple(node.get(name) for name in _LOGICAL) if isinstance(node, dict) else (None,) * 3
        for node in (writer, reader)
    )
    if before != after:
        yield f"{_at(path)}logical type {before[0]} was written, {after[0]} is read"
