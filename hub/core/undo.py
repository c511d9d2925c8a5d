"""Taking back what a record has asserted within a span of time: earlier assertions stand again. Pure.

For this the lesser of each two assertions of a record and field is kept for some days, and who made which,
where an agency tells. An assertion is its field, stamp and value: made by two it is one. What is withdrawn
leaves a mark in the record's state, so that it does not come again with a message that is read twice; the
marks are part of the state, and go wherever it goes (R31).
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field

import msgspec

from hub.core.assertions import DELETION, Change, RecordState, Replaced, supersedes
from hub.core.policy import TypePolicy


@dataclass(frozen=True)
class Span:
    """Stamps from `since` to `until`, both included: when it was said, by the agency's clock. Of all, or of
    one `actor`."""

    since: int
    until: int
    actor: str | None = None

    def within(self, stamp: int) -> bool:
        return self.since <= stamp <= self.until

    def holds(self, one: Replaced) -> bool:
        return self.within(one.stamp) and self.actor in (None, one.actor)


@dataclass
class Withdrawn:
    """What was withdrawn of one record. `back`: fields of which an earlier assertion stands again; `gone`:
    fields of which it says nothing any more; `deleted`: the stamp of a deletion within the span, or 0."""

    back: set[str] = field(default_factory=set)
    gone: set[str] = field(default_factory=set)
    marked: int = 0
    deleted: int = 0

    @property
    def fields(self) -> set[str]:
        return self.back | self.gone

    def __bool__(self) -> bool:
        return bool(self.marked or self.deleted)


def mark(said: Replaced) -> bytes:
    """8 bytes that stand for an assertion without repeating its value."""
    parts = b"%d\0" % said.stamp
    for part in (said.element, said.value):
        parts += b"-" if part is None else b"%d\0%b" % (len(part), part)
    return hashlib.blake2b(parts, digest_size=8).digest()


def standing(state: RecordState, change: Change) -> Change:
    """`change` without what a person has taken back."""
    withdrawn = state.asserts.withdrawn

    def stands(name: str, value: bytes | None, element: bytes | None = None) -> bool:
        marks = withdrawn.get(name)
        return not marks or mark(Replaced(name, change.effective, value, element)) not in marks

    return msgspec.structs.replace(
        change,
        values={name: value for name, value in change.values.items() if stands(name, value)},
        added={n: [e for e in items if stands(n, b"", e)] for n, items in change.added.items()},
        removed={n: [e for e in items if stands(n, None, e)] for n, items in change.removed.items()},
    )


def taken_back_fields(state: RecordState | None, golden: Collection[str]) -> list[str]:
    """Fields of which neither the record nor anybody else says anything since its word was taken back."""
    if state is None or not state.asserts.withdrawn:
        return []
    return sorted(state.asserts.withdrawn.keys() - set(golden))


def withdraw(policy: TypePolicy, state: RecordState, kept: Collection[Replaced], span: Span) -> Withdrawn:
    """Withdraw what `state` asserted within `span`, in place; `kept`: its assertions that do not stand.

    Afterwards it asserts what it would if those had never been said. Doing it again changes nothing.
    """
    done = Withdrawn()
    said: dict[tuple[str, bytes | None], list[Replaced]] = {}
    for one in (*_current(state), *kept):
        said.setdefault((one.field, one.element), []).append(one)
    ends = said.pop((DELETION, None), [])
    for (name, element), those in said.items():
        _withdraw_one(policy, state, name, element, those, span, done)
    for name, stamps in list(state.asserts.rewrites.items()):
        # Answers to edits that never were do not make a dispute (R19).
        theirs = {one.stamp for one in kept if one.field == name and span.holds(one)}
        never = [s for s in stamps if span.within(s) and (span.actor is None or s in theirs)]
        state.asserts.rewrites[name] = [stamp for stamp in stamps if stamp not in never]
    _withdraw_deletion(state, ends, span, done)
    done.gone -= done.back
    return done


def _withdraw_deletion(state: RecordState, ends: list[Replaced], span: Span, done: Withdrawn) -> None:
    marks = state.asserts.withdrawn.get(DELETION, [])
    last = {mark(end) for end in ends if span.holds(end) and end.stamp == state.ended} - set(marks)
    if last and not state.asserts.returned:
        # It ended this life all the same: the next one goes on for it.
        state.asserts.withdrawn[DELETION] = sorted({*marks, *last})
        done.deleted = state.ended


def actors(state: RecordState, kept: Collection[Replaced], span: Span) -> Counter[str | None]:
    """How many assertions and deletions of `span` each actor made that are not taken back; None: not told."""
    made: dict[tuple[str, bytes], set[str | None]] = {}
    for one in (*_current(state), *kept):
        if span.holds(one) and mark(one) not in state.asserts.withdrawn.get(one.field, ()):
            made.setdefault((one.field, mark(one)), set()).add(one.actor)
    counts: Counter[str | None] = Counter()
    for those in made.values():
        counts.update(those - {None} or {None})
    return counts


def _current(state: RecordState) -> Iterator[Replaced]:
    for name, (stamp, value) in state.asserts.values.items():
        yield Replaced(name, stamp, value)
    for name, elements in state.asserts.unions.items():
        for element, (stamp, present) in elements.items():
            yield Replaced(name, stamp, b"" if present else None, element)
    if state.ended and not state.asserts.returned:
        yield Replaced(DELETION, state.ended, None)


def _withdraw_one(
    policy: TypePolicy,
    state: RecordState,
    name: str,
    element: bytes | None,
    those: list[Replaced],
    span: Span,
    done: Withdrawn,
) -> None:
    marks = state.asserts.withdrawn.get(name, [])
    gone = {mark(one) for one in those if span.holds(one)} - set(marks)
    if not gone:
        return
    state.asserts.withdrawn[name] = sorted({*marks, *gone})
    done.marked += len(gone)
    left = [one._replace(actor=None) for one in those if mark(one) not in {*gone, *marks}]
    before = _standing_now(state, name, element)
    best = _best(policy.fields[name].merge, left)
    _put(state, name, element, best)
    if best != before:
        (done.gone if best is None else done.back).add(name)


def _standing_now(state: RecordState, name: str, element: bytes | None) -> Replaced | None:
    return next((one for one in _current(state) if (one.field, one.element) == (name, element)), None)


def _best(merge: str, left: list[Replaced]) -> Replaced | None:
    best: Replaced | None = None
    for one in left:
        if best is None or supersedes(merge, (one.stamp, one.value), (best.stamp, best.value)):
            best = one
    return best


def _put(state: RecordState, name: str, element: bytes | None, best: Replaced | None) -> None:
    if element is None:
        if best is None:
            state.asserts.values.pop(name, None)
        else:
            state.asserts.values[name] = best.stamp, best.value
        return
    elements = state.asserts.unions.setdefault(name, {})
    if best is None:
        elements.pop(element, None)
    else:
        elements[element] = best.stamp, best.value is not None
    if not elements:
        del state.asserts.unions[name]
