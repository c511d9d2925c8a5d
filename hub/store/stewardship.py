"""What waits for a person and what persons decided: holds, reviews, decisions (R13, R14, R16)."""

from __future__ import annotations

import datetime
from collections.abc import Collection, Sequence
from typing import NamedTuple

import msgspec
from sqlalchemy import Row, text

from hub.core.assertions import Change, RecordKey
from hub.store.conditions import COUNTED, given
from hub.store.transaction import Transaction

HELD, RELEASED, REJECTED = "held", "released", "rejected"

_CHANGE = msgspec.msgpack.Decoder(Change)

_HOLDS = """
    SELECT id, record, event_id, reason, fields, change, state, created_at, who, why, decided_at FROM hold
    WHERE {} ORDER BY id LIMIT :limit
"""

# In so many words, not as parameters: the indexes are of what waits alone.
_HOLD_CONDITIONS = {
    "id": "id = :id",
    "waiting": "state = 'held'",
    "agency": "agency = :agency",
    "after": "id > :after",
    "records": "record = ANY(:records)",
}

_LOCK_HOLD = text("SELECT 1 FROM hold WHERE id = :id FOR UPDATE")

_DECIDE_HOLD = text("""
    UPDATE hold SET state = :state, who = :who, why = :why, decided_at = now() WHERE id = :id
""")

_REVIEWS = """
    SELECT v.a, v.b, v.record_type, v.reason, v.fields, v.state, v.created_at,
           x.agency AS a_agency, x.local_id AS a_local_id, x.incarnation AS a_incarnation,
           y.agency AS b_agency, y.local_id AS b_local_id, y.incarnation AS b_incarnation,
           d.same, d.who, d.why
    FROM review v
    JOIN record x ON x.id = v.a
    JOIN record y ON y.id = v.b
    LEFT JOIN decision d ON d.a = least(v.a, v.b) AND d.b = greatest(v.a, v.b)
    WHERE {} ORDER BY v.created_at, v.a, v.b LIMIT :limit
"""

_REVIEW_CONDITIONS = {
    "waiting": "v.state = 'open'",
    "records": "(v.a = ANY(:records) OR v.b = ANY(:records))",
    "a": "v.a = :a AND v.b = :b",
    "after_a": "(v.created_at, v.a, v.b) > (:after_at, :after_a, :after_b)",
}

_REVIEW_AT = text("SELECT created_at, state FROM review WHERE a = :a AND b = :b")

_NEIGHBOUR = """
    SELECT a, b FROM review WHERE state = 'open' AND (created_at, a, b) {0} (:at, :a, :b)
    ORDER BY created_at {1}, a {1}, b {1} LIMIT 1
"""
_BEFORE = text(_NEIGHBOUR.format("<", "DESC"))
_NEXT = text(_NEIGHBOUR.format(">", "ASC"))

_PLACE = text("""
    SELECT (SELECT count(*) FROM (
                SELECT FROM review WHERE state = 'open' AND (created_at, a, b) <= (:at, :a, :b)
                LIMIT :most) AS before),
           (SELECT count(*) FROM (SELECT FROM review WHERE state = 'open' LIMIT :most) AS waiting)
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
    """Where a review stands among the `total` open ones, 1 the oldest; its neighbours, None at an end.

    Both are counted to one more than `COUNTED` at most.
    """

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
    waiting: bool = False,
    agency: str | None = None,
    after: int | None = None,
    records: Collection[bytes] | None = None,
    limit: int = 1_000,
) -> list[HeldChange]:
    """Holds by id, oldest first, `after`: those behind this one; each condition that is None lets all pass,
    as does `waiting` if it is not wanted."""
    where = {
        "id": hold_id,
        "waiting": waiting or None,
        "agency": agency,
        "after": after,
        "records": None if records is None else sorted(records),
        "limit": limit,
    }
    statement = text(_HOLDS.format(given(_HOLD_CONDITIONS, where)))
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
        for row in tx.connection.execute(statement, where)
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
    waiting: bool = False,
    records: Collection[bytes] | None = None,
    pair: PairIds | None = None,
    after: PairIds | None = None,
    limit: int = 1_000,
) -> list[Pair]:
    """Pairs of records to be looked at, oldest first; each condition that is None lets all pass.

    `waiting`: those that are open; `pair`: that one alone; `after`: those that come after that one.
    """
    a, b = pair or (None, None)
    after_a, after_b = after or (None, None)
    found = after and tx.connection.execute(_REVIEW_AT, {"a": after_a, "b": after_b}).one_or_none()
    if after and not found:
        return []
    where = {
        "waiting": waiting or None,
        "records": None if records is None else sorted(records),
        "a": a,
        "b": b,
        "after_at": found and found.created_at,
        "after_a": after_a,
        "after_b": after_b,
        "limit": limit,
    }
    statement = text(_REVIEWS.format(given(_REVIEW_CONDITIONS, where)))
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
        for row in tx.connection.execute(statement, where)
    ]


def place_in_queue(tx: Transaction, pair: PairIds) -> Place | None:
    """Where an open review stands among those that are open; None for one that is not."""
    found = tx.connection.execute(_REVIEW_AT, {"a": pair[0], "b": pair[1]}).one_or_none()
    if found is None or found.state != "open":
        return None
    where = {"at": found.created_at, "a": pair[0], "b": pair[1]}
    place, total = tx.connection.execute(_PLACE, {**where, "most": COUNTED + 1}).one()
    before, following = (tx.connection.execute(one, where).one_or_none() for one in (_BEFORE, _NEXT))
    return Place(place, total, _ids(before), _ids(following))


def _ids(row: Row[tuple[bytes, bytes]] | None) -> PairIds | None:
    return None if row is None else (bytes(row.a), bytes(row.b))


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
