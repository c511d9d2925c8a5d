"""What one delivery changes in one local record: columns to write, and what the shadow then says. Pure.

Rules: only what differs is written (R28); a field with a local edit that the hub has not seen is left
alone (R28); what the hub had put there and no longer lists is taken back (R17).
"""

from __future__ import annotations

import datetime
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from connectors.sdk import Delivery
from connectors.sql.assemble import held, plain, prints
from connectors.sql.convert import Converter, Slot, Unmappable
from connectors.sql.database import Column
from connectors.sql.local_values import Image, Local, fingerprint
from connectors.sql.mapping import TableMap
from connectors.sql.replay import Replay
from connectors.sql.rows import Captured, Shadow
from hub.contracts.records import FieldSpec

Images = Mapping[int, Image | None]
_AS_EVER = Replay()
# (code, column) of a value that cannot be written; the record's other fields go on.
Trouble = tuple[str, str]


@dataclass(slots=True)
class RowPlan:
    """What to do with one local record.

    `writes` are local values by part and column. `hub_fields` are the fields written, as the hub sent
    them; `taken_back` those that the hub no longer lists.
    """

    writes: dict[int, dict[str, Local]] = field(default_factory=dict)
    hub_fields: dict[str, Any] = field(default_factory=dict)
    taken_back: set[str] = field(default_factory=set)
    before: dict[str, list[Any]] = field(default_factory=dict)
    own_before: dict[str, Any] = field(default_factory=dict)
    troubles: list[Trouble] = field(default_factory=list)
    pending: bool = False


