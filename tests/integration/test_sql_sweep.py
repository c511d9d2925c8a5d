"""The sweep on real databases: what was done behind the triggers is found, exactly that, and told (R30)."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from sql_agency import PERSON, Agency, empty_database

from connectors.compose import database
from connectors.sql.sweep import Page, Sweeper, sweep_all
from connectors.sql.sweep_repair import MISSING_LIMIT
from connectors.sql.sweep_state import Cost, Finding, findings
from hub.errors import Retriable

COMMUNE, OTHER = "11.321.01.03", "11.321.01.05"


@pytest.fixture(params=["postgresql", "sqlite"])
def agency(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Agency]:
    url = empty_database(request.param, request, tmp_path)
    made = Agency(request.param, url, tmp_path)
    made.start()
    yield made
    made.close()


@contextmanager
def behind_the_triggers(agency: Agency, *tables: str) -> Iterator[None]:
    """As a person with rights on the schema writes when nobody is to know."""
    tables = tables or (PERSON, "contact")
    if agency.kind == "postgresql":
        for table in tables:
            agency.sql(f"ALTER TABLE {table} DISABLE TRIGGER USER")
        yield
        for table in tables:
            agency.sql(f"ALTER TABLE {table} ENABLE TRIGGER USER")
        return
    triggers = agency.sql("SELECT name, sql FROM sqlite_master WHERE type = 'trigger'")
    for name, _ in triggers:
        agency.sql(f'DROP TRIGGER "{name}"')
    yield
    for _, statement in triggers:
        agency.sql(statement)


def sweeper(agency: Agency, *, repairs: bool = False) -> Sweeper:
    made = Sweeper(database(agency.url), agency.mapping, agency.converters(), repairs=repairs)
    made.connect()
    return made


def sweep(agency: Agency, *, repairs: bool = False, record: str = "person") -> list[Page]:
    one = sweeper(agency, repairs=repairs)
    try:
        return list(sweep_all(one, [record], rows_per_s=1e9))
    finally:
        one.close()


def found(agency: Agency, **options: Any) -> list[Finding]:
    return [finding for page in sweep(agency, **options) for finding in page.findings]


def kinds(agency: Agency, **options: Any) -> list[tuple[str, str, tuple[str, ...], str]]:
    return [(f.local_id, f.kind, f.fields, f.state) for f in found(agency, **options)]


def update(agency: Agency, key: str, assignment: str) -> None:
    agency.sql(f'UPDATE {PERSON} SET {assignment} WHERE "المعرف" = {key}')


def test_triggers_that_are_gone_are_put_back_and_what_they_missed_is_swept_at_once(agency: Agency) -> None:
    """A table that is rebuilt loses its triggers; a load may leave them disabled."""
    key = agency.add(cin="SH1")
    agency.changes()
    agency.source._fit_at = 0.0
    agency.changes()
    sweep(agency)
    one = sweeper(agency)
    try:
        assert one.rest_s("person", 1e6) > 0
        if agency.kind == "postgresql":
            agency.sql(f"ALTER TABLE {PERSON} DISABLE TRIGGER USER")
        else:
            for (name,) in agency.sql("SELECT name FROM sqlite_master WHERE type = 'trigger'"):
                agency.sql(f'DROP TRIGGER "{name}"')
        update(agency, key, "cin = 'SH2'")
        assert agency.changes() == []
        agency.source._fit_at = 0.0
        assert agency.changes() == []
        assert one.rest_s("person", 1e6) == 0
    finally:
        one.close()
    update(agency, key, "\"الجنس\" = 'أ'")
    assert agency.change().values == {"sex": "female"}
    assert kinds(agency, repairs=True) == [(key, "edited", ("cin",), "repaired")]
    assert agency.change().values == {"cin": "SH2"}


@pytest.mark.parametrize("said", [True, False])
def test_a_row_that_the_hub_makes_under_an_id_just_freed_is_no_finding(agency: Agency, said: bool) -> None:
    """What waits in the queue of who had the id is not the new row's (R14)."""
    key = agency.add(cin="SH1")
    if said:
        agency.changes()
    agency.sql(f'DELETE FROM {PERSON} WHERE "المعرف" = {key}')
    if agency.kind == "postgresql":
        agency.sql(f'ALTER TABLE {PERSON} ALTER COLUMN "المعرف" RESTART WITH {key}')
    agency.deliver("E2", {"cin": "SH2", "family_name_fr": "Alaoui", "given_name_fr": "Omar"})
    assert agency.row(key, "cin") == ("SH2",)
    agency.changes(limit=1)
    assert found(agency) == []


