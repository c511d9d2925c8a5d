"""Joining, and agreements that changed: when every entity must be looked at again (R17).

An agency with records of its own sends a snapshot first. Until the hub has taken it in, nothing is created
there, or each of its people would be there twice. The agency's side says where its snapshot ends by a
receipt for its own changes topics.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

from sqlalchemy import text

from hub.contracts import topics
from hub.contracts.agreements import Agreement
from hub.core.projection import Terms, grants_in_force
from hub.lanes.intake import LANE
from hub.store.transaction import Transaction

_SETTINGS = text("SELECT name, value FROM setting")

_PUT = text("""
    INSERT INTO setting (name, value) VALUES (:name, :value)
    ON CONFLICT (name) DO UPDATE SET value = excluded.value
""")

_SNAPSHOT_TAKEN_IN = text("""
    SELECT count(*) FROM receipt r JOIN position p USING (topic, partition)
    WHERE p.lane = :lane AND r.topic = ANY(CAST(:topics AS text[])) AND p.next_offset >= r.next_offset
""")

_ALL_DUE = text("""
    INSERT INTO due (entity, day)
    SELECT id, 0 FROM entity WHERE record_type = ANY(CAST(:types AS text[])) ORDER BY id
    ON CONFLICT (entity) DO UPDATE SET day = 0
""")


class Joining:
    """Which agencies are still joining, and whether agreements changed since they were last applied."""

    def __init__(self, agreements: Mapping[str, Agreement], terms: Mapping[str, tuple[Terms, ...]]) -> None:
        self._agreements = agreements
        self._terms = terms
        self._remaining = {name for name, agreement in agreements.items() if agreement.snapshot}

    @property
    def anyone(self) -> bool:
        """Whether somebody is still joining, as far as is known."""
        return bool(self._remaining)

    def agencies(self, tx: Transaction) -> frozenset[str]:
        """Agencies at which nothing is created yet; costs nothing once all have joined."""
        if self._remaining:
            joined = {name.removeprefix("joined:") for name, _ in tx.connection.execute(_SETTINGS)}
            self._remaining -= joined
        return frozenset(self._remaining)

    def admit(self, tx: Transaction) -> list[str]:
        """Let those in whose snapshot has been taken in; their record types become due."""
        admitted = []
        for agency in sorted(self.agencies(tx)):
            agreement = self._agreements[agency]
            names = [topics.changes(agency, record_type) for record_type in agreement.publishes]
            where = {"lane": LANE, "topics": names}
            taken_in = tx.connection.execute(_SNAPSHOT_TAKEN_IN, where).scalar_one()
            if taken_in == len(names) * topics.CHANGES_PARTITIONS:
                tx.connection.execute(_PUT, {"name": f"joined:{agency}", "value": "snapshot"})
                tx.connection.execute(_ALL_DUE, {"types": list(agreement.receives)})
                admitted.append(agency)
        return admitted

    def apply_terms(self, tx: Transaction, day: int) -> list[str]:
        """Record types whose terms are not those last applied; their entities become due.

        Only the terms themselves and their expiry: consents have due days of their own.
        """
        applied = {row.name: row.value for row in tx.connection.execute(_SETTINGS)}
        changed = []
        for record_type, those in sorted(self._terms.items()):
            digest = _digest(those, day)
            before = applied.get(f"terms:{record_type}")
            if before == digest:
                continue
            tx.connection.execute(_PUT, {"name": f"terms:{record_type}", "value": digest})
            if before is not None:
                tx.connection.execute(_ALL_DUE, {"types": [record_type]})
                changed.append(record_type)
        return changed


def _digest(those: tuple[Terms, ...], day: int) -> str:
    parts = []
    for terms in those:
        in_force = day <= terms.until_day
        without_consent = terms._replace(
            grants=tuple(grant._replace(needs_consent=False) for grant in terms.grants)
        )
        open_grants = grants_in_force(without_consent, (), day)
        parts.append(
            f"{terms.agency}|{in_force}|{sorted(terms.publishes)}|"
            + "|".join(f"{sorted(g.fields)},{g.purpose},{g.create}" for g in open_grants)
            + "|".join(f"{g.purpose},{g.needs_consent}" for g in terms.grants)
        )
    return hashlib.blake2b("\n".join(parts).encode(), digest_size=12).hexdigest()
