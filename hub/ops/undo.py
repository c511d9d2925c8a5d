"""Taking back what an agency, or one account there, said within a span of time (R8, R15).

It is shown first, then done, in parts.
"""

from __future__ import annotations

import datetime
import time
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field

from hub.core import stamps
from hub.core.projection import UPSERT
from hub.core.undo import Span, Withdrawn, actors, withdraw
from hub.errors import Fatal
from hub.ops.audit import Person
from hub.ops.handing_over import hand_over
from hub.ops.moments import milliseconds
from hub.ops.parts import Parts, local_time
from hub.store.audit import Entry, note
from hub.store.history import kept, said_since
from hub.store.transaction import Transaction

# One transaction: like a batch of a worker, so that live edits get through.
CHUNK = 500
_EXAMPLES = 5
_DAY_MS = 24 * 3600 * 1000
# What the audit trail calls it, and a look at who said how much.
UNDO, LOOK = "undo", "actors"


@dataclass(frozen=True)
class Wanted:
    """What is to be taken back: an agency's word of a span, perhaps of one record type, record or actor."""

    agency: str
    span: Span
    record_type: str | None = None
    local_id: str | None = None


@dataclass
class Undone:
    """What was, or would be, taken back. `back`: field → records of which an earlier assertion stands again;
    `gone`: field → records which say nothing of it any more; `deleted`: deletions; `elsewhere`: records of
    entities that other agencies hold, too (known of a preview); `examples`: local ids."""

    records: int = 0
    back: Counter[str] = field(default_factory=Counter)
    gone: Counter[str] = field(default_factory=Counter)
    deleted: int = 0
    elsewhere: int = 0
    examples: list[str] = field(default_factory=list)

    def add(self, record_type: str, local_id: str, one: Withdrawn) -> None:
        self.records += 1
        self.back.update(f"{record_type}.{name}" for name in one.back)
        self.gone.update(f"{record_type}.{name}" for name in one.gone)
        self.deleted += bool(one.deleted)
        if len(self.examples) < _EXAMPLES:
            self.examples.append(f"{record_type} {local_id}")


class Undo:
    """Previews and undoes. Blocks. Undoing again changes nothing, so one that was cut off is made again."""

    def __init__(self, parts: Parts, clock: Callable[[], float] = time.time) -> None:
        self._parts = parts
        self._clock = clock

    def wanted(
        self,
        agency: str,
        since: datetime.datetime,
        until: datetime.datetime | None,
        record_type: str | None = None,
        local_id: str | None = None,
        actor: str | None = None,
    ) -> Wanted:
        """Checked; raises `Fatal` where the agency or the record type is unknown, or history is too short."""
        if agency not in self._parts.agreements:
            raise Fatal(f"no agency {agency!r}: there are {', '.join(self._parts.agreements)}")
        if record_type is not None and record_type not in self._parts.types:
            raise Fatal(f"no record type {record_type!r}: there are {', '.join(self._parts.types)}")
        now_ms, days = int(self._clock() * 1000), self._parts.settings.history_days
        since_ms, until_ms = milliseconds(since) or 0, milliseconds(until)
        if since_ms < now_ms - days * _DAY_MS:
            raise Fatal(
                f"what was asserted is kept for {days} days (JISR_HISTORY_DAYS): nothing before "
                f"{local_time(now_ms - days * _DAY_MS)} can be taken back"
            )
        end = stamps.at(now_ms + 1 if until_ms is None else until_ms) - 1
        if end < stamps.at(since_ms):
            raise Fatal("--until is before --since: nothing was said in between")
        return Wanted(agency, Span(stamps.at(since_ms), end, actor), record_type, local_id)

    def preview(self, wanted: Wanted) -> Undone:
        """What would be taken back; nothing is changed."""
        found = Undone()
        with self._parts.looking() as tx:
            for records in self._chunks(lambda after: self._next(tx, wanted, after)):
                world = tx.records(records)
                entities = tx.entities(set(world.entity_of.values())).entities
                before = kept(tx, records)
                for record in records:
                    state = world.records[record]
                    policy = self._parts.types[state.key.record_type]
                    one = withdraw(policy, state, before[record], wanted.span)
                    if one:
                        found.add(state.key.record_type, state.key.local_id, one)
                        held = entities[world.entity_of[record]].held
                        found.elsewhere += any(
                            a != wanted.agency and h.operation == UPSERT for a, h in held.items()
                        )
        return found

    def actors(self, wanted: Wanted, who: str, why: str) -> Counter[str | None]:
        """How many assertions each actor made that are not taken back; under None those of which no change
        told. Accounts are personal data: keeps first who looks and why."""
        with self._parts.deciding() as tx:
            note(tx, [self._deed(LOOK, wanted, who, why)])
        found: Counter[str | None] = Counter()
        with self._parts.looking() as tx:
            for records in self._chunks(lambda after: self._next(tx, wanted, after)):
                before = kept(tx, records)
                for record, state in tx.records(records).records.items():
                    found += actors(state, before[record], wanted.span)
        return found

    def apply(self, wanted: Wanted, who: str, why: str) -> Undone:
        """Take it back, in parts; the workers publish what follows. Keeps who and why first."""
        undone = Undone()
        # Asked for beforehand: the registry must not be waited for while rows are locked.
        finish = hand_over(self._parts.encoder())
        with self._parts.deciding() as tx:
            note(tx, [self._deed(UNDO, wanted, who, why)])
        for records in self._chunks(lambda after: self._look(wanted, after)):
            names: dict[bytes, tuple[str, str]] = {}
            part: dict[bytes, Withdrawn] = {}

            def take(
                tx: Transaction, records: list[bytes] = records, names: dict[bytes, tuple[str, str]] = names
            ) -> Mapping[str, Collection[bytes]]:
                by_type: dict[str, list[bytes]] = {}
                for record, state in tx.records(records).records.items():
                    by_type.setdefault(state.key.record_type, []).append(record)
                    names[record] = state.key.record_type, state.key.local_id
                return by_type

            self._parts.intake.undo(take, wanted.span, finish, part.update)
            for record, one in part.items():
                undone.add(*names[record], one)
        return undone

    @staticmethod
    def _chunks(more: Callable[[bytes], list[bytes]]) -> Iterator[list[bytes]]:
        after = b""
        while records := more(after):
            yield records
            after = records[-1]

    def _look(self, wanted: Wanted, after: bytes) -> list[bytes]:
        with self._parts.looking() as tx:
            return self._next(tx, wanted, after)

    @staticmethod
    def _next(tx: Transaction, wanted: Wanted, after: bytes) -> list[bytes]:
        return said_since(
            tx, wanted.agency, wanted.span.since, after, CHUNK, wanted.record_type, wanted.local_id
        )

    @staticmethod
    def _deed(action: str, wanted: Wanted, who: str, why: str) -> Entry:
        since, until = (local_time(stamps.milliseconds(s)) for s in (wanted.span.since, wanted.span.until))
        # A local id may be a person's number, an account its owner's name: the trail holds none.
        narrowed = {"one record": wanted.local_id, "one actor": wanted.span.actor}
        return Person.at_keyboard(who).entry(
            action,
            f"{wanted.agency} from {since} to {until}",
            why,
            agency=wanted.agency,
            record_type=wanted.record_type,
            detail=", ".join(words for words, asked in narrowed.items() if asked is not None),
        )
