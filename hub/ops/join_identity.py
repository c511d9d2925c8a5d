"""Which entity each of an agency's records stands for, and by which rule: as the core has clustered them."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from hub.core.assertions import RecordState
from hub.core.crosswalk import World
from hub.core.matching import Review, agreed_on, identity_values
from hub.core.policy import TypePolicy
from hub.ops.join_counts import Example, TypeCounts, tally
from hub.ops.join_effects import masked
from hub.ops.veil import Veil

NATURAL_KEY, CREATED_FOR, THROUGH_OTHERS = "natural_key", "created_for", "through_others"
# By an identifier, and the birth date or the name.
BY = {"birth_date": "identifier_and_birth_date", "name": "identifier_and_name"}


@dataclass(frozen=True)
class Identified:
    """Records of one agency among all that are connected to them. `known`: ids that the hub had before.

    `afterwards`: the others may have come later, and only those count that were there when a record came.
    """

    policy: TypePolicy
    agency: str
    world: World
    known: Collection[bytes]
    reviews: Collection[Review]
    veil: Veil
    afterwards: bool = False

    def count(self, found: TypeCounts, records: Collection[bytes]) -> None:
        """Add each of `records` as one of known, matched, uncertain, duplicate, new; and the reviews."""
        members = self.world.members()
        doubted = self._doubted(found, records)
        for record in sorted(records):
            entity = self.world.entity_of[record]
            others = [one for one in members[entity] if one.id != record and one.live]
            strangers = [one for one in others if self._was_there(one, self.world.records[record])]
            if record in self.known:
                found.known += 1
            elif strangers:
                found.matched[rule(self.policy, self.world.records[record], strangers)] += 1
            elif record in doubted:
                found.uncertain[doubted[record]] += 1
            elif others and record != entity:
                found.duplicates += 1
            else:
                found.new += 1

    def _was_there(self, one: RecordState, newcomer: RecordState) -> bool:
        if self.afterwards and one.born > newcomer.born:
            return False
        return one.key.agency != self.agency or one.id in self.known

    def _doubted(self, found: TypeCounts, records: Collection[bytes]) -> Mapping[bytes, str]:
        """Record → why a person must look at it."""
        doubted: dict[bytes, str] = {}
        for one in sorted(self.reviews):
            mine = [record for record in (one.a, one.b) if record in records]
            if not mine:
                continue
            key = (one.reason, ", ".join(one.fields))
            other = self.world.records.get(one.b if mine[0] == one.a else one.a)
            theirs = f"{other.key.agency}:{masked(other.key.local_id, self.veil)}" if other else ""
            own = masked(self.world.records[mine[0]].key.local_id, self.veil)
            tally(found.reviews, key, Example(own, why=theirs))
            for record in mine:
                doubted.setdefault(record, one.reason)
        return doubted


def rule(policy: TypePolicy, state: RecordState, others: Collection[RecordState]) -> str:
    """The rule that connects a record with one of `others`; they are one entity already."""
    if policy.natural_key:
        mine = set(identity_values(policy, state))
        alike = any(mine.intersection(identity_values(policy, one)) for one in others)
        return NATURAL_KEY if mine and alike else THROUGH_OTHERS
    if state.linked is not None:
        return CREATED_FOR
    grounds = {
        agreed_on(policy, state, one)
        for one in others
        if set(identity_values(policy, state)).intersection(identity_values(policy, one))
    }
    return next((BY[ground] for ground in BY if ground in grounds), THROUGH_OTHERS)
