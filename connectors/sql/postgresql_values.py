"""Values on their way to and from PostgreSQL."""

from __future__ import annotations

import json
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from connectors.sql.database import Column
from connectors.sql.local_values import Local, as_text

_DECODER = json.JSONDecoder(parse_float=Decimal)


def loads(data: str | bytes) -> Any:
    """JSON with exact numbers; `json.loads` would build a decoder for every value."""
    return _DECODER.decode(data if isinstance(data, str) else data.decode())


def escaped(sql: str) -> str:
    """SQL with parameters, for psycopg: a percent sign in an identifier is doubled."""
    return sql.replace("%", "%%")


def json_text(value: Any) -> str | None:
    return None if value is None else json.dumps(value, ensure_ascii=False, default=str)


def type_of(columns: Mapping[str, Column], name: str) -> str:
    return columns[name].type if name in columns else "text"


def literal_text(value: Local) -> str | None:
    """A value as text that PostgreSQL reads as the column's own type."""
    if isinstance(value, (list, tuple)):
        items = (str(item).replace("\\", "\\\\").replace('"', '\\"') for item in value)
        return "{" + ",".join(f'"{item}"' for item in items) + "}"
    return as_text(value)
