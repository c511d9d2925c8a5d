"""Ctrl-C that cannot get lost.

A signal is raised as `KeyboardInterrupt` wherever the main thread happens to be. Inside a library that runs
callbacks or coroutines of its own there, and keeps what they raise (kafka-python does), it is swallowed;
so it is also noted here, and looked for between the parts of the demonstration.
"""

from __future__ import annotations

import signal
from types import FrameType, TracebackType
from typing import Self

_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Interruption:
    """While the block runs, every signal to stop is a `KeyboardInterrupt`."""

    def __init__(self) -> None:
        self._asked = False

    def __enter__(self) -> Self:
        self._before = {number: signal.signal(number, self._interrupt) for number in _SIGNALS}
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def heed(self) -> None:
        """Raise `KeyboardInterrupt` if anybody has asked to stop since the block began."""
        if self._asked:
            raise KeyboardInterrupt

    def no_more(self) -> None:
        """From now on until the end of the block, nobody may cut the stopping short."""
        for number in _SIGNALS:
            signal.signal(number, signal.SIG_IGN)

    def _interrupt(self, _: int, __: FrameType | None) -> None:
        self._asked = True
        raise KeyboardInterrupt
