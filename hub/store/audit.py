"""The audit trail: who saw values in full or decided something, and for which purpose. Only added to."""

from __future__ import annotations

import datetime
from collections.abc import Collection, Sequence
from typing import NamedTuple

from sqlalchemy import text

from hub.store.conditions import given
from hub.store.transaction import Transaction

_NOTE = text("""
    INSERT INTO audit (who, account, action, subject, agency, record_type, purpose, detail)
    VALUES (:who, :account, :action, :subject, :agency, :record_type, :purpose, :detail)
""")

_COLUMNS = "who, account, action, subject, agency, record_type, purpose, detail, id, at"

_CONDITIONS = {
    "action": "action = :action",
    "subject": "subject = :subject",
    "agency": "agency = :agency",
    "since": "at >= :since",
    "until": "at < :until",
    "before_at": "(at, id) < (:before_at, :before)",
}

_AT = text("SELECT at FROM audit WHERE id = :id")

_ABOUT = text(f"""
    SELECT {_COLUMNS} FROM audit
    WHERE subject = ANY(CAST(:subjects AS text[])) ORDER BY at DESC, id DESC LIMIT :limit
""")  # noqa: S608  (our own text)


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
    where: dict[str, object] = {**search._asdict(), "limit": limit}
    if search.before is not None:
        where["before_at"] = tx.connection.execute(_AT, {"id": search.before}).scalar_one_or_none()
        if where["before_at"] is None:
            return []
    conditions = given(_CONDITIONS, where)
    # One after the other, each by its own index: of all that either says, the newest would be looked for.
    names = ("true",) if search.who is None else ("who = :who", "account = :who")
    parts = " UNION ".join(
        f"(SELECT {_COLUMNS} FROM audit WHERE {one} AND {conditions}"  # noqa: S608  (our own text)
        " ORDER BY at DESC, id DESC LIMIT :limit)"
        for one in names
    )
    newest = f"SELECT {_COLUMNS} FROM ({parts}) AS those ORDER BY at DESC, id DESC LIMIT :limit"  # noqa: S608
    rows = list(tx.connection.execute(text(newest), where))
    return [KeptEntry(Entry(*row[:8]), row.id, row.at) for row in reversed(rows)]


def entries_about(tx: Transaction, subjects: Collection[str], limit: int) -> list[KeptEntry]:
    """The newest entries about any of these subjects, the newest first."""
    rows = tx.connection.execute(_ABOUT, {"subjects": sorted(subjects), "limit": limit})
    return [KeptEntry(Entry(*row[:8]), row.id, row.at) for row in rows]
