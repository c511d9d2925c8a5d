"""What status counts in the store: set-based, and cheap with millions of entities."""

from __future__ import annotations

from collections.abc import Collection
from typing import NamedTuple

from sqlalchemy import TextClause, text

from hub.lanes import intake
from hub.store.transaction import Transaction

# Agency and record type.
Side = tuple[str, str]
Place = tuple[str, int]

_ENTITLED = text("SELECT agency, record_type, sum(entities) FROM holding GROUP BY 1, 2")

_UNDELIVERED = text("""
    SELECT agency, record_type, count(*) FROM undelivered WHERE state = :state GROUP BY 1, 2
""")

_DEAD = text("SELECT agency, record_type, count(*) FROM dead_letter WHERE state = 'open' GROUP BY 1, 2")

_HELD = text("""
    SELECT agency, record_type, count(*) FROM (
        SELECT agency, record_type FROM hold WHERE state = 'held'
        UNION ALL
        SELECT agency, record_type FROM braked JOIN brake ON brake.id = braked.brake WHERE NOT done) AS held
    GROUP BY 1, 2
""")

_DISPUTED = text("SELECT agency, record_type, count(*) FROM dispute GROUP BY 1, 2")

# First the distinct keys that are referred to, in the order of their index, against the index of records:
# 0.8 s for two million records. Only then the few records that refer to what is missing.
WAITING_REFERENCES = text("""
    WITH target AS MATERIALIZED (SELECT DISTINCT agency, record_type, local_id FROM reference),
    unknown AS MATERIALIZED (
        SELECT * FROM target t WHERE NOT EXISTS (
            SELECT 1 FROM record r
            WHERE r.agency = t.agency AND r.record_type = t.record_type AND r.local_id = t.local_id))
    SELECT r.agency, r.record_type, count(DISTINCT r.id)
    FROM unknown u
    JOIN reference f USING (agency, record_type, local_id)
    JOIN record r ON r.id = f.record
    WHERE r.ended = 0
    GROUP BY 1, 2
""")

_OVERALL = text("""
    SELECT (SELECT count(*) FROM review WHERE state = 'open') AS reviews,
           (SELECT count(*) FROM due WHERE day <= :day) AS due,
           (SELECT count(*) FROM publication) AS unpublished
""")

_POSITIONS = text("SELECT topic, partition, next_offset FROM position WHERE lane = :lane")

_ALL_POSITIONS = text("SELECT topic, partition, next_offset FROM position")

_RECEIPTS = text("SELECT topic, partition, next_offset FROM receipt")


class Overall(NamedTuple):
    """What belongs to no agency: `due` entities to settle now, `unpublished` transactions."""

    reviews: int
    due: int
    unpublished: int


def by_side(tx: Transaction) -> dict[str, dict[Side, int]]:
    """Name of a count → agency and record type → number."""
    return {
        "entitled": _count(tx, _ENTITLED),
        "refused": _count(tx, _UNDELIVERED, state="refused"),
        "waiting_deliveries": _count(tx, _UNDELIVERED, state="waiting"),
        "waiting_references": _count(tx, WAITING_REFERENCES),
        "dead": _count(tx, _DEAD),
        "held": _count(tx, _HELD),
        "disputed": _count(tx, _DISPUTED),
    }


def _count(tx: Transaction, statement: TextClause, **where: object) -> dict[Side, int]:
    return {
        (agency, record_type): int(number)
        for agency, record_type, number in tx.connection.execute(statement, where)
    }


def overall(tx: Transaction, day: int) -> Overall:
    """The rest; `day`: today, in days since 1970-01-01."""
    return Overall(*tx.connection.execute(_OVERALL, {"day": day}).one())


def intake_positions(tx: Transaction) -> dict[Place, int]:
    """Where intake reads on in each partition that it has ever read."""
    return _offsets(tx, _POSITIONS, lane=intake.LANE)


def lane_positions(tx: Transaction) -> dict[Place, int]:
    """Where the lanes read on in each partition; no two lanes read the same topic."""
    return _offsets(tx, _ALL_POSITIONS)


def receipt_watermarks(tx: Transaction) -> dict[Place, int]:
    """How far each agency's side has acknowledged each partition that it gave receipts for."""
    return _offsets(tx, _RECEIPTS)


def _offsets(tx: Transaction, statement: TextClause, **where: object) -> dict[Place, int]:
    rows = tx.connection.execute(statement, where)
    return {(topic, partition): offset for topic, partition, offset in rows}


def backlog(
    places: Collection[Place],
    beginnings: dict[Place, int],
    ends: dict[Place, int],
    reached: dict[Place, int],
) -> dict[Place, tuple[int, int]]:
    """Partitions with something unread: (the first unread offset, how many from there to the end)."""
    behind = {}
    for place in places:
        first = max(beginnings[place], reached.get(place, 0))
        if ends[place] > first:
            behind[place] = (first, ends[place] - first)
    return behind
