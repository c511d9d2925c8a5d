"""Why a value is the golden one, in words; decided by the core's own order, never by a copy of it (R9)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from hub.core.answers import NO_AUTHORITY, OLDER, OUTRANKED, lost_fields
from hub.core.assertions import Change, RecordState
from hub.core.merge import Claim, Golden, strength, winner
from hub.core.policy import STEWARD, FieldPolicy, TypePolicy
from hub.ops.phrases import UNSAID, Phrase

WINS, AGREES, ENDED = "wins", "agrees", "ended"

# The places of `strength`'s tuple, after authority and stamp.
_TIES = (
    Phrase("the source's name"),
    Phrase("the local id"),
    Phrase("the incarnation"),
    Phrase("the value itself"),
    Phrase("the value itself"),
)
_STAMP = 1

_LOST = {
    NO_AUTHORITY: Phrase("has no authority over this field, so no say"),
    OUTRANKED: Phrase("a source with higher authority has spoken"),
    "immutable": Phrase("another was first, and the first word stays"),
    "max": Phrase("another value is higher"),
}


class Said(NamedTuple):
    """What one record says of one field; `rank`: its source's authority, None for no say."""

    state: RecordState
    stamp: int
    value: bytes | None
    rank: int | None

    @property
    def claim(self) -> Claim | None:
        """As the merge sees it; None where it does not count."""
        if self.rank is None or not self.state.live:
            return None
        return Claim(self.rank, self.stamp, self.state.key, self.value)


def sayings(field: FieldPolicy, members: Sequence[RecordState]) -> list[Said]:
    """What each record says of a field that is not merged by union; the strongest first."""
    said = [
        Said(member, *member.asserts.values[field.name], field.rank(member.key.agency))
        for member in members
        if field.name in member.asserts.values
    ]
    return sorted(said, key=_weight, reverse=True)


def mentions(field: FieldPolicy, members: Sequence[RecordState]) -> dict[bytes, list[tuple[Said, bool]]]:
    """Element of a union field → who mentions it, and whether as present; the strongest first."""
    found: dict[bytes, list[tuple[Said, bool]]] = {}
    for member in members:
        rank = field.rank(member.key.agency)
        for element, (stamp, present) in member.asserts.unions.get(field.name, {}).items():
            found.setdefault(element, []).append((Said(member, stamp, element, rank), present))
    for those in found.values():
        those.sort(key=lambda one: (*_weight(one[0]), one[1]), reverse=True)
    return dict(sorted(found.items()))


def _weight(said: Said) -> tuple[object, ...]:
    claim = said.claim
    # What does not count comes last, in an order of its own.
    return (False, said.stamp, said.state.key) if claim is None else (True, *strength(claim))


def outcome(policy: TypePolicy, name: str, said: Said, golden: Golden) -> tuple[str, Phrase]:
    """What became of one saying: a word for programs, and the reason in words."""
    won = golden.get(name)
    if not said.state.live and said.state.key.agency == STEWARD:
        return ENDED, Phrase("the steward's word was taken back")
    if not said.state.live:
        return ENDED, Phrase("the record was deleted: what it said is kept as evidence of who it was")
    if said.claim is None:
        return NO_AUTHORITY, _LOST[NO_AUTHORITY]
    if won is None:
        return NO_AUTHORITY, Phrase("nothing supports the entity any more")
    if won.key == said.state.key:
        return WINS, UNSAID
    if won.value == said.value:
        return AGREES, Phrase("says the same")
    # Asked as intake asks when it answers an edit: as if the record had just said this.
    edit = Change(
        key=said.state.key,
        operation="update",
        stamp=said.stamp,
        effective=said.stamp,
        values={name: said.value},
    )
    reason = next(iter(lost_fields(policy, edit, golden))).reason
    if reason != OLDER:
        return reason, _LOST[reason]
    place = _first_difference(Claim(won.rank, won.stamp, won.key, won.value), said.claim)
    if place == _STAMP:
        return OLDER, Phrase("the other was said later")
    return "tie", Phrase(
        "said at the same moment with the same authority: %(tie)s decides", tie=_TIES[place - 2]
    )


def rule(field: FieldPolicy, said: Sequence[Said], won: Claim) -> Phrase:
    """The rule by which `won` is the golden value, in words."""
    others = [claim for one in said if (claim := one.claim) is not None and claim.key != won.key]
    if won.key.agency == STEWARD:
        return Phrase("a steward decided: that stands above every agency")
    if not others:
        return Phrase("the only one with a say")
    rival = winner(field, others)
    if rival.value == won.value and all(claim.value == won.value for claim in others):
        return Phrase("all who have a say agree")
    if field.merge == "max" and rival.value != won.value:
        return Phrase("the highest value stands (max)")
    if rival.rank != won.rank:
        return Phrase(
            "highest authority: %(agency)s stands above %(other)s for this field",
            agency=won.key.agency,
            other=rival.key.agency,
        )
    if field.merge == "immutable":
        return Phrase("immutable: the first dated word stays")
    place = _first_difference(won, rival)
    if place == _STAMP:
        return Phrase("the latest word among those with the highest authority")
    return Phrase("same authority and same moment: %(tie)s decides", tie=_TIES[place - 2])


def _first_difference(a: Claim, b: Claim) -> int:
    """The first place in which the two differ in strength: 0 is authority, 1 the stamp, then ties."""
    pairs = zip(strength(a), strength(b), strict=True)
    return next(place for place, (x, y) in enumerate(pairs) if x != y)
