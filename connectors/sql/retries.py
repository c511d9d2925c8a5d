"""Deliveries that could not be applied, and what the hub is told of them."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from connectors.sdk import Delivery, Unsettled
from connectors.sql.database import Database
from connectors.sql.plan import thawed
from connectors.sql.tables import OUTBOX, RETRY
from hub.contracts.records import RecordType

REFUSED, WAITING, RESOLVED = "refused", "waiting", "resolved"
MOVED_REFERENCE = "moved_reference"
# Where a delivery comes from that the hub has not sent: nothing is reported of it.
OF_OURS = ("", 0)

# How soon a delivery is tried again, by why it was put off: (first, longest) in ms, doubling. A refusal
# mostly ends with a new version or a new mapping; the slow retry finds a constraint that was relaxed.
_DELAYS_MS = {
    "locked": (200, 5_000),
    "local_edit": (100, 5_000),
    "missing_reference": (5_000, 300_000),
    # What this side says to itself: another row stands now for what the row refers to.
    MOVED_REFERENCE: (0, 5_000),
}
_REFUSED_DELAY_MS = (60_000, 3_600_000)
_DUE = """
SELECT record, payload, state FROM {retry} WHERE next_at_ms <= :now ORDER BY next_at_ms LIMIT :limit
"""
_PRIOR = (
    "SELECT entity, attempts, state, code FROM {retry} WHERE record = :record AND entity IN_LIST(:entities)"
)
_SETTLED = "DELETE FROM {retry} WHERE record = :record AND entity IN_LIST(:entities)"
_WAKE = "UPDATE {retry} SET next_at_ms = 0 WHERE waits_for IN_LIST(:entities)"
_RETRY_REFUSED = "UPDATE {retry} SET next_at_ms = 0 WHERE state = 'refused'"
_BY_CODE = "SELECT code, count(*) FROM {retry} GROUP BY code"


@dataclasses.dataclass(frozen=True, slots=True)
class Prior:
    """What is on record of an entity's earlier attempts."""

    attempts: int
    state: str
    code: str


@dataclasses.dataclass(slots=True)
class PutOff:
    """A delivery to try again: `waits_for` is the entity that it refers to, if that is why."""

    delivery: Delivery
    state: str
    code: str
    column: str = ""
    waits_for: str | None = None


def retry_refused(db: Database) -> None:
    """Let everything refused be tried at once: the mapping may be another one now."""
    with db.transaction():
        db.execute(_RETRY_REFUSED)


def due(db: Database, records: Mapping[str, RecordType], now_ms: int, limit: int) -> list[Delivery]:
    rows = db.query(_DUE, {"now": now_ms, "limit": limit})
    return [_delivery(payload, records[record]) for record, payload, _ in rows if record in records]


def prior(db: Database, record: str, entities: Collection[str]) -> dict[str, Prior]:
    rows = db.query(_PRIOR, {"record": record, "entities": list(entities)})
    return {entity: Prior(attempts, state, code) for entity, attempts, state, code in rows}


def settle(db: Database, record: str, settled: Sequence[Delivery], before: Mapping[str, Prior]) -> bool:
    """Forget the earlier attempts of deliveries that are settled now; whether there is news for the hub."""
    over = [delivery for delivery in settled if delivery.entity in before]
    if not over:
        return False
    db.execute(_SETTLED, {"record": record, "entities": [delivery.entity for delivery in over]})
    tell(db, [(d, Unsettled(d.entity, d.version, RESOLVED)) for d in over])
    return True


def put_off(
    db: Database, record: str, items: Sequence[PutOff], before: Mapping[str, Prior], now_ms: int
) -> bool:
    """Keep deliveries for another attempt; whether there is news for the hub."""
    rows, news = [], []
    for item in items:
        delivery, earlier = item.delivery, before.get(item.delivery.entity)
        attempts = earlier.attempts + 1 if earlier and earlier.code == item.code else 0
        first, longest = _DELAYS_MS.get(item.code, _REFUSED_DELAY_MS)
        rows.append(
            {
                "record": record,
                "entity": delivery.entity,
                "version": delivery.version,
                "topic": delivery.partition[0],
                "part": delivery.partition[1],
                "payload": _payload(delivery),
                "state": item.state,
                "code": item.code,
                "column_name": item.column,
                "waits_for": item.waits_for,
                "attempts": attempts,
                "next_at_ms": now_ms + min(first << min(attempts, 20), longest),
            }
        )
        if attempts == 0:
            exception = Unsettled(delivery.entity, delivery.version, item.state, item.code, item.column)
            news.append((delivery, exception))
    db.upsert(RETRY, rows)
    tell(db, news)
    return bool(news)


def tell(db: Database, news: Sequence[tuple[Delivery, Unsettled]]) -> None:
    """Queue exceptions for the receipts."""
    rows = [outbox_row(d.partition, exception) for d, exception in news if d.partition != OF_OURS]
    db.append(OUTBOX, rows)


def outbox_row(partition: tuple[str, int], exception: Unsettled) -> dict[str, Any]:
    return {
        "topic": partition[0],
        "part": partition[1],
        "entity": exception.entity,
        "version": exception.version,
        "state": exception.state,
        "code": exception.code,
        "column_name": exception.column,
    }


def wake(db: Database, entities: Collection[str]) -> None:
    """Let deliveries that wait for one of these entities be tried now."""
    db.execute(_WAKE, {"entities": list(entities)})


def by_code(db: Database) -> dict[str, int]:
    return {code: int(count) for code, count in db.query(_BY_CODE)}


def _payload(delivery: Delivery) -> dict[str, Any]:
    # Dates become ISO texts when the database writes this as JSON.
    return dataclasses.asdict(delivery)


def _delivery(payload: Mapping[str, Any], record: RecordType) -> Delivery:
    values = {
        name: thawed(record.by_name[name], value) if name in record.by_name else value
        for name, value in payload["values"].items()
    }
    topic, part = payload["partition"]
    kept = {key: payload[key] for key in payload if key not in ("values", "fields", "partition")}
    return Delivery(**kept, fields=tuple(payload["fields"]), values=values, partition=(topic, part))
