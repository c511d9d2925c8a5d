"""Capture and source on real databases: what people do to rows, and what is said of it."""

from __future__ import annotations

import datetime
from collections.abc import Iterator
from pathlib import Path

import pytest
from sql_agency import PERSON, Agency, empty_database

from hub.core import stamps
from hub.errors import Retriable


@pytest.fixture(params=["postgresql", "sqlite"])
def agency(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Agency]:
    url = empty_database(request.param, request, tmp_path)
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


def test_a_delete_ends_a_life_and_the_key_used_again_begins_one(agency: Agency) -> None:
    key = agency.add(cin="SH1")
    born = agency.change()
    agency.sql(f'DELETE FROM {PERSON} WHERE "المعرف" = {key}')
    end = agency.change()
    assert (end.operation, end.incarnation, end.changed) == ("delete", 0, ())
    agency.add(المعرف=int(key), cin="SH2")
    again = agency.change()
    assert (again.operation, again.incarnation, again.values["cin"]) == ("insert", 1, "SH2")
    assert born.stamp < end.stamp < again.stamp
    agency.sql(f"UPDATE {PERSON} SET cin = 'SH3' WHERE \"المعرف\" = {key}")
    assert agency.change().incarnation == 1


def test_a_delete_and_an_insert_before_the_source_looks_are_two_changes(agency: Agency) -> None:
    key = agency.add(cin="SH1")
    agency.changes()
    agency.sql(f"UPDATE {PERSON} SET cin = 'SH4' WHERE \"المعرف\" = {key}")
    agency.sql(f'DELETE FROM {PERSON} WHERE "المعرف" = {key}')
    agency.add(المعرف=int(key), cin="SH2")
    agency.sql(f"UPDATE {PERSON} SET cin = 'SH3' WHERE \"المعرف\" = {key}")
    changes = [c for c in agency.changes() if c.operation != "update" or c.incarnation]
    assert [(c.operation, c.incarnation) for c in changes[:2]] == [("delete", 0), ("insert", 1)]
    assert changes[-1].values["cin"] == "SH3"


def test_a_changed_key_is_a_delete_and_an_insert(agency: Agency) -> None:
    key = agency.add(cin="SH1")
    agency.changes()
    agency.sql(f'UPDATE {PERSON} SET "المعرف" = 4000 WHERE "المعرف" = {key}')
    gone, new = agency.changes()
    assert (gone.operation, gone.local_id) == ("delete", key)
    assert (new.operation, new.local_id, new.values["cin"]) == ("insert", "4000", "SH1")


def test_rows_of_one_record_in_one_transaction_are_one_change(agency: Agency) -> None:
    agency.sql("BEGIN")
    key = agency.add(cin="SH1")
    agency.sql("INSERT INTO contact (qui, commune, niveau) VALUES (?, '11.321.01.03', 2)", int(key))
    agency.sql(f"UPDATE {PERSON} SET cin = 'SH2' WHERE \"المعرف\" = {key}")
    agency.sql("COMMIT")
    change = agency.change()
    assert change.operation == "insert"
    assert change.values["cin"] == "SH2"
    assert (change.values["commune"], change.values["education_level"]) == ("11.321.01.03", "higher")


def test_a_part_is_an_update_of_its_record(agency: Agency) -> None:
    key, other = agency.add(), agency.add()
    agency.changes()
    agency.sql("INSERT INTO contact (qui, commune) VALUES (?, '11.321.01.03')", int(key))
    change = agency.change()
    assert (change.operation, change.local_id, change.values) == ("update", key, {"commune": "11.321.01.03"})
    agency.sql(f"UPDATE contact SET adresse = 'rue 1' WHERE qui = {key}")
    assert agency.changes() == []
    agency.sql(f"UPDATE contact SET qui = {other} WHERE qui = {key}")
    moved = {c.local_id: c.values for c in agency.changes()}
    assert moved == {key: {"commune": None}, other: {"commune": "11.321.01.03"}}
    agency.sql(f"DELETE FROM contact WHERE qui = {other}")
    assert agency.change().values == {"commune": None}


def test_a_part_that_vanishes_with_its_record_says_nothing_more(agency: Agency) -> None:
    key = agency.add()
    agency.sql("INSERT INTO contact (qui, commune) VALUES (?, '11.321.01.03')", int(key))
    agency.changes()
    agency.sql(f'DELETE FROM {PERSON} WHERE "المعرف" = {key}')
    assert agency.count("contact") == 0
    last = agency.changes()[-1]
    assert (last.operation, last.incarnation) == ("delete", 0)


def test_a_rolled_back_edit_is_not_said(agency: Agency) -> None:
    agency.sql("BEGIN")
    agency.add(cin="SH1")
    agency.sql("ROLLBACK")
    assert agency.changes() == []


