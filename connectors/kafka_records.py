"""Kafka's record batches read and written whole, for kafka-python's producer and consumer.

kafka-python handles every record by some hundred lines of Python; a connector reads and writes thousands a
second and needs neither futures nor headers for each of them. Format: Kafka's record batch, version 2
(KIP-98); its varint is Avro's zig-zag long.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from typing import Any, NamedTuple

from kafka.consumer.fetcher import Fetcher
from kafka.errors import CorruptRecordError
from kafka.producer.future import FutureRecordMetadata
from kafka.producer.producer_batch import ProducerBatch
from kafka.record.memory_records import MemoryRecordsBuilder

from hub.contracts.values import decode_long, encode_long
from hub.errors import SkipRecord

_BATCH_FORMAT = 2
# Far below the broker's limit of 1 MB a batch; a larger one gains nothing.
BATCH_BYTES = 256 * 1024

# Lengths and offsets of a batch are few and small.
_varint = lru_cache(maxsize=20_000)(encode_long)


def header_count(number: int) -> bytes:
    """What stands before a record's headers."""
    return _varint(number)


def encoded_pairs(headers: Iterable[tuple[str, bytes]]) -> bytes:
    """Some of a record's headers, without their number."""
    return b"".join(
        [_varint(len(key)) + key.encode() + _varint(len(value)) + value for key, value in headers]
    )


def batches(
    place: Any, records: Iterable[tuple[bytes, bytes, bytes]]
) -> Iterator[tuple[ProducerBatch, FutureRecordMetadata]]:
    """Batches for kafka-python's accumulator, each with its acknowledgement.

    `place` is a `TopicPartition`; a record is key, value, encoded headers.
    """
    ready: list[bytes] = []
    size = 0
    for key, value, headers in records:
        body = b"".join(
            (
                # No attributes; no time of its own, since the broker stamps what it appends.
                b"\x00\x00",
                _varint(len(ready)),
                _varint(len(key)),
                key,
                _varint(len(value)),
                value,
                headers,
            )
        )
        ready.append(_varint(len(body)) + body)
        size += len(body)
        if size >= BATCH_BYTES:
            yield _batch(place, ready)
            ready, size = [], 0
    if ready:
        yield _batch(place, ready)


def _batch(place: Any, records: Sequence[bytes]) -> tuple[ProducerBatch, FutureRecordMetadata]:
    builder = MemoryRecordsBuilder(_BATCH_FORMAT, 0, BATCH_BYTES)
    inner = builder._builder
    inner._buffer += b"".join(records)
    inner._first_timestamp = inner._max_timestamp = time.time_ns() // 1_000_000
    inner._num_records = builder._next_offset = len(records)
    inner._last_offset = len(records) - 1
    batch = ProducerBatch(place, builder)
    # One for all: the broker takes a batch or refuses it.
    acknowledged = FutureRecordMetadata(batch.produce_future, len(records) - 1, None, None, -1, -1, -1)
    batch._record_futures.append(acknowledged)
    return batch, acknowledged


class Record(NamedTuple):
    """A message as it was fetched, without its headers; `timestamp` in ms, `value` None is a tombstone."""

    offset: int
    timestamp: int
    key: bytes | None
    value: bytes | None


class PartitionRecords(Fetcher.PartitionRecords):  # type: ignore[misc]
    """Yields `Record` in place of kafka-python's record of thirteen fields."""

    def _unpack_records(self, tp: Any, records: Any, *_: Any) -> Iterator[Record]:
        batch = None
        while (following := records.next_batch()) is not None:
            batch = following
            if self.check_crcs and not batch.validate_crc():
                raise CorruptRecordError(f"a batch of {tp} at offset {batch.base_offset} fails its checksum")
            self.leader_epoch = batch.leader_epoch
            if not batch.is_control_batch:
                for record in unpacked(batch):
                    self.next_fetch_offset = record.offset + 1
                    yield record
            # Behind the last record that there ever was: compaction may have taken it.
            self.next_fetch_offset = batch.next_offset
        self.drain()


def unpacked(batch: Any) -> Iterator[Record]:
    """The records of one fetched batch; raises `CorruptRecordError`."""
    batch._maybe_uncompress()
    data, position = bytes(batch._buffer), batch._pos
    by_broker, first, offset = batch.timestamp_type == 1, batch.first_timestamp, batch.base_offset
    at = batch.max_timestamp
    try:
        for _ in range(batch.records_count):
            length, position = decode_long(data, position)
            end = position + length
            # One byte of attributes, which say nothing yet.
            delta, position = decode_long(data, position + 1)
            number, position = decode_long(data, position)
            key, position = _bytes(data, position)
            value, position = _bytes(data, position)
            if position > end or end > len(data):
                raise CorruptRecordError(f"a record at offset {offset + number} is cut off")
            yield Record(offset + number, at if by_broker else first + delta, key, value)
            position = end
    except SkipRecord as error:
        raise CorruptRecordError("a record's lengths make no sense") from error


def _bytes(data: bytes, position: int) -> tuple[bytes | None, int]:
    length, position = decode_long(data, position)
    return (None, position) if length < 0 else (data[position : position + length], position + length)
