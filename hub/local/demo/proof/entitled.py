"""What each agency may hold: computed anew from assertions, crosswalk, contracts and agreements.

Written down a second time on purpose, without `hub.core.projection` and `hub.core.settle`: a mistake in
those would otherwise prove itself right. Only the rule of conflicts (`golden_record`) is the hub's own.
"""

from __future__ import annotations

import datetime
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from hub.contracts.agreements import CONSENT, Agreement
from hub.contracts.policies import type_policies
from hub.contracts.records import Catalogue, FieldSpec
from hub.contracts.values import decode
from hub.core import stamps
from hub.core.assertions import RecordState
from hub.core.epochs import life_meant, meant
from hub.core.merge import Winner, golden_record, is_live
from hub.local.demo.kept import Kept

# (agency, record type, local id)
Place = tuple[str, str, str]


@dataclass(frozen=True)
class Thing:
    """One entity: the records that stand for it, and its golden values in Python's terms.

    A reference's value is the entity referred to; None while it is unknown. `values` has a key for
    every field that somebody with a say has spoken of, `sources` the agency that won it, `said_ms` when.
    """

    entity: str
    record_type: str
    members: tuple[RecordState, ...]
    values: Mapping[str, Any]
    sources: Mapping[str, str]
    said_ms: Mapping[str, int]
    live: bool

    def of(self, agency: str) -> list[RecordState]:
        """The agency's records of it, the oldest first, ended ones included."""
        mine = [member for member in self.members if member.key.agency == agency]
        return sorted(mine, key=lambda member: (member.born, member.key))

    def primary(self, agency: str) -> RecordState | None:
        """The agency's record that receives the golden values: its oldest living one (R21)."""
        return next((member for member in self.of(agency) if member.live), None)


