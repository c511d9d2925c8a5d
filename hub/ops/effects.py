"""What one change comes to, field by field: decided by the core's own order, told in words (R9, R27).

`after` and `golden` are the record and its entity with the change absorbed, really or in rehearsal.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from hub.contracts.records import FieldSpec
from hub.core.answers import NO_AUTHORITY, NOT_PERMITTED, OLDER, OUTRANKED
from hub.core.assertions import Change, RecordState
from hub.core.merge import Golden, Winner
from hub.core.policy import TypePolicy
from hub.ops.parts import stamp_time
from hub.ops.rulings import AGREES, WINS, Said, outcome
from hub.ops.veil import Veil

# What a change comes to as a whole.
APPLIED, SUPERSEDED, HELD, DEAD = "applied", "superseded", "held", "dead"
# Of one field, beside the words of `hub.ops.rulings`.
NOTHING = "nothing"

_REASONS = {
    OLDER: "newer",
    OUTRANKED: "authority",
    NO_AUTHORITY: "authority: it has no say over this field",
    "immutable": "the first word stays",
    "max": "the highest value stands",
}


@dataclass(frozen=True)
class FieldEffect:
    """What a change comes to in one field (of a list: in one element).

    `value`: what it says, veiled. `outcome`: wins, agrees, superseded, held, not_permitted, nothing, or why
    it loses. `rival`: whose word stands instead, and `rival_when` since when. `changes`: whether the golden
    record becomes another by it; `before`: what the golden value was, veiled.
    """

    name: str
    value: str
    outcome: str
    why: str
    rival: str = ""
    rival_when: str = ""
    before: str = ""
    changes: bool = False


def took(change: Change, after: RecordState) -> bool:
    """Whether anything that `change` says is what its record says now; one that has ended says nothing."""
    if change.operation in ("delete", "unlink"):
        return after.ended == change.stamp
    if after.ended:
        return False
    if change.operation == "link" and change.entity is not None and after.linked == change.entity:
        return True
    spoken = list(_spoken_values(change))
    elements = list(_spoken_elements(change))
    if not spoken and not elements:
        return after.seen == change.stamp
    return any(_stands(change, after, name, value) for name, value in spoken) or any(
        _mentioned(change, after, name, element, there) for name, element, there in elements
    )


def field_effects(
    policy: TypePolicy,
    specs: Mapping[str, FieldSpec],
    change: Change,
    after: RecordState,
    before: Golden,
    golden: Golden,
    veil: Veil,
) -> Iterator[FieldEffect]:
    """What `change` comes to in each field that it speaks of; `before`: the golden record without it."""
    for name in change.withheld:
        yield FieldEffect(name, "", NOT_PERMITTED, "its agreement does not let it say this")
    for name, raw in change.stale.items():
        value = veil.value(specs[name], raw)
        yield FieldEffect(name, value, HELD, "a stale form: it puts back what the hub had replaced")
    for name, raw in change.values.items():
        said = veil.value(specs[name], raw)
        if raw is None and change.operation != "update":
            yield FieldEffect(name, said, NOTHING, "an empty field says nothing, other than in an update")
        elif not _stands(change, after, name, raw):
            yield _overtaken(policy, after, name, said)
        else:
            yield _in_golden(policy, specs[name], change, after, before, golden, veil)
    for name, element, there in _spoken_elements(change):
        yield _element(specs[name], change, after, before, golden, veil, element, there=there)


def _spoken_values(change: Change) -> Iterator[tuple[str, bytes | None]]:
    for name, value in change.values.items():
        if value is not None or change.operation == "update":
            yield name, value


def _spoken_elements(change: Change) -> Iterator[tuple[str, bytes, bool]]:
    for lists, there in ((change.added, True), (change.removed, False)):
        for name, elements in lists.items():
            yield from ((name, element, there) for element in elements)


def _stands(change: Change, after: RecordState, name: str, value: bytes | None) -> bool:
    return after.asserts.values.get(name) == (change.effective, value)


def _mentioned(change: Change, after: RecordState, name: str, element: bytes, there: bool) -> bool:
    return after.asserts.unions.get(name, {}).get(element) == (change.effective, there)


def _overtaken(policy: TypePolicy, after: RecordState, name: str, said: str) -> FieldEffect:
    """The record itself has said something else of the field that stands above."""
    known = after.asserts.values.get(name)
    if known is None:
        why = "the record has ended" if after.ended else "the record does not say it"
        return FieldEffect(name, said, SUPERSEDED, why)
    first = policy.fields[name].merge == "immutable"
    why = "its first word stays" if first else "it has said so later itself"
    return FieldEffect(name, said, SUPERSEDED, why, after.key.agency, stamp_time(known[0]))


def _in_golden(
    policy: TypePolicy,
    spec: FieldSpec,
    change: Change,
    after: RecordState,
    before: Golden,
    golden: Golden,
    veil: Veil,
) -> FieldEffect:
    name, value = spec.name, change.values[spec.name]
    rank = policy.fields[name].rank(after.key.agency)
    word, why = outcome(policy, name, Said(after, change.effective, value, rank), golden)
    was, now = before.get(name), golden.get(name)
    said = veil.value(spec, value)
    shown = (
        "" if was is None else f"{veil.value(spec, was.value)} ({was.key.agency}, {stamp_time(was.stamp)})"
    )
    if word in (WINS, AGREES):
        changes = was is None or was.value != value
        return FieldEffect(name, said, word, why, before=shown, changes=changes)
    return FieldEffect(name, said, word, _REASONS.get(word, why), *_rival(now), before=shown)


def _rival(won: Winner | None) -> tuple[str, str]:
    return ("", "") if won is None else (won.key.agency, stamp_time(won.stamp))


def _element(
    spec: FieldSpec,
    change: Change,
    after: RecordState,
    before: Golden,
    golden: Golden,
    veil: Veil,
    element: bytes,
    *,
    there: bool,
) -> FieldEffect:
    name, said = spec.name, f"{'+' if there else '-'} {veil.value(spec, element)}"
    if not _mentioned(change, after, name, element, there):
        return FieldEffect(name, said, SUPERSEDED, "it has said otherwise of this element later itself")
    was, now = (element in _elements(one.get(name)) for one in (before, golden))
    if now is not there:
        return FieldEffect(name, said, OUTRANKED, "a stronger word on this element stands")
    return FieldEffect(name, said, WINS, "", changes=was is not now)


def _elements(won: Winner | None) -> tuple[bytes, ...]:
    return (won.elements or ()) if won else ()
