"""Undo in the core: what is left is what would have been, had the withdrawn never been said (R8)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
from hypothesis import given
from hypothesis import strategies as st
from support.changes import key, minute, record_id, said
from support.contracts import TYPES
from support.histories import _VALUES

from hub.core.assertions import Change, RecordState, Replaced, absorb, pack
from hub.core.undo import Span, actors, mark, standing, withdraw

RECORD = key("ads", "1")
POLICY = TYPES["person"]
FIELDS = _VALUES["person"]


@st.composite
def changes(draw: st.DrawFn) -> Change:
    names = draw(st.sets(st.sampled_from(sorted(FIELDS)), min_size=1, max_size=3))
    values: dict[str, Any] = {name: draw(st.sampled_from(FIELDS[name])) for name in sorted(names)}
    removed = draw(st.sampled_from([None, {"languages": ["fr"]}, {"languages": ["ar"]}]))
    actor = draw(st.sampled_from([None, "form", "import", "script"]))
    stamp = {"at_minute": draw(st.integers(1, 12)), "counter": draw(st.integers(0, 1))}
    return said(RECORD, **stamp, removed=removed, actor=actor, **values)


def absorbed(those: Sequence[Change]) -> tuple[RecordState, list[Replaced]]:
    state, replaced = RecordState(id=record_id(RECORD), key=RECORD), []
    for change in those:
        absorb(POLICY, state, standing(state, change), replaced)
    return state, replaced


def words(state: RecordState) -> bytes:
    """What the record asserts, without marks."""
    plain = RecordState(id=state.id, key=state.key)
    plain.asserts.values, plain.asserts.unions = state.asserts.values, state.asserts.unions
    return pack(plain.asserts)


@given(st.data(), st.lists(changes(), max_size=12))
def test_r8_what_is_left_is_as_if_it_had_never_been_said(data: st.DataObject, those: list[Change]) -> None:
    arrived = data.draw(st.permutations(those + those[: len(those) // 2]))
    since = data.draw(st.integers(1, 12))
    span = Span(minute(since), minute(since + data.draw(st.integers(0, 6)), 1))
    outside = [change for change in those if not span.within(change.effective)]
    state, kept = absorbed(arrived)
    withdraw(POLICY, state, kept, span)
    assert words(state) == words(absorbed(outside)[0])
    # Twice is once.
    assert not withdraw(POLICY, state, kept, span)
    # What comes again is not taken again; what is said later stands.
    for change in data.draw(st.permutations(those)):
        absorb(POLICY, state, standing(state, change), kept)
    later = said(RECORD, 30, phone="+212600000000")
    absorb(POLICY, state, standing(state, later), kept)
    assert words(state) == words(absorbed([*outside, later])[0])
    # Undone again with another span, also of what was replaced meanwhile.
    everything = Span(0, minute(60))
    withdraw(POLICY, state, kept, everything)
    assert words(state) == words(absorbed([])[0])


def assertions(change: Change) -> set[tuple[str, bytes]]:
    """What a change asserts, each as its field and mark."""
    lists = [(b"", change.added), (None, change.removed)]
    return {
        *((n, mark(Replaced(n, change.effective, value))) for n, value in change.values.items()),
        *(
            (n, mark(Replaced(n, change.effective, present, element)))
            for present, those in lists
            for n, items in those.items()
            for element in items
        ),
    }


@given(st.data(), st.lists(changes(), max_size=12))
def test_r8_what_is_left_is_as_if_one_actor_had_never_said_it(
    data: st.DataObject, those: list[Change]
) -> None:
    arrived = data.draw(st.permutations(those + those[: len(those) // 2]))
    since = data.draw(st.integers(1, 12))
    span = Span(minute(since), minute(since + data.draw(st.integers(0, 12)), 1), "script")
    theirs = {one for c in those if c.actor == "script" and span.within(c.effective) for one in assertions(c)}
    # An assertion is its field, stamp and value: what another said in just the same moment is the same.
    left = [without(change, theirs) for change in those]
    state, kept = absorbed(arrived)
    assert actors(state, kept, span)["script"] == len(theirs)
    withdraw(POLICY, state, kept, span)
    assert words(state) == words(absorbed(left)[0])
    assert not withdraw(POLICY, state, kept, span)
    assert not actors(state, kept, span)
    for change in data.draw(st.permutations(those)):
        absorb(POLICY, state, standing(state, change), kept)
    assert words(state) == words(absorbed(left)[0])


def without(change: Change, taken: set[tuple[str, bytes]]) -> Change:
    def stands(name: str, value: bytes | None, element: bytes | None = None) -> bool:
        return (name, mark(Replaced(name, change.effective, value, element))) not in taken

    return msgspec.structs.replace(
        change,
        values={name: value for name, value in change.values.items() if stands(name, value)},
        added={n: [e for e in items if stands(n, b"", e)] for n, items in change.added.items()},
        removed={n: [e for e in items if stands(n, None, e)] for n, items in change.removed.items()},
    )