class Entitled:
    """All entities, and what every agency may hold of them on `today`.

    `fields[agency, record type]`: entity → the fields that it may hold from the hub; an entity that it
    may not hold at all is not there.
    """

    def __init__(
        self,
        kept: Kept,
        catalogue: Catalogue,
        agreements: Mapping[str, Agreement],
        today: datetime.date,
    ) -> None:
        self._catalogue = catalogue
        self._policies = type_policies(catalogue)
        self._today = today
        self._entity_of = kept.entity_of
        self._lives = _lives(kept.states.values())
        self.record_of = _current(self._lives)
        self.things = self._things(kept)
        self._consents = self._consents_by_person()
        self.fields: dict[tuple[str, str], dict[str, frozenset[str]]] = {}
        # Types first that others refer to: whoever may not hold a person holds no enrolment of it (R20).
        for record_type in catalogue.dependency_order():
            of_type = [thing for thing in self.things.values() if thing.record_type == record_type]
            for agency, agreement in agreements.items():
                self.fields[agency, record_type] = {
                    thing.entity: fields for thing in of_type if (fields := self._allowed(thing, agreement))
                }

    def entity_at(self, place: Place) -> str | None:
        """The entity that a living local record stands for; None if the hub knows no such record."""
        state = self.record_of.get(place)
        return None if state is None or not state.live else self._entity_of.get(state.id.decode())

    def references(self, record_type: str) -> tuple[FieldSpec, ...]:
        """The fields of a record type that refer to another record."""
        return self._catalogue.records[record_type].references

    def asserted(self, place: Place, field: str) -> Any:
        """What a local record itself says of a field; None if nothing."""
        state = self.record_of[place]
        spec = self._catalogue.records[place[1]].by_name[field]
        if spec.kind == "strings":
            elements = state.asserts.unions.get(field, {})
            said = sorted(decode(spec, raw) for raw, (_, present) in elements.items() if present)
            return said or None
        assertion = state.asserts.values.get(field)
        value = None if assertion is None or assertion[1] is None else decode(spec, assertion[1])
        if value is not None and spec.reference:
            return self._referred(place[0], spec.reference, value)
        return value

    def _referred(self, agency: str, record_type: str, local_id: str) -> str | None:
        plain, below = meant(local_id)
        known = life_meant(self._lives.get((agency, record_type, plain), ()), below)
        return self._entity_of.get(known.id.decode()) if known else None

    def _things(self, kept: Kept) -> dict[str, Thing]:
        members: dict[str, list[RecordState]] = defaultdict(list)
        for record, state in kept.states.items():
            members[kept.entity_of[record]].append(state)
        return {entity: self._thing(entity, states) for entity, states in members.items()}

    def _thing(self, entity: str, states: list[RecordState]) -> Thing:
        record_type = states[0].key.record_type
        specs = self._catalogue.records[record_type].by_name
        policy = self._policies[record_type]
        live = is_live(policy, states)
        golden = golden_record(policy, states) if live else {}
        values = {name: self._value(specs[name], won) for name, won in golden.items()}
        sources = {name: won.key.agency for name, won in golden.items()}
        said_ms = {name: stamps.milliseconds(won.stamp) for name, won in golden.items()}
        return Thing(entity, record_type, tuple(states), values, sources, said_ms, live)

    def _value(self, spec: FieldSpec, won: Winner) -> Any:
        if won.elements is not None:
            return sorted(decode(spec, element) for element in won.elements) or None
        value = None if won.value is None else decode(spec, won.value)
        if value is not None and spec.reference:
            return self._referred(won.key.agency, spec.reference, value)
        return value

    def _consents_by_person(self) -> Mapping[str, list[Thing]]:
        consents: dict[str, list[Thing]] = defaultdict(list)
        for thing in self.things.values():
            person = thing.values.get("person") if thing.record_type == "consent" else None
            if person is not None:
                consents[person].append(thing)
        return consents

    def _allowed(self, thing: Thing, agreement: Agreement) -> frozenset[str]:
        """The fields that an agency may hold of an entity; empty if it may not hold it."""
        if not thing.live or self._today > agreement.until:
            return frozenset()
        purposes = self._consented(thing, agreement.agency)
        grants = [
            grant
            for grant in agreement.receives.get(thing.record_type, ())
            if (grant.until is None or self._today <= grant.until)
            and (grant.legal_basis != CONSENT or grant.purpose in purposes)
        ]
        fields = frozenset(name for grant in grants for name in grant.fields if name in thing.values)
        # What the agency deleted is not created again; what was retracted there may be (R15).
        deleted = any(not record.asserts.returned for record in thing.of(agreement.agency))
        creates = not deleted and any(grant.create for grant in grants)
        if thing.primary(agreement.agency) is None and not creates:
            return frozenset()
        return fields if self._may_refer(thing, agreement.agency, fields) else frozenset()

    def _may_refer(self, thing: Thing, agency: str, fields: frozenset[str]) -> bool:
        """Whether the agency holds all that the entity refers to."""
        references = self._catalogue.records[thing.record_type].references
        return all(
            thing.values[spec.name] in self.fields.get((agency, spec.reference or ""), {})
            for spec in references
            if spec.name in fields and self._refers(thing, spec.name)
        )

    @staticmethod
    def _refers(thing: Thing, name: str) -> bool:
        """Whether the field says anything: a reference that leads nowhere yet is None all the same."""
        said = [member.asserts.values.get(name) for member in thing.members if member.live]
        return thing.values[name] is not None or any(one is not None and one[1] is not None for one in said)

    def _consented(self, thing: Thing, agency: str) -> set[str | None]:
        """Purposes for which the person, or the person referred to, lets the agency know."""
        references = self._catalogue.records[thing.record_type].references
        about = {thing.entity, *(thing.values.get(spec.name) for spec in references)}
        given = [consent for person in about for consent in self._consents.get(person or "", ())]
        return {
            one.values.get("purpose")
            for one in given
            if self._covers(one.values, agency)
            and not any(_takes_back(other, one, agency) for other in given)
        }

    def _covers(self, consent: Mapping[str, Any], agency: str) -> bool:
        since, until = consent.get("given_on"), consent.get("valid_until")
        return (
            consent.get("status") == "given"
            and agency in (consent.get("recipients") or ())
            and (since is None or since <= self._today)
            and (until is None or self._today <= until)
        )


def _takes_back(withdrawal: Thing, consent: Thing, agency: str) -> bool:
    """Whether the one record ends what the other gave: the same purpose and agency, and no later day."""
    taken, given = withdrawal.values, consent.values
    if taken.get("status") != "withdrawn" or taken.get("purpose") not in (None, given.get("purpose")):
        return False
    if taken.get("recipients") and agency not in taken["recipients"]:
        return False
    at_ms, given_on = withdrawal.said_ms["status"], given.get("given_on")
    if not at_ms:
        return given_on is None or taken.get("given_on") is None or given_on <= taken["given_on"]
    day = datetime.datetime.fromtimestamp(at_ms / 1000, datetime.UTC).date()
    if given_on is None or given_on == day:
        return consent.said_ms["status"] <= at_ms
    return bool(given_on < day)


def _lives(states: Iterable[RecordState]) -> dict[Place, list[RecordState]]:
    """All lives of every local id."""
    lives: dict[Place, list[RecordState]] = defaultdict(list)
    for state in states:
        lives[state.key.agency, state.key.record_type, state.key.local_id].append(state)
    return lives


def _current(lives: Mapping[Place, Iterable[RecordState]]) -> dict[Place, RecordState]:
    """The life of every local id that its agency means by it."""
    found = {place: life_meant(those, None) for place, those in lives.items()}
    return {place: state for place, state in found.items() if state is not None}
