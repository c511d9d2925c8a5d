"""Server-sent events to many browsers at once: one watcher looks for all of them.

A stream holds nothing but the latest look, so neither memory nor connections to the store grow with it; who
reads slowly misses looks and delays nobody. Everything here runs on one event loop, but for the look itself.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Callable, Hashable
from typing import Generic, TypeVar

import anyio
import anyio.to_thread
from starlette.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

from hub.console.faults import Fault
from hub.console.languages import marked
from hub.errors import JisrError

log = logging.getLogger(__name__)

# Each takes a file descriptor, of which a process often has 1,024: pages must go on beside them.
MOST = 500
# Whoever may not open one tries again then.
RETRY_AFTER_S = 60.0
# A stream ends after so long and the browser asks anew: whoever has lost their role is then let go.
LASTS_S = 300.0
# Whose session was called back is noticed after so long; each stream costs the store one question then.
ADMITTED_S = 10.0
# What is said while there is nothing to see.
AWAY = "away"

# A browser takes six connections to one server at most; a line now and then keeps proxies from closing one.
_HEADERS = {"X-Accel-Buffering": "no"}

Seen = TypeVar("Seen")


class Streams(Generic[Seen]):
    """The streams of one event loop. `look` blocks, and is called every `every_s` while a stream is open."""

    def __init__(self, look: Callable[[], Seen], every_s: float, most: int = MOST) -> None:
        self._look = look
        self._every_s = every_s
        self._most = most
        self._open = 0
        self._ended = False
        self._watcher: asyncio.Task[None] | None = None
        # Of the latest look: what was seen, None if nothing could be, and what is said of it to whom.
        self._seen: Seen | None = None
        self._said: dict[Hashable, str] = {}
        self._looked = False
        self._news = asyncio.Event()
        # One after another: however many streams there are, they take one connection to the store.
        self._asking = anyio.CapacityLimiter(1)

    def stream(
        self, reader: Hashable, digest: Callable[[Seen], str], *, admitted: Callable[[], bool]
    ) -> StreamingResponse:
        """Events `seen` with the digest of what there is to see, whenever it is another.

        `reader`: those who are alike see alike. `admitted` blocks, and says whether this one may still see
        anything; while that cannot be known (`JisrError`) nothing but digests is at stake. Raises 503 when so
        many are open that nothing would be left for pages.
        """
        if self._open >= self._most:
            raise Fault(
                503,
                marked("Too many pages are kept up to date at once. Reload this one to see what is new."),
                RETRY_AFTER_S,
            )
        self._open += 1
        if self._watcher is None:
            self._watcher = asyncio.create_task(self._watch())
        return _Stream(self.events(reader, digest, admitted), self._leave)

    async def events(
        self, reader: Hashable, digest: Callable[[Seen], str], admitted: Callable[[], bool]
    ) -> AsyncIterator[str]:
        """What one stream says, line by line."""
        last = ""
        clock = asyncio.get_running_loop().time
        # Who opens a stream has just been let in.
        until, asks = clock() + LASTS_S, clock() + ADMITTED_S
        while not self._ended and clock() < until:
            if clock() >= asks:
                with contextlib.suppress(JisrError):
                    if not await anyio.to_thread.run_sync(admitted, limiter=self._asking):
                        return
                asks = clock() + ADMITTED_S
            # Before anything is said: what is new meanwhile is then not slept through.
            news = self._news
            if self._looked:
                now = self._digest(reader, digest)
                yield f"event: seen\ndata: {now}\n\n" if now != last else ": nothing new\n\n"
                last = now
            await news.wait()

    def end(self) -> None:
        """End all streams at once, and let no more begin."""
        self._ended = True
        self._most = 0
        self._wake()

    def _leave(self) -> None:
        self._open -= 1
        if not self._open and self._watcher is not None:
            self._watcher.cancel()
            self._watcher = None
            self._looked = False

    def _digest(self, reader: Hashable, digest: Callable[[Seen], str]) -> str:
        if self._seen is None:
            return AWAY
        if reader not in self._said:
            self._said[reader] = digest(self._seen)
        return self._said[reader]

    def _wake(self) -> None:
        news, self._news = self._news, asyncio.Event()
        news.set()

    async def _watch(self) -> None:
        while True:
            seen = None
            try:
                # Nobody waits for a look that is still under way at the end.
                seen = await anyio.to_thread.run_sync(self._look, abandon_on_cancel=True)
            except JisrError:
                pass
            except Exception as error:
                # Without its text; and the streams say so, instead of falling silent.
                log.error("a look for the streams failed: %s", type(error).__name__)  # noqa: TRY400
            self._seen, self._said, self._looked = seen, {}, True
            self._wake()
            await asyncio.sleep(self._every_s)


class _Stream(StreamingResponse):
    """Gives its place back at the end, even if its browser left before it began."""

    def __init__(self, events: AsyncIterator[str], leave: Callable[[], None]) -> None:
        super().__init__(events, media_type="text/event-stream", headers=_HEADERS)
        self._leave = leave

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await super().__call__(scope, receive, send)
        finally:
            self._leave()
