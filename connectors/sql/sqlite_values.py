"""Values on their way to and from SQLite."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from connectors.sql.local_values import Image, Local
from connectors.sql.mapping import TableMap
from connectors.sql.sqlite_capture import literal, parse_image, quoted
from connectors.sql.tables import TABLES

_JSON_COLUMNS = {name for table in TABLES for name, kind in table.columns.items() if kind == "json"}


def lenient_text(data: bytes) -> str:
    return data.decode("utf-8", "replace")


def parser_of(name: str) -> Any:
    if name in ("old", "new"):
        return parse_image
    return (lambda value: None if value is None else json.loads(value)) if name in _JSON_COLUMNS else None


def stored(value: Any) -> str | None:
    return None if value is None else json.dumps(value, ensure_ascii=False, default=str)


def bound(value: Local) -> Local:
    return int(value) if isinstance(value, bool) else value


def image_of(table: TableMap, values: Sequence[Local]) -> Image:
    return dict(zip(table.columns, values, strict=True))


def fixed_condition(table: TableMap) -> str:
    return "".join(f" AND CAST(t.{quoted(c)} AS TEXT) = {literal(v)}" for c, v in table.fixed.items())


def kind_of(declared: str) -> str:
    """By SQLite's rules of affinity; a date is a text here."""
    if "BOOL" in declared:
        return "boolean"
    if any(word in declared for word in ("INT", "REAL", "FLOA", "DOUB", "NUM", "DEC")):
        return "number"
    return "text"


def milliseconds(value: Local) -> int | None:
    """A modification time: ISO text (UTC where it names no zone), or seconds since 1970."""
    if isinstance(value, (int, float)):
        return int(value * 1000)
    try:
        moment = datetime.fromisoformat(value)
    except (TypeError, ValueError):
        return None
    return int((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp() * 1000)
