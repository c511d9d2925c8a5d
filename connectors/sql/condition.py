"""How an agency's side is: what `jisr connector status` tells, as JSON, and as lines for a person."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

from connectors.sql import store
from connectors.sql.database import Database

_COUNTS = """
SELECT (SELECT count(*) FROM {changes}), (SELECT count(*) FROM {dirty}), (SELECT count(*) FROM {shadow})
"""
_RESTORED = "SELECT restored_ms FROM {state} WHERE restored_ms > 0"
_POSITIONS = "SELECT topic, part, next_offset FROM {position} ORDER BY topic, part"
_SWEEPS = "SELECT record, phase, after, finished_ms, cost, report FROM {sweep} ORDER BY record"
_STANDING = """
SELECT record, kind, state, count(*) FROM {finding} GROUP BY record, kind, state ORDER BY record, kind, state
"""
_PUT_OFF = """
SELECT record, state, code, column_name, count(*)
  FROM {retry} GROUP BY record, state, code, column_name ORDER BY record, state, code, column_name
"""


def condition(db: Database) -> dict[str, Any]:
    """What is known in an agency's bookkeeping of its connector, as JSON has it.

    Moments are milliseconds since 1970 (UTC), `null` where there was none; `after` is the key of the last row
    that was read. Sweeps that are `under_way` tell what they have read so far; `last` is the one that ended.
    """
    epoch, snapshots = store.state(db)
    queue, marked, known = db.query(_COUNTS)[0]
    restored = [ms for (ms,) in db.query(_RESTORED)]
    return {
        "epoch": epoch,
        "records_known": known,
        "queue": {"rows": queue, "marked": marked},
        "restored_ms": restored[0] if restored else None,
        "snapshots": [
            {
                "record_type": record,
                "done": bool(progress["done"]),
                "after": progress["after"],
                "fields": list(progress.get("fields") or ()),
            }
            for record, progress in snapshots.items()
        ],
        "positions": [
            {"topic": topic, "partition": part, "next_offset": offset}
            for topic, part, offset in db.query(_POSITIONS)
        ],
        "sweeps": [
            {
                "record_type": record,
                "under_way": None if phase == "done" else {"after": after, "rows": cost["cost"]["rows"]},
                "last": {"finished_ms": finished_ms, "cost": _cost(report["cost"])} if finished_ms else None,
            }
            for record, phase, after, finished_ms, cost, report in db.query(_SWEEPS)
        ],
        "findings": [
            {"record_type": record, "kind": kind, "state": state, "rows": count}
            for record, kind, state, count in db.query(_STANDING)
        ],
        "deliveries": [
            {"record_type": record, "state": state, "code": code, "column": column, "count": count}
            for record, state, code, column, count in db.query(_PUT_OFF)
        ],
    }


def _cost(kept: dict[str, Any]) -> dict[str, float]:
    """PostgreSQL's driver reads a JSON number with a fraction as a decimal."""
    return {
        **{name: int(kept[name]) for name in ("rows", "keys", "bytes")},
        "seconds": float(kept["seconds"]),
    }


def lines(told: dict[str, Any]) -> Iterator[str]:
    """What `condition` tells, for a person."""
    queue = told["queue"]
    yield (
        f"captured and not sent: {queue['rows']} rows, and {queue['marked']} rows of which only is known "
        "that they changed"
    )
    yield f"records known: {told['records_known']}; epoch {told['epoch']}"
    if told["restored_ms"] is not None:
        yield (
            f"the database was found set back to an earlier state at {_moment(told['restored_ms'])}; "
            "all rows were to be read again from then on"
        )
    for one in told["snapshots"]:
        done = "done" if one["done"] else f"read up to {one['after']}"
        again = f" again, for {', '.join(one['fields'])}" if one["fields"] else ""
        yield f"snapshot of {one['record_type']}{again}: {done}"
    for one in told["positions"]:
        yield f"{one['topic']}[{one['partition']}]: read up to {one['next_offset']}"
    for one in told["sweeps"]:
        yield from _sweep(one)
    for one in told["findings"]:
        yield f"{one['record_type']}: {one['rows']} rows {one['kind']} behind the triggers: {one['state']}"
    for one in told["deliveries"]:
        where = f" ({one['column']})" if one["column"] else ""
        yield f"{one['record_type']}: {one['count']} deliveries {one['state']}: {one['code']}{where}"


def _sweep(one: dict[str, Any]) -> Iterator[str]:
    """When the rows were last compared, and at what cost (R30)."""
    if (now := one["under_way"]) is not None:
        yield f"sweep of {one['record_type']}: under way, {now['rows']} rows read, up to {now['after']}"
    if (last := one["last"]) is not None:
        spent = last["cost"]
        yield (
            f"sweep of {one['record_type']}: ended {_moment(last['finished_ms'])}; {spent['rows']} rows and "
            f"{spent['keys']} keys read, {spent['bytes']} bytes, {spent['seconds']:.2f} s in the "
            "database"
        )


def _moment(ms: int) -> str:
    return time.strftime("%Y-%m-%d %H:%M:%SZ", time.gmtime(ms / 1000))
