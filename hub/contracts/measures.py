"""What a process measures, as a table; its collectors are made from it.

The form lives here because hub, registry and connectors share it. Each keeps its own table
(`hub.ops.metrics`, `hub.registry.metrics`, `connectors.metrics`); `docs/metrics.md` is made from all three.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Literal, NamedTuple

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    Metric,
    ProcessCollector,
    disable_created_metrics,
)
from prometheus_client.metrics import MetricWrapperBase
from prometheus_client.registry import Collector

Kind = Literal["counter", "gauge", "histogram"]
Across = Literal["sum", "greatest", "least"]
COUNTER: Kind = "counter"
GAUGE: Kind = "gauge"
HISTOGRAM: Kind = "histogram"

# Delays, with the objective (5 s) and the longest that still counts as live (600 s) among the bounds.
DELAYS_S = (0.05, 0.1, 0.2, 0.3, 0.5, 0.75, 1.0, 2.0, 5.0, 10.0, 60.0, 600.0)
# How long one piece of work takes.
WORK_S = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
# How many at once.
SIZES = (1.0, 5.0, 20.0, 100.0, 200.0, 500.0, 1_000.0, 1_999.0)
# A label's value for whatever is not in the list that bounds it.
OTHER = "other"


class Measure(NamedTuple):
    """One metric: how it is made, what it means, and what to do when it looks wrong.

    `labels` take values from lists only: agencies and record types of the agreements, codes of ours. `given`:
    it is not counted here; its values are given by a collector of its own. `gauge_across`: of a gauge, which
    value counts where several processes tell one; a sum of ages, moments or states would mean nothing.
    """

    name: str
    kind: Kind
    labels: tuple[str, ...]
    unit: str
    meaning: str
    remedy: str
    buckets: tuple[float, ...] = ()
    given: bool = False
    gauge_across: Across = "greatest"

    @property
    def across(self) -> Across:
        """How the values of several processes are put together, for the same labels."""
        return self.gauge_across if self.kind == GAUGE else "sum"


class Measures:
    """The collectors of one table, in a registry of their own: nothing is registered on import.

    `everywhere`: labels that all samples of this process get when they are read, so that whatever counts
    need not know them. Several processes are told apart by whoever scrapes them; with
    PROMETHEUS_MULTIPROC_DIR, prometheus-client's own files join those of one machine.
    """

    def __init__(self, table: Iterable[Measure], everywhere: Mapping[str, str] | None = None) -> None:
        # When each series began: as many series again, and nobody asks.
        disable_created_metrics()  # type: ignore[no-untyped-call]
        self.counted = CollectorRegistry()
        ProcessCollector(registry=self.counted)
        self.registry: Collector = Everywhere(self.counted, everywhere) if everywhere else self.counted
        self._made = {one.name: _make(one, self.counted) for one in table if not one.given}

    def counter(self, name: str) -> Counter:
        made = self._made[name]
        assert isinstance(made, Counter)
        return made

    def gauge(self, name: str) -> Gauge:
        made = self._made[name]
        assert isinstance(made, Gauge)
        return made

    def histogram(self, name: str) -> Histogram:
        made = self._made[name]
        assert isinstance(made, Histogram)
        return made


class Everywhere(Collector):
    """What another collector tells, with labels added to every sample."""

    def __init__(self, inner: Collector, labels: Mapping[str, str]) -> None:
        self._inner = inner
        self._labels = dict(labels)

    def collect(self) -> Iterable[Metric]:
        for family in self._inner.collect():
            family.samples = [one._replace(labels={**self._labels, **one.labels}) for one in family.samples]
            yield family


def _make(measure: Measure, registry: CollectorRegistry) -> MetricWrapperBase:
    name, meaning, labels = measure.name, measure.meaning, measure.labels
    if measure.kind == COUNTER:
        return Counter(name, meaning, labels, registry=registry)
    if measure.kind == GAUGE:
        # Of several processes that share files: the last word, never a sum of what each saw of the same.
        return Gauge(name, meaning, labels, registry=registry, multiprocess_mode="mostrecent")
    return Histogram(name, meaning, labels, registry=registry, buckets=measure.buckets)


def observe_all(histogram: Histogram, values: Sequence[float]) -> None:
    """Observe a whole batch: one increment for each bucket that it falls into, not for each value.

    prometheus-client has no call for this; its own takes a lock and a walk through the buckets per value.
    """
    if not values:
        return
    bounds = histogram._upper_bounds
    counts = [0] * len(bounds)
    for value in values:
        counts[bisect_left(bounds, value)] += 1
    histogram._sum.inc(sum(values))
    for bucket, count in zip(histogram._buckets, counts, strict=True):
        if count:
            bucket.inc(count)


def bounded(value: str, known: Collection[str]) -> str:
    """`value` if it is one of a list, else one word for all others: a label from outside has no end."""
    return value if value in known else OTHER
