"""A database that was set back to an earlier state is noticed by what the log still has (R24)."""

from __future__ import annotations

import datetime
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from sql_agency import MAPPING, PERSON, Agency, empty_database

from connectors.sdk import Arrivals, Change, Sent
from connectors.sql import snapshot, store
from connectors.sql.condition import condition, lines
from hub.core import stamps
from hub.core.epochs import first_life
from hub.errors import Fatal, JisrError, Retriable

TABLES = (
    PERSON, "jisr_changes", "jisr_shadow", "jisr_state", "jisr_entity", "jisr_position", "jisr_dirty",
)  # fmt: skip


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


def _dump(agency: Agency, *, running: bool = False) -> Callable[[], None]:
    """`running`: put back beneath the connector, as `pg_restore --clean` does."""
    for table in TABLES:
        agency.sql(f"CREATE TABLE {kept(table)} AS TABLE {table}")
    number = agency.sql("SELECT last_value, is_called FROM jisr_changes_seq_seq")[0]

    def restore() -> None:
        if not running:
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
    return [Sent(c.event_id, c.record_type, c.local_id, c.stamp, c.operation) for c in changes]


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
    assert any("set back" in line for line in lines(condition(agency.source.db)))
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
        assert agency.source.number == epoch
        log += agency.changes()


def set_back(agency: Agency) -> tuple[str, str, list[Change]]:
    """Restores a backup made between two new rows: (the key that is kept, the one that is forgotten, all
    that was sent)."""
    kept = agency.add(cin="SH1")
    sent = agency.changes()
    restore = backed_up(agency)
    forgotten = agency.add(cin="SH2")
    sent += agency.changes()
    restore()
    return kept, forgotten, sent


def numbered(agency: Agency, key: str, names: str) -> None:
    agency.sql(f'INSERT INTO {PERSON} ("المعرف", names) VALUES (?, ?)', int(key), names)


@pytest.mark.parametrize("noticed", [False, True])
def test_a_number_that_is_given_out_again_begins_another_life(agency: Agency, noticed: bool) -> None:
    """Whether people are given it before or after somebody finds out that the database was restored."""
    kept_key, forgotten, log = set_back(agency)
    if not noticed:
        numbered(agency, forgotten, "Benani, Omar")
    started_again(agency)
    assert agency.source.look_back(log_of(log)) is True
    said = agency.changes()
    if noticed:
        numbered(agency, forgotten, "Benani, Omar")
        said += agency.changes()
    lives = {c.local_id: c.incarnation for c in said if c.operation in ("insert", "snapshot")}
    assert lives == {kept_key: 0, forgotten: first_life(2)}
    assert {c.epoch for c in said} == {2}
    # It goes on by that number, also when the id is used a third time.
    edit(agency, forgotten, "SH3")
    found = [(c.operation, c.incarnation) for c in agency.changes()]
    agency.sql(f'DELETE FROM {PERSON} WHERE "المعرف" = ?', int(forgotten))
    numbered(agency, forgotten, "Alaoui, Sara")
    found += [(c.operation, c.incarnation) for c in agency.changes()]
    life = first_life(2)
    assert found == [("update", life), ("delete", life), ("insert", life + 1)]


def test_what_comes_while_lives_are_counted_anew_is_counted_anew_as_well(
    agency: Agency, monkeypatch: pytest.MonkeyPatch
) -> None:
    agency.add(cin="SH1")
    log = agency.changes()
    restore = backed_up(agency)
    agency.add(cin="SH2")
    agency.add(cin="SH3")
    log += agency.changes()
    restore()
    started_again(agency)
    assert agency.source.look_back(log_of(log)) is True
    renew = store.renew_lives

    def interrupted(*given: Any) -> bool:
        renewed = renew(*given)
        if renewed:
            monkeypatch.undo()
            agency.add(cin="SH5")
        return renewed

    monkeypatch.setattr(store, "renew_lives", interrupted)
    agency.add(cin="SH4")
    begun = [c for c in agency.changes() if c.operation == "insert"]
    assert [c.values["cin"] for c in begun] == ["SH4", "SH5"]
    assert {c.incarnation for c in begun} == {first_life(2)}


