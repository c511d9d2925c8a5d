"""An agency's rows as a first reading would say them, and what would be written there: nothing is changed.

The database may know nothing of us yet: where the bookkeeping is missing, every row is as if first seen. The
connection is one that the database refuses to write on (`read_only`).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from connectors.sdk import Change, Delivery
from connectors.sql import snapshot, store
from connectors.sql.convert import Converter, Unmappable
from connectors.sql.database import Database, patiently
from connectors.sql.database_check import require_fit
from connectors.sql.mapping import Mapping as AgencyMapping
from connectors.sql.plan import Planner, RowPlan
from connectors.sql.rows import Shadow
from connectors.sql.source import SqlSource
from hub.errors import ConfigurationError


@dataclass(frozen=True)
class ReadRow:
    """One local record: its rows by part, what it would say (None: nothing), what of it cannot be said."""

    local_id: str
    images: Mapping[int, Any]
    shadow: Shadow
    change: Change | None
    problems: Mapping[str, Unmappable]


class DryRun:
    """Reads pages of rows by the source's own code, and plans writes by the sink's. Blocks."""

    def __init__(
        self,
        database: Database,
        mapping: AgencyMapping,
        converters: Mapping[str, Converter],
        published: Mapping[str, Collection[str]],
    ) -> None:
        self.db = database
        self.mapping = mapping
        self.converters = converters
        self._source = SqlSource(database, mapping, converters, published)
        self._known = False
        self._planners: dict[str, Planner] = {}

    def connect(self) -> None:
        """Open the database; raises `ConfigurationError` for a mapped table or column that is not there."""
        self.db.connect()
        self._known = self.db.has_table("jisr_shadow")
        for name, record in self.mapping.records.items():
            columns = {table.part: self.db.columns(table.table) for table in record.tables}
            for table in record.tables:
                if not columns[table.part]:
                    raise ConfigurationError(
                        f"{self.mapping.path}: there is no table {table.table!r}, or this role may not read "
                        f"it; `jisr connector check` with --database tells all that does not fit"
                    )
            self._planners[name] = Planner(self.converters[name], columns)
        require_fit(self.mapping, self.db)

    def close(self) -> None:
        self.db.close()

    def pages(
        self,
        record: str,
        limit: int | None,
        rows_per_s: float,
        sleep: Callable[[float], None] = time.sleep,
    ) -> Iterator[list[ReadRow]]:
        """The first `limit` records in the order of their keys, a page at a time, so many a second."""
        after: str | None = None
        left = limit
        while left is None or left > 0:
            size = snapshot.PAGE_ROWS if left is None else min(left, snapshot.PAGE_ROWS)
            began = time.monotonic()
            rows = patiently(lambda: self._page(record, after, size))  # noqa: B023 — called at once
            if rows:
                yield rows
            if len(rows) < size:
                return
            after = rows[-1].local_id
            left = None if left is None else left - len(rows)
            sleep(max(0.0, len(rows) / rows_per_s - (time.monotonic() - began)))

    def more(self, record: str, after: str) -> bool:
        """Whether there is a row beyond the key `after`."""
        return bool(patiently(lambda: self.db.page(self.mapping.records[record].main, after, 1)))

    def present(self, record: str, keys: Collection[str]) -> set[str]:
        """Which of these local ids have a row; none where the record type is not mapped."""
        if record not in self.mapping.records or not keys:
            return set()
        return self.db.present(self.mapping.records[record].main, sorted(keys))

    def foresee(self, row: ReadRow, delivery: Delivery) -> RowPlan:
        """What `delivery`, with local ids in its references, would write into the row."""
        return self._planners[delivery.record_type].existing_row(delivery, row.shadow, row.images, ())

    def column_of(self, record: str, field: str) -> str:
        """The column, or the first of them, that holds a field; the field's name where none does."""
        slot = self.converters[record].slot_of.get(field)
        return slot.columns[0] if slot else field

    def _page(self, record: str, after: str | None, size: int) -> list[ReadRow]:
        with self.db.one_moment():
            images, modified = snapshot.read_page(self.db, self.mapping.records[record], after, size)
            shadows = store.shadows(self.db, record, list(images)) if self._known else {}
            clock_ms = self.db.clock_ms()
        return [
            self._row(record, key, image, shadows.get(key), clock_ms, modified[key])
            for key, image in images.items()
        ]

    def _row(
        self,
        record: str,
        key: str,
        image: Mapping[int, Any],
        shadow: Shadow | None,
        clock_ms: int,
        modified_ms: int | None,
    ) -> ReadRow:
        change, problems = snapshot.row_said(self._source, record, key, image, shadow, clock_ms, modified_ms)
        return ReadRow(key, image, shadow or Shadow(record, key), change, problems)


def record_types(mapping: AgencyMapping, order: Sequence[str], wanted: str | None) -> list[str]:
    """The mapped record types, what is referred to first; raises `ConfigurationError` for one not mapped."""
    if wanted is not None and wanted not in mapping.records:
        raise ConfigurationError(f"{wanted!r} is not mapped; there are {', '.join(mapping.records)}")
    return [name for name in order if name in mapping.records and wanted in (None, name)]
