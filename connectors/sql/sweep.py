"""The sweep: an agency's rows compared with what this side last knew of them (R30).

A sweep reads the rows of each record type by the order of their keys, a page at a time, each page at one
moment of the database together with its shadows and its queue. Compared is only what is at rest: nothing
captured, nothing dirty. Then it goes through the shadows, for rows that are gone. Where it is stands in the
database, so that it goes on after a restart. Nothing is locked, and nothing written to the agency's tables.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace

from connectors.sql import store, sweep_repair, sweep_state
from connectors.sql.convert import Converter
from connectors.sql.database import Database, patiently
from connectors.sql.local_values import Image
from connectors.sql.mapping import Mapping as AgencyMapping
from connectors.sql.row_print import RowPrinter, printers, size, written
from connectors.sql.sweep_state import (
    DONE,
    EDITED,
    MISSING,
    ROWS,
    UNKNOWN,
    Cost,
    Finding,
    Sweep,
)

log = logging.getLogger(__name__)

# Rows of one page: some milliseconds of the agency's server, and as long a lock where prints are learnt.
PAGE_ROWS = 200
_SHADOWS = """
SELECT local_id FROM {shadow}
 WHERE record = :record AND local_id > :after AND NOT deleted ORDER BY local_id LIMIT :limit
