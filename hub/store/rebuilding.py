"""A store built anew from the kept topics: through staging tables into the store's own (R31).

What is derived from them is emptied first; what they do not carry (decisions, holds, the audit trail,
positions) is left as it is. Every statement takes a batch; of each key the greatest version stands, of equal
ones the later word, so that a batch may be repeated.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from sqlalchemy import text

from hub.core.assertions import RecordKey, RecordState, pack
from hub.core.crosswalk import Entity, Held
from hub.store.disclosures import REBUILT, begin_reprojection
from hub.store.transaction import Transaction

# Built from the topics, or counted from what is.
DERIVED = ("record", "entity", "identity", "record_name", "reference", "holding", "due", "farewell")

_STAGES = {
    "rebuild_link": "record bytea PRIMARY KEY, record_type text, entity bytea, version int8",
    "rebuild_entity": "entity bytea PRIMARY KEY, record_type text, version int8",
    "rebuild_told": "entity bytea, agency text, record_type text, version int8, operation text,"
    " PRIMARY KEY (entity, agency)",
}

_SAVE_LINKS = text("""
    INSERT INTO rebuild_link AS l (record, record_type, entity, version)
    SELECT * FROM unnest(CAST(:record AS bytea[]), CAST(:record_type AS text[]),
                         CAST(:entity AS bytea[]), CAST(:version AS bigint[]))
    ON CONFLICT (record) DO UPDATE SET entity = excluded.entity, version = excluded.version
    WHERE excluded.version >= l.version
""")

_SAVE_VERSIONS = text("""
    INSERT INTO rebuild_entity AS e (entity, record_type, version)
    SELECT * FROM unnest(CAST(:entity AS bytea[]), CAST(:record_type AS text[]), CAST(:version AS bigint[]))
    ON CONFLICT (entity) DO UPDATE SET version = greatest(e.version, excluded.version)
""")

# A tombstone has no version of its own: it ends what stood before it in the same partition.
_SAVE_TOLD = text("""
    INSERT INTO rebuild_told AS t (entity, agency, record_type, version, operation)
    SELECT * FROM unnest(CAST(:entity AS bytea[]), CAST(:agency AS text[]), CAST(:record_type AS text[]),
                         CAST(:version AS bigint[]), CAST(:operation AS text[]))
    ON CONFLICT (entity, agency) DO UPDATE SET
        version = greatest(t.version, excluded.version), operation = excluded.operation
    WHERE excluded.version >= t.version OR excluded.operation = ''
""")

_GATHER_ENTITIES = text("""
    INSERT INTO rebuild_entity AS e (entity, record_type, version)
    SELECT entity, min(record_type), max(version) FROM (
        SELECT entity, record_type, version FROM rebuild_link
        UNION ALL SELECT entity, record_type, version FROM rebuild_told) AS seen
    GROUP BY entity
    ON CONFLICT (entity) DO UPDATE SET version = greatest(e.version, excluded.version)
""")

_HIGHEST = text("SELECT coalesce(max(version), 0) FROM rebuild_entity")

# An entity whose founding record is not known here is found anew when its change is read again; a row for it
# would be in the way of that.
_ENTITIES = text("""
    SELECT e.entity, e.record_type FROM rebuild_entity e
    WHERE e.entity > :after AND (EXISTS (SELECT FROM record r WHERE r.id = e.entity)
                                 OR EXISTS (SELECT FROM record r WHERE r.entity = e.entity))
    ORDER BY e.entity LIMIT :limit
""")

_TOLD = text("""
    SELECT entity, agency, operation FROM rebuild_told
    WHERE entity = ANY(CAST(:entities AS bytea[])) AND operation <> ''
