"""When each topic was last compared with the store, and who does it now (R26)."""

from __future__ import annotations

import contextlib
from collections.abc import Collection, Iterator, Mapping
from typing import NamedTuple

from sqlalchemy import Engine, text

from hub.store.transaction import Transaction

# Any constant will do, as long as it is ours: two workers must not sweep at once.
_SWEEP_LOCK = 7_231_904_412

# A topic that no worker sweeps by itself is not there: nobody waits for its next sweep.
_SAVE = text("""
    UPDATE topic_sweep SET messages = :messages, findings = :findings,
    swept_ms = CAST(extract(epoch FROM clock_timestamp()) * 1000 AS bigint) WHERE topic = :topic
""")
_BEGIN = text("""
    INSERT INTO topic_sweep (topic, swept_ms, messages, findings)
    SELECT topic, CAST(extract(epoch FROM clock_timestamp()) * 1000 AS bigint), 0, 0
    FROM unnest(CAST(:topics AS text[])) AS these (topic) ON CONFLICT DO NOTHING
""")
_FORGET = text("DELETE FROM topic_sweep WHERE topic <> ALL(CAST(:topics AS text[]))")
_OLDEST = text("""
    SELECT topic FROM topic_sweep
    WHERE topic = ANY(CAST(:topics AS text[]))
    AND swept_ms <= extract(epoch FROM clock_timestamp()) * 1000 - :every_ms
    ORDER BY swept_ms, topic LIMIT 1
""")
_TRY_LOCK = text("SELECT pg_try_advisory_lock(:lock)")
_UNLOCK = text("SELECT pg_advisory_unlock(:lock)")
_SWEPT = text("SELECT topic, swept_ms, findings FROM topic_sweep")


class Swept(NamedTuple):
    """When a topic was last swept, or first known (Unix ms), and how many keys were left different."""

    at_ms: int
    findings: int


def save_swept(tx: Transaction, topic: str, messages: int, findings: int) -> None:
    tx.connection.execute(_SAVE, {"topic": topic, "messages": messages, "findings": findings})


def keep_topics(tx: Transaction, topics: Collection[str]) -> None:
    """Know these topics and no others; one that is new counts as swept now: it is next in its turn."""
    tx.connection.execute(_BEGIN, {"topics": list(topics)})
    tx.connection.execute(_FORGET, {"topics": list(topics)})


def oldest(tx: Transaction, topics: Collection[str], every_ms: int) -> str | None:
    """Of these topics, the one whose last sweep is longest ago, and at least `every_ms`."""
    found = tx.connection.execute(_OLDEST, {"topics": list(topics), "every_ms": every_ms})
    return found.scalar_one_or_none()


def last_sweeps(tx: Transaction) -> Mapping[str, Swept]:
    return {topic: Swept(at_ms, number) for topic, at_ms, number in tx.connection.execute(_SWEPT)}


@contextlib.contextmanager
def alone(engine: Engine) -> Iterator[bool]:
    """Whether nobody else sweeps; as long as this lasts, nobody else will. A worker that dies lets go."""
    # No transaction: one that does nothing for long is ended by the server.
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        mine = connection.execute(_TRY_LOCK, {"lock": _SWEEP_LOCK}).scalar_one()
        try:
            yield bool(mine)
        finally:
            connection.execute(_UNLOCK, {"lock": _SWEEP_LOCK})
