"""What stands in an entity's way: refused deliveries, holds, reviews, dead letters of its records."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from sqlalchemy import text

from hub.contracts import topics
from hub.contracts.wire import ChangeReader, unframe
from hub.core.assertions import RecordKey
from hub.errors import SkipRecord
from hub.ops.parts import Parts
from hub.store.dead_letters import newest_open
from hub.store.transaction import Transaction

# Dead letters are kept by place in the log, not by record: so many of the newest are opened to look.
DEAD_LETTERS_OPENED = 300

_UNDELIVERED = text("""
    SELECT agency, version, state, code, column_name, since_ms FROM undelivered WHERE entity = :entity
""")

_UNDELIVERED_AT = text("""
    SELECT entity, record_type, agency, version, state, code, column_name, since_ms FROM undelivered
    WHERE agency = :agency ORDER BY since_ms, entity LIMIT :limit
""")

_WATERMARKS = text("""
    SELECT topic, partition, next_offset, committed_ms FROM receipt
    WHERE topic = ANY(CAST(:topics AS text[]))
""")


@dataclass(frozen=True)
class Undelivered:
    """A delivery that an agency's side could not apply: `state` refused or waiting, and why."""

    agency: str
    version: int
    state: str
    code: str
    column: str
    since_ms: int


@dataclass(frozen=True)
class UndeliveredAt:
    """An entity (its hub id) that an agency's side could not take up."""

    entity: bytes
    record_type: str
    why: Undelivered


@dataclass(frozen=True)
class Watermark:
    """How far an agency's side has acknowledged one inbox partition, and when it committed that."""

    next_offset: int
    committed_ms: int


@dataclass(frozen=True)
class DeadLetterSeen:
    """A change of one of the entity's records that could not be used; its message repeats no value.

    `number`: as `jisr dlq` takes it.
    """

    number: int
    agency: str
    local_id: str
    topic: str
    partition: int
    offset: int
    code: str
    path: str
    message: str
    at_ms: int


def undelivered(tx: Transaction, entity: bytes) -> dict[str, Undelivered]:
    """Agency → what it could not apply of this entity."""
    rows = tx.connection.execute(_UNDELIVERED, {"entity": entity})
    return {row.agency: Undelivered(*row) for row in rows}


def undelivered_at(tx: Transaction, agency: str, limit: int) -> list[UndeliveredAt]:
    """What one agency could not apply, the longest-standing first."""
    rows = tx.connection.execute(_UNDELIVERED_AT, {"agency": agency, "limit": limit})
    return [UndeliveredAt(bytes(row[0]), row[1], Undelivered(*row[2:])) for row in rows]


def watermarks(tx: Transaction, inboxes: Collection[str]) -> dict[tuple[str, int], Watermark]:
    """Topic and partition → how far it is acknowledged."""
    rows = tx.connection.execute(_WATERMARKS, {"topics": sorted(inboxes)})
    return {(topic, partition): Watermark(offset, at_ms) for topic, partition, offset, at_ms in rows}


def dead_letters(parts: Parts, tx: Transaction, keys: Collection[RecordKey]) -> list[DeadLetterSeen]:
    """The dead letters that speak of these local records, among the newest of their agencies.

    Raises `Retriable` if the registry is needed to read them, and away.
    """
    found = []
    for record_type in {key.record_type for key in keys}:
        reader = ChangeReader(parts.catalogue.records[record_type], parts.events)
        local_ids = {(key.agency, key.local_id) for key in keys}
        # A message that speaks of one of them has its local id in it, letter by letter; most have not.
        spelled = [key.local_id.encode() for key in keys]
        agencies = {key.agency for key in keys}
        for row in newest_open(tx, agencies, record_type, DEAD_LETTERS_OPENED):
            if row.value is None or not any(one in row.value for one in spelled):
                continue
            agency, _ = topics.split(row.topic)
            local_id = _local_id(parts, reader, row.value)
            if (agency, local_id) in local_ids:
                found.append(
                    DeadLetterSeen(
                        number=row.id,
                        agency=agency,
                        local_id=local_id,
                        topic=row.topic,
                        partition=row.partition,
                        offset=row.kafka_offset,
                        code=row.code,
                        path=row.path,
                        message=row.message,
                        at_ms=row.at_ms,
                    )
                )
    return found


def _local_id(parts: Parts, reader: ChangeReader, value: bytes) -> str:
    """Whom an unusable message speaks of, or nothing where even that cannot be read."""
    try:
        schema_id, body = unframe(value)
        return reader.read(schema_id, body, parts.registry.schema_by_id).local_id
    except SkipRecord:
        return ""
