"""Rows that refer to an entity follow it when another row comes to stand for it here (R20, R21).

After a split the record that stood for an entity is somebody else's, and the entity gets a row of its own.
What the hub says of those who refer to it stays the same, so they are not said again; and in which order the
two inboxes are read, nobody knows. So this side finds them itself: by the column that holds the former row,
and by the shadow, which knows whom the hub meant. They are applied once more as they were last delivered.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from connectors.sdk import Delivery
from connectors.sql import retries, store
from connectors.sql.convert import Converter, Slot
from connectors.sql.database import Database
from connectors.sql.rows import Shadow


@dataclass(frozen=True)
class Followers:
    """Those who refer to records of the type `record`; `converters` are of all types."""

    db: Database
    record: str
    converters: Mapping[str, Converter]

    def follow(self, moved: Mapping[str, str], now_ms: int) -> bool:
        """Have those applied again that refer to entities of `moved`, by the row that stood for them before;
        within the caller's transaction. Whether there were any."""
        # Who is part of one that moves was meant by the same row.
        parts = store.parts(self.db, self.record, moved)
        moved = {**{part: moved[whole] for part, whole in parts.items()}, **moved}
        found = False
        for record, converter in self.converters.items():
            for spec in converter.record.references:
                if spec.reference == self.record and spec.name in converter.slot_of:
                    again = list(self._again(record, spec.name, converter.slot_of[spec.name], moved))
                    found = self._put_off(record, again, now_ms) or found
        return found

    def _again(self, record: str, name: str, slot: Slot, moved: Mapping[str, str]) -> Iterator[Delivery]:
        if len(slot.columns) != 1 or len(slot.fields) != 1:
            return
        table = self.converters[record].map.tables[slot.part]
        keys = self.db.referring(table, slot.columns[0], sorted(set(moved.values())))
        shadows = store.shadows(self.db, record, sorted(keys))
        meant = [one for one in shadows.values() if _means(one, name, moved)]
        known = store.entities(self.db, record, sorted({one.entity for one in meant if one.entity}))
        for shadow in meant:
            entity = known.get(shadow.entity or "")
            # Of two rows of one entity, only the one that stands for it receives what the hub says (R21).
            if entity is not None and entity.local_id == shadow.local_id:
                yield _delivered(shadow, entity.version)

    def _put_off(self, record: str, again: Sequence[Delivery], now_ms: int) -> bool:
        # What waits already is resolved when its turn comes.
        waiting = retries.prior(self.db, record, [one.entity for one in again])
        items = [
            retries.PutOff(one, retries.WAITING, retries.MOVED_REFERENCE)
            for one in again
            if one.entity not in waiting
        ]
        retries.put_off(self.db, record, items, {}, now_ms)
        return bool(items)


def _means(shadow: Shadow, name: str, moved: Mapping[str, str]) -> bool:
    """Whether the hub's word stands in the row, and means one of these; before an earlier release kept
    whom it meant, nothing is known."""
    return shadow.delivered.get(name, [])[2:3] in [[entity] for entity in moved]


def _delivered(shadow: Shadow, version: int) -> Delivery:
    """What the hub last said of a row, as far as it stands there: nothing else of the row is touched."""
    values = {name: (kept[2] if len(kept) > 2 else kept[0]) for name, kept in shadow.delivered.items()}
    return Delivery(
        record_type=shadow.record,
        entity=shadow.entity or "",
        version=version,
        operation="upsert",
        fields=tuple(values),
        values=values,
        stamp=shadow.known,
        partition=retries.OF_OURS,
    )
