"""What a worker tells without counting it: gathered values, as old as they are by now, and its own state."""

from __future__ import annotations

import datetime
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from prometheus_client import Metric
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from hub.contracts.agreements import Agreement
from hub.ops.gathering import DELIVERY, INTAKE, Behind, Gatherer, Offsets, StoreLook, ages
from hub.ops.metrics import GIVEN
from hub.ops.parts import MOROCCO

_MEASURES = {measure.name: measure for measure in GIVEN}
# The values of one metric, by the tuple of its labels' values.
Values = Mapping[Any, float]


class LaneState(NamedTuple):
    """How one of this worker's lanes is: `progress` by `time.monotonic`."""

    name: str
    ready: bool
    progress: float


class Gauges(Collector):
    """Tells what was gathered last; costs a scrape nothing but writing it down."""

    def __init__(
        self,
        gatherer: Gatherer,
        agreements: Mapping[str, Agreement],
        lanes: Callable[[], Sequence[LaneState]],
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._gatherer = gatherer
        self._lanes = lanes
        self._clock = clock
        self._expiries = dict(_expiries(agreements))

    def collect(self) -> Iterable[Metric]:
        for name, values in self._values():
            measure = _MEASURES[name]
            family = GaugeMetricFamily(name, measure.meaning, labels=measure.labels)
            for labels, value in sorted(values.items()):
                family.add_metric(labels, value)
            yield family

    def _values(self) -> Iterator[tuple[str, Values]]:
        lanes, now = self._lanes(), time.monotonic()
        yield "jisr_lane_ready", {(lane.name,): float(lane.ready) for lane in lanes}
        yield "jisr_lane_idle_seconds", {(lane.name,): now - lane.progress for lane in lanes}
        yield from self._expiries.items()
        gathered, now_ms = self._gatherer.gathered, self._clock() * 1000
        yield "jisr_gathered_timestamp_seconds", {(part,): at for part, at in gathered.at.items()}
        if gathered.offsets is not None:
            yield from _of_offsets(gathered.offsets, now_ms)
        if gathered.store is not None:
            yield from self._of_store(gathered.store, now_ms)
        if gathered.references is not None:
            none: dict[Any, float] = dict.fromkeys(self._gatherer.sides, 0.0)
            yield "jisr_waiting_references", none | dict(gathered.references)

    def _of_store(self, look: StoreLook, now_ms: float) -> Iterator[tuple[str, Values]]:
        found, agencies = look.gauges, self._gatherer.agencies
        # A side of which there is nothing is told as 0: an alert must see it end.
        none: dict[Any, float] = dict.fromkeys(self._gatherer.sides, 0.0)
        yield "jisr_entitled_entities", none | found.entitled
        yield "jisr_joining", {(agency,): float(agency in look.joining) for agency in agencies}
        yield "jisr_open_dead_letters", none | found.dead
        yield "jisr_disputed_fields", none | found.disputed
        yield "jisr_held_changes", none | {side: one.number for side, one in found.held.items()}
        yield "jisr_open_brakes", dict.fromkeys(found.brakes, 1.0)
        held = {a: [one.oldest_ms for side, one in found.held.items() if side[0] == a] for a in agencies}
        yield "jisr_held_age_seconds", {(agency,): ages(at, now_ms) for agency, at in held.items()}
        yield "jisr_undelivered_entities", {key: one.number for key, one in found.undelivered.items()}
        oldest: dict[tuple[str, str], list[int]] = {}
        for (agency, _, state, _), one in found.undelivered.items():
            oldest.setdefault((agency, state), []).append(one.oldest_ms)
        yield "jisr_undelivered_age_seconds", {key: ages(at, now_ms) for key, at in oldest.items()}
        kinds: dict[Any, float] = dict.fromkeys([(kind,) for _, kind in self._gatherer.sides], 0.0)
        yield "jisr_open_reviews", kinds | {(kind,): one.number for kind, one in found.reviews.items()}
        reviews = {(kind,): ages([one.oldest_ms], now_ms) for kind, one in found.reviews.items()}
        yield "jisr_review_age_seconds", kinds | reviews
        yield "jisr_due_entities", {(): float(found.due)}
        yield "jisr_unpublished_entities", {(): float(found.unpublished.number)}
        unpublished = [found.unpublished.oldest_ms] if found.unpublished.oldest_ms else []
        yield "jisr_unpublished_age_seconds", {(): ages(unpublished, now_ms)}
        sweeps = found.sweeps.items()
        yield "jisr_topic_sweep_findings", {(topic,): float(one.findings) for topic, one in sweeps}
        yield "jisr_topic_swept_timestamp_seconds", {(topic,): one.at_ms / 1000 for topic, one in sweeps}


def _of_offsets(offsets: Offsets, now_ms: float) -> Iterator[tuple[str, Values]]:
    behind = offsets.behind
    yield "jisr_lag_seconds", {key: _age(one, now_ms) for key, one in behind.items()}
    yield "jisr_pending_messages", {key: float(one.number if one else 0) for key, one in behind.items()}
    age: dict[tuple[str, ...], float] = {}
    for (lane, agency, _), one in behind.items():
        if lane in (INTAKE, DELIVERY):
            age[(agency,)] = max(age.get((agency,), 0.0), _age(one, now_ms))
    yield "jisr_convergence_age_seconds", age
    yield "jisr_missing_topics", {(): float(offsets.missing_topics)}


def _age(one: Behind | None, now_ms: float) -> float:
    return ages([one.oldest_ms] if one else [], now_ms)


def _expiries(agreements: Mapping[str, Agreement]) -> Iterator[tuple[str, Values]]:
    """When agreements and grants end; they are part of the release, so they are read once."""
    yield (
        "jisr_agreement_expires_timestamp_seconds",
        {(name,): _after(one.until) for name, one in agreements.items()},
    )
    grants: dict[tuple[str, ...], float] = {}
    for name, agreement in agreements.items():
        for kind, those in agreement.receives.items():
            ends = [_after(g.until) for g in those if g.until is not None and g.until < agreement.until]
            if ends:
                grants[name, kind] = min(ends)
    yield "jisr_grant_expires_timestamp_seconds", grants


def _after(day: datetime.date) -> float:
    """The moment (Unix s) when a last day is over in Morocco."""
    return datetime.datetime.combine(day + datetime.timedelta(days=1), datetime.time(), MOROCCO).timestamp()