def test_a_joined_column_says_only_the_part_that_changed(agency: Agency) -> None:
    key = agency.add("Alami, Zineb")
    agency.changes()
    agency.sql(f"UPDATE {PERSON} SET names = 'Alami, Zohra' WHERE \"المعرف\" = {key}")
    assert agency.change().values == {"given_name_fr": "Zohra"}
    agency.sql(f"UPDATE {PERSON} SET names = 'Alami' WHERE \"المعرف\" = {key}")
    assert agency.change().values == {"given_name_fr": None}


def test_of_a_list_additions_and_removals_are_said(agency: Agency) -> None:
    lists = {
        "postgresql": ("'{fr,ar}'", "'{ar,es}'", "NULL"),
        "sqlite": ("'fr,ar'", "'ar,es'", "NULL"),
    }[agency.kind]
    key = agency.add()
    agency.sql(f'UPDATE {PERSON} SET langues = {lists[0]} WHERE "المعرف" = {key}')
    agency.changes()
    agency.sql(f'UPDATE {PERSON} SET langues = {lists[1]} WHERE "المعرف" = {key}')
    change = agency.change()
    assert (change.changed, change.values["languages"], change.removed) == (
        ("languages",),
        ["es"],
        {"languages": ["fr"]},
    )
    agency.sql(f'UPDATE {PERSON} SET langues = {lists[2]} WHERE "المعرف" = {key}')
    change = agency.change()
    assert (change.values["languages"], change.removed) == ([], {"languages": ["ar", "es"]})


def test_what_cannot_be_said_is_reported_and_holds_nothing_up(agency: Agency) -> None:
    key = agency.add(cin="not a cin", تاريخ="31/02/1990", الجنس="x", indicatif="+212", numero="612345678")
    change = agency.change()
    assert set(change.changed) == {"phone", "family_name_fr", "given_name_fr"}
    assert sorted(agency.problems) == [
        ("person", "birth_date", "bad_value"),
        ("person", "cin", "bad_value"),
        ("person", "sex", "unknown_code"),
    ]
    agency.sql(f"UPDATE {PERSON} SET cin = 'neither' WHERE \"المعرف\" = {key}")
    assert agency.changes() == []
    assert agency.source.backlog() == 0
    agency.sql(f"UPDATE {PERSON} SET cin = 'SH7' WHERE \"المعرف\" = {key}")
    assert agency.change().values == {"cin": "SH7"}


def test_edits_in_one_moment_keep_their_order(agency: Agency) -> None:
    key = agency.add(cin="SH1")
    for number in range(2, 12):
        agency.sql(f"UPDATE {PERSON} SET cin = 'SH{number}' WHERE \"المعرف\" = {key}")
    stamps_ = [change.stamp for change in agency.changes(limit=3)]
    assert stamps_ == sorted(set(stamps_))


def test_what_was_not_acknowledged_is_said_again_alike(agency: Agency) -> None:
    key = agency.add(cin="SH1")
    agency.sql(f"UPDATE {PERSON} SET cin = 'SH2' WHERE \"المعرف\" = {key}")
    first = agency.source.read(100)
    agency.source.close()
    agency.source = agency.new_source()
    agency.source.connect()
    again = agency.source.read(100)
    assert first is not None
    assert again is not None
    assert [(c.event_id, c.stamp, c.values) for c in first.changes] == [
        (c.event_id, c.stamp, c.values) for c in again.changes
    ]


def test_what_came_after_a_try_is_said_beside_it(agency: Agency) -> None:
    """What was sent and not acknowledged is the same change again, whatever was typed since."""
    key = agency.add(cin="SH1")
    agency.changes()
    agency.sql(f"UPDATE {PERSON} SET cin = 'SH2' WHERE \"المعرف\" = {key}")
    sent = agency.source.read(100)
    agency.source.close()
    agency.sql(f"UPDATE {PERSON} SET cin = 'SH1' WHERE \"المعرف\" = {key}")
    agency.source = agency.new_source()
    agency.source.connect()
    again, *later = agency.changes()
    assert sent is not None
    assert sent.changes == [again]
    # Typed back while nobody had acknowledged it: said all the same, since the hub may have heard the first.
    assert [change.values for change in later] == [{"cin": "SH1"}]


def test_references_are_said_as_local_ids(agency: Agency) -> None:
    key = agency.add()
    agency.sql("INSERT INTO centre (code_local, code, nom) VALUES ('ت-1', 'MA-LAA-0001', 'Centre')")
    agency.sql("INSERT INTO inscription (numero, qui, ou) VALUES ('INS-2026-000001', ?, 'ت-1')", int(key))
    enrolment = agency.changes()[-1]
    assert enrolment.record_type == "enrolment"
    assert (enrolment.values["person"], enrolment.values["centre"]) == (key, "ت-1")


