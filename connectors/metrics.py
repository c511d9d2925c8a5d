"""What a connector counts. One registry per process part, so that nothing is registered on import."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

# Seconds from the broker's append to the agency's commit; the promise is one second.
_LAG_BUCKETS = (0.05, 0.1, 0.2, 0.3, 0.5, 0.75, 1, 1.5, 2, 5, 10, 60, 600)


class Metrics:
    """The metrics of one connector."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.changes = Counter(
            "jisr_connector_changes_total",
            "Changes sent.",
            ["record", "operation"],
            registry=self.registry,
        )
        self.unmapped = Counter(
            "jisr_connector_unmapped_values_total",
            "Local values with no counterpart in the contract, left out of their change.",
            ["record", "field", "code"],
            registry=self.registry,
        )
        self.backlog = Gauge(
            "jisr_connector_backlog_rows", "Captured rows not sent yet.", registry=self.registry
        )
        self.deliveries = Counter(
            "jisr_connector_deliveries_total",
            "Deliveries by what became of them.",
            ["outcome"],
            registry=self.registry,
        )
        self.waiting = Gauge(
            "jisr_connector_waiting_deliveries",
            "Deliveries refused or waiting, by reason.",
            ["code"],
            registry=self.registry,
        )
        self.lag = Histogram(
            "jisr_connector_delivery_lag_seconds",
            "From the broker's append of a delivery to the agency's commit.",
            buckets=_LAG_BUCKETS,
            registry=self.registry,
        )
        self.sweep_rows = Counter(
            "jisr_connector_sweep_rows_total",
            "Rows and keys that sweeps read.",
            ["record"],
            registry=self.registry,
        )
        self.sweep_bytes = Counter(
            "jisr_connector_sweep_bytes_total",
            "Bytes of rows that sweeps read, about.",
            ["record"],
            registry=self.registry,
        )
        self.sweep_seconds = Counter(
            "jisr_connector_sweep_seconds_total",
            "Time that sweeps had a statement in the agency's database.",
            ["record"],
            registry=self.registry,
        )
        self.sweep_findings = Counter(
            "jisr_connector_sweep_findings_total",
            "Rows that were changed behind the triggers, by kind and by what became of it.",
            ["record", "kind", "state"],
            registry=self.registry,
        )
        self.sweep_finished = Gauge(
            "jisr_connector_sweep_finished_timestamp_seconds",
            "When the last sweep came to its end (Unix time).",
            ["record"],
            registry=self.registry,
        )
        self.restored = Counter(
            "jisr_connector_restored_total",
            "Times that the agency's database was found set back to an earlier state.",
            registry=self.registry,
        )
        self.receipts = Counter("jisr_connector_receipts_total", "Receipts sent.", registry=self.registry)
        self.retries = Counter(
            "jisr_connector_reconnects_total", "Times that a side was away.", ["side"], registry=self.registry
        )
        self.up = Gauge(
            "jisr_connector_up",
            "Whether a side is connected (1) or away (0).",
            ["side"],
            registry=self.registry,
        )
