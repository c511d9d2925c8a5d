"""Tables and mappings change while people work: nothing is lost, nothing is emptied, and it is said."""

from __future__ import annotations

from typing import Any

import pytest
from sql_agency import INBOX, MAPPING, PERSON, Agency

from connectors.sdk import Arrivals, Change
from connectors.sql import store
from hub.core import stamps
from hub.errors import ConfigurationError, Fatal, Retriable

SEX = "sex: {column: الجنس, codes: {ذ: male, أ: female}}"


def without(line: str) -> str:
    assert line in MAPPING
    return MAPPING.replace(line, "")


def said(changes: list[Change]) -> list[tuple[str, str, dict[str, Any]]]:
    return [(one.local_id, one.operation, one.values) for one in changes]


def update(agency: Agency, column: str, value: Any, key: str) -> None:
    agency.sql(f'UPDATE {PERSON} SET "{column}" = ? WHERE "المعرف" = ?', value, int(key))


# A column that people rename


def test_a_renamed_column_never_fails_a_write_and_loses_nothing(agency: Agency) -> None:
    key, other = agency.add(cin="SH1", recu="2020-02-02"), agency.add("Idrissi, Omar", cin="SH2")
    agency.changes()
    agency.sql(f"ALTER TABLE {PERSON} RENAME COLUMN cin TO carte")
    update(agency, "carte", "SH10", key)
    update(agency, "recu", None, key)
    update(agency, "carte", None, other)
    made = agency.sql(f"INSERT INTO {PERSON} (names, carte) VALUES ('Tazi, Ali', 'SH3') RETURNING \"المعرف\"")
    with pytest.raises(ConfigurationError, match=r"mapping-\w+.yaml:11:\d+: table .* has no column 'cin'"):
        agency.remap(MAPPING)
    agency.remap(MAPPING.replace("cin: {column: cin,", "cin: {column: carte,"))
    update(agency, "carte", "SH11", key)
    changes = [one for one in agency.changes() if one.operation != "snapshot"]
    by_row: dict[str, list[dict[str, Any]]] = {}
    for change in changes:
        by_row.setdefault(change.local_id, []).append(change.values)
    together = {name: value for values in by_row[key] for name, value in values.items()}
    # A value taken away in between is known to be empty; what was only renamed is not.
    assert together == {"cin": "SH11", "received_on": None}
    assert by_row[other] == [{"cin": None}]
    assert by_row[str(made[0][0])][0]["cin"] == "SH3"


def test_a_running_source_notices_that_a_column_is_gone(agency: Agency) -> None:
    agency.sql(f"ALTER TABLE {PERSON} RENAME COLUMN cin TO carte")
    agency.source._fit_at = 0.0
    with pytest.raises(ConfigurationError, match="has no column 'cin'"):
        agency.source.read(100)


def test_triggers_of_what_is_mapped_no_more_are_taken_away(agency: Agency) -> None:
    start = MAPPING.index("  enrolment:")
    agency.remap(MAPPING[:start])
    key = agency.add()
    agency.changes()
    agency.sql("INSERT INTO inscription (numero, qui) VALUES ('E1', ?)", int(key))
    assert agency.source.backlog() == 0


# A field that comes into the mapping, or leaves it


def test_a_field_that_is_mapped_from_now_on_is_read_in_all_rows(agency: Agency) -> None:
    agency.remap(without(SEX))
    dated = agency.add(cin="SH1", الجنس="أ", maj="2020-01-01 00:00:00+00")
    undated, empty = agency.add("Idrissi, Omar", الجنس="ذ"), agency.add("Tazi, Ali")
    agency.changes()
    agency.remap(MAPPING)
    changes = agency.changes()
    assert said(changes) == [
        (dated, "snapshot", {"sex": "female"}),
        (undated, "snapshot", {"sex": "male"}),
    ]
    assert [one.asserted for one in changes] == [stamps.at(1577836800000), stamps.LOWEST]
    assert agency.row(empty, "الجنس") == (None,)
    # Once only.
    agency.remap(MAPPING)
    assert agency.changes() == []
    update(agency, "الجنس", "ذ", dated)
    assert agency.change().values == {"sex": "male"}


def test_reading_again_goes_on_where_it_was(agency: Agency) -> None:
    agency.remap(without(SEX))
    keys = [agency.add(f"Alami, {n}", الجنس="أ") for n in range(5)]
    agency.changes()
    agency.remap(MAPPING)
    first = agency.source.read(2)
    assert first is not None
    agency.source.acknowledge(first)
    agency.remap(MAPPING)
    rest = agency.changes(2)
    assert [one.local_id for one in (*first.changes, *rest)] == keys
    assert {name for one in rest for name in one.changed} == {"sex"}


def test_a_field_that_leaves_the_mapping_empties_nothing(agency: Agency) -> None:
    key = agency.add(cin="SH1", الجنس="أ")
    agency.changes()
    agency.remap(without(SEX))
    update(agency, "الجنس", None, key)
    update(agency, "cin", "SH2", key)
    assert agency.change().changed == ("cin",)


# A changed code list


