"""What a transaction of the hub's store loads and locks.

Locks are taken in one order: positions, references, identities, entities; each class sorted, taken once
(R25). What is read before its lock is only a guess at what to lock; it is read again after.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from sqlalchemy import Connection, TextClause, text

from hub.core.contents import Reference, Target
from hub.core.crosswalk import Entity, World
from hub.core.epochs import life_meant, meant, named_below
from hub.core.matching import Decision
from hub.core.projection import UPSERT
from hub.errors import Retriable
from hub.store.errors import Fenced
from hub.store.rows import CONSENTS, HELD, columns_of, entity_of_row, holders, lives_of, read_records

# Creators of records that others refer to hold this lock shared; who finds a reference unknown takes it
# alone and looks again. Without it, each could miss the other's uncommitted row, for ever (R27).
_REFERENCES_LOCK = 7_231_904_412

# A merge moves a target at most once while this transaction waits for it; more than a few is a fault.
_MAX_LOOKS = 8


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
    SELECT v.agency, v.record_type, v.local_id, v.below, r.incarnation, r.entity, e.held, e.consents, r.id
    FROM unnest(CAST(:agencies AS text[]), CAST(:types AS text[]), CAST(:local_ids AS text[]),
                CAST(:below AS int[])) AS v(agency, record_type, local_id, below)
    JOIN record r ON (r.agency, r.record_type, r.local_id) = (v.agency, v.record_type, v.local_id)
         AND (v.below IS NULL OR r.incarnation < v.below)
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
    FROM unnest(CAST(:agencies AS text[]), CAST(:types AS text[]), CAST(:local_ids AS text[]),
                CAST(:below AS int[])) AS v(agency, record_type, local_id, below)
    JOIN record r ON (r.agency, r.record_type, r.local_id) = (v.agency, v.record_type, v.local_id)
         AND (v.below IS NULL OR r.incarnation < v.below)
""")

_TARGETS_MOVED = text("""
    SELECT EXISTS (
        SELECT FROM unnest(CAST(:records AS bytea[]), CAST(:entities AS bytea[])) AS v(record, entity)
        JOIN record r ON r.id = v.record
        WHERE r.entity <> v.entity)
""")

_DEPENDENTS = text("""
    SELECT DISTINCT r.entity, r.record_type
    FROM unnest(CAST(:agencies AS text[]), CAST(:types AS text[]), CAST(:local_ids AS text[]))
         AS v(agency, record_type, local_id)
    -- One look into the index for each, by OFFSET 0: the planner would read both tables from end to end.
    CROSS JOIN LATERAL (
        SELECT f.record FROM reference f
        WHERE f.agency = v.agency AND f.record_type = v.record_type AND f.local_id = v.local_id OFFSET 0) AS f
    CROSS JOIN LATERAL (SELECT entity, record_type FROM record WHERE id = f.record OFFSET 0) AS r
""")

_SOME_DEPENDENTS = text("""
    SELECT DISTINCT r.entity
    FROM unnest(CAST(:agencies AS text[]), CAST(:types AS text[]), CAST(:local_ids AS text[]))
         AS v(agency, record_type, local_id)
    CROSS JOIN LATERAL (
        SELECT f.record FROM reference f
        WHERE f.agency = v.agency AND f.record_type = v.record_type AND f.local_id = v.local_id
        LIMIT :limit) AS f
    CROSS JOIN LATERAL (SELECT entity FROM record WHERE id = f.record OFFSET 0) AS r
""")

_DECISIONS = text("""
    SELECT a, b, same, stamp FROM decision
    WHERE a = ANY(CAST(:ids AS bytea[])) OR b = ANY(CAST(:ids AS bytea[]))
""")

_TAKE_DUE = text("""
    DELETE FROM due WHERE id IN (
        SELECT id FROM due WHERE day <= :day ORDER BY day, id LIMIT :limit FOR UPDATE SKIP LOCKED)
    RETURNING entity, day
""")

_VERSIONS = text("SELECT id, version FROM entity WHERE id = ANY(CAST(:ids AS bytea[]))")