def test_an_id_that_was_used_again_after_the_backup_is_not_given_the_same_life_once_more(
    agency: Agency,
) -> None:
    key = agency.add(cin="SH1")
    log = agency.changes()
    restore = backed_up(agency)
    agency.sql(f'DELETE FROM {PERSON} WHERE "المعرف" = ?', int(key))
    numbered(agency, key, "Benani, Omar")
    log += agency.changes()
    assert log[-1].incarnation == 1
    restore()
    started_again(agency)
    agency.source.look_back(log_of(log))
    assert agency.change().incarnation == 0
    agency.sql(f'DELETE FROM {PERSON} WHERE "المعرف" = ?', int(key))
    numbered(agency, key, "Alaoui, Sara")
    found = [(c.operation, c.incarnation) for c in agency.changes()]
    assert found == [("delete", 0), ("insert", first_life(2))]


@pytest.fixture
def of_file(tmp_path: Path) -> Iterator[Agency]:
    made = Agency("sqlite", empty_database("sqlite", None, tmp_path), tmp_path)
    made.start()
    yield made
    made.close()


def an_edit_waits(agency: Agency) -> tuple[str, list[Change], Callable[[], None]]:
    """(The key of one whose edit waits, what was said before, how the copy of that moment is put back)."""
    key = agency.add(cin="SH1")
    log = agency.changes()
    edit(agency, key, "SH2")
    return key, log, backed_up(agency)


def test_what_went_with_an_edit_that_waited_at_the_backup_is_missed(of_file: Agency) -> None:
    """SQLite's queue knows no transactions: both were one change, under the number of the one that waits."""
    agency = of_file
    _, log, restore = an_edit_waits(agency)
    agency.sql(f"UPDATE {PERSON} SET names = 'Benani, Zineb'")
    log.append(agency.change())
    assert log[-1].values == {"cin": "SH2", "family_name_fr": "Benani"}
    restore()
    started_again(agency)
    assert agency.source.look_back(log_of(log)) is True


def test_what_is_typed_back_after_a_restore_is_said(of_file: Agency) -> None:
    """Though what it takes back still waits in the queue: it was sent after the backup."""
    agency = of_file
    key, log, restore = an_edit_waits(agency)
    log += agency.changes()
    restore()
    edit(agency, key, "SH1")
    started_again(agency)
    assert agency.source.look_back(log_of(log)) is True
    changes = agency.changes()
    said = [(c.operation, c.values["cin"]) for c in changes]
    assert said == [("update", "SH2"), ("update", "SH1"), ("snapshot", "SH1")]
    assert changes[0].stamp < changes[1].stamp


def test_a_deletion_that_waited_at_the_backup_is_said_whole(of_file: Agency) -> None:
    """Its parts go before it in the queue, and what is said has the number of the first."""
    agency = of_file
    key = agency.add(cin="SH1")
    agency.sql("INSERT INTO contact (qui, commune) VALUES (?, '01.001.01.')", key)
    log = agency.changes()
    agency.sql(f"DELETE FROM {PERSON}")
    restore = backed_up(agency)
    log += agency.changes()
    restore()
    agency.add(cin="SH2")
    started_again(agency)
    assert agency.source.look_back(log_of(log)) is True
    changes = agency.changes()
    assert [c.operation for c in changes if c.local_id == key and c.incarnation == 0] == ["delete"]


def test_a_row_that_waited_at_the_backup_and_was_sent_is_not_another_one(agency: Agency) -> None:
    """Whoever has no identifier would be there twice: what was said of the row, and the row."""
    waits = agency.add()
    restore = backed_up(agency)
    forgotten = agency.add(cin="SH2")
    log = agency.changes()
    restore()
    numbered(agency, forgotten, "Benani, Omar")
    # Also if the connector dies before it has said anything.
    for noticed in (True, False):
        started_again(agency)
        assert agency.source.look_back(log_of(log)) is noticed
    lives = {c.local_id: c.incarnation for c in agency.changes() if c.operation == "insert"}
    assert lives == {waits: 0, forgotten: first_life(2)}


