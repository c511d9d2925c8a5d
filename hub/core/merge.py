"""The golden record: which assertion of each field wins (R9).

`strength` is the total order that decides every conflict: authority rank, stamp, source, local id,
incarnation, canonical bytes. `winner` asks first for what a field's policy puts before it: the first word
(`immutable`), the highest value (`max`). Nothing else decides; in particular not the order of arrival (R8).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

from hub.core.assertions import Assertions, RecordKey, RecordState
from hub.core.policy import FieldPolicy, TypePolicy
from hub.core.stamps import LOWEST


class Claim(NamedTuple):
    """One record's assertion of one field, with its source's authority rank."""

    rank: int
    stamp: int
    key: RecordKey
    value: bytes | None


class Winner(NamedTuple):
    """What the hub believes of a field: for a union field `elements`, else `value`.

    `stamp`, `rank` and `key` are the winning assertion's (for a union, the latest contribution's).
    """

    value: bytes | None
    stamp: int
    rank: int
    key: RecordKey
    elements: tuple[bytes, ...] | None = None


Golden = Mapping[str, Winner]


def strength(claim: Claim) -> tuple[object, ...]:
    """The order of assertions of one field: the greatest wins (R9)."""
    return (
        -claim.rank,
        claim.stamp,
        claim.key.agency,
        claim.key.local_id,
        claim.key.incarnation,
        claim.value is not None,
        claim.value or b"",
    )


def winner(policy: FieldPolicy, claims: Sequence[Claim]) -> Claim:
    """The claim that decides the field; `claims` is not empty and holds only sources that have a say."""
    if len(claims) == 1:
        return claims[0]
    highest = min(claim.rank for claim in claims)
    if policy.merge == "immutable" and highest >= 0:
        # The first dated word of those with the highest authority stays.
        return min(
            claims,
            key=lambda claim: (claim.value is None, claim.rank, claim.stamp == LOWEST, claim),
        )
    if policy.merge == "max" and highest >= 0:
        return max(claims, key=lambda claim: (_precedence(policy, claim.value), strength(claim)))
    return max(claims, key=strength)


def _precedence(policy: FieldPolicy, value: bytes | None) -> tuple[object, ...]:
    if value is None:
        return (0,)
    return (1, policy.precedence(value) if policy.precedence else value)


def golden_record(policy: TypePolicy, members: Iterable[RecordState]) -> Golden:
    """The golden record of one entity: a pure function of its living members' assertions.

    A field that nobody with a say has spoken of is absent. Fields are in schema order. Where a deletion
    propagates, it ends all that was said before it, whoever said it (R15).
    """
    those = list(members)
    living = [member for member in those if member.live]
    horizon = deleted_at(policy, those)
    if horizon:
        living = [since(member, horizon) for member in living]
    golden: dict[str, Winner] = {}
    for field in policy.fields.values():
        won = (_union if field.merge == "union" else _single)(field, living)
        if won is not None:
            golden[field.name] = won
    return golden


def deleted_at(policy: TypePolicy, members: Iterable[RecordState]) -> int:
    """The stamp up to which everything said of the entity is deleted; 0 where deletions do not propagate."""
    if policy.delete != "propagate":
        return 0
    return max((m.ended for m in members if m.ended and not m.asserts.returned), default=0)


def since(member: RecordState, horizon: int) -> RecordState:
    """`member` with what it has said after `horizon`."""
    asserts = Assertions(
        values={name: said for name, said in member.asserts.values.items() if said[0] > horizon},
        unions={
            name: after
            for name, elements in member.asserts.unions.items()
            if (after := {e: said for e, said in elements.items() if said[0] > horizon})
        },
    )
    return RecordState(
        id=member.id,
        key=member.key,
        born=member.born,
        seen=member.seen,
        linked=member.linked,
        asserts=asserts,
    )


def is_live(policy: TypePolicy, members: Sequence[RecordState]) -> bool:
    """Whether a living record supports the entity by something that it says itself (R15)."""
    horizon = deleted_at(policy, members)
    if horizon:
        return any(member.live and since(member, horizon).speaks for member in members)
    return any(member.speaks for member in members)


def _single(field: FieldPolicy, living: Sequence[RecordState]) -> Winner | None:
    name = field.name
    claims = []
    for member in living:
        assertion = member.asserts.values.get(name)
        if assertion is None:
            continue
        rank = field.rank(member.key.agency)
        if rank is not None:
            claims.append(Claim(rank, assertion[0], member.key, assertion[1]))
    if not claims:
        return None
    won = winner(field, claims)
    return Winner(won.value, won.stamp, won.rank, won.key)


def _union(field: FieldPolicy, living: Sequence[RecordState]) -> Winner | None:
    """Each element for itself: the strongest of those who mention it says whether it is there."""
    best: dict[bytes, tuple[tuple[object, ...], Claim, bool]] = {}
    for element, claim, present in _mentions(field, living):
        entry = ((*strength(claim), present), claim, present)
        if element not in best or entry[0] > best[element][0]:
            best[element] = entry
    if not best:
        return None
    latest = max((claim for _, claim, _ in best.values()), key=lambda claim: (claim.stamp, claim))
    elements = tuple(sorted(element for element, (_, _, present) in best.items() if present))
    return Winner(None, latest.stamp, latest.rank, latest.key, elements)


def _mentions(field: FieldPolicy, living: Sequence[RecordState]) -> Iterator[tuple[bytes, Claim, bool]]:
    for member in living:
        rank = field.rank(member.key.agency)
        if rank is None:
            continue
        for element, (stamp, present) in member.asserts.unions.get(field.name, {}).items():
            yield element, Claim(rank, stamp, member.key, element), present
