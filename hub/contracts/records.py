"""Record types: one `.avsc` per type is the single source of truth (R1).

A field is `["null", T]` with default null, since presence is data (R3): which fields a message speaks
of is said by its mask. Everything else about a field is an attribute beside its type.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from hub.errors import ConfigurationError

LANGUAGES = ("ar", "fr", "en")
MERGES = frozenset({"latest", "union", "max", "immutable"})
PRIVACIES = frozenset({"none", "personal", "direct-identifier", "sensitive"})
MATCHES = frozenset(
    {
        "identifier",
        "birth_date",
        "sex",
        "name_ar_family",
        "name_ar_given",
        "name_fr_family",
        "name_fr_given",
    }
)
KINDS = frozenset({"string", "int", "long", "double", "boolean", "date", "strings"})

# Reserved source names (R2): no agency can be called so.
HUB = "hub"
STEWARD = "steward"
ANYONE = "*"

# Of a record type's topics, where its contract does not say how many.
PARTITIONS = 6
# More would cost every worker and connector memory, for a parallelism that no store gives.
_MOST_PARTITIONS = 64

_ATTRIBUTES = frozenset(
    {"name", "type", "default", "authority", "merge", "privacy", "match", "natural_key", "reference",
     "codes", "pattern", "pattern_hint_ar", "pattern_hint_fr", "pattern_hint_en", "max_length",
     "doc", "doc_ar", "doc_fr"}
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class FieldSpec:
    """One field of a record type and its policies."""

    name: str
    index: int
    kind: str
    authority: tuple[str, ...]
    merge: str
    privacy: str
    match: str | None
    natural_key: bool
    reference: str | None
    codes: Mapping[str, Mapping[str, str]]
    pattern: re.Pattern[str] | None
    pattern_hint: Mapping[str, str]
    max_length: int
    doc: Mapping[str, str]

    def rank(self, agency: str) -> int | None:
        """Position of `agency` in the field's authority: 0 is the highest, None has no say (R9)."""
        if agency == STEWARD:
            return -1
        for position, name in enumerate(self.authority):
            if name == agency:
                return position
        return self.authority.index(ANYONE) if ANYONE in self.authority else None


@dataclass(frozen=True)
class RecordType:
    """A record type: its fields in schema order, what a deletion means (R15), its share of Kafka.

    `partitions`: of each of its topics but the inboxes, which have half as many (R4).
    """

    name: str
    fields: tuple[FieldSpec, ...]
    schema: Mapping[str, Any]
    delete: str
    doc: Mapping[str, str]
    partitions: int = PARTITIONS

    @cached_property
    def by_name(self) -> Mapping[str, FieldSpec]:
        return {field.name: field for field in self.fields}

    @cached_property
    def references(self) -> tuple[FieldSpec, ...]:
        return tuple(field for field in self.fields if field.reference)

    @cached_property
    def natural_keys(self) -> tuple[FieldSpec, ...]:
        return tuple(field for field in self.fields if field.natural_key)

    @cached_property
    def identifiers(self) -> tuple[FieldSpec, ...]:
        return tuple(field for field in self.fields if field.match == "identifier")


@dataclass(frozen=True)
class Catalogue:
    """All record types of this release, by name."""

    records: Mapping[str, RecordType]

    @classmethod
    def load(cls, folder: Path) -> Catalogue:
        """Read `folder`/*.avsc; raise `ConfigurationError` naming file and field of what is wrong."""
        paths = sorted(folder.glob("*.avsc"))
        if not paths:
            raise ConfigurationError(f"{folder}: no record types (*.avsc) here; set JISR_SCHEMAS")
        records = {record.name: record for record in map(read_record_type, paths)}
        for record in records.values():
            for field in record.references:
                if field.reference not in records:
                    raise ConfigurationError(
                        f"{folder}/{record.name}.avsc: field {field.name}: reference to "
                        f"{field.reference!r}, which is no record type here ({', '.join(records)})"
                    )
        return cls(records)

    @cached_property
    def partitions(self) -> Mapping[str, int]:
        """Record type → the number of partitions of its topics, as `hub.contracts.topics` takes them."""
        return {name: record.partitions for name, record in self.records.items()}

    def dependency_order(self) -> tuple[str, ...]:
        """Record types so that each comes after those that it refers to (cycles: by name)."""
        ordered: list[str] = []
        while len(ordered) < len(self.records):
            waiting = sorted(set(self.records) - set(ordered))
            ready = [
                name
                for name in waiting
                if all(f.reference in (*ordered, name) for f in self.records[name].references)
            ]
            ordered += ready or waiting[:1]
        return tuple(ordered)


