"""People at work while the connector is: locks, writes between its steps, deaths between its effects."""

from __future__ import annotations

import random
import threading
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from sql_agency import PERSON, Agency, empty_database, started

from connectors.sdk import Arrivals, Change
from connectors.sql import store
from hub.errors import Retriable
from hub.local.stack import Stack


@pytest.fixture
def agency(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Agency]:
    yield from started("postgresql", request, tmp_path)


@pytest.fixture(params=["postgresql", "sqlite"])
def either(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Agency]:
    yield from started(request.param, request, tmp_path)


def test_a_row_in_somebodys_hands_is_written_later(agency: Agency) -> None:
    held, free = agency.add(cin="SH1"), agency.add(cin="SH2")
    agency.changes()
    with agency.session() as form:
        form.execute("BEGIN")
        form.execute(f"UPDATE {PERSON} SET notes = 'open' WHERE \"المعرف\" = {held}")
        one = agency.delivery("E1", {"cin": "SH11"}, local_id=held)
        two = agency.delivery("E2", {"cin": "SH12"}, local_id=free)
        assert agency.apply(one, two) == {"waiting": 1, "applied": 1}
        assert agency.row(free, "cin") == ("SH12",)
        assert agency.refusals() == [("E1", "waiting", "locked", "")]
        agency.retry_now()
        assert agency.refusals() == []
        form.execute("COMMIT")
    agency.retry_now()
    assert agency.row(held, "cin") == ("SH11",)
    assert agency.refusals() == [("E1", "resolved", "", "")]


def test_a_part_in_somebodys_hands_is_written_later(agency: Agency) -> None:
    key = agency.add(cin="SH1")
    agency.sql("INSERT INTO contact (qui, commune) VALUES (?, '11.321.01.03')", int(key))
    agency.changes()
    with agency.session() as form:
        form.execute("BEGIN")
        form.execute("UPDATE contact SET commune = '11.321.01.05'")
        outcome = agency.deliver("E1", {"cin": "SH2", "commune": "11.321.01.07"}, local_id=key)
        assert outcome == {"waiting": 1}
        form.execute("COMMIT")
    agency.retry_now()
    # The form was faster: it is captured, and the hub will hear of it.
    assert agency.sql("SELECT commune FROM contact") == [("11.321.01.05",)]
    assert agency.row(key, "cin") == ("SH2",)
    assert agency.change().values == {"commune": "11.321.01.05"}


def test_who_refers_to_a_row_is_not_in_the_way(agency: Agency) -> None:
    agency.sql("INSERT INTO centre (code_local, code, nom) VALUES ('A', 'MA-LAA-0001', 'Centre')")
    agency.changes()
    key = agency.add()
    agency.changes()
    with agency.session() as form:
        form.execute("BEGIN")
        form.execute("INSERT INTO inscription (numero, qui, ou) VALUES ('INS-2026-000001', %s, 'A')", [key])
        values = {"code": "MA-LAA-0001", "name_fr": "Le centre"}
        assert agency.deliver("C1", values, record_type="centre", local_id="A") == {"applied": 1}


def test_an_edit_in_the_senders_hands_is_never_overwritten(agency: Agency) -> None:
    """Between reading the queue and forgetting it, the edit is in the queue; afterwards in the shadow."""
    key = agency.add(cin="SH1")
    first = agency.change()
    agency.sql(f"UPDATE {PERSON} SET cin = 'SH2' WHERE \"المعرف\" = {key}")
    batch = agency.source.read(10)
    assert batch is not None
    agency.deliver("E1", {"cin": "SH9"}, local_id=key, seen=first.stamp)
    agency.source.acknowledge(batch)
    agency.retry_now()
    assert agency.row(key, "cin") == ("SH2",)
    assert agency.shadow(key).own["cin"] == batch.changes[0].stamp


