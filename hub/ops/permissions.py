"""What each agency may hold of one entity, on what ground, and what stands in the way (R15, R17, R20).

The answer is `settle`'s own. Why an agency may hold nothing is found by asking `settle` again with one
obstacle taken away: what then gets through was kept back by that obstacle. So no rule is written here twice.
"""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import combinations
from typing import NamedTuple

from hub.core.assertions import RecordState
from hub.core.contents import Reference, Rules, Target, reference_of, reference_targets
from hub.core.crosswalk import World
from hub.core.policy import TypePolicy
from hub.core.projection import UPSERT, Consent, Content, Grant, Terms, grants_in_force
from hub.core.settle import Settled, settle
from hub.ops.phrases import UNSAID, Phrase, all_of

_NEVER_DAY = 2**31


@dataclasses.dataclass(frozen=True)
class Situation:
    """All that a projection is made from, for one entity: a copy to try things on."""

    entity: bytes
    world: World
    rules: Rules
    targets: Mapping[Reference, Target]

    @property
    def record_type(self) -> str:
        return self.world.entities[self.entity].record_type

    @property
    def policy(self) -> TypePolicy:
        return self.rules.types[self.record_type]

    def settled(self) -> Settled:
        """The entity as it settles, with what every agency concerned is told; changes nothing here."""
        agencies = frozenset(terms.agency for terms in self.rules.terms.get(self.record_type, ()))
        world = copy.deepcopy(self.world)
        return settle(world, [self.entity], self.rules, self.targets, {}, restated={self.entity: agencies})[0]

    def contents(self) -> dict[str, Content]:
        """Agency → what it is told; who is told nothing is not in it."""
        return {delivery.agency: delivery.content for delivery in self.settled().deliveries}

    def terms(self, agency: str) -> Terms | None:
        those = self.rules.terms.get(self.record_type, ())
        return next((terms for terms in those if terms.agency == agency), None)

    def with_terms(self, agency: str, change: Callable[[Terms], Terms]) -> Situation:
        those = tuple(
            change(terms) if terms.agency == agency else terms
            for terms in self.rules.terms.get(self.record_type, ())
        )
        return self.with_rules(terms={**self.rules.terms, self.record_type: those})

    def with_rules(self, **changed: object) -> Situation:
        return dataclasses.replace(self, rules=dataclasses.replace(self.rules, **changed))  # type: ignore[arg-type]

    def with_records(self, change: Callable[[RecordState], RecordState | None]) -> Situation:
        """With other records: what `change` returns for each, or without it where that is None."""
        world = copy.deepcopy(self.world)
        for record, state in list(world.records.items()):
            changed = change(state)
            if changed is None:
                del world.records[record], world.entity_of[record]
        return dataclasses.replace(self, world=world)


class Ground(NamedTuple):
    """What one agency may hold: its content, field → ground, field it may not hold → why, or why nothing."""

    content: Content | None
    fields: Mapping[str, Phrase]
    withheld: Mapping[str, Phrase]
    why_not: Phrase


def ground(situation: Situation, settled: Settled, agency: str) -> Ground:
    """What `agency` may hold and why, or why not; `settled` as `situation.settled()` gave it."""
    contents = {delivery.agency: delivery.content for delivery in settled.deliveries}
    content = contents.get(agency)
    terms = situation.terms(agency)
    if terms is None or not terms.grants:
        why = Phrase("its agreement lets it receive no %(record_type)s", record_type=situation.record_type)
        return Ground(content, {}, {}, why)
    in_force = grants_in_force(terms, _consents(situation, settled), situation.rules.day)
    if content is None or content.operation != UPSERT:
        return Ground(content, {}, {}, _why_not(situation, settled, agency))
    fields = {name: _basis(grant for grant in in_force if name in grant.fields) for name in content.fields}
    withheld = {
        name: _why_withheld(name, terms, in_force) for name in settled.golden if name not in content.fields
    }
    return Ground(content, fields, withheld, UNSAID)


def _consents(situation: Situation, settled: Settled) -> list[Consent]:
    entity = situation.world.entities[situation.entity]
    led_to = reference_targets(situation.policy, settled.golden, situation.targets)
    others = [consent for target in led_to.values() if target for consent in target.consents]
    return [*entity.consents.values(), *others]


