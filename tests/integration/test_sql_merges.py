"""Merges and splits at an agency's database: which row stands for whom, and what refers to it (R20, R21)."""

from __future__ import annotations

import pytest
from sql_agency import FULL, PERSON, Agency


def test_a_merge_repoints_and_deletes_nothing(agency: Agency) -> None:
    first, second = agency.add("Alami, Zineb"), agency.add("Alami, Zineb")
    agency.changes()
    agency.deliver("E1", {"given_name_fr": "Zineb"}, local_id=first)
    agency.deliver("E2", {"given_name_fr": "Zineb"}, local_id=second)
    agency.deliver("E2", operation="merged", merged_into="E1")
    agency.deliver("E1", {"cin": "SH1"}, local_id=first)
    assert (agency.row(first, "cin"), agency.row(second, "cin")) == (("SH1",), (None,))
    # Without a record of its own, the other entity takes this one's over.
    agency.deliver("E1", operation="merged", merged_into="E3")
    agency.deliver("E3", {"cin": "SH3"})
    assert agency.count() == 2
    assert agency.row(first, "cin") == ("SH3",)
    # A reference to an entity that was merged finds the record that stands for it now.
    agency.deliver("N1", {"number": "INS-2026-000001", "person": "E2"}, record_type="enrolment")
    assert agency.sql("SELECT qui FROM inscription") == [(int(first),)]


def test_a_split_points_the_row_to_another_entity(agency: Agency) -> None:
    key = agency.add()
    agency.changes()
    agency.deliver("E1", {"cin": "SH1", "phone": "+212612345678"}, local_id=key)
    agency.deliver("E2", {"cin": "SH2"}, local_id=key)
    assert agency.row(key, "cin", "numero") == ("SH2", None)
    # The other is somebody else now: it does not write here any more.
    agency.deliver("E1", {"cin": "SH1"})
    assert agency.row(key, "cin") == ("SH2",)


@pytest.mark.parametrize("first", ["who keeps the row", "who is without one"])
def test_after_a_split_each_has_a_row_whoever_is_told_first(agency: Agency, first: str) -> None:
    """The hub had named the row for E1, and names none any more: to E1 it must not be written (R21)."""
    key = agency.add()
    agency.changes()
    agency.deliver("E1", FULL, local_id=key)
    other = {**FULL, "cin": "SH2"}
    if first == "who keeps the row":
        agency.deliver("E2", other, local_id=key)
        agency.deliver("E1", FULL)
    else:
        agency.deliver("E1", FULL)
        agency.deliver("E2", other, local_id=key)
    # Where an identifier is unique, the one waits until the other has let go of it.
    agency.retry_now()
    made = {cin: str(number) for number, cin in agency.sql(f'SELECT "المعرف", cin FROM {PERSON}')}
    assert made.keys() == {"SH2", "SH123456"}
    assert made["SH2"] == key
    assert agency.change().entity == "E1"
    # Of the new row the hub has not heard yet: it is meant all the same.
    agency.deliver("E1", {**FULL, "cin": "SH3"})
    assert agency.count() == 2
    assert agency.row(made["SH123456"], "cin") == ("SH3",)


def test_what_is_told_of_one_who_was_part_of_another_follows_when_a_row_is_made(agency: Agency) -> None:
    key = agency.add()
    agency.changes()
    agency.deliver("E1", {**FULL, "cin": "SH1"}, local_id=key)
    agency.deliver("E2", operation="merged", merged_into="E1")
    # Told before its person is: as far as is known here, that is still part of the other.
    paper = {"number": "INS-2026-000001", "person": "E2", "status": "active"}
    agency.deliver("N1", paper, record_type="enrolment")
    assert agency.sql("SELECT qui FROM inscription") == [(int(key),)]
    agency.deliver("E2", FULL)
    agency.retry_now()
    made = dict(agency.sql(f'SELECT cin, "المعرف" FROM {PERSON}'))
    assert agency.sql("SELECT qui FROM inscription") == [(made["SH123456"],)]


