"""Undo in the core: what is left is what would have been, had the withdrawn never been said (R8)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from support.changes import key, minute, record_id, said
from support.contracts import TYPES
from support.histories import _VALUES

from hub.core.assertions import Change, RecordState, Replaced, absorb, pack
from hub.core.undo import Span, standing, withdraw

RECORD = key("ads", "1")
POLICY = TYPES["person"]
FIELDS = _VALUES["person"]


@st.composite
def changes(draw: st.DrawFn) -> Change:
    names = draw(st.sets(st.sampled_from(sorted(FIELDS)), min_size=1, max_size=3))
    values: dict[str, Any] = {name: draw(st.sampled_from(FIELDS[name])) for name in sorted(names)}
    removed = draw(st.sampled_from([None, {"languages": ["fr"]}, {"languages": ["ar"]}]))
    return said(RECORD, draw(st.integers(1, 12)), counter=draw(st.integers(0, 1)), removed=removed, **values)


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
    outside = [change for change in those if not span.holds(change.effective)]
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
