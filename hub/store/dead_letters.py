"""Dead letters as a person works through them: which there are, and what was made of each (R27)."""

from __future__ import annotations

import datetime
from collections.abc import Collection, Iterable, Mapping
from typing import Any, NamedTuple

from sqlalchemy import text

from hub.core.assertions import RecordKey, RecordState
from hub.store.transaction import Transaction

OPEN, REDRIVEN, DISCARDED = "open", "redriven", "discarded"

_MATCHING = """
    (CAST(:ids AS bigint[]) IS NULL OR id = ANY(CAST(:ids AS bigint[])))
    AND (CAST(:agency AS text) IS NULL OR agency = :agency)
    AND (CAST(:record_type AS text) IS NULL OR record_type = :record_type)
    AND (CAST(:code AS text) IS NULL OR code = :code)
    AND (CAST(:state AS text) IS NULL OR state = :state)
    AND (CAST(:since_ms AS bigint) IS NULL OR at_ms >= :since_ms)
    AND (CAST(:until_ms AS bigint) IS NULL OR at_ms < :until_ms)
"""

_DEAD_LETTERS = text(f"""
    SELECT id, topic, partition, kafka_offset, agency, record_type, code, path, message, at_ms, key, value,
           state, redrives, outcome, who, why, decided_at
    FROM dead_letter WHERE id > :after AND {_MATCHING} ORDER BY id LIMIT :limit
""")  # noqa: S608  (our own text)

_COUNT = text(f"""
    SELECT agency, record_type, code, state, count(*) AS number FROM dead_letter WHERE {_MATCHING}
    GROUP BY 1, 2, 3, 4 ORDER BY 1, 2, 3, 4
""")  # noqa: S608

_LOCK = text(
    "SELECT id, state FROM dead_letter WHERE id = ANY(CAST(:ids AS bigint[])) ORDER BY id FOR UPDATE"
)

_REDRIVEN = text("""
    UPDATE dead_letter SET state = 'redriven', redrives = redrives + 1, outcome = :outcome,
                           who = :who, why = :why, decided_at = now()
    WHERE id = :id
""")

# Who discarded it, and why, is kept when somebody tries it again in vain.
_DEAD_AGAIN = text("""
    UPDATE dead_letter SET redrives = redrives + 1, outcome = 'dead', code = :code, path = :path,
                           message = :message,
                           who = CASE WHEN state = 'open' THEN :who ELSE who END,
                           why = CASE WHEN state = 'open' THEN :why ELSE why END,
                           decided_at = CASE WHEN state = 'open' THEN now() ELSE decided_at END
    WHERE id = :id
""")

_DISCARD = text("""
    UPDATE dead_letter SET state = 'discarded', who = :who, why = :why, decided_at = now()
    WHERE id = ANY(CAST(:ids AS bigint[])) AND state = 'open' RETURNING id
""")

_LIVES = text("""
    SELECT r.id FROM record r
    JOIN unnest(CAST(:agencies AS text[]), CAST(:types AS text[]), CAST(:local_ids AS text[]))
         AS v(agency, record_type, local_id) USING (agency, record_type, local_id)
""")

_HOLD_STATES = text("""
    SELECT record, event_id, reason, state FROM hold WHERE record = ANY(CAST(:records AS bytea[]))
""")


class DeadLetterRow(NamedTuple):
    """One dead letter; `at_ms`: when its message was appended; `outcome`: of the last redrive."""

    id: int
    topic: str
    partition: int
    kafka_offset: int
    agency: str
    record_type: str
    code: str
    path: str
    message: str
    at_ms: int
    key: bytes | None
    value: bytes | None
    state: str
    redrives: int
    outcome: str | None
    who: str | None
    why: str | None
    decided_at: datetime.datetime | None


class Wanted(NamedTuple):
    """Which dead letters are meant; what is None lets all pass. `until_ms` itself is not included."""

    ids: tuple[int, ...] | None = None
    agency: str | None = None
    record_type: str | None = None
    code: str | None = None
    state: str | None = None
    since_ms: int | None = None
    until_ms: int | None = None


class Heap(NamedTuple):
    """How many dead letters of one kind there are."""

    agency: str
    record_type: str
    code: str
    state: str
    number: int


class Failure(NamedTuple):
    """Why a redriven message is dead once more."""

    code: str
    path: str
    message: str


def dead_letters(
    tx: Transaction, wanted: Wanted, *, after: int = 0, limit: int = 1_000
) -> list[DeadLetterRow]:
    """Dead letters by id, the oldest first, beginning behind the id `after`."""
    rows = tx.connection.execute(_DEAD_LETTERS, {**_where(wanted), "after": after, "limit": limit})
    return [
        DeadLetterRow(*row)._replace(
            key=None if row.key is None else bytes(row.key),
            value=None if row.value is None else bytes(row.value),
        )
        for row in rows
    ]


def count_dead_letters(tx: Transaction, wanted: Wanted) -> list[Heap]:
    """How many there are, by agency, record type, code and state."""
    return [Heap(*row) for row in tx.connection.execute(_COUNT, _where(wanted))]


def lock_dead_letters(tx: Transaction, ids: Collection[int]) -> dict[int, str]:
    """Id → state, locked until the commit: two persons cannot decide on one dead letter at once."""
    return {row.id: row.state for row in tx.connection.execute(_LOCK, {"ids": sorted(ids)})}


def save_redriven(tx: Transaction, outcomes: Iterable[tuple[int, str]], who: str, why: str) -> None:
    """Note (id, outcome) of dead letters that intake took."""
    rows = [{"id": number, "outcome": outcome, "who": who, "why": why} for number, outcome in outcomes]
    if rows:
        tx.connection.execute(_REDRIVEN, sorted(rows, key=_by_id))


def save_dead_again(tx: Transaction, failures: Iterable[tuple[int, Failure]], who: str, why: str) -> None:
    """Note dead letters that a redrive left dead; each stays the same dead letter, with its latest reason."""
    rows = [{"id": number, **failure._asdict(), "who": who, "why": why} for number, failure in failures]
    if rows:
        tx.connection.execute(_DEAD_AGAIN, sorted(rows, key=_by_id))


def discard_dead_letters(tx: Transaction, ids: Collection[int], who: str, why: str) -> list[int]:
    """Discard those that are open; returns their ids. Their bytes are kept."""
    rows = tx.connection.execute(_DISCARD, {"ids": sorted(ids), "who": who, "why": why})
    return sorted(number for (number,) in rows)


def lives(tx: Transaction, keys: Collection[RecordKey]) -> list[RecordState]:
    """All lives of the local records that these keys name; nothing is locked."""
    if not keys:
        return []
    those = sorted({(key.agency, key.record_type, key.local_id) for key in keys})
    columns = zip(("agencies", "types", "local_ids"), zip(*those, strict=True), strict=True)
    rows = tx.connection.execute(_LIVES, {name: list(column) for name, column in columns})
    return list(tx.records({bytes(row.id) for row in rows}).records.values())


def hold_states(tx: Transaction, records: Collection[bytes]) -> dict[tuple[bytes, str, str], str]:
    """(record, event id, reason) → state, of what waits or waited for a person's word at these records."""
    rows = tx.connection.execute(_HOLD_STATES, {"records": sorted(records)})
    return {(bytes(row.record), row.event_id, row.reason): row.state for row in rows}


def _where(wanted: Wanted) -> dict[str, object]:
    return {**wanted._asdict(), "ids": None if wanted.ids is None else list(wanted.ids)}


def _by_id(row: Mapping[str, Any]) -> int:
    return int(row["id"])
