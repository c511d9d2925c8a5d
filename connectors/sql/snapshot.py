"""The first reading of rows that were there before capture: by key, page after page, resumable.

The triggers are installed first, so that a row that changes meanwhile is also captured; which of the two
is sent first does not matter. A page's progress is stored when its changes are acknowledged.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from connectors.sdk import Batch, Change
from connectors.sql import store
from connectors.sql.assemble import snapshot
from connectors.sql.database import Database
from connectors.sql.mapping import Mapping as AgencyMapping
from connectors.sql.rows import Shadow
from connectors.sql.work import Progress, Work
from hub.core import stamps

if TYPE_CHECKING:
    from connectors.sql.source import SqlSource

# Rows of one page: the agency's database also serves people.
PAGE_ROWS = 500


def pending(mapping: AgencyMapping, stored: Mapping[str, Any]) -> dict[str, Progress]:
    """Record types whose snapshot is not done, in the order of the mapping."""
    progress = {record: Progress(**stored.get(record, {})) for record in mapping.records}
    return {record: state for record, state in progress.items() if not state.done}


def read(source: SqlSource, pending_: Mapping[str, Progress], limit: int) -> Batch | None:
    """The next page of the first record type that is not done."""
    for record, progress in pending_.items():
        changes, after = _page(source, record, progress, min(limit, PAGE_ROWS))
        state = Progress(after, done=False) if after is not None else Progress(progress.after, done=True)
        return Batch(changes, Work(snapshot={record: state}))
    return None


def _page(source: SqlSource, record: str, progress: Progress, size: int) -> tuple[list[Change], str | None]:
    table = source.mapping.records[record].main
    rows = source.db.page(table, progress.after, size)
    keys = [key for key, _, _ in rows]
    images: dict[str, dict[int, Any]] = {key: {0: image} for key, image, _ in rows}
    for part in source.mapping.records[record].tables[1:]:
        for key, (image, _) in source.db.rows(part, keys).items():
            images[key][part.part] = image
    shadows = store.shadows(source.db, record, keys)
    clock_ms = source.db.clock_ms()
    changes = []
    for key, _, modified_ms in rows:
        change = row_change(source, record, key, images[key], shadows.get(key), clock_ms, modified_ms)
        if change is not None:
            changes.append(change)
    return changes, keys[-1] if keys else None


def row_change(
    source: SqlSource,
    record: str,
    local_id: str,
    images: Mapping[int, Any],
    shadow: Shadow | None,
    clock_ms: int,
    modified_ms: int | None,
) -> Change | None:
    """What a whole row says, as a snapshot; None where the hub put everything there."""
    shadow = shadow or Shadow(record, local_id)
    if shadow.created_by_hub and not shadow.own and not shadow.kept:
        return None
    converter, published = source.converters[record], source.published.get(record, ())
    values, problems = snapshot(record, local_id, images, shadow, converter, published)
    source.complain(record, problems)
    stamp = max(stamps.capture(clock_ms, shadow.known), shadow.last + 1)
    return Change(
        event_id=source.event_id(record, uuid.uuid4().hex),
        record_type=record,
        local_id=local_id,
        operation="snapshot",
        stamp=stamp,
        incarnation=shadow.incarnation,
        asserted=stamps.LOWEST if modified_ms is None else stamps.at(max(modified_ms, 0)),
        changed=tuple(values),
        values=values,
        entity=shadow.entity,
    )


def save(db: Database, progress: Mapping[str, Progress]) -> None:
    """Store progress, within the caller's transaction."""
    if not progress:
        return
    _, stored = store.state(db)
    for record, state in progress.items():
        stored[record] = {"after": state.after, "done": state.done}
    db.execute(
        "UPDATE {state} SET snapshot = :snapshot", {"snapshot": json.dumps(stored, ensure_ascii=False)}
    )
