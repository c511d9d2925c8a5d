"""An HTTP server that ends well: on SIGTERM or SIGINT, with exit code 0."""

from __future__ import annotations

import signal
from typing import Any

import uvicorn


def serve(app: Any, host: str, port: int, *, grace_s: int, server_header: bool = True) -> None:
    """Serve an ASGI application until a signal; requests under way then have `grace_s` seconds. Blocks."""
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
    uvicorn.Server(config).run()


def _exit(*_: object) -> None:
    raise SystemExit(0)
