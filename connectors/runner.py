"""Runs the sides of a connector, each in its thread: back-off while something is away, health, the end."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

from connectors.loops import Side
from connectors.metrics import Metrics
from hub.errors import Retriable

log = logging.getLogger(__name__)

# The longest is how long an agency may be without its connector when the one that stood by takes over.
FIRST_WAIT_S, LONGEST_WAIT_S = 0.2, 5.0
# Longer than any single call may block: a side that is silent for so long hangs.
STALLED_AFTER_S = 120.0
# How long the sides have to end their step when the process is told to stop.
STOP_S = 20.0


@dataclass
class Health:
    """What the probes tell of one side."""

    away: str = "not connected yet"
    progressed_at: float = field(default_factory=time.monotonic)

    def stalled(self) -> bool:
        return time.monotonic() - self.progressed_at > STALLED_AFTER_S


class Runner:
    """Drives sides until `stop`, or until one of them fails with anything but `Retriable`."""

    def __init__(self, sides: Sequence[Side], metrics: Metrics) -> None:
        self._sides = sides
        self._metrics = metrics
        self._stop = threading.Event()
        self._failure: BaseException | None = None
        self.health = {side.name: Health() for side in sides}

    def stop(self) -> None:
        """Ask the sides to end; may be called from a signal handler."""
        self._stop.set()

    def run(self) -> None:
        """Blocks until all sides have ended; raises what one of them failed with."""
        threads = [
            threading.Thread(target=self._drive, args=(side,), name=side.name, daemon=True)
            for side in self._sides
        ]
        for thread in threads:
            thread.start()
        self._stop.wait()
        deadline = time.monotonic() + STOP_S
        for thread in threads:
            thread.join(max(0.0, deadline - time.monotonic()))
        if self._failure is not None:
            raise self._failure

    def _drive(self, side: Side) -> None:
        wait_s = FIRST_WAIT_S
        try:
            while not self._stop.is_set():
                try:
                    side.open()
                    self._present(side)
                    wait_s = FIRST_WAIT_S
                    self._work(side)
                except Retriable as error:
                    self._away(side, error, wait_s)
                    side.close()
                    self._stop.wait(wait_s)
                    wait_s = min(wait_s * 2, LONGEST_WAIT_S)
        except BaseException as error:
            log.exception("%s ended", side.name)
            self._failure = error
        finally:
            self._stop.set()
            side.close()

    def _work(self, side: Side) -> None:
        while not self._stop.is_set():
            pause_s = side.step()
            self.health[side.name].progressed_at = time.monotonic()
            if pause_s:
                self._stop.wait(pause_s)

    def _present(self, side: Side) -> None:
        log.info("%s: connected", side.name)
        self.health[side.name].away = ""
        self._metrics.up.labels(side.name).set(1)

    def _away(self, side: Side, error: Retriable, wait_s: float) -> None:
        log.warning("%s: %s; trying again in %.1f s", side.name, error, wait_s)
        health = self.health[side.name]
        health.away, health.progressed_at = str(error), time.monotonic()
        self._metrics.up.labels(side.name).set(0)
        self._metrics.retries.labels(side.name).inc()
