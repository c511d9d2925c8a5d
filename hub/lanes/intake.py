"""Intake: one SQL transaction per batch, from changes to what must be published (R25).

`Intake` is plain and synchronous: it is given messages and a store, and runs off the event loop. Nothing
it does depends on how messages were batched (R8).
"""

from __future__ import annotations

import datetime
import time
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager

from hub.contracts.records import Catalogue
from hub.core.assertions import Change, RecordState
from hub.core.contents import Reference
from hub.core.crosswalk import World
from hub.core.lost import pass_on
from hub.core.matching import Review
from hub.core.policy import TypePolicy
from hub.core.projection import UPSERT, Terms
from hub.core.settle import Settled
from hub.core.step import Absorbed, Hold, Linked, absorb_all
from hub.core.texts import text_of
from hub.core.tokens import Ids
from hub.lanes.consents import CONSENT, PERSON
from hub.lanes.converged import Converged
from hub.lanes.identify import LINK, find_block, link_block
from hub.lanes.joins import JoinBrakes, MassJoin
from hub.lanes.reading import DeadLetter, Message, Read
from hub.lanes.references import references_of
from hub.lanes.settling import Finish, ReferencesUnknown, Settling
from hub.store.errors import LockSetGrew
from hub.store.loading import Advance
from hub.store.transaction import Transaction

LANE = "intake"


