"""What agencies were told and had taken back, counted; and the reprojections that made it so (R17).

A reprojection is one record type settled again as a whole, since an agreement or its contract has changed, an
agency has joined or the store was rebuilt. Its entities are due until they are settled; it ends when no more
of them are.
"""

from __future__ import annotations

import datetime
import json
from collections.abc import Collection, Mapping, Sequence
from typing import Any, NamedTuple

from sqlalchemy import Connection, text

from hub.store.loading import Loading

# Why a reprojection began.
AGREEMENT, JOINING, REBUILT = "agreement", "joining", "rebuilt"
# Why an agency was told something, or had it taken back.
BY_AGREEMENT, BY_CONSENT, BY_REFERENCE, BY_RECORD = "agreement", "consent", "reference", "record"

# What is due may make others due; after so many rounds what is still due belongs to the day's work.
_ROUNDS = 3

_BEGIN = text("""
    INSERT INTO reprojection (record_type, why, agencies, agreed, entities, last_due)
    SELECT :record_type, :why, CAST(:agencies AS text[]), :agreed, count(*), coalesce(max(d.id), 0)
    FROM due d JOIN entity e ON e.id = d.entity WHERE d.day = 0 AND e.record_type = :record_type
""")

# Whatever was made due by it, or was put back because somebody held it, was due before this statement.
_END = text("""
    UPDATE reprojection r
    SET last_due = coalesce(later.id, last_due), rounds = rounds + 1,
        ended_at = CASE WHEN later.id IS NULL OR rounds >= :rounds THEN now() END
    FROM (SELECT max(id) AS id FROM due WHERE day = 0) AS later
    WHERE r.id = ANY(ARRAY(
        SELECT o.id FROM reprojection o
        WHERE o.ended_at IS NULL AND NOT EXISTS (SELECT FROM due d WHERE d.day = 0 AND d.id <= o.last_due)
        FOR UPDATE SKIP LOCKED))
""")

_OPEN = text("SELECT record_type, max(id) FROM reprojection WHERE ended_at IS NULL GROUP BY record_type")

_COUNT = text("""
    INSERT INTO disclosure (reprojection, day, cause, agency, record_type, field, slot, told, taken_back)
    SELECT reprojection, day, cause, agency, record_type, field, pg_backend_pid() % 64, told, taken_back
    FROM unnest(CAST(:reprojection AS bigint[]), CAST(:day AS int[]), CAST(:cause AS text[]),
                CAST(:agency AS text[]), CAST(:record_type AS text[]), CAST(:field AS text[]),
                CAST(:told AS bigint[]), CAST(:taken_back AS bigint[]))
         AS v(reprojection, day, cause, agency, record_type, field, told, taken_back)
    ORDER BY reprojection, day, cause, agency, record_type, field
    ON CONFLICT (reprojection, day, cause, agency, record_type, field, slot) DO UPDATE
    SET told = disclosure.told + excluded.told, taken_back = disclosure.taken_back + excluded.taken_back
""")

_REPROJECTIONS = text("""
    SELECT r.id, r.record_type, r.why, r.agencies, r.agreed, r.entities, r.began_at, r.ended_at,
           CASE WHEN r.ended_at IS NULL
                THEN (SELECT count(*) FROM due d WHERE d.day = 0 AND d.id <= r.last_due) ELSE 0 END AS due
    FROM reprojection r WHERE r.ended_at IS NULL OR r.ended_at >= :since ORDER BY r.id
""")

_DISCLOSURES = text("""
    SELECT reprojection, day, cause, agency, record_type, field,
           sum(told) AS told, sum(taken_back) AS taken_back
    FROM disclosure
    WHERE reprojection = ANY(CAST(:reprojections AS bigint[])) OR (reprojection = 0 AND day >= :day)
    GROUP BY reprojection, day, cause, agency, record_type, field
    ORDER BY reprojection, day, cause, agency, record_type, field
""")


class Disclosed(NamedTuple):
    """What is counted apart. `reprojection`: its id, 0 for none; `day`: days since 1970-01-01; `cause`: one
    of BY_…; `field`: a name, or of `hub.core.disclosure` WHOLE or UNKNOWN."""

    reprojection: int
    day: int
    cause: str
    agency: str
    record_type: str
    field: str


class Reprojection(NamedTuple):
    """One record type settled again as a whole.

    `why`: AGREEMENT, JOINING or REBUILT; `agencies`: who joined; `agreed`: what differs in what was agreed
    on, as `hub.lanes.agreed` words it, None where it is not known what was agreed on before; `entities`: how
    many were due; `due`: how many are due still, theirs and what came due before them.
    """

    id: int
    record_type: str
    why: str
    agencies: tuple[str, ...]
    agreed: list[dict[str, Any]] | None
    entities: int
    began_at: datetime.datetime
    ended_at: datetime.datetime | None
    due: int


class Count(NamedTuple):
    """How many entities, or fields of entities, were told and taken back."""

    where: Disclosed
    told: int
    taken_back: int


def begin_reprojection(
    connection: Connection,
    record_type: str,
    why: str,
    agencies: Collection[str] = (),
    agreed: list[dict[str, Any]] | None = None,
) -> None:
    """Note that all entities of a record type have been made due, in the transaction that did it."""
    connection.execute(
        _BEGIN,
        {
            "record_type": record_type,
            "why": why,
            "agencies": sorted(agencies),
            "agreed": None if agreed is None else json.dumps(agreed),
        },
    )


def end_reprojections(connection: Connection) -> None:
    """End those of whose entities no more are due, and none that they made due."""
    connection.execute(_END, {"rounds": _ROUNDS})


def open_reprojections(connection: Connection) -> dict[str, int]:
    """Record type → the latest reprojection of it that has not ended."""
    return {row[0]: row[1] for row in connection.execute(_OPEN)}


def count_disclosures(connection: Connection, counts: Mapping[Disclosed, tuple[int, int]]) -> None:
    """Add to what was told and taken back: (told, taken back) for each."""
    rows = sorted(counts.items())
    columns: dict[str, list[Any]] = {
        name: [where[position] for where, _ in rows] for position, name in enumerate(Disclosed._fields)
    }
    columns |= {"told": [told for _, (told, _) in rows], "taken_back": [back for _, (_, back) in rows]}
    connection.execute(_COUNT, columns)


def reprojections_since(tx: Loading, since: datetime.datetime) -> list[Reprojection]:
    """Those that have not ended, or ended since; in the order in which they began."""
    return [
        Reprojection(
            row.id,
            row.record_type,
            row.why,
            tuple(row.agencies),
            None if row.agreed is None else json.loads(row.agreed),
            row.entities,
            row.began_at,
            row.ended_at,
            row.due,
        )
        for row in tx.rows(_REPROJECTIONS, {"since": since})
    ]


def disclosures(tx: Loading, reprojections: Sequence[int], since_day: int) -> list[Count]:
    """What was counted for these reprojections, and outside of any since a day."""
    rows = tx.rows(_DISCLOSURES, {"reprojections": list(reprojections), "day": since_day})
    return [Count(Disclosed(*row[:6]), int(row.told), int(row.taken_back)) for row in rows]
