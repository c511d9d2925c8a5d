"""SQLite's errors, as what the connector does about them. The driver's text goes to nobody (R28)."""

from __future__ import annotations

import re
from pathlib import Path

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
# Beginnings of names of what may pass, and what it means: a disk is cleared, a copy comes to its end.
_AWAY = {
    "SQLITE_IOERR": "it cannot be read or written",
    "SQLITE_CANTOPEN": "it cannot be opened: see the rights to the file and its folder",
    "SQLITE_FULL": "the disk is full",
    "SQLITE_READONLY": "it cannot be written: see the rights to the file and its folder",
    "SQLITE_NOTADB": "it is no SQLite database, or only a part of one",
}
# "NOT NULL constraint failed: table.column"; of several columns the first.
_COLUMN = re.compile(r"constraint failed: [^.]+\.([^,]+)")


def meaning(error: DBAPIError, path: Path) -> JisrError:
    """`Refusal`, `Locked`, `Retriable` or `Fatal`; `path` is the database's file."""
    cause = error.orig
    name: str = getattr(cause, "sqlite_errorname", "")
    if name.startswith(("SQLITE_BUSY", "SQLITE_LOCKED")):
        return Locked("the database is locked: by somebody at work there, or another side of this connector")
    if name in _REFUSED or name.startswith("SQLITE_CONSTRAINT"):
        found = _COLUMN.search(str(cause))
        return Refusal(_REFUSED.get(name, "check"), found.group(1) if found else "")
    for beginning, what in _AWAY.items():
        if name.startswith(beginning):
            return Retriable(f"{path}: {what} ({name})")
    if error.connection_invalidated:
        return Retriable(f"{path}: the connection was lost")
    return Fatal(f"{path}: {cause} ({name or type(cause).__name__})")
