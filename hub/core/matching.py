"""Matching: which local records are one entity (R16).

`cluster` is a function of the set of records, not of their arrival: pairs are judged in a fixed order, and
two groups become one only if no member of one contradicts a member of the other. What must not be linked
by itself becomes a `Review`; nothing is disclosed on the strength of a review.
"""

from __future__ import annotations

import unicodedata
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from functools import lru_cache
from itertools import combinations, product
from typing import NamedTuple

from hub.core.assertions import RecordState
from hub.core.policy import STEWARD, TypePolicy
from hub.core.texts import text_of

# An identifier that more records share than this is a placeholder ("0000000"), not an identifier:
# comparing all pairs would be quadratic, and linking them would join strangers.
MAX_SHARERS = 32


class Review(NamedTuple):
    """Two records that a person must look at; `reason` is a stable word, `fields` the evidence."""

    a: bytes
    b: bytes
    reason: str
    fields: tuple[str, ...]


@dataclass(frozen=True)
class Decision:
    """A steward's word on two records: the same, or not. The latest of a pair counts."""

    a: bytes
    b: bytes
    same: bool
    stamp: int


@dataclass(frozen=True)
class Clustering:
    """Every record's founding record (which gives the entity its id), and what needs a person."""

    founder: Mapping[bytes, bytes]
    reviews: tuple[Review, ...]


@dataclass
class _Groups:
    """Union-find over record ids; keeps members, since a merge is checked against all of them."""

    parent: dict[bytes, bytes]
    members: dict[bytes, list[RecordState]]
    apart: set[frozenset[bytes]] = field(default_factory=set)

    def find(self, record: bytes) -> bytes:
        while self.parent[record] != record:
            self.parent[record] = self.parent[self.parent[record]]
            record = self.parent[record]
        return record

    def join(self, a: bytes, b: bytes) -> None:
        root, other = sorted((self.find(a), self.find(b)))
        if root != other:
            self.parent[other] = root
            self.members[root] += self.members.pop(other)


def identity_values(policy: TypePolicy, state: RecordState) -> list[tuple[str, bytes]]:
    """The values by which `state` can meet others: (field, value); for natural keys one joined value.

    None of a steward's: their word on a field says what is true of whom they mean, not who that is; that
    they decide by pairs.
    """
    if state.key.agency == STEWARD:
        return []
    values = state.asserts.values
    if policy.natural_key:
        parts = [values.get(name) for name in policy.natural_key]
        if any(part is None or part[1] is None for part in parts):
            return []
        return [("/".join(policy.natural_key), b"".join(part[1] or b"" for part in parts if part))]
    return [
        (name, assertion[1])
        for name in policy.identifiers
        if (assertion := values.get(name)) is not None and assertion[1] is not None
    ]


def cluster(
    policy: TypePolicy, records: Iterable[RecordState], decisions: Iterable[Decision] = ()
) -> Clustering:
    """Group `records` (a closed set: whoever shares an identity value with a member is a member).

    Order of precedence: a steward's decisions, records created for an entity, then shared identifiers.
    """
    states = sorted(records, key=lambda state: state.key)
    by_id = {state.id: state for state in states}
    groups = _Groups({state.id: state.id for state in states}, {s.id: [s] for s in states})
    latest = {frozenset((d.a, d.b)): d for d in sorted(decisions, key=lambda d: (d.stamp, not d.same))}
    groups.apart = {pair for pair, decision in latest.items() if not decision.same}
    for pair, decision in sorted(latest.items(), key=lambda item: sorted(item[0])):
        if decision.same and pair <= by_id.keys():
            groups.join(decision.a, decision.b)
    for state in states:
        created_for = state.linked if state.linked in by_id else None
        if created_for is not None and frozenset((state.id, created_for)) not in groups.apart:
            groups.join(state.id, created_for)
    reviews = list(_link_by_identity(policy, states, groups))
    founder = {member.id: _founder(group).id for group in groups.members.values() for member in group}
    return Clustering(founder, tuple(sorted(set(reviews))))


def _founder(group: Sequence[RecordState]) -> RecordState:
    """The oldest record that was not itself created for an entity: stable when others join later."""
    return min(group, key=lambda state: (state.linked is not None, state.born, state.key))


def _link_by_identity(policy: TypePolicy, states: Sequence[RecordState], groups: _Groups) -> Iterator[Review]:
    sharers: dict[tuple[str, bytes], list[RecordState]] = defaultdict(list)
    for state in states:
        for identity in identity_values(policy, state):
            sharers[identity].append(state)
    # Every pair is judged once, with all that the two share; in an order that depends on data alone.
    pairs: dict[tuple[bytes, bytes], list[str]] = {}
    by_id = {state.id: state for state in states}
    for (name, _), sharing in sorted(sharers.items(), key=lambda item: item[0]):
        if len(sharing) > MAX_SHARERS:
            yield from (Review(sharing[0].id, s.id, "too_many_share", (name,)) for s in sharing[1:])
            continue
        for a, b in combinations(sharing, 2):
            pairs.setdefault((a.id, b.id), []).append(name)
    for (a_id, b_id), names in sorted(
        pairs.items(), key=lambda item: (by_id[item[0][0]].key, by_id[item[0][1]].key)
    ):
        yield from _judge(policy, groups, by_id[a_id], by_id[b_id], tuple(names))


