"""The store's own facts, kept in `setting`: its epoch, the key of its ids, whether it is being rebuilt, and
whether names are found."""

from __future__ import annotations

from sqlalchemy import text

from hub.store.transaction import Transaction

# By what all versions of this store begin: raised when it is rebuilt (R18).
EPOCH = "epoch"
# A print of the key from which this store's ids are derived: with another one, everybody would be a stranger.
KEY = "key"
# There while a rebuild is under way, and after one that broke off.
REBUILDING = "rebuilding"
# By which scheme every record has its keys for names; none while there are records without.
NAMES = "names"

_FACT = text("SELECT value FROM setting WHERE name = :name")
_PUT = text("""
    INSERT INTO setting (name, value) VALUES (:name, :value)
    ON CONFLICT (name) DO UPDATE SET value = excluded.value
""")
_DROP = text("DELETE FROM setting WHERE name = :name")


def fact(tx: Transaction, name: str) -> str | None:
    """What the store says of itself under this name; None if nothing."""
    found = tx.connection.execute(_FACT, {"name": name}).scalar_one_or_none()
    return None if found is None else str(found)


def put_fact(tx: Transaction, name: str, value: str) -> None:
    tx.connection.execute(_PUT, {"name": name, "value": value})


def drop_fact(tx: Transaction, name: str) -> None:
    tx.connection.execute(_DROP, {"name": name})


def epoch(tx: Transaction) -> int:
    """The store's epoch: 0 until it is rebuilt for the first time."""
    return int(fact(tx, EPOCH) or 0)
