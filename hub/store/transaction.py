"""One transaction of the hub's store: everything that a batch loads, locks and saves.

Locks are taken in one order: positions, references, identities, entities; each class sorted, taken once
(R25). What is read before its lock is only a guess at what to lock; it is read again after.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import msgspec
from sqlalchemy import Connection, TextClause, text

from hub.core.assertions import RecordKey, RecordState, Replaced, pack, unpack
from hub.core.crosswalk import Entity, Held, World
from hub.core.matching import Decision, Review
from hub.core.projection import UPSERT, Consent
from hub.core.settle import Reference, Target
from hub.core.step import Hold
from hub.errors import Retriable
from hub.store.errors import Fenced
from hub.store.staging import Staging

# Creators of records that others refer to hold this lock shared; who finds a reference unknown takes it
# alone and looks again. Without it, each could miss the other's uncommitted row, for ever (R27).
_REFERENCES_LOCK = 7_231_904_412

# A merge moves a target at most once while this transaction waits for it; more than a few is a fault.
_MAX_LOOKS = 8

_HELD = msgspec.msgpack.Decoder(dict[str, Held])
_CONSENTS = msgspec.msgpack.Decoder(dict[bytes, Consent])
_ENCODE = msgspec.msgpack.Encoder().encode


class Advance(NamedTuple):
    """One partition's step: from the offset that was expected to the next one to read."""

    topic: str
    partition: int
    expected: int
    following: int


_ADVANCE = text("""
    UPDATE position AS p SET next_offset = v.following
    FROM unnest(CAST(:topics AS text[]), CAST(:partitions AS int[]),
                CAST(:expected AS bigint[]), CAST(:following AS bigint[]))
         AS v(topic, part, expected, following)
    WHERE p.lane = :lane AND p.topic = v.topic AND p.partition = v.part AND p.next_offset = v.expected
""")

_LOCK_POSITIONS = text("""
    SELECT 1 FROM position
    WHERE lane = :lane AND (topic, partition) IN
          (SELECT * FROM unnest(CAST(:topics AS text[]), CAST(:partitions AS int[])))
    ORDER BY topic, partition FOR UPDATE
""")

_RECORD_COLUMNS = (
    """id, agency, record_type, local_id, incarnation, entity, born, seen, ended, linked, asserts"""
)

_RECORDS = text(f"SELECT {_RECORD_COLUMNS} FROM record WHERE id = ANY(CAST(:ids AS bytea[]))")  # noqa: S608

_MEMBERS = text(f"SELECT {_RECORD_COLUMNS} FROM record WHERE entity = ANY(CAST(:ids AS bytea[]))")  # noqa: S608

_CLAIM_IDENTITIES = text("""
    INSERT INTO identity AS i (value, records)
    SELECT v.value, array_agg(v.record ORDER BY v.record)
    FROM unnest(CAST(:values AS bytea[]), CAST(:records AS bytea[])) AS v(value, record)
    GROUP BY v.value ORDER BY v.value
    ON CONFLICT (value) DO UPDATE SET records =
        i.records || ARRAY(SELECT unnest(excluded.records) EXCEPT SELECT unnest(i.records))
    RETURNING value, records
""")

_ENTITIES = """
    SELECT id, record_type, version, golden, held, consents, about FROM entity
    WHERE id = ANY(CAST(:ids AS bytea[])) ORDER BY id
"""
_LOOK_AT_ENTITIES = text(_ENTITIES)
_LOCK_ENTITIES = text(_ENTITIES + " FOR UPDATE")

_IDS = "SELECT id FROM entity WHERE id = ANY(CAST(:ids AS bytea[])) ORDER BY id"
_PRESENT = text(_IDS)
_LOCK = text(_IDS + " FOR UPDATE")
_LOCK_SHARED = text(_IDS + " FOR SHARE")
_LOCK_FREE = text(_IDS + " FOR UPDATE SKIP LOCKED")

