"""What one agency may cost the others, and what a backlog may cost a process: on the real stack."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import fastavro
import psycopg
import pytest
from kafka import KafkaConsumer, TopicPartition
from sqlalchemy import text

from hub.contracts import topics
from hub.contracts.events import EventSchemas
from hub.contracts.records import Catalogue
from hub.contracts.wire import read, unframe
from hub.local.bench.stage import SOURCE, Stage, target
from hub.local.bench.workload import workload, write
from hub.local.stack import PROJECT

FLOOD = 12_000
# However slow the machine.
_WITHIN_S = 240.0
_RECORDS = "SELECT coalesce(sum(next_offset), 0) FROM position WHERE lane = 'intake' AND topic LIKE :topic"
_NEWCOMER = "INSERT INTO beneficiary (cin, family_name_fr, birth_date, sex) VALUES (%s, %s, %s, %s)"
_CIN = "ZZ999999"


@pytest.fixture(scope="module")
def stage() -> Iterator[Stage]:
    with Stage(2, [], lambda _: None) as running:
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
    before = taken_in(stage, SOURCE)
    stage.stack.resume("hub-0")
    stage.wait(stage.quiet.all_read, _WITHIN_S)
    told = delivered(stage, target(2))
    (place,) = [number for number, one in enumerate(told) if (one["record"] or {}).get("cin") == _CIN]
    print(before, place, len(told))
    assert place < len(told) / 2
