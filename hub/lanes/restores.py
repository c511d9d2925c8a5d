"""After an agency's database was set back: which records it has lost, and what becomes of them (R24).

An agency's side says, by receipts for its own changes topics, that it has said every record of a type in an
epoch. What lives at the hub and was not heard of in that epoch is lost. What it said stands; the hub makes
its row again. Where that may be wrong, a person is asked first, by a brake (R32): they are very many, the
agency's agreement does not let the hub make rows, a message of it could not be read, or nobody knows that the
database was set back.

One search at a time, in pieces between live batches. It is in memory only: a worker that dies leaves it to
the next, and whatever is done twice changes nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field

from sqlalchemy import text

from hub.contracts import topics as names
from hub.core.assertions import Change, RecordKey, unpack
from hub.core.brakes import MASS_LOST
from hub.core.epochs import FIRST, LOST
from hub.core.tokens import Ids
from hub.lanes.brakes import Brakes
from hub.lanes.converged import Converged, Note
from hub.lanes.intake import LANE
from hub.lanes.settling import Finish
from hub.lanes.stewards import StewardsIntake
from hub.store.facts import fact, put_fact
from hub.store.transaction import Transaction

REMADE = "lost_remade"
# Rows of one look, and records of one transaction: live edits get through in between.
_PAGE, _CHUNK = 5_000, 500
# The agency's clock and the broker's may differ by so much.
_CLOCKS_MS = 600_000

# Topics of which everything is taken in up to where their agency's side said that an epoch was complete.
_SAID = text("""
    SELECT r.topic, count(*) AS partitions, min(r.epoch) AS epoch, min(r.set_back_ms) AS set_back_ms
    FROM receipt r JOIN position p ON p.lane = :lane AND p.topic = r.topic AND p.partition = r.partition
    WHERE r.topic = ANY(CAST(:topics AS text[]))
    GROUP BY r.topic
    HAVING bool_and(p.next_offset >= r.next_offset) AND min(r.epoch) > 0 AND min(r.epoch) = max(r.epoch)
    ORDER BY r.topic
""")

_LIVING = text("""
    SELECT local_id, incarnation, seen, asserts FROM record
    WHERE agency = :agency AND record_type = :record_type AND ended = 0
      AND (local_id, incarnation) > (:local_id, :incarnation)
    ORDER BY local_id, incarnation LIMIT :limit
""")

_UNREAD = text("""
    SELECT EXISTS (SELECT FROM dead_letter WHERE state = 'open' AND agency = :agency
                                             AND record_type = :record_type AND at_ms >= :since_ms)
