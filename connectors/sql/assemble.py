"""From captured rows to what they assert: grouping (R22), stamps (R10) and masks (R11, R12, R13). Pure."""

from __future__ import annotations

import datetime
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from connectors.sdk import Change
from connectors.sql.convert import Converter, Slot, Unmappable
from connectors.sql.local_values import Image, fingerprint
from connectors.sql.mapping import JoinMap
from connectors.sql.rows import DELETE, INSERT, LINK, TRUNCATE, UNLINK, Captured, Shadow
from hub.core import stamps

# How long a form that was opened before the hub's write may still come back as it was (R13).
STALE_WINDOW_MS = 15 * 60 * 1000

# Characters of an actor's name; the hub takes no more.
MOST_ACTOR = 200

# What the sink did to a whole record, and the hub is to be told.
_BY_SINK = {LINK: "link", UNLINK: "unlink"}


@dataclass(slots=True)
class Edit:
    """What one transaction did to one local record: the rows of all its tables, first old to last new."""

    record: str
    local_id: str
    txid: int
    incarnation: int
    first_seq: int
    operation: str = "update"
    known: int = 0
    clock_ms: int = 0
    old: dict[int, Image | None] = field(default_factory=dict)
    new: dict[int, Image | None] = field(default_factory=dict)
    entity: str | None = None
    actor: str | None = None

    def add(self, row: Captured) -> None:
        self.known = max(self.known, row.known)
        self.clock_ms = max(self.clock_ms, row.clock_ms)
        self.old.setdefault(row.part, row.old)
        self.new[row.part] = row.new
        if row.part == 0 and row.op in (INSERT, DELETE):
            self.operation = "insert" if row.op == INSERT else "delete"
            self.incarnation = row.incarnation


def group(rows: Iterable[Captured]) -> list[Edit]:
    """Edits in the order of their first row; rows of a truncated table are left out.

    A delete ends an edit, so that a key used again in the same transaction is a second one (R14). Rows
    of a part that come before the main row's insert belong to that insert. What different actors did are
    different edits: each can be taken back without the other's.
    """
    edits: list[Edit] = []
    latest: dict[tuple[str, str], Edit] = {}
    for row in rows:
        if row.op == TRUNCATE:
            continue
        key = (row.record, row.local_id)
        edit = latest.get(key)
        if edit is None or not _continues(edit, row):
            edit = Edit(row.record, row.local_id, row.txid, row.incarnation, row.seq, actor=row.actor)
            edits.append(edit)
            latest[key] = edit
        if row.op in _BY_SINK:
            edit.operation, edit.entity = _BY_SINK[row.op], str((row.new or {})["entity"])
            edit.known, edit.clock_ms = row.known, row.clock_ms
        elif edit.operation != "delete" or row.part == 0:
            edit.add(row)
    return edits


def _continues(edit: Edit, row: Captured) -> bool:
    if row.txid != edit.txid or row.op in _BY_SINK or edit.operation in _BY_SINK.values():
        return False
    if edit.operation == "delete":
        # Parts that vanish with their record are its; a new main row, or a part that appears, begins the
        # key's next life.
        return row.part > 0 and row.op != INSERT
    # A part whose table names nobody goes with its record.
    return row.actor == edit.actor or (row.part > 0 and row.actor is None)


@dataclass(slots=True)
class Assembled:
    """The outcome for one edit: the change to send, if any, and the values that could not be said."""

    change: Change | None
    problems: dict[str, Unmappable] = field(default_factory=dict)


def assemble(
    edit: Edit,
    shadow: Shadow | None,
    converter: Converter,
    published: Collection[str],
    event_id: Callable[[str, int], str],
) -> Assembled:
    """The change that `edit` amounts to; none where nothing that may be said has changed."""
    shadow = shadow or Shadow(edit.record, edit.local_id)
    # Two edits within one millisecond, or under a clock that was set back, keep their order.
    stamp = max(stamps.capture(edit.clock_ms, edit.known), shadow.last + 1)
    change = Change(
        event_id=event_id(edit.record, edit.first_seq),
        record_type=edit.record,
        local_id=edit.local_id,
        operation=edit.operation,
        stamp=stamp,
        incarnation=edit.incarnation,
        entity=edit.entity or shadow.entity,
        actor=_account(edit.actor),
    )
    if edit.operation in ("link", "unlink", "delete"):
        return Assembled(change)
    result = Assembled(change)
    same_life = shadow.incarnation == edit.incarnation
    for part, new in edit.new.items():
        old = edit.old[part]
        moved = _moved(old, new)
        for slot in converter.slots_captured(part, old, new):
            if not moved.isdisjoint(slot.columns):
                _compare(edit, slot, old, new, shadow if same_life else None, published, result)
    if edit.operation == "update" and not change.changed and not change.stale:
        result.change = None
    return result


def _moved(old: Image | None, new: Image | None) -> set[str]:
    """The columns that are not to the letter what they were: most edits touch few of them."""
    before, after = old or {}, new or {}
    return {column for column in before.keys() | after.keys() if before.get(column) != after.get(column)}