def test_what_was_said_of_a_row_before_a_merge_does_nothing_after_it(agency: Agency) -> None:
    """Two partitions have no order: a merge may be read before what was said earlier (R18, R21)."""
    key = agency.add()
    agency.changes()
    agency.deliver("E1", {**FULL, "cin": "SH1"}, local_id=key, version=1)
    agency.deliver("E2", {**FULL, "cin": "SH2"}, local_id=key, version=5)
    assert agency.deliver("E1", {"cin": "SH1"}, local_id=key, version=3) == {"superseded": 1}
    agency.deliver("E1", operation="merged", merged_into="E2", version=5)
    assert agency.row(key, "cin", "numero") == ("SH2", "612345678")
    # Nor is the other's row removed for what had been said of the one.
    again = agency.add()
    agency.changes()
    agency.deliver("E3", FULL, local_id=again, version=1)
    agency.deliver("E4", {**FULL, "cin": "SH4"}, local_id=again, version=5)
    assert agency.deliver("E3", operation="delete", local_id=again, version=3) == {"superseded": 1}
    assert agency.row(again, "cin") == ("SH4",)


@pytest.mark.parametrize("together", [False, True])
def test_whose_id_was_given_to_another_gets_a_row_and_takes_none_away(agency: Agency, together: bool) -> None:
    """Both rows are the hub's; people deleted the first, and its id was free (R14)."""
    agency.deliver("E1", FULL)
    key = str(agency.change().local_id)
    agency.sql(f'DELETE FROM {PERSON} WHERE "المعرف" = {key}')
    if agency.kind == "postgresql":
        agency.sql(f'ALTER TABLE {PERSON} ALTER COLUMN "المعرف" RESTART WITH {key}')
    agency.changes()
    made = agency.delivery("E2", {**FULL, "cin": "SH2"})
    merged = agency.delivery("E1", operation="merged", merged_into="E3")
    for deliveries in [(made, merged)] if together else [(made,), (merged,)]:
        agency.apply(*deliveries)
    assert agency.row(key, "cin") == ("SH2",)
    assert agency.shadow(key).entity == "E2"
    agency.deliver("E1", FULL)
    assert agency.count() == 2
    assert agency.row(key, "cin") == ("SH2",)


def test_a_reference_does_not_lead_to_who_was_given_the_id_of_another(agency: Agency) -> None:
    """The hub has not yet said anything else of the one whose id it was (R14, R20)."""
    key = agency.add()
    agency.changes()
    agency.deliver("E1", FULL, local_id=key)
    agency.sql(f'DELETE FROM {PERSON} WHERE "المعرف" = {key}')
    if agency.kind == "postgresql":
        agency.sql(f'ALTER TABLE {PERSON} ALTER COLUMN "المعرف" RESTART WITH {key}')
    assert agency.add("Berrada, Omar") == key
    agency.changes()
    paper = {"number": "INS-1", "person": "E1", "status": "active"}
    assert agency.deliver("N1", paper, record_type="enrolment") == {"waiting": 1}
    agency.deliver("E2", {"given_name_fr": "Omar"}, local_id=key)
    assert agency.deliver("N2", {**paper, "number": "INS-2"}, record_type="enrolment") == {"waiting": 1}
    assert agency.count("inscription") == 0


def test_one_whose_row_is_gone_gets_another_when_it_is_named_no_more(agency: Agency) -> None:
    """The deleted row was of another, as it turns out: a steward has told two apart again (R15, R21)."""
    key = agency.add()
    agency.changes()
    agency.deliver("E1", FULL, local_id=key)
    agency.deliver("E1", operation="merged", merged_into="E2")
    agency.sql(f'DELETE FROM {PERSON} WHERE "المعرف" = {key}')
    agency.changes()
    assert agency.deliver("E2", FULL, local_id=key, seen=0) == {"gone": 1}
    agency.deliver("E2", operation="retract")
    assert agency.deliver("E2", FULL) == {"applied": 1}
    assert agency.count() == 1


def test_a_row_is_given_to_whom_it_is_named_for_where_the_other_has_not_taken_it(agency: Agency) -> None:
    """A higher version does not tell: the other may not have been named for the row, or not be there yet."""
    # Made here, so that the hub has not named it for E1; it says meanwhile that it is E2's.
    agency.deliver("E1", FULL, version=1)
    key = str(agency.change().local_id)
    agency.deliver("E1", {**FULL, "phone": "+212699999999"}, version=9)
    assert agency.deliver("E2", {**FULL, "cin": "SH2"}, local_id=key, version=5) == {"applied": 1}
    assert agency.row(key, "cin") == ("SH2",)
    # The paper's later version waits for a person who is not here: it is not what stands in the row.
    paper = {"number": "INS-1", "person": "E2", "status": "active"}
    agency.deliver("N1", paper, record_type="enrolment", version=1)
    (row,) = agency.sql("SELECT id FROM inscription")
    agency.changes()
    agency.deliver("N1", paper, record_type="enrolment", local_id=str(row[0]), version=2)
    later = {**paper, "person": "E7"}
    assert agency.deliver("N1", later, record_type="enrolment", local_id=str(row[0]), version=9) == {
        "waiting": 1
    }
    other = {**paper, "number": "INS-2"}
    outcome = agency.deliver("N2", other, record_type="enrolment", local_id=str(row[0]), version=5)
    assert outcome == {"applied": 1}