_TARGETS = """
    SELECT r.agency, r.record_type, r.local_id, r.incarnation, r.entity, e.held, e.consents
    FROM unnest(CAST(:agencies AS text[]), CAST(:types AS text[]), CAST(:local_ids AS text[]))
         AS v(agency, record_type, local_id)
    JOIN record r USING (agency, record_type, local_id)
    JOIN entity e ON e.id = r.entity
    ORDER BY e.id
"""
_LOOK_AT_TARGETS = text(_TARGETS)
# By (for writing, waiting for others).
_LOCK_TARGETS = {
    (False, True): text(_TARGETS + " FOR SHARE OF e"),
    (True, True): text(_TARGETS + " FOR UPDATE OF e"),
    (False, False): text(_TARGETS + " FOR SHARE OF e SKIP LOCKED"),
    (True, False): text(_TARGETS + " FOR UPDATE OF e SKIP LOCKED"),
}

_LED_TO = text("""
    SELECT DISTINCT v.record_type, r.entity
    FROM unnest(CAST(:agencies AS text[]), CAST(:types AS text[]), CAST(:local_ids AS text[]))
         AS v(agency, record_type, local_id)
    JOIN record r USING (agency, record_type, local_id)
""")

_TARGETS_MOVED = text("""
    SELECT EXISTS (
        SELECT FROM unnest(CAST(:agencies AS text[]), CAST(:types AS text[]), CAST(:local_ids AS text[]),
                           CAST(:entities AS bytea[])) AS v(agency, record_type, local_id, entity)
        CROSS JOIN LATERAL (
            SELECT r.entity FROM record r
            WHERE r.agency = v.agency AND r.record_type = v.record_type AND r.local_id = v.local_id
            ORDER BY r.incarnation DESC LIMIT 1) AS r
        WHERE r.entity <> v.entity)
""")

_DEPENDENTS = text("""
    SELECT DISTINCT r.entity
    FROM unnest(CAST(:agencies AS text[]), CAST(:types AS text[]), CAST(:local_ids AS text[]))
         AS v(agency, record_type, local_id)
    -- One look into the index for each, by OFFSET 0: the planner would read both tables from end to end.
    CROSS JOIN LATERAL (
        SELECT f.record FROM reference f
        WHERE f.agency = v.agency AND f.record_type = v.record_type AND f.local_id = v.local_id OFFSET 0) AS f
    CROSS JOIN LATERAL (SELECT entity FROM record WHERE id = f.record OFFSET 0) AS r
""")

_DECISIONS = text("""
    SELECT a, b, same, stamp FROM decision
    WHERE a = ANY(CAST(:ids AS bytea[])) OR b = ANY(CAST(:ids AS bytea[]))
""")

_STAGED_RECORDS = Staging(
    "record",
    {
        "id": "bytea",
        "agency": "text",
        "record_type": "text",
        "local_id": "text",
        "incarnation": "int4",
        "entity": "bytea",
        "born": "int8",
        "seen": "int8",
        "ended": "int8",
        "linked": "bytea",
        "asserts": "bytea",
    },
    updated=("entity", "born", "seen", "ended", "linked", "asserts"),
)

_STAGED_ENTITIES = Staging(
    "entity",
    {
        "id": "bytea",
        "record_type": "text",
        "version": "int8",
        "golden": "bytea",
        "held": "bytea",
        "consents": "bytea",
        "about": "bytea",
    },
    updated=("version", "golden", "held", "consents", "about"),
)

_COUNT_HOLDINGS = text("""
    INSERT INTO holding (agency, record_type, slot, entities)
    SELECT agency, record_type, pg_backend_pid() % 64, entities
    FROM unnest(CAST(:agencies AS text[]), CAST(:types AS text[]), CAST(:entities AS bigint[]))
         AS v(agency, record_type, entities)
    ORDER BY agency, record_type
    ON CONFLICT (agency, record_type, slot) DO UPDATE SET entities = holding.entities + excluded.entities
""")

_SAVE_REFERENCES = text("""
    INSERT INTO reference (record, field, agency, record_type, local_id)
    SELECT * FROM unnest(CAST(:record AS bytea[]), CAST(:field AS text[]), CAST(:agency AS text[]),
                         CAST(:record_type AS text[]), CAST(:local_id AS text[]))
    ON CONFLICT (record, field) DO UPDATE SET local_id = excluded.local_id
""")