def read_record_type(path: Path) -> RecordType:
    """Read one `.avsc`; raise `ConfigurationError` that says which field or attribute is wrong."""
    try:
        schema = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ConfigurationError(f"{path}: not readable as JSON: {error}") from error
    name = schema.get("name") if isinstance(schema, dict) else None
    if not isinstance(schema, dict) or schema.get("type") != "record" or not name:
        raise ConfigurationError(f'{path}: must be an Avro record with a "name"')
    if name.lower() != path.stem or not re.fullmatch(r"[a-z][a-z0-9_]*", path.stem):
        raise ConfigurationError(f"{path}: the record's name and the file's must be one: {name!r}")
    fields = tuple(_field(path, index, field) for index, field in enumerate(schema.get("fields", ())))
    delete = schema.get("delete", "withdraw")
    if delete not in ("withdraw", "propagate"):
        raise ConfigurationError(f'{path}: "delete" is {delete!r}: use withdraw or propagate')
    return RecordType(path.stem, fields, schema, delete, _texts(schema, "doc"), _partitions(path, schema))


def _partitions(path: Path, schema: Mapping[str, Any]) -> int:
    count = schema.get("partitions", PARTITIONS)
    # A boolean is an int to Python.
    if type(count) is not int or not 1 <= count <= _MOST_PARTITIONS:
        raise ConfigurationError(
            f'{path}: "partitions" is {count!r}: a whole number from 1 to {_MOST_PARTITIONS}'
        )
    return count


def _texts(node: Mapping[str, Any], stem: str) -> dict[str, str]:
    keys = {"en": stem, "ar": f"{stem}_ar", "fr": f"{stem}_fr"}
    return {language: str(node[key]) for language, key in keys.items() if key in node}


def _field(path: Path, index: int, node: Mapping[str, Any]) -> FieldSpec:
    where = f"{path}: field {node.get('name')!r}"
    unknown = sorted(set(node) - _ATTRIBUTES)
    if unknown:
        raise ConfigurationError(f"{where}: unknown attribute {', '.join(unknown)}")
    kind = _kind(where, node)
    merge = node.get("merge", "latest")
    choices = (("merge", merge, MERGES), ("privacy", node.get("privacy"), PRIVACIES))
    for attribute, value, allowed in (*choices, ("match", node.get("match"), {None, *MATCHES})):
        if value not in allowed:
            names = ", ".join(sorted(name for name in allowed if name))
            raise ConfigurationError(f"{where}: {attribute} is {value!r}: use one of {names}")
    if (merge == "union") != (kind == "strings"):
        raise ConfigurationError(f"{where}: merge union is for an array of strings, and only for it")
    authority = node.get("authority")
    if not isinstance(authority, list) or not authority:
        # A bare word would pass for a list of its letters, and nobody would have a say.
        raise ConfigurationError(f'{where}: authority is missing or no list: name agencies, or ["*"]')
    return FieldSpec(
        name=node["name"],
        index=index,
        kind=kind,
        authority=tuple(authority),
        merge=merge,
        privacy=node["privacy"],
        match=node.get("match"),
        natural_key=bool(node.get("natural_key", False)),
        reference=node.get("reference"),
        codes=node.get("codes", {}),
        pattern=re.compile(node["pattern"]) if "pattern" in node else None,
        pattern_hint={
            language: node[f"pattern_hint_{language}"]
            for language in LANGUAGES
            if f"pattern_hint_{language}" in node
        },
        max_length=int(node.get("max_length", 1000)),
        doc=_texts(node, "doc"),
    )


def _kind(where: str, node: Mapping[str, Any]) -> str:
    union = node.get("type")
    if not isinstance(union, list) or len(union) != 2 or union[0] != "null":
        raise ConfigurationError(f'{where}: type must be ["null", T]: presence is data (R3)')
    if "default" not in node or node["default"] is not None:
        raise ConfigurationError(f'{where}: needs "default": null')
    inner = union[1]
    if isinstance(inner, str) and inner in KINDS - {"date", "strings"}:
        return inner
    if inner == {"type": "int", "logicalType": "date"}:
        return "date"
    if inner == {"type": "array", "items": "string"}:
        return "strings"
    raise ConfigurationError(
        f"{where}: type {inner!r} is not supported: use string, int, long, double, boolean, "
        "a date (int) or an array of string"
    )
