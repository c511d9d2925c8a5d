"""What waits for a person and what persons decided: holds, reviews, decisions (R13, R14, R16)."""

from __future__ import annotations

import datetime
from collections.abc import Collection, Sequence
from typing import NamedTuple

import msgspec
from sqlalchemy import text

from hub.core.assertions import Change, RecordKey
from hub.store.transaction import Transaction

HELD, RELEASED, REJECTED = "held", "released", "rejected"

_CHANGE = msgspec.msgpack.Decoder(Change)

_HOLDS = text("""
    SELECT id, record, event_id, reason, fields, change, state, created_at, who, why, decided_at FROM hold
    WHERE (CAST(:id AS bigint) IS NULL OR id = :id)
      AND (CAST(:state AS text) IS NULL OR state = :state)
      AND (CAST(:agency AS text) IS NULL OR agency = :agency)
      AND (CAST(:records AS bytea[]) IS NULL OR record = ANY(:records))
    ORDER BY id LIMIT :limit
""")

_LOCK_HOLD = text("SELECT 1 FROM hold WHERE id = :id FOR UPDATE")

_DECIDE_HOLD = text("""
    UPDATE hold SET state = :state, who = :who, why = :why, decided_at = now() WHERE id = :id
""")

_REVIEWS = text("""
    SELECT v.a, v.b, v.record_type, v.reason, v.fields, v.state, v.created_at,
           x.agency AS a_agency, x.local_id AS a_local_id, x.incarnation AS a_incarnation,
           y.agency AS b_agency, y.local_id AS b_local_id, y.incarnation AS b_incarnation,
           d.same, d.who, d.why
    FROM review v
    JOIN record x ON x.id = v.a
    JOIN record y ON y.id = v.b
    LEFT JOIN decision d ON d.a = least(v.a, v.b) AND d.b = greatest(v.a, v.b)
    WHERE (CAST(:state AS text) IS NULL OR v.state = :state)
      AND (CAST(:records AS bytea[]) IS NULL OR v.a = ANY(:records) OR v.b = ANY(:records))
      AND (CAST(:a AS bytea) IS NULL OR (v.a = :a AND v.b = :b))
      AND (CAST(:after_a AS bytea) IS NULL OR (v.created_at, v.a, v.b) >
           (SELECT created_at, a, b FROM review WHERE a = :after_a AND b = :after_b))
    ORDER BY v.created_at, v.a, v.b LIMIT :limit
""")

_PLACE = text("""
    SELECT place, total, before_a, before_b, next_a, next_b FROM (
        SELECT a, b, row_number() OVER queue AS place, count(*) OVER () AS total,
               lag(a) OVER queue AS before_a, lag(b) OVER queue AS before_b,
               lead(a) OVER queue AS next_a, lead(b) OVER queue AS next_b
        FROM review WHERE state = 'open' WINDOW queue AS (ORDER BY created_at, a, b)) AS queued
    WHERE a = :a AND b = :b
""")

_DECISION = text("SELECT same, stamp, who, why FROM decision WHERE a = :a AND b = :b FOR UPDATE")

_SAVE_DECISION = text("""
    INSERT INTO decision (a, b, same, stamp, who, why) VALUES (:a, :b, :same, :stamp, :who, :why)
    ON CONFLICT (a, b) DO UPDATE SET
        same = excluded.same, stamp = excluded.stamp, who = excluded.who, why = excluded.why,
        created_at = now()
    WHERE decision.stamp < excluded.stamp
""")

_CLOSE_REVIEW = text("""
    UPDATE review SET state = :state WHERE (a = :a AND b = :b) OR (a = :b AND b = :a)
""")

# A pair that has come to stand for one entity by another pair's decision needs nobody any more.
_SETTLE_REVIEWS = text("""
    UPDATE review v SET state = 'settled'
    FROM record x, record y
    WHERE v.state = 'open' AND x.id = v.a AND y.id = v.b AND x.entity = y.entity
      AND x.entity = ANY(CAST(:entities AS bytea[]))
""")

# Dated back, so that the next worker that sweeps takes it at once: nobody publishes it from memory.
_LEAVE_PUBLICATION = text("""
    INSERT INTO publication (worker, payload, created_at)
    VALUES ('steward', :payload, now() - interval '1 day')
""")

# The two records of a review, in the review's own order.
PairIds = tuple[bytes, bytes]


class HeldChange(NamedTuple):
    """A change, or some fields of it, that waits or waited for a person's word; `state` as in `hold`."""

    id: int
    record: bytes
    event_id: str
    reason: str
    fields: tuple[str, ...]
    change: Change
    state: str
    created_at: datetime.datetime
    who: str | None
    why: str | None
    decided_at: datetime.datetime | None


