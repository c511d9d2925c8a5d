"""Field values: equal values have equal bytes, and what the contract does not allow is refused."""

from __future__ import annotations

import datetime
import struct
import unicodedata
from typing import Any

import pytest
from support.contracts import CATALOGUE

from hub.contracts import values
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

PERSON, COOPERATIVE = CATALOGUE.records["person"].by_name, CATALOGUE.records["cooperative"].by_name
NAME, CIN, SEX = PERSON["family_name_ar"], PERSON["cin"], PERSON["sex"]
BORN, LANGUAGES = PERSON["birth_date"], PERSON["languages"]
MEMBERS, SHARE, ACTIVE = COOPERATIVE["members"], COOPERATIVE["share"], COOPERATIVE["active"]
CAPACITY = CATALOGUE.records["centre"].by_name["capacity"]


@pytest.mark.parametrize("number", [0, -1, 1, 63, -64, 64, 2**31 - 1, -(2**31), 2**63 - 1, -(2**63)])
def test_a_long_is_encoded_and_decoded(number: int) -> None:
    raw = encode_long(number)
    assert decode_long(b"x" + raw + b"y", 1) == (number, 1 + len(raw))


@pytest.mark.parametrize("raw", [b"", b"\x80", b"\x80" * 9, b"\xff" * 9 + b"\x03", b"\x80" * 10 + b"\x00"])
def test_a_number_that_ends_early_or_has_more_than_64_bits_is_refused(raw: bytes) -> None:
    with pytest.raises(SkipRecord) as refusal:
        decode_long(raw, 0)
    assert refusal.value.code == "undecodable"


@pytest.mark.parametrize("raw", [b"", b"\x04a", b"\x02ab", b"\x01", b"\x02\xff", b"\x04\xd8\x00"])
def test_a_string_must_be_exactly_its_length_and_utf_8(raw: bytes) -> None:
    with pytest.raises(SkipRecord):
        decode_string(raw)


def test_normalised_text_is_composed_and_without_invisible_edges() -> None:
    assert normalise_text("\u200f \u00a0e\u0301te\u0301\u202c\n") == "été"
    # Inside a text, marks and spaces are the writer's.
    assert normalise_text("a\u200f b") == "a\u200f b"


@pytest.mark.parametrize(
    ("spec", "value", "expected"),
    [
        (NAME, "  العلوي\u200f", "العلوي"),
        (NAME, "\u200f \u200e", None),
        (NAME, None, None),
        (CIN, "SH123", "SH123"),
        (SEX, "female", "female"),
        (BORN, datetime.date(1, 1, 1), datetime.date(1, 1, 1)),
        (LANGUAGES, ["fr", "ar", " fr", ""], ["ar", "fr"]),
        (LANGUAGES, [], []),
        (CAPACITY, 2**31 - 1, 2**31 - 1),
        (MEMBERS, -(2**63), -(2**63)),
        (SHARE, 5, 5.0),
        (ACTIVE, False, False),
    ],
)
def test_what_the_contract_allows_is_normalised(spec: FieldSpec, value: Any, expected: Any) -> None:
    assert normalise(spec, value) == expected


@pytest.mark.parametrize(
    ("spec", "value"),
    [
        (NAME, 5),
        (NAME, "x" * 81),
        (NAME, "a\0b"),
        (NAME, "half a pair \ud800"),
        (CIN, "sh123"),
        (CIN, "SH123 4"),
        (SEX, "f"),
        (BORN, "1990-01-01"),
        (BORN, datetime.datetime(1990, 1, 1, tzinfo=datetime.UTC)),
        (LANGUAGES, "ar"),
        (LANGUAGES, ["xx"]),
        (CAPACITY, 2**31 + 5),
        (CAPACITY, True),
        (CAPACITY, 1.0),
        (MEMBERS, 2**63 + 5),
        (SHARE, float("nan")),
        (SHARE, float("inf")),
        (SHARE, 10**400),
        (SHARE, "1.5"),
        (SHARE, True),
        (ACTIVE, 1),
    ],
)
def test_what_the_contract_does_not_allow_is_refused_without_repeating_it(
    spec: FieldSpec, value: Any
) -> None:
    with pytest.raises(InvalidValue) as refusal:
        normalise(spec, value)
    assert refusal.value.path == spec.name
    assert repr(value) not in str(refusal.value)


