"""An HTTP server that ends well: on SIGTERM or SIGINT, with exit code 0."""

from __future__ import annotations

import signal
import socket
from collections.abc import Callable
from typing import Any

import uvicorn


class Server(uvicorn.Server):
    """A server that says when it stops taking requests, so that what has no end of its own can end."""

    def __init__(self, config: uvicorn.Config, stopping: Callable[[], None]) -> None:
        super().__init__(config)
        self._stopping = stopping

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """End well: first what would go on for ever, then whatever is under way."""
        self._stopping()
        await super().shutdown(sockets)


def serve(
    app: Any,
    host: str,
    port: int,
    *,
    grace_s: int,
    server_header: bool = True,
    stopping: Callable[[], None] = lambda: None,
) -> None:
    """Serve an ASGI application until a signal; requests under way then have `grace_s` seconds. Blocks.

    `stopping` is called on the event loop before they are waited for.
    """
    config = uvicorn.Config(
        app,
        host,
        port,
        log_level="warning",
        access_log=False,
        timeout_graceful_shutdown=grace_s,
        server_header=server_header,
    )
    # uvicorn stops on SIGTERM and then raises the signal again, which would end in status -15.
    signal.signal(signal.SIGTERM, _exit)
    Server(config, stopping).run()


def _exit(*_: object) -> None:
    raise SystemExit(0)
