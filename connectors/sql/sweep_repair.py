"""A row that was changed behind the triggers, told to the hub as if a trigger had seen it (R30).

The repair writes nothing into the agency's tables. It puts into the queue what a trigger would have put
there, of exactly the columns that differ, and the shadow then knows the row as it is. From there on all
rules hold as for any edit: what the agency may say is taken in, and what it may not is answered by the
value that stands (R19). The row is locked first, like the sink does: an edit that is under way at the same
time must come after this one in the queue.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from connectors.sql import store
from connectors.sql.convert import Converter
from connectors.sql.database import Database
from connectors.sql.local_values import Image, Local, as_text
from connectors.sql.mapping import RecordMap
from connectors.sql.put_over import image_before
from connectors.sql.row_print import SWEPT, RowPrinter, written
from connectors.sql.rows import DELETE, INSERT, UPDATE, Shadow
from connectors.sql.sweep_state import BUSY, EDITED, MISSING, REPAIRED, Finding
from connectors.sql.tables import CHANGES

# Vanished rows that one sweep of a record type passes on as deletions; more is a matter for a person.
MISSING_LIMIT = 100


@dataclass
class Repair:
    """Repairs findings of one record type, each in a transaction of its own."""

    db: Database
    map: RecordMap
    converters: Mapping[str, Converter]
    images: dict[int, Image] = field(default_factory=dict)

    def carry_out(self, finding: Finding) -> str:
        """Queue the edit, if the finding still stands; what became of it. Raises `Locked`."""
        key, record = finding.local_id, finding.record
        with self.db.transaction():
            tables = self.map.tables
            rows, held = self.db.lock_rows(tables[0], [key], whole=len(tables) > 1)
            parts = {t.part: self.db.part_rows(t, [key]) for t in tables[1:]} if rows else {}
            self.images = {0: rows[key]} if rows else {}
            self.images |= {part: found[key] for part, found in parts.items() if key in found}
            if held or store.busy(self.db, record, [key]):
                return BUSY
            shadow = store.locked_shadows(self.db, record, [key])[key]
            queued = self._queued(finding, shadow)
            if not queued:
                return BUSY
            self.db.append(CHANGES, queued)
            store.save_shadows(self.db, [shadow])
        return REPAIRED

    def _queued(self, finding: Finding, shadow: Shadow) -> list[dict[str, Any]]:
        """Rows for the queue; none where things are no longer as they were found."""
        if finding.kind == EDITED:
            return self._edited(shadow) if self.images and not shadow.deleted else []
        if finding.kind == MISSING:
            return self._missing(shadow) if not self.images and not shadow.deleted else []
        return self._unknown(shadow) if self.images else []

    def _edited(self, shadow: Shadow) -> list[dict[str, Any]]:
        printer = RowPrinter(self.map)
        now = printer.of(self.images)
        if shadow.row_print is None:
            return []
        known = int(shadow.row_print, 16)
        apart = printer.differing(known, now)
        shadow.row_print = written(now)
        return [
            self._row(
                shadow,
                UPDATE,
                part=part,
                old=image_before(
                    self.converters[self.map.record_type],
                    part,
                    self.images.get(part) or {},
                    [c for p, c in apart if p == part],
                    printer.nulls(known),
                    shadow,
                ),
                new=self.images.get(part),
            )
            for part in dict.fromkeys(part for part, _ in apart)
        ]

    def _missing(self, shadow: Shadow) -> list[dict[str, Any]]:
        row = self._row(shadow, DELETE)
        shadow.incarnation += 1
        shadow.deleted, shadow.created_by_hub = True, False
        return [row]

    def _unknown(self, shadow: Shadow) -> list[dict[str, Any]]:
        if shadow.deleted:
            shadow.deleted, shadow.entity, shadow.created_by_hub, shadow.born = False, None, False, 0
            for book in (shadow.delivered, shadow.own, shadow.replaced, shadow.kept):
                book.clear()
        shadow.row_print = written(RowPrinter(self.map).of(self.images))
        return [
            self._row(shadow, INSERT, part=part, new=image) for part, image in sorted(self.images.items())
        ]

    def _row(
        self, shadow: Shadow, op: str, part: int = 0, old: Image | None = None, new: Image | None = None
    ) -> dict[str, Any]:
        return {
            "txid": SWEPT,
            "record": self.map.record_type,
            "part": part,
            "local_id": shadow.local_id,
            "op": op,
            "incarnation": shadow.incarnation,
            "known": shadow.known,
            "clock_ms": self.db.clock_ms(),
            "old": _storable(old),
            "new": _storable(new),
        }


def _storable(image: Image | None) -> dict[str, Local] | None:
    """An image as JSON keeps it: exact numbers as plain texts, which read alike."""
    if image is None:
        return None
    return {name: as_text(value) if isinstance(value, Decimal) else value for name, value in image.items()}
