"""Tables as they are found: keys and columns of many types, several record types in one table."""

from __future__ import annotations

import datetime
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from sql_agency import Agency, empty_database

ODD_TABLES = """
CREATE TYPE gender AS ENUM ('W', 'M');
CREATE SCHEMA "autre %s";
CREATE TABLE "autre %s"."Personnes" (
    "Clé %" uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    cin citext_like,
    sexe gender,
    "né" timestamptz,
    niveau numeric(4,2),
    langues varchar(10)[] NOT NULL DEFAULT '{}',
    handicap boolean,
    nom char(40) NOT NULL,
    nom_majuscule text GENERATED ALWAYS AS (upper(nom)) STORED,
    recu timestamp);
CREATE TABLE centre (
    id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY, code text, capacite numeric, kind smallint)
""".replace("citext_like", "text")
ODD_MAPPING = """
agency: entraide
timezone: Africa/El_Aaiun
records:
  person:
    tables:
      - table: autre %s.Personnes
        key: Clé %
        modified_at: recu
        fields:
          cin: cin
          sex: {column: sexe, codes: {W: female, M: male}}
          birth_date: né
          education_level: {column: niveau, codes: {1.50: primary, 2: higher, 0: none}}
          languages: {column: langues, codes: {"ar, \\"x\\"": ar, 'b\\': ber, '{}': fr}}
          disability: {column: handicap, codes: {false: none, true: motor}}
          family_name_fr: nom
          received_on: recu
  centre:
    tables:
      - table: centre
        key: id
        fields:
          code: code
          capacity: capacite
          kind: {column: kind, codes: {1: social_centre, 2: womens_club}}
"""
SHARED_TABLES = {
    "postgresql": "CREATE TABLE acteurs (id serial PRIMARY KEY, type char(2) NOT NULL, nom text, code text)",
    "sqlite": "CREATE TABLE acteurs (id INTEGER PRIMARY KEY, type char(2) NOT NULL, nom text, code text)",
}
SHARED_MAPPING = """
agency: entraide
records:
  person:
    tables:
      - {table: acteurs, key: id, fixed: {type: "P"}, fields: {family_name_fr: nom, cin: code}}
  centre:
    tables:
      - {table: acteurs, key: id, fixed: {type: "C"}, fields: {name_fr: nom, code: code}}
"""


@pytest.fixture
def odd(new_database: Callable[[], str], tmp_path: Path) -> Iterator[Agency]:
    made = Agency("postgresql", new_database(), tmp_path, ODD_TABLES, ODD_MAPPING)
    made.start()
    yield made
    made.close()


@pytest.fixture(params=["postgresql", "sqlite"])
def shared(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Agency]:
    url = empty_database(request.param, request, tmp_path)
    made = Agency(request.param, url, tmp_path, SHARED_TABLES[request.param], SHARED_MAPPING)
    made.start()
    yield made
    made.close()


VALUES: dict[str, Any] = {
    "cin": "SH1",
    "sex": "female",
    "birth_date": datetime.date(1990, 3, 7),
    "education_level": "primary",
    "languages": ["ar", "ber", "fr"],
    "disability": "motor",
    "family_name_fr": "Alami",
    "received_on": datetime.date(2026, 1, 2),
}


def test_columns_of_many_types_hold_what_the_hub_delivers(odd: Agency) -> None:
    assert odd.deliver("E1", VALUES) == {"applied": 1}
    key = odd.change().local_id
    assert uuid.UUID(key)
    (row,) = odd.sql(
        'SELECT sexe::text, "né"::text, niveau, langues, handicap, nom_majuscule FROM "autre %s"."Personnes"'
    )
    assert (row[0], row[2], row[3], row[4]) == ("W", pytest.approx(1.5), ['ar, "x"', "b\\", "{}"], True)
    assert odd.deliver("E1", VALUES) == {"unchanged": 1}
    odd.deliver("E1", VALUES | {"education_level": "higher", "disability": "none", "languages": []})
    (row,) = odd.sql('SELECT niveau, handicap, langues, sexe FROM "autre %s"."Personnes"')
    assert row == (2, False, [], "W")
    assert odd.changes() == []
    # `langues` may not be empty, and has a default that says so.
    odd.deliver("E1", {"family_name_fr": "Alami"}, local_id=key)
    (row,) = odd.sql('SELECT cin, sexe, "né", niveau, langues, handicap FROM "autre %s"."Personnes"')
    assert row == (None, None, None, None, [], None)
    assert odd.exceptions() == []


