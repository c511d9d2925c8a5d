"""Dead letters as a person works through them: which there are, and what was made of each (R27)."""

from __future__ import annotations

import datetime
from collections.abc import Collection, Iterable, Mapping
from typing import Any, NamedTuple

from sqlalchemy import TextClause, text

from hub.core.assertions import RecordKey, RecordState
from hub.store.conditions import COUNTED, given
from hub.store.transaction import Transaction

OPEN, REDRIVEN, DISCARDED = "open", "redriven", "discarded"

_COLUMNS = """d.id, d.topic, d.partition, d.kafka_offset, d.agency, d.record_type, d.code, d.path, d.message,
           d.at_ms, d.key, d.value, d.state, d.redrives, d.outcome, d.who, d.why, d.decided_at"""

_ALIKE = "state, agency, record_type, code"

# The kinds that there are, from one to the next along their index: some hundred steps, however many letters.
_KINDS = f"""
    RECURSIVE kind AS (
        (SELECT {_ALIKE} FROM dead_letter ORDER BY {_ALIKE} LIMIT 1)
        UNION ALL
        SELECT n.* FROM kind CROSS JOIN LATERAL (
            SELECT {_ALIKE} FROM dead_letter d
            WHERE (d.state, d.agency, d.record_type, d.code)
                  > (kind.state, kind.agency, kind.record_type, kind.code)
            ORDER BY {_ALIKE} LIMIT 1) AS n)
"""  # noqa: S608  (our own text)

_OF_A_KIND = """d.state = kind.state AND d.agency = kind.agency AND d.record_type = kind.record_type
                  AND d.code = kind.code"""

# One look for each of a page, by OFFSET 0: the planner would read the table, as it does not know how few.
_WHOLE = "CROSS JOIN LATERAL (SELECT * FROM dead_letter WHERE id = page.id OFFSET 0) AS d"

# Of each kind the first few, and of these the first: no kind is read to its end, nor sorted whole.
_DEAD_LETTERS = f"""
    WITH {_KINDS}, page AS (
        SELECT first.id FROM kind CROSS JOIN LATERAL (
            SELECT d.at_ms, d.id FROM dead_letter d
            WHERE {_OF_A_KIND} AND {{within}}
            ORDER BY d.at_ms, d.id LIMIT :limit) AS first
        WHERE {{wanted}} ORDER BY first.at_ms, first.id LIMIT :limit)
    SELECT {_COLUMNS} FROM page {_WHOLE} ORDER BY d.at_ms, d.id
"""  # noqa: S608

_NAMED = text(f"""
    SELECT {_COLUMNS} FROM dead_letter d
    WHERE d.id = ANY(CAST(:ids AS bigint[])) AND d.id > :after ORDER BY d.id LIMIT :limit
""")  # noqa: S608

_COUNT = f"""
    WITH {_KINDS}
    SELECT kind.agency, kind.record_type, kind.code, kind.state, counted.number
    FROM kind CROSS JOIN LATERAL (
        SELECT count(*) AS number FROM (
            SELECT FROM dead_letter d WHERE {_OF_A_KIND} AND {{within}}
            LIMIT CAST(:most AS bigint)) AS those) AS counted
    WHERE {{wanted}} AND counted.number > 0
    ORDER BY 1, 2, 3, 4
"""  # noqa: S608

_NEWEST_OPEN = text(f"""
    WITH {_KINDS}, page AS (
        SELECT newest.id FROM kind CROSS JOIN LATERAL (
            SELECT d.at_ms, d.id FROM dead_letter d
            WHERE {_OF_A_KIND} ORDER BY d.at_ms DESC, d.id DESC LIMIT :limit) AS newest
        WHERE kind.state = 'open' AND kind.agency = ANY(CAST(:agencies AS text[]))
          AND kind.record_type = :record_type
        ORDER BY newest.at_ms DESC, newest.id DESC LIMIT :limit)
    SELECT {_COLUMNS} FROM page {_WHOLE} ORDER BY d.at_ms DESC, d.id DESC
""")  # noqa: S608

_WANTED = {
    "agency": "kind.agency = :agency",
    "record_type": "kind.record_type = :record_type",
    "code": "kind.code = :code",
    "state": "kind.state = :state",
}

_WITHIN = {
    "since_ms": "d.at_ms >= :since_ms",
    "until_ms": "d.at_ms < :until_ms",
    "after_ms": "(d.at_ms, d.id) > (:after_ms, :after)",
}

_AT = text("SELECT at_ms FROM dead_letter WHERE id = :id")

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
    """Which dead letters are meant; what is None lets all pass. `until_ms` itself is not included.

    `ids`: those alone, whatever else is given.
    """

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
    """Dead letters by when they were appended, the oldest first; behind the one numbered `after`."""
    where: dict[str, object] = {**wanted._asdict(), "after": after, "limit": limit}
    statement = _NAMED
    if wanted.ids is None:
        if after:
            where["after_ms"] = tx.connection.execute(_AT, {"id": after}).scalar_one_or_none()
            if where["after_ms"] is None:
                return []
        statement = _among_kinds(_DEAD_LETTERS, where)
    rows = tx.connection.execute(statement, {**where, "ids": list(wanted.ids or ())})
    return list(map(_letter, rows))


def newest_open(
    tx: Transaction, agencies: Collection[str], record_type: str, limit: int
) -> list[DeadLetterRow]:
    """The open ones of these agencies that were appended last, the newest first."""
    where = {"agencies": sorted(agencies), "record_type": record_type, "limit": limit}
    return list(map(_letter, tx.connection.execute(_NEWEST_OPEN, where)))


def _letter(row: Any) -> DeadLetterRow:
    return DeadLetterRow(*row)._replace(
        key=None if row.key is None else bytes(row.key),
        value=None if row.value is None else bytes(row.value),
    )


def count_dead_letters(tx: Transaction, wanted: Wanted, *, exactly: bool) -> list[Heap]:
    """How many there are, by agency, record type, code and state; `wanted` names no single ones.

    Unless `exactly`, of each kind no more than one more than `COUNTED`.
    """
    where = {**wanted._asdict(), "most": None if exactly else COUNTED + 1}
    return [Heap(*row) for row in tx.connection.execute(_among_kinds(_COUNT, where), where)]


def _among_kinds(statement: str, where: Mapping[str, object]) -> TextClause:
    return text(statement.format(within=given(_WITHIN, where), wanted=given(_WANTED, where)))


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


def _by_id(row: Mapping[str, Any]) -> int:
    return int(row["id"])
