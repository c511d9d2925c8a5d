"""Redriving dead letters: the same message is taken in again, as if it had been valid from the start (R27).

It is read by this release's contracts and agreements and goes through intake, in a transaction of the store,
like a hold that a person releases; workers publish what follows. It does not go through the agency's
`changes` topic a second time, because there

- only the agency writes: that is how the hub knows whose word a message is (R2);
- it would be appended now, and the bound on skew, taken against the append time, would judge its stamp
  otherwise than on the day (R10): a clock that ran ahead would win after all;
- if it failed again, it would be another dead letter.

Here message, place and append time are the original ones. So a redrive may be repeated at any time, whatever
else was said meanwhile: state does not depend on the order (R8).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from hub.core.assertions import Change
from hub.errors import Fatal, Retriable
from hub.lanes.converged import Converged
from hub.lanes.messages import Encoder, hub_name
from hub.lanes.publication import outbound
from hub.lanes.reading import DeadLetter, Message, Read
from hub.ops.audit import Person
from hub.ops.dead_letters import deed
from hub.ops.effects import APPLIED, DEAD, HELD, SUPERSEDED, FieldEffect, field_effects, took
from hub.ops.parts import Parts
from hub.ops.rehearsal import Rehearsal, Rehearsed
from hub.ops.veil import Veil
from hub.store import stewardship
from hub.store.audit import note
from hub.store.dead_letters import (
    DeadLetterRow,
    Failure,
    Wanted,
    dead_letters,
    hold_states,
    lock_dead_letters,
    save_dead_again,
    save_redriven,
)
from hub.store.errors import StoreAway
from hub.store.transaction import Transaction

REDRIVE = "redrive"
# As many locks are held at once as by a small batch of a worker.
BATCH = 200
_TRIES = 5


@dataclass(frozen=True)
class Preview:
    """What redriving one dead letter would come to now, by itself.

    `outcome`: applied, superseded, held or dead; `why` where it is dead or held. `entity`: whom the record
    would stand for; `identity`: whether that is somebody new, known, or other than now. `told`: agency → what
    it would be told. `changes`: whether anybody would see a difference.
    """

    number: int
    outcome: str
    why: str
    operation: str = ""
    record: str = ""
    entity: str = ""
    identity: str = ""
    fields: tuple[FieldEffect, ...] = ()
    told: Mapping[str, str] = field(default_factory=dict)
    reviews: int = 0
    changes: bool = False


@dataclass(frozen=True)
class Redriven:
    """What became of one dead letter, of a `record_type`; `why`: its reason, where it is dead again."""

    number: int
    outcome: str
    record_type: str
    why: str = ""


class Redrive:
    """Previews and redrives. Blocks; a redrive is one transaction per batch."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._encoder: Encoder | None = None

    def preview(self, ids: Sequence[int], veil: Veil) -> list[Preview]:
        """What each would come to by itself; reads one moment of the store and changes nothing."""
        with self._parts.looking() as tx:
            rows = dead_letters(tx, Wanted(ids=tuple(ids)), limit=len(ids))
            return [self._preview(Rehearsal(self._parts, tx), row, veil) for row in rows]

    def redrive(self, ids: Sequence[int], who: Person, why: str) -> Iterator[Redriven]:
        """Take these dead letters in again, a batch at a time; yields what became of each.

        Raises `Fatal` if one was discarded meanwhile, and `Retriable` while store or registry are away:
        what was yielded is done, the rest can be redriven again.
        """
        for start in range(0, len(ids), BATCH):
            yield from self._again(tuple(ids[start : start + BATCH]), who, why)

    def _preview(self, rehearsal: Rehearsal, row: DeadLetterRow, veil: Veil) -> Preview:
        if why := _refusal(self._parts, row):
            return Preview(row.id, DEAD, why)
        message = _message(row)
        read = self._parts.reading.read([message])
        if read.dead:
            return Preview(row.id, DEAD, _reason(read.dead[0]))
        change = read.changes[0][0]
        done = rehearsal.rehearse(change, message)
        if isinstance(done, DeadLetter):
            return Preview(row.id, DEAD, _reason(done))
        return self._told(row.id, change, done, veil)

    def _told(self, number: int, change: Change, done: Rehearsed, veil: Veil) -> Preview:
        key = change.key
        held = bool(done.holds)
        reasons = {one.reason: one.fields for one in done.holds}
        why = "; ".join(f"{reason}: {', '.join(fields)}" for reason, fields in reasons.items())
        effects = field_effects(
            self._parts.types[key.record_type],
            self._parts.catalogue.records[key.record_type].by_name,
            change,
            done.after,
            done.before,
            done.golden,
            veil,
        )
        told = {one.agency: one.content.operation for settled in done.settled for one in settled.deliveries}
        fields = tuple(effects)
        return Preview(
            number=number,
            outcome=HELD if held else APPLIED if took(change, done.after) else SUPERSEDED,
            why=why,
            operation=change.operation,
            record=f"{key.agency}:{key.local_id}",
            entity=hub_name(done.entity),
            identity=_identity(done),
            fields=fields,
            told=told,
            reviews=len(done.reviews),
            changes=held or _differs(done, fields),
        )

    def _again(self, ids: tuple[int, ...], who: Person, why: str) -> list[Redriven]:
        if self._encoder is None:
            # Asked for beforehand: the registry must not be waited for while rows are locked.
            self._encoder = self._parts.encoder()
        with self._parts.looking() as tx:
            rows = dead_letters(tx, Wanted(ids=ids), limit=len(ids))
        batch = _Batch(self._parts, self._encoder, rows, who, why)
        for attempt in range(_TRIES):
            try:
                self._parts.intake.converge(batch.read(), [], batch.finish)
            except StoreAway:
                raise
            except Retriable:
                # The store rolled it back to let a worker pass.
                if attempt == _TRIES - 1:
                    raise
            else:
                break
        return batch.outcomes