def test_what_refers_to_part_of_one_that_moves_follows_it_and_its_own_person(agency: Agency) -> None:
    """Told of the whole first, by another partition, and of the part that is split off later (R20, R21)."""
    first, second, third = agency.add(), agency.add(), agency.add()
    agency.changes()
    agency.deliver("E1", {"given_name_fr": "Zineb"}, local_id=first)
    agency.deliver("E2", operation="merged", merged_into="E1")
    paper = {"number": "INS-2026-000001", "person": "E2", "status": "active"}
    agency.deliver("N1", paper, record_type="enrolment")
    assert agency.sql("SELECT qui FROM inscription") == [(int(first),)]
    agency.deliver("E1", {"given_name_fr": "Zineb"}, local_id=second)
    agency.retry_now()
    assert agency.sql("SELECT qui FROM inscription") == [(int(second),)]
    agency.deliver("E2", {"given_name_fr": "Zineb"}, local_id=third)
    agency.retry_now()
    assert agency.sql("SELECT qui FROM inscription") == [(int(third),)]


@pytest.mark.parametrize("first", ["who keeps the row", "who is without one"])
def test_after_a_split_what_refers_to_either_follows_it(agency: Agency, first: str) -> None:
    """The hub has nothing new to say of those who refer to E1: they refer to the same as before (R20)."""
    key = agency.add()
    agency.changes()
    agency.deliver("E1", FULL, local_id=key)
    papers = {f"N{n}": {"number": f"INS-2026-00000{n}", "person": "E1", "status": "active"} for n in (1, 2)}
    for name, values in papers.items():
        agency.deliver(name, values, record_type="enrolment")
    split = [
        agency.delivery("E2", {**FULL, "cin": "SH2"}, local_id=key),
        agency.delivery("E1", FULL),
    ]
    for delivery in split if first == "who keeps the row" else reversed(split):
        agency.apply(delivery)
    agency.retry_now()
    # One of them was E2's; in whichever order.
    agency.deliver("N2", {**papers["N2"], "person": "E2"}, record_type="enrolment")
    agency.retry_now()
    made = dict(agency.sql(f'SELECT cin, "المعرف" FROM {PERSON}'))
    held = dict(agency.sql("SELECT numero, qui FROM inscription"))
    assert held == {"INS-2026-000001": made["SH123456"], "INS-2026-000002": made["SH2"]}
    # The hub is not told that they wait for what only this side knows of, and it is nobody's edit.
    assert {state for entity, state, *_ in agency.refusals() if entity in papers} <= {"resolved"}
    assert [change.operation for change in agency.changes() if change.operation != "link"] == []


def test_of_two_rows_of_one_paper_only_the_one_that_stands_for_it_follows(agency: Agency) -> None:
    """The other one receives nothing (R21), and what is the agency's own there is not for this row."""
    key = agency.add()
    agency.changes()
    agency.deliver("E1", FULL, local_id=key)
    for name in ("N1", "N2"):
        paper = {"number": f"INS-2026-{name}", "person": "E1", "status": "active"}
        agency.deliver(name, paper, record_type="enrolment")
    agency.sql("UPDATE inscription SET statut = 'P' WHERE numero = 'INS-2026-N2'")
    agency.changes()
    agency.deliver("N2", record_type="enrolment", operation="merged", merged_into="N1")
    agency.deliver("E2", {**FULL, "cin": "SH2"}, local_id=key)
    agency.deliver("E1", FULL)
    agency.retry_now()
    assert dict(agency.sql("SELECT numero, statut FROM inscription")) == {
        "INS-2026-N1": "A",
        "INS-2026-N2": "P",
    }


def test_a_row_that_one_lets_go_is_given_to_whom_it_was_named_for_before(agency: Agency) -> None:
    """Versions of two tell which is later only where both speak of the row: a retraction does not (R18)."""
    key = agency.add(cin="SH1")
    agency.changes()
    agency.deliver("E1", {"cin": "SH1", "phone": "+212612345678"}, local_id=key, version=1)
    # The split gave both version 9; of the one, who was settled again since, it is read first.
    agency.deliver("E1", operation="retract", version=11)
    assert agency.row(key, "cin", "numero") == ("SH1", None)
    assert agency.deliver("E2", {"cin": "SH1", "phone": "+212687654321"}, local_id=key, version=9) == {
        "applied": 1
    }
    assert agency.row(key, "numero") == ("687654321",)
    # And the one that let it go has no say in it any more.
    agency.deliver("E1", {**FULL, "cin": "SH2"}, version=12)
    assert agency.row(key, "cin") == ("SH1",)
    assert agency.count() == 2