def test_an_edit_behind_the_triggers_is_found_and_becomes_an_ordinary_edit(agency: Agency) -> None:
    key, other = agency.add(cin="SH1", الجنس="أ"), agency.add(cin="SH2")
    agency.changes()
    assert found(agency) == []
    with behind_the_triggers(agency):
        update(agency, key, "\"الجنس\" = 'ذ'")
    assert agency.changes() == []
    assert kinds(agency) == [(key, "edited", ("sex",), "raised")]
    assert agency.changes() == []
    assert kinds(agency, repairs=True) == [(key, "edited", ("sex",), "repaired")]
    change = agency.change()
    assert (change.operation, change.local_id, change.values) == ("update", key, {"sex": "male"})
    assert found(agency) == []
    update(agency, other, "cin = 'SH3'")
    assert agency.change().values == {"cin": "SH3"}
    assert found(agency) == []


def test_whatever_goes_the_ordinary_way_is_no_finding(agency: Agency) -> None:
    first = agency.add(cin="SH1", الجنس="أ", indicatif="+212", numero="612345678", recu="2026-01-02")
    agency.sql("INSERT INTO contact (qui, commune, niveau) VALUES (?, ?, 2)", int(first), COMMUNE)
    agency.sql("BEGIN")
    second = agency.add(cin="SH2")
    agency.sql("INSERT INTO contact (qui, commune) VALUES (?, ?)", int(second), COMMUNE)
    agency.sql("UPDATE contact SET commune = ? WHERE qui = ?", OTHER, int(second))
    agency.sql("COMMIT")
    third = agency.add(cin="SH3")
    update(agency, third, "notes = 'what nobody maps', cin = '  sh3 '")
    agency.sql(f'DELETE FROM {PERSON} WHERE "المعرف" = {second}')
    agency.changes()
    assert found(agency) == []
    agency.add(المعرف=int(second), cin="SH9")
    agency.deliver("E1", {"cin": "SH77", "family_name_fr": "Idrissi", "commune": COMMUNE})
    agency.deliver("E2", {"sex": "male", "commune": OTHER, "education_level": "higher"}, local_id=first)
    agency.changes()
    assert found(agency) == []
    agency.deliver("E2", {"sex": "female"}, local_id=first)
    agency.deliver("E1", operation="retract")
    agency.changes()
    assert found(agency) == []


def test_an_edit_and_a_delivery_of_one_row_in_either_order_leave_no_difference(agency: Agency) -> None:
    key = agency.add(cin="SH1", الجنس="أ")
    agency.changes()
    update(agency, key, "cin = 'SH2'")
    # The delivery writes another column before the source has read the edit.
    agency.deliver("E1", {"sex": "male", "commune": COMMUNE}, local_id=key, seen=0)
    agency.changes()
    agency.retry_now()
    assert found(agency) == []


def test_what_is_queued_or_dirty_is_not_compared(agency: Agency) -> None:
    key = agency.add(cin="SH1")
    agency.changes()
    with behind_the_triggers(agency):
        update(agency, key, "\"الجنس\" = 'ذ'")
    update(agency, key, "cin = 'SH2'")
    assert found(agency, repairs=True) == []
    agency.changes()
    assert kinds(agency) == [(key, "edited", ("sex",), "raised")]
    agency.source.db.execute("UPDATE {state} SET cap = 0, read_seq = -1000000")
    update(agency, key, "cin = 'SH3'")
    assert found(agency, repairs=True) == []


