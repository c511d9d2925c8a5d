"""Intake as it takes back: masses of changes that a person rejected, what an agency said by mistake."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence

from hub.core.assertions import Change, RecordState
from hub.core.corrections import heir, next_life, reject
from hub.core.crosswalk import World
from hub.core.policy import TypePolicy
from hub.core.stamps import LOWEST
from hub.core.step import Absorbed
from hub.core.undo import Span, Withdrawn, withdraw
from hub.lanes.consents import CONSENT
from hub.lanes.converged import Converged, Note
from hub.lanes.identify import Block, find_block_around, link_block
from hub.lanes.settling import Finish
from hub.lanes.stewards import StewardsIntake
from hub.store.errors import LockSetGrew
from hub.store.history import forget_words, kept
from hub.store.transaction import Transaction

ANSWERED, MASS_REJECTED = "answered", "mass_rejected"


class CorrectingIntake(StewardsIntake):
    """The same intake, for taking back."""

    def reject(self, take: Callable[[Transaction], Sequence[Change]], finish: Finish) -> Converged:
        """Answer changes that were held and never apply: their source gets the agreed values again.

        `take` gives changes of one record type inside the transaction; `finish` runs last. Blocks.
        """

        def work(tx: Transaction, done: Converged, grown: frozenset[bytes], _: bool) -> None:
            changes = take(tx)
            # A deletion that does not stand begins another life of its local id: references lead to that.
            tx.lock_references(alone=True)
            done.changes = len(changes)
            for record_type in self._order:
                batch = [change for change in changes if change.key.record_type == record_type]
                if batch:
                    self._reject(tx, done, record_type, batch, grown)

        return self._attempt(work, finish)

    def undo(
        self,
        take: Callable[[Transaction], Mapping[str, Collection[bytes]]],
        span: Span,
        finish: Finish,
        note: Callable[[Mapping[bytes, Withdrawn]], None] = lambda _: None,
    ) -> Converged:
        """Withdraw what records asserted within `span`; earlier assertions stand again.

        `take` names the records by record type, inside the transaction; `note` is told what was withdrawn of
        each; `finish` runs last. Doing it again changes nothing. Blocks.
        """

        def work(tx: Transaction, done: Converged, grown: frozenset[bytes], _: bool) -> None:
            by_type = take(tx)
            tx.lock_references(alone=True)
            for record_type in self._order:
                if records := by_type.get(record_type):
                    note(self._undo(tx, done, record_type, records, span, grown))

        return self._attempt(work, finish)

    def _undo(
        self,
        tx: Transaction,
        done: Converged,
        record_type: str,
        records: Collection[bytes],
        span: Span,
        grown: frozenset[bytes],
    ) -> dict[bytes, Withdrawn]:
        policy = self._types[record_type]
        # What will be true is found out on a copy first: who is connected by it must be locked, too.
        guess = tx.records(records)
        foreseen = self._withdraw(tx, policy, guess, records, span)
        if not foreseen:
            return {}
        ending = {record for record, one in foreseen.items() if one.deleted}
        following = [self._following(guess.records[one]) for one in ending]
        those = [guess.records[record] for record in foreseen]
        block = find_block_around(tx, policy, foreseen, [*those, *following])
        wanted = set(guess.entity_of.values()) | block.entities | grown | _lives(tx, following)
        world = self._lock(tx, wanted, block, foreseen)
        withdrawn = self._withdraw(tx, policy, world, foreseen, span)
        evidence = {record for record, one in withdrawn.items() if one.fields & policy.evidence}
        absorbed = Absorbed(touched=set(withdrawn), evidence=evidence)
        for record, one in withdrawn.items():
            if one.deleted and (made := self._heir(policy, world, record, one)):
                absorbed.touched.add(made.id)
                absorbed.created.add(made.id)
        forget_words(tx, {record: one.fields for record, one in withdrawn.items()})
        linked = link_block(tx, policy, world, absorbed, block)
        self._after(tx, done, record_type, world, absorbed, linked, alone=True)
        return withdrawn

    @staticmethod
    def _withdraw(
        tx: Transaction, policy: TypePolicy, world: World, records: Collection[bytes], span: Span
    ) -> dict[bytes, Withdrawn]:
        before = kept(tx, records)
        done = {
            record: withdraw(policy, world.records[record], before[record], span)
            for record in sorted(records)
            if record in world.records
        }
        return {record: one for record, one in done.items() if one}

    def _reject(
        self,
        tx: Transaction,
        done: Converged,
        record_type: str,
        changes: Sequence[Change],
        grown: frozenset[bytes],
    ) -> None:
        records = {self._record_id(change.key) for change in changes}
        ending = {self._record_id(change.key) for change in changes if change.operation == "delete"}
        world = self._locked(tx, record_type, records, ending, grown)
        policy = self._types[record_type]
        touched: dict[bytes, RecordState] = {}
        for change in changes:
            touched |= {state.id: state for state in reject(policy, world, change, self._record_id)}
        self._say_again(tx, done, record_type, world, touched)
        first = changes[0]
        done.notes.append(
            Note(ANSWERED, MASS_REJECTED, first.key, (), first.stamp, None, first.event_id, len(changes))
        )

    def _locked(
        self,
        tx: Transaction,
        record_type: str,
        records: Collection[bytes],
        ending: Collection[bytes],
        grown: frozenset[bytes],
    ) -> World:
        """The entities of these records, locked with all who may turn out to be connected.

        `ending`: those of them whose local id may begin another life.
        """
        guess = tx.records(records)
        following = [self._following(guess.records[one]) for one in ending if one in guess.records]
        block = find_block_around(tx, self._types[record_type], guess.records.keys(), following)
        wanted = set(guess.entity_of.values()) | block.entities | grown | _lives(tx, following)
        return self._lock(tx, wanted, block, guess.records.keys())

    @staticmethod
    def _lock(tx: Transaction, wanted: set[bytes], block: Block, records: Collection[bytes]) -> World:
        world = tx.lock_entities(wanted)
        missing = (set(records) | block.records) - world.records.keys()
        if missing:
            now = tx.records(missing).entity_of.values()
            raise LockSetGrew(frozenset(wanted | set(now)))
        return world

    def _heir(self, policy: TypePolicy, world: World, record: bytes, one: Withdrawn) -> RecordState | None:
        return heir(policy, world, world.records[record], one.deleted, self._record_id)

    def _following(self, state: RecordState) -> RecordState:
        """The next life of the record's local id, as it would be: its identity is claimed beforehand."""
        key = next_life(state)
        return RecordState(id=self._record_id(key), key=key, seen=LOWEST, asserts=state.asserts)

    def _say_again(
        self,
        tx: Transaction,
        done: Converged,
        record_type: str,
        world: World,
        touched: dict[bytes, RecordState],
    ) -> None:
        """Settle what was touched, and tell its agencies whether anything changed or not."""
        told: dict[bytes, set[str]] = {}
        for record, state in touched.items():
            told.setdefault(world.entity_of[record], set()).add(state.key.agency)
        restated = {entity: frozenset(agencies) for entity, agencies in told.items()}
        # A version of its own, or the agency's side would take it for what it has already.
        settled = self._settle(tx, world, told.keys(), {}, frozenset(told), restated, alone=True)
        created = self._new(touched.values())
        tx.save_records(world, touched)
        self._naming.save(tx, world, touched)
        tx.save_entities(one.entity for one in settled)
        self._save_references(tx, world, touched)
        self._dependents(tx, done, world, settled, frozenset(), created)
        done.add(world, settled, touched, created)
        if record_type == CONSENT:
            self._consents(tx, done, settled)

    @staticmethod
    def _new(states: Iterable[RecordState]) -> set[bytes]:
        return {state.id for state in states if state.asserts.restored}


def _lives(tx: Transaction, following: Iterable[RecordState]) -> set[bytes]:
    """The entities for which next lives of local ids stand already: they are locked, too.

    None is begun meanwhile: who holds the lock of references alone begins lives.
    """
    return set(tx.records({state.id for state in following}).entity_of.values())
