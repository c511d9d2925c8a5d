"""The sink on real databases: what deliveries do to rows, and what the shadow keeps."""

from __future__ import annotations

import datetime
from collections.abc import Iterator
from pathlib import Path

import pytest
from sql_agency import PERSON, Agency, empty_database


@pytest.fixture(params=["postgresql", "sqlite"])
def agency(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Agency]:
    url = empty_database(request.param, request, tmp_path)
    made = Agency(request.param, url, tmp_path)
    made.start()
    yield made
    made.close()


FULL = {
    "cin": "SH123456",
    "family_name_fr": "El Idrissi",
    "given_name_fr": "Fatima Zahra",
    "birth_date": datetime.date(1990, 3, 7),
    "sex": "female",
    "phone": "+212612345678",
    "languages": ["ar", "fr"],
    "received_on": datetime.date(2026, 1, 2),
    "commune": "11.321.01.03",
    "education_level": "higher",
}


def test_an_entity_that_is_not_here_becomes_a_row_and_a_link(agency: Agency) -> None:
    assert agency.deliver("E1", FULL, stamp=77) == {"applied": 1}
    key = str(agency.sql(f'SELECT "المعرف" FROM {PERSON}')[0][0])
    row = agency.row(key, "cin", "تاريخ", "الجنس", "names", "indicatif", "numero", "recu", "notes")
    assert [str(value).strip() for value in row] == [
        "SH123456", "07/03/1990", "أ", "El Idrissi, Fatima Zahra", "+212", "612345678", "2026-01-02", "",
    ]  # fmt: skip
    assert agency.sql("SELECT commune, niveau FROM contact WHERE qui = ?", int(key))[0][0] == "11.321.01.03"
    link = agency.change()
    assert (link.operation, link.local_id, link.entity, link.changed) == ("link", key, "E1", ())
    assert link.stamp > 77
    # The same again, and an older version, do nothing.
    assert agency.deliver("E1", FULL) == {"unchanged": 1}
    assert agency.deliver("E1", {"cin": "SH1"}, version=1) == {"superseded": 1}
    assert agency.count() == 1
    assert agency.changes() == []


def test_only_what_differs_is_written_and_nothing_is_captured(agency: Agency) -> None:
    key = agency.add(cin="SH1", الجنس="أ")
    agency.changes()
    assert agency.deliver("E1", {"cin": "SH1", "sex": "male", "commune": "11.321.01.03"}, local_id=key) == {
        "applied": 1
    }
    assert agency.row(key, "الجنس")[0].strip() == "ذ"
    assert agency.changes() == []
    shadow = agency.shadow(key)
    assert set(shadow.delivered) == {"sex", "commune"}
    assert shadow.entity == "E1"
