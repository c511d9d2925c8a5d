"""The hub's sweep: the store compared with the last message of each key on each topic (R26, R30).

Each topic is read whole, then the store beside it. What differs is looked at once more after a moment: only
what still differs, of an entity that has not moved and waits for no publication, is a finding. Nothing is
locked. A repair notes a publication: a worker says the current state of these entities again.
"""

from __future__ import annotations

import time
from collections.abc import Collection, Iterable
from contextlib import closing
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from sqlalchemy import text

from hub.errors import SkipRecord
from hub.lanes.messages import hub_name
from hub.lanes.publication import named_payload, read_named
from hub.ops.last_said import LastSaid, Pace, Word
from hub.ops.log_reader import LogReader
from hub.ops.parts import Parts
from hub.ops.sweep_topics import Expected, SweepTopics, Topic
from hub.store.topic_sweeps import save_swept

# A message that should be there is not, or cannot be read; it says something else than the store; it is of a
# later version than the store has; it tells an agency to hold what the store says that it does not hold.
MISSING, DIFFERS, AHEAD, EXTRA = "missing", "differs", "ahead", "extra"
RAISED, REPAIRED = "raised", "repaired"
_REPAIRABLE = frozenset({MISSING, DIFFERS})
# Between two looks: what a worker has committed is on the topic by then, if it lives.
SETTLE_S = 3.0
# So many keys of a topic are looked at again; where more differ, the topic is another store's.
MOST = 100_000
_WORKER = "sweep"
_PUBLICATIONS = text("SELECT payload FROM publication")


@dataclass(frozen=True)
class Finding:
    """One key of one topic whose last message is not what the store remembers. Names no value."""

    topic: str
    kind: str
    subject: bytes | None
    state: str = RAISED


@dataclass
class TopicSwept:
    """One topic, compared. `messages` and `rows` were read, in `seconds`."""

    topic: str
    messages: int = 0
    rows: int = 0
    seconds: float = 0.0
    findings: list[Finding] = field(default_factory=list)

    @property
    def left(self) -> int:
        """How many findings were told only."""
        return sum(one.state != REPAIRED for one in self.findings)


class _Doubt(NamedTuple):
    """What is wrong with a key, of whom, at which version of the store."""

    kind: str
    subject: bytes | None
    version: int | None


