"""Capture and source on real databases: what people do to rows, and what is said of it."""

from __future__ import annotations

import datetime
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from sql_agency import PERSON, Agency


@pytest.fixture(params=["postgresql", "sqlite"])
def agency(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Agency]:
    if request.param == "sqlite":
        url = f"sqlite:///{tmp_path / 'agency.db'}"
        (tmp_path / "agency.db").touch()
    else:
        new_database: Callable[[], str] = request.getfixturevalue("new_database")
        url = new_database()
    made = Agency(request.param, url, tmp_path)
    made.start()
    yield made
    made.close()


def test_an_insert_says_what_it_holds_and_never_null(agency: Agency) -> None:
    key = agency.add(cin="sh123456", تاريخ="07/03/1990", الجنس="أ", indicatif="+212", numero="612345678")
    change = agency.change()
    assert (change.operation, change.local_id, change.incarnation) == ("insert", key, 0)
    assert change.values == {
        "cin": "SH123456",
        "birth_date": datetime.date(1990, 3, 7),
        "sex": "female",
        "phone": "+212612345678",
        "family_name_fr": "Alami",
        "given_name_fr": "Zineb",
    }
    assert set(change.changed) == set(change.values)
    assert change.event_id.startswith("entraide:person:1-")


def test_an_update_says_only_what_differs(agency: Agency) -> None:
    key = agency.add(cin="SH1", الجنس="أ")
    first = agency.change()
    agency.sql(f"UPDATE {PERSON} SET الجنس = 'ذ', cin = 'SH1' WHERE \"المعرف\" = {key}")
    change = agency.change()
    assert (change.operation, change.changed, change.values) == ("update", ("sex",), {"sex": "male"})
    assert change.stamp > first.stamp


def test_an_update_to_null_says_null(agency: Agency) -> None:
    key = agency.add(cin="SH1")
    agency.changes()
    agency.sql(f'UPDATE {PERSON} SET cin = NULL WHERE "المعرف" = {key}')
    change = agency.change()
    assert (change.changed, change.values) == (("cin",), {"cin": None})


@pytest.mark.parametrize(
    "statement", ["SET notes = 'x'", "SET cin = cin", "SET cin = ' SH1 '", "SET cin = 'sh1'"]
)
def test_what_means_the_same_is_not_said(agency: Agency, statement: str) -> None:
    key = agency.add(cin="SH1")
    agency.changes()
    agency.sql(f'UPDATE {PERSON} {statement} WHERE "المعرف" = {key}')
    assert agency.changes() == []
    assert agency.source.backlog() == 0
