"""Who writes wishes for an agency's connector does so alone."""

from __future__ import annotations

from sqlalchemy import text

from hub.store.transaction import Transaction

_ALONE = text("SELECT pg_advisory_xact_lock(hashtextextended('jisr control ' || :agency, 0))")


def one_at_a_time(tx: Transaction, agency: str) -> None:
    """Wait for whoever is at it, and let the next one wait until this transaction ends."""
    tx.connection.execute(_ALONE, {"agency": agency})
