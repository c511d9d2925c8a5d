"""What a connector counts: its table, and the counters made from it. Nothing is registered on import.

Every sample carries the agency as a label: added when it is read, so that what counts need not know it.
"""

from __future__ import annotations

import time
from collections import Counter as Count
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from connectors.sdk import Change, Delivery
from hub.contracts.certificates import CERTIFICATES, Certificates
from hub.contracts.measures import COUNTER, DELAYS_S, GAUGE, HISTOGRAM, SIZES, Measure, Measures, observe_all
from hub.core import stamps

# A delivery that was published so long after the edit that it tells says something old again, or ends an
# outage: how late the edit was, the hub has counted when it took it in (`jisr_change_delay_seconds`).
LIVE_WITHIN_MS = 600_000

SPECIFICATION: tuple[Measure, ...] = (
    Measure(
        "jisr_connector_changes_total",
        COUNTER,
        ("record_type", "operation"),
        "changes",
        "Changes sent.",
        "Standing still while people work: does the backlog grow, or is capture gone?",
    ),
    Measure(
        "jisr_connector_batch_changes",
        HISTOGRAM,
        (),
        "changes",
        "Changes sent at once.",
        "Mostly large: a snapshot or an import is on its way.",
        SIZES,
    ),
    Measure(
        "jisr_connector_unmapped_values_total",
        COUNTER,
        ("record_type", "field", "code"),
        "values",
        "Local values with no counterpart in the contract, left out of their change.",
        "Rising: a code list in the mapping is incomplete, or staff write what the contract does not allow.",
    ),
    Measure(
        "jisr_connector_backlog_rows",
        GAUGE,
        (),
        "rows",
        "Captured rows that are not sent yet.",
        "Growing: Kafka is away, or more is written than is sent.",
    ),
    Measure(
        "jisr_connector_deliveries_total",
        COUNTER,
        ("outcome",),
        "deliveries",
        "Deliveries by what became of them.",
        "Many `refused`: see the write errors. Many `superseded`: it is catching up.",
    ),
    Measure(
        "jisr_connector_batch_deliveries",
        HISTOGRAM,
        (),
        "deliveries",
        "Deliveries that one poll brought.",
        "Mostly large: it is catching up.",
        SIZES,
    ),
    Measure(
        "jisr_connector_waiting_deliveries",
        GAUGE,
        ("code",),
        "deliveries",
        "Deliveries refused or waiting, by reason.",
        "`locked`, `local_edit`: people at work, it passes. Else: `jisr connector status` names the column.",
    ),
    Measure(
        "jisr_connector_write_errors_total",
        COUNTER,
        ("record_type", "code"),
        "writes",
        "Writes that were put off, by kind: the database did not take them, or has no place for the value.",
        "`locked`, `local_edit`: people at work. Others: the table's rules, or a code list; mend them.",
    ),
    Measure(
        "jisr_connector_delivery_lag_seconds",
        HISTOGRAM,
        (),
        "seconds",
        "From the broker's append of a delivery to the agency's commit.",
        "Above a second: the agency's database is slow, locked or was away.",
        DELAYS_S,
    ),
    Measure(
        "jisr_connector_convergence_seconds",
        HISTOGRAM,
        (),
        "seconds",
        "End to end: from the commit of an edit at its agency to the commit of what it became here, by both "
        "databases' clocks. Only what was published within 600 s of its edit: the rest says old things.",
        "Above the promise of 1 s or the objective of 5 s: compare `jisr_change_delay_seconds` and the "
        "delivery lag to see which half is slow.",
        DELAYS_S,
    ),
    Measure(
        "jisr_connector_sweep_rows_total",
        COUNTER,
        ("record_type",),
        "rows",
        "Rows and keys that sweeps read: their load on the agency's database.",
        "Too many at a time: lower `JISR_SWEEP_ROWS_PER_S`.",
    ),
    Measure(
        "jisr_connector_sweep_bytes_total",
        COUNTER,
        ("record_type",),
        "bytes",
        "Bytes of rows that sweeps read, about.",
        "As above.",
    ),
    Measure(
        "jisr_connector_sweep_seconds_total",
        COUNTER,
        ("record_type",),
        "seconds",
        "Time that sweeps had a statement in the agency's database.",
        "As above.",
    ),
    Measure(
        "jisr_connector_sweep_findings_total",
        COUNTER,
        ("record_type", "kind", "state"),
        "rows",
        "Drift: rows changed behind the triggers: `edited`, `unknown` or `missing`; and `repaired`, `raised` "
        "or `busy`.",
        "Any: somebody writes where capture does not see it; `jisr connector sweep` names the rows.",
    ),
    Measure(
        "jisr_connector_sweep_finished_timestamp_seconds",
        GAUGE,
        ("record_type",),
        "Unix seconds",
        "When the last sweep came to its end.",
        "Days ago: the connector does not sweep, or its pace is too low for the table.",
    ),
    Measure(
        "jisr_connector_restored_total",
        COUNTER,
        (),
        "times",
        "Times that the agency's database was found set back to an earlier state.",
        "Any that nobody announced: ask the agency. Its rows are being read again.",
    ),
    Measure(
        "jisr_connector_notices_total",
        COUNTER,
        ("kind",),
        "notices",
        "Notices shown to the agency's staff in `jisr_notice`.",
        "Many `answered`: its staff edit what another agency decides, or too late.",
    ),
    Measure(
        "jisr_connector_receipts_total",
        COUNTER,
        (),
        "receipts",
        "Receipts sent.",
        "Standing still while deliveries rise: Kafka does not take them.",
    ),
    Measure(
        "jisr_connector_reconnects_total",
        COUNTER,
        ("side",),
        "times",
        "Times that a side was away.",
        "Rising often: the network or a server between the agency and the hub is unsteady.",
    ),
    Measure(
        "jisr_connector_up",
        GAUGE,
        ("side",),
        "0 or 1",
        "Whether a side (`source`, `sink`, `notices`, `sweep`, `control`) is connected (1), or is away or "
        "paused (0).",
        "0: the agency's database or Kafka does not answer; the connector's log says which. Or it is paused.",
    ),
    Measure(
        "jisr_connector_paused_timestamp_seconds",
        GAUGE,
        ("side",),
        "Unix seconds",
        "When an operator paused a side; 0 while it is not paused. Its backlog is not measured meanwhile.",
        "Hours ago: `jisr status` says who paused it and why; `jisr connector resume` ends it.",
    ),
    CERTIFICATES,
)


