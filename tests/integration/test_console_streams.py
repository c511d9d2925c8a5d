"""Two hundred browsers that follow one console: served by one look, none of the store's connections held,
and gone as soon as the console ends."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest
import uvicorn
from console_hub import console_hub
from ops_hub import OpsHub, wait_until
from sqlalchemy import event
from support import plain_http
from support.console import CODE, SECRET, console_of, form_token

from hub.console.application import build_console
from hub.console.streams import Streams
from hub.local.ports import LOOPBACK, assign
from hub.local.stack import Stack
from hub.serving import Server

STREAMS = 200
WITHIN_S = 240
# Of a stream's sockets, at both ends, and its coroutine: some 60 KB. A look of its own would be more.
BYTES_EACH = 300_000


@pytest.fixture(scope="module")
def hub(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[OpsHub]:
    folder: Path = tmp_path_factory.mktemp("streams")
    with console_hub(stack, folder) as made:
        yield made


class Served:
    """A console over HTTP, and what it uses meanwhile."""

    def __init__(self, hub: OpsHub, app: Any) -> None:
        self.port = assign(["console"], {})["console"]
        # Without a time limit: what does not end by itself is waited for.
        config = uvicorn.Config(app, LOOPBACK, self.port, log_level="warning", timeout_graceful_shutdown=None)
        self.server = Server(config, app.state.streams.end)
        self.thread = threading.Thread(target=self.server.run, name="console")
        self.looking = self.most_looking = 0
        self.connections = self.most_connections = 0
        for name, step in (("checkout", 1), ("checkin", -1)):
            event.listen(hub.parts.store.engine, name, self._counts(step))
        look = app.state.streams._look

        def counted() -> Any:
            self.looking += 1
            self.most_looking = max(self.most_looking, self.looking)
            try:
                return look()
            finally:
                self.looking -= 1

        app.state.streams._look = counted

    def _counts(self, step: int) -> Any:
        def count(*_: object) -> None:
            self.connections += step
            self.most_connections = max(self.most_connections, self.connections)

        return count


@contextmanager
def served(hub: OpsHub, most: int = STREAMS) -> Iterator[Served]:
    with console_of(hub.parts) as console:
        app = build_console(console, SECRET)
        app.state.streams = Streams(console.status.snapshot, 0.2, most)
        made = Served(hub, app)
        made.thread.start()
        try:
            wait_until(lambda: plain_http.get(f"http://{LOOPBACK}:{made.port}/livez").text == "ok")
            yield made
        finally:
            made.server.should_exit = True
            made.thread.join(WITHIN_S)


def signed_in(port: int) -> str:
    """The cookies of an operator."""
    with httpx.Client(base_url=f"http://{LOOPBACK}:{port}") as client:
        token = form_token(client.get("/sign-in"))
        client.post(
            "/sign-in",
            data={"csrf": token, "code": CODE, "name": "Souad", "role": "operator", "next": "/livez"},
        )
        return "; ".join(f"{name}={value}" for name, value in client.cookies.items())


Stream = tuple[asyncio.StreamReader, asyncio.StreamWriter]


async def connect(port: int, cookies: str) -> Stream:
    reader, writer = await asyncio.open_connection(LOOPBACK, port)
    writer.write(f"GET /live HTTP/1.1\r\nHost: {LOOPBACK}:{port}\r\nCookie: {cookies}\r\n\r\n".encode())
    await writer.drain()
    return reader, writer


async def following(stream: Stream) -> bytes:
    """The next digest; empty at the end of the stream."""
    while line := await stream[0].readline():
        if line.startswith(b"data: "):
            return line.strip()
    return b""


async def all_following(streams: Sequence[Stream]) -> set[bytes]:
    return set(await asyncio.gather(*(following(one) for one in streams)))


def test_two_hundred_streams_cost_one_look_and_end_with_the_console(hub: OpsHub) -> None:
    with served(hub) as it:
        cookies = signed_in(it.port)
        process = psutil.Process()
        memory, threads = process.memory_info().rss, threading.active_count()

        async def watch() -> None:
            streams = [await connect(it.port, cookies) for _ in range(STREAMS)]
            first = await all_following(streams)
            assert len(first) == 1
            assert b"away" not in next(iter(first))
            # Each was let in with a connection of its own, as pages are; from now on they are followed.
            it.most_connections = it.connections
            hub.rows("UPDATE undelivered SET state = 'waiting' RETURNING 1")
            told = await all_following(streams)
            assert len(told) == 1
            assert told != first
            assert it.most_looking == 1, "one look for all streams"
            # Where opening all takes longer than ADMITTED_S, the first are asked for again.
            assert it.most_connections <= 3, "the test's own, the one look's, and the one that asks"
            assert threading.active_count() - threads < STREAMS // 4, (
                "no thread for each: the pool's, of 40, at most"
            )
            assert process.memory_info().rss - memory < STREAMS * BYTES_EACH

            # A page beside them, and one stream too many.
            headers = {"cookie": cookies, "accept-language": "en"}
            async with httpx.AsyncClient(base_url=f"http://{LOOPBACK}:{it.port}", headers=headers) as client:
                assert (await client.get("/")).status_code == 200
                refused = await client.get("/live")
                assert refused.status_code == 503
                assert int(refused.headers["retry-after"]) >= 60
                assert "Too many pages are kept up to date at once" in refused.text

            it.server.should_exit = True
            assert await all_following(streams) == {b""}
            for _, writer in streams:
                writer.close()

        asyncio.run(asyncio.wait_for(watch(), WITHIN_S))
        it.thread.join(WITHIN_S)
        assert not it.thread.is_alive(), "the console waits for streams"
