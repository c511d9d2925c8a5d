"""What people do to a database beneath a running connector: nothing is lost, looped or taken for what it is
not, and where the connector cannot go on it says so (R22-R24, R28, R32)."""

from __future__ import annotations

import datetime
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
from sql_agency import PERSON, Agency, empty_database

from connectors.compose import database
from connectors.sql.sweep import Sweeper
from hub.errors import Retriable

postgresql = pytest.mark.parametrize("agency", ["postgresql"], indirect=True)
sqlite = pytest.mark.parametrize("agency", ["sqlite"], indirect=True)
KEY = '"المعرف"'
ZINEB = {"cin": "SH1", "family_name_fr": "Alami", "birth_date": datetime.date(1990, 3, 7), "sex": "female"}


def delivered(agency: Agency, **values: object) -> str:
    """The key of a row that the hub made; its link is sent."""
    agency.deliver("E1", {**ZINEB, **values})
    return agency.change().local_id


def swept(sweeper: Sweeper) -> Mapping[str, int]:
    """What a whole sweep of the persons found, by kind."""
    sweeper.begin("person")
    while not sweeper.step("person").over:
        pass
    return sweeper.state("person").found


@postgresql
def test_rows_that_a_policy_hides_are_not_taken_for_deleted_ones(agency: Agency) -> None:
    key = agency.add(cin="SH1")
    agency.changes()
    agency.sql(f"ALTER TABLE {PERSON} ENABLE ROW LEVEL SECURITY")
    agency.sql(f"ALTER TABLE {PERSON} FORCE ROW LEVEL SECURITY")
    assert agency.deliver("E1", {"cin": "SH2"}, local_id=key) == {"refused": 1}
    assert agency.refusals() == [("E1", "refused", "not_permitted", "")]
    dirty = "INSERT INTO {dirty} VALUES ('person', :key, -1, 1)"
    agency.source.db.execute(dirty, {"key": key})
    with pytest.raises(Retriable, match="row-level security policy for table"):
        agency.source.read(100)
    agency.sql(f"ALTER TABLE {PERSON} DISABLE ROW LEVEL SECURITY")
    assert [change.operation for change in agency.changes()] == ["update"]
    assert agency.retry_now() == {"applied": 1}
    assert agency.row(key, "cin") == ("SH2",)


def test_a_row_that_the_agency_keeps_is_not_taken_for_deleted(agency: Agency) -> None:
    """A trigger that marks rows as deleted instead, say."""
    key = delivered(agency)
    if agency.kind == "postgresql":
        agency.sql("CREATE FUNCTION keep() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN RETURN NULL; END$$")
        agency.sql(f"CREATE TRIGGER keep BEFORE DELETE ON {PERSON} FOR EACH ROW EXECUTE FUNCTION keep()")
    else:
        agency.sql(f"CREATE TRIGGER keep BEFORE DELETE ON {PERSON} BEGIN SELECT RAISE(IGNORE); END")
    assert agency.deliver("E1", operation="retract", local_id=key) == {"refused": 1}
    assert agency.refusals() == [("E1", "refused", "check", "")]
    assert agency.changes() == []
    agency.sql(f"DROP TRIGGER keep{f' ON {PERSON}' if agency.kind == 'postgresql' else ''}")
    assert agency.retry_now() == {"applied": 1}
    assert agency.count() == 0
    assert agency.change().operation == "unlink"


@pytest.mark.parametrize("record", ["person", "centre"])
@sqlite
def test_a_row_that_a_trigger_drops_is_refused_and_not_taken_for_another(agency: Agency, record: str) -> None:
    table = PERSON if record == "person" else "centre"
    values = [{"code": f"C-{n}", "name_fr": "Jisr", "family_name_fr": "Alami"} for n in range(2)]
    fields = ["family_name_fr"] if record == "person" else ["code", "name_fr"]
    one, other = ({name: value[name] for name in fields} for value in values)
    assert agency.deliver("X1", one, record_type=record) == {"applied": 1}
    agency.sql(f"CREATE TRIGGER ignore BEFORE INSERT ON {table} BEGIN SELECT RAISE(IGNORE); END")
    assert agency.deliver("X2", other, record_type=record) == {"refused": 1}
    assert agency.refusals() == [("X2", "refused", "check", "")]
    assert [change.entity for change in agency.changes()] == ["X1"]


