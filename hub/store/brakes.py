"""Brakes in the store: how many changes of a kind came lately, and what is held of them (R32)."""

from __future__ import annotations

import datetime
from collections.abc import Collection, Mapping, Sequence
from typing import NamedTuple

import msgspec
from sqlalchemy import text

from hub.core.assertions import Change
from hub.store.transaction import Transaction

HELD, RELEASED, REJECTED = "held", "released", "rejected"

# Agency, record type, kind.
Group = tuple[str, str, str]

# One round trip for a batch: add its counts, and learn what came before and which brakes are on. Writers are
# spread over slots, as no row may be waited for by everybody.
_COUNT = text("""
    WITH given AS MATERIALIZED (
        SELECT * FROM unnest(CAST(:agencies AS text[]), CAST(:types AS text[]), CAST(:kinds AS text[]),
                             CAST(:minutes AS int[]), CAST(:numbers AS bigint[]))
                      AS v(agency, record_type, kind, minute, changes)),
    added AS (
        INSERT INTO brake_count (agency, record_type, kind, minute, slot, changes)
        SELECT agency, record_type, kind, minute, pg_backend_pid() % 64, changes
        FROM given ORDER BY 1, 2, 3, 4
        ON CONFLICT (agency, record_type, kind, minute, slot)
        DO UPDATE SET changes = brake_count.changes + excluded.changes),
    sides AS (
        SELECT agency, record_type, kind, min(minute) AS first, max(minute) AS last
        FROM given GROUP BY 1, 2, 3)
    SELECT 'count' AS what, agency, record_type, kind, CAST(minute AS bigint) AS a,
           CAST(sum(changes) AS bigint) AS b
    FROM brake_count JOIN sides USING (agency, record_type, kind)
    WHERE minute > first - :window AND minute <= last
    GROUP BY 2, 3, 4, 5
    UNION ALL
    SELECT state, agency, record_type, kind, id, coalesce(pass_until_ms, 0)
    FROM brake JOIN sides USING (agency, record_type, kind)
    WHERE state <> 'released' OR CAST(pass_until_ms / 60000 AS bigint) >= first
""")

_FORGET_COUNTS = text("DELETE FROM brake_count WHERE minute < :minute")

_LIVE = text("""
    SELECT count(*) FROM record WHERE agency = :agency AND record_type = :record_type AND ended = 0
""")

_ON = text("SELECT id FROM brake WHERE kind = :kind AND state <> 'released'")

_BARRED = text("""
    SELECT b.record, b.event_id
    FROM unnest(CAST(:records AS bytea[]), CAST(:events AS text[])) AS v(record, event_id)
    JOIN braked b USING (record, event_id) WHERE b.brake = ANY(CAST(:brakes AS bigint[]))
""")

_PULL = text("""
    INSERT INTO brake (agency, record_type, kind, live, allowed)
    VALUES (:agency, :record_type, :kind, :live, :allowed)
    ON CONFLICT (agency, record_type, kind) WHERE state = 'held' DO UPDATE SET last_at = now()
    RETURNING id
""")

_HOLD = text("""
    INSERT INTO braked (record, event_id, brake, change)
    SELECT record, event_id, :brake, change
    FROM unnest(CAST(:records AS bytea[]), CAST(:events AS text[]), CAST(:changes AS bytea[]))
         AS v(record, event_id, change)
    ON CONFLICT (record, event_id) DO NOTHING
""")

_BRAKES = text("""
    SELECT id, agency, record_type, kind, state, live, allowed, opened_at, last_at, who, why, decided_at,
           (SELECT count(*) FROM braked WHERE brake = brake.id) AS held,
           (SELECT count(*) FROM braked WHERE brake = brake.id AND NOT done) AS undone
    FROM brake
    WHERE (CAST(:id AS bigint) IS NULL OR id = :id)
      AND (CAST(:agency AS text) IS NULL OR agency = :agency)
      AND (:every OR state = 'held' OR EXISTS (SELECT FROM braked WHERE brake = brake.id AND NOT done))
    ORDER BY id
""")

_LOCK = text("SELECT state FROM brake WHERE id = :id FOR UPDATE")

_DECIDE = text("""
    UPDATE brake SET state = :state, who = :who, why = :why, decided_at = now(),
                     pass_until_ms = :pass_until_ms
    WHERE id = :id
""")

_TAKE = text("""
    UPDATE braked SET done = true
    WHERE (record, event_id) IN (
        SELECT record, event_id FROM braked WHERE brake = :id AND NOT done
        ORDER BY record, event_id LIMIT :limit)
    RETURNING change
""")

_SAMPLE = text("SELECT change FROM braked WHERE brake = :id ORDER BY record, event_id LIMIT :limit")

_ENCODE = msgspec.msgpack.Encoder().encode
_DECODE = msgspec.msgpack.Decoder(Change).decode


class Counted(NamedTuple):
    """What is known of the groups of a batch: counts by minute without the batch's own, brakes that are on,
    and until when (Unix ms, by the broker's append time) a released kind passes."""

    before: dict[tuple[Group, int], int]
    brakes: dict[Group, list[int]]
    passing: dict[Group, int]


