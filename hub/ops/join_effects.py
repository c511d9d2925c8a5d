"""What an agency's records change for the others: projections before and after, compared (R9, R17, R20).

Both are `settle`'s own; the rule by which a value gives way is told by `hub.ops.rulings`. Nothing is decided
here a second time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from hub.core.assertions import RecordState
from hub.core.contents import Reference
from hub.core.crosswalk import World, merged_into
from hub.core.merge import Winner
from hub.core.policy import TypePolicy
from hub.core.projection import UPSERT, Content
from hub.core.settle import Settled
from hub.lanes.references import references_of
from hub.ops.join_counts import EMPTIED, FILLED, REPLACED, Example, TypeCounts
from hub.ops.parts import Parts
from hub.ops.rulings import AGREES, WINS, Said, outcome
from hub.ops.veil import COVER, Veil, covered_id
from hub.store.transaction import Transaction

# Rules beside those of `hub.ops.rulings`: nobody had spoken; others' records have become one, or are so no
# longer; elements of a list were added or taken away; the same value was there, and the receiver may hold it
# now, or may no longer.
GAP, IDENTITY, UNION, ENTITLED = "gap", "identity", "union", "entitled"
# Why a reference waits: nobody has heard of such a record.
NOWHERE = "nowhere"


class Standing(NamedTuple):
    """Some entities at one moment."""

    world: World
    settled: Mapping[bytes, Settled]

    def held_by(self, agency: str, entity: bytes) -> Content | None:
        """What the agency may hold of the entity, if anything."""
        one = self.settled.get(entity)
        for delivery in one.deliveries if one else ():
            if delivery.agency == agency and delivery.content.operation == UPSERT:
                return delivery.content
        return None


class FieldChange(NamedTuple):
    """What becomes of one field's value, and by which rule."""

    name: str
    outcome: str
    rule: str


@dataclass(frozen=True)
class Comparison:
    """Entities as they are and as they would be. `now`: which entity a founding record would stand for."""

    parts: Parts
    agency: str
    before: Standing
    after: Standing
    now: Callable[[bytes], bytes]
    veil: Veil

    def count(self, counts: Mapping[str, TypeCounts]) -> None:
        """Add what changes for agencies other than the one concerned."""
        parts_of: dict[bytes, list[bytes]] = {}
        for entity in self.after.settled:
            parts_of.setdefault(merged_into(self.after.world, entity) or entity, []).append(entity)
        for entity, those in sorted(parts_of.items()):
            one = self.after.settled.get(entity)
            if one is None or (found := counts.get(one.entity.record_type)) is None:
                continue
            found.merged += max(0, sum(self._stood(part) for part in those) - 1)
            for terms in self.parts.terms.get(one.entity.record_type, ()):
                if terms.agency != self.agency:
                    self._at(found, terms.agency, entity, those)

    def _stood(self, entity: bytes) -> bool:
        """Whether there was such an entity, and not as a part of another."""
        return entity in self.before.settled and merged_into(self.before.world, entity) is None

    def _at(self, found: TypeCounts, agency: str, entity: bytes, those: Iterable[bytes]) -> None:
        content = self.after.held_by(agency, entity)
        held = [(one, was) for one in those if (was := self.before.held_by(agency, one)) is not None]
        if not held and content is not None:
            found.at(agency).created += 1
        for part, was in held:
            if content is None:
                found.at(agency).ended += 1
                continue
            for change in self._fields(part, entity, was, content):
                example = self._example(change.name, part, entity)
                found.at(agency).of(change.name).add(change.outcome, change.rule, example)

    def _fields(self, part: bytes, entity: bytes, was: Content, content: Content) -> Iterator[FieldChange]:
        before, after = self.before.settled[part], self.after.settled[entity]
        for name in sorted({*was.fields, *content.fields}):
            x, y = was.values.get(name), content.values.get(name)
            if x == y or self._same_target(name, before, after):
                continue
            word = FILLED if x is None else EMPTIED if y is None else REPLACED
            yield FieldChange(name, word, self._rule(name, before.golden.get(name), after))

    def _same_target(self, name: str, before: Settled, after: Settled) -> bool:
        """Whether a reference leads to the same as before, of which only the name has changed."""
        x, y = before.references.get(name), after.references.get(name)
        return x is not None and y is not None and self.now(x) == y

    def _rule(self, name: str, was: Winner | None, after: Settled) -> str:
        won = after.golden.get(name)
        if was is None and won is not None and won.elements is None and won.key.agency != self.agency:
            return IDENTITY
        if was is not None and won is not None and (was.value, was.elements) == (won.value, won.elements):
            return ENTITLED
        policy = self.parts.types[after.entity.record_type]
        return rule_against(policy, name, was, self.after.world, after)

    def _example(self, name: str, part: bytes, entity: bytes) -> Example:
        """One change, with the key of the agency's record that it comes from."""
        before, after = self.before.settled[part], self.after.settled[entity]
        won = after.golden.get(name)
        mine = [
            state
            for record, state in sorted(self.after.world.records.items())
            if self.after.world.entity_of[record] == entity and state.key.agency == self.agency
        ]
        local_id = won.key.local_id if won and won.key.agency == self.agency else ""
        shown = masked(local_id or (mine[0].key.local_id if mine else ""), self.veil)
        record_type = after.entity.record_type
        return Example(
            shown,
            golden_text(self.parts, record_type, name, before.golden.get(name), self.veil),
            golden_text(self.parts, record_type, name, won, self.veil),
            f"{was.key.agency} → {won.key.agency}" if (was := before.golden.get(name)) and won else "",
        )


def rule_against(policy: TypePolicy, name: str, was: Winner | None, world: World, after: Settled) -> str:
    """The rule by which the golden value of a field is another than `was`, in a word."""
    if was is None:
        return GAP
    if was.elements is not None:
        return UNION
    state = next((one for one in world.records.values() if one.key == was.key), None)
    if state is None or world.entity_of.get(state.id) != after.entity.id:
        return IDENTITY
    return rule_for(policy, name, state, after)


def rule_for(policy: TypePolicy, name: str, state: RecordState, after: Settled) -> str:
    """The rule by which what a record says of a field is not the golden value, in a word."""
    if name not in state.asserts.values:
        return UNION if name in state.asserts.unions else GAP
    rank = policy.fields[name].rank(state.key.agency)
    word, _ = outcome(policy, name, Said(state, *state.asserts.values[name], rank), after.golden)
    return IDENTITY if word in (WINS, AGREES) else word


def unresolved(
    tx: Transaction, types: Mapping[str, TypePolicy], states: Iterable[RecordState]
) -> list[tuple[RecordState, str, Reference]]:
    """(record, field, reference) of what these records refer to and nobody has heard of (R27)."""
    said = [(state, name, reference) for state in states for name, reference in references_of(state, types)]
    wanted = {reference for _, _, reference in said}
    missing = wanted - tx.look_at_targets(wanted).keys()
    return [one for one in said if one[2] in missing]


def masked(local_id: str, veil: Veil) -> str:
    """A local id as an operator may see it: it names a person at the agency."""
    return local_id if veil.reveal or not local_id else covered_id(local_id)


def golden_text(parts: Parts, record_type: str, name: str, won: Winner | None, veil: Veil) -> str:
    """A golden value as text, veiled; a local id that a reference holds is covered, too."""
    if won is None:
        return ""
    spec = parts.catalogue.records[record_type].by_name[name]
    if won.elements is not None:
        return ", ".join(veil.value(spec, element) for element in won.elements)
    if spec.reference is not None and not veil.reveal:
        return COVER
    return veil.value(spec, won.value)
