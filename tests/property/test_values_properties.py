"""Equal values have equal bytes, and canonical bytes stay as they are."""

from __future__ import annotations

import contextlib
import re
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from support.contracts import CATALOGUE

from hub.contracts.records import FieldSpec
from hub.contracts.values import (
    InvalidValue,
    SpecKey,
    canonical,
    decode,
    decode_long,
    decode_string,
    encode,
    encode_long,
    encode_string,
    normalise,
    normalise_text,
)
from hub.errors import SkipRecord

SPECS = [spec for record in CATALOGUE.records.values() for spec in record.fields]
KEYS = {id(spec): SpecKey(spec) for spec in SPECS}
marked = st.text(st.sampled_from("aée\u0301\u0327 \u200f\u202b\u00a0\ufeffشّ\u0651\u064b.,"), max_size=10)


def _texts(spec: FieldSpec) -> st.SearchStrategy[str]:
    if spec.codes:
        return st.sampled_from(sorted(spec.codes))
    if spec.pattern:
        return st.from_regex(re.compile(spec.pattern.pattern, re.ASCII), fullmatch=True)
    return marked | st.text(max_size=12)


def values(spec: FieldSpec) -> st.SearchStrategy[Any]:
    """Values that a field may be given, right ones and wrong ones."""
    kinds: dict[str, st.SearchStrategy[Any]] = {
        "int": st.integers(-(2**33), 2**33),
        "long": st.integers(-(2**65), 2**65),
        "double": st.floats() | st.integers(),
        "boolean": st.booleans(),
        "date": st.dates(),
    }
    return kinds[spec.kind] if spec.kind in kinds else _texts(spec)


anything = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=6), st.binary(max_size=4),
    st.dates(), st.datetimes(), st.lists(st.text(max_size=3), max_size=2), st.just("\ud800"),
)  # fmt: skip


@given(data=st.data())
def test_canonical_bytes_are_canonical_and_mean_the_same(data: st.DataObject) -> None:
    spec = data.draw(st.sampled_from(SPECS))
    value = data.draw(values(spec))
    try:
        raw = encode(spec, value)
    except InvalidValue:
        return
    if raw is not None:
        assert canonical(KEYS[id(spec)], raw) == raw
        assert encode(spec, decode(spec, raw)) == raw


@given(data=st.data())
def test_equal_values_have_equal_bytes_and_different_ones_have_not(data: st.DataObject) -> None:
    spec = data.draw(st.sampled_from(SPECS))
    one, other = data.draw(values(spec)), data.draw(values(spec))
    try:
        raw, other_raw = encode(spec, one), encode(spec, other)
        whole = [one] if spec.kind == "strings" else one
        other_whole = [other] if spec.kind == "strings" else other
        equal = normalise(spec, whole) == normalise(spec, other_whole)
    except InvalidValue:
        return
    assert (raw == other_raw) is equal


@given(data=st.data())
def test_anything_is_a_value_or_refused(data: st.DataObject) -> None:
    spec = data.draw(st.sampled_from(SPECS))
    value = data.draw(anything)
    with contextlib.suppress(InvalidValue):
        raw = encode(spec, value)
        assert raw is None or canonical(KEYS[id(spec)], raw) == raw


@given(data=st.data())
def test_any_bytes_are_a_value_or_refused(data: st.DataObject) -> None:
    spec = data.draw(st.sampled_from(SPECS))
    try:
        raw = canonical(KEYS[id(spec)], data.draw(st.binary(max_size=12)))
    except SkipRecord:
        return
    assert raw is None or canonical(KEYS[id(spec)], raw) == raw


@given(text=marked | st.text())
def test_normalising_text_twice_changes_nothing_more(text: str) -> None:
    once = normalise_text(text)
    assert normalise_text(once) == once


@given(number=st.integers(-(2**63), 2**63 - 1))
def test_longs_are_inverse(number: int) -> None:
    raw = encode_long(number)
    assert decode_long(raw, 0) == (number, len(raw))


@given(text=st.text(st.characters(codec="utf-8")))
def test_strings_are_inverse(text: str) -> None:
    assert decode_string(encode_string(text)) == text
