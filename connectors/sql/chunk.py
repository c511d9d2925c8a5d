"""One short transaction of the sink: up to some hundred deliveries of one record type (R28).

Everything is read by sets, decided in memory (`decide`, `plan`), and written by sets (`writing`). The order
of the reads matters: rows are locked first, then the queue is read, then the shadows. The source deletes
from the queue and tells the shadow in one transaction, so a local edit is seen in the one or in the other.
"""

from __future__ import annotations

import time
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

from connectors.sdk import Delivery
from connectors.sql import retries, store
from connectors.sql.database import Database
from connectors.sql.decide import APPLIED, SUPERSEDED, Decider, Step
from connectors.sql.following import Followers
from connectors.sql.plan import settle
from connectors.sql.recognise import Recogniser
from connectors.sql.retries import OF_OURS, REFUSED, WAITING
from connectors.sql.row_print import minus, plus, written
from connectors.sql.rows import DELETE, INSERT, LINK, UNLINK, Captured, EntityRow, Shadow
from connectors.sql.writing import RowWriter

# Captured rows of one chunk's records that are read, each with its images of before and after.
MOST_PENDING = 2_000

_RELEASE = """
UPDATE {entity} SET local_id = NULL WHERE record = :record AND local_id = :local_id AND entity <> :entity
"""


