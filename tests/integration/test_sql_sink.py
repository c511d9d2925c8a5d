"""The sink on real databases: what deliveries do to rows, and what the shadow keeps."""

from __future__ import annotations

import datetime
from typing import Any

import pytest
from sql_agency import FULL, PERSON, Agency

from connectors.sdk import Arrivals
from connectors.sql import chunk
from connectors.sql.database import Locked
from hub.errors import Retriable


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


def test_where_too_much_is_captured_to_look_at_a_delivery_waits_until_it_is_sent(
    agency: Agency, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(chunk, "MOST_PENDING", 2)
    busy, idle = agency.add(cin="SH1"), agency.add(cin="SH2")
    agency.changes()
    for cin in ("SH3", "SH4", "SH5"):
        agency.sql(f"UPDATE {PERSON} SET cin = '{cin}' WHERE \"المعرف\" = {busy}")
    outcome = agency.apply(
        agency.delivery("E1", {"sex": "male"}, local_id=busy),
        agency.delivery("E2", {"sex": "male"}, local_id=idle),
    )
    assert outcome == {"waiting": 1, "applied": 1}
    assert agency.changes()[-1].values == {"cin": "SH5"}
    agency.retry_now()
    assert str(agency.row(busy, "الجنس")[0]).strip() == "ذ"


def test_rows_that_nobody_can_be_at_work_on_do_not_wait_with_those_that_are_locked(
    agency: Agency, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Which rows go in together, and whether people's rows were locked for them (R28)."""
    named, made = agency.add(cin="SH1"), "E2"
    agency.deliver(made, FULL)
    agency.changes()
    transactions = []

    class Noted(chunk.Chunk):
        def apply(self, deliveries: Any, retried: Any) -> Any:
            steps = super().apply(deliveries, retried)
            transactions.append(([one.entity for one in deliveries], self.locked_at is not None))
            return steps

    monkeypatch.setattr("connectors.sql.sink.Chunk", Noted)
    new = {name: FULL[name] for name in ("family_name_fr", "given_name_fr")}
    there = [
        agency.delivery("E1", {"cin": "SH2"}, local_id=named),
        agency.delivery(made, FULL | {"cin": "SH3"}),
    ]
    assert agency.apply(agency.delivery("E3", new), *there, agency.delivery("E4", new)) == {"applied": 4}
    if agency.kind == "sqlite":
        # Whose transaction locks everything, whatever it writes.
        assert transactions == [(["E3", "E1", "E2", "E4"], False)]
    else:
        assert transactions == [(["E1", "E2"], True), (["E3", "E4"], False)]


def test_rows_that_differ_in_what_changes_keep_the_rest(agency: Agency) -> None:
    keys = [agency.add(cin=cin, الجنس="أ") for cin in ("SH1", "SH2", "SH3")]
    agency.changes()
    said = [{"sex": "male"}, {"cin": "SH9"}, {"sex": "male", "phone": "+212612345678"}]
    given = [agency.delivery(f"E{i}", values, local_id=keys[i]) for i, values in enumerate(said)]
    assert agency.apply(*given) == {"applied": 3}
    rows = [[str(v or "").strip() for v in agency.row(k, "cin", "الجنس", "numero")] for k in keys]
    assert rows == [["SH1", "ذ", ""], ["SH9", "أ", ""], ["SH3", "ذ", "612345678"]]
    assert agency.changes() == []


@pytest.mark.parametrize("agency", ["postgresql"], indirect=True)
def test_an_agency_s_trigger_on_one_column_sees_only_what_is_written_there(agency: Agency) -> None:
    agency.sql("CREATE TABLE seen (k text)")
    agency.sql(
        "CREATE FUNCTION see() RETURNS trigger LANGUAGE plpgsql AS "
        """'BEGIN INSERT INTO seen VALUES (NEW."المعرف"::text); RETURN NEW; END'"""
    )
    agency.sql(f"CREATE TRIGGER see AFTER UPDATE OF cin ON {PERSON} FOR EACH ROW EXECUTE FUNCTION see()")
    keys = [agency.add(cin=cin, الجنس="أ") for cin in ("SH1", "SH2")]
    agency.changes()
    agency.apply(
        agency.delivery("E0", {"sex": "male"}, local_id=keys[0]),
        agency.delivery("E1", {"cin": "SH9"}, local_id=keys[1]),
    )
    assert agency.sql("SELECT k FROM seen") == [(keys[1],)]


def test_a_local_edit_that_the_hub_has_not_seen_is_left_alone(agency: Agency) -> None:
    key = agency.add(cin="SH1", الجنس="أ")
    first = agency.change()
    agency.sql(f"UPDATE {PERSON} SET cin = 'SH2' WHERE \"المعرف\" = {key}")
    # Captured, not sent: the field waits, the others go on.
    outcome = agency.deliver("E1", {"cin": "SH9", "sex": "male"}, local_id=key, seen=first.stamp)
    assert outcome == {"applied": 1}
    assert [str(v).strip() for v in agency.row(key, "cin", "الجنس")] == ["SH2", "ذ"]
    assert agency.refusals() == [("E1", "waiting", "local_edit", "")]
    edit = agency.change()
    # Sent, not seen by the hub: left alone for good; the hub will answer.
    agency.retry_now()
    assert agency.row(key, "cin") == ("SH2",)
    assert agency.refusals() == [("E1", "resolved", "", "")]
    # Seen: the hub's word holds.
    agency.deliver("E1", {"cin": "SH9"}, local_id=key, seen=edit.stamp)
    assert agency.row(key, "cin") == ("SH9",)


def test_a_correction_of_what_the_hub_wrote_beats_it(agency: Agency) -> None:
    key = agency.add(cin="SH1")
    agency.changes()
    far = (2**47) << 10  # a stamp far in the future: another agency's clock runs ahead
    agency.deliver("E1", {"cin": "SH2"}, local_id=key, stamp=far)
    agency.sql(f"UPDATE {PERSON} SET cin = 'SH3' WHERE \"المعرف\" = {key}")
    change = agency.change()
    assert change.stamp > far
    assert change.entity == "E1"


def test_an_edit_that_puts_back_what_the_hub_replaced_is_said_to_be_stale(agency: Agency) -> None:
    key = agency.add("Alami, Zineb", cin="SH1")
    agency.changes()
    agency.deliver("E1", {"cin": "SH2", "given_name_fr": "Zohra"}, local_id=key)
    # A form that was opened before: it writes the whole row, and one correction.
    agency.sql(
        f"UPDATE {PERSON} SET cin = 'SH1', names = 'Alaoui, Zineb', indicatif = '+212', numero = '612345678'"
    )
    change = agency.change()
    assert sorted(change.stale) == ["cin", "given_name_fr"]
    assert sorted(change.changed) == ["family_name_fr", "phone"]
    assert (change.values["cin"], change.values["given_name_fr"]) == ("SH1", "Zineb")
    # The hub answers with its value; the edit was seen, so the answer is written.
    agency.deliver("E1", {"cin": "SH2"}, local_id=key, seen=change.stamp)
    assert agency.row(key, "cin") == ("SH2",)


def test_what_the_hub_no_longer_lists_is_taken_back(agency: Agency) -> None:
    key = agency.add(cin="SH1")
    agency.changes()
    agency.deliver("E1", {"cin": "SH1", "phone": "+212612345678", "commune": "11.321.01.03"}, local_id=key)
    agency.deliver("E1", {"cin": "SH1"}, local_id=key)
    # The agency's own `cin` stays; what came from the hub goes.
    assert agency.row(key, "cin", "indicatif", "numero") == ("SH1", None, None)
    assert agency.sql("SELECT commune FROM contact") == [(None,)]
    assert agency.changes() == []
    agency.deliver("E1", {}, local_id=key)
    assert agency.row(key, "cin") == ("SH1",)


def test_what_is_taken_back_gives_the_agency_its_own_value_again(agency: Agency) -> None:
    key = agency.add(indicatif="+212", numero="600000001", تاريخ="07/03/1990")
    agency.changes()
    values = {"phone": "+212600000002", "birth_date": datetime.date(1991, 1, 1), "family_name_fr": "Alaoui"}
    agency.deliver("E1", values, local_id=key)
    agency.deliver("E1", {**values, "phone": "+212600000003"}, local_id=key)
    agency.deliver("E1", {}, local_id=key, operation="retract")
    assert agency.row(key, "indicatif", "numero", "تاريخ", "names") == (
        "+212",
        "600000001",
        "07/03/1990",
        "Alami, Zineb",
    )
    assert agency.shadow(key).delivered == {}


def test_an_edit_over_the_hubs_value_is_not_taken_back(agency: Agency) -> None:
    key = agency.add()
    agency.changes()
    agency.deliver("E1", {"cin": "SH2", "given_name_fr": "Zohra"}, local_id=key)
    agency.sql(f"UPDATE {PERSON} SET cin = 'SH3', names = 'Alaoui, Zohra'")
    agency.changes()
    agency.deliver("E1", {}, local_id=key)
    # Its own part of the joined column stays, the hub's part goes.
    assert agency.row(key, "cin", "names") == ("SH3", "Alaoui, Zineb")


def test_a_retracted_row_that_the_hub_made_goes_and_may_come_again(agency: Agency) -> None:
    agency.deliver("E1", FULL)
    key = agency.change().local_id
    agency.deliver("E1", operation="retract", local_id=key)
    assert (agency.count(), agency.count("contact")) == (0, 0)
    end = agency.change()
    assert (end.operation, end.local_id, end.incarnation) == ("unlink", key, 0)
    agency.deliver("E1", FULL)
    assert agency.count() == 1
    link = agency.change()
    assert (link.operation, link.entity) == ("link", "E1")


def test_a_row_that_came_back_is_meant_once_the_hub_has_heard_that_the_first_is_gone(agency: Agency) -> None:
    """It names the first one until then; in SQLite the second has the same id (R14, R15)."""
    agency.deliver("E1", FULL)
    key = agency.change().local_id
    agency.deliver("E1", operation="retract", local_id=key)
    agency.changes()
    agency.deliver("E1", FULL, local_id=key)
    assert agency.count() == 1
    agency.deliver("E1", {**FULL, "cin": "SH2"})
    assert agency.sql(f"SELECT cin FROM {PERSON}") == [("SH2",)]


def test_a_retracted_row_with_something_of_the_agencys_own_stays(agency: Agency) -> None:
    agency.deliver("E1", FULL)
    key = agency.change().local_id
    agency.sql(f"UPDATE {PERSON} SET cin = 'SH2'")
    agency.changes()
    agency.deliver("E1", operation="retract", local_id=key)
    # `names` may not be empty: it stays, and the hub is told.
    assert agency.row(key, "cin", "تاريخ", "names") == ("SH2", None, "El Idrissi, Fatima Zahra")
    assert agency.refusals() == [("E1", "refused", "not_null", "names")]


def test_what_the_agency_deleted_is_not_made_again(agency: Agency) -> None:
    agency.deliver("E1", FULL)
    link = agency.change()
    key = link.local_id
    agency.sql(f'DELETE FROM {PERSON} WHERE "المعرف" = {key}')
    agency.deliver("E1", FULL | {"sex": "male"})
    agency.changes()
    agency.retry_now()
    agency.deliver("E1", FULL)
    # Said before the hub heard of the deletion: naming the row after that means that it does not stand.
    agency.deliver("E1", FULL, local_id=key, seen=link.stamp)
    assert agency.count() == 0


def test_a_key_used_again_is_not_mistaken_for_the_one_before(agency: Agency) -> None:
    key = agency.add(cin="SH1")
    first = agency.change()
    agency.deliver("E1", {"cin": "SH1", "phone": "+212612345678"}, local_id=key)
    agency.sql(f'DELETE FROM {PERSON} WHERE "المعرف" = {key}')
    agency.add("Other, Person", المعرف=int(key))
    # The hub has heard neither of the delete nor of the insert.
    agency.deliver("E1", {"cin": "SH1", "phone": "+212712345678"}, local_id=key, seen=first.stamp)
    assert agency.row(key, "cin", "numero", "names") == (None, None, "Other, Person")
    agency.changes()
    agency.retry_now()
    agency.deliver("E1", {"cin": "SH1", "phone": "+212712345678"}, local_id=key, seen=first.stamp)
    assert agency.row(key, "cin", "numero", "names") == (None, None, "Other, Person")
    agency.deliver("E1", {"cin": "SH1"})
    assert agency.row(key, "cin") == (None,)


def test_what_is_said_of_a_former_life_is_not_of_the_row_that_has_its_key_now(agency: Agency) -> None:
    """Whatever the stamps: those of the former life may have come from a clock that is ahead (R14)."""
    key = agency.add(cin="SH1")
    agency.changes()
    agency.deliver("E1", {"cin": "SH1"}, local_id=key, incarnation=0)
    agency.sql(f'DELETE FROM {PERSON} WHERE "المعرف" = {key}')
    agency.add("Other, Person", المعرف=int(key))
    agency.changes()
    assert agency.deliver("E1", {"cin": "SH1"}, local_id=key, incarnation=0) == {"gone": 1}
    assert agency.deliver("E1", operation="delete", local_id=key, incarnation=0) == {"gone": 1}
    assert agency.row(key, "cin") == (None,)
    assert agency.deliver("E2", {"cin": "SH2"}, local_id=key, incarnation=1) == {"applied": 1}
    assert agency.row(key, "cin") == ("SH2",)


def test_a_row_is_named_for_another_once_the_hub_has_heard_of_it(agency: Agency) -> None:
    """Until then its life may be counted anew, and the hub may mean one that a restored database forgot."""
    agency.deliver("E1", FULL)
    ((key,),) = agency.sql(f'SELECT "المعرف" FROM {PERSON}')
    named = {"local_id": str(key), "incarnation": 0}
    assert agency.deliver("E2", {**FULL, "cin": "SH2"}, **named) == {"waiting": 1}
    agency.changes()
    assert agency.retry_now() == {"applied": 1}
    assert agency.row(str(key), "cin") == ("SH2",)


def test_a_new_row_that_is_given_a_key_used_before_stands_for_the_new_one(agency: Agency) -> None:
    """Both in one batch: the word on whoever had the key before must not end the life that begins (R14)."""
    key = agency.add(cin="SH1")
    first = agency.change()
    agency.deliver("E1", {"cin": "SH1"}, local_id=key)
    agency.sql(f'DELETE FROM {PERSON} WHERE "المعرف" = {key}')
    if agency.kind == "postgresql":
        agency.sql(f'ALTER TABLE {PERSON} ALTER COLUMN "المعرف" RESTART WITH {key}')
    agency.changes()
    agency.apply(
        agency.delivery("E2", FULL),
        agency.delivery("E1", {"cin": "SH1"}, local_id=key, seen=first.stamp),
    )
    assert agency.row(key, "cin") == (FULL["cin"],)
    agency.deliver("N1", {"number": "INS-2026-000001", "person": "E2"}, record_type="enrolment")
    assert [str(qui) for (qui,) in agency.sql("SELECT qui FROM inscription")] == [key]


def test_a_deletion_takes_the_row_and_its_parts(agency: Agency) -> None:
    agency.deliver("E1", FULL)
    key = agency.change().local_id
    agency.deliver("E1", operation="delete", local_id=key)
    assert (agency.count(), agency.count("contact")) == (0, 0)
    assert [c.operation for c in agency.changes()] == ["unlink"]


def test_a_deletion_waits_for_an_edit_and_yields_to_it(agency: Agency) -> None:
    agency.deliver("E1", FULL)
    link = agency.change()
    agency.sql(f"UPDATE {PERSON} SET cin = 'SH2'")
    agency.deliver("E1", operation="delete", local_id=link.local_id, seen=link.stamp)
    assert agency.count() == 1
    agency.changes()
    agency.retry_now()
    assert agency.count() == 1


def test_a_reference_waits_for_what_it_refers_to(agency: Agency) -> None:
    number = {"number": "INS-2026-000001", "person": "E1", "centre": "C1", "status": "active"}
    agency.deliver("N1", number, record_type="enrolment")
    assert agency.count("inscription") == 0
    assert agency.refusals() == [("N1", "waiting", "missing_reference", "qui")]
    agency.deliver("E1", FULL)
    agency.sink.apply(Arrivals())
    # It waits for the other one now, which is no news.
    assert agency.refusals() == []
    agency.deliver("C1", {"code": "MA-LAA-0001", "name_fr": "Centre"}, record_type="centre")
    agency.sink.apply(Arrivals())
    assert agency.refusals() == [("N1", "resolved", "", "")]
    person, centre = agency.sql("SELECT qui, ou FROM inscription")[0]
    assert agency.sql(f'SELECT "المعرف" FROM {PERSON}') == [(person,)]
    assert agency.sql("SELECT code_local FROM centre") == [(centre,)]
    assert len(centre) == 36


def test_what_arrives_together_is_applied_in_the_order_of_its_references(agency: Agency) -> None:
    number = agency.delivery("N1", {"number": "INS-2026-000001", "person": "E1"}, record_type="enrolment")
    assert agency.apply(number, agency.delivery("E1", FULL)) == {"applied": 2}
    assert agency.count("inscription") == 1


@pytest.mark.parametrize(
    ("values", "code", "column"),
    [
        ({"birth_date": datetime.date(1900, 1, 1)}, "check", None),
        ({"cin": "SH123456"}, "unique", None),
        ({"education_level": "vocational"}, "unknown_code", "niveau"),
        ({"family_name_fr": None, "given_name_fr": None}, "not_null", "names"),
    ],
)
def test_a_refused_row_does_not_hold_up_its_neighbours(
    agency: Agency, values: dict[str, object], code: str, column: str | None
) -> None:
    agency.deliver("E0", FULL)
    good = [{"family_name_fr": f"Nom {n}", "commune": "11.321.01.03"} for n in range(20)]
    deliveries = [agency.delivery(f"G{n}", value) for n, value in enumerate(good)]
    bad = agency.delivery("B", {"family_name_fr": "Mauvais", **values})
    told: list[tuple[str, str]] = []
    agency.sink._report = lambda record, why: told.append((record, why))
    outcome = agency.apply(*deliveries[:7], bad, *deliveries[7:])
    assert outcome["refused"] == 1
    assert told == [("person", code)]
    assert agency.sql(f"SELECT count(*) FROM {PERSON} WHERE names LIKE 'Nom %'") == [(20,)]
    refusal = agency.refusals()
    assert [r[:3] for r in refusal] == [("B", "refused", code)]
    assert column in (None, refusal[0][3])
    # Tried again, it is refused again, and not told twice.
    agency.retry_now()
    assert agency.refusals() == []
    # A version that fits ends it.
    agency.deliver("B", {"family_name_fr": "Bon"})
    assert agency.refusals() == [("B", "resolved", "", "")]
    assert agency.sql(f"SELECT count(*) FROM {PERSON} WHERE names = 'Bon'") == [(1,)]


@pytest.mark.parametrize("agency", ["postgresql"], indirect=True)
def test_rights_that_were_taken_away_are_named_and_waited_for(
    agency: Agency, caplog: pytest.LogCaptureFixture
) -> None:
    """On the agency's table they refuse its deliveries; on the bookkeeping none, since none is to blame."""
    agency.sql("REVOKE INSERT ON centre FROM current_user")
    with caplog.at_level("INFO", "connectors.sql.sink"):
        counts = agency.apply(
            agency.delivery("E1", FULL),
            agency.delivery("C1", {"code": "C-1", "name_fr": "Jisr"}, record_type="centre"),
        )
    assert counts == {"applied": 1, "refused": 1}
    assert agency.refusals() == [("C1", "refused", "not_permitted", "")]
    assert "permission denied for table centre" in caplog.text
    agency.changes()
    for right, table, step in (
        ("SELECT", "jisr_changes", lambda: agency.source.read(100)),
        ("UPDATE", "jisr_shadow", lambda: agency.deliver("E1", {**FULL, "cin": "SH7"})),
    ):
        agency.sql(f"REVOKE {right} ON {table} FROM current_user")
        with pytest.raises(Retriable, match=f"own bookkeeping.*permission denied for table {table}"):
            step()
        agency.sql(f"GRANT {right} ON {table} TO current_user")
        step()
    assert agency.sql(f"SELECT cin FROM {PERSON}") == [("SH7",)]
    assert agency.refusals() == []


def test_a_field_that_is_refused_leaves_the_others(agency: Agency) -> None:
    key = agency.add(cin="SH1")
    agency.changes()
    agency.deliver("E1", {"cin": "SH2", "education_level": "vocational"}, local_id=key)
    assert agency.row(key, "cin") == ("SH2",)
    assert agency.refusals() == [("E1", "refused", "unknown_code", "niveau")]


def test_what_the_database_makes_of_a_value_is_not_written_again(agency: Agency) -> None:
    if agency.kind == "postgresql":
        agency.sql(
            "CREATE FUNCTION shout() RETURNS trigger LANGUAGE plpgsql AS "
            "$$BEGIN NEW.names := upper(NEW.names); RETURN NEW; END$$"
        )
        agency.sql(
            f"CREATE TRIGGER shout BEFORE INSERT OR UPDATE ON {PERSON} FOR EACH ROW EXECUTE FUNCTION shout()"
        )
    else:
        agency.sql(
            f"CREATE TRIGGER shout AFTER UPDATE ON {PERSON} WHEN NEW.names <> upper(NEW.names) "
            'BEGIN UPDATE "المستفيدون" SET names = upper(NEW.names) WHERE "المعرف" = NEW."المعرف"; END'
        )
    key = agency.add("ALAMI, ZINEB")
    agency.changes()
    agency.deliver("E1", {"family_name_fr": "Bennani"}, local_id=key)
    assert agency.row(key, "names") == ("BENNANI, ZINEB",)
    agency.changes()
    assert agency.deliver("E1", {"family_name_fr": "Bennani"}, local_id=key) == {"unchanged": 1}
    agency.sql(f"UPDATE {PERSON} SET notes = 'x'")
    assert agency.changes() == []
    agency.deliver("E1", {}, local_id=key)
    assert agency.row(key, "names")[0].startswith("ALAMI,")


def test_receipts_are_given_until_they_are_confirmed(agency: Agency) -> None:
    agency.deliver("B", {"education_level": "vocational", "family_name_fr": "X"})
    (first,) = agency.sink.receipts()
    assert (first.topic, first.partition, first.offset) == ("entraide.person.inbox", 0, 1)
    assert [e.code for e in first.exceptions] == ["unknown_code"]
    agency.sink.close()
    agency.sink = agency.new_sink()
    assert agency.sink.connect() == {("entraide.person.inbox", 0): 1}
    (again,) = agency.sink.receipts()
    assert again.exceptions == first.exceptions
    agency.sink.confirm([again])
    assert agency.sink.receipts() == []


def test_news_from_before_their_position_are_told_once_it_is_there(agency: Agency) -> None:
    """As after a death between a delivery's effects and the first position of its partition."""
    delivery = agency.delivery("B", {"education_level": "vocational", "family_name_fr": "X"})
    agency.sink.apply(Arrivals([delivery]))
    agency.sink.close()
    agency.sink = agency.new_sink()
    agency.sink.connect()
    agency.sink.apply(Arrivals(positions={("entraide.person.inbox", 1): 1}))
    (elsewhere,) = agency.sink.receipts()
    assert elsewhere.exceptions == []
    agency.sink.confirm([elsewhere])
    agency.sink.apply(Arrivals(positions={delivery.partition: 1}))
    (late,) = agency.sink.receipts()
    assert [e.code for e in late.exceptions] == ["unknown_code"]


def test_a_row_that_came_back_is_not_made_twice(agency: Agency) -> None:
    """The hub names a row that was removed, before it has heard of that and of the row made since."""
    agency.deliver("E1", {"family_name_fr": "Alami"})
    first = agency.change().local_id
    agency.add(cin="SH9")
    agency.deliver("E1", operation="retract")
    agency.deliver("E1", {"family_name_fr": "Alami"})
    assert agency.count() == 2
    agency.changes()
    agency.deliver("E1", {"family_name_fr": "Alami"}, local_id=first)
    assert agency.count() == 2


def test_what_was_put_off_and_is_overtaken_is_not_tried_for_ever(agency: Agency) -> None:
    late = agency.delivery("E1", {"cin": "SH1"})
    agency.deliver("E1", {"cin": "SH2", "family_name_fr": "Alami"})
    # It comes again while somebody holds a lock on everything, as a writer of SQLite does.
    agency.sink._refuse("person", late, Locked("locked"))
    assert agency.sink.waiting() == {"locked": 1}
    assert agency.retry_now() == {"superseded": 1}
    assert agency.sink.waiting() == {}


def test_what_a_stale_form_put_back_is_not_given_back_as_the_agency_s_own(agency: Agency) -> None:
    agency.deliver("E1", {"cin": "SH1", "family_name_fr": "Alami"})
    key = agency.change().local_id
    agency.deliver("E1", {"cin": "SH2", "family_name_fr": "Alami"}, stamp=5)
    agency.sql(f"UPDATE {PERSON} SET cin = 'SH1' WHERE \"المعرف\" = {key}")
    assert agency.change().stale == ("cin",)
    agency.deliver("E1", {"cin": "SH2", "family_name_fr": "Alami"}, stamp=5)
    assert agency.row(key, "cin") == ("SH2",)
    # The hub takes its values back: there is none of the agency's own.
    agency.deliver("E1", {"family_name_fr": "Alami"})
    assert agency.row(key, "cin") == (None,)


def test_what_the_agency_itself_said_is_given_back_though_a_stale_form_said_it_again(agency: Agency) -> None:
    key = agency.add(cin="SH1")
    agency.changes()
    agency.deliver("E1", {"cin": "SH2"}, local_id=key, stamp=5)
    agency.sql(f"UPDATE {PERSON} SET cin = 'SH1' WHERE \"المعرف\" = {key}")
    assert agency.change().stale == ("cin",)
    agency.deliver("E1", {"cin": "SH2"}, local_id=key, stamp=5)
    agency.deliver("E1", {}, local_id=key)
    assert agency.row(key, "cin") == ("SH1",)


def test_hostile_values_are_only_values(agency: Agency) -> None:
    name = "Robert'); DROP TABLE contact; -- \" \\ %s :x {y} $1"
    agency.deliver("E1", {"family_name_fr": name, "languages": ["ar", "ber"]})
    key = agency.change().local_id
    assert agency.row(key, "names") == (name,)
    agency.deliver("E1", {"family_name_fr": name + "2"}, local_id=key)
    assert agency.row(key, "names") == (name + "2",)
