"""The status that all readers share: looked at once for everybody, however many look (decision 024)."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

from hub.errors import Retriable
from hub.ops.brakes import Brakes
from hub.ops.log_reader import PEEK_BYTES, LogReader
from hub.ops.parts import Parts
from hub.ops.status import Status, StatusReader
from hub.store.brakes import Brake

# What is older than this is looked at again, when somebody asks; and not before ten times as long as the last
# look took, since with millions of records it costs the store a second or two.
FRESH_S = 2.0
_RARELY = 10
# For so long somebody waits for a look that is under way, rather than be shown the one before; unless that
# is older by so much that it would mislead.
PATIENCE_S = 0.05
STALE_S = 30.0
# For so long after a look in vain nobody tries again: each try takes seconds, and readers queue behind it.
AWAY_S = 5.0


@dataclass(frozen=True)
class Snapshot:
    """One look: the status, and the masses of changes that a brake holds (R32)."""

    status: Status
    brakes: tuple[Brake, ...]


class LiveStatus:
    """The latest look. Thread-safe: one reader of Kafka's offsets serves everybody. Blocks."""

    def __init__(
        self,
        parts: Parts,
        open_log: Callable[[], LogReader] | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._parts = parts
        self._open_log = open_log or (lambda: LogReader(parts.settings.kafka, PEEK_BYTES))
        self._brakes = Brakes(parts)
        self._clock = clock
        self._lock = threading.Lock()
        self._looker = ThreadPoolExecutor(1, "look")
        self._under_way: Future[Snapshot] | None = None
        self._log: LogReader | None = None
        self._reader: StatusReader | None = None
        self._last: tuple[float, Snapshot] | None = None
        self._away: tuple[float, str] | None = None
        self._fresh_s = FRESH_S

    def snapshot(self) -> Snapshot:
        """Some seconds old at most, where a look takes no longer than that. `status.at` says when it was.

        With millions of records a look takes a second or two: who asks meanwhile gets the one before.
        Raises `Retriable` while the store or Kafka is away.
        """
        with self._lock:
            last, now = self._last, self._clock()
            if last is not None and now - last[0] <= self._fresh_s:
                return last[1]
            if self._away is not None and now - self._away[0] <= AWAY_S:
                raise Retriable(self._away[1])
            if self._under_way is None:
                self._under_way = self._looker.submit(self._look_anew)
            look = self._under_way
        if last is None or now - last[0] > self._fresh_s + STALE_S:
            return look.result()
        try:
            return look.result(PATIENCE_S)
        except TimeoutError:
            return last[1]

    def outdated(self) -> None:
        """Somebody changed what it shows: the next to ask looks anew."""
        with self._lock:
            self._last = None

    def reader(self) -> LogReader:
        """A reader of Kafka of one's own; close it. Raises `Retriable` while Kafka is away."""
        return self._open_log()

    def _look_anew(self) -> Snapshot:
        begun = self._clock()
        try:
            found = self._look()
        except BaseException as error:
            with self._lock:
                self._under_way = None
                if isinstance(error, Retriable):
                    self._away = self._clock(), str(error)
            raise
        with self._lock:
            self._under_way = None
            self._last = self._clock(), found
            # Rates need a second look: whoever begins to watch does not wait long for it.
            rated = not any(one.changes_per_second is None for one in found.status.standings)
            self._fresh_s = max(FRESH_S, _RARELY * (self._last[0] - begun) if rated else 0.0)
        return found

    def _look(self) -> Snapshot:
        if self._reader is None:
            # Not at the start: the console is there to say so while Kafka is away.
            self._log = self._open_log()
            self._reader = StatusReader(self._parts, self._log)
        return Snapshot(self._reader.status_since(), tuple(self._brakes.list()))

    def close(self) -> None:
        self._looker.shutdown()
        if self._log is not None:
            self._log.close()
