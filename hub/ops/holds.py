"""Holds: stale forms and changed identifiers wait for a person's word, and go on by it (R13, R14)."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import msgspec

from hub.contracts.records import FieldSpec
from hub.core import stamps
from hub.core.assertions import Change, RecordState
from hub.core.merge import golden_record
from hub.core.step import STALE_FORM
from hub.errors import Fatal
from hub.lanes.messages import hub_name
from hub.ops.audit import Person
from hub.ops.finding import NotFound
from hub.ops.handing_over import hand_over
from hub.ops.parts import Parts, stamp_time
from hub.ops.veil import Veil
from hub.store.audit import Entry, note
from hub.store.stewardship import HELD, REJECTED, RELEASED, HeldChange, decide_hold, holds, lock_hold
from hub.store.transaction import Transaction

# What the audit trail calls the decisions.
RELEASE, REJECT = "release", "reject"


@dataclass(frozen=True)
class HeldField:
    """One field of a held change: what would be said, what the record says now, and the golden value."""

    name: str
    held: str
    own: str
    own_when: str
    golden: str
    golden_by: str
    golden_when: str


@dataclass(frozen=True)
class HeldStory:
    """A hold with its values, and the entity that its record stands for."""

    hold: HeldChange
    entity: str
    said: str
    fields: tuple[HeldField, ...]


class Holds:
    """Shows and decides holds. Blocks; every decision is one transaction, and made once however often."""

    def __init__(self, parts: Parts, clock: Callable[[], float] = time.time) -> None:
        self._parts = parts
        self._clock = clock

    def list(
        self,
        agency: str | None = None,
        *,
        all_states: bool = False,
        after: int | None = None,
        limit: int = 1_000,
    ) -> list[HeldChange]:
        """Holds that wait, or all, oldest first, beginning behind the number `after`."""
        with self._parts.looking() as tx:
            return holds(tx, waiting=not all_states, agency=agency, after=after, limit=limit)

    def show(self, hold_id: int, veil: Veil) -> HeldStory:
        """One hold with its values; raises `NotFound`."""
        with self._parts.looking() as tx:
            hold = _known(next(iter(holds(tx, hold_id=hold_id)), None), hold_id)
            entity = tx.records({hold.record}).entity_of[hold.record]
            members = list(tx.members({entity}).records.values())
        own = next(state for state in members if state.id == hold.record)
        specs = self._parts.catalogue.records[own.key.record_type].by_name
        fields = tuple(
            self._field(specs[name], raw, own, members, veil) for name, raw in _held_values(hold).items()
        )
        return HeldStory(hold, hub_name(entity), stamp_time(hold.change.stamp), fields)

    def release(self, hold_id: int, who: str | Person, why: str) -> bool:
        """Apply what is held as confirmed; False if it had been released before. Raises `NotFound`, `Fatal`.

        A changed identifier is applied with its own stamp: whatever the record has said since stands. A
        stale form's values are asserted anew, above all that stands: somebody has just confirmed them.
        """
        released = False
        person = Person.named(who)

        def take(tx: Transaction) -> Sequence[Change]:
            nonlocal released
            hold = _known(lock_hold(tx, hold_id), hold_id)
            released = hold.state != RELEASED
            if not released:
                return ()
            change = self._confirmed(tx, hold)
            decide_hold(tx, hold_id, RELEASED, person.name, why)
            note(tx, [_deed(hold, RELEASE, person, why)])
            return (change,)

        # Asked for beforehand: the registry must not be waited for while rows are locked.
        finish = hand_over(self._parts.encoder())
        self._parts.intake.apply(take, finish)
        return released

    def reject(self, hold_id: int, who: str | Person, why: str) -> bool:
        """Drop what is held; False if it had been rejected before. Raises `NotFound`, `Fatal` if released."""
        person = Person.named(who)
        with self._parts.deciding() as tx:
            hold = _known(lock_hold(tx, hold_id), hold_id)
            if hold.state == RELEASED:
                raise Fatal(
                    f"hold {hold_id} was released by {hold.who}: it is applied, and cannot be rejected"
                )
            if hold.state == HELD:
                decide_hold(tx, hold_id, REJECTED, person.name, why)
                note(tx, [_deed(hold, REJECT, person, why)])
            return hold.state == HELD

    def _confirmed(self, tx: Transaction, hold: HeldChange) -> Change:
        world = tx.records({hold.record})
        state = world.records[hold.record]
        if not state.live:
            raise Fatal(
                f"hold {hold.id}: {state.key.agency}:{state.key.local_id} has been deleted since; reject it"
            )
        if hold.reason != STALE_FORM:
            return msgspec.structs.replace(hold.change, confirmed=True)
        members = list(tx.members({world.entity_of[hold.record]}).records.values())
        golden = golden_record(self._parts.types[state.key.record_type], members)
        values = hold.change.stale
        known = [golden[name].stamp for name in values if name in golden]
        known += [state.asserts.values[name][0] for name in values if name in state.asserts.values]
        return Change(
            key=hold.change.key,
            operation="update",
            # The record itself has said nothing new, so what is on its way from it is not overtaken.
            stamp=hold.change.stamp,
            effective=stamps.capture(int(self._clock() * 1000), max(known, default=0)),
            event_id=hold.event_id,
            values=values,
            confirmed=True,
        )

    def _field(
        self,
        spec: FieldSpec,
        raw: bytes | None,
        own: RecordState,
        members: Sequence[RecordState],
        veil: Veil,
    ) -> HeldField:
        said = own.asserts.values.get(spec.name)
        won = golden_record(self._parts.types[own.key.record_type], members).get(spec.name)
        return HeldField(
            name=spec.name,
            held=veil.value(spec, raw),
            own=veil.value(spec, said[1]) if said else "",
            own_when=stamp_time(said[0]) if said else "",
            golden=veil.value(spec, won.value) if won else "",
            golden_by=f"{won.key.agency}:{won.key.local_id}" if won else "",
            golden_when=stamp_time(won.stamp) if won else "",
        )


def _held_values(hold: HeldChange) -> dict[str, bytes | None]:
    """The values that wait: of a stale form only those that were stale, the rest was applied."""
    return hold.change.stale if hold.reason == STALE_FORM else hold.change.values


def _deed(hold: HeldChange, action: str, person: Person, why: str) -> Entry:
    key = hold.change.key
    subject = f"hold {hold.id}"
    return person.entry(
        action, subject, why, agency=key.agency, record_type=key.record_type, detail=hold.reason
    )


def _known(hold: HeldChange | None, hold_id: int) -> HeldChange:
    if hold is None:
        raise NotFound(f"no hold {hold_id}: `jisr hold list --all` shows all")
    return hold