""")


@dataclass
class _Search:
    """What one agency has lost of one record type. `speaking`: those that said something of their own,
    `silent`: rows that the hub had made; `chunks`: what is left to be done, and whether a person is asked."""

    agency: str
    record_type: str
    epoch: int
    set_back_ms: int
    after: tuple[str, int] = ("", -1)
    speaking: list[Change] = field(default_factory=list)
    silent: list[Change] = field(default_factory=list)
    chunks: list[tuple[bool, Sequence[Change]]] | None = None

    @property
    def fact(self) -> str:
        """Under which name the store keeps the epoch that is done with."""
        return f"epoch:{names.changes(self.agency, self.record_type)}"

    def look_at(self, key: RecordKey, seen: int, asserts: bytes) -> None:
        said = unpack(asserts)
        if said.epoch >= self.epoch or said.lost > said.epoch:
            return
        change = Change(
            key=key,
            operation=LOST,
            stamp=max(seen, 1),
            effective=max(seen, 1),
            event_id=f"restore-{self.epoch}",
            epoch=self.epoch,
        )
        (self.speaking if said.values or said.unions else self.silent).append(change)


class Restores:
    """Finds out and carries out. One per worker; blocks."""

    def __init__(
        self,
        intake: StewardsIntake,
        brakes: Brakes,
        begin: Callable[[], AbstractContextManager[Transaction]],
        ids: Ids,
        partitions: Mapping[str, int],
        said: Collection[tuple[str, str]],
        made: Collection[tuple[str, str]],
    ) -> None:
        """(Agency, record type): `said` are those that agencies say, `made` those of which the hub makes rows
        there. `partitions`: record type → partitions of its changes topics."""
        self._intake = intake
        self._brakes = brakes
        self._begin = begin
        self._ids = ids
        self._partitions = partitions
        self._said = {names.changes(*one): one for one in sorted(said)}
        self._made = made
        self._search: _Search | None = None

    @property
    def busy(self) -> bool:
        return self._search is not None

    def look(self) -> bool:
        """One piece of looking; whether there is something to be carried out."""
        with self._begin() as tx:
            if self._search is None:
                self._search = self._next(tx)
            elif self._search.chunks is None:
                self._read_on(tx, self._search)
        return self._search is not None and self._search.chunks is not None

    def _next(self, tx: Transaction) -> _Search | None:
        for topic, partitions, epoch, set_back_ms in tx.connection.execute(
            _SAID, {"lane": LANE, "topics": list(self._said)}
        ):
            agency, record_type = self._said[topic]
            search = _Search(agency, record_type, epoch, set_back_ms)
            known = fact(tx, search.fact)
            if partitions != self._partitions[record_type]:
                continue
            if known is None and (epoch == FIRST or not set_back_ms):
                # The first of which the hub hears: all that it knows of the agency was said in it, or before.
                put_fact(tx, search.fact, str(epoch))
            elif known is None or epoch > int(known):
                # Also the first, if it began by a restore: what was said before that is of an earlier one.
                return search
        return None

    def _read_on(self, tx: Transaction, search: _Search) -> None:
        local_id, incarnation = search.after
        place = {"agency": search.agency, "record_type": search.record_type}
        where = {**place, "local_id": local_id, "incarnation": incarnation, "limit": _PAGE}
        rows = tx.connection.execute(_LIVING, where).all()
        for row in rows:
            key = RecordKey(search.agency, search.record_type, row.local_id, row.incarnation)
            search.look_at(key, row.seen, row.asserts)
        if len(rows) == _PAGE:
            search.after = rows[-1].local_id, rows[-1].incarnation
            return
        free, asked = search.silent, search.speaking
        if not search.set_back_ms:
            # Nothing says why: a row that the hub had made may have been deleted there on purpose (R15).
            free, asked = [], search.silent + search.speaking
        elif not self._is_asked(tx, search):
            free, asked = search.silent + search.speaking, []
        search.chunks = [*_chunks(free, asked=False), *_chunks(asked, asked=True)] or [(False, ())]

    def _is_asked(self, tx: Transaction, search: _Search) -> bool:
        """Whether a person decides about the records that said something."""
        place = (search.agency, search.record_type)
        if place not in self._made:
            return True
        since_ms = search.set_back_ms - _CLOCKS_MS
        where = {"agency": search.agency, "record_type": search.record_type, "since_ms": since_ms}
        unread = bool(tx.connection.execute(_UNREAD, where).scalar_one())
        return unread or self._brakes.is_many(tx, (*place, MASS_LOST), len(search.speaking))

    def carry_out(self, finish: Finish) -> Converged:
        """One transaction of what was found."""
        search = self._search
        assert search is not None
        assert search.chunks
        asked, chunk = search.chunks[0]
        last = len(search.chunks) == 1
        notes: list[Note] = []

        def take(tx: Transaction) -> Sequence[Change]:
            notes.clear()
            if last:
                put_fact(tx, search.fact, str(search.epoch))
            if not asked:
                return chunk
            group = (search.agency, search.record_type, MASS_LOST)
            notes.append(self._brakes.hold(tx, group, [(self._ids.record(*c.key), c) for c in chunk]))
            return ()

        def finishing(tx: Transaction, done: Converged) -> None:
            done.notes += notes or self._told(search, chunk)
            finish(tx, done)

        done = self._intake.apply(take, finishing)
        del search.chunks[0]
        if last:
            self._search = None
        return done

    @staticmethod
    def _told(search: _Search, chunk: Sequence[Change]) -> list[Note]:
        """What the agency reads of rows that people had entered there, and that are made again."""
        own = set(map(id, search.speaking))
        those = [change for change in chunk if id(change) in own]
        if not those:
            return []
        first = those[0]
        return [Note("other", REMADE, first.key, (), first.stamp, None, first.event_id, len(those))]


def _chunks(changes: Sequence[Change], *, asked: bool) -> Iterator[tuple[bool, Sequence[Change]]]:
    for start in range(0, len(changes), _CHUNK):
        yield asked, changes[start : start + _CHUNK]