def test_a_code_that_means_something_else_is_said_again_as_old_as_it_was(agency: Agency) -> None:
    female, male, odd = (agency.add(f"Alami, {code}", الجنس=code) for code in "أذx")
    agency.changes()
    before = agency.shadow(female).own["sex"]
    agency.remap(MAPPING.replace(SEX, "sex: {column: الجنس, codes: {أ: male, x: female}}"))
    agency.problems.clear()
    changes = agency.changes()
    assert said(changes) == [
        (female, "snapshot", {"sex": "male"}),
        (odd, "snapshot", {"sex": "female"}),
    ]
    # Right after what it said before: it beats that, and nothing that others have said since.
    assert [one.asserted for one in changes] == [before + 1, stamps.LOWEST]
    # What cannot be read any more is told, and never said to be empty.
    assert agency.problems == [("person", "sex", "unknown_code")]
    assert agency.row(male, "الجنس")[0].strip() == "ذ"


def test_the_same_codes_in_another_order_are_not_said_again(agency: Agency) -> None:
    agency.add(الجنس="أ")
    agency.changes()
    agency.remap(MAPPING.replace(SEX, "sex: {column: الجنس, codes: {أ: female, ذ: male, x: male}}"))
    assert agency.changes() == []


def test_edits_that_wait_from_before_are_read_as_they_were_captured(agency: Agency) -> None:
    """The queue holds what was captured for another column than the mapping now reads."""
    key = agency.add(cin="SH1", notes="SH9")
    agency.changes()
    update(agency, "cin", "SH2", key)
    agency.remap(MAPPING.replace("cin: {column: cin,", "cin: {column: notes,"))
    changes = agency.changes()
    assert said(changes) == [(key, "update", {"cin": "SH2"}), (key, "snapshot", {"cin": "SH9"})]
    assert store.state(agency.source.db)[1]["person"]["done"]


# What was delivered before


def again(agency: Agency, *deliveries: Any) -> None:
    """The runner connects again and reads the inbox from its beginning, as the sink wants it."""
    agency.sink._look_at = 0.0
    with pytest.raises(Retriable, match="read once more"):
        agency.sink.apply(Arrivals())
    assert INBOX not in agency.sink.connect()
    agency.apply(*deliveries)
    agency.sink._look_at = 0.0
    agency.apply()
    assert agency.sink._replays == {}


def test_what_could_not_be_held_is_written_once_it_can(agency: Agency) -> None:
    agency.remap(without(SEX))
    told = {"family_name_fr": "Alami", "given_name_fr": "Zineb", "sex": "female"}
    first = agency.delivery("E1", told)
    agency.apply(first)
    key = agency.sql(f'SELECT "المعرف" FROM {PERSON}')[0][0]
    agency.changes()
    agency.remap(MAPPING)
    # Not before its people's own rows were read for it.
    agency.sink._look_at = 0.0
    agency.apply(first)
    assert agency.row(key, "الجنس") == (None,)
    assert agency.changes() == []
    again(agency, first)
    assert agency.row(key, "الجنس")[0].strip() == "أ"
    assert agency.changes() == []
    # As ever from now on: what came already is not written again over what people typed since.
    update(agency, "الجنس", "ذ", key)
    assert agency.apply(first) == {"superseded": 1}


def test_what_people_have_in_a_new_column_is_said_before_the_hub_writes_there(agency: Agency) -> None:
    agency.remap(without(SEX))
    key = agency.add(الجنس="ذ")
    agency.changes()
    told = {"family_name_fr": "Alami", "given_name_fr": "Zineb", "sex": "female"}
    first = agency.delivery("E1", told, local_id=key, seen=agency.shadow(key).last)
    agency.apply(first)
    agency.remap(MAPPING)
    second = agency.delivery("E1", told, local_id=key, seen=agency.shadow(key).last)
    agency.apply(second)
    assert agency.change().values == {"sex": "male"}
    # The hub has not heard of that yet when it said this.
    again(agency, second)
    assert agency.row(key, "الجنس")[0].strip() == "ذ"
    agency.apply(agency.delivery("E1", told, local_id=key, seen=agency.shadow(key).last))
    assert agency.row(key, "الجنس")[0].strip() == "أ"


def test_what_was_written_by_another_code_list_is_written_anew(agency: Agency) -> None:
    key = agency.add()
    agency.changes()
    told = {"family_name_fr": "Alami", "given_name_fr": "Zineb", "sex": "female"}
    first = agency.delivery("E1", told, local_id=key)
    agency.apply(first)
    agency.remap(MAPPING.replace(SEX, "sex: {column: الجنس, codes: {أ: male, x: female}}"))
    # What stands there is the hub's own word: nobody here says that it is another one by now.
    assert agency.changes() == []
    again(agency, first)
    assert agency.row(key, "الجنس")[0].strip() == "x"
    assert agency.changes() == []


def test_a_sink_that_meets_a_renamed_column_names_the_line_of_the_mapping(agency: Agency) -> None:
    key = agency.add(cin="SH1")
    agency.changes()
    agency.sql(f"ALTER TABLE {PERSON} RENAME COLUMN cin TO carte")
    # SQLite does not tell which refusal that is: there the next start names the line.
    with pytest.raises(Fatal, match=r"has no column .cin.|no such column"):
        agency.deliver("E1", {"family_name_fr": "Idrissi", "given_name_fr": "Zineb"}, local_id=key)
