"""Values as an operator may see them: covered unless the contract says that they are nobody's secret."""

from __future__ import annotations

import datetime
from typing import Any

from hub.contracts.records import FieldSpec
from hub.contracts.values import decode
from hub.core.epochs import meant

COVER = "•••"
EMPTY = "(known to be empty)"
# Of what is shorter, the first letter would be all of it, or leave a handful to choose from.
_SHORTEST_ID, _SHORTEST_TEXT = 6, 3


def covered_id(local_id: str) -> str:
    """A local id for whoever may not see it: its first character, of a short one nothing. It may be anything,
    even a national id."""
    return f"{local_id[:1]}{COVER}" if len(local_id) >= _SHORTEST_ID else COVER


class Veil:
    """Shows values by their field's `privacy`; with `reveal`, as they are.

    `none` is shown. Of free text that is personal or identifies directly, the first letter and the length
    are left, enough to tell two spellings apart, unless it is very short. Anything else is covered whole:
    the first letter of a code, or one figure of a date, would be half of what it says; and of what is
    sensitive, all of it.
    """

    def __init__(self, *, reveal: bool = False) -> None:
        self.reveal = reveal

    def value(self, spec: FieldSpec, raw: bytes | None) -> str:
        """One encoded value (of one element, for a list field) as text."""
        if raw is None:
            return EMPTY
        value = decode(spec, raw)
        if spec.reference:
            value, _ = meant(value)
        if self.reveal or spec.privacy == "none":
            return _plain(value)
        if spec.privacy == "sensitive" or spec.codes or spec.kind not in ("string", "strings"):
            return COVER
        return f"{value[:1]}{COVER} ({len(value)})" if len(value) >= _SHORTEST_TEXT else COVER


def _plain(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return value.isoformat() if isinstance(value, datetime.date) else str(value)
