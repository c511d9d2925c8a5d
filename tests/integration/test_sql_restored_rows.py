"""A row that the agency deleted, and whose deletion was taken back, is made again under its own key (R32)."""

from __future__ import annotations

import datetime

from sql_agency import PERSON, Agency

BORN = datetime.date(1990, 5, 1)
VALUES = {"cin": "SH1", "birth_date": BORN, "family_name_fr": "Alami", "given_name_fr": "Zineb"}


def deleted(agency: Agency) -> tuple[str, int]:
    """A row of the agency's own that the hub has named, and that was deleted: (its key, the stamp)."""
    local_id = agency.add(cin="SH1")
    agency.changes()
    agency.deliver("E1", VALUES, local_id=local_id)
    agency.sql(f'DELETE FROM {PERSON} WHERE "المعرف" = ?', int(local_id))
    change = agency.change()
    assert change.operation == "delete"
    return local_id, change.stamp


def test_the_row_comes_back_under_its_key_as_a_new_life(agency: Agency) -> None:
    local_id, stamp = deleted(agency)
    assert agency.deliver("E1", VALUES, local_id=local_id, seen=stamp) == {"applied": 1}
    assert agency.row(local_id, "cin", "names") == ("SH1", "Alami, Zineb")
    link = agency.change()
    assert (link.operation, link.local_id, link.incarnation, link.entity) == ("link", local_id, 1, "E1")
    # It is the agency's own: when the hub has nothing more to say of the person, the row stays.
    agency.sql(f"UPDATE {PERSON} SET notes = 'seen' WHERE \"المعرف\" = ?", int(local_id))
    agency.deliver("E1", operation="retract")
    assert agency.count() == 1


def test_edits_of_the_row_go_on_in_its_new_life(agency: Agency) -> None:
    local_id, stamp = deleted(agency)
    agency.deliver("E1", VALUES, local_id=local_id, seen=stamp)
    agency.changes()
    agency.sql(
        f"UPDATE {PERSON} SET numero = '612345678', indicatif = '+212' WHERE \"المعرف\" = ?", int(local_id)
    )
    change = agency.change()
    assert (change.operation, change.incarnation, change.changed) == ("update", 1, ("phone",))


def test_a_delivery_from_before_the_deletion_was_seen_brings_nothing_back(agency: Agency) -> None:
    local_id, stamp = deleted(agency)
    assert agency.deliver("E1", VALUES, local_id=local_id, seen=stamp - 1) == {"gone": 1}
    # Nor does one from before the hub has heard that its row was made.
    agency.deliver("E2", VALUES)
    agency.sql(f"DELETE FROM {PERSON}")
    assert agency.changes()[-1].operation == "delete"
    assert agency.deliver("E2", VALUES, seen=0) == {"gone": 1}
    assert agency.count() == 0


def test_a_row_that_the_agency_entered_again_itself_is_left_as_it_is(agency: Agency) -> None:
    local_id, stamp = deleted(agency)
    agency.sql(f'INSERT INTO {PERSON} ("المعرف", names) VALUES (?, ?)', int(local_id), "Benani, Omar")
    agency.deliver("E1", VALUES, local_id=local_id, seen=stamp)
    assert agency.row(local_id, "names") == ("Benani, Omar",)
