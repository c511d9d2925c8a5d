"""Gaps: what a lane was to read next is no longer in the log, and a person lets it begin at what is (R25)."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import closing
from typing import Any, NamedTuple

from kafka import KafkaAdminClient
from kafka.errors import KafkaError
from sqlalchemy import text

from hub.contracts.kafka_connection import KafkaConnection
from hub.errors import Fatal, Retriable
from hub.ops.audit import Person
from hub.ops.log_reader import LogReader
from hub.ops.parts import Parts
from hub.store.audit import note
from hub.store.transaction import Transaction

_SKIPPED = "gap_skipped"
_POSITIONS = text("""
    SELECT lane, topic, partition, topic_id, next_offset FROM position
    WHERE topic = ANY(CAST(:topics AS text[])) ORDER BY lane, topic, partition
""")
_FORGET = text("""
    DELETE FROM position
    WHERE lane = :lane AND topic = :topic AND partition = :partition AND next_offset = :next_offset
""")


class Gap(NamedTuple):
    """One partition that a lane cannot read on: `next_offset` is not within what the log holds.

    `anew`: the topic was deleted and made again since.
    """

    lane: str
    topic: str
    partition: int
    next_offset: int
    earliest: int
    latest: int
    anew: bool


def gaps(parts: Parts, topics: Iterable[str]) -> list[Gap]:
    """The gaps of these topics; changes nothing. Raises `Fatal` for a topic that Kafka does not have."""
    names = sorted(topics)
    with closing(LogReader(parts.settings.kafka)) as log:
        places, missing = log.places(names)
        if missing:
            raise Fatal(f"Kafka at {parts.settings.bootstrap} has no topic {', '.join(missing)}")
        firsts, ends = log.beginnings(places), log.ends(places)
    ids = _topic_ids(parts.settings.kafka, names)
    with parts.looking() as tx:
        found = [
            Gap(
                row.lane,
                row.topic,
                row.partition,
                row.next_offset,
                firsts[row.topic, row.partition],
                ends[row.topic, row.partition],
                row.topic_id != ids[row.topic],
            )
            for row in tx.connection.execute(_POSITIONS, {"topics": names})
        ]
    return [one for one in found if one.anew or not one.earliest <= one.next_offset <= one.latest]


def skip(parts: Parts, found: Iterable[Gap], who: str, why: str) -> None:
    """Let the lanes begin at the oldest message that the log holds; the audit trail keeps it.

    Only positions that nobody can move are forgotten: one that a worker moved meanwhile was no gap.
    """
    with parts.deciding() as tx:
        for gap in found:
            _forget(tx, gap, who, why)


def _forget(tx: Transaction, gap: Gap, who: str, why: str) -> None:
    names = ("lane", "topic", "partition", "next_offset")
    values: dict[str, Any] = {name: getattr(gap, name) for name in names}
    if tx.connection.execute(_FORGET, values).rowcount:
        detail = f"{gap.next_offset} was next, {gap.earliest} to {gap.latest} was there"
        subject = f"lane {gap.lane}: {gap.topic}[{gap.partition}]"
        agency = gap.topic.split(".")[0]
        note(tx, [Person.at_keyboard(who).entry(_SKIPPED, subject, why, agency=agency, detail=detail)])


def _topic_ids(kafka: KafkaConnection, names: list[str]) -> dict[str, str]:
    try:
        with closing(KafkaAdminClient(**kafka.options())) as admin:
            return {topic["name"]: str(topic["topic_id"]) for topic in admin.describe_topics(names)}
    except KafkaError as error:
        raise Retriable(f"Kafka at {kafka} does not tell its topics: {error!r}{kafka.trouble()}") from error
