"""The sweep: an agency's rows compared with what this side last knew of them (R30).

A sweep reads the rows of each record type by the order of their keys, a page at a time, each page at one
moment of the database together with its shadows and its queue. Compared is only what is at rest: nothing
captured, nothing dirty. Then it goes through the shadows, for rows that are gone. Where it is stands in the
database, so that it goes on after a restart. Nothing is locked, and nothing written to the agency's tables.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from connectors.sql import store, sweep_repair, sweep_state
from connectors.sql.convert import Converter
from connectors.sql.database import Database, patiently
from connectors.sql.local_values import Image
from connectors.sql.mapping import Mapping as AgencyMapping
from connectors.sql.row_print import printers, size, written
from connectors.sql.sweep_look import Look
from connectors.sql.sweep_state import (
    DONE,
    MISSING,
    ROWS,
    Cost,
    Finding,
    Sweep,
)
from hub.errors import Retriable

log = logging.getLogger(__name__)


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
        self._claimed = False

    def connect(self) -> None:
        self.db.connect()
        store.prepare(self.db, self.mapping.agency)
        self._ready.clear()
        self._claimed = False

    def close(self) -> None:
        self.db.close()

    def clock_ms(self) -> int:
        return self.db.clock_ms()

    def state(self, record: str) -> Sweep:
        return sweep_state.load(self.db, record)

    def begin(self, record: str) -> None:
        """Begin at the first row, whether or not an earlier sweep came to its end.

        Raises `Retriable` while another sweep is at work in this database.
        """
        self._claim()
        sweep = self.state(record)
        begun = replace(sweep, phase=ROWS, after=None, started_ms=self.clock_ms(), cost=Cost(), found={})
        patiently(lambda: sweep_state.save(self.db, begun))

    def resume(self, record: str) -> bool:
        """Go on with the sweep that is under way, or begin one; False while somebody else sweeps."""
        try:
            self._claim()
        except Retriable:
            return False
        if self.state(record).phase == DONE:
            self.begin(record)
        return True

    def _claim(self) -> None:
        if not self._claimed:
            self.db.claim("sweep")
            self._claimed = True
            # Read by a key's former type, rows would be missing that are there.
            self.db.forget_columns()

    def _release(self) -> None:
        if self._claimed:
            self.db.release("sweep")
            self._claimed = False

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
        look = Look(self.db, self.converters[record], self.printers[record])
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
        if sweep.phase == DONE:
            self._release()
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
            learnt = []
            for local_id, shadow in shadows.items():
                if local_id in busy or shadow.row_print is not None or 0 not in images[local_id]:
                    continue
                shadow.row_print = written(self.printers[record].of(images[local_id]))
                learnt.append(shadow)
            store.save_shadows(self.db, learnt)

    def images(self, record: str, ids: Sequence[str], cost: Cost) -> dict[str, dict[int, Image]]:
        """Rows of all tables of these records, by local id and part."""
        images: dict[str, dict[int, Image]] = {local_id: {} for local_id in ids}
        for table in self.mapping.records[record].tables:
            for key, (image, _) in self.db.rows(table, ids).items():
                images[key][table.part] = image
                cost.rows += 1
                cost.bytes += size(image)
        return images


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
