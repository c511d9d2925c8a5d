"""Sweeps of the topics that come by themselves: topic after topic, slowly, at one worker at a time (R26).

When each topic was swept is kept in the store, so that neither a restart nor a number of workers matters.
"""

from __future__ import annotations

import contextlib
import logging
import threading
from contextlib import closing

from hub.ops.last_said import Pace, Stopped
from hub.ops.parts import Parts
from hub.ops.sweep import HubSweep, lines
from hub.ops.sweep_topics import SweepTopics
from hub.settings import HubSettings
from hub.store.topic_sweeps import alone, keep_topics, oldest

log = logging.getLogger(__name__)

# How often a worker looks whether a topic is due.
LOOK_EVERY_S = 60.0


class Sweeper:
    """Sweeps what is due, in a thread of its own, until closed. Does nothing if `sweep_every_h` is 0."""

    def __init__(self, settings: HubSettings, look_every_s: float = LOOK_EVERY_S) -> None:
        self._settings = settings
        self._look_every_s = look_every_s
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="jisr-sweeper", daemon=True)

    def start(self) -> None:
        if self._settings.sweep_every_h:
            self._thread.start()

    def close(self) -> None:
        """Ask the thread to end; it does so at its next message."""
        self._stop.set()

    def _run(self) -> None:
        with closing(Parts(self._settings)) as parts, contextlib.suppress(Stopped):
            # At once for the first time: what is to be swept is known from then on.
            while not self._stop.is_set():
                self._try_to_sweep(parts)
                self._stop.wait(self._look_every_s)

    def _try_to_sweep(self, parts: Parts) -> None:
        try:
            self.sweep_due(parts)
        except Stopped:
            raise
        except Exception as error:
            # Whatever it was, the lanes must not end for it, and there is a next time; that a topic was
            # not swept for long raises an alarm.
            if not self._stop.is_set():
                log.warning("topics cannot be swept now: %s", error)

    def sweep_due(self, parts: Parts) -> list[str]:
        """Sweep every topic whose time has come, unless another worker is at it; their names."""
        topics = {topic.name: topic for topic in SweepTopics(parts)}
        sweep = HubSweep(parts, Pace(self._settings.sweep_per_s, self._stop))
        every_ms = int(self._settings.sweep_every_h * 3_600_000)
        done: list[str] = []
        with alone(parts.store.engine) as mine:
            while mine:
                with parts.deciding() as tx:
                    keep_topics(tx, topics)
                    due = oldest(tx, topics, every_ms)
                if due is None:
                    break
                for one in sweep.of([topics[due]], repair=self._settings.sweep_repair):
                    if one.findings:
                        log.warning("sweep: %s", "; ".join(lines([one])))
                done.append(due)
        return done