class Planner:
    """Plans for one record type. `columns` describes the columns of each part's table; `replay` says which
    fields are not written in rows that are there, and which are written by another mapping than before."""

    def __init__(
        self,
        converter: Converter,
        columns: Mapping[int, Mapping[str, Column]],
        replay: Replay = _AS_EVER,
    ) -> None:
        self.converter = converter
        self.columns = columns
        self.replay = replay
        # What is the same for all rows, of which a first load brings thousands a second.
        self._slots = [(slot, tuple(spec.name for spec in slot.fields)) for slot in converter.slots]
        self._new = [(slot, names, self._nulls(slot)) for slot, names in self._slots]

    def pending_slots(self, rows: Collection[Captured]) -> set[Slot]:
        """Slots with a captured edit that is not sent yet."""
        return {
            self.converter.slot_of[spec.name]
            for row in rows
            if row.op in "IUD"
            for slot in self.converter.slots_captured(row.part, row.old, row.new)
            if prints(slot, row.old) != prints(slot, row.new)
            for spec in slot.fields
        }

    def new_row(self, delivery: Delivery) -> RowPlan:
        """The columns of a record that does not exist here yet."""
        plan = RowPlan()
        given, writes, hub_fields = delivery.values, plan.writes, plan.hub_fields
        for slot, names, nulls in self._new:
            values = {name: given[name] for name in names if name in given}
            part = writes.setdefault(slot.part, {})
            if not any(value is not None for value in values.values()):
                # Said all the same where it makes no difference: rows of the same columns go in together.
                part.update(nulls)
                continue
            columns = self._columns(plan, slot, values)
            if columns is not None:
                part.update(columns)
                for name, value in values.items():
                    hub_fields[name] = plain(value)
        return plan

    def _nulls(self, slot: Slot) -> dict[str, Local]:
        """The slot's columns that are null in a new row in which nothing is said of them."""
        known = self.columns.get(slot.part, {})
        return {
            name: None
            for name in slot.columns
            if (column := known.get(name)) is not None
            and column.nullable
            and not (column.has_default or column.generated)
        }

    def existing_row(
        self, delivery: Delivery, shadow: Shadow, images: Images, pending: Collection[Captured]
    ) -> RowPlan:
        """The columns that differ from what the delivery says."""
        plan, waiting = RowPlan(), self.pending_slots(pending)
        withheld, again = self.replay.withheld, self.replay.again
        for slot, names in self._slots:
            if not withheld.isdisjoint(names):
                continue
            if again.isdisjoint(names) and _is_said_again(slot, names, delivery, shadow, images):
                continue
            wanted = self._wanted(slot, delivery, shadow, images)
            if not wanted:
                continue
            if slot in waiting:
                plan.pending = True
                continue
            self._existing(plan, slot, wanted, delivery, shadow, images)
        return plan

    def _wanted(self, slot: Slot, delivery: Delivery, shadow: Shadow, images: Images) -> dict[str, Any]:
        """Field → value, for what the hub lists and for what is to be taken back."""
        wanted = {}
        for spec in slot.fields:
            name = spec.name
            if shadow.own.get(name, 0) > delivery.seen:
                continue
            if listed(delivery, name):
                wanted[name] = delivery.values.get(name)
            elif _is_the_hubs(shadow, name, held(slot, name, images.get(slot.part))):
                wanted[name] = thawed(spec, shadow.kept.get(name))
        return wanted

    def _existing(
        self,
        plan: RowPlan,
        slot: Slot,
        wanted: Mapping[str, Any],
        delivery: Delivery,
        shadow: Shadow,
        images: Images,
    ) -> None:
        image = images.get(slot.part)
        if all(self._unchanged(slot, name, value, image, shadow) for name, value in wanted.items()):
            plan.taken_back |= {name for name in wanted if not listed(delivery, name)}
            return
        current = slot.read(image)
        changed = {
            name: value
            for name, value in wanted.items()
            if not (_says(current[name], value) or self._is_left(name, current[name], shadow, slot, image))
        }
        rest = {n: None if isinstance(v, Unmappable) else v for n, v in current.items()}
        columns = self._columns(plan, slot, {**rest, **changed}) if changed else {}
        if columns is None:
            return
        plan.taken_back |= {name for name in wanted if not listed(delivery, name)}
        plan.writes.setdefault(slot.part, {}).update(columns)
        for name, value in changed.items():
            before = plan.before[name] = held(slot, name, image)
            if listed(delivery, name):
                plan.hub_fields[name] = plain(value)
            if _is_the_hubs(shadow, name, before) or _came_back(shadow, name, before):
                continue
            if not isinstance(current[name], Unmappable):
                plan.own_before[name] = plain(current[name])

    def _is_left(self, name: str, current: Any, shadow: Shadow, slot: Slot, image: Image | None) -> bool:
        """Whether a value is left as it is that people here wrote by a mapping which is no more: that it can
        be read no longer is told, and to write over it by the new mapping would hide it."""
        if name not in self.replay.again or not isinstance(current, Unmappable):
            return False
        return not _is_the_hubs(shadow, name, held(slot, name, image))

    def _unchanged(self, slot: Slot, name: str, value: Any, image: Image | None, shadow: Shadow) -> bool:
        """Whether the columns hold `value` already; cheap, since it is so for nearly all of them."""
        known = name in shadow.delivered and name not in self.replay.again
        if known and _same_as_sent(shadow, name, value, held(slot, name, image)):
            return True
        if len(slot.fields) > 1:
            return False
        try:
            columns = slot.write({name: value})
        except Unmappable:
            return False
        return [fingerprint(columns[c]) for c in slot.columns] == prints(slot, image)

    def _columns(self, plan: RowPlan, slot: Slot, values: Mapping[str, Any]) -> dict[str, Local] | None:
        """Local values by column; None, with the trouble noted, if the columns cannot hold them."""
        known = self.columns.get(slot.part, {})
        try:
            columns = slot.write(values)
            for name, value in columns.items():
                if (column := known.get(name)) is not None:
                    columns[name] = _fitting(slot, column, value)
        except Unmappable as error:
            plan.troubles.append((error.code, error.column))
            return None
        return columns

    def lacking(self, table: TableMap, given: Collection[str]) -> str | None:
        """A column of a new row that must be filled and is not; None if the database can take it."""
        for column in self.columns.get(table.part, {}).values():
            # A part's key is the main row's; that one must be there even where the database does not ask.
            may_lack = table.part > 0 if column.name == table.key else column.nullable
            if not (may_lack or column.has_default or column.generated or column.name in given):
                return column.name
        return None


