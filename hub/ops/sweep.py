"""The hub's sweep: the store compared with the last message of each key on each topic (R26, R30).

Each topic is read whole, then the store beside it. What differs is looked at once more after a moment: only
what still differs, of an entity that has not moved and waits for no publication, is a finding. Nothing is
locked. A repair notes a publication: a worker says the current state of these entities again.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from functools import partial
from typing import Any, NamedTuple

from sqlalchemy import text

from hub.contracts import topics
from hub.core.projection import UPSERT
from hub.errors import SkipRecord
from hub.lanes.messages import hub_name
from hub.lanes.publication import named_payload, read_named
from hub.ops.log_reader import LogReader
from hub.ops.parts import Parts
from hub.ops.said import Interpreter, Said
from hub.store.rows import entity_of_row

# A message that should be there is not, or cannot be read; it says something else than the store; it is of a
# later version than the store has; it tells an agency to hold what the store says that it does not hold.
MISSING, DIFFERS, AHEAD, EXTRA = "missing", "differs", "ahead", "extra"
RAISED, REPAIRED = "raised", "repaired"
_REPAIRABLE = frozenset({MISSING, DIFFERS})
# Between two looks: what a worker has committed is on the topic by then, if it lives.
SETTLE_S = 3.0
_PAGE = 2_000
_WORKER = "sweep"
_ENTITIES = text("""
    SELECT id, record_type, version, golden, held, consents, about FROM entity
    WHERE record_type = :kind AND id > :after ORDER BY id LIMIT :limit
""")
_RECORDS = text("""
    SELECT r.id, r.entity, r.asserts, e.version FROM record r JOIN entity e ON e.id = r.entity
    WHERE r.record_type = :kind AND r.id > :after ORDER BY r.id LIMIT :limit
