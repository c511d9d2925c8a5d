"""Who may come into the console: people's sessions, and programs' tokens. Only hashes of secrets are kept."""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from typing import Any, NamedTuple

from sqlalchemy import text

from hub.store.transaction import Transaction

# Ended sessions are of use to whoever asks who was in; the audit trail keeps the deeds.
_BEGIN = text("""
    WITH forgotten AS (DELETE FROM console_session WHERE until < now() - interval '30 days')
    INSERT INTO console_session (mark, account, name, role, agency, until)
    VALUES (:mark, :account, :name, :role, :agency, :until)
""")
_OPEN = text("SELECT 1 FROM console_session WHERE mark = :mark AND ended_at IS NULL AND until > now()")
_SESSIONS = text("""
    SELECT id, account, name, role, agency, begun_at, until FROM console_session
    WHERE ended_at IS NULL AND until > now() AND (CAST(:account AS text) IS NULL OR account = :account)
    ORDER BY begun_at DESC, id DESC LIMIT :limit
""")
_END = text("""
    UPDATE console_session SET ended_at = now()
    WHERE ended_at IS NULL AND until > now()
      AND (account = CAST(:account AS text) OR id = CAST(:id AS bigint) OR mark = CAST(:mark AS bytea))
    RETURNING id, account, name, role, agency, begun_at, until
""")

_MAKE = text("""
    INSERT INTO console_token (mark, name, role, agency, made_by, until)
    VALUES (:mark, :name, :role, :agency, :made_by, :until) RETURNING id
""")
_USE = text("""
    WITH used AS (
        UPDATE console_token SET used_at = now()
        WHERE mark = :mark AND revoked_at IS NULL AND until > now()
          AND (used_at IS NULL OR used_at < now() - interval '1 minute')
    )
    SELECT id, name, role, agency FROM console_token
    WHERE mark = :mark AND revoked_at IS NULL AND until > now()
""")
_TOKENS = text("""
    SELECT id, name, role, agency, made_by, made_at, until, used_at, revoked_at FROM console_token ORDER BY id
""")
_REVOKE = text("""
    UPDATE console_token SET revoked_at = now() WHERE id = :id AND revoked_at IS NULL
    RETURNING id, name, role, agency, made_by, made_at, until, used_at, revoked_at
""")


class Entrant(NamedTuple):
    """Whom a session or token lets in."""

    account: str
    name: str
    role: str
    agency: str | None


class KeptSession(NamedTuple):
    """A session that is open."""

    id: int
    account: str
    name: str
    role: str
    agency: str | None
    begun_at: datetime.datetime
    until: datetime.datetime


class KeptToken(NamedTuple):
    """A token, as it is kept."""

    id: int
    name: str
    role: str
    agency: str | None
    made_by: str
    made_at: datetime.datetime
    until: datetime.datetime
    used_at: datetime.datetime | None
    revoked_at: datetime.datetime | None


def begin_session(tx: Transaction, mark: bytes, entrant: Entrant, until: datetime.datetime) -> None:
    tx.connection.execute(_BEGIN, {"mark": mark, "until": until, **entrant._asdict()})


def is_open(tx: Transaction, mark: bytes) -> bool:
    return tx.connection.execute(_OPEN, {"mark": mark}).first() is not None


def open_sessions(tx: Transaction, account: str | None, limit: int) -> list[KeptSession]:
    """The newest first; `account`: only of this one."""
    rows = tx.connection.execute(_SESSIONS, {"account": account, "limit": limit})
    return [KeptSession(*row) for row in rows]


def end_sessions(
    tx: Transaction, *, account: str | None = None, number: int | None = None, mark: bytes | None = None
) -> list[KeptSession]:
    """End one session, or all of an account; returns those that were open."""
    rows: Sequence[Any] = tx.connection.execute(_END, {"account": account, "id": number, "mark": mark}).all()
    return [KeptSession(*row) for row in rows]


def make_token(tx: Transaction, mark: bytes, entrant: Entrant, made_by: str, until: datetime.datetime) -> int:
    """Keep a new token; returns its number."""
    given = entrant._asdict() | {"mark": mark, "made_by": made_by, "until": until}
    given.pop("account")
    return int(tx.connection.execute(_MAKE, given).scalar_one())


def use_token(tx: Transaction, mark: bytes) -> tuple[int, str, str, str | None] | None:
    """(number, name, role, agency) of a token that is good, and note that it was used."""
    row = tx.connection.execute(_USE, {"mark": mark}).first()
    return (row.id, row.name, row.role, row.agency) if row else None


def tokens(tx: Transaction) -> list[KeptToken]:
    return [KeptToken(*row) for row in tx.connection.execute(_TOKENS)]


def revoke_token(tx: Transaction, number: int) -> KeptToken | None:
    """None where there is no such token that was still good."""
    row = tx.connection.execute(_REVOKE, {"id": number}).first()
    return KeptToken(*row) if row else None
