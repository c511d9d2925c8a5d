"""Joining, and agreements or contracts that changed: when every entity must be looked at again (R5, R17).

An agency with records of its own sends a snapshot first. Until the hub has taken it in, nothing is created
there, or each of its people would be there twice. The agency's side says where its snapshot ends by a
receipt for its own changes topics.

Agencies that join at one time are let in together. The record by which two entities turn out to be one
person may be in any of the snapshots: who was let in before it came would have the person twice.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Collection, Mapping, Sequence

from sqlalchemy import text

from hub.contracts import topics
from hub.contracts.agreements import Agreement
from hub.core.policy import TypePolicy
from hub.core.projection import Terms, grants_in_force
from hub.lanes.agreed import agreed, differences, whoever_consents
from hub.lanes.intake import LANE
from hub.store.disclosures import AGREEMENT, JOINING, begin_reprojection
from hub.store.transaction import Transaction

_SETTINGS = text("SELECT name, value FROM setting")

_PUT = text("""
    INSERT INTO setting (name, value) VALUES (:name, :value)
    ON CONFLICT (name) DO UPDATE SET value = excluded.value
""")

# Of workers that start at once with one release one changes it; the others wait for that, and find it done.
_CHANGE = text("""
    UPDATE setting SET value = :value WHERE name = :name AND value <> :value RETURNING name
""")

_NONE: Mapping[str, int] = {}

# A snapshot that has not moved for so long is not waited for: its agency has not begun, or is away.
TOGETHER_S = 10.0

_SNAPSHOT = text("""
    SELECT count(*) FILTER (WHERE p.next_offset >= r.next_offset) AS taken_in,
           coalesce(sum(p.next_offset), 0) AS read
    FROM position p LEFT JOIN receipt r USING (topic, partition)
    WHERE p.lane = :lane AND p.topic = ANY(CAST(:topics AS text[]))
""")

_ALL_DUE = text("""
    INSERT INTO due (entity, day)
    SELECT id, 0 FROM entity e WHERE record_type = ANY(CAST(:types AS text[]))
      AND NOT EXISTS (SELECT FROM due d WHERE d.day = 0 AND d.entity = e.id)
    -- What is due first is settled first: a record after those that it refers to needs it once only.
    ORDER BY array_position(CAST(:types AS text[]), record_type), id