class Loading:
    """The statements that load and lock, on one connection in one transaction. Blocks; not thread-safe."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        # Who held the locked entities.
        self._holders: dict[bytes, frozenset[str]] = {}

    def rows(self, statement: TextClause, parameters: Mapping[str, Any]) -> Sequence[Any]:
        """All rows of an answer at once: fetched one by one, each costs half as much again."""
        return self.connection.execute(statement, parameters).all()

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
            read_records(world, self.rows(_RECORDS, {"ids": sorted(ids)}))
        return world

    def claim_identities(self, claims: Iterable[tuple[bytes, bytes]]) -> dict[bytes, list[bytes]]:
        """Add (value, record) claims and lock their values; returns who shares each value."""
        pairs = sorted(set(claims))
        if not pairs:
            return {}
        rows = self.rows(
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
        for row in self.rows(_LOCK_ENTITIES, order):
            entity = entity_of_row(row)
            world.entities[entity.id] = entity
            self._holders[entity.id] = holders(entity)
        read_records(world, self.rows(_MEMBERS, order))
        return world

    def lock_early(self, ids: Collection[bytes], *, shared: bool = False) -> None:
        """Lock these entities, read nothing: for what is read later, when its lock would be out of order."""
        if ids:
            self.connection.execute(_LOCK_SHARED if shared else _LOCK, {"ids": sorted(ids)})

    def lock_free(self, ids: Collection[bytes]) -> tuple[set[bytes], set[bytes]]:
        """(those locked, those that somebody else holds), without waiting; unknown ids are in neither."""
        if not ids:
            return set(), set()
        free = {bytes(row[0]) for row in self.rows(_LOCK_FREE, {"ids": sorted(ids)})}
        rest = set(ids) - free
        held = self.rows(_PRESENT, {"ids": sorted(rest)}) if rest else ()
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
            read_records(world, self.rows(_MEMBERS, {"ids": sorted(entities)}))
        return world

    def led_to(self, references: Collection[Reference]) -> dict[str, set[bytes]]:
        """The entities to which references lead, by record type; nothing is locked."""
        found: dict[str, set[bytes]] = {}
        if references:
            for record_type, entity in self.rows(_LED_TO, lives_of(references)):
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
            found, records = self._targets(statement, references)
            if not self._moved(found, records):
                return found
        raise Retriable(f"what references lead to moved {_MAX_LOOKS} times while it was locked")

    def _moved(self, found: Mapping[Reference, Target], records: Mapping[Reference, bytes]) -> bool:
        """Whether a record stands for another entity than was locked for it.

        A statement that waits for an entity's lock goes on with that entity as it is by then, but with the
        crosswalk as it was when the statement began: a merge in between would be missed for good.
        """
        if not found:
            return False
        expected = {"records": list(records.values()), "entities": [found[one].entity for one in records]}
        return bool(self.connection.execute(_TARGETS_MOVED, expected).scalar_one())

    def look_at_targets(self, references: Collection[Reference]) -> dict[Reference, Target]:
        """What references lead to; nothing is locked."""
        return self._targets(_LOOK_AT_TARGETS, references)[0]

    def _targets(
        self, statement: TextClause, references: Collection[Reference]
    ) -> tuple[dict[Reference, Target], dict[Reference, bytes]]:
        """What references lead to, and by which record."""
        lives: dict[Reference, dict[bytes, Any]] = {}
        for row in self.rows(statement, lives_of(references)) if references else ():
            place = (row.agency, row.record_type, named_below(row.local_id, row.below))
            lives.setdefault(place, {})[bytes(row.id)] = row
        records = {place: next(iter(those)) for place, those in lives.items() if len(those) == 1}
        records |= self._meant({place: those for place, those in lives.items() if len(those) > 1})
        found: dict[Reference, Target] = {}
        for place, record in records.items():
            row = lives[place][record]
            holders = frozenset(a for a, h in HELD.decode(row.held).items() if h.operation == UPSERT)
            consents = tuple(CONSENTS.decode(row.consents).values())
            found[place] = Target(bytes(row.entity), holders, consents)
        return found, records

    def _meant(self, lives: Mapping[Reference, Mapping[bytes, Any]]) -> dict[Reference, bytes]:
        """Which of several lives of a local id each reference means; few local ids have several."""
        states = self.records(set().union(*lives.values())).records if lives else {}
        found: dict[Reference, bytes] = {}
        for place, those in lives.items():
            state = life_meant((states[record] for record in those), meant(place[2])[1])
            if state is not None:
                found[place] = state.id
        return found

    def dependents(self, targets: Collection[Reference]) -> dict[bytes, str]:
        """The entities with a record that refers to one of these local records, with their record types."""
        if not targets:
            return {}
        rows = self.rows(_DEPENDENTS, columns_of(targets))
        return {bytes(entity): record_type for entity, record_type in rows}

    def some_dependents(self, targets: Collection[Reference], limit: int) -> set[bytes]:
        """As `dependents`, of the first `limit` records that refer to each: a centre may have a million."""
        rows = self.rows(_SOME_DEPENDENTS, {**columns_of(targets), "limit": limit})
        return {bytes(entity) for (entity,) in rows}

    def decisions(self, records: Collection[bytes]) -> list[Decision]:
        """The stewards' decisions that concern these records."""
        if not records:
            return []
        rows = self.rows(_DECISIONS, {"ids": sorted(records)})
        return [Decision(bytes(a), bytes(b), same, stamp) for a, b, same, stamp in rows]

    def take_due(self, day: int, limit: int) -> dict[bytes, int]:
        """Take up to `limit` entities whose day has come, each with its earliest; they are back if this
        rolls back."""
        taken: dict[bytes, int] = {}
        for entity, when in self.rows(_TAKE_DUE, {"day": day, "limit": limit}):
            taken[bytes(entity)] = min(when, taken.get(bytes(entity), when))
        return taken

    def versions(self, entities: Collection[bytes]) -> dict[bytes, int]:
        rows = self.rows(_VERSIONS, {"ids": sorted(entities)}) if entities else ()
        return {bytes(entity): version for entity, version in rows}


def look_at_entities(tx: Loading, ids: Collection[bytes]) -> dict[bytes, Entity]:
    """Entities by id, without their members; nothing is locked."""
    if not ids:
        return {}
    rows = tx.rows(_LOOK_AT_ENTITIES, {"ids": sorted(ids)})
    return {entity.id: entity for entity in map(entity_of_row, rows)}
