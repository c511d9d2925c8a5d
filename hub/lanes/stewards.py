"""Intake as a steward uses it: what was held is applied, who is who is looked at again (R13, R14, R16)."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence

from hub.contracts import topics
from hub.core.assertions import Change
from hub.core.crosswalk import World
from hub.core.matching import Decision
from hub.core.step import Absorbed
from hub.lanes.consents import CONSENT, PERSON
from hub.lanes.converged import Converged
from hub.lanes.identify import find_block_around, link_block
from hub.lanes.intake import Intake
from hub.lanes.reading import Message
from hub.lanes.references import references_of
from hub.lanes.settling import Finish
from hub.store.errors import LockSetGrew
from hub.store.transaction import Transaction


class StewardsIntake(Intake):
    """The same intake, for what comes from a person instead of a topic; it has no positions to move."""

    def apply(self, take: Callable[[Transaction], Sequence[Change]], finish: Finish) -> Converged:
        """Apply changes that no topic carries; `finish` runs last inside the transaction.

        `take` gives them inside that transaction, and is asked again if it has to restart: what it writes is
        committed with the effects, or not at all. A change that can never be applied is in the result's
        `dead`: `finish` may raise to undo everything. Blocks.
        """

        def work(tx: Transaction, done: Converged, grown: frozenset[bytes], alone: bool) -> None:
            changes = take(tx)
            if changes:
                tx.lock_references(alone=alone)
            done.changes = len(changes)
            by_type: dict[str, list[tuple[Change, Message]]] = {}
            for change in changes:
                by_type.setdefault(change.key.record_type, []).append((change, _no_message(change)))
            self._take(tx, done, by_type, grown, alone)

        with self._foreseeing():
            return self._attempt(work, finish)

    def reidentify(
        self,
        record_type: str,
        records: Collection[bytes],
        decide: Callable[[Transaction], bool],
        finish: Finish,
    ) -> Converged:
        """Work out again who is who among `records` and all connected to them (R16).

        `decide` writes, inside the transaction, what a steward decided, once all that this may change is
        locked: whoever takes changes in writes reviews under the same locks. Where it returns False nothing
        is done. Blocks.
        """

        def work(tx: Transaction, done: Converged, grown: frozenset[bytes], alone: bool) -> None:
            tx.lock_references(alone=alone)
            policy = self._types[record_type]
            self._lock_referred_to(tx, record_type, records)
            block = find_block_around(tx, policy, records)
            wanted = block.entities | grown
            world = tx.lock_entities(wanted)
            missing = block.records - world.records.keys()
            # Who joined meanwhile may have to stand for itself again, like those who were seen.
            joined = world.records.keys() - wanted
            if missing or joined:
                now = tx.records(missing).entity_of.values()
                raise LockSetGrew(frozenset(wanted | joined | set(now)))
            if not decide(tx):
                return
            # Also said with what the records assert, so that a rebuilt store knows it (R31).
            noted = _note_decisions(world, tx.decisions(records))
            absorbed = Absorbed(touched=noted, evidence=set(records))
            linked = link_block(tx, policy, world, absorbed, block)
            self._after(tx, done, record_type, world, absorbed, linked, alone)

        with self._foreseeing():
            return self._attempt(work, finish)

    def _lock_referred_to(self, tx: Transaction, record_type: str, records: Collection[bytes]) -> None:
        """Lock what the entities of `records` refer to, and what was met beyond, at the turn of its type:
        before all of this type, as whoever takes changes in does (R25)."""
        members = tx.members(set(tx.records(records).entity_of.values()))
        referred = {r for state in members.records.values() for _, r in references_of(state, self._types)}
        led_to = tx.led_to(referred | (self._met or frozenset()))
        for kind in self._order[: self._order.index(record_type)]:
            about_persons = kind == PERSON and record_type == CONSENT
            tx.lock_early(led_to.get(kind, set()), shared=not about_persons)


def _note_decisions(world: World, decisions: Iterable[Decision]) -> set[bytes]:
    """Let each record of a decision carry it; returns those that did not yet."""
    noted = set()
    for decision in decisions:
        word = decision.stamp, decision.same
        for one, other in ((decision.a, decision.b), (decision.b, decision.a)):
            state = world.records.get(one)
            if state is not None and state.asserts.decided.get(other) != word:
                state.asserts.decided[other] = word
                noted.add(one)
    return noted


def _no_message(change: Change) -> Message:
    return Message(topics.changes(change.key.agency, change.key.record_type), -1, -1, 0, None, None)
