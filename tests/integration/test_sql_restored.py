"""A database that was set back to an earlier state is noticed by what the log still has (R24)."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest
from sql_agency import PERSON, Agency, empty_database

from connectors.sdk import Change, Sent
from connectors.sql import store

TABLES = (
    PERSON, "jisr_changes", "jisr_shadow", "jisr_state", "jisr_entity", "jisr_position", "jisr_dirty",
)  # fmt: skip


@pytest.fixture(params=["postgresql", "sqlite"])
def agency(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Agency]:
    url = empty_database(request.param, request, tmp_path)
    made = Agency(request.param, url, tmp_path)
    made.start()
    yield made
    made.close()


def backed_up(agency: Agency) -> Callable[[], None]:
    """A backup of now; what it returns restores it, as a restored dump or file would be."""
    return _dump(agency) if agency.kind == "postgresql" else _file(agency)


def _file(agency: Agency) -> Callable[[], None]:
    file = Path(agency.url.partition(":///")[2])
    agency.sql("PRAGMA wal_checkpoint(TRUNCATE)")
    content = file.read_bytes()

    def restore() -> None:
        agency.close()
        file.with_name(file.name + "-wal").unlink(missing_ok=True)
        file.with_name(file.name + "-shm").unlink(missing_ok=True)
        file.write_bytes(content)
        agency.people = agency.session()

    return restore


def _dump(agency: Agency) -> Callable[[], None]:
    for table in TABLES:
        agency.sql(f"CREATE TABLE {kept(table)} AS TABLE {table}")
    number = agency.sql("SELECT last_value, is_called FROM jisr_changes_seq_seq")[0]

    def restore() -> None:
        agency.source.close()
        agency.sink.close()
        agency.sql(f"ALTER TABLE {PERSON} DISABLE TRIGGER USER")
        for table in TABLES:
            agency.sql(f"DELETE FROM {table}")
            overriding = "OVERRIDING SYSTEM VALUE" if table == "jisr_changes" else ""
            agency.sql(f"INSERT INTO {table} {overriding} TABLE {kept(table)}")
        agency.sql("SELECT setval('jisr_changes_seq_seq', ?, ?)", *number)
        agency.sql(f"ALTER TABLE {PERSON} ENABLE TRIGGER USER")

    return restore


def kept(table: str) -> str:
    return '"kept ' + table.strip('"') + '"'


def log_of(changes: Sequence[Change]) -> list[Sent]:
    return [Sent(c.event_id, c.record_type, c.local_id, c.stamp) for c in changes]


def started_again(agency: Agency) -> None:
    agency.source.close()
    agency.source = agency.new_source()
    agency.source.connect()


def edit(agency: Agency, key: str, cin: str) -> None:
    agency.sql(f'UPDATE {PERSON} SET cin = ? WHERE "المعرف" = {key}', cin)


def test_a_restored_database_is_noticed_and_says_everything_again(agency: Agency) -> None:
    key, other = agency.add(cin="SH1"), agency.add(cin="SH2")
    log = agency.changes()
    restore = backed_up(agency)
    edit(agency, key, "SH7")
    log += agency.changes()
    restore()
    started_again(agency)
    assert agency.source.look_back(log_of(log)) is True
    assert not agency.source.complete()
    changes = agency.changes()
    assert {c.local_id: c.values["cin"] for c in changes} == {key: "SH1", other: "SH2"}
    assert {c.operation for c in changes} == {"snapshot"}
    assert all(c.event_id.startswith("entraide:person:2-") for c in changes)
    assert any("set back" in line for line in store.summary(agency.source.db))
    # Once is enough.
    started_again(agency)
    assert agency.source.look_back(log_of(log + changes)) is False
    edit(agency, key, "SH8")
    assert agency.change().event_id.startswith("entraide:person:2-")


def test_people_who_worked_on_after_the_restore_do_not_hide_it(agency: Agency) -> None:
    """Numbers are given out again: those of the log are all in the queue, as other edits."""
    key = agency.add(cin="SH1")
    log = agency.changes()
    restore = backed_up(agency)
    for number in range(3):
        edit(agency, key, f"SH1{number}")
    log += agency.changes()
    restore()
    for number in range(9):
        edit(agency, key, f"SH2{number}")
    started_again(agency)
    assert agency.source.look_back(log_of(log)) is True
    changes = agency.changes()
    assert changes[-1].operation == "snapshot"
    assert [c.values["cin"] for c in changes][-2:] == ["SH28", "SH28"]
    assert not {c.event_id for c in changes} & {c.event_id for c in log}


def test_a_second_restore_of_the_same_backup_is_noticed_by_its_epoch(agency: Agency) -> None:
    key = agency.add(cin="SH1")
    log = agency.changes()
    restore = backed_up(agency)
    edit(agency, key, "SH7")
    log += agency.changes()
    for epoch in (2, 3):
        restore()
        started_again(agency)
        assert agency.source.look_back(log_of(log[-1:])) is True
        assert agency.source.epoch == epoch
        log += agency.changes()


def test_a_death_between_sending_and_forgetting_is_no_restore(agency: Agency) -> None:
    key = agency.add(cin="SH1")
    agency.changes()
    edit(agency, key, "SH2")
    edit(agency, key, "SH3")
    batch = agency.source.read(100)
    assert batch is not None
    started_again(agency)
    assert agency.source.look_back(log_of(batch.changes)) is False
    assert log_of(agency.changes()) == log_of(batch.changes)
    assert agency.source.epoch == 1


def test_an_ordinary_start_is_no_restore(agency: Agency) -> None:
    log = [change for n in range(3) if (agency.add(cin=f"SH{n}")) for change in agency.changes()]
    for sent in ([], log_of(log), log_of(log[:1])):
        started_again(agency)
        assert agency.source.look_back(sent) is False


def test_a_late_commit_with_a_lower_number_is_no_restore(
    request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    agency = Agency("postgresql", empty_database("postgresql", request, tmp_path), tmp_path)
    agency.start()
    early, late = agency.add(cin="SH1"), agency.add(cin="SH2")
    log = agency.changes()
    slow = agency.session()
    slow.execute("BEGIN")
    slow.execute(f"UPDATE {PERSON} SET cin = 'SH3' WHERE \"المعرف\" = {early}")
    edit(agency, late, "SH4")
    log += agency.changes()
    slow.execute("COMMIT")
    slow.close()
    log += agency.changes()
    started_again(agency)
    assert agency.source.look_back(log_of(log)) is False
    agency.close()