def _judge(
    policy: TypePolicy, groups: _Groups, a: RecordState, b: RecordState, shared: tuple[str, ...]
) -> Iterator[Review]:
    if groups.find(a.id) == groups.find(b.id):
        return
    both = groups.members[groups.find(a.id)], groups.members[groups.find(b.id)]
    if groups.apart and any(frozenset((x.id, y.id)) in groups.apart for x, y in product(*both)):
        # A steward has said so: nobody is asked again, whatever else speaks against it.
        return
    for x, y in product(*both):
        if against := contradictions(policy, x, y):
            yield Review(a.id, b.id, "contradiction", (*shared, *against))
            return
    if policy.natural_key or agreement(policy, a, b):
        groups.join(a.id, b.id)
    else:
        yield Review(a.id, b.id, "identifier_alone", shared)


def _value(state: RecordState, name: str | None) -> bytes | None:
    assertion = state.asserts.values.get(name) if name else None
    return assertion[1] if assertion else None


def contradictions(policy: TypePolicy, a: RecordState, b: RecordState) -> tuple[str, ...]:
    """Fields that speak against the two being one: birth date, sex, another strong identifier."""
    if STEWARD in (a.key.agency, b.key.agency):
        # It would part whom it is about, where it corrects what all of them have.
        return ()
    matched = policy.matched
    names = (*policy.identifiers, matched.get("birth_date"), matched.get("sex"))
    return tuple(
        name for name in names if name and (x := _value(a, name)) and (y := _value(b, name)) and x != y
    )


def agreement(policy: TypePolicy, a: RecordState, b: RecordState) -> bool:
    """Whether birth date, or family and given name in one script, are the same at both."""
    return bool(agreed_on(policy, a, b))


def agreed_on(policy: TypePolicy, a: RecordState, b: RecordState) -> str:
    """What two records agree in, beside an identifier: "birth_date", "name", or nothing ("")."""
    matched = policy.matched
    birth = _value(a, matched.get("birth_date"))
    if birth is not None and birth == _value(b, matched.get("birth_date")):
        return "birth_date"
    alike = any(
        (x := _name(a, matched, script)) is not None and x == _name(b, matched, script)
        for script in ("ar", "fr")
    )
    return "name" if alike else ""


class Likeness(StrEnum):
    """What two records' words on one field are to each other, as matching takes them."""

    AGREES = "agrees"
    CONTRADICTS = "contradicts"
    DIFFERS = "differs"
    ONE_SIDED = "one_sided"


def compare(policy: TypePolicy, a: RecordState, b: RecordState) -> dict[str, Likeness]:
    """Each field with one value of which either says something → what the two are to each other.

    Names agree as `agreement` has them: spelled alike, or family and given name exchanged.
    """
    against = contradictions(policy, a, b)
    found = {}
    for name, field_policy in policy.fields.items():
        x, y = _value(a, name), _value(b, name)
        if x is None and y is None:
            continue
        if x is None or y is None:
            found[name] = Likeness.ONE_SIDED
        elif x == y or _same_name(policy, field_policy.match, a, b):
            found[name] = Likeness.AGREES
        else:
            found[name] = Likeness.CONTRADICTS if name in against else Likeness.DIFFERS
    return found


def _same_name(policy: TypePolicy, role: str | None, a: RecordState, b: RecordState) -> bool:
    """Whether `role` is a part of a name, and that part or the whole name is the same at both."""
    script = (role or "").removeprefix("name_")[:2]
    if role not in (f"name_{script}_family", f"name_{script}_given"):
        return False
    matched = policy.matched
    x, y = _value(a, matched.get(role)), _value(b, matched.get(role))
    if x is not None and y is not None and _folded(x) == _folded(y):
        return True
    return (whole := _name(a, matched, script)) is not None and whole == _name(b, matched, script)


def _name(state: RecordState, matched: Mapping[str, str], script: str) -> str | None:
    family = _value(state, matched.get(f"name_{script}_family"))
    given = _value(state, matched.get(f"name_{script}_given"))
    if family is None or given is None:
        return None
    # Families and given names are often typed into each other's box. Names without a letter ("-", "…") are
    # what a form demanded of somebody who knew no name: two of them do not agree.
    return " ".join(sorted(f"{_folded(family)} {_folded(given)}".split())) or None


# Letters that Moroccan registers use for one another.
_ARABIC = str.maketrans(
    {"أ": "ا", "إ": "ا", "آ": "ا", "ٱ": "ا", "ى": "ي", "ة": "ه", "ؤ": "و", "ئ": "ي", "ـ": ""}
)


@lru_cache(maxsize=20_000)
def _folded(encoded: bytes) -> str:
    return folded(text_of(encoded))


def folded(name: str) -> str:
    """A name without case, accents, vowel marks and variant letters; what is no letter is a space."""
    text = unicodedata.normalize("NFKD", name.translate(_ARABIC))
    letters = (
        character if character.isalpha() else " "
        for character in text
        if not unicodedata.combining(character)
    )
    return "".join(letters).translate(_ARABIC).casefold()