""")

_COUNT_TOLD = text("SELECT count(*) FROM rebuild_told WHERE operation <> ''")

_SAVE_RECORDS = text("""
    INSERT INTO record AS r (id, agency, record_type, local_id, incarnation, entity,
                             born, seen, ended, linked, asserts)
    SELECT v.id, v.agency, v.record_type, v.local_id, v.incarnation, l.entity,
           v.born, v.seen, v.ended, v.linked, v.asserts
    FROM unnest(CAST(:id AS bytea[]), CAST(:agency AS text[]), CAST(:record_type AS text[]),
                CAST(:local_id AS text[]), CAST(:incarnation AS int[]), CAST(:born AS bigint[]),
                CAST(:seen AS bigint[]), CAST(:ended AS bigint[]), CAST(:linked AS bytea[]),
                CAST(:asserts AS bytea[]))
         AS v(id, agency, record_type, local_id, incarnation, born, seen, ended, linked, asserts)
    JOIN rebuild_link l ON l.record = v.id
    ON CONFLICT (id) DO UPDATE SET
        born = excluded.born, seen = excluded.seen, ended = excluded.ended,
        linked = excluded.linked, asserts = excluded.asserts
    WHERE excluded.seen >= r.seen
""")

_STATE = ("id", *RecordKey._fields, "born", "seen", "ended", "linked", "asserts")

_UNLINKED = text("""
    SELECT count(*) FROM unnest(CAST(:ids AS bytea[])) AS v(id)
    WHERE NOT EXISTS (SELECT FROM rebuild_link l WHERE l.record = v.id)
""")

# As intake keeps those that wait for the founding record of their entity: under a field that is none (R27).
_WAITING = text("""
    INSERT INTO reference (record, field, agency, record_type, local_id)
    SELECT r.id, '', 'hub', r.record_type, encode(r.linked, 'hex') FROM record r
    WHERE r.linked IS NOT NULL AND NOT EXISTS (SELECT FROM record f WHERE f.id = r.linked)
    ON CONFLICT (record, field) DO NOTHING
""")

_APART = text("""
    SELECT i.value, array_agg(r.id ORDER BY r.id) AS records, min(r.record_type) AS record_type
    FROM (SELECT value, records FROM identity WHERE value > :after ORDER BY value LIMIT :limit) AS i
    CROSS JOIN LATERAL unnest(i.records) AS u(id)
    JOIN record r ON r.id = u.id
    GROUP BY i.value
    ORDER BY i.value
""")

_ALL_DUE = text("""
    INSERT INTO due (entity, day)
    SELECT id, 0 FROM entity
    -- A record after those that it refers to: so it is settled once only.
    ORDER BY array_position(CAST(:types AS text[]), record_type), id
""")


_SAVE_DECISIONS = text("""
    INSERT INTO decision AS d (a, b, same, stamp, who, why)
    SELECT v.a, v.b, v.same, v.stamp, 'unknown', 'decided before the store was rebuilt'
    FROM unnest(CAST(:a AS bytea[]), CAST(:b AS bytea[]), CAST(:same AS boolean[]), CAST(:stamp AS bigint[]))
         AS v(a, b, same, stamp)
    ON CONFLICT (a, b) DO UPDATE SET
        same = excluded.same, stamp = excluded.stamp, who = excluded.who, why = excluded.why
    WHERE d.stamp < excluded.stamp
""")


class Link(NamedTuple):
    """One line of the crosswalk, as `hub.links` has it."""

    record: bytes
    record_type: str
    entity: bytes
    version: int


class Version(NamedTuple):
    """A version that was given out to an entity."""

    entity: bytes
    record_type: str
    version: int


class Told(NamedTuple):
    """What an agency's inbox says last of an entity; `operation` is empty for a tombstone."""

    entity: bytes
    agency: str
    record_type: str
    version: int
    operation: str


def begin(tx: Transaction) -> None:
    """Empty what is derived from the topics, and make the staging tables anew."""
    tx.connection.exec_driver_sql(f"TRUNCATE {', '.join(DERIVED)}")
    for name, columns in _STAGES.items():
        tx.connection.exec_driver_sql(f"DROP TABLE IF EXISTS {name}")
        tx.connection.exec_driver_sql(f"CREATE UNLOGGED TABLE {name} ({columns})")


def count_told(tx: Transaction) -> int:
    """Of how many entities an agency was told something that still stands, each agency for itself."""
    return int(tx.connection.execute(_COUNT_TOLD).scalar_one())


