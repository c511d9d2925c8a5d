"""What one agency may cost the others, and what a backlog may cost a process: on the real stack."""

from __future__ import annotations

import os
import resource
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import fastavro
import psycopg
import pytest
from kafka import KafkaConsumer, KafkaProducer, TopicPartition
from sqlalchemy import text

from hub.contracts import topics
from hub.contracts.events import EventSchemas
from hub.contracts.records import Catalogue
from hub.contracts.wire import read, unframe
from hub.local.bench.stage import SOURCE, Stage, target
from hub.local.bench.workload import INSERTED, fill, made_up, workload, write
from hub.local.stack import PROJECT

FLOOD = 8_000
# What a process may take beyond what it has: less than half of the backlog that waits for it.
_MORE_MB = 96
_BACKLOG_MB = 200
_LETTER = b"\x01" + os.urandom(200_000)
# A long value for each of so many people, again and again.
_PEOPLE, _LONG_BYTES = 1_000, 4_096
# Of the campaign: how many changes are behind, and what each process may have to work through them.
CHANGES = int(os.environ.get("LIMIT_CHANGES") or 1_000_000)
_AT_ONCE = 50_000
_CAMPAIGN_MB = 512
# However slow the machine.
_WITHIN_S = 240.0
_RECORDS = "SELECT coalesce(sum(next_offset), 0) FROM position WHERE lane = 'intake' AND topic LIKE :topic"
_NEWCOMER = "INSERT INTO beneficiary (cin, family_name_fr, birth_date, sex) VALUES (%s, %s, %s, %s)"
_CIN = "ZZ999999"


@pytest.fixture(scope="module")
def stage() -> Iterator[Stage]:
    with Stage(2, [], lambda _: None, kafka_profile="fast-start") as running:
        yield running


def taken_in(stage: Stage, agency: str) -> int:
    """How many changes of an agency the hub has taken in."""
    with stage.store.connect() as store:
        return int(store.execute(text(_RECORDS), {"topic": f"{agency}.%"}).scalar_one())


def delivered(stage: Stage, agency: str) -> list[Mapping[str, Any]]:
    """Every projection in an agency's inbox, in the order in which the broker took them."""
    catalogue = Catalogue.load(PROJECT / "schemas" / "records")
    events = EventSchemas(PROJECT / "schemas" / "events")
    schema = fastavro.parse_schema(events.projection(catalogue.records["person"]))
    consumer = KafkaConsumer(bootstrap_servers=stage.bootstrap, group_id=None, enable_auto_commit=False)
    found = []
    try:
        places = [TopicPartition(topics.inbox(agency, "person"), n) for n in range(topics.INBOX_PARTITIONS)]
        ends = consumer.end_offsets(places)
        consumer.assign(places)
        consumer.seek_to_beginning(*places)
        while any(consumer.position(place) < ends[place] for place in places):
            for records in consumer.poll(timeout_ms=1_000).values():
                found += [(one.timestamp, one.partition, one.offset, one.value) for one in records]
    finally:
        consumer.close(autocommit=False)
    return [read(schema, unframe(value)[1]) for *_, value in sorted(found) if value is not None]


def test_an_agency_that_floods_the_hub_does_not_keep_another_waiting(stage: Stage) -> None:
    """By order, not by time: what came while the hub had its hands full of another's backlog overtakes it."""
    load = workload(FLOOD, seed=1)
    stage.stack.pause("hub-0")
    write(stage.url(SOURCE), load)
    stage.wait(lambda: stage.idle(SOURCE), _WITHIN_S)
    stage.stack.resume("hub-0")
    stage.wait(lambda: taken_in(stage, SOURCE) > 0, _WITHIN_S)
    # By now the worker has fetched much of the backlog. It is frozen, so that the edit is in Kafka before
    # it goes on.
    stage.stack.pause("hub-0")
    with psycopg.connect(stage.url(target(1))) as other:
        other.execute(_NEWCOMER, (_CIN, "Alami", "1990-05-01", "female"))
    stage.wait(lambda: stage.idle(target(1)), _WITHIN_S)
    stage.stack.resume("hub-0")
    stage.wait(stage.quiet.all_read, _WITHIN_S)
    told = delivered(stage, target(2))
    (place,) = [number for number, one in enumerate(told) if (one["record"] or {}).get("cin") == _CIN]
    # Without its turn it comes last but for what was fetched after it; with it, behind some two batches.
    assert place < len(told) * 2 / 3


# Memory: what waits for a process is several times what it may take


class Limited:
    """Processes that may take only so much memory: whoever asks for more dies, and is seen to have died."""

    def __init__(self, stage: Stage, *names: str) -> None:
        self._stage = stage
        self._names = names
        self._restarts = self._count()

    def may_have(self, limit_of: Callable[[int], int]) -> None:
        """Set the limit, in bytes of data, given what the process has now."""
        for one in self._stage.stack.processes():
            if one.name in self._names and one.pid is not None:
                limit = limit_of(_data_bytes(one.pid))
                resource.prlimit(one.pid, resource.RLIMIT_DATA, (limit, limit))

    def alive(self) -> bool:
        return self._count() == self._restarts

    def _count(self) -> dict[str, int]:
        return {one.name: one.restarts for one in self._stage.stack.processes() if one.name in self._names}


