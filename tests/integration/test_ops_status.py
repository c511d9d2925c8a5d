"""`jisr status`: numbers from the store and from Kafka's offsets, and what it takes to be at rest."""

from __future__ import annotations

import datetime
import json
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from ops_hub import OpsHub, ops_hub, producing
from support.changes import said

from hub.contracts import topics
from hub.contracts.partitioner import partition_of
from hub.contracts.topics import INBOX_PARTITIONS
from hub.local.stack import Stack
from hub.ops.log_reader import LogReader
from hub.ops.status import Standing, Status, StatusReader

BORN = datetime.date(1990, 5, 1)


@pytest.fixture(scope="module")
def shared(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[OpsHub]:
    folder: Path = tmp_path_factory.mktemp("ops")
    with ops_hub(stack, folder, joining=["region"]) as made:
        yield made


@pytest.fixture
def hub(shared: OpsHub) -> OpsHub:
    """The module's hub, as good as new."""
    shared.rest()
    return shared


def look(hub: OpsHub) -> Status:
    with closing(LogReader(hub.parts.settings.kafka)) as log:
        return StatusReader(hub.parts, log).status()


def standing(status: Status, agency: str, record_type: str = "person") -> Standing:
    return next(o for o in status.standings if (o.agency, o.record_type) == (agency, record_type))


def people(hub: OpsHub, count: int) -> None:
    """So many people of entraide, whom ads may hold too; published, nothing acknowledged."""
    hub.take(
        *(
            said(hub.key("entraide", str(n)), 1, "insert", cin=f"SH{n}", birth_date=BORN)
            for n in range(1, count + 1)
        )
    )
    hub.publish()


def test_nothing_is_at_rest(hub: OpsHub) -> None:
    status = look(hub)
    assert status.at_rest
    assert standing(status, hub.name("ads")) == Standing(hub.name("ads"), "person")
    sides = {(one.agency, one.record_type) for one in status.standings}
    assert sides == {(a.agency, kind) for a in hub.parts.agreements.values() for kind in a.record_types}
    assert status.agencies[hub.name("region")] == "joining"
    assert status.agencies[hub.name("ads")] == "joined"


def test_what_is_told_is_pending_until_it_is_acknowledged(hub: OpsHub) -> None:
    people(hub, 5)
    status = look(hub)
    ads = standing(status, hub.name("ads"))
    assert (ads.entitled, ads.pending, ads.converged) == (5, 5, 0)
    assert not status.at_rest
    assert ads.delivery_lag_seconds > 0
    # health takes in nobody, region has not joined: they are entitled to nothing.
    assert [standing(status, hub.name(name)).entitled for name in ("health", "region")] == [0, 0]

    hub.acknowledge_all("ads", "entraide")
    status = look(hub)
    ads = standing(status, hub.name("ads"))
    assert (ads.entitled, ads.pending, ads.converged, ads.delivery_lag_seconds) == (5, 0, 5, 0.0)
    assert status.at_rest


def test_the_lag_is_the_age_of_the_oldest_that_is_not_acknowledged(hub: OpsHub) -> None:
    with closing(LogReader(hub.parts.settings.kafka)) as log:
        places, _ = log.places([topics.inbox(hub.name("ads"), "person")])
        before = log.ends(places)
        people(hub, 3)
        after = log.ends(places)
        appended = log.timestamps({one: before[one] for one in places if after[one] > before[one]})
        now = max(appended.values()) / 1000 + 60
        ads = standing(StatusReader(hub.parts, log, clock=lambda: now).status(), hub.name("ads"))
    assert ads.delivery_lag_seconds == round(now - min(appended.values()) / 1000, 3)


def test_changes_are_unread_beyond_the_lanes_position(hub: OpsHub) -> None:
    record = hub.key("ads", "1")
    topic = topics.changes(record.agency, "person")
    with producing(hub.bootstrap) as send:
        for number in range(4):
            send(topic, b"one key", hub.say(record, 1 + number, cin=f"SH{number}"))
    ads = standing(look(hub), record.agency)
    assert (ads.unread, ads.pending) == (4, 0)
    assert ads.intake_lag_seconds > 0
    partition = partition_of(b"one key", topics.CHANGES_PARTITIONS)
    move = (
        "UPDATE position SET next_offset = next_offset + %s WHERE (topic, partition) = (%s, %s) RETURNING 1"
    )
    hub.rows(move, 3, topic, partition)
    assert standing(look(hub), record.agency).unread == 1
    hub.rows(move, 1, topic, partition)
    assert look(hub).at_rest


def test_what_was_never_read_is_unread_from_its_beginning(hub: OpsHub) -> None:
    record = hub.key("health", "1")
    with producing(hub.bootstrap) as send:
        send(topics.changes(record.agency, "person"), b"a key", hub.say(record, 1, cin="SH1"))
    with closing(LogReader(hub.parts.settings.kafka)) as log:
        places, _ = log.places([topics.changes(record.agency, "person")])
        everything = sum(log.ends(places).values())
    hub.rows("DELETE FROM position RETURNING 1")
    assert standing(look(hub), record.agency).unread == everything >= 1


def test_rates_are_of_offsets_passed_while_one_looks(hub: OpsHub) -> None:
    people(hub, 4)
    with closing(LogReader(hub.parts.settings.kafka)) as log:
        looking = StatusReader(hub.parts, log, sleep=lambda _: hub.acknowledge_all("ads"))
        status = looking.status(rate_over_s=1.0)
    ads, entraide = standing(status, hub.name("ads")), standing(status, hub.name("entraide"))
    assert ads.acknowledged_per_second is not None
    assert ads.acknowledged_per_second > 0
    assert (ads.changes_per_second, entraide.acknowledged_per_second) == (0.0, 0.0)
    assert standing(look(hub), hub.name("ads")).acknowledged_per_second is None


def test_rates_are_measured_from_look_to_look(hub: OpsHub) -> None:
    people(hub, 4)
    with closing(LogReader(hub.parts.settings.kafka)) as log:
        looking = StatusReader(hub.parts, log)
        first = standing(looking.status_since(), hub.name("ads"))
        hub.acknowledge_all("ads")
        second = standing(looking.status_since(), hub.name("ads"))
    assert (first.changes_per_second, first.acknowledged_per_second) == (None, None)
    assert second.acknowledged_per_second is not None
    assert second.acknowledged_per_second > 0
    assert second.changes_per_second == 0.0


def test_topics_that_a_sweep_found_different_are_told(hub: OpsHub) -> None:
    topic = f"{hub.name('ads')}.person.inbox"
    hub.rows("INSERT INTO topic_sweep VALUES (%s, 1, 9, 3), ('hub.links', 1, 9, 0) RETURNING 1", topic)
    assert look(hub).differing == {topic: 3}


def test_records_whose_reference_leads_nowhere_wait(hub: OpsHub) -> None:
    first, second = hub.key("ads", "i1", "enrolment"), hub.key("ads", "i2", "enrolment")
    hub.take(
        said(first, 1, "insert", number="INS-2026-000001", person="17"),
        said(second, 1, "insert", number="INS-2026-000002", person="18"),
    )
    assert standing(look(hub), hub.name("ads"), "enrolment").waiting_references == 2
    hub.take(said(hub.key("ads", "17"), 1, "insert", cin="SH17", birth_date=BORN))
    found = standing(look(hub), hub.name("ads"), "enrolment")
    assert (found.waiting_references, found.waiting) == (1, 1)
    hub.take(said(second, 2, "delete"))
    assert standing(look(hub), hub.name("ads"), "enrolment").waiting == 0


def test_what_stands_in_the_way_is_counted(hub: OpsHub) -> None:
    people(hub, 6)
    hub.acknowledge_all("ads")
    ads = hub.name("ads")
    for number, state in enumerate(("refused", "refused", "waiting")):
        hub.rows(
            "INSERT INTO undelivered VALUES (%s, %s, 'person', 1, %s, 'check', 'x', 1) RETURNING 1",
            ads,
            bytes([number]) * 16,
            state,
        )
    hub.rows("INSERT INTO dispute VALUES (%s, 'phone', %s, 'person', now()) RETURNING 1", b"r" * 16, ads)
    hub.rows(
        "INSERT INTO dead_letter"
        " (topic, partition, kafka_offset, agency, record_type, code, path, message, at_ms)"
        " VALUES (%s, 0, 1, %s, 'person', 'c', '', 'm', 1) RETURNING 1",
        topics.changes(ads, "person"),
        ads,
    )
    hub.take(said(hub.key("ads", "9"), 1, "insert", cin="SH91", birth_date=BORN))
    hub.take(said(hub.key("ads", "9"), 2, cin="SH92"))
    status = look(hub)
    found = standing(status, ads)
    assert (found.refused, found.waiting, found.dead, found.held, found.disputed) == (2, 1, 1, 1, 1)
    # Six people told of and all acknowledged, three of them not in; and one more, not yet published.
    assert (found.entitled, found.pending, found.converged) == (7, 0, 4)


def test_due_and_unpublished_are_not_at_rest(hub: OpsHub) -> None:
    hub.rows("INSERT INTO due VALUES (%s, 0) RETURNING 1", b"e" * 16)
    assert (look(hub).due, look(hub).at_rest) == (1, False)
    hub.rows("DELETE FROM due RETURNING 1")
    hub.rows("INSERT INTO publication (worker, payload) VALUES ('w', '') RETURNING 1")
    assert (look(hub).unpublished, look(hub).at_rest) == (1, False)
    hub.rows("DELETE FROM publication RETURNING 1")
    # Due on a day to come: that is the way of consents, not a backlog.
    hub.rows("INSERT INTO due VALUES (%s, 60000) RETURNING 1", b"e" * 16)
    assert look(hub).at_rest


def test_missing_topics_are_named(hub: OpsHub, tmp_path: Path) -> None:
    text = (Path(hub.environment["JISR_AGREEMENTS"]) / "health.yaml").read_text()
    (tmp_path / "newcomer.yaml").write_text(text.replace(hub.name("health"), f"newcomer-{hub.suffix}"))
    result = hub.run("status", "--json", JISR_AGREEMENTS=str(tmp_path))
    assert result.returncode == 0, result.stderr
    found = json.loads(result.stdout)
    assert found["missing_topics"] == [
        f"newcomer-{hub.suffix}.{topic}" for topic in ("person.changes", "person.inbox", "control", "state")
    ]
    assert found["at_rest"] is False


def test_a_script_waits_until_all_is_at_rest(hub: OpsHub) -> None:
    people(hub, 2)
    late = hub.run("status", "--wait-converged", "--timeout", "0.5")
    assert late.returncode == 1
    assert "not at rest after 0.5 s" in late.stderr
    assert "pending=2" in late.stdout
    hub.acknowledge_all("ads", "entraide")
    done = hub.run("status", "--wait-converged", "--timeout", "30", "--json")
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    assert found["at_rest"] is True
    ads = next(
        o for o in found["standings"] if o["agency"] == hub.name("ads") and o["record_type"] == "person"
    )
    assert (ads["entitled"], ads["converged"]) == (2, 2)


def test_lines_for_programs_a_table_for_people(hub: OpsHub) -> None:
    people(hub, 1)
    lines = hub.run("status", "--rate", "0.2").stdout.splitlines()
    assert any(
        line.startswith(f"{hub.name('ads')} person entitled=1 converged=0 pending=1") for line in lines
    )
    assert any("changes/s=0.0" in line for line in lines)
    assert lines[-1] == f"joining, so nothing is created there yet: {hub.name('region')}"


def test_who_does_not_answer_is_named(hub: OpsHub) -> None:
    result = hub.run("status", JISR_BOOTSTRAP="127.0.0.1:1")
    assert result.returncode == 1
    assert "Kafka at 127.0.0.1:1 does not answer" in result.stderr


def test_a_store_without_tables_is_named(hub: OpsHub, database: str) -> None:
    result = hub.run("status", JISR_STORE_URL=database)
    assert result.returncode == 1
    assert "has not the tables of this release" in result.stderr


def test_the_newest_messages_of_a_key_are_found_from_the_end(hub: OpsHub) -> None:
    topic = topics.inbox(hub.name("ads"), "enrolment")
    with producing(hub.bootstrap) as send:
        for number in range(7_000):
            send(topic, b"rare" if number % 2_500 == 0 else b"often-%d" % (number % 50), b"%d" % number)
    rare = (topic, partition_of(b"rare", INBOX_PARTITIONS))
    with closing(LogReader(hub.parts.settings.kafka)) as log:
        assert [one.value for one in log.newest(rare, {b"rare"}, 2)] == [b"5000", b"2500"]
        assert [one.value for one in log.newest(rare, {b"rare"}, 9)] == [b"5000", b"2500", b"0"]
        assert log.newest(rare, {b"never"}) == []
        assert log.newest(rare, {b"rare"}, depth=10) == []
