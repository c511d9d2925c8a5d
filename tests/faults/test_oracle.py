"""The oracle's own parts, on messages made for them: it must be able to say no."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import fastavro

from faults.inboxes import read_inboxes
from faults.kafka_log import Logged
from faults.said import Said, fold, read_said, repetitions_differ
from hub.contracts.agreements import load_agreements
from hub.contracts.events import EventSchemas
from hub.contracts.records import Catalogue
from hub.contracts.wire import frame, write

ROOT = Path(__file__).parents[2]
CATALOGUE = Catalogue.load(ROOT / "schemas" / "records")
EVENTS = EventSchemas(ROOT / "schemas" / "events")
AGREEMENTS = load_agreements(ROOT / "deploy" / "agreements", CATALOGUE)
PERSON = CATALOGUE.records["person"]
NOW_MS = 1_800_000_000_000


def projection(version: int, phone: str | None = None, operation: str = "upsert", seen: int = 0) -> bytes:
    value = {
        "entity": "E",
        "version": version,
        "operation": operation,
        "fields": ["phone"] if phone else [],
        "seen": seen,
        "record": {"phone": phone} if phone else None,
    }
    return frame(1, write(fastavro.parse_schema(EVENTS.projection(PERSON)), value))


def inbox(*values: bytes | None) -> Any:
    messages = [Logged("ads.person.inbox", 0, n, NOW_MS, b"E", value) for n, value in enumerate(values)]
    return read_inboxes(messages, CATALOGUE, EVENTS)


def test_a_reader_ends_at_the_highest_version_whatever_comes_later() -> None:
    found = inbox(
        projection(2, "+212600000002"), projection(1, "+212600000001"), projection(2, "+212600000002")
    )
    assert found.problems == []
    assert [told["record"]["phone"] for told in found.state.values()] == ["+212600000002"]


def test_a_version_told_in_two_ways_is_seen() -> None:
    found = inbox(projection(2, "+212600000002"), projection(2, "+212600000003"))
    assert found.problems == ["ads.person.inbox E: version 2 was told in two ways: record"]


def test_a_restatement_may_know_better_what_was_seen_of_the_row() -> None:
    assert inbox(projection(2, "+212600000002"), projection(2, "+212600000002", seen=7)).problems == []


def test_a_tombstone_is_for_what_is_held_no_longer() -> None:
    assert inbox(projection(1, "+212600000001"), projection(2, operation="retract"), None).problems == []
    found = inbox(projection(1, "+212600000001"), None)
    assert found.problems == ["ads.person.inbox E: a tombstone stands after the projection to be held"]


def change(
    event_id: str, stamp_ms: int, operation: str = "update", entity: str | None = None, **said: Any
) -> bytes:
    value = {
        "event_id": event_id,
        "local_id": "17",
        "operation": operation,
        "stamp": stamp_ms << 16,
        "changed": sorted(said),
        "record": said or None,
    }
    return frame(1, write(fastavro.parse_schema(EVENTS.change(PERSON)), value | {"entity": entity}))


def said(*values: bytes) -> Said:
    messages = [Logged("ads.person.changes", 0, n, NOW_MS, b"K", value) for n, value in enumerate(values)]
    return read_said(messages, CATALOGUE, EVENTS)


def test_the_greatest_stamp_of_a_field_is_known_in_any_order() -> None:
    one, two = change("1", NOW_MS, phone="+212600000001"), change("2", NOW_MS + 1, phone=None)
    for order in ((one, two), (two, one, two)):
        folded = fold(said(*order).sayings, CATALOGUE, AGREEMENTS)
        phones = folded["ads", "person", "17", 0].values["phone"]
        assert set(phones[max(phones)]) == {None}


def test_a_clock_that_is_ahead_is_held_back_and_an_insert_says_no_null() -> None:
    folded = fold(
        said(change("1", NOW_MS + 3_600_000, "insert", phone="+212600000001", cin=None)).sayings,
        CATALOGUE,
        AGREEMENTS,
    )
    assert folded["ads", "person", "17", 0].values == {"phone": {(NOW_MS + 300_000) << 16: ["+212600000001"]}}


def test_an_event_that_says_two_things_is_seen() -> None:
    one, other = change("1", NOW_MS, phone="+212600000001"), change("1", NOW_MS, phone="+212600000002")
    known = change("1", NOW_MS, entity="the agency's id of it by now", phone="+212600000001")
    assert list(repetitions_differ(said(one, known))) == []
    assert list(repetitions_differ(said(one, other))) == ["ads: event 1 was said twice, and not alike"]


def test_what_cannot_be_used_is_known_without_the_hub() -> None:
    found = said(
        b"Bonjour", change("1", NOW_MS, phone="ask the neighbour"), change("2", NOW_MS, phone="+212600000001")
    )
    assert found.unreadable == {("ads.person.changes", 0, 0), ("ads.person.changes", 0, 1)}
    assert [one.change["event_id"] for one in found.sayings] == ["2"]