@dataclass
class Chunk:
    """Applies deliveries of one record type, within the caller's transaction.

    `waits`: whether any delivery may have been put off before.
    """

    db: Database
    decider: Decider
    recogniser: Recogniser
    followers: Followers
    waits: bool = True
    # Whether the hub is to be told something besides positions.
    news: bool = False
    # Since when people's rows are locked; None where none is, or all have been from the beginning.
    locked_at: float | None = None
    # Whether rows of other record types are to be tried again for what happened here.
    followed: bool = False
    # Entity → the local record that stood for it before.
    _moved: dict[str, str] = field(default_factory=dict)

    @property
    def record(self) -> str:
        return self.decider.map.record_type

    def apply(self, deliveries: Sequence[Delivery], retried: Collection[str]) -> list[Step]:
        """What became of each delivery. `retried` are entities whose delivery was put off before."""
        now_ms = self.db.clock_ms()
        names = [delivery.entity for delivery in deliveries]
        known = store.entities(self.db, self.record, names)
        before = retries.prior(self.db, self.record, names) if self.waits else {}
        steps = [Step(d, known.get(d.entity) or EntityRow(self.record, d.entity)) for d in deliveries]
        again = bool(self.decider.planner.replay.again)
        live = [step for step in steps if _is_news(step, retried, again=again)]
        self._resolve([step for step in live if step.delivery.operation == "upsert"])
        recognised = self.recogniser.suggest(live)
        self._find([step for step in live if step.put_off is None])
        self.recogniser.settle(recognised)
        self._pass_over(live)
        live = [step for step in live if step.outcome != SUPERSEDED]
        for step in live:
            if step.put_off is None:
                self.decider.decide(step)
        before_writing = {id(step): self._print(step) for step in live if step.plan is not None}
        RowWriter(self.db, self.decider.map, now_ms).carry_out(live)
        self._note_prints(live, before_writing)
        self._settle(live, now_ms)
        self._record(live, before, now_ms)
        if self._moved:
            self.followed = self.followers.follow(self._moved, now_ms)
        # What was put off and has been overtaken since would be tried for ever.
        overtaken = [s.delivery for s in steps if s.outcome == SUPERSEDED and s.delivery.entity in retried]
        self.news = retries.settle(self.db, self.record, overtaken, before) or self.news
        return steps

    def _resolve(self, steps: Sequence[Step]) -> None:
        """Local ids for references; a delivery waits for what is not here yet (R20)."""
        converter = self.decider.planner.converter
        for spec in converter.record.references:
            named = [s for s in steps if spec.name in s.delivery.fields and spec.name in converter.slot_of]
            targets = {step.delivery.values.get(spec.name) for step in named}
            found = store.resolve(self.db, spec.reference or "", sorted(filter(None, targets)))
            for step in named:
                target = step.delivery.values.get(spec.name)
                if target is not None and target in found:
                    step.references[spec.name] = found[target]
                elif target is not None and step.put_off is None:
                    column = converter.slot_of[spec.name].columns[0]
                    step.later(WAITING, "missing_reference", column, target)

    def _find(self, steps: Sequence[Step]) -> None:
        """Each step's row, locked; its pending edits; its shadow: in this order."""
        for step in steps:
            if _is_without_row(step):
                step.entity.local_id = None
            step.local_id = step.delivery.local_id or step.entity.local_id or step.brought
        ids = sorted({step.local_id for step in steps if step.local_id is not None})
        if not ids:
            return
        tables = self.decider.map.tables
        if self.db.for_update:
            self.locked_at = time.monotonic()
        rows, held = self.db.lock_rows(tables[0], ids, whole=len(tables) > 1)
        parts = {table.part: self.db.part_rows(table, list(rows)) for table in tables[1:]}
        pending, dirty = self._pending(ids)
        shadows = store.locked_shadows(self.db, self.record, sorted(rows))
        shadows |= store.shadows(self.db, self.record, [i for i in ids if i not in rows])
        taken: set[str] = set()
        for step in steps:
            local_id = step.local_id
            if local_id is None:
                continue
            shadow = shadows.get(local_id)
            if local_id not in (step.delivery.local_id, step.entity.local_id):
                step.takes_back = shadow is not None and step.entity.takes_back(shadow)
                if not step.takes_back:
                    step.local_id = None
                    continue
            elif step.delivery.local_id is None and shadow and _is_over(step.entity, shadow):
                step.local_id = step.entity.local_id = None
                continue
            step.shadow, step.pending = shadow, pending.get(local_id, [])
            if local_id in rows:
                step.images = {0: rows[local_id]}
                step.images |= {part: found[local_id] for part, found in parts.items() if local_id in found}
            # Two entities may mean one row, as during a merge: one after the other.
            if local_id in held or local_id in taken:
                step.later(WAITING, "locked")
            elif local_id in dirty or any(_is_in_the_way(row, step) for row in step.pending):
                step.later(WAITING, "local_edit")
            taken.add(local_id)

    def _pass_over(self, steps: Sequence[Step]) -> None:
        """What was said of a row before it came to stand for another entity is overtaken (R18, R21).

        Two partitions of an inbox have no order, so a merge may be read before what was said earlier. Whoever
        moves takes a higher version: the other's tells, once the hub has named the row as the other's, and
        what it said has been written."""
        found = [
            (step, step.shadow.entity or "")
            for step in steps
            if step.put_off is None and step.shadow and step.shadow.is_anothers(step.entity.entity)
        ]
        holders = store.entities(self.db, self.record, sorted({entity for _, entity in found}))
        unwritten = retries.prior(self.db, self.record, holders) if holders else {}
        for step, entity in found:
            holder = holders.get(entity)
            if holder is None or entity in unwritten or holder.version <= step.delivery.version:
                continue
            if holder.local_id == holder.named == step.local_id:
                step.outcome = SUPERSEDED

    def _pending(self, ids: list[str]) -> tuple[dict[str, list[Captured]], set[str]]:
        """(captured rows by local id, local ids of dirty rows)."""
        params = {"record": self.record, "ids": ids}
        found = self.db.query(f"{store.PENDING} LIMIT :limit", params | {"limit": MOST_PENDING + 1})
        if len(found) > MOST_PENDING:
            # More than is good to hold, as after an import: whatever is in the queue waits until it is sent.
            return {}, store.busy(self.db, self.record, ids)
        pending: dict[str, list[Captured]] = {}
        for row in store.captured(found):
            pending.setdefault(row.local_id, []).append(row)
        return pending, {row[0] for row in self.db.query(store.PENDING_DIRTY, params)}

    def _print(self, step: Step) -> int:
        writes = step.insert or (step.plan is not None and any(step.plan.writes.values()))
        return self.decider.printer.of(step.images) if writes else 0

    def _note_prints(self, steps: Sequence[Step], before: Mapping[int, int]) -> None:
        """Let the shadows know what the rows look like now, by the difference (R30)."""
        for step in steps:
            if step.shadow is None or step.delete:
                continue
            if step.insert:
                step.shadow.row_print = written(self._print(step))
            elif step.shadow.row_print is not None and step.plan is not None and step.plan.writes:
                moved = minus(self._print(step), before[id(step)])
                step.shadow.row_print = written(plus(int(step.shadow.row_print, 16), moved))

    def _settle(self, steps: Sequence[Step], now_ms: int) -> None:
        for step in steps:
            if step.plan is None or step.shadow is None or step.delete:
                continue
            if step.plan.writes:
                step.outcome = APPLIED
            settle(step.shadow, step.delivery, step.plan, step.images, self.decider.planner.converter, now_ms)
            if step.plan.troubles and step.put_off is None:
                step.later(REFUSED, *step.plan.troubles[0])

    def _record(self, steps: Sequence[Step], before: Mapping[str, retries.Prior], now_ms: int) -> None:
        for step in steps:
            self._point(step)
        # Where a new row was given the id of one that is gone, the new life of the id is what counts (R14).
        of_lives = sorted(steps, key=lambda step: step.insert)
        shadows = {s.shadow.local_id: s.shadow for s in of_lives if s.shadow is not None and s.decided}
        store.save_shadows(self.db, shadows.values())
        store.save_entities(self.db, [step.entity for step in steps])
        self._merge([step for step in steps if step.delivery.operation == "merged"])
        later = [step.put_off for step in steps if step.put_off is not None]
        settled = [step.delivery for step in steps if step.put_off is None]
        self.news = retries.put_off(self.db, self.record, later, before, now_ms)
        self.news = retries.settle(self.db, self.record, settled, before) or self.news

    def _point(self, step: Step) -> None:
        """The entity's version, and the local record that stands for it now."""
        entity, shadow = step.entity, step.shadow
        entity.version = max(entity.version, step.delivery.version)
        if step.delete:
            entity.local_id = entity.named = None
        elif shadow is not None and self._is_let_go(step):
            # It stays, and stands for nobody: whom the hub names it for next may have been told before this.
            entity.local_id = entity.named = shadow.entity = None
        elif shadow is not None and step.decided and (step.insert or step.belongs()):
            if shadow.is_anothers(entity.entity):
                self.db.execute(
                    _RELEASE, {"record": self.record, "local_id": shadow.local_id, "entity": entity.entity}
                )
            former = entity.local_id or entity.named or self._through_merge(entity)
            if former is not None and former != shadow.local_id:
                self._moved[entity.entity] = former
            entity.local_id, shadow.entity = shadow.local_id, entity.entity
            entity.merged_into = entity.brought = entity.brought_born = None
            if step.insert and not step.restored:
                # What the hub named, if anything, was an earlier life: of this one it has not heard.
                entity.named = None
            elif step.delivery.local_id is not None:
                entity.named = step.delivery.local_id
        elif step.decided and step.delivery.local_id is not None:
            # The row is gone, and was meant all the same: once it is named no more, another may be made.
            entity.named = step.delivery.local_id

    def _is_let_go(self, step: Step) -> bool:
        """Whether nothing of the hub's is to be here any more, in a row that the hub knows of (R17)."""
        entity, gone = step.entity, step.delivery.operation in ("delete", "retract")
        return gone and step.decided and step.belongs() and entity.named is not None

    def _through_merge(self, entity: EntityRow) -> str | None:
        """The row by which the entity was meant while it was part of another one."""
        into = entity.merged_into
        return None if into is None else store.resolve(self.db, self.record, [into]).get(into)

    def _merge(self, steps: Sequence[Step]) -> None:
        """Re-point, delete nothing (R21): the row stands for the other entity, unless that has one."""
        for step in steps:
            into = step.delivery.merged_into
            if into is None:
                continue
            other = store.entities(self.db, self.record, [into]).get(into) or EntityRow(self.record, into)
            own, local_id, named = step.entity, step.entity.local_id, step.entity.named
            own.merged_into, own.local_id, own.named = into, None, None
            if local_id is not None:
                shadow = store.locked_shadows(self.db, self.record, [local_id])[local_id]
                # The id may have been given to another in this very transaction (R14).
                if not shadow.is_anothers(own.entity):
                    if named is None and shadow.created_by_hub:
                        # They may be told apart again before the hub has heard of it.
                        own.brought, own.brought_born = local_id, shadow.born
                    other.local_id = other.local_id or local_id
                    shadow.entity = into
                    store.save_shadows(self.db, [shadow])
            store.save_entities(self.db, [own, other])


