"""The first reading of rows that were there before capture: by key, page after page, resumable.

The triggers are installed first, so that a row that changes meanwhile is also captured; which of the two
is sent first does not matter. A page's progress is stored when its changes are acknowledged.
"""

from __future__ import annotations

import dataclasses
import json
import uuid
from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING, Any

from connectors.sdk import Batch, Change
from connectors.sql import row_print, store
from connectors.sql.assemble import snapshot
from connectors.sql.convert import Converter, Unmappable
from connectors.sql.database import Database
from connectors.sql.mapping import Mapping as AgencyMapping
from connectors.sql.mapping import RecordMap
from connectors.sql.rows import Shadow
from connectors.sql.work import Progress, Work
from hub.core import stamps
from hub.core.epochs import FIRST

if TYPE_CHECKING:
    from connectors.sql.source import SqlSource

# The latest moment of which there is a stamp: databases know years beyond.
_LATEST_MS = stamps.milliseconds(2**63 - 1)
# Rows of one page: the agency's database also serves people.
PAGE_ROWS = 500


def pending(mapping: AgencyMapping, stored: Mapping[str, Any]) -> dict[str, Progress]:
    """Record types whose snapshot is not done, in the order of the mapping."""
    progress = {record: progress_of(stored.get(record, {})) for record in mapping.records}
    return {record: state for record, state in progress.items() if not state.done}


def progress_of(stored: Mapping[str, Any]) -> Progress:
    """As `save` stores it."""
    fields = tuple(stored.get("fields") or ())
    return Progress(stored.get("after"), bool(stored.get("done", False)), fields)


def again(stored: Mapping[str, Any], fields: Collection[str]) -> Progress:
    """Progress that begins anew, to read `fields` beside what was still to be read."""
    before = progress_of(stored)
    if not before.done and not before.fields:
        return Progress()
    pending_ = () if before.done else before.fields
    return Progress(fields=tuple(sorted({*pending_, *fields})))


def read(source: SqlSource, pending_: Mapping[str, Progress], limit: int) -> Batch | None:
    """The next page of the first record type that is not done."""
    for record, progress in pending_.items():
        work = Work()
        with source.db.one_moment():
            changes, after = _page(source, record, progress, min(limit, PAGE_ROWS), work)
        ended = Progress(progress.after, done=True)
        state = Progress(after, done=False, fields=progress.fields) if after is not None else ended
        work.snapshot = {record: state}
        return Batch(changes, work)
    return None


def _page(
    source: SqlSource, record: str, progress: Progress, size: int, work: Work
) -> tuple[list[Change], str | None]:
    images, modified = read_page(source.db, source.mapping.records[record], progress.after, size)
    after = next(reversed(images), None)
    if source.number > FIRST:
        # A life that has just begun is said with its number in this epoch, once the queue is read: until then
        # it would be taken for another one, which the restored database has forgotten (R24).
        for local_id in store.beginning(source.db, record, list(images)):
            del images[local_id]
    shadows = store.shadows(source.db, record, list(images))
    clock_ms, of = source.db.clock_ms(), source.printers[record].of
    work.seen[record] = {
        key: (of(image), shadows.get(key) or Shadow(record, key)) for key, image in images.items()
    }
    changes = []
    for key, image in images.items():
        shadow = shadows.get(key)
        if progress.fields:
            changes += fields_said(
                source, record, key, image, shadow, clock_ms, modified[key], progress.fields
            )
        elif change := row_change(source, record, key, image, shadow, clock_ms, modified[key]):
            changes.append(change)
        elif shadow is not None and source.number > FIRST:
            # That a row which the hub had put here is still there: what is not said is lost (R24).
            change = _saying(source, shadow, _stamp(shadow, clock_ms), stamps.LOWEST)
            changes.append(dataclasses.replace(change, operation="link", asserted=None))
    return changes, after


def read_page(
    db: Database, record: RecordMap, after: str | None, size: int
) -> tuple[dict[str, dict[int, Any]], dict[str, int | None]]:
    """The rows of all tables of the next `size` records beyond the key `after`, by key and part, in the order
    of the key; and when each was modified (Unix ms)."""
    rows = db.page(record.main, after, size)
    images: dict[str, dict[int, Any]] = {key: {0: image} for key, image, _ in rows}
    for part in record.tables[1:]:
        for key, (image, _) in db.rows(part, list(images)).items():
            images[key][part.part] = image
    return images, {key: modified_ms for key, _, modified_ms in rows}


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
    change, problems = row_said(source, record, local_id, images, shadow, clock_ms, modified_ms)
    source.complain(record, problems)
    return change


