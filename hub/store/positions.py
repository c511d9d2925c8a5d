"""Positions of the lanes, and the watermarks that agencies' receipts give."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import NamedTuple

from sqlalchemy import text

from hub.store.transaction import Transaction

_POSITIONS = text("""
    SELECT topic, partition, topic_id, next_offset FROM position
    WHERE lane = :lane AND topic = ANY(CAST(:topics AS text[]))
""")

_FIRST_POSITION = text("""
    INSERT INTO position (lane, topic, partition, topic_id, next_offset)
    VALUES (:lane, :topic, :partition, :topic_id, :next_offset)
    ON CONFLICT (lane, topic, partition) DO NOTHING
""")

_LEFTOVER = text("""
    SELECT id, payload FROM publication
    WHERE worker = :worker OR created_at < now() - make_interval(secs => :age_s)
    ORDER BY id LIMIT :limit FOR UPDATE SKIP LOCKED
""")

# The later word stands, though it be lower: an inbox was made anew, or the agency's database restored.
_SAVE_RECEIPTS = text("""
    INSERT INTO receipt (topic, partition, agency, next_offset, committed_ms, epoch, set_back_ms)
    VALUES (:topic, :partition, :agency, :next_offset, :committed_ms, :epoch, :set_back_ms)
    ON CONFLICT (topic, partition) DO UPDATE SET
        next_offset = excluded.next_offset, committed_ms = excluded.committed_ms,
        epoch = excluded.epoch, set_back_ms = excluded.set_back_ms
    WHERE receipt.committed_ms <= excluded.committed_ms OR receipt.next_offset < excluded.next_offset
""")

_SAVE_UNDELIVERED = text("""
    INSERT INTO undelivered (agency, entity, record_type, version, state, code, column_name, since_ms)
    VALUES (:agency, :entity, :record_type, :version, :state, :code, :column_name, :since_ms)
    ON CONFLICT (agency, entity) DO UPDATE SET
        version = excluded.version, state = excluded.state,
        code = excluded.code, column_name = excluded.column_name
    WHERE undelivered.version <= excluded.version
""")

_DROP_UNDELIVERED = text("""
    DELETE FROM undelivered WHERE agency = :agency AND entity = :entity AND version <= :version
""")


_SAVE_FAREWELL = text("""
    INSERT INTO farewell (agency, entity, record_type, topic, partition, kafka_offset, version)
    VALUES (:agency, :entity, :record_type, :topic, :partition, :kafka_offset, :version)
    ON CONFLICT (agency, entity) DO UPDATE SET
        kafka_offset = excluded.kafka_offset, version = excluded.version
    WHERE farewell.version <= excluded.version
""")

_TAKE_FAREWELLS = text("""
    DELETE FROM farewell f USING receipt r
    WHERE r.topic = f.topic AND r.partition = f.partition AND r.next_offset > f.kafka_offset
      AND (f.agency, f.entity) IN (SELECT agency, entity FROM farewell ORDER BY entity LIMIT :limit)
    RETURNING f.agency, f.entity, f.record_type, f.version
""")


class Farewell(NamedTuple):
    """A retraction on its way: where in the agency's inbox it stands, and of which version it is."""

    agency: str
    entity: bytes
    record_type: str
    topic: str
    partition: int
    kafka_offset: int
    version: int


class Position(NamedTuple):
    """Where a lane reads on in one partition; `topic_id` tells a topic from a later one of its name."""

    topic_id: str
    next_offset: int


def load_positions(tx: Transaction, lane: str, topics: Collection[str]) -> dict[tuple[str, int], Position]:
    """The lane's positions by (topic, partition)."""
    rows = tx.connection.execute(_POSITIONS, {"lane": lane, "topics": sorted(topics)})
    return {(row.topic, row.partition): Position(row.topic_id, row.next_offset) for row in rows}


def save_first_positions(tx: Transaction, lane: str, positions: Mapping[tuple[str, int], Position]) -> None:
    """Begin to keep positions of partitions that this lane has never read."""
    if positions:
        tx.connection.execute(
            _FIRST_POSITION,
            [
                {
                    "lane": lane,
                    "topic": topic,
                    "partition": partition,
                    "topic_id": position.topic_id,
                    "next_offset": position.next_offset,
                }
                for (topic, partition), position in sorted(positions.items())
            ],
        )


def leftover_publications(
    tx: Transaction, worker: str, age_s: float, limit: int = 20
) -> list[tuple[int, bytes]]:
    """What was committed and perhaps never published: this worker's, and any older than `age_s` (R26)."""
    rows = tx.connection.execute(_LEFTOVER, {"worker": worker, "age_s": age_s, "limit": limit})
    return [(row.id, bytes(row.payload)) for row in rows]


def save_farewells(tx: Transaction, farewells: Sequence[Farewell]) -> None:
    """Keep what waits for the agency's receipt before its tombstone is written (R29)."""
    if farewells:
        tx.connection.execute(_SAVE_FAREWELL, [one._asdict() for one in farewells])


def take_farewells(tx: Transaction, limit: int) -> list[tuple[str, bytes, str, int]]:
    """Acknowledged retractions: (agency, entity, record type, version); back if this rolls back."""
    rows = tx.connection.execute(_TAKE_FAREWELLS, {"limit": limit})
    return [(agency, bytes(entity), record_type, version) for agency, entity, record_type, version in rows]


class ReceiptException(NamedTuple):
    """A projection that an agency's side could not apply (yet), or, if `resolved`, could at last."""

    agency: str
    entity: bytes
    record_type: str
    version: int
    state: str
    code: str
    column_name: str
    since_ms: int


def save_receipts(
    tx: Transaction,
    watermarks: Sequence[Mapping[str, object]],
    exceptions: Sequence[ReceiptException],
) -> None:
    """Keep how far agencies have come; a repeated or older receipt changes nothing (R29)."""
    if watermarks:
        # Only those of an agency's own changes topics have an epoch.
        tx.connection.execute(_SAVE_RECEIPTS, [{"epoch": 0, "set_back_ms": 0, **one} for one in watermarks])
    open_ones = [one._asdict() for one in exceptions if one.state != "resolved"]
    if open_ones:
        tx.connection.execute(_SAVE_UNDELIVERED, open_ones)
    resolved = [one._asdict() for one in exceptions if one.state == "resolved"]
    if resolved:
        tx.connection.execute(_DROP_UNDELIVERED, resolved)
