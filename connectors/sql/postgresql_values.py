"""Values on their way to and from PostgreSQL."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

from sqlalchemy.types import UserDefinedType

from connectors.sql.local_values import Local, as_text

_encoder = json.JSONEncoder(ensure_ascii=False, default=str)
_decoder = json.JSONDecoder(parse_float=Decimal)


def loads(data: str | bytes) -> Any:
    """JSON with exact numbers; `json.loads` would build a decoder for every value."""
    return _decoder.decode(data if isinstance(data, str) else data.decode())


def json_text(value: Any) -> str:
    return _encoder.encode(value)


def literal_text(value: Local) -> str | None:
    """A value as text that PostgreSQL reads as the column's own type."""
    if isinstance(value, (list, tuple)):
        items = (str(item).replace("\\", "\\\\").replace('"', '\\"') for item in value)
        return "{" + ",".join(f'"{item}"' for item in items) + "}"
    return as_text(value)


class AsText(UserDefinedType[Any]):
    """A column's type by its name; values are texts that the type reads."""

    cache_ok = True

    def __init__(self, name: str) -> None:
        self.name = name

    def get_col_spec(self, **_: Any) -> str:
        return self.name
