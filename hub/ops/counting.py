"""What a worker counts of its own work: the lanes' observer. Increments are per batch, not per change."""

from __future__ import annotations

import time
from collections import Counter as Count
from collections.abc import Callable, Iterable

from hub.contracts import topics
from hub.contracts.measures import Measures, bounded, observe_all
from hub.core import stamps
from hub.core.brakes import KINDS
from hub.lanes.converged import Converged
from hub.lanes.messages import OutMessage
from hub.lanes.reading import Message, Read
from hub.ops.metrics import COUNTED
from hub.ops.remedies import REMEDIES

# What somebody at the agency did just now; a snapshot says what was there long before.
_EDITS = frozenset({"insert", "update", "delete"})
# Dead letters whose schema is at fault.
SCHEMA_CODES = frozenset({"undecodable", "unknown_schema_id", "unsafe_schema", "wrong_schema"})


class Counting:
    """One worker's counters, in a registry of their own; implements the lanes' observer."""

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self.measures = Measures(COUNTED)
        self._clock = clock
        counter, gauge, histogram = self.measures.counter, self.measures.gauge, self.measures.histogram
        self._changes = counter("jisr_changes_total")
        self._delay = histogram("jisr_change_delay_seconds")
        self._skew = gauge("jisr_clock_skew_seconds")
        self._published = counter("jisr_published_total")
        self._dead = counter("jisr_dead_letters_total")
        self._schema = counter("jisr_schema_rejections_total")
        self._answers = counter("jisr_answers_total")
        self._echoes = counter("jisr_echoes_total")
        self._braked = counter("jisr_braked_changes_total")
        self._links = counter("jisr_match_links_total")
        self._seconds = histogram("jisr_intake_batch_seconds")
        self._sizes = histogram("jisr_intake_batch_changes")
        self._delivered = gauge("jisr_delivered_timestamp_seconds")
        self._skipped = counter("jisr_receipts_skipped_total")
        self._failures = counter("jisr_gathering_failures_total")

    def converged(self, read: Read, messages: list[Message], done: Converged, seconds: float) -> None:
        self._seconds.observe(seconds)
        self._sizes.observe(len(messages))
        for topic, count in Count(message.topic for message in messages).items():
            self._changes.labels(*topics.split(topic)).inc(count)
        self._count_delays(read)
        self._count_refusals(done)
        for place, count in done.echoes.items():
            self._echoes.labels(*place).inc(count)
        for place, count in Count(_matched(done)).items():
            self._links.labels(*place).inc(count)

    def _count_delays(self, read: Read) -> None:
        now_ms = int(self._clock() * 1000)
        delays: dict[str, list[float]] = {}
        ahead: dict[str, int] = {}
        for change, message in read.changes:
            if change.operation in _EDITS:
                at_ms, agency = change.stamp >> stamps.COUNTER_BITS, change.key.agency
                delays.setdefault(agency, []).append(max(0, now_ms - at_ms) / 1000)
                ahead[agency] = max(
                    ahead.get(agency, at_ms - message.timestamp_ms), at_ms - message.timestamp_ms
                )
        for agency, values in delays.items():
            observe_all(self._delay.labels(agency), values)
            self._skew.labels(agency).set(ahead[agency] / 1000)

    def _count_refusals(self, done: Converged) -> None:
        for dead in done.dead:
            place = topics.split(dead.message.topic)
            code = bounded(dead.code, REMEDIES)
            self._dead.labels(*place, code).inc()
            if code in SCHEMA_CODES:
                self._schema.labels(*place, code).inc()
        lost = Count(
            (answer.key.agency, answer.key.record_type, one.reason)
            for settled in done.settled
            for answer in settled.answers
            for one in answer.lost
        )
        for place_and_reason, count in lost.items():
            self._answers.labels(*place_and_reason).inc(count)
        for note in done.notes:
            if note.reason in KINDS:
                self._braked.labels(note.key.agency, note.key.record_type, note.reason).inc(note.records)

    def published(self, messages: Iterable[OutMessage]) -> None:
        for topic, count in Count(message.topic for message in messages).items():
            self._published.labels(topic).inc(count)

    def acknowledged(self, agency: str, record_type: str, committed_ms: int) -> None:
        self._delivered.labels(agency, record_type).set(committed_ms / 1000)

    def receipt_skipped(self, agency: str) -> None:
        self._skipped.labels(agency).inc()

    def gathering_failed(self, part: str) -> None:
        self._failures.labels(part).inc()


def _matched(done: Converged) -> Iterable[tuple[str, str]]:
    """Records that now stand for an entity which another record founded.

    Not those that an agency created because it was told to hold the entity: they were never anybody else.
    """
    for record, (state, entity) in done.links.items():
        if entity.id != record and state.linked is None and state.live:
            yield state.key.agency, state.key.record_type
