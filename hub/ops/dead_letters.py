"""Dead letters as a person looks at them: listed, opened, discarded (R27).

What a dead letter says is read as far as it goes, so that one sees whose record it speaks of, and whether
that record has said the same, or something later, since.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from hub.contracts.records import FieldSpec
from hub.contracts.values import decode, encode
from hub.contracts.wire import ChangeReader, RawChange, unframe
from hub.core import stamps
from hub.core.assertions import RecordKey, RecordState
from hub.errors import Fatal, Retriable, SkipRecord
from hub.ops.audit import Person
from hub.ops.finding import NotFound
from hub.ops.parts import Parts, stamp_time
from hub.store.audit import Entry, note
from hub.store.dead_letters import (
    DISCARDED,
    OPEN,
    DeadLetterRow,
    Heap,
    Wanted,
    count_dead_letters,
    dead_letters,
    discard_dead_letters,
    lives,
    lock_dead_letters,
)
from hub.store.transaction import Transaction

DISCARD = "discard"
_PAGE = 500
# So many are opened for one page of those that are superseded.
_OPENED = 500


@dataclass(frozen=True)
class Letter:
    """A dead letter with what can be read of it.

    `local_id`: whose record it speaks of, empty where even that cannot be read. `superseded`: when that
    record had said all of it again, or something later; empty if it has not, or if nobody can tell.
    """

    row: DeadLetterRow
    local_id: str
    superseded: str


class DeadLetters:
    """Lists, opens and discards dead letters. Blocks. A registry that is away makes letters unreadable,
    not the list: `problem` says so."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._readers: dict[str, ChangeReader] = {}
        self.problem = ""

    def search(
        self, wanted: Wanted, limit: int, *, superseded_only: bool = False, after: int = 0
    ) -> list[Letter]:
        """Up to `limit` dead letters, the oldest first, beginning behind the number `after`."""
        found: list[Letter] = []
        with self._parts.looking() as tx:
            size = _PAGE if superseded_only else min(_PAGE, limit)
            for page in self._pages(tx, wanted, size, after):
                opened = self.open(tx, page)
                found += [one for one in opened if one.superseded or not superseded_only]
                if len(found) >= limit:
                    break
        return found[:limit]

    def page(
        self, wanted: Wanted, size: int, *, superseded_only: bool = False, after: int = 0
    ) -> tuple[list[Letter], int | None]:
        """Up to `size` letters behind the number `after`; and behind which to read on, if there is more.

        Which are superseded is found out by opening each: of those, a page is what the next `_OPENED` hold.
        """
        many = _OPENED if superseded_only else size
        with self._parts.looking() as tx:
            rows = dead_letters(tx, wanted, after=after, limit=many + 1)
            found = self.open(tx, rows[:many])
        following = rows[many - 1].id if len(rows) > many else None
        if superseded_only:
            found = [one for one in found if one.superseded]
        if len(found) > size:
            following = found[size - 1].row.id
        return found[:size], following

    def numbers(self, wanted: Wanted, *, superseded_only: bool = False) -> list[int]:
        """The numbers of all that match, in order; their bytes are not kept in memory."""
        found: list[int] = []
        with self._parts.looking() as tx:
            for page in self._pages(tx, wanted, _PAGE):
                if superseded_only:
                    found += [one.row.id for one in self.open(tx, page) if one.superseded]
                else:
                    found += [row.id for row in page]
        return found

    def heaps(self, wanted: Wanted, *, exactly: bool = True) -> list[Heap]:
        """How many there are of each kind; unless `exactly`, as far as a page counts."""
        with self._parts.looking() as tx:
            return count_dead_letters(tx, wanted, exactly=exactly)

    def one(self, number: int) -> Letter:
        """One dead letter; raises `NotFound`."""
        found = self.search(Wanted(ids=(number,)), 1)
        if not found:
            raise NotFound(f"no dead letter {number}: `jisr dlq list --state all` shows all")
        return found[0]

    def open(self, tx: Transaction, rows: Sequence[DeadLetterRow]) -> list[Letter]:
        """Read what can be read, and look what their records say by now."""
        raws = [self._raw(row) for row in rows]
        keys = [_key(row, raw) for row, raw in zip(rows, raws, strict=True) if raw]
        states: dict[tuple[str, str, str], list[RecordState]] = {}
        for state in lives(tx, keys):
            states.setdefault(state.key[:3], []).append(state)
        return [
            Letter(row, raw.local_id, self._superseded(row, raw, states.get(_key(row, raw)[:3], [])))
            if raw
            else Letter(row, "", "")
            for row, raw in zip(rows, raws, strict=True)
        ]

    def discard(self, ids: Sequence[int], who: Person, why: str) -> list[int]:
        """Discard dead letters; returns those that were not discarded before. Their bytes are kept.

        Raises `NotFound`, or `Fatal` for one that was redriven: what it said is in effect.
        """
        with self._parts.deciding() as tx:
            states = lock_dead_letters(tx, ids)
            missing = sorted(set(ids) - states.keys())
            if missing:
                raise NotFound(f"no dead letter {missing[0]}: `jisr dlq list --state all` shows all")
            done = [number for number, state in states.items() if state not in (OPEN, DISCARDED)]
            if done:
                raise Fatal(f"dead letter {done[0]} was redriven: there is nothing left to discard")
            discarded = discard_dead_letters(tx, ids, who.name, why)
            rows = dead_letters(tx, Wanted(ids=tuple(discarded)), limit=len(discarded))
            note(tx, [deed(who, DISCARD, row, why) for row in rows])
        return discarded

    def _pages(
        self, tx: Transaction, wanted: Wanted, size: int, after: int = 0
    ) -> Iterator[Sequence[DeadLetterRow]]:
        while page := dead_letters(tx, wanted, after=after, limit=size):
            yield page
            after = page[-1].id

    def _raw(self, row: DeadLetterRow) -> RawChange | None:
        """What can be read without judging any value; None where it cannot be read."""
        record = self._parts.catalogue.records.get(row.record_type)
        if record is None:
            return None
        reader = self._readers.get(row.record_type)
        if reader is None:
            reader = self._readers[row.record_type] = ChangeReader(record, self._parts.events)
        try:
            return reader.read(*unframe(row.value), self._parts.registry.schema_by_id)
        except SkipRecord:
            return None
        except Retriable as error:
            self.problem = str(error)
            return None

    def _superseded(self, row: DeadLetterRow, raw: RawChange, states: Sequence[RecordState]) -> str:
        specs = self._parts.catalogue.records[row.record_type].by_name
        agreement = self._parts.agreements.get(row.agency)
        publishes = agreement.publishes.get(row.record_type, ()) if agreement else ()
        spoken = {name for name in (*raw.values, *raw.added) if name in publishes}
        moment = _superseded_at(row, raw, states, {name: specs[name] for name in spoken})
        return "" if moment is None else stamp_time(moment)


