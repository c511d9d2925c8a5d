"""A store in memory over the real one: intake runs as ever, and nothing is written (see decision 031).

`Overlay` keeps what would have been saved, as rows of the store's own tables. Each of its transactions reads
one moment of the store, which PostgreSQL lets nobody write in, and what earlier ones saved over that. So a
plan of many batches holds no transaction open between them, and locks nothing.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from sqlalchemy import text

from hub.core.assertions import RecordKey, RecordState, Replaced
from hub.core.contents import Reference, Target
from hub.core.crosswalk import Entity, World
from hub.core.epochs import life_meant, meant
from hub.core.matching import Review
from hub.core.projection import UPSERT
from hub.core.step import Hold
from hub.store.loading import look_at_entities
from hub.store.looking import Looking
from hub.store.rows import columns_of, entity_of_row, read_records, row_of_entity, row_of_record
from hub.store.transaction import Transaction

_SHARERS = text("SELECT value, records FROM identity WHERE value = ANY(CAST(:values AS bytea[]))")

_NAMED = text("""
    SELECT r.id
    FROM unnest(CAST(:agencies AS text[]), CAST(:types AS text[]), CAST(:local_ids AS text[]))
         AS v(agency, record_type, local_id)
    JOIN record r USING (agency, record_type, local_id)
""")

_REFERRING = text("""
    SELECT f.record
    FROM unnest(CAST(:agencies AS text[]), CAST(:types AS text[]), CAST(:local_ids AS text[]))
         AS v(agency, record_type, local_id)
    CROSS JOIN LATERAL (
        SELECT f.record FROM reference f
        WHERE f.agency = v.agency AND f.record_type = v.record_type AND f.local_id = v.local_id OFFSET 0) AS f