class Metrics:
    """The metrics of one agency's connector."""

    def __init__(
        self, agency: str, certificates: Sequence[Path] = (), clock: Callable[[], float] = time.time
    ) -> None:
        measures = Measures(SPECIFICATION, {"agency": agency})
        measures.counted.register(Certificates(certificates))
        self.registry = measures.registry
        self._clock = clock
        counter, gauge, histogram = measures.counter, measures.gauge, measures.histogram
        self._changes = counter("jisr_connector_changes_total")
        self._batch_changes = histogram("jisr_connector_batch_changes")
        self.unmapped = counter("jisr_connector_unmapped_values_total")
        self.backlog = gauge("jisr_connector_backlog_rows")
        self.deliveries = counter("jisr_connector_deliveries_total")
        self._batch_deliveries = histogram("jisr_connector_batch_deliveries")
        self.waiting = gauge("jisr_connector_waiting_deliveries")
        self.write_errors = counter("jisr_connector_write_errors_total")
        self._lag = histogram("jisr_connector_delivery_lag_seconds")
        self._convergence = histogram("jisr_connector_convergence_seconds")
        self.sweep_rows = counter("jisr_connector_sweep_rows_total")
        self.sweep_bytes = counter("jisr_connector_sweep_bytes_total")
        self.sweep_seconds = counter("jisr_connector_sweep_seconds_total")
        self.sweep_findings = counter("jisr_connector_sweep_findings_total")
        self.sweep_finished = gauge("jisr_connector_sweep_finished_timestamp_seconds")
        self.restored = counter("jisr_connector_restored_total")
        self.notices = counter("jisr_connector_notices_total")
        self.receipts = counter("jisr_connector_receipts_total")
        self.retries = counter("jisr_connector_reconnects_total")
        self.up = gauge("jisr_connector_up")
        self.paused = gauge("jisr_connector_paused_timestamp_seconds")

    def sent(self, changes: Sequence[Change]) -> None:
        """Changes were acknowledged by the broker, as one batch."""
        self._batch_changes.observe(len(changes))
        for labels, count in Count((one.record_type, one.operation) for one in changes).items():
            self._changes.labels(*labels).inc(count)

    def applied(self, deliveries: Iterable[Delivery]) -> None:
        """What one poll brought is committed at the agency, or put off."""
        now_ms = self._clock() * 1000
        lags: list[float] = []
        delays: list[float] = []
        for one in deliveries:
            lags.append(max(0.0, now_ms - one.appended_ms) / 1000)
            edited_ms = one.stamp >> stamps.COUNTER_BITS
            if one.appended_ms - edited_ms <= LIVE_WITHIN_MS:
                delays.append(max(0.0, now_ms - edited_ms) / 1000)
        if lags:
            self._batch_deliveries.observe(len(lags))
            observe_all(self._lag, lags)
            observe_all(self._convergence, delays)