def test_a_dirty_row_is_looked_at_anew(agency: Agency) -> None:
    key = agency.add(cin="SH1")
    agency.changes()
    cap = agency.sql("SELECT cap, read_seq FROM jisr_state")[0]
    agency.sql("UPDATE jisr_state SET cap = 0, read_seq = -1000000")
    update(agency, key, "cin = 'SH2'")
    agency.sql("UPDATE jisr_state SET cap = ?, read_seq = ?", *cap)
    assert agency.change().values["cin"] == "SH2"
    assert found(agency) == []
    with behind_the_triggers(agency):
        update(agency, key, "cin = 'SH3'")
    assert kinds(agency) == [(key, "edited", ("cin",), "raised")]


def test_a_sweep_beside_people_source_and_sink_at_work_finds_nothing(agency: Agency) -> None:
    """Edits, deliveries and acknowledgements fall between any two pages of many sweeps."""
    keys = [agency.add(cin=f"SH{number}") for number in range(250)]
    agency.changes(limit=1000)
    stop = threading.Event()
    troubles: list[BaseException] = []

    def people() -> None:
        session = agency.session()
        mark = "%s" if agency.kind == "postgresql" else "?"
        statement = f'UPDATE {PERSON} SET cin = {mark}, recu = {mark} WHERE "المعرف" = {mark}'
        try:
            for number in itertools.cycle(range(1000, 9000)):
                if stop.is_set():
                    break
                key = int(keys[number % len(keys)])
                session.execute(statement, (f"SH{number}", f"2026-01-{number % 28 + 1:02}", key))
        except BaseException as error:
            troubles.append(error)
        finally:
            session.close()

    def connector() -> None:
        try:
            for number in itertools.count():
                if stop.is_set():
                    break
                key = keys[number * 7 % len(keys)]
                sex = "male" if number % 2 else "female"
                agency.deliver(f"E{key}", {"sex": sex, "commune": COMMUNE}, local_id=key)
                agency.changes(limit=50)
        except BaseException as error:
            troubles.append(error)

    # First: beside writers of one file it may find it busy; and threads that nobody stops outlive the test.
    one = sweeper(agency, repairs=True)
    threads = [threading.Thread(target=people), threading.Thread(target=connector)]
    for thread in threads:
        thread.start()
    try:
        compared = 0
        for _ in range(15):
            for page in sweep_all(one, ["person"], rows_per_s=1e9):
                assert page.findings == []
                compared += page.cost.rows
    finally:
        stop.set()
        for thread in threads:
            thread.join()
        one.close()
    assert troubles == []
    assert compared >= 15 * len(keys)
    agency.changes(limit=1000)
    agency.retry_now()
    agency.changes(limit=1000)
    assert found(agency) == []


def test_what_the_hub_wrote_and_was_undone_in_silence_is_said_with_what_it_became(agency: Agency) -> None:
    key = agency.add(cin="SH1")
    agency.changes()
    agency.deliver("E1", {"sex": "male", "commune": COMMUNE, "languages": ["ar", "fr"]}, local_id=key)
    with behind_the_triggers(agency):
        update(agency, key, '"الجنس" = NULL')
        agency.sql("DELETE FROM contact WHERE qui = ?", int(key))
    fields = ("sex", "commune")
    assert kinds(agency, repairs=True) == [(key, "edited", fields, "repaired")]
    change = agency.change()
    assert (set(change.changed), change.values) == (set(fields), {"sex": None, "commune": None})
    assert found(agency) == []


def test_an_own_value_emptied_in_silence_is_said_as_empty(agency: Agency) -> None:
    key = agency.add(cin="SH1", recu="2026-01-02")
    agency.changes()
    with behind_the_triggers(agency):
        update(agency, key, "recu = NULL, cin = NULL")
    assert found(agency, repairs=True)[0].fields == ("cin", "received_on")
    change = agency.change()
    assert (change.operation, change.values) == ("update", {"cin": None, "received_on": None})


