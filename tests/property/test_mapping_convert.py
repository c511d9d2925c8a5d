"""to_local and from_local are inverse wherever the columns can hold the value; nothing ever crashes."""

from __future__ import annotations

import contextlib
import datetime
import sqlite3
from decimal import Decimal
from pathlib import Path
from typing import Any

from hypothesis import assume, given
from hypothesis import strategies as st

from connectors.sql.convert import Converter, Slot, Unmappable
from connectors.sql.local_values import as_text, fingerprint
from connectors.sql.mapping import FieldMap, JoinMap, RecordMap, TableMap
from connectors.sql.sqlite_capture import image, parse_image, quoted
from hub.contracts.records import Catalogue
from hub.contracts.values import InvalidValue, normalise

CATALOGUE = Catalogue.load(Path(__file__).parents[2] / "schemas" / "records")
PERSON, CENTRE = CATALOGUE.records["person"], CATALOGUE.records["centre"]
LEVELS = list(PERSON.by_name["education_level"].codes)
LANGUAGES = list(PERSON.by_name["languages"].codes)

texts = st.text(st.characters(codec="utf-8", exclude_characters="\x00"), max_size=30)
dates = st.dates(datetime.date(1, 1, 1), datetime.date(9999, 12, 31))
anything = st.one_of(
    st.none(),
    texts,
    st.integers(-(2**70), 2**70),
    st.floats(),
    st.decimals(),
    st.booleans(),
    st.lists(st.one_of(st.none(), texts, st.integers()), max_size=4),
    st.binary(max_size=8),
    dates.map(str),
    st.datetimes().map(str),
)


def slot_of(field_map: FieldMap | JoinMap, record: Any = PERSON) -> Slot:
    table = TableMap(0, "t", "id")
    if isinstance(field_map, JoinMap):
        table = TableMap(0, "t", "id", joined=(field_map,))
    else:
        table = TableMap(0, "t", "id", fields=(field_map,))
    return Converter(record, RecordMap(record.name, (table,)), "Africa/El_Aaiun").slots[0]


def both_ways(slot: Slot, values: dict[str, Any]) -> dict[str, Any]:
    return slot.read(slot.write(values))


SLOTS = [
    slot_of(FieldMap("family_name_fr", ("c",))),
    slot_of(FieldMap("birth_date", ("c",), format="%d/%m/%Y")),
    slot_of(FieldMap("birth_date", ("a", "b", "c"), separator="-")),
    slot_of(FieldMap("phone", ("a", "b"), lengths=(4,))),
    slot_of(FieldMap("phone", ("c",), prefix={"0": "+212"}, strip=" .-")),
    slot_of(FieldMap("education_level", ("c",), codes={str(n): level for n, level in enumerate(LEVELS)})),
    slot_of(FieldMap("languages", ("c",), separator=",")),
    slot_of(FieldMap("languages", ("c",), codes={code.upper(): code for code in LANGUAGES})),
    slot_of(FieldMap("capacity", ("c",)), CENTRE),
    slot_of(JoinMap("c", ("family_name_fr", "given_name_fr"), ", ")),
]


@given(st.sampled_from(SLOTS), st.lists(anything, min_size=3, max_size=3))
def test_whatever_a_row_holds_becomes_a_valid_value_or_a_problem(slot: Slot, locals_: list[Any]) -> None:
    for name, value in slot.read(dict(zip("abc", locals_, strict=True))).items():
        if isinstance(value, Unmappable):
            assert value.code in ("bad_value", "unknown_code")
            assert value.path == name
        else:
            (spec,) = [spec for spec in slot.fields if spec.name == name]
            assert normalise(spec, value) == value


@given(dates)
def test_dates_come_back(day: datetime.date) -> None:
    for field_map in (
        FieldMap("birth_date", ("c",)),
        FieldMap("birth_date", ("c",), format="%d/%m/%Y"),
        FieldMap("birth_date", ("c",), format="%Y%m%d"),
        FieldMap("birth_date", ("a", "b", "c"), separator="-"),
        FieldMap("birth_date", ("a", "b", "c"), lengths=(5, 3)),
    ):
        assert both_ways(slot_of(field_map), {"birth_date": day}) == {"birth_date": day}


@given(st.from_regex(PERSON.by_name["phone"].pattern or "", fullmatch=True))
def test_telephone_numbers_come_back(number: str) -> None:
    number = number.strip()
    for field_map in (
        FieldMap("phone", ("c",)),
        FieldMap("phone", ("a", "b"), lengths=(4,)),
        FieldMap("phone", ("a", "b", "c"), lengths=(1, 3)),
        FieldMap("phone", ("c",), prefix={"0": "+212"}),
    ):
        assert both_ways(slot_of(field_map), {"phone": number}) == {"phone": number}


@given(st.sampled_from(LEVELS), st.permutations(LEVELS))
def test_codes_come_back_whatever_type_the_column_has(level: str, order: list[str]) -> None:
    slot = slot_of(FieldMap("education_level", ("c",), codes={str(n): code for n, code in enumerate(order)}))
    local = slot.write({"education_level": level})["c"]
    for shape in (str, int, float, Decimal, lambda text: f"{text}   ", lambda text: Decimal(f"{text}.00")):
        assert slot.read({"c": shape(local)}) == {"education_level": level}


@given(st.lists(st.sampled_from(LANGUAGES), unique=True))
def test_lists_come_back(languages: list[str]) -> None:
    for field_map in (
        FieldMap("languages", ("c",)),
        FieldMap("languages", ("c",), separator=","),
        FieldMap("languages", ("c",), separator="; "),
        FieldMap("languages", ("c",), codes={code.upper(): code for code in LANGUAGES}),
    ):
        assert both_ways(slot_of(field_map), {"languages": sorted(languages)}) == {
            "languages": sorted(languages)
        }


@given(texts, texts)
def test_joined_names_come_back_unless_the_first_holds_the_separator(family: str, given_name: str) -> None:
    slot = slot_of(JoinMap("c", ("family_name_fr", "given_name_fr"), ", "))
    names = {}
    for name, text in (("family_name_fr", family), ("given_name_fr", given_name)):
        try:
            names[name] = normalise(PERSON.by_name[name], text)
        except InvalidValue:
            return
    back = both_ways(slot, names)
    if ", " not in f"{names['family_name_fr'] or ''}," and "\ufffd" not in family + given_name:
        assert back == names


@given(st.one_of(texts, st.integers(), st.booleans(), st.decimals(allow_nan=False, allow_infinity=False)))
def test_a_fingerprint_tells_values_apart_but_for_padding(value: Any) -> None:
    text = as_text(value)
    assert text is not None
    assert fingerprint(value) == fingerprint(text + "  ")
    assert fingerprint(value) != fingerprint(text + "x")


@given(st.dictionaries(texts.filter(bool), st.one_of(st.none(), texts, st.integers(-(2**63), 2**63 - 1))))
def test_what_sqlite_quotes_is_read_back(columns: dict[str, Any]) -> None:
    columns = {"id": None, **columns}
    names = list(columns)
    # SQLite's own names of columns ignore the case of letters.
    assume(len({name.lower() for name in names}) == len(names))
    with contextlib.closing(sqlite3.connect(":memory:")) as db:
        db.execute(f"CREATE TABLE t ({', '.join(map(quoted, names))})")
        db.execute(f"INSERT INTO t VALUES ({', '.join('?' for _ in names)})", list(columns.values()))
        row = db.execute(f"SELECT {image('t', names)} FROM t").fetchone()
    assert parse_image(row[0]) == columns
