"""Agreements: what each agency may say and what it may know. What is not declared never leaves.

One file per agency in `deploy/agreements/`, part of the hub's release (R5).
"""

from __future__ import annotations

import datetime
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hub.contracts.documents import read_document
from hub.contracts.records import Catalogue
from hub.contracts.topics import agency_name
from hub.errors import ConfigurationError

PUBLIC_MISSION = "public-mission"
CONSENT = "consent"
UNFILTERED, FILTERED = "none", "filtered"
_LANGUAGES = ("ar", "fr", "en")


@dataclass(frozen=True)
class Grant:
    """Fields of one record type that an agency may hold, and on what ground.

    `fields` in schema order. `create`: the agency wants rows it does not have yet. `until`: last day,
    or None. With the legal basis `consent`, only for persons whose consent is in force.
    """

    fields: tuple[str, ...]
    purpose: str
    legal_basis: str
    create: bool
    until: datetime.date | None


@dataclass(frozen=True)
class Agreement:
    """One agency's agreement.

    `snapshot`: the agency has records of its own to begin with; nothing is created there before its
    snapshot has come in, since the hub would create again what the agency already has. `filters_echoes`: its
    client repeats what it was told, and the hub takes that out of its changes (R12).
    """

    agency: str
    name: Mapping[str, str]
    until: datetime.date
    publishes: Mapping[str, frozenset[str]]
    receives: Mapping[str, tuple[Grant, ...]]
    snapshot: bool = False
    filters_echoes: bool = False

    @property
    def record_types(self) -> tuple[str, ...]:
        """Every record type that the agency says or hears anything of."""
        return tuple(dict.fromkeys((*self.publishes, *self.receives)))


def load_agreements(folder: Path, catalogue: Catalogue) -> dict[str, Agreement]:
    """All agreements of a folder by agency; raises `ConfigurationError` with file, line and column."""
    for path in sorted(folder.glob("*.yml")):
        # Not read, it would end an agency's agreement without a word.
        raise ConfigurationError(f"{path}: the name of an agreement's file ends with .yaml")
    paths = sorted(folder.glob("*.yaml"))
    if not paths:
        raise ConfigurationError(f"{folder}: no agreements (*.yaml) here; set JISR_AGREEMENTS")
    agreements = {}
    for path in paths:
        agreement = load_agreement(path, catalogue)
        if agreement.agency in agreements:
            raise ConfigurationError(f"{path}: a second agreement of {agreement.agency}")
        agreements[agreement.agency] = agreement
    return agreements


def load_agreement(path: Path, catalogue: Catalogue) -> Agreement:
    """One agreement; raises `ConfigurationError` with file, line and column."""
    return _Reader(path, catalogue).agreement(read_document(path))