""")


class Joining:
    """Which agencies are still joining, and whether agreements changed since they were last applied."""

    def __init__(
        self,
        agreements: Mapping[str, Agreement],
        terms: Mapping[str, tuple[Terms, ...]],
        clock: Callable[[], float] = time.monotonic,
        order: Sequence[str] = (),
        partitions: Mapping[str, int] = _NONE,
        types: Mapping[str, TypePolicy] | None = None,
    ) -> None:
        """`types`: the contracts' policies.

        `clock`: seconds, from any beginning; `order`: record types, each after those it refers to.

        `partitions`: record type → partitions of its changes topics; needed only to let somebody in.
        """
        self._agreements = agreements
        self._terms = terms
        self._clock = clock
        self._order = order
        self._partitions = partitions
        # Agency → how much of its snapshot had been read, and since when it has been so.
        self._read: dict[str, tuple[int, float]] = {}
        self._types = types or {}
        self._digests: tuple[int, dict[str, str]] = (-1, {})
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
        """Let those in whose snapshot has been taken in; their record types become due.

        None is let in while the snapshot of another is still coming.
        """
        joining = sorted(self.agencies(tx))
        ready = [agency for agency in joining if self._taken_in(tx, agency)]
        if self._coming(set(joining).difference(ready)):
            return []
        if ready:
            # Whoever is at work in the belief that these are still joining ends first, and is seen here.
            tx.lock_references(alone=True)
        for agency in ready:
            tx.connection.execute(_PUT, {"name": f"joined:{agency}", "value": "snapshot"})
        agreements = [self._agreements[agency] for agency in ready]
        for record_type in self._make_due(
            tx, {name for one in agreements for name in (*one.receives, *one.publishes)}
        ):
            begin_reprojection(tx.connection, record_type, JOINING, ready)
        return ready

    def _make_due(self, tx: Transaction, types: Collection[str]) -> list[str]:
        """Make all entities of these record types due; the types, in the order in which they will be."""
        if not types:
            return []
        known = [name for name in self._order if name in types]
        ordered = [*known, *sorted(set(types).difference(known))]
        tx.connection.execute(_ALL_DUE, {"types": ordered})
        return ordered

    def _taken_in(self, tx: Transaction, agency: str) -> bool:
        said = self._agreements[agency].publishes
        names = [topics.changes(agency, record_type) for record_type in said]
        snapshot = tx.connection.execute(_SNAPSHOT, {"lane": LANE, "topics": names}).one()
        if snapshot.read != self._read.get(agency, (-1, 0.0))[0]:
            self._read[agency] = snapshot.read, self._clock()
        return bool(snapshot.taken_in == sum(self._partitions[record_type] for record_type in said))

    def _coming(self, agencies: Collection[str]) -> bool:
        """Whether the snapshot of one of these has moved lately; the first look counts as a move."""
        lately = self._clock() - TOGETHER_S
        return any(self._read[agency][1] > lately for agency in agencies)

    def foreign(self, tx: Transaction, day: int) -> frozenset[str]:
        """Record types for which other terms or policies are in force than this release's: a worker of
        another release began after this one."""
        applied = {row.name: row.value for row in tx.connection.execute(_SETTINGS)}
        ours = self._all_digests(day)
        return frozenset(
            name for name, digest in ours.items() if applied.get(f"terms:{name}", digest) != digest
        )

    def _all_digests(self, day: int) -> dict[str, str]:
        if self._digests[0] != day:
            self._digests = day, {name: self._digest_of(name, day) for name in self._terms}
        return self._digests[1]

    def _digest_of(self, record_type: str, day: int) -> str:
        policy = self._types.get(record_type)
        return _digest(self._terms.get(record_type, ()), day, policy.effect() if policy else "")

    def apply_terms(self, tx: Transaction, day: int) -> list[str]:
        """Record types whose terms or policies are not those last applied; their entities become due.

        Only the terms themselves and their expiry: consents have due days of their own.
        """
        applied = {row.name: row.value for row in tx.connection.execute(_SETTINGS)}
        changed = []
        # Also what was agreed on once and is not any more: its holders are told.
        known = {name.removeprefix("terms:") for name in applied if name.startswith("terms:")}
        for record_type in sorted(known.union(self._terms)):
            digest = self._digest_of(record_type, day)
            before, was = applied.get(f"terms:{record_type}"), applied.get(f"agreed:{record_type}")
            if before == digest and was is not None:
                continue
            now = agreed(self._terms.get(record_type, ()), day)
            in_force = {"name": f"terms:{record_type}", "value": digest}
            if before is None:
                tx.connection.execute(_PUT, in_force)
            elif before != digest and tx.connection.execute(_CHANGE, in_force).all():
                self._make_due(tx, [record_type])
                words = None if was is None else differences(was, now)
                begin_reprojection(tx.connection, record_type, AGREEMENT, agreed=words)
                changed.append(record_type)
            tx.connection.execute(_PUT, {"name": f"agreed:{record_type}", "value": now})
        return changed


def _digest(those: tuple[Terms, ...], day: int, policy: str) -> str:
    parts = [policy]
    for terms in those:
        in_force = day <= terms.until_day
        open_grants = grants_in_force(whoever_consents(terms), (), day)
        parts.append(
            f"{terms.agency}|{in_force}|{sorted(terms.publishes)}|"
            + "|".join(f"{sorted(g.fields)},{g.purpose},{g.create}" for g in open_grants)
            + "|".join(f"{g.purpose},{g.needs_consent}" for g in terms.grants)
            + ("|echoes" if terms.filters_echoes else "")
        )
    return hashlib.blake2b("\n".join(parts).encode(), digest_size=12).hexdigest()