def _is_news(step: Step, retried: Collection[str], *, again: bool) -> bool:
    """`again`: whether an inbox is read once more, and its last word on an entity is to be written again."""
    ahead = step.delivery.version - step.entity.version
    if ahead > 0 or (ahead == 0 and (again or step.delivery.entity in retried)):
        return True
    step.outcome = SUPERSEDED
    return False


def _is_without_row(step: Step) -> bool:
    """Whether the hub has taken back that a row stands for the entity: its record is somebody else's now.

    What the hub says before it has heard of a row that was made here names none either, and means that one.
    """
    delivery, entity = step.delivery, step.entity
    if delivery.operation != "upsert" or delivery.local_id is not None or delivery.partition == OF_OURS:
        return False
    return entity.named is not None and entity.named == entity.local_id


def _is_over(entity: EntityRow, shadow: Shadow) -> bool:
    """Whether the row that stood for an entity does so no more: its id was given to somebody else (R14), or
    it was deleted, and the hub has named another since, which is not here (R24)."""
    return shadow.is_anothers(entity.entity) or (
        shadow.deleted and entity.named not in (None, shadow.local_id)
    )


def _is_in_the_way(row: Captured, step: Step) -> bool:
    """Whether what waits must be said first: that a row began or ended; of one that was made for an entity,
    only before it is another's, since its life may be counted anew until the hub hears of it (R24)."""
    if row.op == LINK:
        another = step.shadow is not None and step.shadow.is_anothers(step.entity.entity)
        return another and not step.takes_back
    return row.part == 0 and row.op in (INSERT, DELETE, UNLINK)
