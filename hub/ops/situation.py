"""What there is to rebuild a store from, and what it would replace; nothing is changed (R31)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass

from sqlalchemy import text
from sqlalchemy.engine import make_url

from hub.contracts import topics
from hub.errors import Fatal
from hub.ops.behind import StoreCheck
from hub.ops.kept import ForeignKey, KeptTopics
from hub.ops.log_reader import LogReader, Place
from hub.ops.parts import Parts
from hub.store.facts import REBUILDING, fact

EMPTY, OLDER, LEVEL, BROKEN_OFF = "empty", "older", "level", "broken_off"
_TAIL = 1_000
_HAS_TABLES = text("SELECT to_regclass('record') IS NOT NULL AND to_regclass('setting') IS NOT NULL")
RECORDS = text("SELECT count(*) FROM record")
_OTHERS = text("""
    SELECT count(*) FROM pg_stat_activity
    WHERE datname = current_database() AND application_name = 'jisr-hub' AND pid <> pg_backend_pid()
""")


@dataclass(frozen=True)
class Situation:
    """What is there to rebuild from, and what it would replace.

    `standing`: of the store; `records`: how many it has; `messages`: kept topic → how many offsets it spans;
    `joined`: agencies with a snapshot that were told of anything, so had joined; `waiting`: those that were
    not; `begins_late`: partitions of `changes` whose first messages are gone, which is as it should be.
    """

    database: str
    standing: str
    records: int
    sessions: int
    messages: Mapping[str, int]
    joined: tuple[str, ...]
    waiting: tuple[str, ...]
    begins_late: int


class Surroundings:
    """The kept topics and the store, looked at. Blocks; raises `Retriable` while a part is away."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._read = KeptTopics(parts)
        self._database = str(make_url(parts.settings.store_url).database)

    def look(self) -> Situation:
        """What there is; changes nothing. Raises `ForeignKey`, or `Fatal` without topics."""
        with closing(LogReader(self._parts.settings.kafka)) as log:
            self._check_key(log)
            messages, told = self._spans(log), self._told(log)
            standing, records, sessions = self._standing(log)
            late = sum(first > 0 for first in log.beginnings(self.changes(log)).values())
        snapshots = {name for name, one in self._parts.agreements.items() if one.snapshot}
        return Situation(
            database=self._database,
            standing=standing,
            records=records,
            sessions=sessions,
            messages=messages,
            joined=tuple(sorted(snapshots & told)),
            waiting=tuple(sorted(snapshots - told)),
            begins_late=late,
        )

    def _standing(self, log: LogReader) -> tuple[str, int, int]:
        with self._parts.deciding() as tx:
            sessions = int(tx.connection.execute(_OTHERS).scalar_one())
            if not tx.connection.execute(_HAS_TABLES).scalar_one():
                return EMPTY, 0, sessions
            broken_off = fact(tx, REBUILDING) is not None
            records = int(tx.connection.execute(RECORDS).scalar_one())
        if broken_off:
            return BROKEN_OFF, records, sessions
        if not records:
            return EMPTY, 0, sessions
        behind = StoreCheck(self._parts).look(log)
        return (OLDER if behind.entities else LEVEL), records, sessions

    def _check_key(self, log: LogReader) -> None:
        """Refuse before anything is done, where the key is another."""
        places, missing = log.places([topics.LINKS])
        found = 0
        for message in () if missing else log.tails(places, _TAIL):
            line = self._read.link(message)
            if line is not None and not line[1]:
                raise ForeignKey(f"{message.topic}[{message.partition}] at offset {message.offset}")
            found += line is not None
        if not found:
            raise Fatal(
                f"{topics.LINKS} at {self._parts.settings.bootstrap} is empty: nothing to build from. "
                "Is it the Kafka that the hub published to? A new hub needs no rebuild: start a worker"
            )

    def kept(self) -> list[str]:
        """All kept topics in the order of reading: assertions last, since they need the links."""
        kinds = list(self._parts.catalogue.records)
        inboxes = [topics.inbox(name, kind) for name, kind in self.inboxes()]
        return [
            topics.LINKS,
            *map(topics.golden, kinds),
            *inboxes,
            *map(topics.assertions, kinds),
        ]

    def inboxes(self) -> Iterator[tuple[str, str]]:
        for name, agreement in self._parts.agreements.items():
            for kind in agreement.record_types:
                yield name, kind

    def _spans(self, log: LogReader) -> dict[str, int]:
        spans = dict.fromkeys(self.kept(), 0)
        places, _ = log.places(spans)
        firsts = log.beginnings(places)
        for place, end in log.ends(places).items():
            spans[place[0]] += end - firsts[place]
        return spans

    def _told(self, log: LogReader) -> set[str]:
        """Agencies into whose inboxes anything ever came: nothing does before they have joined."""
        places, _ = log.places([topics.inbox(name, kind) for name, kind in self.inboxes()])
        return {topics.split(place[0])[0] for place, end in log.ends(places).items() if end}

    def changes(self, log: LogReader) -> list[Place]:
        names = [
            topics.changes(name, kind)
            for name, agreement in self._parts.agreements.items()
            for kind in agreement.publishes
        ]
        return log.places(names)[0]