def test_what_was_said_of_a_forgotten_row_is_not_of_whoever_has_its_id_now(agency: Agency) -> None:
    """It is read again after the restore, and may be stamped later than the new row by a clock ahead."""
    _, forgotten, log = set_back(agency)
    numbered(agency, forgotten, "Benani, Omar")
    started_again(agency)
    agency.sink = agency.new_sink()
    agency.sink.connect()
    assert agency.source.look_back(log_of(log)) is True
    said = {"values": {"cin": "SH2"}, "local_id": forgotten, "incarnation": 0}
    assert agency.deliver("E2", **said) == {"waiting": 1}
    agency.changes()
    assert agency.retry_now() == {"gone": 1}
    assert agency.row(forgotten, "cin") == (None,)
    assert agency.deliver("E3", {"cin": "SH3"}, local_id=forgotten, incarnation=first_life(2)) == {
        "applied": 1
    }


def test_a_row_that_begins_while_all_are_read_again_is_said_with_its_own_life_alone(agency: Agency) -> None:
    """A page would say it as the life that had its id in the lost hours, which would be there again."""
    _, forgotten, log = set_back(agency)
    started_again(agency)
    assert agency.source.look_back(log_of(log)) is True
    numbered(agency, forgotten, "Benani, Omar")
    # As where it comes between the look at the queue and the page.
    page = snapshot.read(agency.source, agency.source._snapshots, 100)
    assert page is not None
    assert forgotten not in {change.local_id for change in page.changes}
    assert {c.incarnation for c in agency.changes() if c.local_id == forgotten} == {first_life(2)}


def test_an_edit_of_what_is_forgotten_by_now_is_no_edit_that_waits(agency: Agency) -> None:
    """Its author had been shown a value from a clock that is ahead: so its stamp is later than that of the
    edit which has its number now."""
    key = agency.add(cin="SH1")
    log = agency.changes()
    restore = backed_up(agency)
    ahead = stamps.at(int(time.time() * 1000) + 3_600_000)
    agency.deliver("E1", {"cin": "SH2"}, local_id=key, stamp=ahead)
    edit(agency, key, "SH3")
    log.append(agency.change())
    assert log[-1].stamp > ahead
    restore()
    edit(agency, key, "SH4")
    started_again(agency)
    assert agency.source.look_back(log_of(log)) is True


def test_a_restored_database_also_says_which_rows_of_the_hub_it_has(agency: Agency) -> None:
    own = agency.add(cin="SH1")
    agency.deliver("E1", {"cin": "SH2", "family_name_fr": "Alami", "given_name_fr": "Zineb"})
    log = agency.changes()
    (made,) = {c.local_id for c in log} - {own}
    restore = backed_up(agency)
    edit(agency, own, "SH7")
    log += agency.changes()
    restore()
    started_again(agency)
    agency.source.look_back(log_of(log))
    said = {c.local_id: (c.operation, c.entity) for c in agency.changes()}
    assert said == {own: ("snapshot", None), made: ("link", "E1")}
    epoch = agency.source.epoch()
    assert (epoch.number, "person" in epoch.record_types) == (2, True)
    assert epoch.set_back_ms > 0
    # Whoever reads all anew by hand does not say that the database was set back.
    store.new_epoch(agency.source.db)
    started_again(agency)
    epoch = agency.source.epoch()
    assert (epoch.number, epoch.set_back_ms) == (3, 0)


def test_a_row_that_is_made_again_is_the_agencys_own(agency: Agency) -> None:
    names = {"family_name_fr": "Alami", "given_name_fr": "Zineb"}
    agency.deliver("E1", {"cin": "SH2", **names}, own=tuple(names))
    (link,) = agency.changes()
    assert link.operation == "link"
    row = agency.row(link.local_id, "cin", "names")
    assert row == ("SH2", "Alami, Zineb")
    # When the hub has nothing more to say of the person, what people here had entered stays.
    agency.deliver("E1", operation="retract", seen=link.stamp)
    assert agency.row(link.local_id, "cin", "names") == (None, "Alami, Zineb")
    agency.sql(f"UPDATE {PERSON} SET names = 'Alaoui, Zineb'")
    assert agency.change().values == {"family_name_fr": "Alaoui"}