"""
_PRINTS = """
SELECT local_id, row_print, deleted FROM {shadow} WHERE record = :record AND local_id IN_LIST(:ids)
"""
_LEARN = "UPDATE {shadow} SET row_print = :row_print WHERE record = :record AND local_id = :local_id"


@dataclass(frozen=True)
class Page:
    """What one page came to; `over` if it was the last of its record type."""

    record: str
    cost: Cost
    findings: Sequence[Finding]
    over: bool


class Sweeper:
    """Sweeps the record types of one mapping. One thread, one connection of its own.

    `repairs`: what is found becomes a captured edit; else it is only told.
    """

    def __init__(
        self,
        database: Database,
        mapping: AgencyMapping,
        converters: Mapping[str, Converter],
        *,
        repairs: bool,
    ) -> None:
        self.db = database
        self.mapping = mapping
        self.converters = converters
        self.repairs = repairs
        self.printers = printers(mapping.records)
        self._ready: set[str] = set()

    def connect(self) -> None:
        """Open the database; raises `Retriable` while another sweep is at work in it."""
        self.db.connect()
        self.db.claim("sweep")
        store.prepare(self.db)
        self._ready.clear()

    def close(self) -> None:
        self.db.close()

    def clock_ms(self) -> int:
        return self.db.clock_ms()

    def state(self, record: str) -> Sweep:
        return sweep_state.load(self.db, record)

    def begin(self, record: str) -> None:
        """Begin at the first row, whether or not an earlier sweep came to its end."""
        sweep = self.state(record)
        begun = replace(sweep, phase=ROWS, after=None, started_ms=self.clock_ms(), cost=Cost(), found={})
        patiently(lambda: sweep_state.save(self.db, begun))

    def resume(self, record: str) -> None:
        """Begin, unless a sweep is under way."""
        if self.state(record).phase == DONE:
            self.begin(record)

    def rest_s(self, record: str, every_s: float) -> float:
        """How long until a sweep is due; 0 if it is, or is under way. A snapshot comes first."""
        _, snapshots = store.state(self.db)
        if not snapshots.get(record, {}).get("done"):
            return every_s
        sweep = self.state(record)
        if sweep.phase != DONE:
            return 0.0
        return max(0.0, every_s - (self.clock_ms() - sweep.finished_ms) / 1000)

    def step(self, record: str) -> Page:
        """Compare the next page, note where it ended and what was found, and repair that if asked to."""
        if record not in self._ready:
            patiently(lambda: sweep_state.adopt_form(self.db, record, self.printers[record].form))
            self._ready.add(record)
        sweep = self.state(record)
        if sweep.phase == DONE:
            return Page(record, Cost(), (), over=True)
        look = _Look(self, record)
        after = patiently(lambda: look.rows(sweep.after) if sweep.phase == ROWS else look.gone(sweep.after))
        if look.unprinted:
            patiently(lambda: self._learn(record, look.unprinted, look.cost))
        findings = [self._settled(f) if f.kind != MISSING else f for f in look.findings]
        sweep = sweep_state.onward(sweep, after, look.cost, findings, self.clock_ms())
        patiently(lambda: self._note(sweep, findings))
        # Whether rows are gone one by one or by the table is known at the end.
        told = [finding for finding in findings if finding.kind != MISSING]
        if sweep.phase == DONE:
            told += self._missing(sweep)
        for finding in told:
            log.warning("%s: a row is not as it was known: %s", record, finding.text())
        return Page(record, look.cost, told, sweep.phase == DONE)

    def _settled(self, finding: Finding) -> Finding:
        if not self.repairs:
            return finding
        repair = sweep_repair.Repair(self.db, self.mapping.records[finding.record], self.converters)
        return replace(finding, state=patiently(lambda: repair.carry_out(finding)))

    def _missing(self, sweep: Sweep) -> list[Finding]:
        """What became of rows that are gone: a table that was emptied must not empty the hub (R32)."""
        missing = sweep_state.findings(self.db, sweep.record, MISSING)
        count = sweep.found.get(MISSING, 0)
        if count > sweep_repair.MISSING_LIMIT:
            log.error(
                "%s: %d rows are gone behind the triggers: too many to be passed on", sweep.record, count
            )
            return missing
        settled = [self._settled(finding) for finding in missing]
        patiently(lambda: self._note(sweep, settled))
        return settled

    def _note(self, sweep: Sweep, findings: Sequence[Finding]) -> None:
        with self.db.transaction():
            sweep_state.keep(self.db, sweep, findings, self.db.clock_ms())
            sweep_state.save(self.db, sweep)
            if sweep.phase == DONE:
                sweep_state.forget_older(self.db, sweep)

    def _learn(self, record: str, ids: Sequence[str], cost: Cost) -> None:
        """Note what rows look like of which it is not known.

        Under the shadows' locks neither source nor sink can tell them anything; a row of which nothing
        is captured after it was read is as it was read.
        """
        with self.db.transaction():
            shadows = store.locked_shadows(self.db, record, ids)
            images = self.images(record, ids, cost)
            busy = store.busy(self.db, record, ids)
            for local_id in ids:
                if local_id in busy or shadows[local_id].row_print is not None or 0 not in images[local_id]:
                    continue
                found = written(self.printers[record].of(images[local_id]))
                self.db.execute(_LEARN, {"record": record, "local_id": local_id, "row_print": found})

    def images(self, record: str, ids: Sequence[str], cost: Cost) -> dict[str, dict[int, Image]]:
        """Rows of all tables of these records, by local id and part."""
        images: dict[str, dict[int, Image]] = {local_id: {} for local_id in ids}
        for table in self.mapping.records[record].tables:
            for key, (image, _) in self.db.rows(table, ids).items():
                images[key][table.part] = image
                cost.rows += 1
                cost.bytes += size(image)
        return images


class _Look:
    """One page, read and compared."""

    def __init__(self, sweeper: Sweeper, record: str) -> None:
        self._db = sweeper.db
        self._record = record
        self._map = sweeper.mapping.records[record]
        self._printer: RowPrinter = sweeper.printers[record]
        self._slots = sweeper.converters[record].slots
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


def sweep_all(
    sweeper: Sweeper, records: Sequence[str], rows_per_s: float, sleep: Callable[[float], None] = time.sleep
) -> Iterator[Page]:
    """A whole sweep of these record types, from the beginning, at a pace."""
    for record in records:
        sweeper.begin(record)
        while True:
            page = sweeper.step(record)
            yield page
            if page.over:
                break
            sleep(pause_s(page.cost, rows_per_s))


def pause_s(cost: Cost, rows_per_s: float) -> float:
    """How long to rest after a page; the time that it took counts."""
    return max(0.0, (cost.rows + cost.keys) / rows_per_s - cost.seconds)