def test_rows_made_and_removed_in_silence(agency: Agency) -> None:
    gone, stays = agency.add(cin="SH1"), agency.add(cin="SH2")
    agency.changes()
    with behind_the_triggers(agency):
        agency.sql(f'DELETE FROM {PERSON} WHERE "المعرف" = {gone}')
        new = agency.add(cin="SH3")
        agency.sql("INSERT INTO contact (qui, commune) VALUES (?, ?)", int(new), COMMUNE)
    assert sorted(kinds(agency)) == [(gone, "missing", (), "raised"), (new, "unknown", (), "raised")]
    assert agency.changes() == []
    assert len(found(agency, repairs=True)) == 2
    made, ended = sorted(agency.changes(), key=lambda change: change.operation, reverse=True)
    assert (made.operation, made.local_id, made.values["commune"]) == ("insert", new, COMMUNE)
    assert (ended.operation, ended.local_id, ended.incarnation) == ("delete", gone, 0)
    assert found(agency) == []
    # Each goes on as if a trigger had seen it.
    agency.add(المعرف=int(gone), cin="SH1")
    update(agency, new, "cin = 'SH4'")
    update(agency, stays, "cin = 'SH5'")
    assert {(c.local_id, c.incarnation) for c in agency.changes()} == {(gone, 1), (new, 0), (stays, 0)}
    assert found(agency) == []


def test_a_table_emptied_in_silence_does_not_empty_the_hub(agency: Agency) -> None:
    for number in range(MISSING_LIMIT + 5):
        agency.add(cin=f"SH{number}")
    agency.changes(limit=1000)
    with behind_the_triggers(agency):
        agency.sql(f"DELETE FROM {PERSON}")
    states = [finding.state for finding in found(agency, repairs=True)]
    assert (states.count("repaired"), states.count("raised")) == (0, MISSING_LIMIT + 5)
    assert agency.changes(limit=1000) == []


def test_rows_of_before_this_release_are_learnt_first_and_compared_then(agency: Agency) -> None:
    key = agency.add(cin="SH1", الجنس="أ")
    agency.changes()
    agency.source.db.execute("UPDATE {shadow} SET row_print = NULL")
    assert found(agency) == []
    with behind_the_triggers(agency):
        update(agency, key, "\"الجنس\" = 'ذ'")
    assert kinds(agency) == [(key, "edited", ("sex",), "raised")]


def test_a_snapshot_knows_its_rows(request: pytest.FixtureRequest, tmp_path: Path) -> None:
    for kind in ("postgresql", "sqlite"):
        agency = Agency(kind, empty_database(kind, request, tmp_path), tmp_path)
        key = agency.add(cin="SH1", الجنس="أ")
        agency.start()
        with behind_the_triggers(agency):
            update(agency, key, "\"الجنس\" = 'ذ'")
        assert kinds(agency) == [(key, "edited", ("sex",), "raised")], kind
        agency.close()


def test_another_mapping_makes_prints_of_the_old_one_void(agency: Agency) -> None:
    key = agency.add(cin="SH1", الجنس="أ")
    agency.changes()
    agency.source.db.execute("UPDATE {sweep} SET form = 'another'")
    with behind_the_triggers(agency):
        update(agency, key, "\"الجنس\" = 'ذ'")
    assert found(agency) == []
    assert agency.shadow(key).row_print is not None


def test_bookkeeping_of_an_older_release_gets_the_new_columns(agency: Agency) -> None:
    key = agency.add(cin="SH1")
    agency.changes()
    for table, column in (("shadow", "row_print"), ("state", "sent_seq"), ("state", "restored_ms")):
        agency.sql(f"ALTER TABLE jisr_{table} DROP COLUMN {column}")
    for table in ("sweep", "finding"):
        agency.sql(f"DROP TABLE jisr_{table}")
    agency.source.close()
    agency.source = agency.new_source()
    agency.source.connect()
    update(agency, key, "cin = 'SH2'")
    assert agency.change().values == {"cin": "SH2"}
    assert found(agency) == []
    assert agency.shadow(key).row_print is not None


