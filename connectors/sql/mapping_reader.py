"""Reads a mapping file; gathers everything that is wrong with its form, each with line and column."""

from __future__ import annotations

import datetime
import difflib
import unicodedata
from collections.abc import Iterable
from collections.abc import Mapping as MappingType
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from connectors.sql.mapping import (
    DEFAULT_LANGUAGE,
    DEFAULT_TIMEZONE,
    NOWHERE,
    FieldMap,
    JoinMap,
    Mapping,
    Place,
    RecordMap,
    TableMap,
)
from hub.contracts.documents import read_document
from hub.contracts.records import LANGUAGES
from hub.contracts.topics import agency_name
from hub.errors import ConfigurationError

_FIELD_KEYS = ("column", "columns", "codes", "format", "separator", "lengths", "prefix", "strip", "upper")
_TABLE_KEYS = ("table", "key", "joins", "modified_at", "actor", "fields", "joined", "fixed")


@dataclass(frozen=True)
class Problem:
    """Something wrong with a mapping, and where; a warning does not stop a connector."""

    at: Place
    message: str
    warning: bool = False

    def line(self, path: Path) -> str:
        severity = "warning: " if self.warning else ""
        return f"{path}:{self.at[0]}:{self.at[1]}: {severity}{self.message}"


def suggestion(name: str, known: Iterable[str]) -> str:
    """`; did you mean 'x'?` for the closest of `known`, or what there is."""
    names = list(known)
    alike = [one for one in names if _look(one) == _look(name)]
    if alike:
        # To the eye they are the same: a letter with its accent apart, a mark of direction.
        return f"; did you mean {alike[0]!r}? It is {alike[0]!a} there, and {name!a} here"
    close = difflib.get_close_matches(name, names, n=1, cutoff=0.6)
    if close:
        return f"; did you mean {close[0]!r}?"
    return f": there are {', '.join(names)}" if names else ""


def _look(name: str) -> str:
    """What a name looks like at a glance: without case, accents' encoding, spaces and invisible marks."""
    seen = unicodedata.normalize("NFKC", name).casefold()
    return "".join(c for c in seen if not c.isspace() and unicodedata.category(c) != "Cf")


def read_mapping(path: Path) -> tuple[Mapping, list[Problem]]:
    """The mapping as far as it could be read, and all that is wrong with its form.

    Raises `ConfigurationError` for a file that is no YAML mapping at all.
    """
    document = read_document(path)
    if not isinstance(document, MappingType):
        raise ConfigurationError(f"{path}:1:1: a mapping file has the keys `agency` and `records`")
    reader = _Reader()
    return reader.mapping(document, path), reader.problems


