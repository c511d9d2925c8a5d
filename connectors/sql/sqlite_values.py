"""Values on their way to and from SQLite."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import types
from sqlalchemy.types import TypeEngine, UserDefinedType

from connectors.sql.local_values import Image, Local
from connectors.sql.mapping import TableMap
from connectors.sql.sqlite_capture import parse_image
from connectors.sql.tables import TABLES

_JSON_COLUMNS = {name for table in TABLES for name, kind in table.columns.items() if kind == "json"}


def lenient_text(data: bytes) -> str:
    return data.decode("utf-8", "replace")


_encode = json.JSONEncoder(ensure_ascii=False, default=str).encode


class Json(UserDefinedType[Any]):
    """JSON in a text column."""

    cache_ok = True
    read: Callable[[str], Any] = staticmethod(json.loads)

    def get_col_spec(self, **_: Any) -> str:
        return "TEXT"

    def bind_processor(self, dialect: Any) -> Any:  # noqa: ARG002
        return lambda value: None if value is None else _encode(value)

    def result_processor(self, dialect: Any, coltype: Any) -> Any:  # noqa: ARG002
        read = self.read
        return lambda value: None if value is None else read(value)


class Captured(Json):
    """A row as a trigger wrote it, or JSON that the connector wrote itself."""

    cache_ok = True
    read: Callable[[str], Any] = staticmethod(parse_image)


# By name: statements of the port are texts, which do not say of what type a column of the answer is.
RESULTS = {
    name: Captured() if name in ("old", "new") else Json()
    for table in TABLES
    for name, kind in table.columns.items()
    if kind == "json"
}


def image_of(table: TableMap, values: Sequence[Local]) -> Image:
    return dict(zip(table.columns, values, strict=True))


def kind_of(type_: TypeEngine[Any]) -> str:
    """By SQLite's rules of affinity; a date is a text here."""
    if isinstance(type_, types.Boolean):
        return "boolean"
    return "number" if isinstance(type_, (types.Integer, types.Numeric, types.Float)) else "text"


def milliseconds(value: Local) -> int | None:
    """A modification time: ISO text (UTC where it names no zone), or seconds since 1970."""
    if isinstance(value, (int, float)):
        return int(value * 1000)
    try:
        moment = datetime.fromisoformat(value)
    except (TypeError, ValueError):
        return None
    return int((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp() * 1000)