def test_very_long_and_odd_values_pass_or_are_reported(agency: Agency) -> None:
    key = agency.add('O\'Brien "x" \\ %s {y}, ' + "Z" * 40)
    assert agency.change().values["family_name_fr"] == 'O\'Brien "x" \\ %s {y}'
    agency.sql(f'UPDATE {PERSON} SET names = ? WHERE "المعرف" = {key}', "A" * 100_000 + ", B")
    assert agency.change().values == {"given_name_fr": "B"}
    assert agency.problems == [("person", "family_name_fr", "bad_value")]
    agency.sql(f"UPDATE {PERSON} SET cin = '' WHERE \"المعرف\" = {key}")
    assert agency.changes() == []


def test_rows_that_were_there_before_are_read_page_by_page(agency: Agency) -> None:
    agency.source.db.uninstall()
    agency.source.close()
    keys = [agency.add(cin=f"SH{n}", maj="2026-01-02T03:04:05Z" if n % 2 else None) for n in range(7)]
    agency.sql("INSERT INTO contact (qui, commune) VALUES (?, '11.321.01.03')", int(keys[3]))
    agency.source = agency.new_source()
    agency.source.connect()
    batch = agency.source.read(3)
    assert batch is not None
    agency.source.acknowledge(batch)
    # Interrupted: what was acknowledged is not read again.
    agency.source.close()
    agency.source = agency.new_source()
    agency.source.connect()
    found = {c.local_id: c for c in (*batch.changes, *agency.changes(limit=3))}
    assert sorted(found) == sorted(keys)
    change = found[keys[3]]
    assert (change.operation, change.incarnation) == ("snapshot", 0)
    assert change.values["commune"] == "11.321.01.03"
    assert change.asserted == stamps.at(1767323045000)
    assert found[keys[2]].asserted == stamps.LOWEST
    assert change.stamp > stamps.at(1767323045000)
    assert None not in change.values.values()
    assert agency.changes() == []


def test_beyond_the_cap_only_dirty_rows_are_noted_and_said_as_they_are(agency: Agency) -> None:
    kept, gone = agency.add(cin="SH1"), agency.add(cin="SH2")
    agency.changes()
    agency.sql("UPDATE jisr_state SET cap = 0, read_seq = -1000000")
    for number in range(5):
        agency.sql(f"UPDATE {PERSON} SET cin = 'SH1{number}' WHERE \"المعرف\" = {kept}")
    agency.sql(f'DELETE FROM {PERSON} WHERE "المعرف" = {gone}')
    new = agency.add(المعرف=900, cin="SH3")
    agency.sql(f'DELETE FROM {PERSON} WHERE "المعرف" = {new}')
    agency.add(المعرف=int(new), cin="SH4")
    agency.sql("INSERT INTO contact (qui, commune) VALUES (?, '11.321.01.03')", int(kept))
    assert agency.sql("SELECT count(*) FROM jisr_changes") == [(0,)]
    said = sorted(
        (c.local_id, c.incarnation, c.operation, c.values.get("cin"), c.values.get("commune"))
        for c in agency.changes(limit=2)
    )
    assert (kept, 0, "update", "SH14", "11.321.01.03") in said
    assert (gone, 0, "delete", None, None) in said
    assert (new, 0, "delete", None, None) in said
    assert (new, 1, "update", "SH4", None) in said
    assert agency.source.backlog() == 0


def test_a_row_marked_dirty_again_meanwhile_is_read_again(agency: Agency) -> None:
    key = agency.add(cin="SH1")
    agency.changes()
    agency.sql("UPDATE jisr_state SET cap = 0, read_seq = -1000000")
    agency.sql(f"UPDATE {PERSON} SET cin = 'SH2' WHERE \"المعرف\" = {key}")
    batch = agency.source.read(10)
    assert batch is not None
    agency.sql(f"UPDATE {PERSON} SET cin = 'SH3' WHERE \"المعرف\" = {key}")
    agency.source.acknowledge(batch)
    assert agency.change().values["cin"] == "SH3"


def test_only_one_source_works_on_a_database(agency: Agency) -> None:
    second = agency.new_source()
    with pytest.raises(Retriable, match="only one"):
        second.connect()
    second.close()
    agency.source.close()
    second.connect()
    second.close()


def test_uninstalled_nothing_is_left_behind(agency: Agency) -> None:
    agency.add()
    agency.source.db.uninstall()
    if agency.kind == "sqlite":
        left = agency.sql("SELECT name FROM sqlite_master WHERE name LIKE 'jisr%'")
    else:
        left = agency.sql(
            "SELECT relname FROM pg_class WHERE relname LIKE 'jisr%' UNION ALL "
            "SELECT proname FROM pg_proc WHERE proname LIKE 'jisr%'"
        )
    assert left == []
    agency.add()
    assert agency.count() == 2
