"""The hub's sweep: what was published last is what the store remembers, and what is lost is said again."""

from __future__ import annotations

import datetime
import json
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from ops_hub import OpsHub, ops_hub, producing, running, wait_until
from support.changes import said

from hub.contracts import topics
from hub.lanes.publication import named_payload
from hub.local.ports import assign
from hub.local.stack import Stack
from hub.ops import sweep
from hub.ops.log_reader import LogReader
from hub.ops.sweep import HubSweep
from hub.ops.sweep_topics import SweepTopics
from hub.ops.sweeping import Sweeper
from hub.store.topic_sweeps import alone, last_sweeps

BORN = datetime.date(1990, 5, 1)
SH1 = {"cin": "SH1", "birth_date": BORN, "family_name_fr": "Alaoui", "languages": ["ar", "fr"]}


@pytest.fixture(scope="module")
def made(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[OpsHub]:
    with ops_hub(stack, tmp_path_factory.mktemp("ops")) as hub:
        yield hub


@pytest.fixture
def hub(made: OpsHub, monkeypatch: pytest.MonkeyPatch) -> OpsHub:
    """An empty hub whose topics are emptied of what earlier tests said."""
    made.rest()
    monkeypatch.setattr(sweep, "SETTLE_S", 0.05)
    with closing(LogReader(made.parts.settings.kafka)) as log, producing(made.bootstrap) as send:
        names = [
            topics.inbox(one.agency, kind)
            for one in made.parts.agreements.values()
            for kind in one.record_types
        ]
        kinds = list(made.parts.catalogue.records)
        names += [make(kind) for kind in kinds for make in (topics.golden, topics.assertions)]
        for name in [*names, topics.LINKS]:
            for key in {message.key for message in log.whole(name)}:
                send(name, key or b"", None)
    return made


def findings(hub: OpsHub, *, repair: bool = False) -> list[tuple[str, str, str]]:
    swept = HubSweep(hub.parts).run(repair=repair)
    return [(f.topic.replace(f"-{hub.suffix}", ""), f.kind, f.state) for one in swept for f in one.findings]


def populated(hub: OpsHub) -> None:
    """People of several agencies, linked; enrolments, one waiting; an emptied field; a deletion."""
    entraide, ads = hub.key("entraide", "1"), hub.key("ads", "7")
    hub.take(said(entraide, 10, "insert", **SH1))
    hub.take(said(ads, 11, "insert", cin="SH1", birth_date=BORN, phone="+212612345678"))
    hub.take(said(hub.key("ads", "8"), 12, "insert", family_name_fr="Tazi"))
    hub.take(said(entraide, 13, phone=None, languages=["ber"]))
    enrolment = hub.key("entraide", "E1", "enrolment")
    hub.take(said(enrolment, 14, "insert", number="INS-2026-000001", person="1", status="active"))
    lost = hub.key("entraide", "E2", "enrolment")
    hub.take(said(lost, 15, "insert", number="INS-2026-000002", person="99", status="active"))
    hub.take(said(hub.key("ads", "8"), 16, "delete"))
    hub.settle_due()
    hub.publish()


def test_a_hub_at_rest_has_no_findings(hub: OpsHub) -> None:
    populated(hub)
    assert findings(hub) == []
    swept = {one.topic: one for one in HubSweep(hub.parts).run(repair=False)}
    inbox = swept[topics.inbox(hub.name("ads"), "person")]
    assert inbox.messages >= 2
    assert inbox.rows >= 1
    assert inbox.seconds > 0


def test_what_was_never_published_is_found_on_every_topic(hub: OpsHub) -> None:
    hub.take(said(hub.key("entraide", "1"), 10, "insert", **SH1))
    hub.outs.clear()
    hub.rows("DELETE FROM publication RETURNING 1")
    found = findings(hub)
    assert sorted(found) == [
        ("ads.person.inbox", "missing", "raised"),
        ("entraide.person.inbox", "missing", "raised"),
        ("hub.links", "missing", "raised"),
        ("hub.person.assertions", "missing", "raised"),
        ("hub.person.golden", "missing", "raised"),
        ("region.person.inbox", "missing", "raised"),
    ]


def test_what_waits_for_its_publication_is_no_finding(hub: OpsHub) -> None:
    hub.take(said(hub.key("entraide", "1"), 10, "insert", **SH1))
    with hub.parts.deciding() as tx:
        entities = {bytes(row.id): ["ads"] for row in hub.rows("SELECT id FROM entity")}
        records = [bytes(row.id) for row in hub.rows("SELECT id FROM record")]
        tx.save_publication("hub-9", named_payload(entities, records))
    assert findings(hub) == []


def test_an_older_word_of_the_same_key_is_found(hub: OpsHub) -> None:
    record = hub.key("entraide", "1")
    hub.take(said(record, 10, "insert", **SH1))
    hub.publish()
    hub.take(said(record, 20, family_name_fr="Idrissi"))
    hub.outs.clear()
    hub.rows("DELETE FROM publication RETURNING 1")
    assert {kind for _, kind, _ in findings(hub)} == {"differs"}
    assert len(findings(hub)) == 5  # the crosswalk is as it was


def test_a_store_that_was_set_back_is_behind_its_topics(hub: OpsHub) -> None:
    populated(hub)
    hub.rows("UPDATE entity SET version = 0 RETURNING 1")
    kinds = {kind for _, kind, _ in findings(hub)}
    assert "ahead" in kinds
    assert {state for _, _, state in findings(hub, repair=True)} == {"raised"}


def test_what_nobody_remembers_having_told_is_found(hub: OpsHub) -> None:
    populated(hub)
    hub.rows("UPDATE entity SET held = '\\x80' RETURNING 1")
    found = findings(hub, repair=True)
    assert ("ads.person.inbox", "extra", "raised") in found
    assert {kind for _, kind, _ in found} == {"extra"}


def sweeper(hub: OpsHub, **settings: object) -> Sweeper:
    return Sweeper(hub.parts.settings.model_copy(update=settings))


def age(hub: OpsHub, hours: int) -> None:
    hub.rows(f"UPDATE topic_sweep SET swept_ms = swept_ms - {hours} * 3600000 RETURNING 1")


def test_workers_sweep_each_topic_when_its_time_has_come(hub: OpsHub) -> None:
    populated(hub)
    hub.rows("UPDATE entity SET held = '\\x80' RETURNING 1")
    every = {topic.name for topic in SweepTopics(hub.parts)}
    assert sweeper(hub).sweep_due(hub.parts) == []  # all are new: their turn comes a day later
    age(hub, 23)
    assert sweeper(hub).sweep_due(hub.parts) == []
    age(hub, 1)
    assert set(sweeper(hub).sweep_due(hub.parts)) == every
    assert sweeper(hub).sweep_due(hub.parts) == []
    with hub.parts.looking() as tx:
        left = {topic: one.findings for topic, one in last_sweeps(tx).items() if one.findings}
    assert topics.inbox(hub.name("ads"), "person") in left


def test_one_worker_sweeps_at_a_time(hub: OpsHub) -> None:
    populated(hub)
    sweeper(hub).sweep_due(hub.parts)
    age(hub, 24)
    with alone(hub.parts.store.engine) as mine:
        assert mine
        assert sweeper(hub).sweep_due(hub.parts) == []
    assert sweeper(hub).sweep_due(hub.parts)


def test_a_sweep_that_comes_by_itself_repairs_only_where_it_may(hub: OpsHub) -> None:
    hub.take(said(hub.key("entraide", "1"), 10, "insert", **SH1))
    hub.outs.clear()
    for may in (False, True):
        hub.rows("DELETE FROM publication RETURNING 1")
        sweeper(hub).sweep_due(hub.parts)
        age(hub, 24)
        sweeper(hub, sweep_repair=may).sweep_due(hub.parts)
        assert bool(hub.rows("SELECT 1 FROM publication")) == may


@pytest.mark.campaign
def test_what_is_lost_is_said_again_by_a_worker(hub: OpsHub, tmp_path: Path) -> None:
    populated(hub)
    name = hub.parts.ids.pairwise(hub.name("ads")).name
    inbox = topics.inbox(hub.name("ads"), "person")
    with closing(LogReader(hub.parts.settings.kafka)) as log:
        before = {m.key: m.value for m in log.whole(inbox) if m.value is not None}
    keys = [
        name(bytes(row.id)).encode() for row in hub.rows("SELECT id FROM entity WHERE record_type = 'person'")
    ]
    lost = next(key for key in keys if key in before)
    with producing(hub.bootstrap) as send:
        send(inbox, lost, None)
    told = hub.run("sweep")
    assert told.returncode == 1, told.stderr
    assert f"{inbox}: 1 keys are not as the store has them" in told.stdout
    assert "missing: 1 raised" in told.stdout
    assert hub.run("sweep", "--agency", hub.name("region")).returncode == 0
    repaired = hub.run("sweep", "--repair", "--json")
    assert repaired.returncode == 0, repaired.stderr
    by_topic = {one["topic"]: one for one in json.loads(repaired.stdout)["hub"]}
    assert [f["state"] for f in by_topic[inbox]["findings"]] == ["repaired"]

    def last() -> bytes | None:
        with closing(LogReader(hub.parts.settings.kafka)) as log:
            return [message.value for message in log.whole(inbox) if message.key == lost][-1]

    # The worker reads the topics from their beginning: this hub's positions are the tests' invention.
    hub.rows("DELETE FROM position RETURNING 1")
    port = str(assign(["worker"], {})["worker"])
    with running(["hub"], {**hub.environment, "JISR_WEB_PORT": port}, tmp_path) as worker:
        wait_until(lambda: last() is not None, worker)
    assert last() == before[lost]
    assert findings(hub) == []
