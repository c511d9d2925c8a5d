"""What an operator of the hub wants of this connector, and how far its sides have followed. No I/O.

Wishes are applied between two steps of a side. A side that is to be paused ends its step and closes: it holds
no connection and no claim, so that the agency's database can be serviced. One that stands by reads the same
wishes, so it does not take over what is paused.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Collection

from hub.contracts.control import SIDES, Condition, State, Target, Wish

# Whatever writes into the agency's database follows the sink, whatever speaks of its rows the source.
_TARGETS = {
    "source": Target.SOURCE,
    "sweep": Target.SOURCE,
    "sink": Target.SINK,
    "notices": Target.SINK,
}
_ALWAYS = Wish()


class Steering:
    """The latest wishes, which of them each side follows, and what was last told. Thread-safe."""

    def __init__(self, *, known: bool = True, clock: Callable[[], float] = time.time) -> None:
        """`known`: nobody can wish anything, so nothing has to be read before the sides may work."""
        self._known = known
        self._clock = clock
        self._lock = threading.Lock()
        self._wishes = dict.fromkeys(Target, _ALWAYS)
        self._told: dict[Target, Condition] = {}
        self._followed: dict[str, Wish] = {}
        self._since_ms = dict.fromkeys(Target, self._now_ms())
        self._started, self._problem = _ALWAYS, ""
        # Called when there is something new to follow.
        self.changed: Callable[[], None] = lambda: None

    def _now_ms(self) -> int:
        return int(self._clock() * 1000)

    # What is read

    def note(self, target: Target, wish: Wish) -> None:
        """A wish was read; one that comes twice or late changes nothing."""
        with self._lock:
            if wish.number <= self._wishes[target].number:
                return
            self._wishes[target] = wish
        self.changed()

    def note_told(self, target: Target, condition: Condition) -> None:
        """What this connector, or its like that stands by, has told."""
        with self._lock:
            self._told[target] = condition

    def all_read(self) -> None:
        """All wishes that there are have been read: the sides may begin.

        A wish to start anew that is older than this process is fulfilled by its start.
        """
        with self._lock:
            if self._known:
                return
            self._known, self._started = True, self._wishes[Target.PROCESS]
        self.changed()

    # What sides ask

    def wish(self, name: str) -> Wish | None:
        """What is wanted of a side of the runner, by its name; None while nobody knows."""
        target = _TARGETS.get(name)
        if target is None:
            return _ALWAYS
        with self._lock:
            return self._wishes[target] if self._known else None

    def is_settled(self, name: str, wish: Wish) -> bool:
        """Whether a side is paused as wished, and surely so, by this process or another.

        Where nobody has told so yet, the side has to open once: it claims its work, so no other process can
        still be at it.
        """
        if wish.state is not State.PAUSED:
            return False
        with self._lock:
            told = self._told.get(_TARGETS[name])
            done = told is not None and (told.number, told.state) == (wish.number, wish.state)
            return done or self._followed.get(name) == wish

    def follow(self, name: str, wish: Wish) -> bool:
        """A side works, or is closed, as wished; returns whether it did not before."""
        with self._lock:
            before, self._followed[name] = self._followed.get(name), wish
            target = _TARGETS.get(name)
            if target and (before is None or before.state is not wish.state):
                self._since_ms[target] = self._now_ms()
            return before != wish

    def lose(self, name: str) -> None:
        """A side is away."""
        with self._lock:
            self._followed.pop(name, None)

    # To start anew

    def restart_wanted(self) -> bool:
        with self._lock:
            return self._known and self._wishes[Target.PROCESS] != self._started

    def restarted(self, problem: str = "") -> None:
        """It is done, or `problem` (a stable word) prevents it."""
        with self._lock:
            self._started, self._problem = self._wishes[Target.PROCESS], problem
            if not problem:
                self._since_ms[Target.PROCESS] = self._now_ms()

    # What is told

    def conditions(self, names: Collection[str]) -> dict[Target, Condition]:
        """How each target is, as far as all its sides among `names` follow one wish.

        Of the process nothing while a side is away: one that stands by does not speak for the one at work.
        """
        with self._lock:
            found = {side: one for side in SIDES if (one := self._of_side(side, names))}
            if len(found) == len(SIDES):
                since_ms = self._since_ms[Target.PROCESS]
                found[Target.PROCESS] = Condition(
                    self._started.number, State.RUNNING, since_ms, self._problem
                )
            return found

    def _of_side(self, side: Target, names: Collection[str]) -> Condition | None:
        wish, told = self._wishes[side], self._told.get(side)
        if any(self._followed.get(name) != wish for name in names if _TARGETS.get(name) is side):
            return None
        since_ms = self._since_ms[side]
        if told is not None and told.state is wish.state is State.PAUSED:
            since_ms = told.since_ms
        return Condition(wish.number, wish.state, since_ms)
