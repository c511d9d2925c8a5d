"""Settling: from what the hub knows of entities to what must be published of them (R17, R20).

`Settling` is what every kind of intake does after it has changed what is known, and what is done to entities
whose day has come. Plain and synchronous: it is given a store, and runs off the event loop.
"""

from __future__ import annotations

import datetime
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager

from hub.contracts.policies import day_number
from hub.contracts.records import Catalogue
from hub.contracts.values import encode_string
from hub.contracts.wire import encoded_strings
from hub.core.assertions import Change, RecordKey, RecordState
from hub.core.contents import Reference, Rules, Target
from hub.core.crosswalk import World
from hub.core.policy import TypePolicy
from hub.core.projection import Terms
from hub.core.settle import Settled, settle
from hub.core.tokens import Ids
from hub.errors import Retriable
from hub.lanes.consents import CONSENT, PERSON, consent_of
from hub.lanes.converged import Converged
from hub.lanes.disclosing import Disclosing, Why
from hub.lanes.naming import Naming
from hub.lanes.references import references_in, references_of
from hub.store.disclosures import BY_AGREEMENT, BY_CONSENT, BY_REFERENCE, open_reprojections
from hub.store.errors import LockSetGrew
from hub.store.transaction import Transaction

# A lock set that grows this often in one batch means that something else is wrong.
_MAX_RESTARTS = 8
_RECORD_IDS_KEPT = 50_000

Finish = Callable[[Transaction, Converged], None]


class ReferencesUnknown(Retriable):
    """A reference leads nowhere yet: look again while nobody can create its target unseen (R27)."""