# Never waits for anybody: no entity here is locked by the one who says so. A row that another transaction
# is just taking is rightly passed over: who takes it has yet to lock what this transaction has changed, or
# had done with it before this transaction could change it.
_SAVE_DUE = text("""
    INSERT INTO due (entity, day)
    SELECT v.entity, v.day FROM unnest(CAST(:entity AS bytea[]), CAST(:day AS int[])) AS v(entity, day)
    WHERE NOT EXISTS (SELECT FROM due d WHERE d.day = v.day AND d.entity = v.entity)
""")

_TAKE_DUE = text("""
    DELETE FROM due WHERE id IN (
        SELECT id FROM due WHERE day <= :day ORDER BY day, id LIMIT :limit FOR UPDATE SKIP LOCKED)
    RETURNING entity
""")

_SAVE_HOLD = text("""
    INSERT INTO hold (record, agency, record_type, event_id, reason, fields, change)
    VALUES (:record, :agency, :record_type, :event_id, :reason, :fields, :change)
    ON CONFLICT (record, event_id, reason) DO NOTHING
""")

_SAVE_REVIEW = text("""
    INSERT INTO review (a, b, record_type, reason, fields)
    VALUES (:a, :b, :record_type, :reason, :fields)
    ON CONFLICT (a, b) DO UPDATE SET reason = excluded.reason, fields = excluded.fields
""")

_SAVE_DISPUTE = text("""
    INSERT INTO dispute (record, field, agency, record_type)
    VALUES (:record, :field, :agency, :record_type)
    ON CONFLICT (record, field) DO NOTHING
""")

# A row for all that one batch replaced of one record: rows cost more than what is in them.
_SAVE_REPLACED = text("""
    INSERT INTO history (record, mark, said)
    SELECT * FROM unnest(CAST(:records AS bytea[]), CAST(:marks AS bytea[]), CAST(:said AS bytea[]))
    ON CONFLICT (record, mark) DO NOTHING
""")

_SAVE_DEAD_LETTER = text("""
    INSERT INTO dead_letter (topic, partition, kafka_offset, agency, record_type, code, path,
                             message, at_ms, key, value)
    VALUES (:topic, :partition, :kafka_offset, :agency, :record_type, :code, :path,
            :message, :at_ms, :key, :value)
    ON CONFLICT (topic, partition, kafka_offset, at_ms) DO NOTHING
""")

_VERSIONS = text("SELECT id, version FROM entity WHERE id = ANY(CAST(:ids AS bytea[]))")

_SAVE_PUBLICATION = text("INSERT INTO publication (worker, payload) VALUES (:worker, :payload) RETURNING id")

_DROP_PUBLICATIONS = text("DELETE FROM publication WHERE id = ANY(CAST(:ids AS bigint[]))")


STAGED = (_STAGED_RECORDS, _STAGED_ENTITIES)


