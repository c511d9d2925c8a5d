"""What an operator sees of values without asking to see more."""

from __future__ import annotations

import datetime
from typing import Any

import pytest
from support.contracts import CATALOGUE

from hub.contracts.records import FieldSpec
from hub.contracts.values import encode, encode_string
from hub.ops.veil import COVER, EMPTY, Veil, covered_id

PERSON = CATALOGUE.records["person"].by_name


def seen(spec: FieldSpec, value: Any, *, reveal: bool = False) -> str:
    return Veil(reveal=reveal).value(spec, encode(spec, value))


def test_what_is_nobodys_secret_is_shown() -> None:
    assert seen(CATALOGUE.records["centre"].by_name["name_fr"], "Dar Taliba") == "Dar Taliba"
    assert seen(CATALOGUE.records["centre"].by_name["capacity"], 40) == "40"


def test_of_a_persons_text_the_first_letter_and_the_length_are_left() -> None:
    assert seen(PERSON["cin"], "SH123456") == f"S{COVER} (8)"
    assert seen(PERSON["family_name_ar"], "العلوي") == f"ا{COVER} (6)"


@pytest.mark.parametrize("value", ["A", "Al"])
def test_of_what_is_very_short_nothing_is_left(value: str) -> None:
    assert seen(PERSON["family_name_fr"], value) == COVER


@pytest.mark.parametrize(
    ("local_id", "shown"), [("8", COVER), ("12345", COVER), ("AB1234", f"A{COVER}"), ("", COVER)]
)
def test_a_short_local_id_shows_nothing_not_even_its_length(local_id: str, shown: str) -> None:
    assert covered_id(local_id) == shown


@pytest.mark.parametrize(
    ("name", "value"),
    [("sex", "female"), ("education_level", "higher"), ("birth_date", datetime.date(1990, 5, 1))],
)
def test_codes_and_dates_are_covered_whole(name: str, value: Any) -> None:
    assert seen(PERSON[name], value) == COVER


def test_what_is_sensitive_is_covered_whole_and_alike() -> None:
    assert {seen(PERSON["disability"], code) for code in PERSON["disability"].codes} == {COVER}


def test_an_empty_value_is_told_apart_from_a_covered_one() -> None:
    assert Veil().value(PERSON["disability"], None) == EMPTY


@pytest.mark.parametrize("name", [spec.name for spec in CATALOGUE.records["person"].fields])
def test_no_field_of_a_person_is_shown_unasked(name: str) -> None:
    spec = PERSON[name]
    if spec.kind == "date":
        value, raw = "1990-05-01", encode(spec, datetime.date(1990, 5, 1))
    else:
        value = list(spec.codes)[-1] if spec.codes else "Zineb Alami"
        raw = encode_string(value)
    assert value[1:] not in Veil().value(spec, raw)
    assert Veil(reveal=True).value(spec, raw) == value
