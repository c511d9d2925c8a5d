"""Schemas as a person reads them: subjects and versions of the registry, fields with their policies, and
what differs between two versions."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from hub.contracts.records import LANGUAGES
from hub.contracts.registry_client import RegistryClient, RegistryRefusal
from hub.contracts.safety import JsonSchema
from hub.ops.finding import NotFound

# Attributes of a field that mean something to a person, in the order in which they are told.
_ATTRIBUTES = (
    "type", "privacy", "authority", "merge", "match", "natural_key", "reference", "max_length", "pattern",
    "codes", "default",
)  # fmt: skip
_SEVERAL = ("authority", "codes")


@dataclass(frozen=True)
class SchemaField:
    """One field. `path`: its names from the outermost record on; `doc`: language → what it means; of what a
    schema does not say the text is empty."""

    path: str
    type: str
    doc: Mapping[str, str]
    privacy: str
    authority: tuple[str, ...]
    merge: str
    codes: tuple[str, ...]
    reference: str


@dataclass(frozen=True)
class SchemaVersion:
    """One version of a subject, with all of its fields."""

    subject: str
    version: int
    name: str
    doc: Mapping[str, str]
    fields: tuple[SchemaField, ...]


@dataclass(frozen=True)
class SchemaChange:
    """One difference. `what`: added, removed, meaning, or the attribute that changed; `before` and `after`
    as text, empty where there was or is nothing."""

    path: str
    what: str
    before: str
    after: str


class Schemas:
    """What the registry holds. Blocks; raises `Retriable` while it is away."""

    def __init__(self, registry: RegistryClient) -> None:
        self._registry = registry

    def subjects(self) -> list[str]:
        """All subjects, by name."""
        return sorted(self._registry.subjects())

    def versions(self, subject: str) -> list[int]:
        """The numbers of its versions, newest first; raises `NotFound`."""
        return [number for number, _ in self._found(subject)]

    def version(self, subject: str, version: int) -> SchemaVersion:
        """One version; raises `NotFound`."""
        schema = self._schema(subject, version)
        name = str(schema.get("name", "")) if isinstance(schema, dict) else str(schema)
        return SchemaVersion(subject, version, name, _docs(schema), tuple(fields_of(schema)))

    def difference(self, subject: str, before: int, after: int) -> list[SchemaChange]:
        """What is another in version `after` than in `before`; raises `NotFound`."""
        return list(differences(self._schema(subject, before), self._schema(subject, after)))

    def _schema(self, subject: str, version: int) -> JsonSchema:
        for number, schema in self._found(subject):
            if number == version:
                return schema
        raise NotFound(f"{subject} has no version {version}")

    def _found(self, subject: str) -> list[tuple[int, JsonSchema]]:
        try:
            found = self._registry.versions(subject)
        except RegistryRefusal:
            # No subject can be called so.
            found = []
        if not found:
            raise NotFound(f"the registry has no subject {subject!r}")
        return found


def fields_of(schema: JsonSchema) -> Iterator[SchemaField]:
    """All fields of a schema, those of records within it after the field that holds them."""
    for path, node in _nodes(schema):
        yield SchemaField(
            path=path,
            type=_type(node.get("type")),
            doc=_docs(node),
            privacy=str(node.get("privacy", "")),
            authority=tuple(map(str, node.get("authority", ()))),
            merge=str(node.get("merge", "")),
            codes=tuple(map(str, node.get("codes", ()))),
            reference=str(node.get("reference", "")),
        )


def _nodes(schema: Any, prefix: str = "") -> Iterator[tuple[str, Mapping[str, Any]]]:
    """(Path, field) of a record and of those within it."""
    for record in _records(schema):
        for node in record.get("fields", ()):
            path = f"{prefix}{node['name']}"
            yield path, node
            yield from _nodes(node["type"], f"{path}.")


def _records(schema: Any) -> Iterator[Mapping[str, Any]]:
    """The records that a type is, or holds without a field between."""
    if isinstance(schema, list):
        for branch in schema:
            yield from _records(branch)
    elif isinstance(schema, dict):
        if "fields" in schema:
            yield schema
        for inside in ("items", "values", "type"):
            if isinstance(schema.get(inside), (dict, list)):
                yield from _records(schema[inside])


def _type(node: Any) -> str:
    """A type in a few words: `date`, `array of string`, `one of: a, b`; `?` where null may stand."""
    if isinstance(node, list):
        rest = [_type(branch) for branch in node if branch != "null"]
        return " | ".join(rest) + ("?" if len(rest) < len(node) else "")
    if not isinstance(node, dict):
        return str(node)
    kind = node["type"]
    if kind in ("array", "map"):
        return f"{kind} of {_type(node['items' if kind == 'array' else 'values'])}"
    if kind == "enum":
        return f"one of: {', '.join(map(str, node['symbols']))}"
    if kind == "record":
        return str(node["name"])
    return str(node.get("logicalType") or _type(kind))


def _docs(node: Any) -> dict[str, str]:
    keys = {language: "doc" if language == "en" else f"doc_{language}" for language in LANGUAGES}
    return {language: str(node[key]) for language, key in keys.items() if node and key in node}


def differences(before: JsonSchema, after: JsonSchema) -> Iterator[SchemaChange]:
    """What is another in `after`, field by field; without what means nothing to a person."""
    old, new = dict(_nodes(before)), dict(_nodes(after))
    for path, node in new.items():
        if path not in old:
            yield SchemaChange(path, "added", "", _type(node["type"]))
        else:
            yield from _field_changes(path, old[path], node)
    for path, node in old.items():
        if path not in new:
            yield SchemaChange(path, "removed", _type(node["type"]), "")


def _field_changes(path: str, old: Mapping[str, Any], new: Mapping[str, Any]) -> Iterator[SchemaChange]:
    for name in _ATTRIBUTES:
        was, is_ = (_said(name, node.get(name)) for node in (old, new))
        if was != is_:
            yield SchemaChange(path, name, was, is_)
    for language, text in _docs(new).items():
        if (was := _docs(old).get(language, "")) != text:
            yield SchemaChange(path, "meaning", was, text)


def _said(name: str, value: Any) -> str:
    if value is None:
        return ""
    if name == "type":
        return _type(value)
    if name in _SEVERAL:
        return ", ".join(map(str, value))
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
