"""PostgreSQL's errors, as what the connector does about them. The driver's text goes to nobody (R28)."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import psycopg

from connectors.sql.database import Locked, Refusal
from hub.errors import Fatal, Retriable

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
    "428C9": "generated_column",
    "42501": "not_permitted",
}
# Lock not available, deadlock, serialization failure, statement timeout or cancel.
_LOCKED = frozenset({"55P03", "40P01", "40001", "57014"})


@contextlib.contextmanager
def translated() -> Iterator[None]:
    """Turn psycopg's errors into `Refusal`, `Locked`, `Retriable` or `Fatal`."""
    try:
        yield
    except psycopg.Error as error:
        state = error.sqlstate or ""
        if state in _LOCKED:
            raise Locked("the rows are locked by somebody at the agency") from error
        if state in _REFUSED or state.startswith("22"):
            raise Refusal(_REFUSED.get(state, "bad_value"), _column(error)) from error
        # No SQLSTATE: the connection broke. 08: connection, 53: resources, 57P: shutdown, 58: system.
        if not state or state[:2] in ("08", "53", "58") or state.startswith("57P"):
            raise Retriable(f"PostgreSQL is away ({state or type(error).__name__})") from error
        raise Fatal(f"PostgreSQL, SQLSTATE {state}: {error.diag.message_primary}") from error


def _column(error: psycopg.Error) -> str:
    return error.diag.column_name or error.diag.constraint_name or ""
