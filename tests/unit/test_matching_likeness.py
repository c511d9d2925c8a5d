"""What a steward is shown of two records' words is what matching makes of them."""

from __future__ import annotations

import datetime
from typing import Any

import pytest
from support.changes import key, said
from support.contracts import TYPES
from support.memory_hub import MemoryHub

from hub.core.assertions import RecordState
from hub.core.matching import Likeness, agreement, compare, contradictions

PERSON = TYPES["person"]
DAY = datetime.date(1990, 5, 1)


def two(a: dict[str, Any], b: dict[str, Any]) -> tuple[RecordState, RecordState]:
    hub = MemoryHub()
    keys = key("entraide", "1"), key("ads", "2")
    hub.take(said(keys[0], 1, "insert", **a), said(keys[1], 2, "insert", **b))
    return hub.state(keys[0]), hub.state(keys[1])


@pytest.mark.parametrize(
    ("name", "a", "b", "wanted"),
    [
        ("cin", "SH1", "SH1", Likeness.AGREES),
        ("cin", "SH1", "SH2", Likeness.CONTRADICTS),
        ("birth_date", DAY, DAY.replace(day=2), Likeness.CONTRADICTS),
        ("sex", "female", "male", Likeness.CONTRADICTS),
        ("given_name_fr", "Zineb", "ZINÈB", Likeness.AGREES),
        ("given_name_ar", "إيمان", "ايمان", Likeness.AGREES),
        ("given_name_fr", "Zineb", "Salma", Likeness.DIFFERS),
        ("phone", "+212611111111", "+212622222222", Likeness.DIFFERS),
        ("cin", "SH1", None, Likeness.ONE_SIDED),
    ],
)
def test_one_field_of_two_records(name: str, a: Any, b: Any, wanted: Likeness) -> None:
    one, other = two({name: a}, {name: b} if b else {"commune": "11.321.01.03"})
    found = compare(PERSON, one, other)
    assert found[name] is wanted
    assert compare(PERSON, other, one) == found
    assert (name in contradictions(PERSON, one, other)) == (wanted is Likeness.CONTRADICTS)


def test_family_and_given_name_exchanged_agree() -> None:
    one, other = two(
        {"family_name_fr": "Alaoui", "given_name_fr": "Zineb"},
        {"family_name_fr": "Zineb", "given_name_fr": "Alaoui"},
    )
    assert agreement(PERSON, one, other)
    assert set(compare(PERSON, one, other).values()) == {Likeness.AGREES}


def test_what_neither_says_is_not_compared() -> None:
    one, other = two({"cin": "SH1"}, {"cin": "SH1"})
    assert set(compare(PERSON, one, other)) == {"cin"}
