"""What the same bytes and the same rows cost without a hub: the measure that others are held against."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

import psycopg
from kafka import KafkaConsumer, KafkaProducer, TopicPartition

from hub.local.bench.workload import COLUMNS, TABLE, Row

_POLL_MS = 500
_NAMES = ", ".join(COLUMNS)
_MERGE = f"""
    INSERT INTO beneficiary ({_NAMES}) SELECT {_NAMES} FROM staged
    ON CONFLICT (cin) DO UPDATE SET ({_NAMES}) = ROW(excluded.*)
"""  # noqa: S608  (our own names)


def kafka(bootstrap: str, topic: str) -> int:
    """Messages a second that are read from `topic` and written to it once more, by stock clients."""
    consumer = KafkaConsumer(bootstrap_servers=bootstrap, group_id=None, enable_auto_commit=False)
    producer = KafkaProducer(bootstrap_servers=bootstrap, acks="all", linger_ms=5)
    try:
        places = [TopicPartition(topic, number) for number in consumer.partitions_for_topic(topic)]
        ends = consumer.end_offsets(places)
        consumer.assign(places)
        consumer.seek_to_beginning(*places)
        began, messages = time.monotonic(), 0
        while any(consumer.position(place) < ends[place] for place in places):
            for place, records in consumer.poll(_POLL_MS).items():
                for one in records:
                    if one.offset < ends[place]:
                        producer.send(topic, key=one.key, value=one.value, partition=place.partition)
                        messages += 1
        producer.flush()
        return round(messages / (time.monotonic() - began))
    finally:
        producer.close()
        consumer.close()


def upsert(url: str, rows: Sequence[Row]) -> int:
    """Rows a second, by COPY and one merge in each transaction of 1,000, into a table of their own."""
    with psycopg.connect(url) as connection, connection.cursor() as cursor:
        cursor.execute("CREATE SCHEMA floor")
        cursor.execute("SET search_path = floor")
        cursor.execute(TABLE)
        cursor.execute("CREATE UNIQUE INDEX ON beneficiary (cin)")
        cursor.execute("CREATE TEMPORARY TABLE staged (LIKE beneficiary) ON COMMIT DELETE ROWS")
        cursor.execute("ALTER TABLE staged ALTER id DROP NOT NULL")
        connection.commit()
        began = time.monotonic()
        for start in range(0, len(rows), 1_000):
            _merge(cursor, rows[start : start + 1_000])
            connection.commit()
        return round(len(rows) / (time.monotonic() - began))


def _merge(cursor: psycopg.Cursor[Any], rows: Sequence[Row]) -> None:
    with cursor.copy(f"COPY staged ({_NAMES}) FROM STDIN") as copy:
        for row in rows:
            copy.write_row(row)
    cursor.execute(_MERGE.replace("ROW(excluded.*)", f"ROW({', '.join(f'excluded.{c}' for c in COLUMNS)})"))