TRIGGER = f"""
    CREATE FUNCTION no() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN
        IF NEW.cin = 'SH2' THEN BODY; END IF; RETURN NEW; END$$;
    CREATE TRIGGER no BEFORE UPDATE ON {PERSON} FOR EACH ROW EXECUTE FUNCTION no()
"""


@postgresql
@pytest.mark.parametrize(
    "obstacle",
    [
        TRIGGER.replace("BODY", "RAISE EXCEPTION 'secret' USING ERRCODE = 'AG001'"),
        TRIGGER.replace("BODY", "PERFORM a_function_that_was_dropped()"),
        f"CREATE RULE no AS ON UPDATE TO {PERSON} DO INSTEAD NOTHING",
    ],
)
def test_whatever_an_agency_s_trigger_or_rule_ends_with_refuses_one_row(
    agency: Agency, obstacle: str
) -> None:
    delivered(agency)
    agency.sql(obstacle)
    assert agency.deliver("E1", {**ZINEB, "cin": "SH2"}) == {"refused": 1}
    assert agency.refusals() == [("E1", "refused", "check", "")]


@postgresql
def test_a_column_of_another_type_is_written_as_it_is_now(agency: Agency) -> None:
    key = delivered(agency)
    agency.sql("CREATE TYPE sexe AS ENUM ('ذ', 'أ')")
    agency.sql(f'ALTER TABLE {PERSON} ALTER COLUMN "الجنس" TYPE sexe USING trim("الجنس")::sexe')
    # Met before it is looked for, it is refused, and written once it has been found.
    agency.sink._beneath_at = float("inf")
    assert agency.deliver("E1", {**ZINEB, "sex": "male"}) == {"refused": 1}
    agency.sink._beneath_at = 0.0
    assert agency.apply() == {"applied": 1}
    assert agency.row(key, "الجنس") == ("ذ",)
    assert [told[1:3] for told in agency.refusals()] == [("refused", "bad_value"), ("resolved", "")]


NUMBERED = """
agency: entraide
records:
  person:
    tables:
      - table: beneficiaires
        key: id
        modified_at: maj
        fields: {cin: cin, family_name_fr: nom}
"""


@pytest.fixture
def numbered(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Agency]:
    tables = "CREATE TABLE beneficiaires (id integer PRIMARY KEY, cin text, nom text, maj timestamptz)"
    url = empty_database("postgresql", request, tmp_path)
    made = Agency("postgresql", url, tmp_path, tables, NUMBERED)
    made.start()
    yield made
    made.close()


def test_keys_that_outgrew_their_type_are_found(numbered: Agency) -> None:
    """integer is used up, and the column made a bigint beneath the connector: no row is said to be gone."""
    key = str(2**31)
    sweeper = Sweeper(database(numbered.url), numbered.mapping, numbered.converters(), repairs=True)
    sweeper.connect()
    assert swept(sweeper) == {}
    numbered.sql("ALTER TABLE beneficiaires ALTER COLUMN id TYPE bigint")
    numbered.sql(f"INSERT INTO beneficiaires VALUES ({key}, 'SH1', 'Alami')")
    assert numbered.change().local_id == key
    numbered.sink._beneath_at = 0.0
    assert numbered.deliver("E1", {"cin": "SH2"}, local_id=key) == {"applied": 1}
    assert swept(sweeper) == {}
    sweeper.close()
    numbered.source._look_at_tables()
    numbered.source.db.execute("INSERT INTO {dirty} VALUES ('person', :key, -1, 1)", {"key": key})
    assert [change.operation for change in numbered.changes()] in ([], ["update"])


