"""What an agency's staff finds in its own table at the end of all that."""

from __future__ import annotations

import unicodedata
from collections import Counter
from collections.abc import Iterator

import fastavro
from kafka import KafkaConsumer

from hub.contracts import topics
from hub.contracts.wire import read, unframe
from hub.local.demo.everyday.stage import Stage
from hub.local.demo.kept import messages

# What its mapping says, and the script in which that is written.
_SCRIPTS = {"entraide": "ARABIC", "ads": "LATIN"}
_TABLE = "SELECT kind, reason, record, message, times FROM jisr_notice ORDER BY times DESC, id"
_SHOWN = 3


def read_by_staff(stage: Stage) -> None:
    """Each notice that was sent is counted once in a row of the agency's table, in its language."""
    stage.settle()
    for agency, script in _SCRIPTS.items():
        rows = stage.desk(agency).ask(_TABLE)
        sent = Counter[tuple[str, str, str]]()
        for kind, reason, record_type, count in _sent(stage, agency):
            sent[kind, reason, record_type] += count
        shown = Counter[tuple[str, str, str]]()
        for kind, reason, record_type, message, times in rows:
            shown[kind, reason, record_type] += times
            stage.check(
                script in _scripts(message), True, f"{agency}: {reason} told in {script.lower()} script"
            )
        stage.check(dict(sorted(shown.items())), dict(sorted(sent.items())), f"notices in {agency}'s table")
        stage.remark(f"{agency}: {sent.total()} notices in {len(rows)} rows, among them")
        for kind, _, record_type, message, times in rows[:_SHOWN]:
            stage.remark(f"  {times} × {kind}, {record_type}: {message}")


def _sent(stage: Stage, agency: str) -> Iterator[tuple[str, str, str, int]]:
    """(kind, reason, record type, of how many) of every notice in the agency's topic, each once."""
    schema = fastavro.parse_schema(stage.region.events.plain("notice"))
    consumer = KafkaConsumer(
        bootstrap_servers=stage.region.bootstrap, group_id=None, enable_auto_commit=False
    )
    try:
        found = [
            read(schema, unframe(value)[1])
            for _, value in messages(consumer, topics.notices(agency))
            if value
        ]
    finally:
        consumer.close(autocommit=False)
    for one in {one["notice_id"]: one for one in found}.values():
        yield one["kind"], one["reason"], one["record_type"], one["count"]


def _scripts(text: str) -> set[str]:
    return {unicodedata.name(letter, "?").partition(" ")[0] for letter in text if letter.isalpha()}