class Transaction:
    """The statements of one batch, on one connection inside one transaction. Blocks; not thread-safe."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        # Who held the locked entities, and by how many more (or fewer) each agency holds them now.
        self._holders: dict[bytes, frozenset[str]] = {}
        self._holdings: Counter[tuple[str, str]] = Counter()

    # Positions

    def advance(self, lane: str, advances: Sequence[Advance]) -> None:
        """Move the lane's positions; raises `Fenced` if any is not where this worker left it (R25)."""
        where = {
            "lane": lane,
            "topics": [a.topic for a in advances],
            "partitions": [a.partition for a in advances],
        }
        self.connection.execute(_LOCK_POSITIONS, where)
        moved = self.connection.execute(
            _ADVANCE,
            where
            | {"expected": [a.expected for a in advances], "following": [a.following for a in advances]},
        ).rowcount
        if moved != len(advances):
            raise Fenced(f"lane {lane}: {len(advances) - moved} positions moved by another worker")

    # Loading and locking

    def lock_references(self, *, alone: bool) -> None:
        """Hold off, or join, those who create records that others may be waiting for (R27)."""
        shared = "" if alone else "_shared"
        self.connection.execute(
            text(f"SELECT pg_advisory_xact_lock{shared}(:key)"), {"key": _REFERENCES_LOCK}
        )

    def records(self, ids: Collection[bytes]) -> World:
        """The records of these ids, with the entities they stand for; nothing is locked."""
        world = World()
        if ids:
            read_records(world, self.connection.execute(_RECORDS, {"ids": sorted(ids)}))
        return world

    def claim_identities(self, claims: Iterable[tuple[bytes, bytes]]) -> dict[bytes, list[bytes]]:
        """Add (value, record) claims and lock their values; returns who shares each value."""
        pairs = sorted(set(claims))
        if not pairs:
            return {}
        rows = self.connection.execute(
            _CLAIM_IDENTITIES,
            {"values": [value for value, _ in pairs], "records": [record for _, record in pairs]},
        )
        return {bytes(value): [bytes(record) for record in records] for value, records in rows}

    def lock_entities(self, ids: Collection[bytes]) -> World:
        """Lock these entities and load them with all their members."""
        world = World()
        if not ids:
            return world
        order = {"ids": sorted(ids)}
        for row in self.connection.execute(_LOCK_ENTITIES, order):
            entity = entity_of_row(row)
            world.entities[entity.id] = entity
            self._holders[entity.id] = _holders(entity)
        read_records(world, self.connection.execute(_MEMBERS, order))
        return world

    def lock_early(self, ids: Collection[bytes], *, shared: bool = False) -> None:
        """Lock these entities, read nothing: for what is read later, when its lock would be out of order."""
        if ids:
            self.connection.execute(_LOCK_SHARED if shared else _LOCK, {"ids": sorted(ids)})

    def lock_free(self, ids: Collection[bytes]) -> tuple[set[bytes], set[bytes]]:
        """(those locked, those that somebody else holds), without waiting; unknown ids are in neither."""
        if not ids:
            return set(), set()
        free = {bytes(row[0]) for row in self.connection.execute(_LOCK_FREE, {"ids": sorted(ids)})}
        rest = set(ids) - free
        held = self.connection.execute(_PRESENT, {"ids": sorted(rest)}) if rest else ()
        return free, {bytes(row[0]) for row in held}

    def entities(self, ids: Collection[bytes]) -> World:
        """These entities with all their members; nothing is locked."""
        world = self.members(ids)
        world.entities |= look_at_entities(self, ids)
        return world

    def members(self, entities: Collection[bytes]) -> World:
        """All members of these entities; nothing is locked."""
        world = World()
        if entities:
            read_records(world, self.connection.execute(_MEMBERS, {"ids": sorted(entities)}))
        return world

    def led_to(self, references: Collection[Reference]) -> dict[str, set[bytes]]:
        """The entities to which references lead, by record type; nothing is locked."""
        found: dict[str, set[bytes]] = {}
        if references:
            for record_type, entity in self.connection.execute(_LED_TO, columns_of(references)):
                found.setdefault(record_type, set()).add(bytes(entity))
        return found

    def targets(
        self, references: Collection[Reference], *, locked: bool, patient: bool = True
    ) -> dict[Reference, Target]:
        """What references lead to; the targets' entities stay as they are until the commit.

        `locked`: for writing. Unless `patient`, those are left out that another transaction holds.
        """
        statement = _LOCK_TARGETS[locked, patient]
        for _ in range(_MAX_LOOKS):
            found = self._targets(statement, references)
            if not self._moved(found):
                return found
        raise Retriable(f"what references lead to moved {_MAX_LOOKS} times while it was locked")

    def _moved(self, found: Mapping[Reference, Target]) -> bool:
        """Whether a record stands for another entity than was locked for it.

        A statement that waits for an entity's lock goes on with that entity as it is by then, but with the
        crosswalk as it was when the statement began: a merge in between would be missed for good.
        """
        if not found:
            return False
        places = sorted(found)
        expected = {"entities": [found[place].entity for place in places]}
        return bool(self.connection.execute(_TARGETS_MOVED, columns_of(places) | expected).scalar_one())

    def look_at_targets(self, references: Collection[Reference]) -> dict[Reference, Target]:
        """What references lead to; nothing is locked."""
        return self._targets(_LOOK_AT_TARGETS, references)

    def _targets(self, statement: TextClause, references: Collection[Reference]) -> dict[Reference, Target]:
        found: dict[Reference, Target] = {}
        if not references:
            return found
        rows = self.connection.execute(statement, columns_of(references))
        # Rows come in the order of their locks; the latest life of a local id is what a reference means now.
        for agency, kind, local_id, _, entity, held, consents in sorted(
            rows, key=lambda row: row.incarnation
        ):
            holders = frozenset(a for a, h in _HELD.decode(held).items() if h.operation == UPSERT)
            found[agency, kind, local_id] = Target(
                bytes(entity), holders, tuple(_CONSENTS.decode(consents).values())
            )
        return found

    def dependents(self, targets: Collection[Reference]) -> set[bytes]:
        """The entities with a record that refers to one of these local records."""
        if not targets:
            return set()
        rows = self.connection.execute(_DEPENDENTS, columns_of(targets))
        return {bytes(entity) for (entity,) in rows}

    def decisions(self, records: Collection[bytes]) -> list[Decision]:
        """The stewards' decisions that concern these records."""
        if not records:
            return []
        rows = self.connection.execute(_DECISIONS, {"ids": sorted(records)})
        return [Decision(bytes(a), bytes(b), same, stamp) for a, b, same, stamp in rows]

    def take_due(self, day: int, limit: int) -> set[bytes]:
        """Take up to `limit` entities whose day has come; they are back if this rolls back."""
        rows = self.connection.execute(_TAKE_DUE, {"day": day, "limit": limit})
        return {bytes(entity) for (entity,) in rows}

    # Saving

    def save_records(self, world: World, ids: Iterable[bytes]) -> None:
        entity_of = world.entity_of
        rows = [row_of_record(world.records[record], entity_of[record]) for record in sorted(ids)]
        _STAGED_RECORDS.save(self.connection, rows)

    def save_entities(self, entities: Iterable[Entity]) -> None:
        those = list(entities)
        self._count_holders(those)
        rows = [row_of_entity(one) for one in sorted(those, key=lambda entity: entity.id)]
        _STAGED_ENTITIES.save(self.connection, rows)

    def _count_holders(self, entities: Iterable[Entity]) -> None:
        for entity in entities:
            before, now = self._holders.get(entity.id, frozenset()), _holders(entity)
            if now != before:
                for agency in now ^ before:
                    self._holdings[agency, entity.record_type] += 1 if agency in now else -1
                self._holders[entity.id] = now

    def save_holdings(self) -> None:
        """Count how many entities each agency holds; the last statement before the commit.

        These rows are locked after all others, so that whoever waits for them keeps nobody else waiting.
        """
        counts = sorted((place, count) for place, count in self._holdings.items() if count)
        self._holdings.clear()
        if counts:
            self.connection.execute(
                _COUNT_HOLDINGS,
                {
                    "agencies": [agency for (agency, _), _ in counts],
                    "types": [record_type for (_, record_type), _ in counts],
                    "entities": [count for _, count in counts],
                },
            )

    def save_references(self, rows: Sequence[tuple[bytes, str, Reference]]) -> None:
        """Keep what records refer to: (record, field, reference)."""
        if not rows:
            return
        self.connection.execute(
            _SAVE_REFERENCES,
            {
                "record": [record for record, _, _ in rows],
                "field": [field for _, field, _ in rows],
                **columns_of([reference for _, _, reference in rows], singular=True),
            },
        )

    def save_due(self, days: Mapping[bytes, int]) -> None:
        if days:
            entities = sorted(days)
            self.connection.execute(
                _SAVE_DUE, {"entity": entities, "day": [days[entity] for entity in entities]}
            )

    def save_holds(self, holds: Sequence[Hold]) -> None:
        """Keep changes that wait for a person's word; the same one twice is one (R13, R14)."""
        if holds:
            self.connection.execute(
                _SAVE_HOLD,
                [
                    {
                        "record": one.record,
                        "agency": one.change.key.agency,
                        "record_type": one.change.key.record_type,
                        "event_id": one.change.event_id,
                        "reason": one.reason,
                        "fields": list(one.fields),
                        "change": _ENCODE(one.change),
                    }
                    for one in holds
                ],
            )

    def save_reviews(self, world: World, reviews: Sequence[Review]) -> None:
        """Keep pairs of records that a person must look at (R16)."""
        if reviews:
            self.connection.execute(
                _SAVE_REVIEW,
                [
                    {
                        "a": one.a,
                        "b": one.b,
                        "record_type": world.records[one.a].key.record_type,
                        "reason": one.reason,
                        "fields": list(one.fields),
                    }
                    for one in reviews
                ],
            )

    def save_disputes(self, disputes: Sequence[tuple[bytes, str, RecordKey]]) -> None:
        """Keep which fields the hub stopped rewriting: (record, field, the record's key) (R19)."""
        if disputes:
            self.connection.execute(
                _SAVE_DISPUTE,
                [
                    {"record": record, "field": name, "agency": key.agency, "record_type": key.record_type}
                    for record, name, key in disputes
                ],
            )

    def save_replaced(self, replaced: Mapping[bytes, Sequence[Replaced]]) -> None:
        """Keep assertions that do not stand any more, by record; the same ones twice are kept once."""
        if replaced:
            rows = [(record, _ENCODE(those)) for record, those in sorted(replaced.items())]
            self.connection.execute(
                _SAVE_REPLACED,
                {
                    "records": [record for record, _ in rows],
                    "marks": [hashlib.blake2b(said, digest_size=8).digest() for _, said in rows],
                    "said": [said for _, said in rows],
                },
            )

    def save_dead_letters(self, rows: Sequence[Mapping[str, object]]) -> None:
        """Keep messages that could not be used, whole; `rows` as the table's columns (R27)."""
        if rows:
            self.connection.execute(_SAVE_DEAD_LETTER, list(rows))

    # Publication

    def versions(self, entities: Collection[bytes]) -> dict[bytes, int]:
        rows = self.connection.execute(_VERSIONS, {"ids": sorted(entities)}) if entities else ()
        return {bytes(entity): version for entity, version in rows}

    def save_publication(self, worker: str, payload: bytes) -> int:
        """Note what this transaction changed, so that it is published even if the worker dies (R26)."""
        row = self.connection.execute(_SAVE_PUBLICATION, {"worker": worker, "payload": payload})
        return int(row.scalar_one())

    def drop_publications(self, ids: Collection[int]) -> None:
        if ids:
            self.connection.execute(_DROP_PUBLICATIONS, {"ids": sorted(ids)})