""")
_PUBLICATIONS = text("SELECT payload FROM publication")


class Expected(NamedTuple):
    """What the store remembers having said under one key.

    `subject`: the entity, or the record (`agency` empty: the topic is the hub's own). `holds`: whether it
    must be there; what an agency was told to let go may be forgotten.
    """

    key: bytes
    digest: bytes
    version: int
    subject: bytes
    holds: bool = True


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


@dataclass(frozen=True)
class Topic:
    """A topic to compare: how to read a message, and what the store expects on it."""

    name: str
    read: Callable[[bytes], Said]
    expected: Callable[[], Iterator[Expected]]
    agency: str = ""
    of_records: bool = False


class HubSweep:
    """Sweeps topics. Blocks; raises `Retriable` while Kafka, the registry or the store is away."""

    def __init__(self, parts: Parts, agency: str | None = None, record_type: str | None = None) -> None:
        self._parts = parts
        self._read = Interpreter(parts.catalogue, parts.events, parts.ids, parts.registry)
        self._agency = agency
        self._kinds = [kind for kind in parts.catalogue.records if record_type in (None, kind)]

    def run(self, *, repair: bool) -> list[TopicSwept]:
        swept = []
        with closing(LogReader(self._parts.settings.bootstrap)) as log:
            for topic in self._topics():
                swept.append(self._sweep(log, topic, repair=repair))
        return swept

    def _topics(self) -> Iterator[Topic]:
        read, every = self._read, list(self._parts.catalogue.records)
        if self._agency is None:
            for kind in self._kinds:
                golden = partial(self._golden, kind)
                yield Topic(topics.golden(kind), partial(read.golden, kind), golden)
                asserted = partial(self._of_records, [kind], "asserts")
                yield Topic(topics.assertions(kind), read.assertions, asserted, of_records=True)
            if self._kinds == every:
                linked = partial(self._of_records, every, "entity")
                yield Topic(topics.LINKS, read.link, linked, of_records=True)
        for name, agreement in self._parts.agreements.items():
            for kind in agreement.record_types:
                if self._agency in (None, name) and kind in self._kinds:
                    told, held = partial(read.projection, name, kind), partial(self._held, name, kind)
                    yield Topic(topics.inbox(name, kind), told, held, agency=name)

    # What the store remembers

    def _pages(self, statement: Any, kind: str) -> Iterator[list[Any]]:
        after = b""
        while True:
            with self._parts.looking() as tx:
                rows = list(tx.connection.execute(statement, {"kind": kind, "after": after, "limit": _PAGE}))
            if not rows:
                return
            yield rows
            after = bytes(rows[-1].id)

    def _golden(self, kind: str) -> Iterator[Expected]:
        for rows in self._pages(_ENTITIES, kind):
            for row in rows:
                if row.golden:
                    identity = bytes(row.id)
                    yield Expected(hub_name(identity).encode(), bytes(row.golden), row.version, identity)

    def _held(self, agency: str, kind: str) -> Iterator[Expected]:
        name = self._parts.ids.pairwise(agency).name
        for rows in self._pages(_ENTITIES, kind):
            for row in rows:
                one = entity_of_row(row)
                if (held := one.held.get(agency)) is not None:
                    key = name(one.id).encode()
                    yield Expected(key, held.digest, one.version, one.id, held.operation == UPSERT)

    def _of_records(self, kinds: Iterable[str], column: str) -> Iterator[Expected]:
        for kind in kinds:
            for rows in self._pages(_RECORDS, kind):
                for row in rows:
                    identity, content = bytes(row.id), bytes(getattr(row, column))
                    # What one record asserts has its own numbers, not the entity's.
                    version = row.version if column == "entity" else 2**62
                    yield Expected(hub_name(identity).encode(), content, version, identity)

    # Comparing

    def _sweep(self, log: LogReader, topic: Topic, *, repair: bool) -> TopicSwept:
        began = time.monotonic()
        swept = TopicSwept(topic.name)
        first = self._compare(log, topic, swept)
        if first:
            time.sleep(SETTLE_S)
            second = self._compare(log, topic, swept)
            moving = self._moving()
            # Still so, of the same version, and nobody is about to say it.
            stands = [key for key in first if key in second and first[key] == second[key]]
            swept.findings = [
                Finding(topic.name, second[key][0], second[key][1])
                for key in stands
                if second[key][1] not in moving
            ]
        if repair:
            swept.findings = self._repaired(topic, swept.findings)
        swept.seconds = time.monotonic() - began
        return swept

    def _compare(
        self, log: LogReader, topic: Topic, swept: TopicSwept
    ) -> dict[bytes, tuple[str, bytes | None, int]]:
        """By key: what is wrong, of whom, at which version of the store."""
        said = self._said(log, topic, swept)
        found: dict[bytes, tuple[str, bytes | None, int]] = {}
        for expected in topic.expected():
            swept.rows += 1
            kind = _judged(expected, said.pop(expected.key, None))
            if kind:
                found[expected.key] = (kind, expected.subject, expected.version)
        for key, one in said.items():
            if one is None or one.upsert:
                found[key] = (EXTRA, None, one.version if one else 0)
        return found

    def _said(self, log: LogReader, topic: Topic, swept: TopicSwept) -> dict[bytes, Said | None]:
        """The message of the highest version of each key, None where it cannot be read."""
        said: dict[bytes, Said | None] = {}
        for message in log.whole(topic.name):
            swept.messages += 1
            key = message.key or b""
            if message.value is None:
                said.pop(key, None)
                continue
            try:
                one = topic.read(message.value)
            except (SkipRecord, KeyError, TypeError, ValueError):
                said[key] = None
                continue
            before = said.get(key)
            if before is None or one.version >= before.version:
                said[key] = one
        return said

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


def _judged(expected: Expected, said: Said | None) -> str | None:
    """What is wrong with the last message of a key; None if it is as the store remembers. Pure."""
    if said is None:
        return MISSING if expected.holds else None
    if said.version > expected.version:
        return AHEAD
    return None if expected.digest in said.digests else DIFFERS


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
    """For a person."""
    told = []
    for one in swept:
        head = f"{one.topic}: {len(one.findings)} keys are not as the store has them"
        told.append(f"{head}; {one.messages} messages and {one.rows} rows read, {one.seconds:.2f} s")
        counts: Mapping[tuple[str, str], int] = _counts(one.findings)
        told += [f"  {kind}: {count} {state}" for (kind, state), count in sorted(counts.items())]
        named = [f for f in one.findings if f.subject is not None][:10]
        told += [f"  {f.kind}: {hub_name(f.subject or b'')}" for f in named]
    return told


def _counts(findings: Iterable[Finding]) -> dict[tuple[str, str], int]:
    counts: dict[tuple[str, str], int] = {}
    for one in findings:
        counts[one.kind, one.state] = counts.get((one.kind, one.state), 0) + 1
    return counts