class Settling:
    """Settles entities. Blocks; one instance per worker."""

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
        foreign: Callable[[Transaction, int], frozenset[str]] = lambda *_: frozenset(),
        clock: Callable[[], float] = time.time,
    ) -> None:
        """`foreign`: record types for which another release's rules are in force."""
        self._foreign = foreign
        self._catalogue = catalogue
        self._types = types
        self._terms = terms
        self._ids = ids
        self._naming = Naming(catalogue, types, ids)
        self._disclosing = Disclosing(catalogue)
        self._begin = begin
        self._today = today
        self._epoch = epoch
        self._joining = joining
        self._clock = clock
        self._record_ids: dict[RecordKey, bytes] = {}
        self._order = catalogue.dependency_order()
        # Of changes that are taken in: references that an attempt before this one met too late to lock what
        # they lead to in order. None: what does not foresee them waits wherever it is.
        self._met: frozenset[Reference] | None = None
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

    def settle_due(self, limit: int, finish: Finish) -> Converged:
        """Settle up to `limit` entities whose day has come; nothing is done where none is due."""

        def work(tx: Transaction, done: Converged, _: frozenset[bytes], alone: bool) -> None:
            if self._foreign(tx, self.day):
                # Whose rules are in force settles it.
                return
            tx.lock_references(alone=alone)
            due = tx.take_due(self.day, limit)
            free, busy = tx.lock_free(due)
            why = _why(due, open_reprojections(tx.connection)) if due else None
            late = self._settle_again(tx, done, free, {}, alone, patient=False, why=why) | busy
            tx.save_due({entity: due[entity] for entity in late})
            done.due_taken, done.due_busy = len(due) - len(late), len(late)

        return self._attempt(work, finish)

    def restate(self, wanted: Mapping[bytes, frozenset[str]], finish: Finish) -> Converged:
        """Say the current state of entities again to the agencies named, in its own version (R26)."""

        def work(tx: Transaction, done: Converged, _: frozenset[bytes], alone: bool) -> None:
            tx.lock_references(alone=alone)
            self._lock_in_order(tx, wanted)
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
                    self._leave_to_others(tx, done)
                    finish(tx, done)
            except LockSetGrew as error:
                grown |= error.entities
                if self._met is not None:
                    self._met |= error.references
            except ReferencesUnknown:
                alone = True
            else:
                return done
        raise Retriable(f"the entities of one batch changed hands {_MAX_RESTARTS} times while it was read")

    @contextmanager
    def _foreseeing(self) -> Iterator[None]:
        """In here an attempt does not wait for what it meets too late to lock it in order: its work begins
        again, and finds it in `_met` (R25)."""
        self._met = frozenset()
        try:
            yield
        finally:
            self._met = None

    def _leave_to_others(self, tx: Transaction, done: Converged) -> None:
        """What was settled by other rules than those in force is due again. Asked last: from here on whoever
        brings others into force settles these entities after us, since we hold their locks."""
        if done.settled and (types := self._foreign(tx, self.day)):
            tx.save_due({one.entity.id: 0 for one in done.settled if one.entity.record_type in types})

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
            int(self._clock() * 1000),
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
            targets = tx.targets(references, locked=to_persons, patient=self._met is None)
            if self._met is not None and (held := tx.look_at_targets(references - targets.keys())):
                # Another worker has these, and may wait for what is locked here already.
                raise LockSetGrew(frozenset(), frozenset(held))
            if not alone and references - targets.keys():
                raise ReferencesUnknown("a reference leads nowhere yet")
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
        why: Why | None = None,
    ) -> set[bytes]:
        """Settle entities as they stand; those for which it would have to wait are left, unless `patient`.

        `why`: for what reason they are, where that is counted (R17).
        """
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
        if why is not None:
            self._disclosing.count(tx, self.day, settled, why)
        tx.save_entities(one.entity for one in settled)
        tx.save_due({one.entity.id: one.due_day for one in settled if one.due_day is not None})
        consenting = {entity for entity in present if world.entities[entity].consents}
        self._dependents(tx, done, world, settled, self._whose_papers(consenting))
        done.add(world, settled)
        self._consents(tx, done, [one for one in settled if one.entity.record_type == CONSENT])
        return late

    def _lock_in_order(self, tx: Transaction, entities: Collection[bytes]) -> None:
        """Lock entities and what they refer to, record type by record type, as whoever takes changes in does:
        who locked them in another order, and waits, could be waited for in turn."""
        members = tx.members(entities)
        own: dict[str, set[bytes]] = {}
        for record, entity in members.entity_of.items():
            own.setdefault(members.records[record].key.record_type, set()).add(entity)
        led_to = tx.led_to(
            {r for state in members.records.values() for _, r in references_of(state, self._types)}
        )
        for record_type in self._order:
            mine = own.get(record_type, set())
            about_persons = record_type == PERSON and CONSENT in own
            tx.lock_early(mine | led_to.get(record_type, set()), shared=not (mine or about_persons))

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
        """Make consents inputs of their persons' rows, and settle those whom that changes (R17).

        Each is compared with what its person's row has of it: what it says may be the same, and yet be said
        of another of the person's records by now, or later.
        """
        record = self._catalogue.records[CONSENT]
        said = [(one, consent_of(record, one), one.references.get(PERSON)) for one in settled]
        persons = {p for one, _, to in said for p in (to, one.entity.about) if p is not None}
        if not persons:
            return
        world = tx.lock_entities(persons)
        before = {person: dict(world.entities[person].consents) for person in persons}
        moved: set[bytes | None] = set()
        for one, consent, person in said:
            if one.entity.about is not None:
                world.entities[one.entity.about].consents.pop(one.entity.id, None)
            if person is not None and consent is not None:
                world.entities[person].consents[one.entity.id] = consent
            if person != one.entity.about:
                moved |= {one.entity.about, person}
                one.entity.about = person
        tx.save_entities(one.entity for one, _, _ in said)
        changed = {p for p in persons if p in moved or world.entities[p].consents != before[p]}
        if not changed:
            return
        again = self._settle(tx, world, changed, {}, frozenset(), {}, alone=True)
        self._disclosing.count(tx, self.day, again, lambda _: (BY_CONSENT, 0))
        tx.save_entities(one.entity for one in again)
        tx.save_due({one.entity.id: one.due_day for one in again if one.due_day is not None})
        self._dependents(tx, done, world, again, self._whose_papers(changed))
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
        changed = {one.entity.id for one in settled if one.holders_changed} | concerned
        records = {record for record, entity in world.entity_of.items() if entity in changed}
        keys = (world.records[record].key for record in records.union(created))
        targets = {
            (key.agency, key.record_type, key.local_id) for key in keys if key.record_type in self._referenced
        }
        kinds = tx.dependents(targets)
        awaited = self._awaited(tx, set(kinds.values()))
        due = [entity for entity, kind in kinds.items() if kind not in awaited]
        tx.save_due(dict.fromkeys(due, 0))
        done.due_now += len(due)

    def _awaited(self, tx: Transaction, record_types: Collection[str]) -> set[str]:
        """Those record types of which all who receive them are still joining.

        Until then nobody is there to be told of one, and most change again with the next snapshot. Whoever is
        let in has all of them settled (`Joining.admit`).
        """
        if not record_types or not (joining := self._joining(tx)):
            return set()
        receivers = {
            name: {one.agency for one in self._terms.get(name, ()) if one.grants} for name in record_types
        }
        return {name for name, those in receivers.items() if those and those <= joining}

    def _save_references(self, tx: Transaction, world: World, touched: Iterable[bytes]) -> None:
        tx.save_references(
            [
                (record, name, reference)
                for record in sorted(touched)
                for name, reference in references_of(world.records[record], self._types)
            ]
        )


def _why(due: Mapping[bytes, int], reprojections: Mapping[str, int]) -> Why:
    """Why entities are settled that were due: their day has come, or everything of their type is settled
    again, or something that they refer to has changed."""

    def why(one: Settled) -> tuple[str, int]:
        if due[one.entity.id]:
            return BY_CONSENT, 0
        if (own := reprojections.get(one.entity.record_type)) is not None:
            return BY_AGREEMENT, own
        return BY_REFERENCE, max(reprojections.values(), default=0)

    return why