class Brake(NamedTuple):
    """One brake. `live`, `allowed`: the agency's live records and the limit when it was pulled; `held`: the
    changes that it holds or held, `undone` those of them that still wait."""

    id: int
    agency: str
    record_type: str
    kind: str
    state: str
    live: int
    allowed: int
    opened_at: datetime.datetime
    last_at: datetime.datetime
    who: str | None
    why: str | None
    decided_at: datetime.datetime | None
    held: int
    undone: int


def count(tx: Transaction, numbers: Mapping[tuple[Group, int], int], window_min: int) -> Counted:
    """Add a batch's numbers, by group and minute of the append time."""
    rows = sorted(numbers.items())
    found = tx.connection.execute(
        _COUNT,
        {
            "agencies": [group[0] for (group, _), _ in rows],
            "types": [group[1] for (group, _), _ in rows],
            "kinds": [group[2] for (group, _), _ in rows],
            "minutes": [minute for (_, minute), _ in rows],
            "numbers": [number for _, number in rows],
            "window": window_min,
        },
    )
    counted = Counted({}, {}, {})
    for what, agency, record_type, kind, a, b in found:
        group = (agency, record_type, kind)
        if what == "count":
            counted.before[group, a] = b
        elif what == RELEASED:
            counted.passing[group] = max(counted.passing.get(group, 0), b)
        else:
            counted.brakes.setdefault(group, []).append(a)
    return counted


def forget_counts(tx: Transaction, before_minute: int) -> None:
    """Drop counts of minutes that no window reaches back to."""
    tx.connection.execute(_FORGET_COUNTS, {"minute": before_minute})


def live_records(tx: Transaction, agency: str, record_type: str) -> int:
    """How many records of a type the agency has; reads an index from end to end."""
    where = {"agency": agency, "record_type": record_type}
    return int(tx.connection.execute(_LIVE, where).scalar_one())


def numbers_on(tx: Transaction, kind: str) -> list[int]:
    """The brakes of a kind that hold, or whose changes were rejected."""
    return [int(number) for (number,) in tx.connection.execute(_ON, {"kind": kind})]


def barred(
    tx: Transaction, brakes: Collection[int], events: Sequence[tuple[bytes, str]]
) -> set[tuple[bytes, str]]:
    """Which of these (record, event id) are held or were rejected by one of these brakes."""
    if not brakes:
        return set()
    where = {
        "brakes": sorted(brakes),
        "records": [record for record, _ in events],
        "events": [event for _, event in events],
    }
    return {(bytes(record), event) for record, event in tx.connection.execute(_BARRED, where)}


def pull(tx: Transaction, group: Group, live: int, allowed: int) -> int:
    """The brake that holds this group's changes, pulled if none is on; returns its number."""
    agency, record_type, kind = group
    where = {"agency": agency, "record_type": record_type, "kind": kind, "live": live, "allowed": allowed}
    return int(tx.connection.execute(_PULL, where).scalar_one())


def hold(tx: Transaction, brake: int, changes: Sequence[tuple[bytes, Change]]) -> None:
    """Keep changes by their records' ids; the same one twice is one."""
    rows = sorted({(record, change.event_id): change for record, change in changes}.items())
    tx.connection.execute(
        _HOLD,
        {
            "brake": brake,
            "records": [record for (record, _), _ in rows],
            "events": [event for (_, event), _ in rows],
            "changes": [_ENCODE(change) for _, change in rows],
        },
    )


def brakes(
    tx: Transaction, *, brake_id: int | None = None, agency: str | None = None, every: bool = False
) -> list[Brake]:
    """Brakes by number; without `every` only those that still hold something back."""
    where = {"id": brake_id, "agency": agency, "every": every or brake_id is not None}
    return [Brake(*row) for row in tx.connection.execute(_BRAKES, where)]


def lock_brake(tx: Transaction, brake_id: int) -> str | None:
    """Its state, locked until the commit: workers hold no more by it meanwhile; None if unknown."""
    return tx.connection.execute(_LOCK, {"id": brake_id}).scalar_one_or_none()


def decide_brake(
    tx: Transaction, brake_id: int, state: str, who: str, why: str, pass_until_ms: int | None
) -> None:
    """Keep a person's word. `pass_until_ms`: until when more of the kind passes."""
    where = {"id": brake_id, "state": state, "who": who, "why": why, "pass_until_ms": pass_until_ms}
    tx.connection.execute(_DECIDE, where)


def take_braked(tx: Transaction, brake_id: int, limit: int) -> list[Change]:
    """Up to `limit` changes that still wait; they are no longer waiting if this commits."""
    rows = tx.connection.execute(_TAKE, {"id": brake_id, "limit": limit})
    return [_DECODE(change) for (change,) in rows]


def sample(tx: Transaction, brake_id: int, limit: int) -> list[Change]:
    """Some of the changes that a brake holds or held."""
    rows = tx.connection.execute(_SAMPLE, {"id": brake_id, "limit": limit})
    return [_DECODE(change) for (change,) in rows]