class _Batch:
    """Some dead letters on their way through intake; `outcomes` after the commit."""

    def __init__(
        self, parts: Parts, encoder: Encoder, rows: Sequence[DeadLetterRow], who: Person, why: str
    ) -> None:
        self._parts = parts
        self._encoder = encoder
        self._refused = {row.id: text for row in rows if (text := _refusal(parts, row))}
        self._rows = {_message(row): row for row in rows if row.id not in self._refused}
        self._all = rows
        self._who, self._why = who, why
        self._read = parts.reading.read(self._rows)
        self.outcomes: list[Redriven] = []

    def read(self) -> Read:
        """The messages as read; a new object for each attempt."""
        return Read(list(self._read.changes), list(self._read.dead))

    def finish(self, tx: Transaction, done: Converged) -> None:
        """The last step of the transaction: what became of each, and what the workers must publish."""
        states = lock_dead_letters(tx, [row.id for row in self._all])
        if gone := [row.id for row in self._all if states.get(row.id) != row.state]:
            raise Fatal(f"somebody else decided on dead letter {gone[0]} meanwhile: redrive the rest again")
        dead = {self._rows[one.message].id: one for one in done.dead}
        taken = self._taken(tx, done, dead)
        self._save(tx, dead, taken)
        reasons = {number: _reason(one) for number, one in dead.items()} | self._refused
        self.outcomes = [
            Redriven(row.id, taken.get(row.id, DEAD), row.record_type, reasons.get(row.id, ""))
            for row in self._all
        ]
        details = {one.number: one.outcome for one in self.outcomes}
        note(tx, [deed(self._who, REDRIVE, row, self._why, details[row.id]) for row in self._all])
        # Its agency has been told once; it hears of it again only if the reason is another.
        done.dead = [one for one in done.dead if _failure(one) != _known(self._rows[one.message])]
        _, payload = outbound(self._encoder, done)
        if payload is not None:
            stewardship.leave_publication(tx, payload)

    def _save(self, tx: Transaction, dead: Mapping[int, DeadLetter], taken: Mapping[int, str]) -> None:
        save_redriven(tx, taken.items(), self._who.name, self._why)
        failures = {number: _failure(one) for number, one in dead.items()}
        # What is refused unread keeps the reason that it has.
        failures |= {row.id: _known(row) for row in self._all if row.id in self._refused}
        save_dead_again(tx, failures.items(), self._who.name, self._why)

    def _taken(self, tx: Transaction, done: Converged, dead: Mapping[int, DeadLetter]) -> dict[int, str]:
        """Dead letter → what became of it, for those that could be read and applied."""
        record = {id(change): self._parts.ids.record(*change.key) for change, _ in self._read.changes}
        states = hold_states(tx, set(record.values()))
        held = {(one, event_id) for (one, event_id, _), state in states.items() if state == stewardship.HELD}
        outcomes = {}
        for change, message in self._read.changes:
            number = self._rows[message].id
            if number in dead:
                continue
            identity = record[id(change)]
            if (identity, change.event_id) in held:
                outcomes[number] = HELD
            else:
                outcomes[number] = APPLIED if took(change, done.states[identity]) else SUPERSEDED
        return outcomes


def _refusal(parts: Parts, row: DeadLetterRow) -> str:
    """Why nothing of what the agency says of this record type is taken in, if so."""
    agreement = parts.agreements.get(row.agency)
    if agreement is not None and row.record_type in agreement.publishes:
        return ""
    return f"no_agreement: the agreements of this release let {row.agency} publish no {row.record_type}"


def _message(row: DeadLetterRow) -> Message:
    return Message(row.topic, row.partition, row.kafka_offset, row.at_ms, row.key, row.value)


def _reason(dead: DeadLetter) -> str:
    return f"{dead.code}: {dead.text}"


def _failure(dead: DeadLetter) -> Failure:
    return Failure(dead.code, dead.path, dead.text)


def _known(row: DeadLetterRow) -> Failure:
    return Failure(row.code, row.path, row.message)


def _identity(done: Rehearsed) -> str:
    """Whom the record would stand for, compared with now."""
    if done.known is None:
        return "new" if done.entity == done.after.id else "found"
    return "same" if done.entity == done.entity_before else "moved"


def _differs(done: Rehearsed, fields: Sequence[FieldEffect]) -> bool:
    if done.known is None or done.known.ended != done.after.ended or _identity(done) == "moved":
        return True
    return any(one.changes for one in fields) or any(one.golden_changed for one in done.settled)
