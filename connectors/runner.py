"""Runs the sides of a connector, each in its thread: back-off while something is away, health, the end.

Between two steps each side does as an operator of the hub wants (`steering`): it works, or it is closed; and
all of them end and start anew when that is wanted.
"""

from __future__ import annotations

import logging
import math
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from connectors.loops import Side
from connectors.metrics import Metrics
from connectors.steering import Steering
from hub.contracts.control import State, Wish
from hub.errors import ConfigurationError, JisrError, Retriable

log = logging.getLogger(__name__)

# The longest is how long an agency may be without its connector when the one that stood by takes over.
FIRST_WAIT_S, LONGEST_WAIT_S = 0.2, 5.0
# Longer than any single call may block: a side that is silent for so long hangs.
STALLED_AFTER_S = 120.0
# How long the sides have to end their step when the process is told to stop.
STOP_S = 20.0
# A side that has nothing to do shows so often that it does not hang.
_REST_S = 30.0


@dataclass
class Health:
    """What the probes tell of one side."""

    away: str = "not connected yet"
    progressed_at: float = field(default_factory=time.monotonic)

    def stalled(self) -> bool:
        return time.monotonic() - self.progressed_at > STALLED_AFTER_S


class Runner:
    """Drives sides until `stop`, or until one of them fails with anything but `Retriable`."""

    def __init__(
        self,
        sides: Sequence[Side],
        metrics: Metrics,
        steering: Steering | None = None,
        anew: Callable[[], Sequence[Side]] | None = None,
    ) -> None:
        """`anew` makes the sides again, from what is configured by then; it opens nothing."""
        self._sides = sides
        self._metrics = metrics
        self._steering = steering or Steering()
        self._steering.changed = self._wake
        self._anew = anew or (lambda: sides)
        self._stopped = False
        self._failure: BaseException | None = None
        # The main thread waits for the one, each side for its own: to end, or to look at its wish.
        self._call = threading.Event()
        self._end = threading.Event()
        self._turns = {side.name: threading.Event() for side in sides}
        self.health = {side.name: Health() for side in sides}

    def stop(self) -> None:
        """Ask the sides to end; may be called from a signal handler."""
        self._stopped = True
        self._call.set()

    def run(self) -> None:
        """Blocks until all sides have ended; raises what one of them failed with."""
        threads = self._started()
        while not self._stopped:
            self._call.wait()
            self._call.clear()
            if self._steering.restart_wanted() and not self._stopped:
                threads = self._start_anew(threads)
        self._join(threads, time.monotonic() + STOP_S)
        if self._failure is not None:
            raise self._failure

    def _started(self) -> list[threading.Thread]:
        self._end = threading.Event()
        threads = [
            threading.Thread(target=self._drive, args=(side, self._end), name=side.name, daemon=True)
            for side in self._sides
        ]
        for thread in threads:
            thread.start()
        return threads

    def _join(self, threads: Sequence[threading.Thread], deadline: float) -> None:
        self._end.set()
        self._wake()
        for thread in threads:
            thread.join(max(0.0, deadline - time.monotonic()))

    def _start_anew(self, threads: list[threading.Thread]) -> list[threading.Thread]:
        """End all sides, and start them again as they are configured now; or leave them, if that is wrong."""
        try:
            sides = self._anew()
        except ConfigurationError as error:
            log.error("told to start anew, which its configuration does not allow: %s", error)  # noqa: TRY400
            self._steering.restarted("mapping")
            return threads
        log.info("starting anew")
        # One that hangs beyond this keeps its claim, so its successor waits for it.
        self._join(threads, time.monotonic() + STOP_S)
        for side in sides:
            self._turns.setdefault(side.name, threading.Event())
            self.health.setdefault(side.name, Health())
            self._steering.lose(side.name)
        self._sides = sides
        self._steering.restarted()
        return self._started()

    def _wake(self) -> None:
        for turn in self._turns.values():
            turn.set()
        self._call.set()

    def _drive(self, side: Side, end: threading.Event) -> None:
        wait_s, opened_at = FIRST_WAIT_S, math.inf
        try:
            while not end.is_set():
                wish = self._steering.wish(side.name)
                if wish is None or self._steering.is_settled(side.name, wish):
                    self._rest(side, wish)
                    continue
                try:
                    side.open()
                    self._present(side)
                    opened_at = time.monotonic()
                    self._work(side, end)
                except Retriable as error:
                    # What opens and then fails at once, as without a right, must not open again and again.
                    if time.monotonic() - opened_at > LONGEST_WAIT_S:
                        wait_s = FIRST_WAIT_S
                    opened_at = math.inf
                    self._away(side, error, wait_s)
                    side.close()
                    self._wait(side, wait_s)
                    wait_s = min(wait_s * 2, LONGEST_WAIT_S)
        except BaseException as error:
            if isinstance(error, JisrError):
                # It says itself what is wrong and where; the rest would only hide that.
                log.error("%s ended: %s", side.name, error)  # noqa: TRY400
            else:
                log.exception("%s ended", side.name)
            self._failure = error
            self.stop()
        finally:
            side.close()

    def _work(self, side: Side, end: threading.Event) -> None:
        """Step by step, until the end or until the side is to be paused: then it is closed."""
        while not end.is_set():
            wish = self._steering.wish(side.name)
            if wish is None or wish.state is State.PAUSED:
                side.close()
                if wish is not None:
                    self._pause(side, wish)
                return
            self._steering.follow(side.name, wish)
            pause_s = side.step()
            self.health[side.name].progressed_at = time.monotonic()
            if pause_s:
                self._wait(side, pause_s)

    def _pause(self, side: Side, wish: Wish) -> None:
        self._metrics.up.labels(side.name).set(0)
        self._metrics.paused.labels(side.name).set(wish.at_ms / 1000)
        self.health[side.name].away = ""
        if self._steering.follow(side.name, wish):
            log.warning("%s: paused by %s: %s", side.name, wish.who, wish.why)

    def _rest(self, side: Side, wish: Wish | None) -> None:
        if wish is not None:
            self._pause(side, wish)
        self.health[side.name].progressed_at = time.monotonic()
        self._wait(side, _REST_S)

    def _wait(self, side: Side, wait_s: float) -> None:
        """Until there is something new to follow, or so long."""
        turn = self._turns[side.name]
        turn.wait(wait_s)
        turn.clear()

    def _present(self, side: Side) -> None:
        log.info("%s: connected", side.name)
        self.health[side.name].away = ""
        self._metrics.up.labels(side.name).set(1)
        self._metrics.paused.labels(side.name).set(0)

    def _away(self, side: Side, error: Retriable, wait_s: float) -> None:
        log.warning("%s: %s; trying again in %.1f s", side.name, error, wait_s)
        health = self.health[side.name]
        health.away, health.progressed_at = str(error), time.monotonic()
        self._metrics.up.labels(side.name).set(0)
        self._metrics.retries.labels(side.name).inc()
        self._steering.lose(side.name)
