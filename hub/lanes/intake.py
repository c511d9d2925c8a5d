"""Intake: one SQL transaction per batch, from changes to what must be published (R25).

`Intake` is plain and synchronous: it is given messages and a store, and runs off the event loop. Nothing
it does depends on how messages were batched (R8).
"""

from __future__ import annotations

import datetime
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager

from hub.contracts.policies import day_number
from hub.contracts.records import Catalogue
from hub.contracts.values import encode_string
from hub.contracts.wire import encoded_strings
from hub.core.assertions import Change, RecordKey, RecordState, text_of
from hub.core.crosswalk import World
from hub.core.matching import Review
from hub.core.policy import TypePolicy
from hub.core.projection import UPSERT, Terms
from hub.core.settle import Reference, Rules, Settled, Target, settle
from hub.core.step import Absorbed, Hold, Linked, absorb_all
from hub.core.tokens import Ids
from hub.errors import Retriable
from hub.lanes.consents import CONSENT, PERSON, consent_of
from hub.lanes.converged import Converged
from hub.lanes.identify import LINK, find_block, link_block
from hub.lanes.joins import JoinBrakes, MassJoin
from hub.lanes.reading import DeadLetter, Message, Read
from hub.store.errors import LockSetGrew
from hub.store.loading import Advance
from hub.store.transaction import Transaction

LANE = "intake"
# A lock set that grows this often in one batch means that something else is wrong.
_MAX_RESTARTS = 8
_RECORD_IDS_KEPT = 50_000


class _ReferencesUnknown(Retriable):
    """A reference leads nowhere yet: look again while nobody can create its target unseen (R27)."""


Finish = Callable[[Transaction, Converged], None]


