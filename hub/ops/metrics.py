"""Metrics as a specification: one table; a worker's collectors are made from it.

Labels are bounded: agencies and record types come from the agreements, codes from our own lists.
"""

from __future__ import annotations

import time
from collections import Counter as Count
from collections.abc import Iterable
from typing import NamedTuple

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.metrics import MetricWrapperBase

from hub.contracts import topics
from hub.lanes.converged import Converged
from hub.lanes.messages import OutMessage
from hub.lanes.reading import Message


class Metric(NamedTuple):
    """One metric: what it means, and what to do when it looks wrong."""

    name: str
    type: type[MetricWrapperBase]
    labels: tuple[str, ...]
    meaning: str
    remedy: str


_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)

SPECIFICATION: tuple[Metric, ...] = (
    Metric(
        "jisr_changes_total",
        Counter,
        ("agency", "record_type"),
        "Changes read from agencies and committed.",
        "Standing still while an agency works: is its connector running (jisr status)?",
    ),
    Metric(
        "jisr_published_total",
        Counter,
        ("topic",),
        "Messages published and acknowledged by the broker, by topic.",
        "Standing still while changes rise: look at the worker's log for Kafka.",
    ),
    Metric(
        "jisr_dead_letters_total",
        Counter,
        ("agency", "record_type", "code"),
        "Messages that could not be used.",
        "See the message in <agency>.dlq: it says what is wrong and where.",
    ),
    Metric(
        "jisr_answers_total",
        Counter,
        ("agency", "record_type", "reason"),
        "Edits that lost and were answered, by reason.",
        "Many no_authority from one agency: its staff edit what another agency decides.",
    ),
    Metric(
        "jisr_intake_batch_seconds",
        Histogram,
        (),
        "Time of one intake transaction.",
        "Growing: look at the store's load and at jisr_intake_batch_changes.",
    ),
    Metric(
        "jisr_intake_batch_changes",
        Gauge,
        (),
        "Changes in the last intake transaction.",
        "Always at the limit: the worker is behind; add workers.",
    ),
    Metric(
        "jisr_intake_lag_seconds",
        Gauge,
        ("agency", "record_type"),
        "Age of the newest change when it was committed: from its append to the commit.",
        "Above a few seconds: the worker is behind, or was away.",
    ),
    Metric(
        "jisr_delivered_timestamp_seconds",
        Gauge,
        ("agency", "record_type"),
        "When the agency's side last committed what it was told (Unix time).",
        "Old while changes flow: the agency's connector or database is down.",
    ),
    Metric(
        "jisr_receipts_skipped_total",
        Counter,
        ("agency",),
        "Receipts that could not be used.",
        "The agency's side writes receipts of the wrong form: see the worker's log.",
    ),
)


class Metrics:
    """One worker's metrics, in a registry of its own; implements the lanes' observer."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._by_name = {metric.name: self._make(metric) for metric in SPECIFICATION}

    def _make(self, metric: Metric) -> MetricWrapperBase:
        if metric.type is Histogram:
            return Histogram(
                metric.name, metric.meaning, metric.labels, registry=self.registry, buckets=_SECONDS
            )
        return metric.type(metric.name, metric.meaning, metric.labels, registry=self.registry)

    def _counter(self, name: str, *labels: str) -> Counter:
        metric = self._by_name[name]
        assert isinstance(metric, Counter)
        return metric.labels(*labels) if labels else metric

    def _gauge(self, name: str, *labels: str) -> Gauge:
        metric = self._by_name[name]
        assert isinstance(metric, Gauge)
        return metric.labels(*labels) if labels else metric

    def converged(self, messages: list[Message], done: Converged, seconds: float) -> None:
        histogram = self._by_name["jisr_intake_batch_seconds"]
        assert isinstance(histogram, Histogram)
        histogram.observe(seconds)
        self._gauge("jisr_intake_batch_changes").set(len(messages))
        now_ms = time.time() * 1000
        newest: dict[str, int] = {}
        for message in messages:
            newest[message.topic] = max(newest.get(message.topic, 0), message.timestamp_ms)
        for topic, count in Count(message.topic for message in messages).items():
            place = topics.split(topic)
            self._counter("jisr_changes_total", *place).inc(count)
            self._gauge("jisr_intake_lag_seconds", *place).set(max(0.0, now_ms - newest[topic]) / 1000)
        for dead in done.dead:
            self._counter("jisr_dead_letters_total", *topics.split(dead.message.topic), dead.code).inc()
        for settled in done.settled:
            for answer in settled.answers:
                for lost in answer.lost:
                    place = (answer.key.agency, answer.key.record_type)
                    self._counter("jisr_answers_total", *place, lost.reason).inc()

    def published(self, messages: Iterable[OutMessage]) -> None:
        for topic, count in Count(message.topic for message in messages).items():
            self._counter("jisr_published_total", topic).inc(count)

    def acknowledged(self, agency: str, record_type: str, committed_ms: int) -> None:
        self._gauge("jisr_delivered_timestamp_seconds", agency, record_type).set(committed_ms / 1000)

    def receipt_skipped(self, agency: str) -> None:
        self._counter("jisr_receipts_skipped_total", agency).inc()