""")

_Row = tuple[Any, ...]
# Where a record's row has its entity.
_ENTITY = 5


def look_at_sharers(tx: Transaction, claims: Iterable[tuple[bytes, bytes]]) -> dict[bytes, set[bytes]]:
    """Who would share each identity value, were these (value, record) claimed; nothing is."""
    sharers: dict[bytes, set[bytes]] = {}
    for value, record in claims:
        sharers.setdefault(value, set()).add(record)
    if sharers:
        for value, records in tx.connection.execute(_SHARERS, {"values": sorted(sharers)}):
            sharers[bytes(value)].update(bytes(record) for record in records)
    return sharers


class Overlay:
    """What was saved in memory. A transaction that fails leaves nothing behind."""

    def __init__(self) -> None:
        self.records: dict[bytes, _Row] = {}
        self.entities: dict[bytes, Entity] = {}
        self.references: dict[tuple[bytes, str], Reference] = {}
        self.sharers: dict[bytes, frozenset[bytes]] = {}
        self.due: dict[bytes, int] = {}
        self.holds: dict[tuple[bytes, str, str], Hold] = {}
        self.reviews: dict[tuple[bytes, bytes], Review] = {}
        # Indexes of the above.
        self.members: dict[bytes, frozenset[bytes]] = {}
        self.named: dict[Reference, frozenset[bytes]] = {}
        self.referring: dict[Reference, frozenset[bytes]] = {}
        self._undo: list[tuple[dict[Any, Any], Any, Any]] = []

    @contextmanager
    def over(self, tx: Transaction) -> Iterator[OverlayTransaction]:
        """A transaction that sees `tx`, one that only reads, below what is saved here."""
        self._undo.clear()
        try:
            yield OverlayTransaction(tx, self)
        except BaseException:
            for table, key, before in reversed(self._undo):
                if before is None:
                    table.pop(key, None)
                else:
                    table[key] = before
            raise

    def put(self, table: dict[Any, Any], key: Any, value: Any) -> None:
        """Set a value that is not changed in place, or forget it (None)."""
        self._undo.append((table, key, table.get(key)))
        if value is None:
            table.pop(key, None)
        else:
            table[key] = value

    def add(self, index: dict[Any, frozenset[bytes]], key: Any, record: bytes) -> None:
        self.put(index, key, index.get(key, frozenset()) | {record})

    def put_record(self, row: _Row) -> None:
        """Save a record's row, given as the table's columns."""
        record, agency, record_type, local_id, _, entity = row[:6]
        before = self.records.get(record)
        if before is not None and before[_ENTITY] != entity:
            self.put(self.members, before[_ENTITY], self.members[before[_ENTITY]] - {record})
        self.put(self.records, record, row)
        self.add(self.members, entity, record)
        self.add(self.named, (agency, record_type, local_id), record)


class OverlayTransaction(Looking):
    """A transaction of intake that looks instead of locking, and saves in memory."""

    def __init__(self, tx: Transaction, overlay: Overlay) -> None:
        super().__init__(tx.connection)
        self._below = tx
        self._over = overlay

    # Loading

    def lock_free(self, ids: Collection[bytes]) -> tuple[set[bytes], set[bytes]]:
        return set(self._entities(ids)), set()

    def records(self, ids: Collection[bytes]) -> World:
        over = self._over.records
        world = self._below.records([one for one in ids if one not in over])
        read_records(world, (over[one] for one in ids if one in over))
        return world

    def members(self, entities: Collection[bytes]) -> World:
        over = self._over.records
        world = self._below.members(entities)
        for record in [one for one in world.records if one in over]:
            del world.records[record], world.entity_of[record]
        mine = (record for entity in entities for record in sorted(self._over.members.get(entity, ())))
        read_records(world, (over[record] for record in mine))
        return world

    def entities(self, ids: Collection[bytes]) -> World:
        world = self.members(ids)
        world.entities |= self._entities(ids)
        return world

    def _entities(self, ids: Collection[bytes]) -> dict[bytes, Entity]:
        over = self._over.entities
        found = look_at_entities(self, [one for one in ids if one not in over])
        # A copy: what is done to a world must not be done to what is saved.
        return found | {one: entity_of_row(row_of_entity(over[one])) for one in ids if one in over}

    def claim_identities(self, claims: Iterable[tuple[bytes, bytes]]) -> dict[bytes, list[bytes]]:
        sharers = look_at_sharers(self, claims)
        for value, records in sharers.items():
            self._over.put(self._over.sharers, value, self._over.sharers.get(value, frozenset()) | records)
        return {value: sorted(self._over.sharers[value]) for value in sharers}

    def look_at_targets(self, references: Collection[Reference]) -> dict[Reference, Target]:
        if not references:
            return {}
        ids = {bytes(one) for (one,) in self.connection.execute(_NAMED, columns_of(references))}
        named: dict[Reference, list[tuple[Reference, int | None]]] = {}
        for one in references:
            local_id, below = meant(one[2])
            named.setdefault((one[0], one[1], local_id), []).append((one, below))
        world = self.records(ids.union(*(self._over.named.get(one, ()) for one in named)))
        entities = self._entities(set(world.entity_of.values()))
        lives: dict[Reference, list[RecordState]] = {}
        for state in world.records.values():
            if world.entity_of[state.id] in entities:
                lives.setdefault(state.key[:3], []).append(state)
        found: dict[Reference, Target] = {}
        for place, those in lives.items():
            for one, below in named.get(place, ()):
                if (state_meant := life_meant(those, below)) is not None:
                    entity = entities[world.entity_of[state_meant.id]]
                    holders = frozenset(a for a, held in entity.held.items() if held.operation == UPSERT)
                    found[one] = Target(entity.id, holders, tuple(entity.consents.values()))
        return found

    def dependents(self, targets: Collection[Reference]) -> dict[bytes, str]:
        if not targets:
            return {}
        records = {bytes(one) for (one,) in self.connection.execute(_REFERRING, columns_of(targets))}
        for one in targets:
            records |= self._over.referring.get(one, frozenset())
        world = self.records(records)
        return {entity: world.records[one].key.record_type for one, entity in world.entity_of.items()}

    def take_due(self, day: int, limit: int) -> dict[bytes, int]:
        """Those that this plan made due, in the order in which it did; the others are the workers'."""
        taken = [(entity, when) for entity, when in self._over.due.items() if when <= day][:limit]
        for entity, _ in taken:
            self._over.put(self._over.due, entity, None)
        return dict(taken)

    # Saving

    def save_records(self, world: World, ids: Iterable[bytes]) -> None:
        for one in sorted(ids):
            self._over.put_record(row_of_record(world.records[one], world.entity_of[one]))

    def save_names(self, keys: Mapping[bytes, Collection[int]]) -> None:
        del keys  # nobody is looked for by name in a plan

    def save_entities(self, entities: Iterable[Entity]) -> None:
        for one in entities:
            self._over.put(self._over.entities, one.id, entity_of_row(row_of_entity(one)))

    def save_counts(self) -> None:
        pass

    def save_references(self, rows: Sequence[tuple[bytes, str, Reference]]) -> None:
        for record, field, reference in rows:
            self._over.put(self._over.references, (record, field), reference)
            agency, record_type, local_id = reference
            self._over.add(self._over.referring, (agency, record_type, meant(local_id)[0]), record)

    def save_due(self, days: Mapping[bytes, int]) -> None:
        for entity, day in days.items():
            self._over.put(self._over.due, entity, min(day, self._over.due.get(entity, day)))

    def save_holds(self, holds: Sequence[Hold]) -> None:
        for one in holds:
            self._over.put(self._over.holds, (one.record, one.change.event_id, one.reason), one)

    def save_reviews(self, world: World, reviews: Sequence[Review]) -> None:
        del world  # the pairs alone are kept
        for one in reviews:
            self._over.put(self._over.reviews, (one.a, one.b), one)

    def save_disputes(self, disputes: Sequence[tuple[bytes, str, RecordKey]]) -> None:
        pass

    def save_replaced(self, replaced: Mapping[bytes, Sequence[Replaced]]) -> None:
        pass