def columns_of(references: Iterable[Reference], *, singular: bool = False) -> dict[str, list[str]]:
    """References as parameters of a statement that unnests them."""
    rows = list(references) if singular else sorted(references)
    names = ("agency", "record_type", "local_id") if singular else ("agencies", "types", "local_ids")
    return {name: [row[position] for row in rows] for position, name in enumerate(names)}


def read_records(world: World, rows: Iterable[Any]) -> None:
    """Add records from their columns, in the order of the table."""
    for row in rows:
        (identity, agency, kind, local_id, incarnation, entity, born, seen, ended, linked, asserts) = row
        state = RecordState(
            id=bytes(identity),
            key=RecordKey(agency, kind, local_id, incarnation),
            born=born,
            seen=seen,
            ended=ended,
            linked=linked and bytes(linked),
            asserts=unpack(asserts),
        )
        world.records[state.id] = state
        world.entity_of[state.id] = bytes(entity)


def row_of_record(state: RecordState, entity: bytes) -> tuple[Any, ...]:
    """A record as the columns of the table."""
    s = state
    return (s.id, *s.key, entity, s.born, s.seen, s.ended, s.linked, pack(s.asserts))


def _holders(entity: Entity) -> frozenset[str]:
    """The agencies that were last told to hold the entity."""
    return frozenset([agency for agency, held in entity.held.items() if held.operation == UPSERT])


def look_at_entities(tx: Transaction, ids: Collection[bytes]) -> dict[bytes, Entity]:
    """Entities by id, without their members; nothing is locked."""
    if not ids:
        return {}
    rows = tx.connection.execute(_LOOK_AT_ENTITIES, {"ids": sorted(ids)})
    return {entity.id: entity for entity in map(entity_of_row, rows)}


def row_of_entity(one: Entity) -> tuple[Any, ...]:
    """An entity as the columns of the table."""
    return (
        one.id,
        one.record_type,
        one.version,
        one.golden,
        _ENCODE(one.held),
        _ENCODE(one.consents),
        one.about,
    )


def entity_of_row(row: Any) -> Entity:
    """An entity from its columns, in the order of the table."""
    identity, record_type, version, golden, held, consents, about = row
    return Entity(
        id=bytes(identity),
        record_type=record_type,
        version=version,
        golden=bytes(golden),
        held=_HELD.decode(held),
        consents=_CONSENTS.decode(consents),
        about=about and bytes(about),
    )