def test_minus_zero_is_zero() -> None:
    assert encode(SHARE, -0.0) == encode(SHARE, 0.0) == struct.pack("<d", 0.0)
    assert canonical(SpecKey(SHARE), struct.pack("<d", -0.0)) == struct.pack("<d", 0.0)


@pytest.mark.parametrize(
    ("spec", "raw"),
    [
        (ACTIVE, b"\x02"),
        (ACTIVE, b""),
        (SHARE, b"1234567"),
        (SHARE, struct.pack("<d", float("nan"))),
        (CAPACITY, b"\x02\x02"),
        (CAPACITY, encode_long(2**40)),
        (BORN, encode_long(2**40)),
        (BORN, encode_long(-(2**62))),
        (NAME, b"\x02ab"),
    ],
)
def test_encoded_bytes_that_are_no_value_of_the_field_are_refused(spec: FieldSpec, raw: bytes) -> None:
    with pytest.raises(SkipRecord):
        canonical(SpecKey(spec), raw)


def test_encoded_bytes_become_canonical() -> None:
    key = SpecKey(NAME)
    assert canonical(key, encode_string(" e\u0301 ")) == encode_string("é")
    assert canonical(key, encode_string("\u200f")) is None
    # A length of two bytes where one would do.
    assert canonical(key, b"\x82\x00a") == b"\x02a"
    assert canonical(SpecKey(LANGUAGES), encode_string("ar ")) == encode_string("ar")


def test_a_long_value_is_not_kept_in_memory_and_is_the_same() -> None:
    address = FieldSpec(
        **{**{name: getattr(NAME, name) for name in FieldSpec.__slots__}, "max_length": 2_000}
    )
    long = "x" * 1_500
    assert canonical(SpecKey(address), encode_string(f" {long}")) == encode_string(long)


def test_decoding_gives_the_value_back() -> None:
    for spec, value in (
        (BORN, datetime.date(1990, 5, 6)),
        (MEMBERS, -7),
        (SHARE, 1.5),
        (ACTIVE, True),
        (NAME, "ع"),
    ):
        raw = encode(spec, value)
        assert raw is not None
        assert decode(spec, raw) == value


def test_a_text_that_is_too_long_is_refused_before_it_is_normalised(monkeypatch: pytest.MonkeyPatch) -> None:
    """Marks out of order take quadratic time: a message of a megabyte would hold the hub up for minutes."""
    normalised: list[int] = []
    monkeypatch.setattr(values, "normalise_text", lambda text: normalised.append(len(text)) or text)
    with pytest.raises(InvalidValue):
        canonical(SpecKey(NAME), encode_string("a" + "\u0301" * 200_000 + "\u0327" * 200_000))
    assert normalised == []
    # As many marks as may still become one letter each with their neighbours are looked at.
    with pytest.raises(InvalidValue):
        normalise(NAME, "\u1f82" * NAME.max_length + "x")
    assert normalised == [NAME.max_length + 1]


def test_a_text_is_measured_as_it_is_kept() -> None:
    decomposed = unicodedata.normalize("NFD", "\u1f82") * NAME.max_length
    assert len(decomposed) == 4 * NAME.max_length
    assert normalise(NAME, f" {decomposed} ") == "\u1f82" * NAME.max_length


def test_the_catalogue_of_these_tests_has_every_kind_of_field() -> None:
    kinds = {spec.kind for record in CATALOGUE.records.values() for spec in record.fields}
    assert kinds == {"string", "strings", "int", "long", "double", "boolean", "date"}