def row_said(
    source: SqlSource,
    record: str,
    local_id: str,
    images: Mapping[int, Any],
    shadow: Shadow | None,
    clock_ms: int,
    modified_ms: int | None,
) -> tuple[Change | None, Mapping[str, Unmappable]]:
    """`row_change`, with the values that could not be said instead of a complaint about them."""
    shadow = shadow or Shadow(record, local_id)
    if shadow.created_by_hub and not shadow.own and not shadow.kept:
        return None, {}
    converter, published = source.converters[record], source.published.get(record, ())
    values, problems = snapshot(record, local_id, images, shadow, converter, published)
    change = _saying(source, shadow, _stamp(shadow, clock_ms), _age(modified_ms))
    change.changed, change.values = tuple(values), values
    return change, problems


def _saying(source: SqlSource, shadow: Shadow, stamp: int, asserted: int) -> Change:
    """A snapshot's change of a row, made at `stamp`, that says nothing yet; its values are as old as
    `asserted`."""
    return Change(
        event_id=source.event_id(shadow.record, uuid.uuid4().hex),
        record_type=shadow.record,
        local_id=shadow.local_id,
        operation="snapshot",
        stamp=stamp,
        incarnation=shadow.incarnation,
        asserted=asserted,
        entity=shadow.entity,
    )


def _stamp(shadow: Shadow, clock_ms: int) -> int:
    return max(stamps.capture(clock_ms, shadow.known), shadow.last + 1)


def _age(modified_ms: int | None) -> int:
    """As what the values of a row last modified then rank; unknown age loses to everything dated (R11)."""
    return stamps.LOWEST if modified_ms is None else stamps.at(min(max(modified_ms, 0), _LATEST_MS))


def fields_said(
    source: SqlSource,
    record: str,
    local_id: str,
    images: Mapping[int, Any],
    shadow: Shadow | None,
    clock_ms: int,
    modified_ms: int | None,
    fields: Collection[str],
) -> list[Change]:
    """What a row says of fields that the mapping reads otherwise by now, or for the first time; never null.

    What was said by the former mapping is as old as it was: it only means something else. So the new meaning
    comes right after the old one, and still loses to whatever was said later elsewhere. What cannot be read
    any more is told, and nothing is said of it.
    """
    shadow = shadow or Shadow(record, local_id)
    converter, published = source.converters[record], source.published.get(record, ())
    values, problems = snapshot(record, local_id, images, shadow, converter, published)
    source.complain(record, {name: problem for name, problem in problems.items() if name in fields})
    of_the_row, stamp = _age(modified_ms), _stamp(shadow, clock_ms)
    by_age: dict[int, Change] = {}
    for name in fields:
        if name not in values:
            continue
        value, was = values[name], former_value(converter, name, images)
        asserted, removed = of_the_row, []
        if was and name in shadow.own:
            if was == value:
                continue
            asserted = shadow.own[name] + 1
            removed = sorted(set(was) - set(value)) if isinstance(value, list) else []
        change = by_age.get(asserted)
        if change is None:
            change = by_age[asserted] = _saying(source, shadow, stamp + len(by_age), asserted)
        change.changed = (*change.changed, name)
        change.values[name] = value
        if removed:
            change.removed[name] = removed
    return list(by_age.values())


def former_value(converter: Converter, name: str, images: Mapping[int, Any]) -> Any:
    """What the latest former mapping reads in a row as it is; None where it reads nothing, or in columns that
    are not read any more."""
    slot = converter.former[0].slot_of.get(name) if converter.former else None
    image = images.get(slot.part) if slot else None
    if slot is None or image is None or not image.keys() >= set(slot.columns):
        return None
    value = slot.read(image)[name]
    return None if isinstance(value, Unmappable) else value


def note_prints(
    db: Database,
    record: str,
    seen: Mapping[str, tuple[int, Shadow]],
    shadows: Mapping[str, Shadow],
) -> None:
    """Keep what the rows of a page looked like, where nothing has happened to them since (R30).

    The source alone empties the queue, and the sink tells the shadow of all that it writes: a row of which
    nothing is captured, and whose shadow is as it was, is as it was. The others are left to a sweep.
    """
    if not seen:
        return
    busy = store.busy(db, record, list(seen))
    for local_id, (number, shadow) in seen.items():
        if local_id in shadows and local_id not in busy and shadows[local_id] == shadow:
            shadows[local_id].row_print = row_print.written(number)


def save(db: Database, progress: Mapping[str, Progress]) -> None:
    """Store progress, within the caller's transaction."""
    if not progress:
        return
    _, stored = store.state(db)
    for record, state in progress.items():
        stored[record] = {"after": state.after, "done": state.done}
        if state.fields:
            stored[record]["fields"] = list(state.fields)
    db.execute(
        "UPDATE {state} SET snapshot = :snapshot", {"snapshot": json.dumps(stored, ensure_ascii=False)}
    )