def refused(step: Callable[[], object], how: type[JisrError] = Retriable) -> str:
    """With what a side asks to be connected anew, or ends, in the end."""
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        try:
            step()
        except how as error:
            return str(error)
        time.sleep(0.05)
    raise AssertionError("it goes on")


def test_a_restore_beneath_a_running_connector_is_noticed_by_both_sides(
    request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    agency = Agency("postgresql", empty_database("postgresql", request, tmp_path), tmp_path)
    agency.start()
    key = agency.add(cin="SH1")
    agency.changes()
    agency.apply()
    restore = _dump(agency, running=True)
    edit(agency, key, "SH7")
    agency.deliver("E1", {"cin": "SH2", "family_name_fr": "Alami", "given_name_fr": "Zineb"})
    agency.changes()
    restore()
    assert "set back" in refused(lambda: agency.source.read(100))
    assert "set back" in refused(lambda: agency.sink.apply(Arrivals()))
    # It has seen it by itself: the log need not tell, as where it may not be read.
    agency.source.close()
    agency.source.connect()
    assert agency.source.look_back([]) is True
    assert {c.operation for c in agency.changes()} == {"snapshot"}
    # Once, and not again; and positions that were set back are read from there.
    assert agency.source.read(100) is None
    agency.source.close()
    agency.source.connect()
    assert agency.source.look_back([]) is False
    agency.sink.close()
    agency.sink.connect()
    agency.sink.apply(Arrivals())
    # An epoch that somebody begins by hand is found, too.
    store.new_epoch(agency.sink.db)
    assert "new epoch" in refused(lambda: agency.source.read(100))
    agency.close()


def file_of(agency: Agency) -> Path:
    return Path(agency.url.partition(":///")[2])


def put_in_place(agency: Agency, content: bytes, *, over: bool) -> None:
    """A copy of the file, put there beneath the connector: moved into its place, or written over it."""
    file = file_of(agency)
    agency.people.close()
    for ending in ("-wal", "-shm"):
        file.with_name(file.name + ending).unlink()
    copy = file.with_name("copy")
    copy.write_bytes(content)
    if over:
        file.write_bytes(copy.read_bytes())
    else:
        copy.replace(file)


@pytest.fixture
def working(tmp_path: Path) -> Iterator[tuple[Agency, bytes, list[Sent]]]:
    """An agency whose connector is at work on a file; an older copy of the file; what was sent."""
    agency = Agency("sqlite", empty_database("sqlite", None, tmp_path), tmp_path)
    agency.start()
    key = agency.add(cin="SH1")
    log = agency.changes()
    agency.sql("PRAGMA wal_checkpoint(TRUNCATE)")
    content = file_of(agency).read_bytes()
    edit(agency, key, "SH7")
    log += agency.changes()
    agency.apply()
    yield agency, content, log_of(log)
    agency.close()


def test_another_file_in_the_database_s_place_is_noticed_by_both_sides(
    working: tuple[Agency, bytes, list[Sent]],
) -> None:
    agency, content, log = working
    put_in_place(agency, content, over=False)
    assert "another file is in its place" in refused(lambda: agency.source.read(100))
    assert "another file is in its place" in refused(lambda: agency.sink.apply(Arrivals()))
    agency.sink.close()
    agency.sink.connect()
    started_again(agency)
    assert agency.source.look_back(log) is True
    assert [(c.operation, c.values["cin"]) for c in agency.changes()] == [("snapshot", "SH1")]


def test_what_a_restored_file_holds_is_not_written_over_by_a_connector_that_ends(
    working: tuple[Agency, bytes, list[Sent]],
) -> None:
    """Its log is gone, and its own has what came after the backup."""
    agency, content, _ = working
    put_in_place(agency, content, over=True)
    assert "stop it before a restore" in refused(lambda: agency.source.read(100), Fatal)
    assert "stop it before a restore" in refused(lambda: agency.sink.apply(Arrivals()), Fatal)
    agency.close()
    assert file_of(agency).read_bytes() == content


def test_a_file_that_is_away_or_not_whole_is_waited_for(tmp_path: Path) -> None:
    agency = Agency("sqlite", empty_database("sqlite", None, tmp_path), tmp_path)
    agency.start()
    agency.close()
    file = file_of(agency)
    content = file.read_bytes()
    file.write_bytes(b"not a database" * 1_000)
    with pytest.raises(Retriable, match="no SQLite database"):
        agency.sink.connect()
    file.unlink()
    with pytest.raises(Retriable, match="no such file"):
        agency.source.connect()
    file.write_bytes(content)
    # Where the connector may make no file beside it, as on a full disk, or in a folder of somebody else's.
    claim = file.with_name(f"{file.name}.jisr-source")
    claim.unlink()
    claim.mkdir()
    with pytest.raises(Retriable, match=f"{claim.name} cannot be made"):
        agency.source.connect()
    claim.rmdir()
    agency.source.connect()
    agency.source.close()


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
    assert agency.source.number == 1


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


# Bookkeeping that was dropped, or taken away and installed anew

# Nobody under age has an identifier.
ZINEB = {
    "family_name_fr": "Alami",
    "given_name_fr": "Zineb",
    "birth_date": datetime.date(1990, 2, 27),
    "phone": "+212612345678",
    "commune": "11.321.01.03",
}


def installed_anew(agency: Agency) -> None:
    agency.source.db.uninstall()
    agency.remap(MAPPING)


def keys(agency: Agency) -> list[Any]:
    return agency.sql(f'SELECT "المعرف" FROM {PERSON} ORDER BY 1')


def test_a_row_that_the_hub_made_is_not_made_twice_by_a_new_bookkeeping(agency: Agency) -> None:
    made = replace(agency.delivery("zineb", ZINEB), appended_ms=1)
    assert agency.apply(made) == {"applied": 1}
    before = keys(agency)
    key = str(before[0][0])
    installed_anew(agency)
    # Somebody who is nearly alike, and somebody who is alike in all, have rows of their own.
    brother = replace(agency.delivery("omar", {**ZINEB, "given_name_fr": "Omar"}), appended_ms=1)
    twin = replace(agency.delivery("twin", ZINEB), appended_ms=1)
    assert agency.apply(made, brother, twin) == {"applied": 2, "unchanged": 1}
    assert [row for row in keys(agency) if row in before] == before
    assert len(keys(agency)) == 3
    shadow = agency.shadow(key)
    assert (shadow.entity, shadow.created_by_hub) == ("zineb", True)
    # It is known whose word is in it: what is withdrawn is taken back.
    without_phone = {name: value for name, value in ZINEB.items() if name != "phone"}
    assert agency.deliver("zineb", without_phone) == {"applied": 1}
    assert agency.row(key, "numero") == (None,)
    assert agency.deliver("zineb", operation="retract") == {"applied": 1}
    assert before[0] not in keys(agency)


def test_only_a_row_that_holds_all_that_was_told_is_known_again(agency: Agency) -> None:
    mine = agency.add("Alami, Zineb")
    agency.changes()
    installed_anew(agency)
    names = {"family_name_fr": "Alami", "given_name_fr": "Zineb"}
    # A name alone may be anybody's, and of the other more is told than the row holds.
    one, other = agency.delivery("a", names), agency.delivery("b", ZINEB)
    assert agency.apply(replace(one, appended_ms=1), replace(other, appended_ms=1)) == {"applied": 2}
    assert store.shadows(agency.sink.db, "person", [mine]) == {}
    assert len(keys(agency)) == 3


def test_a_message_that_is_younger_than_the_bookkeeping_means_a_row_of_its_own(agency: Agency) -> None:
    assert agency.deliver("zineb", ZINEB) == {"applied": 1}
    agency.changes()
    installed_anew(agency)
    assert agency.apply(replace(agency.delivery("twin", ZINEB), appended_ms=2**53)) == {"applied": 1}
    assert len(keys(agency)) == 2
