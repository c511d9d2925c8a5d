"""Contents: what each agency is to be told of an entity as it stands (R17, R20).

Pure: what is known of the entity, what its references lead to, and the agreements go in.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence, Set
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

from hub.core.answers import disputed_fields
from hub.core.assertions import RecordKey, RecordState
from hub.core.crosswalk import Entity
from hub.core.merge import Golden, Winner, is_live
from hub.core.policy import STEWARD, TypePolicy
from hub.core.projection import (
    DELETE,
    MERGED,
    RETRACT,
    Allowed,
    Consent,
    Content,
    Terms,
    allowed_by,
    grants_in_force,
    primary,
    project,
)
from hub.core.texts import text_of
from hub.core.undo import taken_back_fields

Reference = tuple[str, str, str]


class Target(NamedTuple):
    """What a reference leads to: the entity, which agencies hold it, and a person's consents."""

    entity: bytes
    holders: frozenset[str]
    consents: tuple[Consent, ...]


@dataclass
class Rules:
    """What settling depends on beside the world: policies, agreements, and the day.

    `terms`: record type → the agreements that receive it. `join`: encodes a union field from its elements;
    `name`: an agency's encoded name of an entity. `joining`: agencies whose own records are still coming
    in; nothing is said to them yet, or what they have would be created there again. `now_ms`: Unix
    milliseconds, from which on what is told may be repeated.
    """

    types: Mapping[str, TypePolicy]
    terms: Mapping[str, tuple[Terms, ...]]
    join: Callable[[Sequence[bytes]], bytes]
    name: Callable[[str, bytes], bytes]
    day: int
    epoch: int = 0
    joining: frozenset[str] = frozenset()
    now_ms: int = 0

    @cached_property
    def echoing(self) -> Mapping[tuple[str, str], frozenset[str]]:
        """(Record type, agency) → the fields that it may ever be told, where the hub filters its echoes."""
        return {
            (record_type, terms.agency): frozenset().union(*(grant.fields for grant in terms.grants))
            for record_type, those in self.terms.items()
            for terms in those
            if terms.filters_echoes
        }

    @cached_property
    def _without_consent(self) -> Mapping[str, tuple[tuple[Terms, Allowed], ...]]:
        return {
            record_type: tuple((terms, allowed_by(grants_in_force(terms, (), self.day))) for terms in those)
            for record_type, those in self.terms.items()
        }

    def allowed(self, record_type: str, consents: Sequence[Consent]) -> Iterable[tuple[Terms, Allowed]]:
        """What each agency may hold today of an entity with these consents; nearly always without any."""
        if not consents:
            return self._without_consent.get(record_type, ())
        return tuple(
            (terms, allowed_by(grants_in_force(terms, consents, self.day)))
            for terms in self.terms.get(record_type, ())
        )


def reference_of(policy: TypePolicy, name: str, won: Winner) -> Reference | None:
    """What the winning assertion of a reference field refers to, in its agency's terms (R20)."""
    if name not in policy.references or won.value is None:
        return None
    return won.key.agency, policy.references[name], text_of(won.value)


def reference_targets(
    policy: TypePolicy, golden: Golden, targets: Mapping[Reference, Target]
) -> dict[str, Target | None]:
    """Reference fields that hold something → what they lead to; None while that is unknown (R27)."""
    return {
        name: targets.get(reference)
        for name, won in golden.items()
        if name in policy.references and (reference := reference_of(policy, name, won)) is not None
    }


def contents(
    entity: Entity,
    members: list[RecordState],
    golden: Golden,
    encoded: Mapping[str, bytes],
    led_to: Mapping[str, Target | None],
    rules: Rules,
    moved: bytes | None,
    policy: TypePolicy,
    left: Set[str],
) -> dict[str, Content]:
    """What each agency is to be told: its projection, or that it holds something no longer; also those of
    `left`, who hold something though they were told."""
    told: dict[str, Content] = {}
    consents = _consents(entity, led_to)
    for terms, allowed in rules.allowed(entity.record_type, consents):
        agency = terms.agency
        if agency in rules.joining:
            continue
        mine = [member for member in members if member.key.agency == agency]
        chosen = primary(mine)
        references = {
            name: rules.name(agency, target.entity) if target and agency in target.holders else None
            for name, target in led_to.items()
        }
        content = golden and project(
            entity.id,
            golden,
            mine,
            allowed,
            encoded,
            references,
            disputed_fields(chosen),
            taken_back_fields(chosen, golden),
        )
        if content:
            told[agency] = content
    over = _left_over(member for member in members if member.key.agency not in told)
    for agency in sorted((entity.held.keys() | left | over.keys()) - told.keys() - rules.joining):
        # Also when it was told before: the message may have died with the worker that had to send it. Also
        # where the agreement speaks of such records no longer.
        before = entity.held.get(agency)
        end = ended(policy, members, moved, before.operation if before else "")
        if agency in over:
            row, known = over[agency]
            end = end._replace(local_id=row.local_id, life=row.incarnation, known=known)
        told[agency] = end
    return told


def _left_over(members: Iterable[RecordState]) -> dict[str, tuple[RecordKey, bool]]:
    """Agency → the row that the hub had made there and that is to go; whether its side knows which is meant.

    It does not where another row had received what the hub says, and has been removed with it. And it is
    told also where it was told of no such entity, or that it had become part of another: since then a split
    has given the row back.
    """
    by_agency: dict[str, list[RecordState]] = {}
    for member in members:
        if member.key.agency != STEWARD:
            by_agency.setdefault(member.key.agency, []).append(member)
    found = {agency: (primary(mine), len(mine) == 1) for agency, mine in by_agency.items()}
    return {
        agency: (one.key, alone)
        for agency, (one, alone) in found.items()
        if one is not None and one.linked is not None and not (one.asserts.values or one.asserts.unions)
    }


def ended(policy: TypePolicy, members: list[RecordState], moved: bytes | None, told: str) -> Content:
    """What ends the holding of an agency that was last told `told`.

    What was retracted or deleted stays so: what happens to the entity later is not the agency's to know.
    """
    if told in (RETRACT, DELETE):
        return Content(told)
    if moved is not None:
        return Content(MERGED, merged_into=moved)
    propagates = policy.delete == "propagate" and not is_live(policy, members)
    return Content(DELETE if propagates else RETRACT)


def _consents(entity: Entity, led_to: Mapping[str, Target | None]) -> tuple[Consent, ...]:
    """The consents that a projection needs: the person's own, or those of the person referred to."""
    about = [target.consents for target in led_to.values() if target is not None]
    return tuple(entity.consents.values()) + tuple(c for consents in about for c in consents)