@pytest.mark.parametrize("moment", ["infinity", "-infinity", "0044-03-15 BC", "290000-01-01"])
def test_a_row_modified_at_no_moment_does_not_stop_the_first_reading(numbered: Agency, moment: str) -> None:
    numbered.sql(f"INSERT INTO beneficiaires VALUES (1, 'SH1', 'Alami', '{moment}')")
    numbered.changes()
    numbered.source.db.execute("UPDATE {state} SET snapshot = :none", {"none": "{}"})
    numbered.source.close()
    numbered.source.connect()
    said = numbered.change()
    assert said.operation == "snapshot"
    assert said.asserted is not None
    assert 0 <= said.asserted < 2**63


@sqlite
def test_a_replaced_row_is_said_as_the_update_that_it_is(agency: Agency) -> None:
    """REPLACE removes a row without a delete trigger, and inserts another one."""
    key = delivered(agency)
    agency.sql(f"INSERT INTO contact (qui, adresse, commune) VALUES ({key}, 'x', '11.321.01.03')")
    agency.sql(f"UPDATE {PERSON} SET indicatif = '+212', numero = '600000001'")
    agency.changes()
    agency.sql("PRAGMA foreign_keys = OFF")
    columns = f'{KEY}, cin, "تاريخ", "الجنس", names'
    agency.sql(f"REPLACE INTO {PERSON} ({columns}) SELECT {KEY}, 'SH2', \"تاريخ\", NULL, names FROM {PERSON}")
    said = agency.change()
    assert (said.operation, said.local_id, said.incarnation) == ("update", key, 0)
    # What the hub delivered, and what the agency said itself, were emptied; the rest is as it was.
    assert said.values == {"cin": "SH2", "sex": None, "phone": None}
    agency.sql(f"REPLACE INTO {PERSON} ({columns}) SELECT {columns} FROM {PERSON}")
    assert agency.changes() == []
    # A sweep agrees, also about what is in other tables.
    sweeper = Sweeper(database(agency.url), agency.mapping, agency.converters(), repairs=True)
    sweeper.connect()
    assert swept(sweeper) == {}
    sweeper.close()


@postgresql
def test_a_table_that_is_truncated_and_loaded_again_says_only_what_differs(agency: Agency) -> None:
    """Said as new, all of it would beat what others have said since."""
    key, other = agency.add("Alami, Zineb", cin="SH1"), agency.add("Idrissi, Omar", cin="SH2")
    agency.changes()
    agency.sql(f"TRUNCATE {PERSON} CASCADE")
    for number, names, cin in ((key, "Alami, Zineb", "SH1"), (other, "Idrissi, Omar", None)):
        agency.sql(f"INSERT INTO {PERSON} ({KEY}, names, cin) VALUES (?, ?, ?)", int(number), names, cin)
    # A load erases nobody's value.
    assert agency.changes() == []
    agency.sql(f"TRUNCATE {PERSON} CASCADE")
    agency.sql(f"INSERT INTO {PERSON} ({KEY}, names, cin) VALUES ({key}, 'Alami, Zineb', 'SH3')")
    said = agency.change()
    assert (said.operation, said.local_id, said.values) == ("update", key, {"cin": "SH3"})
    # What is deleted first begins another life, as ever.
    agency.sql(f"DELETE FROM {PERSON}; INSERT INTO {PERSON} ({KEY}, names) VALUES ({key}, 'Alami, Zineb')")
    assert [(c.operation, c.incarnation) for c in agency.changes()] == [("delete", 0), ("insert", 1)]


@sqlite
def test_a_text_with_a_nul_is_reported_and_not_cut_off(agency: Agency) -> None:
    key = agency.add(names="Al\x00ami, Zineb", cin="SH1")
    assert agency.change().values == {"cin": "SH1", "given_name_fr": "Zineb"}
    assert agency.problems == [("person", "family_name_fr", "bad_value")]
    # Also what stands behind it, and only there, is seen to change.
    agency.sql(f"UPDATE {PERSON} SET names = 'Al' || char(0) || 'ami, Amina' WHERE {KEY} = {key}")
    assert agency.change().values == {"given_name_fr": "Amina"}
    agency.sql(f"UPDATE {PERSON} SET names = 'Alami, Amina'")
    assert agency.change().values == {"family_name_fr": "Alami"}
