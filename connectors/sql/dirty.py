"""The capped mode: rows of which only is known that they changed, read as they are now (R22).

What a dirty row says now carries the time of reading, and never null, since what it was before is not
known. A row that is gone ends its life.
"""

from __future__ import annotations

import dataclasses
import uuid
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from connectors.sdk import Batch, Change
from connectors.sql import store
from connectors.sql.database import Database
from connectors.sql.rows import Shadow
from connectors.sql.snapshot import row_change
from connectors.sql.work import Work
from hub.core import stamps

if TYPE_CHECKING:
    from connectors.sql.source import SqlSource

_READ = "SELECT record, local_id, incarnation, times FROM {dirty} ORDER BY record, local_id LIMIT :limit"
# Marked again since it was read: stays for another reading.
_FORGET = """
DELETE FROM {dirty} WHERE record = :record AND local_id = :local_id AND incarnation = :incarnation
   AND times = :times
"""


def read(source: SqlSource, limit: int) -> Batch | None:
    """Changes for the next dirty rows; None if there are none."""
    marks = source.db.query(_READ, {"limit": limit})
    if not marks:
        return None
    work, changes = Work(dirty=[tuple(mark) for mark in marks]), []
    for record in dict.fromkeys(mark[0] for mark in marks if mark[0] in source.converters):
        of_record = [mark for mark in marks if mark[0] == record]
        changes += _changes(source, record, of_record, work.gone)
    return Batch(changes, work)


def _changes(
    source: SqlSource, record: str, marks: list[tuple[Any, ...]], gone: list[Change]
) -> list[Change]:
    ids = list(dict.fromkeys(mark[1] for mark in marks))
    clock_ms = source.db.clock_ms()
    shadows = store.shadows(source.db, record, ids)
    images: dict[str, dict[int, Any]] = {}
    for table in source.mapping.records[record].tables:
        for key, (image, _) in source.db.rows(table, ids).items():
            images.setdefault(key, {})[table.part] = image
    changes = []
    for _, local_id, incarnation, _ in marks:
        shadow = shadows.setdefault(local_id, Shadow(record, local_id))
        present = 0 in images.get(local_id, {})
        if 0 <= incarnation < shadow.incarnation:
            changes.append(_end(source, shadow, incarnation, clock_ms))
        elif not present and not shadow.deleted:
            end = _end(source, shadow, shadow.incarnation, clock_ms)
            changes.append(end)
            gone.append(dataclasses.replace(end))
        elif present:
            change = row_change(source, record, local_id, images[local_id], shadow, clock_ms, None)
            if change is not None:
                changes.append(dataclasses.replace(change, operation="update", asserted=None))
        for change in changes[-1:]:
            shadow.last = max(shadow.last, change.stamp)
    return changes


def _end(source: SqlSource, shadow: Shadow, incarnation: int, clock_ms: int) -> Change:
    stamp = max(stamps.capture(clock_ms, shadow.known), shadow.last + 1)
    return Change(
        event_id=source.event_id(shadow.record, uuid.uuid4().hex),
        record_type=shadow.record,
        local_id=shadow.local_id,
        operation="delete",
        stamp=stamp,
        incarnation=incarnation,
        entity=shadow.entity,
    )


def ended(shadow: Shadow, change: Change) -> None:
    """A life whose end no trigger could note."""
    if shadow.incarnation == change.incarnation and not shadow.deleted:
        shadow.incarnation += 1
        shadow.deleted = True


def forget_prints(
    record: str, marks: Iterable[tuple[str, str, int, int]], shadows: Mapping[str, Shadow]
) -> None:
    """What a dirty row looked like before is not known: the next sweep looks at it anew (R30)."""
    for kind, local_id, _, _ in marks:
        if kind == record and local_id in shadows:
            shadows[local_id].row_print = None


def forget(db: Database, marks: Iterable[tuple[str, str, int, int]]) -> None:
    """Remove marks that were read, within the caller's transaction."""
    for record, local_id, incarnation, times in marks:
        mark = {"record": record, "local_id": local_id, "incarnation": incarnation, "times": times}
        db.execute(_FORGET, mark)
