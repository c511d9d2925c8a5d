"""`jisr rebuild`: a store that was lost or set back is built anew from the kept topics (R31).

The topics are read once, each in its order, into staging tables; then entities, records and what is derived
from them are made page by page. Memory is bounded by a page, whatever the topics hold. Until it is done the
store says that it is being rebuilt, and no worker runs on it; whoever begins again begins anew.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple, TypeVar

from sqlalchemy import text

from hub.contracts import topics
from hub.core.assertions import RecordState
from hub.core.crosswalk import EPOCH_BITS
from hub.core.sounding import SCHEME
from hub.errors import Fatal
from hub.ops.behind import adopt_key
from hub.ops.kept import ForeignKey, KeptTopics
from hub.ops.log_reader import Found, LogReader
from hub.ops.parts import Parts
from hub.ops.reconstruction import Reconstruction
from hub.ops.situation import LEVEL, OLDER, RECORDS, Situation, Surroundings
from hub.store import rebuilding
from hub.store.facts import EPOCH, NAMES, REBUILDING, drop_fact, epoch, put_fact
from hub.store.migrate import migrate
from hub.store.positions import load_positions
from hub.store.rebuilding import Link, Told
from hub.store.transaction import Transaction

T = TypeVar("T")
Report = Callable[[str, int, int], None]

_PAGE = 2_000
_COMMIT_EVERY = 5_000
_FORGET_POSITION = text(
    "DELETE FROM position WHERE lane = :lane AND topic = :topic AND partition = :partition"
)
_LANES = ("intake", "receipts")


class Counts(NamedTuple):
    """What was built. `unlinked`: messages of records without a line of the crosswalk, left to `changes`."""

    epoch: int
    records: int
    entities: int
    told: int
    unlinked: int
    reviewed: int
    moved_positions: int


@dataclass
class _Read:
    """How far the topics have been read."""

    total: int
    report: Report
    done: int = 0
    unlinked: int = 0

    def advance(self, count: int) -> None:
        self.done += count
        self.report("topics read", self.done, self.total)


class Rebuild:
    """Builds the store anew. Blocks; raises `Retriable` while a part is away."""

    def __init__(self, parts: Parts, report: Report = lambda *_: None) -> None:
        """`report`: is told (step, done, total) now and then."""
        self._parts = parts
        self._report = report
        self._kept = KeptTopics(parts)
        self._around = Surroundings(parts)

    def run(self, found: Situation, replace: str | None = None) -> Counts:
        """Build the store anew, as looked at in `found`. `replace`: the database whose content is replaced.

        Raises `Fatal` if it is not empty and not named, or while somebody else uses it.
        """
        self._allow(found, replace)
        migrate(self._parts.store.engine)
        with self._parts.deciding() as tx:
            put_fact(tx, REBUILDING, "1")
            rebuilding.begin(tx)
        with closing(LogReader(self._parts.settings.kafka)) as log:
            read = self._read_topics(log, found)
            with self._parts.deciding() as tx:
                highest = rebuilding.gather_entities(tx)
                to = max(epoch(tx), highest >> EPOCH_BITS) + 1
            self._read_states(log, read)
            entities = self._make_entities(to << EPOCH_BITS)
            moved = self._mend_positions(log)
        return self._finish(found, read, to, entities, moved)

    def _allow(self, found: Situation, replace: str | None) -> None:
        if replace is not None and replace != found.database:
            raise Fatal(
                f"--replace {replace}: the store in JISR_STORE_URL is the database {found.database}; "
                "name that one, if it is what you want to replace"
            )
        if found.standing in (OLDER, LEVEL) and replace is None:
            raise Fatal(
                f"the database {found.database} holds {found.records} records. To build it anew, say so by "
                f"its name: `jisr rebuild --yes --replace {found.database}`. What the topics do not carry "
                "(decisions, holds, the audit trail, what can be taken back) stays as it is there"
            )
        if found.sessions:
            raise Fatal(
                f"{found.sessions} other sessions of the hub use the database {found.database}: "
                "stop all workers and commands first, and run it again"
            )

    # Topics

    def _read_topics(self, log: LogReader, found: Situation) -> _Read:
        """The crosswalk, versions, and what agencies were told; into the staging tables."""
        read = _Read(sum(found.messages.values()), self._report)
        for lines in self._batches(log, {topics.LINKS: self._line}, read):
            self._save(rebuilding.save_links, _latest(lines, lambda one: one.record))
        goldens = {
            topics.golden(kind): partial(self._kept.golden, kind) for kind in self._parts.catalogue.records
        }
        for versions in self._batches(log, goldens, read):
            self._save(rebuilding.save_versions, _latest(versions, lambda one: one.entity))
        inboxes = {
            topics.inbox(name, kind): partial(self._kept.told, name, kind)
            for name, kind in self._around.inboxes()
        }
        for told in self._batches(log, inboxes, read):
            self._save(rebuilding.save_told, _latest_told(told))
        return read

    def _read_states(self, log: LogReader, read: _Read) -> None:
        assertions = dict.fromkeys(map(topics.assertions, self._parts.catalogue.records), self._kept.state)
        for states in self._batches(log, assertions, read):
            with self._parts.deciding() as tx:
                read.unlinked += rebuilding.save_states(tx, _latest_states(states))

    def _line(self, message: Found) -> Link | None:
        line = self._kept.link(message)
        if line is not None and not line[1]:
            raise ForeignKey(f"{message.topic}[{message.partition}] at offset {message.offset}")
        return line and line[0]

    def _batches(
        self, log: LogReader, takes: Mapping[str, Callable[[Found], T | None]], read: _Read
    ) -> Iterator[list[T]]:
        """What the messages of these topics say, some thousands at a time."""
        batch: list[T] = []
        seen = 0
        for message in log.whole(*takes):
            seen += 1
            if (one := takes[message.topic](message)) is not None:
                batch.append(one)
            if seen >= _COMMIT_EVERY:
                yield batch
                read.advance(seen)
                batch, seen = [], 0
        yield batch
        read.advance(seen)

    def _save(self, save: Callable[[Transaction, list[T]], None], rows: list[T]) -> None:
        with self._parts.deciding() as tx:
            save(tx, rows)

    # The store

    def _make_entities(self, version: int) -> int:
        after, made = b"", 0
        while True:
            with self._parts.deciding() as tx:
                after, count = rebuilding.save_entities(tx, after, version, _PAGE)
            if not count:
                return made
            made += count
            self._report("entities made", made, made)

    def _mend_positions(self, log: LogReader) -> int:
        """Where the log no longer holds what is next, begin at what it still has."""
        moved = 0
        for lane in _LANES:
            names = {place[0] for place in self._around.changes(log)} | set(
                map(topics.receipts, self._parts.agreements)
            )
            places, _ = log.places(sorted(names))
            firsts, ends = log.beginnings(places), log.ends(places)
            with self._parts.deciding() as tx:
                for place, at in load_positions(tx, lane, names).items():
                    if place not in firsts or not firsts[place] <= at.next_offset <= ends[place]:
                        where: dict[str, Any] = {"lane": lane, "topic": place[0], "partition": place[1]}
                        tx.connection.execute(_FORGET_POSITION, where)
                        moved += 1
        return moved

    def _finish(self, found: Situation, read: _Read, to: int, entities: int, moved: int) -> Counts:
        with self._parts.deciding() as tx:
            for agency in found.joined:
                put_fact(tx, f"joined:{agency}", "rebuild")
            put_fact(tx, EPOCH, str(to))
            put_fact(tx, NAMES, str(SCHEME))
            rebuilding.save_waiting(tx)
            told = rebuilding.count_told(tx)
        reviewed = Reconstruction(self._parts, self._report).run()
        with self._parts.deciding() as tx:
            rebuilding.make_all_due(tx, self._parts.catalogue.dependency_order())
            rebuilding.end(tx)
            adopt_key(tx, self._parts.ids)
            records = int(tx.connection.execute(RECORDS).scalar_one())
            drop_fact(tx, REBUILDING)
        return Counts(to, records, entities, told, read.unlinked, reviewed, moved)


def _latest(rows: list[Any], key: Callable[[Any], bytes]) -> list[Any]:
    """Of each key the greatest version, of equal ones the later."""
    latest: dict[bytes, Any] = {}
    for row in rows:
        known = latest.get(key(row))
        if known is None or row.version >= known.version:
            latest[key(row)] = row
    return list(latest.values())


def _latest_told(rows: list[Told]) -> list[Told]:
    """As `_latest`; a tombstone ends what stood before it, and keeps its version."""
    latest: dict[tuple[str, bytes], Told] = {}
    for row in rows:
        place = (row.agency, row.entity)
        known = latest.get(place)
        if known is not None and not row.operation:
            latest[place] = known._replace(operation="")
        elif known is None or row.version >= known.version:
            latest[place] = row
    return list(latest.values())


def _latest_states(rows: list[RecordState]) -> list[RecordState]:
    latest: dict[bytes, RecordState] = {}
    for row in rows:
        known = latest.get(row.id)
        if known is None or row.seen >= known.seen:
            latest[row.id] = row
    return list(latest.values())
