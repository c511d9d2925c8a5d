"""Rows that the hub had made here, known again by a bookkeeping that is younger than they are (R24).

Which entity a row stands for is in the bookkeeping. Where that was dropped, or taken away and installed anew,
the inbox is read from its beginning, and still has the messages that made rows. One of which nothing was said
since names no row, and would make its row once more. So a message that is older than the bookkeeping first
looks for a row that nobody has claimed and that holds what it would write, and nothing else: it is that row.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field

from connectors.sdk import Delivery
from connectors.sql import store
from connectors.sql.assemble import held
from connectors.sql.database import Database
from connectors.sql.decide import Step
from connectors.sql.local_values import Image, fingerprint
from connectors.sql.mapping import RecordMap
from connectors.sql.plan import Planner, RowPlan

_PAGE = 1_000


@dataclass
class Recogniser:
    """Of one record type. `since_ms`: when the bookkeeping was made, by the database's clock; 0: unknown."""

    db: Database
    map: RecordMap
    planner: Planner
    since_ms: int
    _plans: dict[int, RowPlan] = field(default_factory=dict)
    _keys: dict[int, list[str]] | None = None

    def prepare(self, deliveries: Sequence[Delivery]) -> None:
        """Read what is needed to know rows again, if any of these may mean one; not in a transaction.

        No column need have an index, so all rows are read, once.
        """
        if self._keys is None and any(self._is_older(one) for one in deliveries):
            self._keys = self._read()

    def suggest(self, steps: Sequence[Step]) -> list[Step]:
        """Those of `steps` for which there may be such a row: it is named as their entity's, to be read."""
        found: dict[str, Step] = {}
        for step in steps:
            entity = step.entity
            named = entity.local_id or entity.merged_into or step.put_off
            if self._keys is None or named or not self._is_older(step.delivery):
                continue
            plan = self.planner.new_row(step.resolved())
            key = self._unclaimed(plan, found) if self._tells_enough(step.delivery) else None
            if key is not None:
                self._plans[id(step)] = plan
                step.entity.local_id = key
                found[key] = step
        return list(found.values())

    def settle(self, steps: Sequence[Step]) -> None:
        """Once the rows are read and locked: whether each is the one."""
        for step in steps:
            plan = self._plans.pop(id(step))
            shadow = step.shadow
            if step.put_off is not None:
                step.entity.local_id = None
            elif shadow is None or shadow.entity or shadow.deleted or not _holds(step.images, plan):
                step.entity.local_id = step.local_id = step.shadow = None
                step.images, step.pending = {}, []
            else:
                shadow.entity, shadow.created_by_hub = step.delivery.entity, not shadow.own
                for name, value in plan.hub_fields.items():
                    slot = self.planner.converter.slot_of[name]
                    before = held(slot, name, step.images.get(slot.part))
                    shadow.delivered.setdefault(name, [value, before])

    def _is_older(self, delivery: Delivery) -> bool:
        makes = delivery.operation == "upsert" and delivery.local_id is None
        return makes and 0 < delivery.appended_ms < self.since_ms

    def _tells_enough(self, delivery: Delivery) -> bool:
        """Whether somebody else's row would hardly be alike in all: of a person two of name, day of birth and
        identifier must be there, as for a link (R16)."""
        telling = {s.name: s.match.partition("_")[0] for s in self.planner.converter.record.fields if s.match}
        told = {kind for name, kind in telling.items() if delivery.values.get(name) is not None}
        return not telling or len(told - {"sex"}) > 1

    def _unclaimed(self, plan: RowPlan, taken: Collection[str]) -> str | None:
        """A row that holds the same and stands for nothing yet."""
        keys = (self._keys or {}).get(self._mark(plan.writes.get(0, {})), [])
        known = store.shadows(self.db, self.map.record_type, keys)
        claimed = {key for key, shadow in known.items() if shadow.entity or shadow.deleted}
        return next((key for key in keys if key not in claimed and key not in taken), None)

    def _read(self) -> dict[int, list[str]]:
        """Keys by the marks of the rows."""
        keys: dict[int, list[str]] = defaultdict(list)
        after = None
        while page := self.db.page(self.map.main, after, _PAGE):
            for key, image, _ in page:
                keys[self._mark(image)].append(key)
            after = page[-1][0]
        return keys

    def _mark(self, image: Image) -> int:
        """A short mark of what the main table's row holds."""
        return hash(tuple(str(fingerprint(image.get(column))) for column in self.map.main.columns))


def _holds(images: dict[int, Image], plan: RowPlan) -> bool:
    """Whether the rows hold all that would be written."""
    return all(
        fingerprint(images.get(part, {}).get(column)) == fingerprint(value)
        for part, columns in plan.writes.items()
        for column, value in columns.items()
    )