class Intake:
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
    ) -> None:
        self._catalogue = catalogue
        self._types = types
        self._terms = terms
        self._ids = ids
        self._begin = begin
        self._today = today
        self._epoch = epoch
        self._joining = joining
        self._brakes = brakes
        self._record_ids: dict[RecordKey, bytes] = {}
        self._order = catalogue.dependency_order()
        self._referenced = frozenset(
            spec.reference for record in catalogue.records.values() for spec in record.references
        )
        # Whether what refers to a person is shown on the strength of the person's consents anywhere.
        self._shown_by_consent = any(
            grant.needs_consent
            for record_type, those in terms.items()
            if types[record_type].references
            for one in those
            for grant in one.grants
        )

    def converge(self, read: Read, advances: Sequence[Advance], finish: Finish) -> Converged:
        """Apply a batch and commit; `finish` runs last inside the transaction.

        Raises `Fenced` when another worker owns the positions by now, `Retriable` when the store is away.
        """

        weak: set[bytes] = set()

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

        while True:
            try:
                return self._attempt(work, finish)
            except MassJoin as mass:
                # Each time more records, so it ends: at the latest when all are as of unknown age.
                weak |= mass.records

    def settle_due(self, limit: int, finish: Finish) -> Converged:
        """Settle up to `limit` entities whose day has come; nothing is done where none is due."""

        def work(tx: Transaction, done: Converged, _: frozenset[bytes], alone: bool) -> None:
            tx.lock_references(alone=alone)
            due = tx.take_due(self.day, limit)
            free, busy = tx.lock_free(due)
            late = self._settle_again(tx, done, free, {}, alone, patient=False) | busy
            tx.save_due(dict.fromkeys(late, 0))
            done.due_taken, done.due_busy = len(due) - len(late), len(late)

        return self._attempt(work, finish)

    def restate(self, wanted: Mapping[bytes, frozenset[str]], finish: Finish) -> Converged:
        """Say the current state of entities again to the agencies named, in its own version (R26)."""

        def work(tx: Transaction, done: Converged, _: frozenset[bytes], alone: bool) -> None:
            tx.lock_references(alone=alone)
            self._settle_again(tx, done, wanted, wanted, alone, patient=True)

        return self._attempt(work, finish)

    def _attempt(
        self, work: Callable[[Transaction, Converged, frozenset[bytes], bool], None], finish: Finish
    ) -> Converged:
        grown: frozenset[bytes] = frozenset()
        alone = False
        for _ in range(_MAX_RESTARTS):
            done = Converged()
            try:
                with self._begin() as tx:
                    work(tx, done, grown, alone)
                    finish(tx, done)
            except LockSetGrew as error:
                grown |= error.entities
            except _ReferencesUnknown:
                alone = True
            else:
                return done
        raise Retriable(f"the entities of one batch changed hands {_MAX_RESTARTS} times while it was read")

    @property
    def day(self) -> int:
        """Today, in days since 1970-01-01."""
        return day_number(self._today())

    def _rules(self, tx: Transaction) -> Rules:
        return Rules(
            self._types,
            self._terms,
            encoded_strings,
            self._name,
            self.day,
            self._epoch,
            self._joining(tx),
        )

    def _name(self, agency: str, entity: bytes) -> bytes:
        return encode_string(self._ids.pairwise(agency).name(entity))

    def _record_id(self, key: RecordKey) -> bytes:
        # Asked for several times in a batch; a keyed hash costs as much as absorbing the change.
        known = self._record_ids.get(key)
        if known is None:
            if len(self._record_ids) > _RECORD_IDS_KEPT:
                self._record_ids.clear()
            known = self._record_ids[key] = self._ids.record(*key)
        return known

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
        found: set[Reference] = set()
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
            raise _ReferencesUnknown("a record was created for an entity that nobody knows yet")
        if not alone and any(
            c.key.incarnation and self._record_id(c.key) not in guess.records for c in changes
        ):
            raise _ReferencesUnknown("a local id begins another life, to which references lead from now on")
        wanted = set(guess.entity_of.values()) | grown | block.entities
        if early:
            tx.lock_early(wanted | early)
        world = tx.lock_entities(wanted)
        missing = (guess.records.keys() | block.records) - world.records.keys()
        if missing:
            now = tx.records(missing)
            raise LockSetGrew(frozenset(wanted | set(now.entity_of.values())))
        absorbed = absorb_all(world, changes, self._record_id, self._types)
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
        later = self._later(tx, record_type, world, dirty - merged, edits)
        dirty -= later
        settled = self._settle(tx, world, dirty, edits, merged, {}, alone)
        moved = {move.record for move in linked.moves}
        touched = absorbed.touched | moved
        tx.save_records(world, touched)
        tx.save_entities((*(one.entity for one in settled), *(world.entities[one] for one in later)))
        self._save_references(tx, world, absorbed.touched)
        self._save_findings(tx, world, absorbed.holds, linked.reviews, settled)
        self._dependents(tx, done, world, settled, merged, absorbed.created)
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
        edits: Mapping[bytes, Sequence[tuple[Change, RecordState]]],
    ) -> set[bytes]:
        """Those of `dirty` that are settled once the agencies have joined whose snapshots they came with.

        Until then nobody is there to be told of them, and most of them change again with the next snapshot.
        """
        joining = self._joining(tx)
        receivers = {one.agency for one in self._terms.get(record_type, ()) if one.grants}
        if not receivers or not receivers <= joining:
            return set()
        return {
            entity
            for entity in dirty
            if not world.entities[entity].held
            and (those := edits.get(entity))
            and all(c.operation == "snapshot" and c.key.agency in joining for c, _ in those)
        }

    def _settle(
        self,
        tx: Transaction,
        world: World,
        dirty: Collection[bytes],
        edits: Mapping[bytes, Sequence[tuple[Change, RecordState]]],
        concerned: frozenset[bytes],
        restated: Mapping[bytes, frozenset[str]],
        alone: bool,
    ) -> list[Settled]:
        references = references_in(world, dirty, self._types)
        targets: dict[Reference, Target] = {}
        if references:
            to_persons = any(world.entities[entity].record_type == CONSENT for entity in dirty)
            targets = tx.targets(references, locked=to_persons)
            if not alone and references - targets.keys():
                raise _ReferencesUnknown("a reference leads nowhere yet")
        return settle(world, dirty, self._rules(tx), targets, edits, concerned, restated)

    def _settle_again(
        self,
        tx: Transaction,
        done: Converged,
        entities: Collection[bytes],
        restated: Mapping[bytes, frozenset[str]],
        alone: bool,
        *,
        patient: bool,
    ) -> set[bytes]:
        """Settle entities as they stand; those for which it would have to wait are left, unless `patient`."""
        if not entities:
            return set()
        world = tx.lock_entities(entities)
        present = world.entities.keys() & set(entities)
        late = set() if patient else self._late(tx, world, present)
        present -= late
        # Where the founding record of a merged entity stands now says what it was merged into.
        founders = tx.records(present - set(world.entity_of.values()))
        world.records |= founders.records
        world.entity_of |= founders.entity_of
        settled = self._settle(tx, world, present, {}, frozenset(), restated, alone)
        tx.save_entities(one.entity for one in settled)
        tx.save_due({one.entity.id: one.due_day for one in settled if one.due_day is not None})
        consenting = {entity for entity in present if world.entities[entity].consents}
        self._dependents(tx, done, world, settled, self._whose_papers(consenting))
        done.add(world, settled)
        self._consents(tx, done, [one for one in settled if one.entity.record_type == CONSENT])
        return late

    def _late(self, tx: Transaction, world: World, entities: Collection[bytes]) -> set[bytes]:
        """Those of `entities` that refer to something which another transaction holds; locks what the others
        refer to, so that settling them waits for nobody while it holds so much."""
        references = references_in(world, entities, self._types)
        if not references:
            return set()
        consents = {entity for entity in entities if world.entities[entity].record_type == CONSENT}
        found = tx.targets(references, locked=bool(consents), patient=False)
        busy = tx.look_at_targets(references - found.keys()).keys()
        _, held = tx.lock_free({about for entity in consents if (about := world.entities[entity].about)})
        late = {entity for entity in consents if world.entities[entity].about in held}
        if busy:
            late |= {
                entity
                for record, entity in world.entity_of.items()
                if any(r in busy for _, r in references_of(world.records[record], self._types))
            }
        return late.intersection(entities)

    # What follows from it

    def _consents(self, tx: Transaction, done: Converged, settled: Iterable[Settled]) -> None:
        """Make consents inputs of their persons' rows, and settle those (R17)."""
        record = self._catalogue.records[CONSENT]
        moves = [
            (one, consent_of(record, one), one.references.get(PERSON))
            for one in settled
            if one.golden_changed or one.references.get(PERSON) != one.entity.about
        ]
        persons = {p for one, _, to in moves for p in (to, one.entity.about) if p is not None}
        if not persons:
            return
        world = tx.lock_entities(persons)
        for one, consent, person in moves:
            if one.entity.about in world.entities:
                world.entities[one.entity.about].consents.pop(one.entity.id, None)
            if person is not None and consent is not None:
                world.entities[person].consents[one.entity.id] = consent
            one.entity.about = person
        tx.save_entities(one.entity for one, _, _ in moves)
        again = self._settle(tx, world, world.entities.keys(), {}, frozenset(), {}, alone=True)
        tx.save_entities(one.entity for one in again)
        tx.save_due({one.entity.id: one.due_day for one in again if one.due_day is not None})
        self._dependents(tx, done, world, again, self._whose_papers(world.entities))
        done.add(world, again)

    def _whose_papers(self, persons: Iterable[bytes]) -> frozenset[bytes]:
        """Of persons whose consents changed or came of age: whose dependants may be shown, or no longer."""
        return frozenset(persons) if self._shown_by_consent else frozenset()

    def _dependents(
        self,
        tx: Transaction,
        done: Converged,
        world: World,
        settled: Iterable[Settled],
        concerned: frozenset[bytes] = frozenset(),
        created: Collection[bytes] = (),
    ) -> None:
        """Have those settled again that refer to a record which is new, moved or now held by others (R20)."""
        changed = {
            one.entity.id
            for one in settled
            if one.entity.record_type in self._referenced
            and (one.holders_changed or one.entity.id in concerned)
        }
        records = {record for record, entity in world.entity_of.items() if entity in changed}
        keys = (world.records[record].key for record in records.union(created))
        targets = {
            (key.agency, key.record_type, key.local_id) for key in keys if key.record_type in self._referenced
        }
        due = tx.dependents(targets)
        tx.save_due(dict.fromkeys(due, 0))
        done.due_now += len(due)

    def _save_references(self, tx: Transaction, world: World, touched: Iterable[bytes]) -> None:
        tx.save_references(
            [
                (record, name, reference)
                for record in sorted(touched)
                for name, reference in references_of(world.records[record], self._types)
            ]
        )

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


def references_of(state: RecordState, types: Mapping[str, TypePolicy]) -> list[tuple[str, Reference]]:
    """What a record says that it refers to: (field, reference)."""
    found = []
    for name, kind in types[state.key.record_type].references.items():
        assertion = state.asserts.values.get(name)
        if assertion is not None and assertion[1] is not None:
            found.append((name, (state.key.agency, kind, text_of(assertion[1]))))
    return found


def references_in(
    world: World, entities: Collection[bytes], types: Mapping[str, TypePolicy]
) -> set[Reference]:
    """Everything that the living members of these entities refer to."""
    if not any(types[world.entities[entity].record_type].references for entity in entities):
        return set()
    return {
        reference
        for record, entity in world.entity_of.items()
        if entity in entities and world.records[record].live
        for _, reference in references_of(world.records[record], types)
    }
