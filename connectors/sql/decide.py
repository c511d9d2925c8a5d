"""What is to be done with one delivery, once its row, shadow and queue are known. Pure."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

from connectors.sdk import Delivery
from connectors.sql.local_values import Image, Local
from connectors.sql.mapping import RecordMap
from connectors.sql.plan import Planner, RowPlan
from connectors.sql.retries import REFUSED, WAITING, PutOff
from connectors.sql.row_print import RowPrinter
from connectors.sql.rows import LINK, Captured, EntityRow, Shadow

# What became of a delivery; also the words of the metric.
APPLIED, UNCHANGED, SUPERSEDED, GONE = "applied", "unchanged", "superseded", "gone"


@dataclass(slots=True)
class Step:
    """One delivery on its way: what it finds here, and what is to be done.

    `references` are local ids for its reference fields; `pending` what is captured of its row and not
    sent yet. `decided` is false where something must first be out of the way: then `put_off` says what.
    """

    delivery: Delivery
    entity: EntityRow
    local_id: str | None = None
    shadow: Shadow | None = None
    images: dict[int, Image] = field(default_factory=dict)
    pending: list[Captured] = field(default_factory=list)
    references: dict[str, str] = field(default_factory=dict)
    plan: RowPlan | None = None
    outcome: str = UNCHANGED
    insert: bool = False
    delete: bool = False
    restored: bool = False
    # Whether the row is the one that the entity had brought along into another one.
    takes_back: bool = False
    decided: bool = False
    put_off: PutOff | None = None

    def later(self, state: str, code: str, column: str = "", waits_for: str | None = None) -> None:
        self.put_off = PutOff(self.delivery, state, code, column, waits_for)
        self.outcome = state

    def resolved(self) -> Delivery:
        """The delivery with local ids in its references."""
        if not self.references:
            return self.delivery
        return replace(self.delivery, values={**self.delivery.values, **self.references})

    @property
    def brought(self) -> str | None:
        """The row that the entity brought along into another one, if it is told of by itself again."""
        parted = self.entity.merged_into is not None and self.delivery.operation != "merged"
        return self.entity.brought if parted else None

    def writes(self, part: int) -> dict[str, Local]:
        return self.plan.writes.get(part, {}) if self.plan else {}

    @property
    def is_restored(self) -> bool:
        """Whether the hub has seen the row deleted here, and names it all the same: a person there took the
        deletion back, and the row is to be made again under its own key."""
        shadow, delivery = self.shadow, self.delivery
        if shadow is None or not shadow.deleted or shadow.created_by_hub:
            return False
        return delivery.local_id == shadow.local_id and delivery.seen >= shadow.last

    def belongs(self) -> bool:
        """Whether the row is there and stands for this entity, as far as the hub can know."""
        shadow, delivery = self.shadow, self.delivery
        if not self.images or shadow is None:
            return False
        if shadow.entity == delivery.entity or self.takes_back:
            return True
        return delivery.local_id == shadow.local_id and self._is_of_this_life(shadow)

    def _is_of_this_life(self, shadow: Shadow) -> bool:
        """Whether the hub has this life of the key in mind, and not an earlier one (R14), or one that a
        restored database has forgotten (R24)."""
        life = self.delivery.incarnation
        if life is None or (shadow.entity is None and shadow.incarnation == 0):
            # New bookkeeping counts from the beginning what the hub has counted for long.
            return self.delivery.seen >= shadow.born
        return life == shadow.incarnation


@dataclass(frozen=True)
class Decider:
    """Decides for one record type. `creates`: the agency takes rows that it does not have."""

    map: RecordMap
    planner: Planner
    creates: bool

    @cached_property
    def printer(self) -> RowPrinter:
        return RowPrinter(self.map)

    def decide(self, step: Step) -> None:
        step.decided = True
        operation = step.delivery.operation
        if operation == "merged":
            return
        if step.belongs():
            self._existing(step)
        elif operation == "upsert" and self._may_create(step):
            self._new(step)
        else:
            step.outcome = GONE

    def _existing(self, step: Step) -> None:
        shadow, delivery = step.shadow, step.delivery
        assert shadow is not None
        removes = delivery.operation == "delete" or (
            delivery.operation == "retract" and _is_all_the_hubs(shadow)
        )
        if not removes:
            step.plan = self.planner.existing_row(step.resolved(), shadow, step.images, step.pending)
            if step.plan.pending:
                step.later(WAITING, "local_edit")
        elif any(row.op != LINK for row in step.pending):
            step.later(WAITING, "local_edit")
        else:
            # An edit that the hub has not seen speaks for the record: the hub decides once it has.
            step.delete = max(shadow.own.values(), default=0) <= delivery.seen

    def _may_create(self, step: Step) -> bool:
        if not self.creates or step.images:
            return False
        if step.local_id is None:
            return True
        if step.entity.local_id not in (None, step.local_id):
            # It came back already, in another row of which the hub has not heard yet.
            return False
        # Removed by the hub itself, not by the agency: it may come back (R15).
        if step.shadow is None or not step.shadow.deleted:
            return False
        return step.shadow.created_by_hub or step.is_restored

    def _new(self, step: Step) -> None:
        plan = step.plan = self.planner.new_row(step.resolved())
        main = plan.writes.setdefault(0, {})
        main.update(self.map.main.fixed)
        step.restored = step.is_restored
        if step.restored:
            main[self.map.main.key] = step.local_id
        elif self.map.main.generated == "uuid":
            main[self.map.main.key] = str(uuid.uuid4())
        for table in self.map.tables[1:]:
            if all(value is None for value in plan.writes.get(table.part, {}).values()):
                plan.writes.pop(table.part, None)
        lacking = self._lacking(plan)
        step.insert, step.shadow = lacking is None, None
        if lacking is not None:
            code, column = next(iter(plan.troubles), ("not_null", lacking))
            plan.writes.clear()
            step.later(REFUSED, code, column)

    def _lacking(self, plan: RowPlan) -> str | None:
        """A column without which the database cannot take the row."""
        for table in self.map.tables:
            given = plan.writes.get(table.part)
            if given is not None:
                filled = [column for column, value in given.items() if value is not None]
                if lacking := self.planner.lacking(table, filled):
                    return lacking
        return None


def _is_all_the_hubs(shadow: Shadow) -> bool:
    return shadow.created_by_hub and not shadow.own and not shadow.kept


def by_columns(steps: Sequence[Step], part: int) -> dict[tuple[str, ...], list[Step]]:
    """Steps that write the same columns of a part go into one statement."""
    groups: dict[tuple[str, ...], list[Step]] = {}
    for step in steps:
        groups.setdefault(tuple(sorted(step.writes(part))), []).append(step)
    return groups
