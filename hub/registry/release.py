"""This release against a registry: what `jisr schema check` finds and `jisr schema register` does."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hub.contracts.agreements import Agreement, load_agreements
from hub.contracts.compatibility import EVENT_LEVEL, RECORD_LEVEL, incompatibilities
from hub.contracts.events import EventSchemas
from hub.contracts.records import Catalogue, RecordType, read_record_type
from hub.contracts.registry_client import RegistryClient
from hub.contracts.safety import JsonSchema, UnsafeSchema, check_schema
from hub.contracts.subjects import contract_subject, event_subjects

# From open to guarded: a step to the left discloses what people were told would be guarded (R5).
_PRIVACY = ("none", "personal", "direct-identifier", "sensitive")

# What nothing decides anew when it changes, and what would be wrong then.
_FOR_GOOD: Mapping[str, str] = {
    "match": "who is who would not be what was decided by it",
    "natural_key": "which records are one would not be what was decided by it",
    "reference": "what is there would refer to another record type",
}


@dataclass(frozen=True)
class Release:
    """Record types and, where a whole release was loaded, the subjects of its events."""

    records: Mapping[str, RecordType]
    events: Mapping[str, JsonSchema]

    @classmethod
    def load(cls, schemas: Path, agreements: Path) -> Release:
        """Read `schemas`/records, `schemas`/events and the agreements, if any; `ConfigurationError`."""
        catalogue = Catalogue.load(schemas / "records")
        found: Mapping[str, Agreement] = {}
        if any(agreements.glob("*.yaml")):
            found = load_agreements(agreements, catalogue)
        events = EventSchemas(schemas / "events")
        return cls(catalogue.records, event_subjects(catalogue, events, found))

    @classmethod
    def of_records(cls, paths: Iterable[Path]) -> Release:
        """Single record types, before they are part of a release."""
        return cls({record.name: record for record in map(read_record_type, paths)}, {})

    def subjects(self) -> Iterator[tuple[str, JsonSchema, str]]:
        """(subject, schema, compatibility level)."""
        for record in self.records.values():
            yield contract_subject(record), dict(record.schema), RECORD_LEVEL
        for subject, schema in self.events.items():
            yield subject, schema, EVENT_LEVEL

    def unsafe(self) -> Iterator[str]:
        """What R6 refuses."""
        # Agencies share schemas: each is looked at once.
        for text, subject in {json.dumps(s): name for name, s, _ in self.subjects()}.items():
            try:
                check_schema(text)
            except UnsafeSchema as error:
                yield f"{subject}: {error}"

    def breaking(self, client: RegistryClient) -> Iterator[str]:
        """What the versions in the registry would break on."""
        # Asked once: most of a new agency's or record type's subjects have no version to compare with.
        known = client.subjects()
        for subject, schema, level in self.subjects():
            if subject not in known:
                continue
            # Not with itself: of a release that was registered already, that is nearly all there is.
            others = [(number, old) for number, old in client.versions(subject) if old != schema]
            for why in incompatibilities(schema, others, level):
                yield f"{subject}: {why}; what was written must stay readable: add a new field instead"

    def policy_changes(
        self, client: RegistryClient, may_weaken: Collection[str]
    ) -> Iterator[tuple[bool, str]]:
        """(is it refused, message) for each changed policy (R5); `may_weaken`: `record.field` names."""
        for record in self.records.values():
            old: dict[str, Mapping[str, Any]] = {}
            # Oldest first, so that a field that was dropped and comes back is held to what it last was.
            for _, schema in reversed(client.versions(contract_subject(record))):
                assert isinstance(schema, dict)
                old |= {field["name"]: field for field in schema["fields"]}
            for field in record.schema["fields"]:
                if field["name"] in old:
                    allowed = f"{record.name}.{field['name']}" in may_weaken
                    yield from _field_changes(record.name, old[field["name"]], field, allowed)

    def register(self, client: RegistryClient) -> Iterator[tuple[str, int]]:
        """Register every subject at its level; yields (subject, id). Safe to repeat."""
        for subject, schema, level in self.subjects():
            client.set_compatibility(subject, level)
            yield subject, client.register(subject, schema)


def _field_changes(
    record: str, old: Mapping[str, Any], new: Mapping[str, Any], may_weaken: bool
) -> Iterator[tuple[bool, str]]:
    where = f"{record}.{new['name']}"
    merges = old.get("merge", "latest"), new.get("merge", "latest")
    if merges[0] != merges[1]:
        yield True, f"{where}: merge {merges[0]} → {merges[1]}: it never changes; add a new field"
    before, after = old["privacy"], new["privacy"]
    if _PRIVACY.index(after) < _PRIVACY.index(before):
        hint = "" if may_weaken else f"; if that is decided: --weaken-privacy {where}"
        yield not may_weaken, f"{where}: privacy {before} → {after} weakens it{hint}"
    for attribute, consequence in _FOR_GOOD.items():
        if old.get(attribute) != new.get(attribute):
            yield True, f"{where}: {attribute} changes: {consequence}; add a new field"
    if gone := sorted(old.get("codes", {}).keys() - new.get("codes", {}).keys()):
        way = "keep them, and take them out of the mappings and forms in which they are written"
        yield True, f"{where}: codes {', '.join(gone)} are gone, and records have them: {way}"
    elif new.get("codes") and not old.get("codes"):
        yield True, f"{where}: a code list, where anything could be written: add a new field"
    if old.get("authority") != new.get("authority"):
        yield False, f"{where}: authority changes: all its golden values are computed anew"