def _data_bytes(pid: int) -> int:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return 1024 * next(int(line.split()[1]) for line in lines if line.startswith("VmData:"))


def a_little_more(has: int) -> int:
    return has + _MORE_MB * 2**20


def rubbish(stage: Stage, topic: str) -> int:
    """Put letters that nobody can read into a topic, until they are many times what a process may take."""
    letters = _BACKLOG_MB * 2**20 // len(_LETTER)
    producer = KafkaProducer(bootstrap_servers=stage.bootstrap, acks="all")
    for _ in range(letters):
        producer.send(topic, key=b"E", value=_LETTER)
    producer.flush()
    producer.close()
    return letters


def test_a_hub_worker_holds_a_bounded_part_of_a_backlog(stage: Stage) -> None:
    """Of receipts, since nothing else comes of them: both lanes read alike."""
    topic = topics.receipts(SOURCE)
    stage.stack.pause("hub-0")
    rubbish(stage, topic)
    worker = Limited(stage, "hub-0")
    worker.may_have(a_little_more)
    stage.stack.resume("hub-0")
    stage.wait(lambda: not worker.alive() or read_up(stage, topic), _WITHIN_S)
    assert worker.alive()


def read_up(stage: Stage, topic: str) -> bool:
    """Whether the receipts lane has read all of a topic of one partition."""
    consumer = KafkaConsumer(bootstrap_servers=stage.bootstrap, group_id=None, enable_auto_commit=False)
    try:
        (end,) = consumer.end_offsets([TopicPartition(topic, 0)]).values()
    finally:
        consumer.close(autocommit=False)
    with stage.store.connect() as store:
        position = store.execute(_RECEIPTS, {"topic": topic}).scalar()
    return bool(position == end)


_RECEIPTS = text("SELECT next_offset FROM position WHERE lane = 'receipts' AND topic = :topic")


def test_a_sink_holds_a_bounded_part_of_its_inbox(stage: Stage) -> None:
    agency = target(2)
    stage.pause(agency)
    rubbish(stage, topics.inbox(agency, "person"))
    connector = Limited(stage, f"connector-{agency}")
    connector.may_have(a_little_more)
    stage.resume(agency)
    stage.wait(lambda: not connector.alive() or stage.quiet.applied(agency), _WITHIN_S)
    assert connector.alive()


def test_a_source_holds_a_bounded_part_of_its_queue(stage: Stage) -> None:
    """Of values that the contract does not take, so that nothing comes of them at the hub."""
    fill(stage.url(SOURCE), made_up(500_000, _PEOPLE, seed=1))
    stage.wait(lambda: stage.idle(SOURCE), _WITHIN_S)
    stage.pause(SOURCE)
    # Each row of the queue holds what was there before, too.
    times = _BACKLOG_MB * 2**20 // (2 * _PEOPLE * _LONG_BYTES)
    with psycopg.connect(stage.url(SOURCE), autocommit=True) as people:
        for number in range(times):
            people.execute(_LONG_PHONES, (str(number), _LONG_BYTES // 32, "SH5%"))
    connector = Limited(stage, f"connector-{SOURCE}")
    connector.may_have(a_little_more)
    stage.resume(SOURCE)
    stage.wait(lambda: not connector.alive() or stage.idle(SOURCE), _WITHIN_S)
    assert connector.alive()


_LONG_PHONES = "UPDATE beneficiary SET phone = repeat(md5(id || %s), %s) WHERE cin LIKE %s"


@pytest.mark.campaign
def test_a_million_changes_behind_are_worked_through_under_a_memory_limit() -> None:
    """Each process in turn is behind by all of them: the hub, a target, and the source while it sends."""

    def may_have(_: int) -> int:
        return _CAMPAIGN_MB * 2**20

    patience_s = max(_WITHIN_S, CHANGES / 20)
    names = ("hub-0", f"connector-{SOURCE}", f"connector-{target(1)}")
    with Stage(1, [], print) as stage:
        all_of_them = Limited(stage, *names)
        all_of_them.may_have(may_have)
        stage.stack.pause("hub-0")
        for first in range(0, CHANGES, _AT_ONCE):
            changes = min(_AT_ONCE, CHANGES - first)
            write(stage.url(SOURCE), workload(changes, 1 + first, round(first * INSERTED)))
            stage.wait(lambda: stage.idle(SOURCE), patience_s)
        stage.pause(target(1))
        stage.stack.resume("hub-0")
        stage.wait(lambda: not all_of_them.alive() or stage.quiet.all_read(), patience_s)
        stage.resume(target(1))
        stage.wait(lambda: not all_of_them.alive() or stage.quiet.applied(target(1)), patience_s)
        assert all_of_them.alive()
        stage.settle(patience_s)
        stage.check()
        print({name: stage.peak_mb[name] for name in names})