class Pair(NamedTuple):
    """Two records that a person must look at or has looked at, with the decision on them if there is one."""

    a: bytes
    b: bytes
    a_key: RecordKey
    b_key: RecordKey
    reason: str
    fields: tuple[str, ...]
    state: str
    created_at: datetime.datetime
    same: bool | None
    who: str | None
    why: str | None


class Place(NamedTuple):
    """Where a review stands among the `total` open ones, 1 the oldest; its neighbours, None at an end."""

    place: int
    total: int
    before: PairIds | None
    next: PairIds | None


class Decided(NamedTuple):
    """The latest decision on a pair of records."""

    same: bool
    stamp: int
    who: str
    why: str


def holds(
    tx: Transaction,
    *,
    hold_id: int | None = None,
    state: str | None = None,
    agency: str | None = None,
    records: Collection[bytes] | None = None,
    limit: int = 1_000,
) -> list[HeldChange]:
    """Holds by id, oldest first; each condition that is None lets all pass."""
    where = {
        "id": hold_id,
        "state": state,
        "agency": agency,
        "records": None if records is None else sorted(records),
        "limit": limit,
    }
    return [
        HeldChange(
            id=row.id,
            record=bytes(row.record),
            event_id=row.event_id,
            reason=row.reason,
            fields=tuple(row.fields),
            change=_CHANGE.decode(row.change),
            state=row.state,
            created_at=row.created_at,
            who=row.who,
            why=row.why,
            decided_at=row.decided_at,
        )
        for row in tx.connection.execute(_HOLDS, where)
    ]


def lock_hold(tx: Transaction, hold_id: int) -> HeldChange | None:
    """The hold, locked until the commit, so that two persons cannot decide at once; None if unknown."""
    tx.connection.execute(_LOCK_HOLD, {"id": hold_id})
    return next(iter(holds(tx, hold_id=hold_id)), None)


def decide_hold(tx: Transaction, hold_id: int, state: str, who: str, why: str) -> None:
    tx.connection.execute(_DECIDE_HOLD, {"id": hold_id, "state": state, "who": who, "why": why})


def reviews(
    tx: Transaction,
    *,
    state: str | None = None,
    records: Collection[bytes] | None = None,
    pair: PairIds | None = None,
    after: PairIds | None = None,
    limit: int = 1_000,
) -> list[Pair]:
    """Pairs of records to be looked at, oldest first; each condition that is None lets all pass.

    `pair`: that one alone; `after`: those that come after that one.
    """
    a, b = pair or (None, None)
    after_a, after_b = after or (None, None)
    where = {
        "state": state,
        "records": None if records is None else sorted(records),
        "a": a,
        "b": b,
        "after_a": after_a,
        "after_b": after_b,
        "limit": limit,
    }
    return [
        Pair(
            a=bytes(row.a),
            b=bytes(row.b),
            a_key=RecordKey(row.a_agency, row.record_type, row.a_local_id, row.a_incarnation),
            b_key=RecordKey(row.b_agency, row.record_type, row.b_local_id, row.b_incarnation),
            reason=row.reason,
            fields=tuple(row.fields),
            state=row.state,
            created_at=row.created_at,
            same=row.same,
            who=row.who,
            why=row.why,
        )
        for row in tx.connection.execute(_REVIEWS, where)
    ]


def place_in_queue(tx: Transaction, pair: PairIds) -> Place | None:
    """Where an open review stands among those that are open; None for one that is not."""
    row = tx.connection.execute(_PLACE, {"a": pair[0], "b": pair[1]}).one_or_none()
    if row is None:
        return None
    return Place(row.place, row.total, _ids(row.before_a, row.before_b), _ids(row.next_a, row.next_b))


def _ids(a: bytes | None, b: bytes | None) -> PairIds | None:
    return None if a is None or b is None else (bytes(a), bytes(b))


def lock_decision(tx: Transaction, pair: Sequence[bytes]) -> Decided | None:
    """What was decided on the two records, locked until the commit."""
    a, b = sorted(pair)
    row = tx.connection.execute(_DECISION, {"a": a, "b": b}).one_or_none()
    return None if row is None else Decided(*row)


def save_decision(tx: Transaction, pair: Sequence[bytes], decided: Decided) -> None:
    """Keep a decision unless a later one stands, and close the pair's review."""
    a, b = sorted(pair)
    tx.connection.execute(_SAVE_DECISION, {"a": a, "b": b, **decided._asdict()})
    state = "same" if decided.same else "different"
    tx.connection.execute(_CLOSE_REVIEW, {"a": a, "b": b, "state": state})


def settle_reviews(tx: Transaction, entities: Collection[bytes]) -> None:
    """Close the open reviews of pairs that now stand for one of these entities together."""
    if entities:
        tx.connection.execute(_SETTLE_REVIEWS, {"entities": sorted(entities)})


def leave_publication(tx: Transaction, payload: bytes) -> None:
    """Leave what this transaction changed to the workers to publish (R26)."""
    tx.connection.execute(_LEAVE_PUBLICATION, {"payload": payload})