def deed(who: Person, action: str, row: DeadLetterRow, why: str, detail: str = "") -> Entry:
    """What the audit keeps of a decision on a dead letter."""
    return who.entry(
        action, f"dead letter {row.id}", why, agency=row.agency, record_type=row.record_type, detail=detail
    )


def _key(row: DeadLetterRow, raw: RawChange) -> RecordKey:
    return RecordKey(row.agency, row.record_type, raw.local_id, raw.incarnation)


def _superseded_at(
    row: DeadLetterRow, raw: RawChange, states: Sequence[RecordState], spoken: Mapping[str, FieldSpec]
) -> int | None:
    """The stamp by which everything that the message says was said again or overtaken; None if it was not.

    `states`: all lives of the local record; `spoken`: the fields that count.
    """
    bound = stamps.bounded(raw.stamp, row.at_ms, row.kafka_offset)
    effective = min(raw.held_since, bound)
    own = next((s for s in states if s.key.incarnation == raw.incarnation), None)
    if own is None or raw.stamp <= 0:
        # As long as the hub knows nothing of this life, a later one takes nothing from what it says.
        return None
    if raw.operation in ("delete", "unlink"):
        return own.ended or None
    if own.ended >= effective and own.ended:
        return own.ended
    # Who speaks of a life that has ended means the one that followed, and may have said it there.
    states = [s for s in states if s.key.incarnation >= raw.incarnation] if own.ended else [own]
    moments = []
    for name, spec in spoken.items():
        if raw.operation != "update" and name in raw.values and raw.values[name] is None:
            continue
        moment = _said_again(spec, name, raw, states, effective)
        if moment is None:
            return None
        moments.append(moment)
    if moments:
        return max(moments)
    seen = max(state.seen for state in states)
    return seen if seen >= raw.stamp else None


def _said_again(
    spec: FieldSpec, name: str, raw: RawChange, states: Sequence[RecordState], effective: int
) -> int | None:
    """When the record said something of this field that stands above the message's word on it."""
    if name in raw.values:
        said = [state.asserts.values[name][0] for state in states if name in state.asserts.values]
        if spec.merge == "immutable":
            return min((stamp for stamp in said if stamp <= effective), default=None)
        return max((stamp for stamp in said if stamp >= effective), default=None)
    mentions: dict[bytes, int] = {}
    for state in states:
        for element, (stamp, _) in state.asserts.unions.get(name, {}).items():
            mentions[element] = max(stamp, mentions.get(element, 0))
    found = [mentions.get(element, -1) for element in _elements(spec, raw, name)]
    found.append(max(mentions.values(), default=-1))
    return max(found) if min(found) >= effective else None


def _elements(spec: FieldSpec, raw: RawChange, name: str) -> Iterator[bytes]:
    """The elements that the contract allows; of others the record can never have spoken."""
    for encoded in (*raw.added[name], *raw.removed.get(name, ())):
        try:
            element = encode(spec, decode(spec, encoded))
        except SkipRecord:
            continue
        if element is not None:
            yield element
