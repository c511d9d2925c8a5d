"""SQLite's errors, as what the connector does about them. The driver's text goes to nobody (R28)."""

from __future__ import annotations

import contextlib
import re
import sqlite3
from collections.abc import Iterator

from connectors.sql.database import Locked, Refusal
from hub.errors import Fatal, Retriable

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


@contextlib.contextmanager
def translated() -> Iterator[None]:
    """Turn sqlite3's errors into `Refusal`, `Locked`, `Retriable` or `Fatal`."""
    try:
        yield
    except sqlite3.Error as error:
        name = getattr(error, "sqlite_errorname", "")
        if name.startswith(("SQLITE_BUSY", "SQLITE_LOCKED")):
            raise Locked("the database is locked by somebody at the agency") from error
        if name in _REFUSED or name.startswith("SQLITE_CONSTRAINT"):
            found = _COLUMN.search(str(error))
            raise Refusal(_REFUSED.get(name, "check"), found.group(1) if found else "") from error
        if name.startswith(_AWAY):
            raise Retriable(f"SQLite: {name}") from error
        raise Fatal(f"SQLite: {name or type(error).__name__}: {error}") from error
