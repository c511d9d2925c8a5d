"""Whether the store is the one that published what is published: asked before a worker does anything (R31).

A worker commits before it publishes, so an intact store knows every version that the topics hold. One that
was lost or set back does not: it would read on from where its copy was made, and give out versions a second
time, which agencies ignore (R18). So the last messages of each partition are read, then the store beside
them; nothing else of an intact store's start costs anything.
"""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import closing
from hashlib import blake2b
from typing import NamedTuple

from sqlalchemy import text

from hub.contracts import topics
from hub.core.crosswalk import EPOCH_BITS
from hub.core.tokens import Ids
from hub.errors import Fatal
from hub.ops.kept import ForeignKey, KeptTopics, Unreadable
from hub.ops.log_reader import PEEK_BYTES, Found, LogReader
from hub.ops.parts import Parts
from hub.store.facts import KEY, REBUILDING, epoch, fact, put_fact
from hub.store.transaction import Transaction

# What a store lost was published last by somebody: it ends at least one partition, and most often several.
_TAIL = 20
_PAGE = 5_000
_ANY_RECORD = text("SELECT id, agency, record_type, local_id, incarnation FROM record LIMIT 1")

MEND = (
    "No worker runs on it: versions would be given out twice, and agencies ignore the second (R18). Stop "
    "all workers, then run `jisr rebuild`, which shows what it would do; see docs/operations.md, "
    "'The hub's store was lost, or restored'"
)


class StoreBehind(Fatal):
    """The store does not know what was published: it was lost, restored, or is being rebuilt."""


class Behind(NamedTuple):
    """How far a store is behind: of `looked` entities published last, so many that it knows less of."""

    looked: int
    entities: int


class StoreCheck:
    """Compares the store with the ends of the topics. Blocks; raises `Retriable` while a part is away."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._kept = KeptTopics(parts)

    def run(self) -> None:
        """Raises `StoreBehind`, or `Fatal` where the key is another; a new store takes over the key."""
        with closing(LogReader(self._parts.settings.kafka, PEEK_BYTES)) as log:
            # The topics first: what is published until then, the store knows since before.
            published, last = something_published(log), self._last_versions(log)
        with self._parts.deciding() as tx:
            if fact(tx, REBUILDING) is not None:
                raise StoreBehind(
                    "the hub's store is being rebuilt, or that broke off: run `jisr rebuild` again"
                )
            self._check_key(tx, published=published)
            behind = compare(tx, last)
        if behind.entities:
            raise StoreBehind(
                f"the hub's store is older than what it has published: of {behind.looked} entities that were "
                f"published last it knows {behind.entities} in a lower version or not at all. {MEND}"
            )

    def look(self, log: LogReader) -> Behind:
        """How far the store is behind; changes nothing."""
        last = self._last_versions(log)
        with self._parts.looking() as tx:
            return compare(tx, last)

    def _check_key(self, tx: Transaction, *, published: bool) -> None:
        known = fact(tx, KEY)
        if known is None:
            first = tx.connection.execute(_ANY_RECORD).one_or_none()
            if first is None and published:
                raise StoreBehind(f"the hub's store is empty, and {topics.LINKS} is not. {MEND}")
            if first is not None and self._parts.ids.record(*first[1:]) != bytes(first.id):
                raise ForeignKey("the hub's store")
            adopt_key(tx, self._parts.ids)
        elif known != key_print(self._parts.ids):
            raise ForeignKey("the hub's store")

    def _last_versions(self, log: LogReader) -> dict[bytes, int]:
        """Entity → the highest version among the last messages of all partitions."""
        inboxes = {
            topics.inbox(name, kind): (name, kind)
            for name, agreement in self._parts.agreements.items()
            for kind in agreement.record_types
        }
        places, _ = log.places([topics.LINKS, *inboxes])
        last: dict[bytes, int] = {}
        for message in log.tails(places, _TAIL):
            try:
                found = self._version(inboxes.get(message.topic), message)
            except Unreadable:
                # Says nothing of versions, so it is no evidence either.
                continue
            if found is not None:
                last[found[0]] = max(last.get(found[0], 0), found[1])
        return last

    def _version(self, inbox: tuple[str, str] | None, message: Found) -> tuple[bytes, int] | None:
        if inbox is None:
            line = self._kept.link(message)
            return None if line is None or not line[1] else (line[0].entity, line[0].version)
        told = self._kept.told(*inbox, message)
        return None if told is None or not told.operation else (told.entity, told.version)


def something_published(log: LogReader) -> bool:
    """Whether the topics hold a crosswalk."""
    places, _ = log.places([topics.LINKS])
    ends = log.ends(places)
    return any(ends[place] > first for place, first in log.beginnings(places).items())


def compare(tx: Transaction, last: dict[bytes, int]) -> Behind:
    """How many of these entities the store knows in a lower version, or not at all.

    Versions of an earlier epoch are no evidence: the rebuild that raised it knew them (R18).
    """
    floor = epoch(tx) << EPOCH_BITS
    last = {entity: version for entity, version in last.items() if version >= floor}
    behind = 0
    for page in _pages(sorted(last)):
        known = tx.versions(page)
        behind += sum(known.get(entity, -1) < last[entity] for entity in page)
    return Behind(len(last), behind)


def adopt_key(tx: Transaction, ids: Ids) -> None:
    """Note by which key this store's ids are derived."""
    put_fact(tx, KEY, key_print(ids))


def key_print(ids: Ids) -> str:
    """What tells one key from another, and nothing of the key."""
    return blake2b(ids.record("hub", "key", "", 0), digest_size=12).hexdigest()


def _pages(entities: list[bytes]) -> Iterable[list[bytes]]:
    return (entities[start : start + _PAGE] for start in range(0, len(entities), _PAGE))
