"""The core as one hub, wholly in memory: what intake does around it, said as plainly as possible.

It knows no locks, batches of rows or partial loads. Where intake is clever, this is simple: whoever may be
concerned is looked at again. So it is what the real intake is compared with.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence

from hub.contracts.values import encode_string
from hub.contracts.wire import encoded_strings
from hub.core.answers import Answer
from hub.core.assertions import Change, RecordKey, RecordState
from hub.core.contents import Reference, Rules, Target
from hub.core.crosswalk import World
from hub.core.epochs import life_meant, meant
from hub.core.lost import pass_on
from hub.core.matching import Decision, Review, cluster, identity_values
from hub.core.policy import TypePolicy
from hub.core.projection import Terms
from hub.core.settle import Delivery, Settled, settle
from hub.core.step import Absorbed, Hold, absorb_all, link
from hub.core.texts import text_of
from hub.lanes.consents import CONSENT, PERSON, consent_of
from support.contracts import CATALOGUE, IDS, TERMS, TODAY, TYPES

Edits = Mapping[bytes, Sequence[tuple[Change, RecordState]]]


class MemoryHub:
    """Takes batches of changes; keeps what it published, as its readers would.

    `inbox`: (agency, entity) → the delivery with the highest version; `golden`: entity → as last published.
    """

    def __init__(
        self,
        terms: Mapping[str, tuple[Terms, ...]] = TERMS,
        types: Mapping[str, TypePolicy] = TYPES,
        day: int = TODAY,
        joining: frozenset[str] = frozenset(),
    ) -> None:
        self.world = World()
        self.terms, self.types, self.day, self.joining = terms, types, day, joining
        self.decisions: list[Decision] = []
        self.reviews: list[Review] = []
        self.holds: list[Hold] = []
        self.rejected: list[tuple[Change, str]] = []
        self.answers: list[Answer] = []
        self.deliveries: list[Delivery] = []
        self.inbox: dict[tuple[str, bytes], Delivery] = {}
        self.golden: dict[bytes, Settled] = {}
        self.due: set[bytes] = set()
        self._sharers: dict[tuple[str, str, bytes], set[bytes]] = defaultdict(set)

    # What happens to it

    def take(self, *changes: Change) -> None:
        """One batch: record types in the order of what refers to what, as intake does it."""
        for record_type in CATALOGUE.dependency_order():
            batch = [change for change in changes if change.key.record_type == record_type]
            if batch:
                self._take(self.types[record_type], batch)

    def settle_due(self) -> None:
        """Settle what is due, until nothing is."""
        while self.due:
            due, self.due = self.due, set()
            self._settle(due, {}, frozenset())

    def decide(self, a: RecordKey, b: RecordKey, *, same: bool, stamp: int = 1) -> None:
        """A steward's word on two records."""
        one, other = IDS.record(*a), IDS.record(*b)
        self.decisions.append(Decision(one, other, same, stamp))
        evidence = {one, other} & self.world.records.keys()
        self._relink(self.types[a.record_type], Absorbed(evidence=evidence))

    def again(self, *entities: bytes) -> list[Settled]:
        """Settle entities (all that were ever told of, if none is named) though nothing happened to them."""
        told_of = {entity.id for entity in self.world.entities.values() if entity.version}
        return self._settle(set(entities) or told_of, {}, frozenset())

    # What it knows

    def entity(self, key: RecordKey) -> bytes:
        return self.world.entity_of[IDS.record(*key)]

    def state(self, key: RecordKey) -> RecordState:
        return self.world.records[IDS.record(*key)]

    def told(self, agency: str, key: RecordKey) -> Delivery:
        """What the agency was last told of the entity that the record now stands for."""
        return self.inbox[agency, self.entity(key)]

    def rules(self) -> Rules:
        return Rules(
            self.types, self.terms, encoded_strings, agency_name, self.day, epoch=0, joining=self.joining
        )

    # How

    def _take(self, policy: TypePolicy, batch: Sequence[Change]) -> None:
        absorbed = absorb_all(self.world, batch, lambda key: IDS.record(*key), self.types)
        self.holds += absorbed.holds
        self.rejected += absorbed.rejected
        self._relink(policy, absorbed)

    def _relink(self, policy: TypePolicy, absorbed: Absorbed) -> None:
        linked = link(self.world, policy, self.closed(policy, absorbed.evidence), self.decisions)
        self.reviews += linked.reviews
        edits: dict[bytes, list[tuple[Change, RecordState]]] = defaultdict(list)
        for record, changes in absorbed.edits.items():
            edits[self.world.entity_of[record]] += [(c, self.world.records[record]) for c in changes]
        merged = linked.concerned(absorbed.created)
        dirty = {self.world.entity_of[r] for r in absorbed.touched} | merged
        pass_on(self.types, self.world, dirty)
        again: dict[bytes, frozenset[str]] = {}
        for record in absorbed.restored:
            entity, agency = self.world.entity_of[record], self.world.records[record].key.agency
            again[entity] = again.get(entity, frozenset()) | {agency}
        self._settle(dirty, edits, merged | again.keys(), again)

    def closed(self, policy: TypePolicy, start: Iterable[bytes]) -> set[bytes]:
        """All records connected to these: by an identity value, now or once; by a link; by one entity."""
        for record in self.world.records.values():
            if record.key.record_type == policy.name:
                for identity in identity_values(policy, record):
                    self._sharers[policy.name, *identity].add(record.id)
        block: set[bytes] = set()
        frontier = set(start)
        while frontier:
            record = frontier.pop()
            block.add(record)
            frontier |= self._neighbours(record) - block
        return block

    def clusters(self, policy: TypePolicy, records: Iterable[bytes]) -> Mapping[bytes, bytes]:
        """Each of these records' founding record, worked out among them alone."""
        return cluster(policy, [self.world.records[record] for record in records], self.decisions).founder

    def _neighbours(self, record: bytes) -> set[bytes]:
        world, linked = self.world, self.world.records[record].linked
        near = {other for other, entity in world.entity_of.items() if entity == world.entity_of[record]}
        near |= {other for sharers in self._sharers.values() if record in sharers for other in sharers}
        near |= {state.id for state in world.records.values() if state.linked == record}
        near |= {one for d in self.decisions if record in (d.a, d.b) for one in (d.a, d.b)}
        near |= {linked} if linked else set()
        kind = world.records[record].key.record_type
        return {one for one in near & world.records.keys() if world.records[one].key.record_type == kind}

    def _settle(
        self,
        entities: set[bytes],
        edits: Edits,
        concerned: frozenset[bytes],
        again: Mapping[bytes, frozenset[str]] | None = None,
    ) -> list[Settled]:
        settled = settle(self.world, entities, self.rules(), self._targets(), edits, concerned, again)
        for one in settled:
            self._publish(one)
        changed = {s.entity.id for s in settled if s.golden_changed or s.holders_changed} | concerned
        self.due |= self._dependents(changed)
        self._consents(settled)
        return settled

    def _publish(self, one: Settled) -> None:
        if one.golden_changed:
            self.golden[one.entity.id] = one
        self.answers += one.answers
        self.deliveries += one.deliveries
        for delivery in one.deliveries:
            known = self.inbox.get((delivery.agency, delivery.entity))
            assert known is None or known.version < delivery.version, "said twice in one version"
            self.inbox[delivery.agency, delivery.entity] = delivery

    def _consents(self, settled: Iterable[Settled]) -> None:
        for one in settled:
            if one.entity.record_type != CONSENT:
                continue
            person, before = one.references.get(PERSON), one.entity.about
            consent = consent_of(CATALOGUE.records[CONSENT], one)
            old = self.world.entities[before].consents.pop(one.entity.id, None) if before else None
            if person is not None and consent is not None:
                self.world.entities[person].consents[one.entity.id] = consent
            one.entity.about = person
            if old != consent or person != before:
                moved = {entity for entity in (before, person) if entity is not None}
                self.due |= moved | self._dependents(moved)

    def _dependents(self, entities: Iterable[bytes]) -> set[bytes]:
        wanted = set(entities)
        return {
            self.world.entity_of[state.id]
            for state in self.world.records.values()
            for reference in self._references(state)
            for life in self._lives(reference)
            if self.world.entity_of[life.id] in wanted
        }

    def _references(self, state: RecordState) -> list[Reference]:
        said = state.asserts.values
        return [
            (state.key.agency, kind, text_of(raw))
            for name, kind in self.types[state.key.record_type].references.items()
            if name in said and (raw := said[name][1]) is not None
        ]

    def _lives(self, reference: Reference) -> list[RecordState]:
        """All lives of a local id."""
        place = (*reference[:2], meant(reference[2])[0])
        return [state for state in self.world.records.values() if state.key[:3] == place]

    def _meant(self, reference: Reference) -> RecordState | None:
        """The life that is meant."""
        return life_meant(self._lives(reference), meant(reference[2])[1])

    def _targets(self) -> dict[Reference, Target]:
        targets = {}
        states = self.world.records.values()
        for reference in {reference for state in states for reference in self._references(state)}:
            state = self._meant(reference)
            if state is None:
                continue
            entity = self.world.entities[self.world.entity_of[state.id]]
            holders = frozenset(a for a, held in entity.held.items() if held.operation == "upsert")
            targets[reference] = Target(entity.id, holders, tuple(entity.consents.values()))
        return targets


def agency_name(agency: str, entity: bytes) -> bytes:
    """How an agency names an entity, encoded."""
    return encode_string(IDS.pairwise(agency).name(entity))
