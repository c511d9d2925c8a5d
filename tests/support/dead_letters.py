"""Dead letters as the store keeps them, made of messages."""

from __future__ import annotations

from typing import Any

from hub.lanes.reading import Message
from hub.store.dead_letters import DeadLetterRow
from support.messages import reading


def row_of(message: Message, **said: Any) -> DeadLetterRow:
    """The row of a message; its reason is what reading says, unless `said` says otherwise."""
    dead = reading().read([message]).dead
    code, path, text = (dead[0].code, dead[0].path, dead[0].text) if dead else ("invalid_value", "", "wrong")
    agency, record_type, _ = message.topic.split(".")
    row = DeadLetterRow(
        id=17,
        topic=message.topic,
        partition=message.partition,
        kafka_offset=message.offset,
        agency=agency,
        record_type=record_type,
        code=code,
        path=path,
        message=text,
        at_ms=message.timestamp_ms,
        key=message.key,
        value=message.value,
        state="open",
        redrives=0,
        outcome=None,
        who=None,
        why=None,
        decided_at=None,
    )
    return row._replace(**said)