def _account(actor: str | None) -> str | None:
    """As the hub takes it: whatever stands there must not keep the change itself from being read."""
    text = "".join(filter(str.isprintable, actor or "")).strip()
    return text[:MOST_ACTOR] or None


def _compare(
    edit: Edit,
    slot: Slot,
    old: Image | None,
    new: Image | None,
    shadow: Shadow | None,
    published: Collection[str],
    result: Assembled,
) -> None:
    if prints(slot, old) == prints(slot, new):
        return
    change = result.change
    assert change is not None
    was, now = slot.read(old), slot.read(new)
    for spec in slot.fields:
        name, value = spec.name, now[spec.name]
        if name not in published:
            # Not the agency's to say, so no value leaves; but the hub's own value was written over, and
            # without a word it would stay so: the hub answers with it (R19).
            if edit.operation == "update" and _overwrites(shadow, name, held(slot, name, new)):
                change.changed = (*change.changed, name)
            continue
        if isinstance(value, Unmappable):
            result.problems[name] = value
        elif spec.kind == "strings":
            _assert_elements(change, name, was[name], value)
        elif _differs(edit, was[name], value) and not _echo(shadow, slot, name, value, new):
            if edit.operation == "update" and _stale(shadow, name, held(slot, name, new), edit.clock_ms):
                change.stale = (*change.stale, name)
            else:
                change.changed = (*change.changed, name)
            change.values[name] = value


def prints(slot: Slot, image: Image | None) -> list[Any]:
    """A slot's columns as they stand in a row, comparable."""
    if not image:
        return [None] * len(slot.columns)
    return [fingerprint(image.get(column)) for column in slot.columns]


def held(slot: Slot, name: str, image: Image | None) -> list[Any]:
    """What a row holds of one field, comparable: its columns, or its share of a column with others."""
    if not isinstance(slot.map, JoinMap):
        return prints(slot, image)
    value = slot.read(image)[name]
    return prints(slot, image) if isinstance(value, Unmappable) else [value]


def _differs(edit: Edit, was: Any, value: Any) -> bool:
    if edit.operation == "insert":
        return value is not None
    # What could not be read before and can be now was changed to it.
    return isinstance(was, Unmappable) or bool(was != value)


def _assert_elements(change: Change, name: str, was: Any, now: Any) -> None:
    before = set() if isinstance(was, Unmappable) else set(was or ())
    after = set(now or ())
    if before == after:
        return
    change.changed = (*change.changed, name)
    change.values[name] = sorted(after - before)
    if before - after:
        change.removed[name] = sorted(before - after)


def _echo(shadow: Shadow | None, slot: Slot, name: str, value: Any, image: Image | None) -> bool:
    """Whether this is the value that the hub delivered, which nobody here has contradicted since."""
    if shadow is None or name in shadow.own or name not in shadow.delivered:
        return False
    sent, became = shadow.delivered[name][:2]
    return bool(became == held(slot, name, image)) or bool(sent == plain(value))


def _overwrites(shadow: Shadow | None, name: str, after: list[Any]) -> bool:
    """Whether the row no longer holds what the hub delivered."""
    return shadow is not None and name in shadow.delivered and bool(shadow.delivered[name][1] != after)


def plain(value: Any) -> Any:
    """A contract value as JSON keeps it."""
    return value.isoformat() if isinstance(value, datetime.date) else value


def _stale(shadow: Shadow | None, name: str, after: list[Any], clock_ms: int) -> bool:
    if shadow is None or name not in shadow.replaced:
        return False
    value, at_ms = shadow.replaced[name]
    return bool(value == after) and clock_ms - at_ms <= STALE_WINDOW_MS


def noted(shadow: Shadow, change: Change) -> None:
    """What the shadow knows once `change` is sent."""
    shadow.last = max(shadow.last, change.stamp)
    if change.incarnation != shadow.incarnation:
        return
    if change.operation == "insert":
        shadow.born = change.stamp
    for name in (*change.changed, *change.stale):
        shadow.own[name] = change.stamp
        shadow.delivered.pop(name, None)
    # What a stale form put back is nobody's word: what the agency said itself is still to be given back.
    for name in change.changed:
        shadow.kept.pop(name, None)
        shadow.replaced.pop(name, None)


def snapshot(
    record: str,
    local_id: str,
    images: Mapping[int, Image | None],
    shadow: Shadow | None,
    converter: Converter,
    published: Collection[str],
) -> tuple[dict[str, Any], dict[str, Unmappable]]:
    """(values, problems) of a whole row: what it holds and the hub did not put there; never null (R11)."""
    shadow = shadow or Shadow(record, local_id)
    values: dict[str, Any] = {}
    problems: dict[str, Unmappable] = {}
    for part, image in images.items():
        for slot in converter.slots_in(part):
            for name, value in slot.read(image).items():
                if name not in published or value is None or value == []:
                    continue
                if isinstance(value, Unmappable):
                    problems[name] = value
                elif not _echo(shadow, slot, name, value, image):
                    values[name] = value
    return values, problems