class Intake(Settling):
    """Converges batches of changes. Blocks; one instance per worker."""

    def __init__(
        self,
        catalogue: Catalogue,
        types: Mapping[str, TypePolicy],
        terms: Mapping[str, tuple[Terms, ...]],
        ids: Ids,
        begin: Callable[[], AbstractContextManager[Transaction]],
        today: Callable[[], datetime.date],
        epoch: int = 0,
        joining: Callable[[Transaction], frozenset[str]] = lambda _: frozenset(),
        brakes: JoinBrakes | None = None,
        foreign: Callable[[Transaction, int], frozenset[str]] = lambda *_: frozenset(),
        clock: Callable[[], float] = time.time,
    ) -> None:
        super().__init__(catalogue, types, terms, ids, begin, today, epoch, joining, foreign, clock)
        self._brakes = brakes
        self._echoing = frozenset(
            one.agency for those in terms.values() for one in those if one.filters_echoes
        )

    def converge(self, read: Read, advances: Sequence[Advance], finish: Finish) -> Converged:
        """Apply a batch and commit; `finish` runs last inside the transaction.

        Raises `Fenced` when another worker owns the positions by now, `Retriable` when the store is away.
        """

        weak: dict[bytes, set[str]] = {}

        def work(tx: Transaction, done: Converged, grown: frozenset[bytes], alone: bool) -> None:
            tx.advance(LANE, advances)
            said: Sequence[tuple[Change, Message]] = read.changes
            if self._brakes is not None:
                said, done.notes = self._brakes.sift(tx, said, self._record_id)
                said, more = self._brakes.weaken(tx, said, weak, self._record_id)
                done.notes += more
            by_type: dict[str, list[tuple[Change, Message]]] = {}
            for change, message in said:
                by_type.setdefault(change.key.record_type, []).append((change, message))
            if by_type:
                tx.lock_references(alone=alone)
            done.dead += read.dead
            done.changes = len(read.changes)
            self._take(tx, done, by_type, grown, alone)

        with self._foreseeing():
            while True:
                try:
                    return self._attempt(work, finish)
                except MassJoin as mass:
                    # Each time more, so it ends: at the latest when nothing is left that takes another's
                    # place.
                    for record, fields in mass.records.items():
                        weak.setdefault(record, set()).update(fields)

    # One record type

    def _take(
        self,
        tx: Transaction,
        done: Converged,
        by_type: Mapping[str, list[tuple[Change, Message]]],
        grown: frozenset[bytes],
        alone: bool,
    ) -> None:
        """Take in changes, one record type after the other: what is referred to before what refers to it."""
        guesses = {name: self._guess(tx, batch) for name, batch in by_type.items()}
        # What records refer to is locked before them and in the order of its type, as everybody does:
        # when it is read it would be too late, and two workers could wait for each other.
        led_to = tx.led_to(self._foreseen_references(by_type, guesses))
        for record_type in self._order:
            early = led_to.get(record_type, set())
            if record_type in by_type:
                guess = guesses[record_type]
                self._pass(tx, done, record_type, by_type[record_type], guess, early, grown, alone)
            else:
                tx.lock_early(early, shared=not (record_type == PERSON and CONSENT in by_type))

    def _guess(self, tx: Transaction, batch: Iterable[tuple[Change, Message]]) -> World:
        return tx.records({self._record_id(change.key) for change, _ in batch})

    def _foreseen_references(
        self, by_type: Mapping[str, list[tuple[Change, Message]]], guesses: Mapping[str, World]
    ) -> set[Reference]:
        """What the records of a batch refer to, before it and by it."""
        found = set(self._met or ())
        for record_type, batch in by_type.items():
            if not (kinds := self._types[record_type].references):
                continue
            for state in guesses[record_type].records.values():
                found.update(reference for _, reference in references_of(state, self._types))
            for change, _ in batch:
                for name, kind in kinds.items():
                    if (value := change.values.get(name)) is not None:
                        found.add((change.key.agency, kind, text_of(value)))
        return found

    def _pass(
        self,
        tx: Transaction,
        done: Converged,
        record_type: str,
        batch: list[tuple[Change, Message]],
        guess: World,
        early: set[bytes],
        grown: frozenset[bytes],
        alone: bool,
    ) -> None:
        policy = self._types[record_type]
        changes = [change for change, _ in batch]
        block = find_block(tx, policy, changes, guess, self._record_id)
        if block.waiting and not alone:
            raise ReferencesUnknown("a record was created for an entity that nobody knows yet")
        if not alone and any(_leads_on(c, guess.records.get(self._record_id(c.key))) for c in changes):
            raise ReferencesUnknown("a local id begins another life, to which references lead from now on")
        wanted = set(guess.entity_of.values()) | grown | block.entities
        # What they were told counts also where the record is not linked yet.
        named = {c.entity for c in changes if c.entity is not None and c.key.agency in self._echoing}
        wanted |= set(tx.records(named).entity_of.values())
        if early:
            tx.lock_early(wanted | early)
        world = tx.lock_entities(wanted)
        missing = (guess.records.keys() | block.records) - world.records.keys()
        if missing:
            now = tx.records(missing)
            raise LockSetGrew(frozenset(wanted | set(now.entity_of.values())))
        absorbed = absorb_all(world, changes, self._record_id, self._types)
        done.echoes += absorbed.echoes
        linked = link_block(tx, policy, world, absorbed, block)
        if self._brakes is not None:
            self._brakes.weigh(tx, policy, world, batch, self._record_id, self._joining(tx))
        self._after(tx, done, record_type, world, absorbed, linked, alone)
        tx.save_references([(record, LINK, founder) for record, founder in sorted(block.waiting.items())])
        tx.save_replaced(absorbed.replaced)
        self._dead(done, absorbed, batch)

    def _after(
        self,
        tx: Transaction,
        done: Converged,
        record_type: str,
        world: World,
        absorbed: Absorbed,
        linked: Linked,
        alone: bool,
    ) -> None:
        edits: dict[bytes, list[tuple[Change, RecordState]]] = {}
        for record, changes in absorbed.edits.items():
            state = world.records[record]
            edits.setdefault(world.entity_of[record], []).extend((c, state) for c in changes)
        # A newcomer that finds its entity at once was never told of to anybody as one of its own.
        merged = linked.concerned(absorbed.created)
        plain = _plain_links(world, absorbed)
        dirty = {world.entity_of[record] for record in absorbed.touched - plain} | merged
        passed_on = pass_on(self._types, world, dirty)
        later = self._later(tx, record_type, world, dirty, merged, edits)
        dirty -= later
        for entity in later & merged:
            # Its links are said at once, and another worker may be about to say where they led before.
            world.entities[entity].raise_version(self._epoch)
        again = _told_anew(world, absorbed.restored)
        settled = self._settle(tx, world, dirty, edits, merged | again.keys(), again, alone)
        self._disclosing.count_taken_back(tx, self.day, settled)
        moved = {move.record for move in linked.moves}
        touched = absorbed.touched | moved | passed_on
        tx.save_records(world, touched)
        self._naming.save(tx, world, absorbed.evidence, new=absorbed.created)
        tx.save_entities((*(one.entity for one in settled), *(world.entities[one] for one in later)))
        self._save_references(tx, world, absorbed.touched | passed_on)
        self._save_findings(tx, world, absorbed.holds, linked.reviews, settled)
        # To what is there again after a restore its id leads again, whoever had it meanwhile.
        self._dependents(tx, done, world, settled, merged, absorbed.created | absorbed.restored)
        done.add(world, settled, touched, absorbed.created | moved)
        done.add_holds(world, absorbed.holds)
        if record_type == CONSENT:
            self._consents(tx, done, settled)

    def _later(
        self,
        tx: Transaction,
        record_type: str,
        world: World,
        dirty: Collection[bytes],
        merged: Collection[bytes],
        edits: Mapping[bytes, Sequence[tuple[Change, RecordState]]],
    ) -> set[bytes]:
        """Those of `dirty` that are settled once the agencies have joined whose snapshots they came with.

        Of those of a merge, whom nobody was ever told of, also those from which a record moved away.
        """
        if not self._awaited(tx, {record_type}):
            return set()
        joining = self._joining(tx)

        def waits(entity: bytes) -> bool:
            one, those = world.entities[entity], edits.get(entity, ())
            if one.held or not (those or entity in merged) or (entity in merged and one.golden):
                return False
            return all(c.operation == "snapshot" and c.key.agency in joining for c, _ in those)

        return set(filter(waits, dirty))

    def _save_findings(
        self,
        tx: Transaction,
        world: World,
        holds: Sequence[Hold],
        reviews: Sequence[Review],
        settled: Iterable[Settled],
    ) -> None:
        tx.save_holds(holds)
        tx.save_reviews(world, reviews)
        tx.save_disputes(
            [
                (self._record_id(answer.key), name, answer.key)
                for one in settled
                for answer in one.answers
                for name in answer.disputed
            ]
        )

    def _dead(self, done: Converged, absorbed: Absorbed, batch: Sequence[tuple[Change, Message]]) -> None:
        messages = {id(change): message for change, message in batch}
        for change, code in absorbed.rejected:
            text = "this local id was deleted; a later life of it must carry a higher incarnation"
            done.dead.append(DeadLetter(messages[id(change)], code, "incarnation", text))


