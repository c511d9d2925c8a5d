"""PostgreSQL's errors, as what the connector does about them. The driver's text goes to nobody (R28)."""

from __future__ import annotations

from typing import Any

from sqlalchemy.exc import DataError, DBAPIError

from connectors.sql.database import Locked, Refusal
from hub.errors import Fatal, JisrError, Retriable

# SQLSTATE → the code that the hub is told.
_REFUSED = {
    "23502": "not_null",
    "23503": "foreign_key",
    "23505": "unique",
    "23P01": "unique",
    "23514": "check",
    "P0001": "check",
    "44000": "check",
    "22001": "too_long",
    "42703": "unknown_column",
    "42P01": "unknown_table",
    "42804": "bad_value",
    "428C9": "generated_column",
    "42501": "not_permitted",
}
# Bookkeeping tables begin so: what is refused there is of no single delivery.
_OWN = "jisr_"
# What only a mistake of this connector's own brings about: a statement's form, or its place.
_MISTAKES = ("42601", "25", "26", "34")
# Lock not available, deadlock, serialization failure, statement timeout or cancel.
_LOCKED = frozenset({"55P03", "40P01", "40001", "57014"})


def meaning(error: DBAPIError) -> JisrError:
    """`Refusal`, `Locked`, `Retriable` or `Fatal`."""
    cause: Any = error.orig
    state: str = getattr(cause, "sqlstate", None) or ""
    if state in _LOCKED:
        return Locked("the rows are locked: by somebody at work there, or another side of this connector")
    # Of rights, of what there is and of what it cannot do, PostgreSQL's own word names tables and columns,
    # and no value.
    word = (cause.diag.message_primary or "") if state.startswith(("42", "0A")) else ""
    if _OWN in word:
        return Retriable(f"the connector's own bookkeeping is not as it was made: {word}")
    if state in _REFUSED or state.startswith("22"):
        return Refusal(_REFUSED.get(state, "bad_value"), _column(cause), word)
    if not state and isinstance(error, DataError) and not error.connection_invalidated:
        # The driver itself refuses a text, as one with a NUL.
        return Refusal("bad_value")
    # No SQLSTATE: the connection broke. 08: connection, 53: resources, 57P: shutdown, 58: system.
    if (
        error.connection_invalidated
        or not state
        or state[:2] in ("08", "53", "58")
        or state.startswith("57P")
    ):
        return Retriable(f"PostgreSQL is away ({state or _unconnected(cause)})")
    if state.startswith(_MISTAKES):
        return Fatal(f"PostgreSQL, SQLSTATE {state}: {cause.diag.message_primary}")
    # A trigger of the agency may end with any state that it likes: one row's matter, not the connector's end.
    return Refusal("check", _column(cause), f"SQLSTATE {state} {word}".rstrip())


def _unconnected(cause: Any) -> str:
    """Why there is no connection, as a wrong password: the last line, which names no value of any row.

    libpq's question after it, whether the server is running, says neither where nor why.
    """
    lines = [line for line in str(cause).strip().splitlines() if not line.endswith("?")]
    return lines[-1].strip() if lines else type(cause).__name__


def _column(cause: Any) -> str:
    return cause.diag.column_name or cause.diag.constraint_name or ""