@pytest.mark.parametrize("sent", [False, True])
@pytest.mark.parametrize("has_row", [False, True])
def test_who_is_told_apart_before_the_hub_has_heard_of_their_row_keeps_it(
    agency: Agency, has_row: bool, sent: bool
) -> None:
    """The hub names no row: it knows of none yet, and will count this one to whom it was made for (R21)."""
    agency.deliver("E1", {**FULL, "cin": "SH1"}, version=1)
    key = str(agency.sql(f'SELECT "المعرف" FROM {PERSON}')[0][0])
    paper = {"number": "INS-1", "person": "E1", "status": "active"}
    agency.deliver("N1", paper, record_type="enrolment")
    if sent:
        agency.changes()
    if has_row:
        agency.deliver("E2", {**FULL, "cin": "SH2"}, version=1)
    agency.deliver("E1", operation="merged", merged_into="E2", version=2)
    agency.deliver("E2", {**FULL, "cin": "SH2"}, version=2)
    agency.deliver("E1", {**FULL, "cin": "SH3"}, version=3)
    agency.deliver("E2", {**FULL, "cin": "SH2"}, version=3)
    links = [change for change in agency.changes() if change.operation == "link"]
    agency.retry_now()
    links += [change for change in agency.changes() if change.operation == "link"]
    assert agency.count() == 2
    assert agency.row(key, "cin") == ("SH3",)
    made = [change.local_id for change in links if (change.record_type, change.entity) == ("person", "E1")]
    assert made == ([] if sent else [key])
    assert agency.sql("SELECT qui FROM inscription") == [(int(key),)]
    # And it is E1's from now on.
    agency.deliver("E1", {**FULL, "cin": "SH4"}, version=4)
    assert agency.row(key, "cin") == ("SH4",)


def test_what_one_brought_along_goes_where_they_may_not_be_held_by_themselves(agency: Agency) -> None:
    """The hub tells nothing more once it hears of the row: this side knows which is meant (R17)."""
    agency.deliver("E2", {**FULL, "cin": "SH2"})
    agency.deliver("E1", {**FULL, "cin": "SH1"})
    agency.changes()
    agency.deliver("E1", operation="merged", merged_into="E2")
    assert agency.deliver("E1", operation="retract") == {"applied": 1}
    assert agency.sql(f"SELECT cin FROM {PERSON}") == [("SH2",)]
    assert [change.operation for change in agency.changes()] == ["unlink"]


def test_what_one_brought_along_is_not_who_has_its_id_by_now(agency: Agency) -> None:
    agency.deliver("E1", {**FULL, "cin": "SH1"})
    key = str(agency.change().local_id)
    agency.deliver("E2", {**FULL, "cin": "SH2"})
    agency.deliver("E1", operation="merged", merged_into="E2")
    agency.sql(f'DELETE FROM {PERSON} WHERE "المعرف" = {key}')
    agency.changes()
    agency.sql(f"""INSERT INTO {PERSON} ("المعرف", cin, names) VALUES ({key}, 'SH9', 'Berrada, Omar')""")
    agency.changes()
    assert agency.deliver("E1", {**FULL, "cin": "SH1"}) == {"applied": 1}
    assert agency.row(key, "cin") == ("SH9",)
    assert agency.count() == 3


@pytest.mark.parametrize("named", [False, True])
def test_one_whose_next_row_is_lost_gets_another_when_none_is_named(agency: Agency, named: bool) -> None:
    """People deleted the row that stood for them here; the hub goes on with another of their rows, which this
    restored database does not have, until it finds that out (R21, R24)."""
    key = agency.add()
    agency.changes()
    agency.deliver("E1", FULL, local_id=key)
    agency.deliver("E1", operation="merged", merged_into="E2")
    if named:
        agency.deliver("E2", FULL, local_id=key)
    agency.sql(f'DELETE FROM {PERSON} WHERE "المعرف" = {key}')
    agency.changes()
    assert agency.deliver("E2", FULL, local_id="999") == {"gone": 1}
    assert agency.deliver("E2", FULL) == {"applied": 1}
    assert agency.count() == 1