def fill(agency: Agency, count: int) -> None:
    """So many people whom the connector knows, made by set: as after a snapshot of long ago."""
    numbers = {
        "postgresql": f"FROM generate_series(1, {count}) AS n",
        "sqlite": f"FROM (WITH RECURSIVE s(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM s WHERE n < {count})"
        " SELECT n FROM s)",
    }[agency.kind]
    with behind_the_triggers(agency):
        agency.sql(
            f'INSERT INTO {PERSON} ("المعرف", cin, names, "الجنس", numero)'
            f" SELECT n, 'C' || n, 'Alami ' || n || ', Zineb', 'أ', '6' || n {numbers}"
        )
    false = "false" if agency.kind == "postgresql" else "0"
    agency.sql(
        "INSERT INTO jisr_shadow (record, local_id, incarnation, deleted, created_by_hub, known, last, born,"
        f" delivered, own, replaced, kept) SELECT 'person', n, 0, {false}, {false}, 0, 0, 0,"
        f" '{{}}', '{{}}', '{{}}', '{{}}' {numbers}"
    )


def exactly_those_five(agency: Agency, count: int) -> None:
    fill(agency, count)
    assert found(agency) == [], "the first sweep learns"
    five = [1, 2, count // 2, count // 2 + 1, count]
    with behind_the_triggers(agency):
        for key in five:
            update(agency, str(key), "cin = replace(cin, 'C', 'D')")
    # What goes on meanwhile is nobody's silent edit.
    update(agency, str(count // 3), "cin = 'SH1'")
    agency.changes()
    update(agency, str(count // 4), "cin = 'SH2'")
    pages = sweep(agency, repairs=True)
    told = sorted((int(f.local_id), f.fields, f.state) for page in pages for f in page.findings)
    assert told == [(key, ("cin",), "repaired") for key in five]
    cost = sum((page.cost for page in pages), start=Cost())
    print(f"{agency.kind}: {cost.text()}")
    assert (cost.rows, cost.keys) == (count, count)
    assert 0 < cost.seconds / count < 0.001
    changed = {c.local_id: c.changed for c in agency.changes(limit=100)}
    assert changed == {str(key): ("cin",) for key in five} | {str(count // 4): ("cin",)}
    assert found(agency) == []


def test_exactly_five_among_many(agency: Agency) -> None:
    exactly_those_five(agency, 30_000)


@pytest.mark.campaign
def test_exactly_five_among_a_million(agency: Agency) -> None:
    exactly_those_five(agency, 1_000_000)


def test_two_sweeps_do_not_run_at_one_time(agency: Agency) -> None:
    agency.add(cin="SH1")
    agency.changes()
    one, other = sweeper(agency), sweeper(agency)
    one.begin("person")
    assert other.resume("person") is False
    with pytest.raises(Retriable, match="only one may be"):
        other.begin("person")
    while not one.step("person").over:
        pass
    # A connector that only waits for its next sweep is in nobody's way.
    assert other.resume("person") is True
    one.close()
    other.close()


def test_a_sweep_goes_on_where_it_was_and_says_what_it_cost(agency: Agency) -> None:
    keys = [agency.add(cin=f"SH{number}") for number in range(450)]
    agency.changes(limit=1000)
    one = sweeper(agency)
    one.begin("person")
    assert one.step("person").cost.rows == 200
    one.close()
    with behind_the_triggers(agency):
        update(agency, keys[0], "cin = 'X1'")
        update(agency, keys[-1], "cin = 'X2'")
    again = sweeper(agency)
    assert again.resume("person")
    while not again.step("person").over:
        pass
    state = again.state("person")
    # The first page was read before the edit of its row.
    assert [f.local_id for f in findings(again.db, "person")] == [keys[-1]]
    assert (state.report["cost"]["rows"], state.report["cost"]["keys"]) == (450, 450)
    assert state.report["found"] == {"edited": 1}
    assert state.report["cost"]["bytes"] > 450 * len("SH1Alami, Zineb")
    assert state.report["cost"]["seconds"] > 0
    again.close()
    assert [finding.local_id for finding in found(agency)] == [keys[0], keys[-1]]
