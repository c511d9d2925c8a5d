"""One page of a sweep: rows, shadows and queue read at one moment, and what is at rest compared (R30)."""

from __future__ import annotations

import time
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager

from connectors.sql import store
from connectors.sql.convert import Converter
from connectors.sql.database import Database
from connectors.sql.local_values import Image
from connectors.sql.row_print import RowPrinter, size
from connectors.sql.sweep_state import EDITED, MISSING, UNKNOWN, Cost, Finding

# Rows of one page: some milliseconds of the agency's server, and as long a lock where prints are learnt.
PAGE_ROWS = 200
_SHADOWS = """
SELECT local_id FROM {shadow}
 WHERE record = :record AND local_id > :after AND NOT deleted ORDER BY local_id LIMIT :limit
"""
_PRINTS = """
SELECT local_id, row_print, deleted FROM {shadow} WHERE record = :record AND local_id IN_LIST(:ids)
"""


class Look:
    """One page, read and compared."""

    def __init__(self, db: Database, converter: Converter, printer: RowPrinter) -> None:
        self._db = db
        self._map = converter.map
        self._record = converter.map.record_type
        self._printer = printer
        self._slots = converter.slots
        self.cost = Cost()
        self.findings: list[Finding] = []
        self.unprinted: list[str] = []

    @contextmanager
    def _timed(self) -> Iterator[None]:
        began = time.monotonic()
        with self._db.one_moment():
            yield
        self.cost.seconds += time.monotonic() - began

    def rows(self, after: str | None) -> str | None:
        """Compare the rows beyond `after`; the last key, None if there was none."""
        with self._timed():
            page = self._db.page(self._map.main, after, PAGE_ROWS)
            ids = [key for key, _, _ in page]
            parts = {table.part: self._db.rows(table, ids) for table in self._map.tables[1:] if ids}
            params = {"record": self._record, "ids": ids}
            shadows = {row[0]: row[1:] for row in self._db.query(_PRINTS, params)} if ids else {}
            busy = store.busy(self._db, self._record, ids)
            _, snapshots = store.state(self._db)
        read_whole = bool(snapshots.get(self._record, {}).get("done"))
        for key, main, _ in page:
            images: dict[int, Image] = {0: main}
            images |= {part: found[key][0] for part, found in parts.items() if key in found}
            self.cost.rows += len(images)
            self.cost.bytes += sum(map(size, images.values()))
            if key not in busy:
                self._compare(key, images, shadows.get(key), read_whole)
        return ids[-1] if ids else None

    def _compare(
        self,
        key: str,
        images: Mapping[int, Image],
        shadow: tuple[str | None, bool] | None,
        read_whole: bool,
    ) -> None:
        row_print, deleted = shadow or (None, True)
        if deleted:
            # Before its snapshot is through, a row without a shadow is one that it has not come to yet.
            if read_whole:
                self.findings.append(Finding(self._record, key, UNKNOWN))
        elif row_print is None:
            self.unprinted.append(key)
        else:
            apart = self._printer.differing(int(row_print, 16), self._printer.of(images))
            if apart:
                self.findings.append(Finding(self._record, key, EDITED, self._fields(apart)))

    def _fields(self, apart: Collection[tuple[int, str]]) -> tuple[str, ...]:
        return tuple(
            spec.name
            for slot in self._slots
            if any((slot.part, column) in apart for column in slot.columns)
            for spec in slot.fields
        )

    def gone(self, after: str | None) -> str | None:
        """Look for living shadows beyond `after` without a row; the last one's id, None if there was none."""
        with self._timed():
            params = {"record": self._record, "after": after or "", "limit": PAGE_ROWS}
            ids = [local_id for (local_id,) in self._db.query(_SHADOWS, params)]
            missing = sorted(set(ids) - self._db.present(self._map.main, ids)) if ids else []
            busy = store.busy(self._db, self._record, missing)
        self.cost.keys += len(ids)
        self.findings += [Finding(self._record, key, MISSING) for key in missing if key not in busy]
        return ids[-1] if ids else None
