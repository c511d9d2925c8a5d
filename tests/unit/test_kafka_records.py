"""Record batches that we write and read whole, held against kafka-python's own reading and writing."""

from __future__ import annotations

import os
from typing import Any

import pytest
from aiokafka.partitioner import murmur2 as aiokafka_murmur2
from hypothesis import given
from hypothesis import strategies as st
from kafka import TopicPartition
from kafka.errors import CorruptRecordError
from kafka.record.memory_records import MemoryRecords, MemoryRecordsBuilder

from connectors.kafka_records import BATCH_BYTES, batches, encoded_pairs, header_count, unpacked
from hub.contracts.partitioner import murmur2, partition_of

PLACE = TopicPartition("entraide.person.changes", 0)
HEADERS = (("ce_id", b"1"), ("content-type", b"application/avro"), ("empty", b""))
short_bytes = st.binary(max_size=300)


def written(records: list[tuple[bytes, bytes]]) -> list[bytes]:
    """What goes to the broker, batch by batch."""
    headers = header_count(len(HEADERS)) + encoded_pairs(HEADERS)
    made = batches(PLACE, [(key, value, headers) for key, value in records])
    sent = []
    for batch, _ in made:
        batch.records.close()
        sent.append(bytes(batch.records.buffer()))
    return sent


def by_the_library(sent: bytes) -> list[Any]:
    found = []
    records = MemoryRecords(sent)
    while (batch := records.next_batch()) is not None:
        assert batch.validate_crc()
        found += list(batch)
    return found


@given(st.lists(st.tuples(short_bytes, short_bytes), min_size=1, max_size=20))
def test_the_library_reads_what_we_write(records: list[tuple[bytes, bytes]]) -> None:
    (sent,) = written(records)
    found = by_the_library(sent)
    assert [(record.key, record.value) for record in found] == records
    assert [record.offset for record in found] == list(range(len(records)))
    assert all(tuple(record.headers) == HEADERS for record in found)


def test_a_large_load_is_parted_into_batches_in_order() -> None:
    records = [(str(n).encode(), os.urandom(20_000)) for n in range(40)]
    sent = written(records)
    assert len(sent) > 1
    assert max(map(len, sent)) < BATCH_BYTES + 30_000
    assert [(r.key, r.value) for batch in sent for r in by_the_library(batch)] == records


def library_batch(records: list[tuple[bytes | None, bytes | None]], compression: int) -> Any:
    builder = MemoryRecordsBuilder(2, compression, 1_000_000)
    for key, value in records:
        builder.append(timestamp=1_700_000_000_123, key=key, value=value, headers=list(HEADERS))
    builder.close()
    return MemoryRecords(bytes(builder.buffer())).next_batch()


@pytest.mark.parametrize("compression", [0, 1])
def test_we_read_what_the_library_writes(compression: int) -> None:
    records = [(b"k", b"v"), (None, b"no key"), (b"gone", None), (b"", b""), (b"k" * 200, b"v" * 5_000)]
    found = list(unpacked(library_batch(records, compression)))
    assert [(r.key, r.value) for r in found] == records
    assert [r.offset for r in found] == list(range(len(records)))
    assert {r.timestamp for r in found} == {1_700_000_000_123}


def test_a_batch_that_is_cut_or_broken_says_so() -> None:
    batch = library_batch([(b"key", b"value"), (b"other", b"value")], 0)
    batch._buffer = bytes(batch._buffer)[:-9]
    with pytest.raises(CorruptRecordError):
        list(unpacked(batch))


@given(st.binary(max_size=60))
def test_partitions_are_those_of_stock_clients(key: bytes) -> None:
    assert murmur2(key) == aiokafka_murmur2(key) & 0xFFFFFFFF
    assert 0 <= partition_of(key, 6) < 6
