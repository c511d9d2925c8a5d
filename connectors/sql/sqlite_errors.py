"""SQLite's errors, as what the connector does about them. The driver's text goes to nobody (R28)."""

from __future__ import annotations

import re

from sqlalchemy.exc import DBAPIError

from connectors.sql.database import Locked, Refusal
from hub.errors import Fatal, JisrError, Retriable

_REFUSED = {
    "SQLITE_CONSTRAINT_NOTNULL": "not_null",
    "SQLITE_CONSTRAINT_UNIQUE": "unique",
    "SQLITE_CONSTRAINT_PRIMARYKEY": "unique",
    "SQLITE_CONSTRAINT_ROWID": "unique",
    "SQLITE_CONSTRAINT_FOREIGNKEY": "foreign_key",
    "SQLITE_CONSTRAINT_CHECK": "check",
    "SQLITE_CONSTRAINT_TRIGGER": "check",
    "SQLITE_CONSTRAINT_DATATYPE": "bad_value",
    "SQLITE_MISMATCH": "bad_value",
    "SQLITE_TOOBIG": "too_long",
}
_AWAY = ("SQLITE_IOERR", "SQLITE_CANTOPEN", "SQLITE_FULL", "SQLITE_READONLY")
# "NOT NULL constraint failed: table.column"; of several columns the first.
_COLUMN = re.compile(r"constraint failed: [^.]+\.([^,]+)")


def meaning(error: DBAPIError) -> JisrError:
    """`Refusal`, `Locked`, `Retriable` or `Fatal`."""
    cause = error.orig
    name: str = getattr(cause, "sqlite_errorname", "")
    if name.startswith(("SQLITE_BUSY", "SQLITE_LOCKED")):
        return Locked("the database is locked: by somebody at work there, or another side of this connector")
    if name in _REFUSED or name.startswith("SQLITE_CONSTRAINT"):
        found = _COLUMN.search(str(cause))
        return Refusal(_REFUSED.get(name, "check"), found.group(1) if found else "")
    if error.connection_invalidated or name.startswith(_AWAY):
        return Retriable(f"SQLite: {name}")
    return Fatal(f"SQLite: {name or type(cause).__name__}: {cause}")