class _Reader:
    """Reads one document; every complaint carries line and column."""

    def __init__(self, path: Path, catalogue: Catalogue) -> None:
        self.path = path
        self.catalogue = catalogue

    def fail(self, node: Any, key: Any, message: str) -> ConfigurationError:
        line, column = 0, 0
        try:
            where = node.lc.item(key) if isinstance(key, int) else node.lc.key(key)
            line, column = where[0] + 1, where[1] + 1
        except (AttributeError, KeyError, TypeError):
            if getattr(node, "lc", None) is not None and node.lc.line is not None:
                line, column = node.lc.line + 1, node.lc.col + 1
        return ConfigurationError(f"{self.path}:{line}:{column}: {message}")

    def mapping(self, parent: Any, key: Any, what: str) -> Any:
        node = parent.get(key)
        if not isinstance(node, Mapping):
            raise self.fail(parent, key, f"{key}: {what} expected")
        return node

    def only(self, node: Any, allowed: Iterable[str]) -> None:
        names = tuple(allowed)
        for key in node:
            if key not in names:
                raise self.fail(node, key, f"unknown key {key!r}: use {', '.join(names)}")

    def agreement(self, document: Any) -> Agreement:
        if not isinstance(document, Mapping):
            raise ConfigurationError(f"{self.path}:1:1: an agreement is a mapping with `agency`")
        self.only(document, ("agency", "name", "until", "snapshot", "echoes", "publishes", "receives"))
        try:
            agency = agency_name(str(document.get("agency", "")))
        except ConfigurationError as error:
            raise self.fail(document, "agency", str(error)) from error
        publishes = self.mapping(document, "publishes", "record types with their fields, or {} for none,")
        receives = self.mapping(
            document, "receives", "record types with what may be received, or {} for none,"
        )
        if not isinstance(document.get("snapshot", False), bool):
            raise self.fail(document, "snapshot", "snapshot: true or false expected")
        echoes = document.get("echoes", UNFILTERED)
        if echoes not in (UNFILTERED, FILTERED):
            raise self.fail(document, "echoes", f"echoes {echoes!r}: use {UNFILTERED} or {FILTERED}")
        return Agreement(
            agency=agency,
            name=self.name(document),
            until=self.date(document, "until", required=True),
            publishes={kind: frozenset(self.fields(publishes, kind, kind)) for kind in publishes},
            receives={kind: self.grants(receives, kind) for kind in receives},
            snapshot=document.get("snapshot", False),
            filters_echoes=echoes == FILTERED,
        )

    def name(self, document: Any) -> dict[str, str]:
        name = self.mapping(document, "name", "a name in ar, fr and en")
        self.only(name, _LANGUAGES)
        for language in _LANGUAGES:
            if not isinstance(name.get(language), str) or not name[language].strip():
                raise self.fail(name, language, f"name: a text in {language} expected")
        return dict(name)

    def fields(self, parent: Any, key: Any, record_type: str) -> tuple[str, ...]:
        record = self.catalogue.records.get(record_type)
        if record is None:
            known = ", ".join(self.catalogue.records)
            raise self.fail(parent, key, f"no record type {record_type!r}: there are {known}")
        names = parent[key]
        if not isinstance(names, list):
            raise self.fail(parent, key, f"{key}: a list of field names expected")
        for position, name in enumerate(names):
            if name not in record.by_name:
                known = ", ".join(record.by_name)
                message = f"{record_type} has no field {name!r}: there are {known}"
                raise self.fail(names, position, message)
        return tuple(name for name in record.by_name if name in names)

    def grants(self, receives: Any, record_type: str) -> tuple[Grant, ...]:
        node = receives[record_type]
        entries = node if isinstance(node, list) else [node]
        for entry in entries:
            if not isinstance(entry, Mapping):
                raise self.fail(receives, record_type, f"{record_type}: needs fields and purpose")
        return tuple(self.grant(entry, record_type) for entry in entries)

    def grant(self, entry: Any, record_type: str) -> Grant:
        self.only(entry, ("fields", "purpose", "legal_basis", "create", "until"))
        for key in ("fields", "purpose", "legal_basis", "create"):
            if key not in entry:
                raise self.fail(entry, key, f"{record_type}: {key} is missing")
        if entry["legal_basis"] not in (PUBLIC_MISSION, CONSENT):
            message = f"legal_basis {entry['legal_basis']!r}: use {PUBLIC_MISSION} or {CONSENT}"
            raise self.fail(entry, "legal_basis", message)
        purposes = self.purposes_of_consents()
        if entry["legal_basis"] == CONSENT and purposes and entry["purpose"] not in purposes:
            # Nobody could ever consent to it, so that all of it would be taken back without a word.
            message = f"no consent can have the purpose {entry['purpose']!r}: use {', '.join(purposes)}"
            raise self.fail(entry, "purpose", message)
        if not isinstance(entry["create"], bool):
            raise self.fail(entry, "create", "create: true or false expected")
        return Grant(
            fields=self.fields(entry, "fields", record_type),
            purpose=str(entry["purpose"]),
            legal_basis=entry["legal_basis"],
            create=entry["create"],
            until=self.date(entry, "until", required=False),
        )

    def purposes_of_consents(self) -> tuple[str, ...]:
        """The codes of a consent's purpose; none if the release has no such record type."""
        consent = self.catalogue.records.get(CONSENT)
        spec = None if consent is None else consent.by_name.get("purpose")
        return () if spec is None else tuple(spec.codes)

    def date(self, node: Any, key: str, *, required: bool) -> Any:
        value = node.get(key)
        if value is None and not required:
            return None
        if not isinstance(value, datetime.date) or isinstance(value, datetime.datetime):
            raise self.fail(node, key, f"{key}: a date like 2030-12-31 expected")
        return value
