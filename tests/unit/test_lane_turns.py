"""Fair batches: what each agency gets of them, and that nothing is lost between two."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Mapping
from types import SimpleNamespace
from typing import Any

import pytest
from aiokafka import TopicPartition
from aiokafka.errors import KafkaConnectionError, KafkaError

from hub.lanes.turns import Turns, onward


class Waiting:
    """What a consumer has fetched: it gives partition by partition, and moves on, as aiokafka's does."""

    def __init__(self, counts: Mapping[TopicPartition, int]) -> None:
        self.records = {place: list(range(count)) for place, count in counts.items()}
        self.errors: dict[TopicPartition, KafkaError] = {}
        self.before: Callable[[], None] = lambda: None

    def assignment(self) -> frozenset[TopicPartition]:
        return frozenset(self.records)

    async def getmany(self, *partitions: TopicPartition, timeout_ms: int, max_records: int) -> Any:
        assert max_records > 0
        self.before()
        given: dict[TopicPartition, list[int]] = {}
        for place in partitions or tuple(self.records):
            if place in self.errors:
                raise self.errors.pop(place)
            part, self.records[place] = self.records[place][:max_records], self.records[place][max_records:]
            max_records -= len(part)
            if part:
                given[place] = part
            if not max_records:
                break
        return given


def place(agency: str, number: int = 0) -> TopicPartition:
    return TopicPartition(f"{agency}.person.changes", number)


def take(turns: Turns) -> dict[TopicPartition, list[Any]]:
    return asyncio.run(turns.take(0))


def shares(waiting: Mapping[TopicPartition, int], limit: int) -> dict[str, int]:
    taken: Counter[str] = Counter()
    for partition, records in take(Turns(Waiting(waiting), limit)).items():
        taken[partition.topic.partition(".")[0]] += len(records)
    return dict(taken)


@pytest.mark.parametrize(
    ("waiting", "expected"),
    [
        ({place("a"): 500, place("b"): 1}, {"a": 99, "b": 1}),
        ({place("a", 0): 500, place("a", 1): 500, place("b"): 500}, {"a": 50, "b": 50}),
        ({place("a"): 500, place("b"): 20, place("c"): 500}, {"a": 40, "b": 20, "c": 40}),
        ({place("a"): 30, place("b"): 40}, {"a": 30, "b": 40}),
        ({place("a"): 0, place("b"): 500}, {"b": 100}),
        ({place("a"): 0}, {}),
    ],
)
def test_everybody_has_an_equal_share_and_what_some_leave_goes_to_the_others(
    waiting: dict[TopicPartition, int], expected: dict[str, int]
) -> None:
    taken = shares(waiting, 100)
    assert taken.keys() == expected.keys()
    assert all(abs(taken[agency] - count) <= 1 for agency, count in expected.items())
    assert sum(taken.values()) <= 100


def test_more_agencies_than_a_batch_has_room_for_still_get_their_turn() -> None:
    turns, seen = Turns(Waiting({place(f"a{number}"): 100 for number in range(25)}), 10), set()
    for _ in range(25):
        seen |= take(turns).keys()
    assert len(seen) == 25


def test_each_record_comes_once_and_in_order() -> None:
    counts = {place("a", 0): 70, place("a", 1): 30, place("b"): 45, place("c"): 3}
    waiting = Waiting(counts)
    turns = Turns(waiting, 20)
    read: dict[TopicPartition, list[int]] = {}
    while found := take(turns):
        for partition, records in found.items():
            read.setdefault(partition, []).extend(records)
    assert read == {partition: list(range(count)) for partition, count in counts.items()}


def test_an_error_at_one_agency_loses_nothing_of_another() -> None:
    a, b = place("a"), place("b")
    waiting = Waiting({a: 5, b: 5})
    turns = Turns(waiting, 100)
    read: dict[TopicPartition, list[int]] = {}
    raised = 0
    for failing in (a, b, a, b):
        waiting.errors[failing] = KafkaConnectionError()
        try:
            read |= take(turns)
        except KafkaConnectionError:
            raised += 1
    assert read == {a: [0, 1, 2, 3, 4], b: [0, 1, 2, 3, 4]}
    # Where nothing else was there, it is told.
    assert raised


def test_what_was_fetched_before_the_positions_moved_is_dropped() -> None:
    """The partitions are dealt out anew while a batch is put together: what it holds comes again."""
    waiting = Waiting({place("a"): 5, place("b"): 5})
    turns = Turns(waiting, 100)
    calls = 0

    def dealt_out() -> None:
        nonlocal calls
        calls += 1
        if calls == 2:
            waiting.records = {place("a"): list(range(5)), place("b"): list(range(5))}
            turns.moved()

    waiting.before = dealt_out
    read = [take(turns), take(turns)]
    assert [len(found) for found in read] == [1, 1]
    assert read[0] | read[1] == {place("a"): [0, 1, 2, 3, 4], place("b"): [0, 1, 2, 3, 4]}


def test_of_what_is_read_again_only_what_was_handled_is_passed_over() -> None:
    """A batch is committed just after the positions were read anew: the consumer then stands before it."""
    records = [SimpleNamespace(offset=offset) for offset in range(100, 110)]
    assert [one.offset for one in onward(records, 107)] == [107, 108, 109]
    assert onward(records, 100) is onward(records, 50) is records
    assert onward(records, 110) == onward([], 0) == []
