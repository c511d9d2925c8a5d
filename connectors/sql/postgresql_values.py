"""Values on their way to and from PostgreSQL."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import msgspec
from sqlalchemy.types import UserDefinedType

from connectors.sql.local_values import Local, as_text

# Rows and shadows come and go as JSON, some twenty values a row: a fifth of a connector's time by `json`.
_encode = msgspec.json.Encoder(enc_hook=str).encode
_decode = msgspec.json.Decoder(float_hook=Decimal).decode


def loads(data: str | bytes) -> Any:
    """JSON with exact numbers."""
    return _decode(data)


def json_text(value: Any) -> str:
    return _encode(value).decode()


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
