"""One short transaction of the sink: up to some hundred deliveries of one record type (R28).

Everything is read by sets, decided in memory (`plan`), and written by sets. The order of the reads
matters: rows are locked first, then the queue is read, then the shadows. The source deletes from the
queue and tells the shadow in one transaction, so a local edit is seen in the one or in the other.
"""

from __future__ import annotations

import uuid
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from connectors.sdk import Delivery
from connectors.sql import retries, store
from connectors.sql.convert import Image, Local
from connectors.sql.database import Database, Refusal
from connectors.sql.mapping import RecordMap, TableMap
from connectors.sql.plan import Planner, RowPlan, settle
from connectors.sql.retries import REFUSED, WAITING, PutOff
from connectors.sql.rows import DELETE, INSERT, LINK, UNLINK, Captured, EntityRow, Shadow
from connectors.sql.tables import CHANGES

# What became of a delivery; also the words of the metric.
APPLIED, UNCHANGED, SUPERSEDED, GONE = "applied", "unchanged", "superseded", "gone"


@dataclass(slots=True)
class Step:
    """One delivery on its way: what it finds here, and what is to be done."""

    delivery: Delivery
    entity: EntityRow
    local_id: str | None = None
    shadow: Shadow | None = None
    images: dict[int, Image] = field(default_factory=dict)
    plan: RowPlan | None = None
    outcome: str = UNCHANGED
    insert: bool = False
    delete: bool = False
    decided: bool = False
    put_off: PutOff | None = None

    def later(self, state: str, code: str, column: str = "", waits_for: str | None = None) -> None:
        self.put_off = PutOff(self.delivery, state, code, column, waits_for)
        self.outcome = state


