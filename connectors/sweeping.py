"""The third side of a connector: from time to time, at an easy pace, it sweeps the agency's rows (R30)."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any, Protocol

from connectors.metrics import Metrics

# A side that says nothing for longer counts as hanging.
LONGEST_REST_S = 30.0
# After a start people wait for deliveries, not for a sweep.
FIRST_REST_S = 60.0


class Sweeps(Protocol):
    """What sweeps: `connectors.sql.sweep.Sweeper`."""

    def connect(self) -> None:
        """Open the system; raises `Retriable` while it is away."""

    def rest_s(self, record: str, every_s: float) -> float:
        """How long until a sweep of these records is due; 0 if it is, or is under way."""

    def resume(self, record: str) -> bool:
        """Begin a sweep, or go on with the one that is under way; False while somebody else sweeps."""

    def step(self, record: str) -> Any:
        """The next page of the sweep that was begun."""

    def close(self) -> None: ...


class SweepSide:
    """Sweeps one record type after the other, each every `every_s` seconds, at `rows_per_s`."""

    name = "sweep"

    def __init__(
        self, sweeper: Sweeps, records: Sequence[str], every_s: float, rows_per_s: float, metrics: Metrics
    ) -> None:
        self._sweeper = sweeper
        self._records = records
        self._every_s = every_s
        self._rows_per_s = rows_per_s
        self._metrics = metrics
        self._not_before = 0.0
        # Whose sweep is under way: looked at first, since it alone is due until its end.
        self._at_work = ""

    def open(self) -> None:
        self._sweeper.connect()
        self._not_before = time.monotonic() + min(FIRST_REST_S, self._every_s)

    def step(self) -> float:
        early_s = self._not_before - time.monotonic()
        if early_s > 0:
            return min(early_s, LONGEST_REST_S)
        shortest_s, due = LONGEST_REST_S, None
        for record in sorted(self._records, key=lambda record: record != self._at_work):
            rest_s = self._sweeper.rest_s(record, self._every_s)
            if rest_s <= 0:
                due = record
                break
            shortest_s = min(shortest_s, rest_s)
        if due is None:
            return shortest_s
        if not self._sweeper.resume(due):
            return LONGEST_REST_S
        self._at_work = due
        return self._page(due)

    def _page(self, due: str) -> float:
        """Compare one page; how long until the next one."""
        page = self._sweeper.step(due)
        self._count(due, page)
        rest_s: float = (page.cost.rows + page.cost.keys) / self._rows_per_s - page.cost.seconds
        return min(max(0.0, rest_s), LONGEST_REST_S)

    def _count(self, record: str, page: Any) -> None:
        metrics = self._metrics
        metrics.sweep_rows.labels(record).inc(page.cost.rows + page.cost.keys)
        metrics.sweep_bytes.labels(record).inc(page.cost.bytes)
        metrics.sweep_seconds.labels(record).inc(page.cost.seconds)
        for finding in page.findings:
            metrics.sweep_findings.labels(record, finding.kind, finding.state).inc()
        if page.over:
            metrics.sweep_finished.labels(record).set_to_current_time()

    def close(self) -> None:
        self._sweeper.close()