def _leads_on(change: Change, known: RecordState | None) -> bool:
    """Whether references to a local id may lead elsewhere from this change on: it begins another life, or a
    restored database has one again after which there was another."""
    if known is None:
        return change.key.incarnation > 0
    return (known.lost or not known.live) and change.epoch > known.asserts.epoch


def _told_anew(world: World, restored: Iterable[bytes]) -> dict[bytes, frozenset[str]]:
    """Entity → the agencies whose databases were restored, and which are told of it once more.

    What the hub last told them may be the same: their side has forgotten it, or the row that it meant.
    """
    agencies: dict[bytes, set[str]] = {}
    for record in restored:
        agencies.setdefault(world.entity_of[record], set()).add(world.records[record].key.agency)
    return {entity: frozenset(those) for entity, those in agencies.items()}


def _plain_links(world: World, absorbed: Absorbed) -> set[bytes]:
    """Rows that an agency has just created for what it was told to hold: nothing follows from them.

    Every created row comes back as one, so they are as many as all other changes together.
    """
    links = {
        record
        for record in absorbed.created
        if (state := world.records[record]).linked is not None
        and state.live
        and not state.asserts.values
        and not state.asserts.unions
    }
    if not links:
        return links
    agencies: Counter[tuple[bytes, str]] = Counter(
        (entity, world.records[record].key.agency) for record, entity in world.entity_of.items()
    )
    return {
        record
        for record in links
        if agencies[place := (world.entity_of[record], world.records[record].key.agency)] == 1
        and (held := world.entities[place[0]].held.get(place[1])) is not None
        and held.operation == UPSERT
    }