class HubSweep:
    """Sweeps topics. Blocks; raises `Retriable` while Kafka, the registry or the store is away, and `Stopped`
    when its pace is told to end."""

    def __init__(self, parts: Parts, pace: Pace | None = None) -> None:
        self._parts = parts
        self._pace = pace or Pace()

    def run(
        self, *, repair: bool, agency: str | None = None, record_type: str | None = None
    ) -> list[TopicSwept]:
        """Sweep the topics of an agency, or all; of a record type, or all."""
        return self.of(SweepTopics(self._parts, agency, record_type), repair=repair)

    def of(self, topics: Iterable[Topic], *, repair: bool) -> list[TopicSwept]:
        """Sweep these topics, and let the store keep when, and how many findings are left."""
        swept = []
        with closing(LogReader(self._parts.settings.kafka)) as log:
            for topic in topics:
                swept.append(self._sweep(log, topic, repair=repair))
        return swept

    def _sweep(self, log: LogReader, topic: Topic, *, repair: bool) -> TopicSwept:
        began = time.monotonic()
        swept = TopicSwept(topic.name)
        first = self._compare(log, topic, swept)
        if first:
            self._pace.rest(SETTLE_S)
            second = self._compare(log, topic, swept, of=first.keys())
            moving = self._moving()
            # Still so, of the same version, and nobody is about to say it.
            swept.findings = [
                Finding(topic.name, doubt.kind, doubt.subject)
                for key, doubt in first.items()
                if second.get(key) == doubt and doubt.subject not in moving
            ]
        if repair:
            swept.findings = self._repaired(topic, swept.findings)
        swept.seconds = time.monotonic() - began
        with self._parts.deciding() as tx:
            save_swept(tx, topic.name, swept.messages, swept.left)
        return swept

    def _compare(
        self, log: LogReader, topic: Topic, swept: TopicSwept, of: Collection[bytes] | None = None
    ) -> dict[bytes, _Doubt]:
        """What is wrong, by key; `of`: only with these keys."""
        with closing(LastSaid()) as said:
            self._read(log, topic, swept, said, of)
            found: dict[bytes, _Doubt] = {}
            for expected in topic.expected():
                swept.rows += 1
                self._pace.step()
                if of is not None and expected.key not in of:
                    continue
                kind = _judged(expected, said.pop(expected.key))
                if kind and len(found) < MOST:
                    found[expected.key] = _Doubt(kind, expected.subject, expected.version)
            for key, word in said.rest():
                if (word.version is None or word.upsert) and len(found) < MOST:
                    found[key] = _Doubt(EXTRA, None, word.version)
        return found

    def _read(
        self, log: LogReader, topic: Topic, swept: TopicSwept, said: LastSaid, of: Collection[bytes] | None
    ) -> None:
        for message in log.whole(topic.name):
            swept.messages += 1
            self._pace.step()
            key = message.key or b""
            if of is not None and key not in of:
                continue
            if message.value is None:
                said.drop(key)
                continue
            try:
                said.put(key, topic.read(message.value))
            except (SkipRecord, KeyError, TypeError, ValueError):
                said.put(key, None)

    def _moving(self) -> set[bytes | None]:
        """Entities and records whose publication is on its way."""
        with self._parts.looking() as tx:
            payloads = [bytes(row.payload) for row in tx.connection.execute(_PUBLICATIONS)]
        entities, records, _ = read_named(payloads)
        return {*entities, *records}

    def _repaired(self, topic: Topic, findings: list[Finding]) -> list[Finding]:
        """Let a worker say these again, from current state (R26)."""
        wanted = {f.subject for f in findings if f.kind in _REPAIRABLE and f.subject is not None}
        if not wanted:
            return findings
        told = {} if topic.of_records else {one: [topic.agency] if topic.agency else [] for one in wanted}
        payload = named_payload(told, sorted(wanted) if topic.of_records else [])
        with self._parts.deciding() as tx:
            tx.save_publication(_WORKER, payload)
        return [
            Finding(f.topic, f.kind, f.subject, REPAIRED if f.subject in wanted else RAISED) for f in findings
        ]


def _judged(expected: Expected, word: Word | None) -> str | None:
    """What is wrong with the last message of a key; None if it is as the store remembers. Pure."""
    if word is None or word.version is None:
        return MISSING if expected.holds else None
    if word.version > expected.version:
        return AHEAD
    return None if word.says(expected.digest) else DIFFERS


def as_json(swept: Iterable[TopicSwept]) -> list[dict[str, Any]]:
    """For programs. A subject is a hub id: the hub's own output, never an agency's."""
    return [
        {
            "topic": one.topic,
            "messages": one.messages,
            "rows": one.rows,
            "seconds": round(one.seconds, 3),
            "findings": [
                {"kind": f.kind, "subject": hub_name(f.subject) if f.subject else None, "state": f.state}
                for f in one.findings
            ],
        }
        for one in swept
    ]


def lines(swept: Iterable[TopicSwept]) -> list[str]:
    """For a person: what is in order as one line, then each topic that is not."""
    told = []
    topics = list(swept)
    if clean := [one for one in topics if not one.findings]:
        messages, rows = sum(one.messages for one in clean), sum(one.rows for one in clean)
        seconds = sum(one.seconds for one in clean)
        told.append(
            f"as the store has them: {len(clean)} topics; {messages} messages and {rows} rows read, "
            f"{seconds:.2f} s"
        )
    for one in topics:
        if not one.findings:
            continue
        head = f"{one.topic}: {_number(one.findings)} keys are not as the store has them"
        told.append(f"{head}; {one.messages} messages and {one.rows} rows read, {one.seconds:.2f} s")
        counts = _counts(one.findings)
        told += [f"  {kind}: {count} {state}" for (kind, state), count in sorted(counts.items())]
        named = [f for f in one.findings if f.subject is not None][:10]
        told += [f"  {f.kind}: {hub_name(f.subject or b'')}" for f in named]
    return told


def _number(findings: list[Finding]) -> str:
    return f"{MOST} or more" if len(findings) == MOST else str(len(findings))


def _counts(findings: Iterable[Finding]) -> dict[tuple[str, str], int]:
    counts: dict[tuple[str, str], int] = {}
    for one in findings:
        counts[one.kind, one.state] = counts.get((one.kind, one.state), 0) + 1
    return counts