@dataclass
class Chunk:
    """Applies deliveries of one record type, within the caller's transaction."""

    db: Database
    map: RecordMap
    planner: Planner
    creates: bool
    now_ms: int = 0
    # Whether the hub is to be told something besides positions.
    news: bool = False
    _pending: dict[str, list[Captured]] = field(default_factory=dict)

    @property
    def record(self) -> str:
        return self.map.record_type

    def apply(self, deliveries: Sequence[Delivery], retried: Collection[str]) -> list[Step]:
        """What became of each delivery. `retried` are entities whose delivery was put off before."""
        self.now_ms = self.db.clock_ms()
        names = [delivery.entity for delivery in deliveries]
        known = store.entities(self.db, self.record, names)
        before = retries.prior(self.db, self.record, names)
        steps = [Step(d, known.get(d.entity) or EntityRow(self.record, d.entity)) for d in deliveries]
        live = [step for step in steps if self._is_news(step, retried)]
        self._resolve([step for step in live if step.delivery.operation == "upsert"])
        self._find([step for step in live if step.put_off is None])
        for step in live:
            if step.put_off is None:
                self._decide(step)
        self._carry_out(live)
        self._record(live, before)
        return steps

    def _is_news(self, step: Step, retried: Collection[str]) -> bool:
        ahead = step.delivery.version - step.entity.version
        if ahead > 0 or (ahead == 0 and step.delivery.entity in retried):
            return True
        step.outcome = SUPERSEDED
        return False

    # -- finding ---------------------------------------------------------------------------------

    def _resolve(self, steps: Sequence[Step]) -> None:
        """Put local ids for references; a delivery waits for what is not here yet (R20)."""
        specs = [s for s in self.planner.converter.record.references if s.name in self.map.field_names]
        for spec in specs:
            targets = {s.delivery.values.get(spec.name) for s in steps if spec.name in s.delivery.fields}
            found = store.resolve(self.db, spec.reference or "", sorted(filter(None, targets)))
            for step in steps:
                target = step.delivery.values.get(spec.name)
                if spec.name not in step.delivery.fields or target is None or step.put_off is not None:
                    continue
                if target not in found:
                    column = self.planner.converter.slot_of[spec.name].columns[0]
                    step.later(WAITING, "missing_reference", column, target)
                else:
                    step.plan = step.plan or RowPlan()
                    step.plan.references[spec.name] = found[target]

    def _find(self, steps: Sequence[Step]) -> None:
        for step in steps:
            step.local_id = step.delivery.local_id or step.entity.local_id
        ids = sorted({step.local_id for step in steps if step.local_id is not None})
        if not ids:
            return
        images, elsewhere = self.db.lock_rows(self.map.main, ids, whole=len(self.map.tables) > 1)
        parts = {table.part: self.db.part_rows(table, list(images)) for table in self.map.tables[1:]}
        params = {"record": self.record, "ids": ids}
        pending: dict[str, list[Captured]] = {}
        for row in store.captured(self.db.query(store.PENDING, params)):
            pending.setdefault(row.local_id, []).append(row)
        dirty = {row[0] for row in self.db.query(store.PENDING_DIRTY, params)}
        shadows = store.locked_shadows(self.db, self.record, sorted(images))
        shadows |= store.shadows(self.db, self.record, [i for i in ids if i not in images])
        taken: set[str] = set()
        for step in steps:
            local_id = step.local_id
            if local_id is None:
                continue
            if local_id in taken:
                # Two entities mean the same row, as during a merge: one after the other.
                step.later(WAITING, "locked")
            taken.add(local_id)
            step.shadow = shadows.get(local_id)
            if local_id in images:
                step.images = {0: images[local_id]}
                step.images |= {part: rows[local_id] for part, rows in parts.items() if local_id in rows}
            if local_id in elsewhere:
                step.later(WAITING, "locked")
            elif local_id in dirty or any(
                r.op in (INSERT, DELETE, UNLINK) and not r.part for r in pending.get(local_id, ())
            ):
                step.later(WAITING, "local_edit")
            self._pending[local_id] = pending.get(local_id, [])

    # -- deciding --------------------------------------------------------------------------------

    def _decide(self, step: Step) -> None:
        step.decided = True
        if step.delivery.operation == "merged":
            return
        if not self._belongs(step):
            if step.delivery.operation == "upsert" and self._may_create(step):
                self._decide_insert(step)
            else:
                step.outcome = GONE
            return
        shadow, delivery = step.shadow, step.delivery
        assert shadow is not None
        pending = self._pending.get(shadow.local_id, [])
        if delivery.operation == "upsert" or (
            delivery.operation == "retract" and not self._is_all_the_hubs(shadow)
        ):
            references = step.plan.references if step.plan else {}
            resolved = replace(delivery, values={**delivery.values, **references})
            step.plan = self.planner.existing_row(resolved, shadow, step.images, pending)
            if step.plan.pending:
                step.later(WAITING, "local_edit")
        elif any(row.op != LINK for row in pending):
            step.later(WAITING, "local_edit")
        elif max(shadow.own.values(), default=0) <= delivery.seen:
            step.delete = True

    def _belongs(self, step: Step) -> bool:
        """Whether the row is there and stands for this entity, as far as the hub can know."""
        shadow, delivery = step.shadow, step.delivery
        if not step.images or shadow is None:
            return False
        if shadow.entity != delivery.entity and delivery.local_id != shadow.local_id:
            return False  # The key was used again, by another record (R14).
        # The hub has not heard of this life of the key yet: it means the one before.
        return delivery.seen >= shadow.born

    @staticmethod
    def _is_all_the_hubs(shadow: Shadow) -> bool:
        return shadow.created_by_hub and not shadow.own and not shadow.kept

    def _may_create(self, step: Step) -> bool:
        if not self.creates or step.images:
            return False
        if step.local_id is None:
            return True
        # Deleted by the hub itself, not by the agency: it may come back.
        return step.shadow is not None and step.shadow.deleted and step.shadow.created_by_hub

    def _decide_insert(self, step: Step) -> None:
        references = step.plan.references if step.plan else {}
        resolved = replace(step.delivery, values={**step.delivery.values, **references})
        step.plan, step.insert, step.shadow = self.planner.new_row(resolved), True, None
        step.plan.writes.setdefault(0, {}).update(self.map.main.fixed)
        if self.map.main.generated == "uuid":
            step.plan.writes[0][self.map.main.key] = str(uuid.uuid4())
        for table in self.map.tables:
            if table.part and not any(v is not None for v in step.plan.writes.get(table.part, {}).values()):
                step.plan.writes.pop(table.part, None)
                continue
            given = {c for c, v in step.plan.writes.get(table.part, {}).items() if v is not None}
            lacking = self.planner.lacking(table, given)
            if lacking:
                step.insert = False
                code, column = next(iter(step.plan.troubles), ("not_null", lacking))
                step.later(REFUSED, code, column)
                return

    # -- carrying out ----------------------------------------------------------------------------

    def _carry_out(self, steps: Sequence[Step]) -> None:
        self._delete([step for step in steps if step.delete])
        self._insert([step for step in steps if step.insert])
        self._update([s for s in steps if s.plan is not None and s.plan.writes and not s.insert and s.shadow])
        for step in steps:
            if step.plan is not None and step.shadow is not None and not step.delete:
                if step.plan.writes:
                    step.outcome = APPLIED
                converter = self.planner.converter
                settle(step.shadow, step.delivery, step.plan, step.images, converter, self.now_ms)

    def _delete(self, steps: Sequence[Step]) -> None:
        if not steps:
            return
        keys = [step.local_id for step in steps if step.local_id is not None]
        for table in reversed(self.map.tables):
            self.db.delete_rows(table, keys)
        # The hub knows this local record as one that lives: it is told, by the queue, that it ended, and
        # that nobody at the agency deleted it.
        self.db.append(CHANGES, [self._queue_row(step, UNLINK) for step in steps])
        for step in steps:
            shadow = step.shadow
            assert shadow is not None
            step.shadow = Shadow(
                self.record,
                shadow.local_id,
                None,
                shadow.incarnation + 1,
                True,
                True,
                shadow.known,
                shadow.last,
            )
            step.local_id, step.outcome = None, APPLIED

    def _insert(self, steps: Sequence[Step]) -> None:
        main = self.map.main
        for columns, group in _by_columns((step, 0) for step in steps).items():
            rows = [[_writes(step, 0)[column] for column in columns] for step in group]
            for step, row in zip(group, self.db.insert_rows(main, columns, rows), strict=True):
                if not row.key:
                    raise Refusal("check")
                step.local_id, step.images[0] = row.key, row.image
        taken = store.shadows(self.db, self.record, [s.local_id for s in steps if s.local_id])
        for table in self.map.tables[1:]:
            self._insert_part(table, [step for step in steps if _writes(step, table.part)])
        for step in steps:
            assert step.local_id is not None
            earlier = taken.get(step.local_id)
            step.shadow = Shadow(self.record, step.local_id, created_by_hub=True, known=step.delivery.stamp)
            if earlier is not None:
                step.shadow.incarnation, step.shadow.last = earlier.incarnation, earlier.last
        if steps:
            self.db.append(CHANGES, [self._queue_row(step, LINK) for step in steps])

    def _insert_part(self, table: TableMap, steps: Sequence[Step]) -> None:
        for columns, group in _by_columns((step, table.part) for step in steps).items():
            rows = [[step.local_id, *(_writes(step, table.part)[c] for c in columns)] for step in group]
            made = self.db.insert_rows(table, [table.key, *columns], rows)
            for step, row in zip(group, made, strict=True):
                step.images[table.part] = row.image

    def _update(self, steps: Sequence[Step]) -> None:
        for table in self.map.tables:
            here = [step for step in steps if _writes(step, table.part)]
            self._insert_part(table, [step for step in here if table.part not in step.images])
            present = [step for step in here if table.part in step.images]
            for columns, group in _by_columns((step, table.part) for step in present).items():
                rows = [(s.local_id or "", [_writes(s, table.part)[c] for c in columns]) for s in group]
                for step, image in zip(group, self.db.update_rows(table, columns, rows), strict=True):
                    if image is None:
                        raise Refusal("check")
                    step.images[table.part] = image

    def _queue_row(self, step: Step, op: str) -> dict[str, Any]:
        shadow = step.shadow or Shadow(self.record, step.local_id or "")
        return {
            "txid": 0,
            "record": self.record,
            "part": 0,
            "local_id": step.local_id,
            "op": op,
            "incarnation": shadow.incarnation,
            "known": max(shadow.known, step.delivery.stamp),
            "clock_ms": self.now_ms,
            "old": None,
            "new": {"entity": step.delivery.entity},
        }

    # -- recording -------------------------------------------------------------------------------

    def _record(self, steps: Sequence[Step], before: Mapping[str, retries.Prior]) -> None:
        shadows: list[Shadow] = []
        repointed: list[tuple[str, str]] = []
        for step in steps:
            self._point(step, repointed)
            if step.shadow is not None and step.decided:
                shadows.append(step.shadow)
            if step.put_off is None and step.plan is not None and step.plan.troubles:
                step.later(REFUSED, *step.plan.troubles[0])
        store.save_shadows(self.db, shadows)
        self._release(repointed)
        store.save_entities(self.db, [step.entity for step in steps])
        self._merge([step for step in steps if step.delivery.operation == "merged"])
        later = [step.put_off for step in steps if step.put_off is not None]
        self.news = retries.put_off(self.db, self.record, later, before, self.now_ms)
        settled = [step.delivery for step in steps if step.put_off is None]
        self.news = retries.settle(self.db, self.record, settled, before) or self.news

    def _point(self, step: Step, repointed: list[tuple[str, str]]) -> None:
        """The entity's row: its version, and the local record that stands for it now."""
        entity, shadow = step.entity, step.shadow
        entity.version = max(entity.version, step.delivery.version)
        if step.delete:
            entity.local_id = None
        elif shadow is not None and step.decided and (step.insert or self._belongs(step)):
            if shadow.entity not in (None, entity.entity):
                repointed.append((shadow.local_id, entity.entity))
            entity.local_id, shadow.entity = shadow.local_id, entity.entity
            entity.merged_into = None

    def _release(self, repointed: Sequence[tuple[str, str]]) -> None:
        for local_id, entity in repointed:
            self.db.execute(
                "UPDATE {entity} SET local_id = NULL WHERE record = :record AND local_id = :id AND entity <> :entity",
                {"record": self.record, "id": local_id, "entity": entity},
            )

    def _merge(self, steps: Sequence[Step]) -> None:
        """Re-point, delete nothing (R21): the row stands for the other entity, unless that has one."""
        for step in steps:
            into = step.delivery.merged_into
            if into is None:
                continue
            other = store.entities(self.db, self.record, [into]).get(into) or EntityRow(self.record, into)
            own, local_id = step.entity, step.entity.local_id
            own.merged_into, own.local_id = into, None
            if local_id is not None:
                if other.local_id is None:
                    other.local_id = local_id
                shadow = store.locked_shadows(self.db, self.record, [local_id])[local_id]
                shadow.entity = into
                store.save_shadows(self.db, [shadow])
            store.save_entities(self.db, [own, other])


def _writes(step: Step, part: int) -> dict[str, Local]:
    return step.plan.writes.get(part, {}) if step.plan else {}


def _by_columns(items: Any) -> dict[tuple[str, ...], list[Step]]:
    """Steps that write the same columns of a part go into one statement."""
    groups: dict[tuple[str, ...], list[Step]] = {}
    for step, part in items:
        groups.setdefault(tuple(sorted(_writes(step, part))), []).append(step)
    return groups
