"""The audit trail: who saw values in full or decided something, and for which purpose. Only added to."""

from __future__ import annotations

import datetime
from collections.abc import Collection, Sequence
from typing import NamedTuple

from sqlalchemy import text

from hub.store.transaction import Transaction

_NOTE = text("""
    INSERT INTO audit (who, account, action, subject, agency, record_type, purpose, detail)
    VALUES (:who, :account, :action, :subject, :agency, :record_type, :purpose, :detail)
""")

_ENTRIES = text("""
    SELECT who, account, action, subject, agency, record_type, purpose, detail, id, at FROM (
        SELECT * FROM audit
        WHERE (CAST(:who AS text) IS NULL OR who = :who OR account = :who)
          AND (CAST(:action AS text) IS NULL OR action = :action)
          AND (CAST(:subject AS text) IS NULL OR subject = :subject)
          AND (CAST(:agency AS text) IS NULL OR agency = :agency)
          AND (CAST(:since AS timestamptz) IS NULL OR at >= :since)
          AND (CAST(:until AS timestamptz) IS NULL OR at < :until)
          AND (CAST(:before AS bigint) IS NULL OR id < :before)
        ORDER BY id DESC LIMIT :limit) AS newest
    ORDER BY id
""")

_ABOUT = text("""
    SELECT who, account, action, subject, agency, record_type, purpose, detail, id, at FROM audit
    WHERE subject = ANY(CAST(:subjects AS text[])) ORDER BY id DESC LIMIT :limit
""")


class Entry(NamedTuple):
    """One deed. `who`: as the person says, `account`: as the machine says; `detail`: what came of it."""

    who: str
    account: str
    action: str
    subject: str
    agency: str | None
    record_type: str | None
    purpose: str
    detail: str = ""


class KeptEntry(NamedTuple):
    """An entry as it is kept."""

    entry: Entry
    id: int
    at: datetime.datetime


class Search(NamedTuple):
    """Which entries are meant; what is None lets all pass. `until` itself is not included.

    `before`: only entries made before the one of that number, for reading back page by page.
    """

    who: str | None = None
    action: str | None = None
    subject: str | None = None
    agency: str | None = None
    since: datetime.datetime | None = None
    until: datetime.datetime | None = None
    before: int | None = None


def note(tx: Transaction, entries: Sequence[Entry]) -> None:
    """Add entries, in the transaction of what they tell of."""
    if entries:
        tx.connection.execute(_NOTE, [entry._asdict() for entry in entries])


def entries(tx: Transaction, search: Search, limit: int = 1_000) -> list[KeptEntry]:
    """The newest entries that match, in the order of their making."""
    rows = tx.connection.execute(_ENTRIES, {**search._asdict(), "limit": limit})
    return [KeptEntry(Entry(*row[:8]), row.id, row.at) for row in rows]


def entries_about(tx: Transaction, subjects: Collection[str], limit: int) -> list[KeptEntry]:
    """The newest entries about any of these subjects, the newest first."""
    rows = tx.connection.execute(_ABOUT, {"subjects": sorted(subjects), "limit": limit})
    return [KeptEntry(Entry(*row[:8]), row.id, row.at) for row in rows]