def _fitting(slot: Slot, column: Column, value: Local) -> Local:
    """What the catalogue already tells: found here, a misfit does not cost the neighbours a retry."""
    if value is None and not column.nullable:
        # `NOT NULL DEFAULT ''` is how many systems write "unknown"; it reads back as that.
        if column.has_default and column.kind in ("text", "array"):
            return [] if column.kind == "array" else ""
        raise Unmappable("not_null", slot.fields[0].name, column.name, "may not be empty")
    if column.max_length is not None and isinstance(value, str) and len(value) > column.max_length:
        message = f"at most {column.max_length} characters"
        raise Unmappable("too_long", slot.fields[0].name, column.name, message)
    return value


def listed(delivery: Delivery, name: str) -> bool:
    """Whether the agency may hold this field from the hub."""
    return delivery.operation == "upsert" and name in delivery.fields


def _is_said_again(
    slot: Slot, names: Sequence[str], delivery: Delivery, shadow: Shadow, images: Images
) -> bool:
    """The usual case, at once: the hub says what it said before, and the row holds what became of that."""
    name = names[0]
    if len(names) > 1 or (before := shadow.delivered.get(name)) is None:
        return False
    return (
        listed(delivery, name)
        and bool(before[0] == plain(delivery.values.get(name)))
        and bool(before[1] == prints(slot, images.get(slot.part)))
    )


def _says(current: Any, value: Any) -> bool:
    if isinstance(current, Unmappable):
        return False
    if isinstance(current, list) or isinstance(value, list):
        return set(current or ()) == set(value or ())
    return bool(current == value)


def _is_the_hubs(shadow: Shadow, name: str, before: list[Any]) -> bool:
    """Whether the row still holds what the hub wrote there."""
    return name in shadow.delivered and bool(shadow.delivered[name][1] == before)


def _came_back(shadow: Shadow, name: str, before: list[Any]) -> bool:
    """Whether a stale form put there again what the hub had replaced (R13): nothing of the agency's own."""
    return name in shadow.replaced and bool(shadow.replaced[name][0] == before)


def _same_as_sent(shadow: Shadow, name: str, value: Any, before: list[Any]) -> bool:
    """Whether the row holds what the database made of this same value when the hub wrote it."""
    return _is_the_hubs(shadow, name, before) and bool(shadow.delivered[name][0] == plain(value))


def thawed(spec: FieldSpec, value: Any) -> Any:
    """A contract value back from JSON."""
    if spec.kind == "date" and isinstance(value, str):
        return datetime.date.fromisoformat(value)
    return value


def settle(
    shadow: Shadow, delivery: Delivery, plan: RowPlan, became: Images, converter: Converter, now_ms: int
) -> None:
    """What the shadow says once the plan is carried out; `became` are the rows as the database made them."""
    shadow.known = max(shadow.known, delivery.stamp)
    for name in plan.taken_back:
        for book in (shadow.delivered, shadow.kept, shadow.replaced):
            book.pop(name, None)
    slot_of, delivered, own = converter.slot_of, shadow.delivered, shadow.own
    for name, value in plan.hub_fields.items():
        if name in delivery.own:
            own[name] = shadow.born or shadow.last
            continue
        slot = slot_of[name]
        delivered[name] = [value, held(slot, name, became.get(slot.part))]
        if own:
            own.pop(name, None)
    for spec in converter.record.references:
        if spec.name in delivered and listed(delivery, spec.name):
            # Also where the row stays as it is: another entity may have come to stand behind the same row.
            delivered[spec.name][2:] = [delivery.values.get(spec.name)]
    for name, before in plan.before.items():
        if name in plan.hub_fields and any(item is not None for item in before):
            shadow.replaced[name] = [before, now_ms]
    for name, mine in plan.own_before.items():
        if name in plan.hub_fields and mine is not None:
            shadow.kept[name] = mine