def test_the_shadow_is_locked_against_the_sender_while_the_sink_writes(
    agency: Agency, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("connectors.sql.database.TRIES", 1)
    key = agency.add(cin="SH1")
    agency.changes()
    agency.sql(f"UPDATE {PERSON} SET cin = 'SH2' WHERE \"المعرف\" = {key}")
    batch = agency.source.read(10)
    assert batch is not None
    with agency.sink.db.transaction():
        store.locked_shadows(agency.sink.db, "person", [key])
        with pytest.raises(Retriable):
            agency.source.acknowledge(batch)
    agency.source.acknowledge(batch)
    assert agency.changes() == []


def test_a_shadow_that_was_made_meanwhile_is_not_written_over(
    agency: Agency, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The row is deleted after the sender found no shadow of it, and before it makes one."""
    key = agency.add(cin="SH1")
    batch = agency.source.read(10)
    assert batch is not None
    add, tries = store.add_shadows, []

    def with_a_deletion_before(*arguments: Any) -> None:
        if not tries:
            agency.sql(f'DELETE FROM {PERSON} WHERE "المعرف" = {key}')
        tries.append(arguments)
        add(*arguments)

    monkeypatch.setattr(store, "add_shadows", with_a_deletion_before)
    agency.source.acknowledge(batch)
    shadow = agency.shadow(key)
    assert (shadow.incarnation, shadow.deleted, shadow.last) == (1, True, batch.changes[0].stamp)
    assert [change.operation for change in agency.changes()] == ["delete"]


def test_an_update_that_waited_for_the_sink_knows_what_it_wrote(agency: Agency) -> None:
    """The trigger reads the shadow under the row's lock: after the sink, if it had to wait for it."""
    key = agency.add(cin="SH1")
    agency.changes()
    far = (2**47) << 10
    done = threading.Event()

    def edit() -> None:
        with agency.session() as form:
            form.execute(f"UPDATE {PERSON} SET cin = 'SH3' WHERE \"المعرف\" = {key}")
        done.set()

    apply = agency.sink._deciders["person"].planner.existing_row
    writer = threading.Thread(target=edit)

    def with_an_edit_meanwhile(*arguments: Any) -> Any:
        writer.start()
        # The edit waits for the row, which the sink has locked.
        wait = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
        while agency.sql(wait) == [(0,)]:
            pass
        return apply(*arguments)

    agency.sink._deciders["person"].planner.existing_row = with_an_edit_meanwhile  # type: ignore[method-assign]
    agency.deliver("E1", {"cin": "SH2"}, local_id=key, stamp=far)
    writer.join()
    change = agency.change()
    assert done.is_set()
    assert (change.values, change.stamp > far) == ({"cin": "SH3"}, True)


def test_the_reader_never_passes_over_a_transaction_that_is_still_open(
    agency: Agency, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("connectors.sql.source.FLOOR_EVERY_S", 0)
    agency.source._look_at = 0
    for _ in range(4):
        assert agency.changes() == []
    first, second = agency.add(), agency.add()
    assert len(agency.changes()) == 2
    with agency.session() as form:
        form.execute("BEGIN")
        form.execute(f"UPDATE {PERSON} SET cin = 'SH1' WHERE \"المعرف\" = {first}")
        for number in range(2, 9):
            agency.sql(f"UPDATE {PERSON} SET cin = 'SH{number}' WHERE \"المعرف\" = {second}")
            assert agency.change().values == {"cin": f"SH{number}"}
        form.execute("COMMIT")
    assert agency.change().local_id == first
    for _ in range(3):
        agency.changes()
    assert agency.source._floor >= 8
    agency.sql(f"UPDATE {PERSON} SET cin = 'SH9' WHERE \"المعرف\" = {first}")
    assert agency.change().values == {"cin": "SH9"}


def test_capture_never_fails_the_agencys_own_write(agency: Agency) -> None:
    agency.sql("ALTER TABLE jisr_changes RENAME TO jisr_changes_away")
    key = agency.add(cin="SH1")
    agency.sql("ALTER TABLE jisr_changes_away RENAME TO jisr_changes")
    # Marked dirty, and read as it is.
    assert agency.change().values["cin"] == "SH1"
    agency.sql("ALTER TABLE jisr_changes RENAME TO jisr_changes_away")
    agency.sql(f'DELETE FROM {PERSON} WHERE "المعرف" = {key}')
    agency.sql("ALTER TABLE jisr_changes_away RENAME TO jisr_changes")
    end = agency.change()
    assert (end.operation, end.incarnation) == ("delete", 0)
    agency.sql("DROP TABLE jisr_state")
    agency.add(cin="SH2")
    agency.sql("ALTER TABLE jisr_dirty RENAME TO jisr_dirty_away")
    agency.add(cin="SH3")
    assert agency.count() == 2


def test_another_role_of_the_agency_is_captured_and_cannot_read_the_bookkeeping(
    agency: Agency, stack: Stack
) -> None:
    clerk = f"clerk_{uuid.uuid4().hex}"
    agency.sql(f"GRANT INSERT, UPDATE, SELECT ON {PERSON} TO PUBLIC")
    url = stack.superuser_url(agency.url.rpartition("/")[2])
    with psycopg.connect("postgresql://" + url.partition("://")[2], autocommit=True) as session:
        session.execute(f"CREATE ROLE {clerk}")
        session.execute(f"SET ROLE {clerk}")
        session.execute("SET search_path = pg_temp, public")
        session.execute("SET datestyle = 'German'")
        session.execute(f"INSERT INTO {PERSON} (names, recu) VALUES ('Alami, Zineb', '2026-02-03')")
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            session.execute("SELECT * FROM jisr_changes")
        session.execute("RESET ROLE")
        session.execute(f"DROP ROLE {clerk}")
    assert agency.change().values["received_on"].isoformat() == "2026-02-03"


def test_a_truncate_is_noted_and_sends_nothing(agency: Agency) -> None:
    agency.add()
    agency.changes()
    agency.sql(f"TRUNCATE {PERSON} CASCADE")
    assert agency.changes() == []
    assert ("person", "", "truncate") in agency.problems


def test_what_the_agencys_own_triggers_do_to_other_rows_is_captured(agency: Agency) -> None:
    """The sink is silent for its own statement only (R23)."""
    key, other = agency.add(cin="SH1"), agency.add(cin="SH2")
    agency.sql(
        "CREATE FUNCTION family() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN "
        f'IF NEW."المعرف" = {key} THEN UPDATE "المستفيدون" SET indicatif = NEW.indicatif, '
        f'numero = NEW.numero WHERE "المعرف" = {other}; END IF; RETURN NULL; END$$'
    )
    agency.sql(f"CREATE TRIGGER family AFTER UPDATE ON {PERSON} FOR EACH ROW EXECUTE FUNCTION family()")
    agency.changes()
    agency.deliver("E1", {"phone": "+212612345678"}, local_id=key)
    change = agency.change()
    assert (change.local_id, change.values) == (other, {"phone": "+212612345678"})


class Death(Exception):
    """The process ends here, with whatever it had not committed."""


def die_somewhere(agency: Agency, chance: random.Random) -> None:
    """Let one of the next statements of both sides be the last."""
    for db in (agency.source.db, agency.sink.db):
        left = [chance.randrange(1, 25)]
        for name in ("execute", "query", "upsert", "append", "update_rows", "insert_rows"):
            setattr(db, name, dying(getattr(db, name), left))


def dying(call: Any, left: list[int]) -> Any:
    def wrapper(*arguments: Any, **named: Any) -> Any:
        left[0] -= 1
        if left[0] <= 0:
            raise Death
        return call(*arguments, **named)

    return wrapper


def restart(agency: Agency) -> None:
    agency.source.close()
    agency.sink.close()
    agency.source, agency.sink = agency.new_source(), agency.new_sink()
    for side in (agency.source, agency.sink):
        again(side.connect)


def again(connect: Any) -> None:
    """As the runner does: the server may take a moment to notice that a connection is gone."""
    for _ in range(1000):
        try:
            connect()
        except Retriable:
            continue
        return
    pytest.fail("the dead connection still holds its claim")


@pytest.mark.parametrize("seed", range(6))
def test_deaths_between_any_two_effects_change_nothing(either: Agency, seed: int) -> None:
    """Edits and deliveries with a process that dies again and again: in the end as if it never had."""
    agency, chance = either, random.Random(seed)
    own = [agency.add(cin=f"SH{n}") for n in range(3)]
    said: dict[str, Change] = {}

    def send() -> None:
        while (batch := agency.source.read(3)) is not None:
            for change in batch.changes:
                # Sent twice, it is the same.
                earlier = said.setdefault(change.event_id, change)
                assert (earlier.values, earlier.operation) == (change.values, change.operation)
            agency.source.acknowledge(batch)

    deliveries = [
        agency.delivery(f"E{n}", {"family_name_fr": f"Nom {n}", "commune": "11.321.01.03"}) for n in range(8)
    ]
    deliveries += [agency.delivery(f"O{n}", {"phone": f"+21260000000{n}"}, local_id=own[n]) for n in range(3)]
    for n, key in enumerate(own):
        agency.sql(f'UPDATE {PERSON} SET "الجنس" = \'ذ\' WHERE "المعرف" = {key}')
        for _ in range(6):
            die_somewhere(agency, chance)
            try:
                agency.sink.apply(Arrivals(deliveries[: 4 * (n + 1)], {("entraide.person.inbox", 0): n}))
                send()
            except Death:
                pass
            restart(agency)
    agency.apply(*deliveries)
    send()
    agency.retry_now()
    send()
    assert agency.sql(f"SELECT count(*) FROM {PERSON} WHERE names LIKE 'Nom %'") == [(8,)]
    assert agency.count("contact") == 8
    links = sorted(c.entity or "" for c in said.values() if c.operation == "link")
    assert links == [f"E{n}" for n in range(8)]
    for n, key in enumerate(own):
        assert agency.row(key, "numero") == (f"60000000{n}",)
        mine = [c for c in said.values() if c.local_id == key]
        assert any(c.operation == "insert" and c.values["cin"] == f"SH{n}" for c in mine)
        assert any(c.values == {"sex": "male"} for c in mine)
    assert agency.source.backlog() == 0


def test_a_connector_frozen_inside_a_transaction_does_not_keep_people_from_their_rows(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("connectors.sql.postgresql.ABANDONED_AFTER_MS", 1_500)
    agency = Agency("postgresql", empty_database("postgresql", request, tmp_path), tmp_path)
    agency.start()
    key = agency.add(cin="SH1")
    agency.changes()
    # Only a test that hangs reaches it.
    agency.sql("SET lock_timeout = '60s'")

    def frozen() -> None:
        with agency.sink.db.transaction(by_hub=True):
            agency.sink.db.execute(
                f"UPDATE {PERSON} SET cin = 'SH9' WHERE \"المعرف\" = :id", {"id": int(key)}
            )
            # Waits until the server has ended the transaction of the connector, which does nothing.
            agency.sql(f"UPDATE {PERSON} SET cin = 'SH2' WHERE \"المعرف\" = {key}")
            agency.sink.db.clock_ms()

    with pytest.raises(Retriable):
        frozen()
    assert agency.row(key, "cin") == ("SH2",)
    agency.close()