class _Reader:
    """Walks the document; notes a problem and goes on with what is left."""

    def __init__(self) -> None:
        self.problems: list[Problem] = []

    def complain(self, node: Any, key: Any, message: str) -> None:
        self.problems.append(Problem(place(node, key), message))

    def only(self, node: Any, allowed: tuple[str, ...]) -> None:
        for key in node:
            if key not in allowed:
                self.complain(node, key, f"unknown key {key!r}{suggestion(str(key), allowed)}")

    def section(self, parent: Any, key: Any, what: str) -> Any:
        node = parent.get(key)
        if node is None:
            return {}
        if not isinstance(node, MappingType):
            self.complain(parent, key, f"{key}: {what} expected")
            return {}
        return node

    def texts(self, parent: Any, key: str, what: str) -> Any:
        """A section of texts by texts; what is empty, a list or a section has no text."""
        node = self.section(parent, key, what)
        for name, value in node.items():
            for one in (name, value):
                if one is None or not isinstance(one, str | int | datetime.date):
                    self.complain(node, name, f"{key}: {what} expected; put in quotes what is one")
        return node

    def text(self, node: Any, key: str) -> str:
        value = node.get(key)
        if not isinstance(value, str) or not value:
            self.complain(node, key, f"{key}: a name expected")
            return ""
        return value

    def mapping(self, document: Any, path: Path) -> Mapping:
        self.only(document, ("agency", "timezone", "language", "records"))
        agency = self.text(document, "agency")
        try:
            agency_name(agency)
        except ConfigurationError as error:
            self.complain(document, "agency", str(error))
        records = self.section(document, "records", "record types with their tables")
        if not records:
            self.complain(document, "records", "records: at least one record type expected")
        return Mapping(
            agency=agency,
            records={str(name): self.record(records, name) for name in records},
            path=path,
            timezone=str(document.get("timezone", DEFAULT_TIMEZONE)),
            language=self.language(document),
            at=place(document, "agency"),
        )

    def language(self, document: Any) -> str:
        language = str(document.get("language", DEFAULT_LANGUAGE))
        if language not in LANGUAGES:
            self.complain(document, "language", f"language {language!r}: use {', '.join(LANGUAGES)}")
            return DEFAULT_LANGUAGE
        return language

    def record(self, records: Any, name: Any) -> RecordMap:
        at, node = place(records, name), self.section(records, name, "`tables`")
        self.only(node, ("tables",))
        entries = node.get("tables")
        if (
            not isinstance(entries, list)
            or not all(isinstance(e, MappingType) for e in entries)
            or not entries
        ):
            self.complain(records, name, f"{name}: needs `tables`, a list whose first is the main table")
            return RecordMap(str(name), (TableMap(0, "", "", at=at),), at)
        tables = tuple(self.table(entry, part) for part, entry in enumerate(entries))
        return RecordMap(str(name), tables, at)

    def table(self, node: Any, part: int) -> TableMap:
        self.only(node, _TABLE_KEYS)
        key_name = "joins" if part else "key"
        if ("key" if part else "joins") in node:
            wrong = "the main table has `key`" if not part else "a further table has `joins`"
            self.complain(node, "key" if part else "joins", f"{wrong}, not this")
        key, generated = self.key(node, key_name)
        fields = self.section(node, "fields", "fields with their columns")
        joined = node.get("joined", [])
        if not isinstance(joined, list):
            self.complain(node, "joined", "joined: a list expected")
            joined = []
        modified_at = self.text(node, "modified_at") if "modified_at" in node else None
        actor = self.text(node, "actor") if "actor" in node else None
        return TableMap(
            part=part,
            table=self.text(node, "table"),
            key=key,
            fields=tuple(self.field(fields, name) for name in fields),
            joined=tuple(self.join(joined, position) for position in range(len(joined))),
            fixed=_by_text(self.texts(node, "fixed", "column: value")),
            modified_at=modified_at,
            actor=actor,
            generated=generated,
            at=place(node, "table"),
            key_at=place(node, key_name),
        )

    def key(self, node: Any, name: str) -> tuple[str, str | None]:
        entry = node.get(name)
        if not isinstance(entry, MappingType):
            return self.text(node, name), None
        self.only(entry, ("column", "generated"))
        generated = entry.get("generated")
        if generated not in (None, "uuid"):
            self.complain(entry, "generated", f"generated: {generated!r}: only uuid can be made here")
        return self.text(entry, "column"), generated

    def field(self, fields: Any, name: Any) -> FieldMap:
        at, node = place(fields, name), fields[name]
        if isinstance(node, str) and node:
            return FieldMap(str(name), (node,), at=at)
        if not isinstance(node, MappingType):
            self.complain(fields, name, f"{name}: a column's name, or `column` with options, expected")
            return FieldMap(str(name), ("",), at=at)
        self.only(node, _FIELD_KEYS)
        codes = self.texts(node, "codes", "local code: contract code")
        prefix = self.texts(node, "prefix", "local beginning: contract beginning")
        return FieldMap(
            field=str(name),
            columns=self.columns(node),
            codes=_by_text(codes),
            format=self.text(node, "format") if "format" in node else None,
            separator=self.plain(node, "separator"),
            lengths=self.lengths(node),
            prefix=_by_text(prefix),
            strip=self.plain(node, "strip") or "",
            upper=self.flag(node, "upper"),
            at=at,
            codes_at={code_text(local): place(codes, local) for local in codes},
        )

    def flag(self, node: Any, key: str) -> bool:
        value = node.get(key, False)
        if not isinstance(value, bool):
            self.complain(node, key, f"{key}: true or false expected")
        return value is True

    def plain(self, node: Any, key: str) -> str | None:
        """Text that may be empty or blank: a separator."""
        value = node.get(key)
        if value is not None and not isinstance(value, str):
            self.complain(node, key, f"{key}: text expected; put it in quotes")
            return None
        return value

    def lengths(self, node: Any) -> tuple[int, ...]:
        value = node.get("lengths", [])
        if not isinstance(value, list) or not all(isinstance(n, int) and n > 0 for n in value):
            self.complain(node, "lengths", "lengths: the number of characters of each column expected")
            return ()
        return tuple(value)

    def columns(self, node: Any) -> tuple[str, ...]:
        if ("column" in node) == ("columns" in node):
            self.complain(node, "columns", "either `column` or `columns` expected")
            return ("",)
        if "column" in node:
            return (self.text(node, "column"),)
        names = node["columns"]
        if not isinstance(names, list) or len(names) < 2 or not all(isinstance(n, str) and n for n in names):
            self.complain(node, "columns", "columns: a list of two or more column names expected")
            return ("",)
        return tuple(names)

    def join(self, joined: Any, position: int) -> JoinMap:
        node, at = joined[position], place(joined, position)
        if not isinstance(node, MappingType):
            self.complain(joined, position, "joined: `column`, `fields` and `separator` expected")
            return JoinMap("", (), " ", at)
        self.only(node, ("column", "fields", "separator"))
        names = node.get("fields")
        if not isinstance(names, list) or len(names) < 2:
            self.complain(node, "fields", "fields: the two or more fields that the column holds expected")
            names = []
        separator = self.plain(node, "separator")
        if not separator:
            self.complain(node, "separator", "separator: the text between the values expected")
        return JoinMap(self.text(node, "column"), tuple(map(str, names)), separator or " ", at)


def place(node: Any, key: Any) -> Place:
    """Line and column of a key, from 1; of the node where it has no such key."""
    try:
        marks = node.lc
        where = marks.item(key) if isinstance(node, list) else marks.key(key)
        return where[0] + 1, where[1] + 1
    except (AttributeError, KeyError, IndexError, TypeError):
        own = getattr(node, "lc", None)
        if own is None or own.line is None:
            return NOWHERE
        return own.line + 1, own.col + 1


def _by_text(node: MappingType[Any, Any]) -> dict[str, str]:
    return {code_text(name): code_text(value) for name, value in node.items()}


def code_text(value: Any) -> str:
    """A YAML scalar used as a code: YAML's own true or 1 as it is written in a database's text."""
    return str(value).lower() if isinstance(value, bool) else str(value)