def _basis(grants: Iterator[Grant]) -> Phrase:
    return all_of(
        Phrase("%(purpose)s (consent)", purpose=grant.purpose)
        if grant.needs_consent
        else Phrase("%(purpose)s (public mission)", purpose=grant.purpose)
        for grant in grants
    )


def _why_withheld(name: str, terms: Terms, in_force: Sequence[Grant]) -> Phrase:
    if any(name in grant.fields for grant in in_force):
        return Phrase("disputed: the hub stopped rewriting it there")
    granting = [grant for grant in terms.grants if name in grant.fields]
    if not granting:
        return Phrase("not in its agreement")
    if any(grant.needs_consent for grant in granting):
        return Phrase("no consent in force covers it")
    return Phrase("the grant has ended")


_ABSENT = Phrase("what it refers to is not there")

# Obstacles, in the order in which they are tried: each with its words, and the situation without it.
_Remove = Callable[[Situation, str], Situation]


def _why_not(situation: Situation, settled: Settled, agency: str) -> Phrase:
    if settled.merged_into is not None:
        return Phrase("merged: another entity stands for it now")
    if not settled.live:
        return Phrase("no agency's record supports it any more")
    for size in range(1, len(_OBSTACLES) + 1):
        for obstacles in combinations(_OBSTACLES, size):
            without = situation
            for _, remove in obstacles:
                without = remove(without, agency)
            content = without.contents().get(agency)
            if content is not None and content.operation == UPSERT:
                unknown = _unprojected(situation, settled, agency)
                return all_of(unknown if words is _ABSENT else words for words, _ in obstacles)
    return Phrase("nothing of what is known is in its agreement")


def _unprojected(situation: Situation, settled: Settled, agency: str) -> Phrase:
    """The reference fields that keep it back, each with what is wrong with its target."""
    led_to = reference_targets(situation.policy, settled.golden, situation.targets)
    found = [
        Phrase("what it refers to is not there: %(field)s (not known yet)", field=name)
        if target is None
        else Phrase("what it refers to is not there: %(field)s (not projected to it)", field=name)
        for name, target in led_to.items()
        if target is None or agency not in target.holders
    ]
    return all_of(found) if found else _ABSENT


def _in_agreement_for_ever(situation: Situation, agency: str) -> Situation:
    return situation.with_terms(
        agency,
        lambda terms: terms._replace(
            until_day=_NEVER_DAY, grants=tuple(grant._replace(until_day=None) for grant in terms.grants)
        ),
    )


def _without_consent(situation: Situation, agency: str) -> Situation:
    return situation.with_terms(
        agency,
        lambda terms: terms._replace(
            grants=tuple(grant._replace(needs_consent=False) for grant in terms.grants)
        ),
    )


def _creating(situation: Situation, agency: str) -> Situation:
    return situation.with_terms(
        agency,
        lambda terms: terms._replace(grants=tuple(grant._replace(create=True) for grant in terms.grants)),
    )


def _joined(situation: Situation, agency: str) -> Situation:
    return situation.with_rules(joining=situation.rules.joining - {agency})


def _never_deleted(situation: Situation, agency: str) -> Situation:
    return situation.with_records(
        lambda state: None if state.key.agency == agency and not state.live else state
    )


def _all_projected(situation: Situation, agency: str) -> Situation:
    unknown = Target(situation.entity, frozenset(), ())
    targets = dict(situation.targets)
    for name, won in situation.settled().golden.items():
        reference = reference_of(situation.policy, name, won)
        if reference is not None:
            target = targets.get(reference, unknown)
            targets[reference] = target._replace(holders=target.holders | {agency})
    return dataclasses.replace(situation, targets=targets)


def _undisputed(situation: Situation, agency: str) -> Situation:
    def settle_disputes(state: RecordState) -> RecordState:
        if state.key.agency == agency:
            state.asserts.rewrites.clear()
        return state

    return situation.with_records(settle_disputes)


_OBSTACLES: tuple[tuple[Phrase, _Remove], ...] = (
    (Phrase("it is still joining: nothing is created there before its snapshot is taken in"), _joined),
    (_ABSENT, _all_projected),
    (Phrase("no consent in force covers it"), _without_consent),
    (Phrase("it deleted its record, and gets it back only by entering it again"), _never_deleted),
    (Phrase("its agreement has it hold only those whom it already has"), _creating),
    (Phrase("its agreement, or the grant in it, has ended"), _in_agreement_for_ever),
    (Phrase("every field is disputed there"), _undisputed),
)