def end(tx: Transaction) -> None:
    """Remove the staging tables."""
    for name in _STAGES:
        tx.connection.exec_driver_sql(f"DROP TABLE {name}")


def save_links(tx: Transaction, links: Sequence[Link]) -> None:
    """Keep lines of the crosswalk; no record twice."""
    if links:
        tx.connection.execute(_SAVE_LINKS, _columns(Link._fields, links))


def save_versions(tx: Transaction, versions: Sequence[Version]) -> None:
    """Keep versions that were given out; no entity twice."""
    if versions:
        tx.connection.execute(_SAVE_VERSIONS, _columns(Version._fields, versions))


def save_told(tx: Transaction, told: Sequence[Told]) -> None:
    """Keep what agencies were told; no entity twice for one agency."""
    if told:
        tx.connection.execute(_SAVE_TOLD, _columns(Told._fields, told))


def save_states(tx: Transaction, states: Sequence[RecordState]) -> int:
    """Keep records that the crosswalk knows; no record twice. Returns how many it does not know."""
    if not states:
        return 0
    rows = [(s.id, *s.key, s.born, s.seen, s.ended, s.linked, pack(s.asserts)) for s in states]
    tx.connection.execute(_SAVE_RECORDS, _columns(_STATE, rows))
    return int(tx.connection.execute(_UNLINKED, {"ids": [s.id for s in states]}).scalar_one())


def gather_entities(tx: Transaction) -> int:
    """Every entity that any topic names goes to the staging table; returns the highest version of all."""
    tx.connection.execute(_GATHER_ENTITIES)
    return int(tx.connection.execute(_HIGHEST).scalar_one())


def save_entities(tx: Transaction, after: bytes, version: int, limit: int) -> tuple[bytes, int]:
    """Make the next entities, all of one version; returns (the last one's id, how many).

    What an agency was told of them is known by its kind only: no digest is the empty one, so that settling
    tells the current state once more to everybody who holds it.
    """
    rows = tx.connection.execute(_ENTITIES, {"after": after, "limit": limit}).all()
    entities = {
        bytes(row.entity): Entity(id=bytes(row.entity), record_type=row.record_type, version=version)
        for row in rows
    }
    if entities:
        for row in tx.connection.execute(_TOLD, {"entities": sorted(entities)}):
            entities[bytes(row.entity)].held[row.agency] = Held(b"", row.operation)
        tx.save_entities(entities.values())
    return max(entities, default=after), len(entities)


def save_decisions(tx: Transaction, states: Iterable[RecordState]) -> None:
    """Keep stewards' decisions as the records carry them: on pairs, the lower id first."""
    latest: dict[tuple[bytes, bytes], tuple[int, bool]] = {}
    for state in states:
        for other, word in state.asserts.decided.items():
            a, b = sorted((state.id, other))
            latest[a, b] = max(latest.get((a, b), word), word)
    if latest:
        rows = [(a, b, same, stamp) for (a, b), (stamp, same) in sorted(latest.items())]
        tx.connection.execute(_SAVE_DECISIONS, _columns(("a", "b", "same", "stamp"), rows))


def save_waiting(tx: Transaction) -> None:
    """Keep which records were created for an entity whose founding record is unknown (R27)."""
    tx.connection.execute(_WAITING)


def sharers(tx: Transaction, after: bytes, limit: int) -> list[tuple[bytes, str, list[bytes]]]:
    """(value, record type, records) of the next identity values, in their order."""
    rows = tx.connection.execute(_APART, {"after": after, "limit": limit})
    return [(bytes(row.value), row.record_type, [bytes(one) for one in row.records]) for row in rows]


def make_all_due(tx: Transaction, types: Sequence[str]) -> None:
    """Have every entity settled; `types`: record types, each after those that it refers to."""
    tx.connection.execute(_ALL_DUE, {"types": list(types)})
    for record_type in types:
        begin_reprojection(tx.connection, record_type, REBUILT)


def _columns(names: Iterable[str], rows: Sequence[Sequence[object]]) -> dict[str, list[object]]:
    return dict(zip(names, map(list, zip(*rows, strict=True)), strict=True))
