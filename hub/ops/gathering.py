"""Gathers what metrics tell of Kafka's offsets and of the store: now and then, in a thread of its own.

Never per scrape: how often somebody looks must not decide what the store has to do. What could not be
gathered is forgotten, so that nobody takes an old number for a new one.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from typing import NamedTuple

from hub.contracts import topics
from hub.contracts.agreements import Agreement
from hub.contracts.kafka_connection import KafkaConnection
from hub.contracts.policies import day_number
from hub.lanes.joining import Joining
from hub.ops import counts, store_gauges
from hub.ops.counts import Place, Side
from hub.ops.log_reader import LogReader
from hub.ops.parts import today
from hub.ops.store_gauges import StoreGauges
from hub.store.engine import HubStore

log = logging.getLogger(__name__)

OFFSETS, STORE, REFERENCES = "offsets", "store", "references"
# How often each part is gathered; the last looks at every reference there is.
EVERY_S: Mapping[str, float] = {OFFSETS: 5.0, STORE: 10.0, REFERENCES: 300.0}
# How long one statement may take.
STATEMENT_MS: Mapping[str, int] = {STORE: 2_000, REFERENCES: 10_000, OFFSETS: 2_000}
# What is older than so many rounds is not told any more.
FORGOTTEN_AFTER_ROUNDS = 6
# The first message of each partition that is behind is all that is wanted.
_PEEK_BYTES = 16 * 1024
INTAKE, DELIVERY, RECEIPTS = "intake", "delivery", "receipts"
# Lane, agency, record type.
LaneSide = tuple[str, str, str]


class Behind(NamedTuple):
    """What a lane has not dealt with of one side: how much, and when the oldest was appended (Unix ms)."""

    number: int
    oldest_ms: int


@dataclass(frozen=True)
class Offsets:
    """One look at Kafka's offsets beside the store's positions; every lane and side is there."""

    behind: Mapping[LaneSide, Behind | None]
    missing_topics: int


@dataclass(frozen=True)
class StoreLook:
    """One look at the store."""

    gauges: StoreGauges
    joining: frozenset[str]


@dataclass
class Gathered:
    """The last of each part, with when it was gathered (`time.time`); replaced whole, never changed."""

    offsets: Offsets | None = None
    store: StoreLook | None = None
    references: Mapping[Side, int] | None = None
    at: dict[str, float] = field(default_factory=dict)


class Gatherer:
    """Gathers every part in turn, until closed. `failed` is told of a part that could not be."""

    def __init__(
        self,
        kafka: KafkaConnection,
        store: HubStore,
        agreements: Mapping[str, Agreement],
        joining: Joining,
        failed: Callable[[str], None],
        every_s: Mapping[str, float] = EVERY_S,
    ) -> None:
        """`joining` must be of this thread alone."""
        self._kafka = kafka
        self._store = store
        self._joining = joining
        self._failed = failed
        self._every_s = every_s
        self.sides = [(one.agency, kind) for one in agreements.values() for kind in one.record_types]
        self.agencies = tuple(agreements)
        self.topics: dict[str, LaneSide] = {}
        for side in self.sides:
            self.topics[topics.changes(*side)] = (INTAKE, *side)
            self.topics[topics.inbox(*side)] = (DELIVERY, *side)
        self.topics |= {topics.receipts(agency): (RECEIPTS, agency, "") for agency in self.agencies}
        self.gathered = Gathered()
        self._parts: Mapping[str, Callable[[], object]] = {
            OFFSETS: self._look_at_offsets,
            STORE: self._look_at_store,
            REFERENCES: self._look_at_references,
        }
        self._appended: dict[Place, tuple[int, int]] = {}
        self._log: LogReader | None = None
        self._failing: set[str] = set()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="jisr-gatherer", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def close(self) -> None:
        """Ask the thread to end; it does so after what it is at."""
        self._stop.set()

    def _run(self) -> None:
        due = dict.fromkeys(EVERY_S, 0.0)
        while not self._stop.is_set():
            for part in [name for name, at in due.items() if time.monotonic() >= at]:
                self.gather(part)
                due[part] = time.monotonic() + self._every_s[part]
            self._stop.wait(max(0.05, min(due.values()) - time.monotonic()))
        self._drop_log()

    def gather(self, part: str) -> None:
        """Gather one part now; a failure is counted, and what is old is forgotten."""
        try:
            setattr(self.gathered, part, self._parts[part]())
            self.gathered.at[part] = time.time()
            self._failing.discard(part)
        except Exception as error:
            # Whatever it was, the worker's lanes must not end for it, nor the next round fail to come.
            if self._stop.is_set():
                return
            if part not in self._failing:
                log.warning("metrics: %s cannot be gathered: %s", part, error)
            self._failing.add(part)
            self._failed(part)
            self._drop_log()
            if time.time() - self.gathered.at.get(part, 0.0) > FORGOTTEN_AFTER_ROUNDS * self._every_s[part]:
                setattr(self.gathered, part, None)

    def _drop_log(self) -> None:
        if self._log is not None:
            with closing(self._log):
                self._log = None

    # Offsets

    def _look_at_offsets(self) -> Offsets:
        """What was said before the first step is read by the end, or is behind (see `StatusReader`)."""
        if self._log is None:
            self._log = LogReader(self._kafka, fetch_bytes=_PEEK_BYTES)
        places, missing = self._log.places(self.topics)
        beginnings, ends = self._log.beginnings(places), self._log.ends(places)
        with self._store.begin() as tx:
            store_gauges.gently(tx, STATEMENT_MS[OFFSETS])
            # Receipts also say where an agency's snapshot ends in its own topics: there, positions speak.
            reached = counts.receipt_watermarks(tx) | counts.lane_positions(tx)
        behind = counts.backlog(places, beginnings, ends, reached)
        appended = self._append_times({place: first for place, (first, _) in behind.items()})
        found: dict[LaneSide, Behind | None] = dict.fromkeys(self.topics.values())
        for place, (_, number) in behind.items():
            lane_side = self.topics[place[0]]
            known = found[lane_side] or Behind(0, appended[place])
            found[lane_side] = Behind(known.number + number, min(known.oldest_ms, appended[place]))
        return Offsets(found, len(missing))

    def _append_times(self, firsts: Mapping[Place, int]) -> dict[Place, int]:
        """When each of these messages was appended; what was asked before is not read again."""
        assert self._log is not None
        new = {place: at for place, at in firsts.items() if self._appended.get(place, (-1, 0))[0] != at}
        times = self._log.timestamps(new)
        known = {place: self._appended[place] for place in firsts if place not in new}
        self._appended = known | {place: (at, times[place]) for place, at in new.items()}
        return {place: ms for place, (_, ms) in self._appended.items()}

    # The store

    def _look_at_store(self) -> StoreLook:
        with self._store.begin() as tx:
            store_gauges.gently(tx, STATEMENT_MS[STORE])
            gauges = store_gauges.look(tx, self.sides, day_number(today()))
            return StoreLook(gauges, self._joining.agencies(tx))

    def _look_at_references(self) -> Mapping[Side, int]:
        with self._store.begin() as tx:
            store_gauges.gently(tx, STATEMENT_MS[REFERENCES])
            return store_gauges.waiting_references(tx)


def ages(moments_ms: Iterable[int], now_ms: float) -> float:
    """Age in seconds of the oldest of these moments; 0 where there is none."""
    oldest = min(moments_ms, default=None)
    return 0.0 if oldest is None else max(0.0, now_ms - oldest) / 1000
