"""What the metrics ask of the store: few statements, each bounded, none longer than a moment."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from sqlalchemy import TextClause, text

from hub.contracts.measures import bounded
from hub.lanes.publication import read_named
from hub.ops.counts import WAITING_REFERENCES, Side
from hub.store.brakes import Group
from hub.store.topic_sweeps import Swept, last_sweeps
from hub.store.transaction import Transaction

# Beyond it a number only says "very many", and finding it out would weigh on the store.
CAP = 10_000
# Of the oldest unpublished transactions, so many are opened to see which entities they name.
PUBLICATIONS_OPENED = 20
PUT_OFF_STATES = frozenset({"refused", "waiting"})
# Codes by which our connectors put deliveries off; agencies without them write codes of their own.
PUT_OFF_CODES = frozenset(
    {
        "not_null",
        "foreign_key",
        "unique",
        "check",
        "too_long",
        "unknown_column",
        "unknown_table",
        "generated_column",
        "not_permitted",
        "bad_value",
        "unknown_code",
        "locked",
        "local_edit",
        "missing_reference",
        "moved_reference",
    }
)

# Whoever gathers gives way to whoever works: a statement that takes longer is given up.
_GENTLY = text("""
    SELECT set_config('transaction_read_only', 'on', true), set_config('statement_timeout', :limit, true)
""")

_ENTITLED = text("SELECT agency, record_type, sum(entities) FROM holding GROUP BY 1, 2")

_UNDELIVERED = text("""
    SELECT agency, record_type, state, code, count(*), min(since_ms)
    FROM (SELECT agency, record_type, state, code, since_ms FROM undelivered LIMIT :cap) few
    GROUP BY 1, 2, 3, 4
""")

_DEAD = text("""
    SELECT s.agency, s.record_type, found.number
    FROM unnest(CAST(:agencies AS text[]), CAST(:record_types AS text[])) AS s (agency, record_type),
    LATERAL (
        SELECT count(*) AS number FROM (
            SELECT 1 FROM dead_letter d
            WHERE d.agency = s.agency AND d.record_type = s.record_type AND d.state = 'open' LIMIT :cap
        ) few
    ) found
""")

_HELD = text("""
    SELECT agency, record_type, count(*), CAST(extract(epoch FROM min(created_at)) * 1000 AS bigint)
    FROM (SELECT agency, record_type, created_at FROM hold WHERE state = 'held' LIMIT :cap) few
    GROUP BY 1, 2
""")

# One of a kind at most: what is held has a unique index of its own.
_BRAKES = text("SELECT agency, record_type, kind FROM brake WHERE state = 'held'")

_REVIEWS = text("""
    SELECT record_type, count(*), CAST(extract(epoch FROM min(created_at)) * 1000 AS bigint)
    FROM (SELECT record_type, created_at FROM review WHERE state = 'open' LIMIT :cap) few
    GROUP BY 1
""")

_DISPUTED = text("""
    SELECT agency, record_type, count(*) FROM (SELECT agency, record_type FROM dispute LIMIT :cap) few
    GROUP BY 1, 2
""")

_DUE = text("SELECT count(*) FROM (SELECT 1 FROM due WHERE day <= :day LIMIT :cap) few")

_UNPUBLISHED = text("""
    SELECT payload, CAST(extract(epoch FROM created_at) * 1000 AS bigint)
    FROM publication ORDER BY id LIMIT :opened
""")


class Held(NamedTuple):
    """A number, and the moment (Unix ms) of the oldest of them."""

    number: int
    oldest_ms: int


class StoreGauges(NamedTuple):
    """What one look at the store found; what is not there is none."""

    entitled: dict[Side, int]
    undelivered: dict[tuple[str, str, str, str], Held]
    dead: dict[Side, int]
    held: dict[Side, Held]
    brakes: frozenset[Group]
    reviews: dict[str, Held]
    disputed: dict[Side, int]
    due: int
    unpublished: Held
    sweeps: Mapping[str, Swept]


def gently(tx: Transaction, limit_ms: int) -> None:
    """Let this transaction change nothing and none of its statements take longer than `limit_ms`."""
    tx.connection.execute(_GENTLY, {"limit": str(limit_ms)})


def look(tx: Transaction, sides: Sequence[Side], day: int) -> StoreGauges:
    """One look; `sides`: agencies with record types, `day`: today, in days since 1970-01-01."""

    def rows(statement: TextClause, **where: object) -> list[Any]:
        return list(tx.connection.execute(statement, {"cap": CAP, **where}))

    places = {"agencies": [side[0] for side in sides], "record_types": [side[1] for side in sides]}
    return StoreGauges(
        entitled={(a, t): int(number) for a, t, number in rows(_ENTITLED)},
        undelivered=_undelivered(rows(_UNDELIVERED)),
        dead={(a, t): number for a, t, number in rows(_DEAD, **places)},
        held={(a, t): Held(number, at_ms) for a, t, number, at_ms in rows(_HELD)},
        brakes=frozenset((agency, record_type, kind) for agency, record_type, kind in rows(_BRAKES)),
        reviews={t: Held(number, at_ms) for t, number, at_ms in rows(_REVIEWS)},
        disputed={(a, t): number for a, t, number in rows(_DISPUTED)},
        due=rows(_DUE, day=day)[0][0],
        unpublished=_unpublished(rows(_UNPUBLISHED, opened=PUBLICATIONS_OPENED)),
        sweeps=last_sweeps(tx),
    )


def waiting_references(tx: Transaction) -> dict[Side, int]:
    """Records that refer to something unknown: the one question that looks at all references."""
    rows = tx.connection.execute(WAITING_REFERENCES)
    return {(agency, record_type): int(number) for agency, record_type, number in rows}


def _undelivered(rows: Iterable[Any]) -> dict[tuple[str, str, str, str], Held]:
    found: dict[tuple[str, str, str, str], Held] = {}
    for agency, record_type, state, code, number, since_ms in rows:
        key = (agency, record_type, bounded(state, PUT_OFF_STATES), bounded(code, PUT_OFF_CODES))
        known = found.get(key, Held(0, since_ms))
        found[key] = Held(known.number + number, min(known.oldest_ms, since_ms))
    return found


def _unpublished(rows: Sequence[Any]) -> Held:
    entities, _, _ = read_named(bytes(payload) for payload, _ in rows)
    return Held(len(entities), min((at_ms for _, at_ms in rows), default=0))
