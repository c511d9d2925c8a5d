"""The bookkeeping tables in the agency's database, once for all dialects. All begin with `jisr_`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Bookkeeping:
    """A table: columns with their kinds (text, bigint, int, bool, json), and its primary key.

    A key of one column named `serial` is filled by the database.
    """

    name: str
    columns: Mapping[str, str]
    key: tuple[str, ...]
    serial: str = ""


CHANGES = Bookkeeping(
    "changes",
    {
        "txid": "bigint",
        "record": "text",
        "part": "int",
        "local_id": "text",
        "op": "text",
        "incarnation": "int",
        "known": "bigint",
        "clock_ms": "bigint",
        "old": "json",
        "new": "json",
        "actor": "text",
    },
    key=("seq",),
    serial="seq",
)
SHADOW = Bookkeeping(
    "shadow",
    {
        "record": "text",
        "local_id": "text",
        "entity": "text",
        "incarnation": "int",
        "deleted": "bool",
        "created_by_hub": "bool",
        "known": "bigint",
        "last": "bigint",
        "born": "bigint",
        "delivered": "json",
        "own": "json",
        "replaced": "json",
        "kept": "json",
        "row_print": "text",
    },
    key=("record", "local_id"),
)
ENTITY = Bookkeeping(
    "entity",
    {"record": "text", "entity": "text", "version": "bigint", "local_id": "text", "merged_into": "text"}
    | {"named": "text", "brought": "text", "brought_born": "bigint"},
    key=("record", "entity"),
)
POSITION = Bookkeeping(
    "position",
    {"topic": "text", "part": "int", "next_offset": "bigint", "committed_ms": "bigint"},
    key=("topic", "part"),
)
RETRY = Bookkeeping(
    "retry",
    {
        "record": "text",
        "entity": "text",
        "version": "bigint",
        "topic": "text",
        "part": "int",
        "payload": "json",
        "state": "text",
        "code": "text",
        "column_name": "text",
        "waits_for": "text",
        "attempts": "int",
        "next_at_ms": "bigint",
    },
    key=("record", "entity"),
)
OUTBOX = Bookkeeping(
    "outbox",
    {
        "topic": "text",
        "part": "int",
        "entity": "text",
        "version": "bigint",
        "state": "text",
        "code": "text",
        "column_name": "text",
    },
    key=("id",),
    serial="id",
)
STATE = Bookkeeping(
    "state",
    {"one": "int", "epoch": "bigint", "read_seq": "bigint", "cap": "bigint", "snapshot": "json"}
    | {"sent_seq": "bigint", "restored_ms": "bigint", "agency": "text"}
    # Which epoch began because the database was found set back.
    | {"set_back_epoch": "bigint"}
    # When these tables were made: what is older in an inbox, an earlier bookkeeping may have written.
    | {"installed_ms": "bigint"},
    key=("one",),
)
DIRTY = Bookkeeping(
    "dirty",
    {"record": "text", "local_id": "text", "incarnation": "int", "times": "bigint"},
    key=("record", "local_id", "incarnation"),
)

SWEEP = Bookkeeping(
    "sweep",
    {
        "record": "text",
        "form": "text",
        "phase": "text",
        "after": "text",
        "started_ms": "bigint",
        "finished_ms": "bigint",
        "cost": "json",
        "report": "json",
    },
    key=("record",),
)
FINDING = Bookkeeping(
    "finding",
    {
        "record": "text",
        "local_id": "text",
        "kind": "text",
        "fields": "json",
        "state": "text",
        "at_ms": "bigint",
    },
    key=("record", "local_id"),
)
# By which mapping each side last worked, and how far the sink is with what a new one asks for.
MAPPED = Bookkeeping(
    "mapped",
    {"side": "text", "record": "text", "mapping": "json", "former": "json", "progress": "json"},
    key=("side", "record"),
)
# What the agency's staff read: one row for notices alike within an hour.
NOTICE = Bookkeeping(
    "notice",
    {
        "id": "text",
        "first_at": "text",
        "last_at": "text",
        "kind": "text",
        "reason": "text",
        "record": "text",
        "fields": "json",
        "message": "text",
        "times": "bigint",
        "local_ids": "json",
        "at_ms": "bigint",
    },
    key=("id",),
)
# Which notices were counted, and so how far their topic is read.
NOTED = Bookkeeping(
    "noted",
    {"notice_id": "text", "topic": "text", "part": "int", "read_offset": "bigint", "at_ms": "bigint"},
    key=("notice_id",),
)

_PEOPLE = (NOTICE, NOTED)
TABLES = (CHANGES, SHADOW, ENTITY, POSITION, RETRY, OUTBOX, STATE, DIRTY, SWEEP, FINDING, *_PEOPLE, MAPPED)

# Above this many captured rows unread, capture keeps only which rows are dirty (R22): a dead connector
# must not fill the agency's disk. About 1 kB a row.
CAPTURE_CAP = 200_000
