"""Carrying out what was decided: rows by sets, and what the queue tells the hub of rows made and removed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from connectors.sql import store
from connectors.sql.database import Database, Refusal
from connectors.sql.decide import APPLIED, Step, by_columns
from connectors.sql.mapping import RecordMap, TableMap
from connectors.sql.rows import LINK, UNLINK, Shadow
from connectors.sql.tables import CHANGES
from hub.core import stamps


@dataclass
class RowWriter:
    """Writes rows of one record type, within the caller's transaction. A refusal is of all of them."""

    db: Database
    map: RecordMap
    now_ms: int

    def carry_out(self, steps: Sequence[Step]) -> None:
        """Do what the steps say; afterwards their `images` and `shadow` are as the database has them."""
        self._delete([step for step in steps if step.delete])
        self._insert([step for step in steps if step.insert])
        self._update([step for step in steps if step.shadow and not step.insert and step.plan])

    def _delete(self, steps: Sequence[Step]) -> None:
        if not steps:
            return
        keys = [step.local_id for step in steps if step.local_id is not None]
        for table in reversed(self.map.tables):
            self.db.delete_rows(table, keys)
        if self.db.present(self.map.main, keys):
            # A trigger or rule of the agency kept a row: the hub must not take it for gone.
            raise Refusal("check")
        # The hub knows this local record as one that lives: it is told, by the queue, that it ended, and
        # that nobody at the agency deleted it.
        self.db.append(CHANGES, [self._queue_row(step, UNLINK) for step in steps])
        for step in steps:
            before = step.shadow
            assert before is not None
            # `created_by_hub` of a row that is gone: the hub removed it, so it may come back.
            step.shadow = Shadow(
                before.record,
                before.local_id,
                incarnation=before.incarnation + 1,
                deleted=True,
                created_by_hub=True,
                known=before.known,
                last=before.last,
            )
            step.local_id, step.outcome = None, APPLIED

    def _insert(self, steps: Sequence[Step]) -> None:
        if not steps:
            return
        for columns, group in by_columns(steps, 0).items():
            rows = [[step.writes(0)[column] for column in columns] for step in group]
            for step, row in zip(group, self.db.insert_rows(self.map.main, columns, rows), strict=True):
                if not row.key:
                    raise Refusal("check")
                step.local_id, step.images[0] = row.key, row.image
        for table in self.map.tables[1:]:
            self._insert_part(table, [step for step in steps if step.writes(table.part)])
        self._begin_lives(steps)
        self.db.append(CHANGES, [self._queue_row(step, LINK) for step in steps])

    def _begin_lives(self, steps: Sequence[Step]) -> None:
        """Shadows for new rows; a key that was used before goes on counting its lives."""
        keys = [step.local_id for step in steps if step.local_id is not None]
        earlier = store.shadows(self.db, self.map.record_type, keys)
        for step in steps:
            assert step.local_id is not None
            before = earlier.get(step.local_id) or Shadow(self.map.record_type, step.local_id)
            known = max(before.known, step.delivery.stamp)
            step.shadow = Shadow(
                before.record,
                before.local_id,
                incarnation=before.incarnation,
                # A row that comes back after a deletion that a person took back is the agency's own.
                created_by_hub=not step.restored,
                known=known,
                last=before.last,
                # As the source will stamp the link: what the hub says of the key before it has heard of
                # this life means an earlier one.
                born=max(stamps.capture(self.now_ms, known), before.last + 1),
            )

    def _insert_part(self, table: TableMap, steps: Sequence[Step]) -> None:
        for columns, group in by_columns(steps, table.part).items():
            rows = [[step.local_id, *(step.writes(table.part)[c] for c in columns)] for step in group]
            made = self.db.insert_rows(table, [table.key, *columns], rows)
            for step, row in zip(group, made, strict=True):
                if not row.key:
                    raise Refusal("check")
                step.images[table.part] = row.image

    def _update(self, steps: Sequence[Step]) -> None:
        for table in self.map.tables:
            here = [step for step in steps if step.writes(table.part)]
            self._insert_part(table, [step for step in here if table.part not in step.images])
            present = [step for step in here if table.part in step.images]
            if not present:
                continue
            rows = [(step.local_id or "", step.writes(table.part)) for step in present]
            for step, image in zip(present, self.db.update_rows(table, rows), strict=True):
                if image is None:
                    raise Refusal("check")
                step.images[table.part] = image

    def _queue_row(self, step: Step, op: str) -> dict[str, Any]:
        shadow = step.shadow or Shadow(self.map.record_type, step.local_id or "")
        return {
            "txid": 0,
            "record": self.map.record_type,
            "part": 0,
            "local_id": step.local_id,
            "op": op,
            "incarnation": shadow.incarnation,
            "known": max(shadow.known, step.delivery.stamp),
            "clock_ms": self.now_ms,
            "old": None,
            "new": {"entity": step.delivery.entity},
        }