def test_columns_of_many_types_are_said(odd: Agency) -> None:
    # Half past midnight of the 7th in Laâyoune, and still the 6th in UTC.
    odd.sql(
        """INSERT INTO "autre %s"."Personnes" (cin, sexe, "né", niveau, langues, handicap, nom, recu) VALUES
        ('SH1', 'W', '2026-06-06 23:30+00', 1.5, '{"ar, \\"x\\"",fr}', true, 'Alami', '2026-01-02 23:30')"""
    )
    change = odd.change()
    expected = {name: value for name, value in VALUES.items() if name not in ("languages", "disability")}
    assert change.values == expected | {"birth_date": datetime.date(2026, 6, 7)}
    assert odd.problems == [("person", "languages", "unknown_code")]


def test_keys_that_only_the_database_makes(odd: Agency) -> None:
    made = {"code": "MA-LAA-0001", "capacity": 12, "kind": "womens_club"}
    odd.deliver("C1", made, record_type="centre")
    link = odd.change()
    assert odd.sql("SELECT id::text, capacite, kind FROM centre") == [(link.local_id, 12, 2)]
    odd.sql("UPDATE centre SET capacite = 12.0, kind = 1")
    assert odd.change().values == {"kind": "social_centre"}
    odd.sql("UPDATE centre SET capacite = 12.5")
    assert odd.changes() == []
    assert odd.problems == [("centre", "capacity", "bad_value")]


def test_a_local_id_that_no_key_can_be_finds_nothing(odd: Agency) -> None:
    for local_id in ("5", "not a uuid", "' OR 1=1"):
        assert odd.deliver("E1", VALUES, local_id=local_id) == {"gone": 1}
    odd.deliver("C1", {"code": "MA-LAA-0001"}, record_type="centre", local_id="99999999999999999999")
    assert odd.sql('SELECT count(*) FROM "autre %s"."Personnes"') == [(0,)]


def test_record_types_that_share_a_table_are_kept_apart(shared: Agency) -> None:
    shared.sql("INSERT INTO acteurs (type, nom, code) VALUES ('P', 'Alami', 'SH1')")
    shared.sql("INSERT INTO acteurs (type, nom, code) VALUES ('C', 'Centre', 'MA-LAA-0001')")
    shared.sql("INSERT INTO acteurs (type, nom, code) VALUES ('X', 'Autre', 'Z')")
    person, centre = shared.changes()
    assert (person.record_type, person.values) == ("person", {"family_name_fr": "Alami", "cin": "SH1"})
    assert (centre.record_type, centre.values) == ("centre", {"name_fr": "Centre", "code": "MA-LAA-0001"})
    # A row that becomes something else ends as the one and begins as the other.
    shared.sql(f"UPDATE acteurs SET type = 'C', code = 'MA-LAA-0002' WHERE id = {person.local_id}")
    said = {(c.record_type, c.operation) for c in shared.changes()}
    assert said == {("person", "delete"), ("centre", "insert")}
    # The hub's row of one type carries its mark, and a delivery for another type does not find it.
    shared.deliver("E1", {"family_name_fr": "Bennani"})
    assert shared.sql("SELECT nom FROM acteurs WHERE type = 'P'") == [("Bennani",)]
    assert shared.deliver("E9", {"family_name_fr": "No"}, local_id=centre.local_id) == {"gone": 1}
