"""An HTTP server that ends well: on SIGTERM or SIGINT, with exit code 0."""

from __future__ import annotations

import ipaddress
import signal
import socket
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import uvicorn

from hub.errors import ConfigurationError
from hub.listening import require_free


class Tls(NamedTuple):
    """What a server shows to who connects: PEM files with its certificate (and those between) and key."""

    certificate_file: Path
    key_file: Path


def tls_of(certificate_file: Path | None, key_file: Path | None, setting: str) -> Tls | None:
    """Both or neither; raises `ConfigurationError` for one alone. `setting` is how their names begin."""
    if certificate_file is not None and key_file is not None:
        return Tls(certificate_file, key_file)
    if certificate_file is None and key_file is None:
        return None
    raise ConfigurationError(f"{setting}_CERTIFICATE_FILE and {setting}_KEY_FILE belong together")


def proxies_of(given: str, setting: str) -> tuple[str, ...]:
    """Addresses and networks, separated by commas, of the proxies whose word on where a request comes from is
    taken; raises `ConfigurationError` for what is neither, and for a network that everybody is in."""
    found = []
    for one in filter(None, (part.strip() for part in given.split(","))):
        try:
            network = ipaddress.ip_network(one)
        except ValueError as error:
            raise ConfigurationError(
                f"{setting}: {one!r} is no address (192.0.2.7) and no network (192.0.2.0/24): {error}"
            ) from error
        if network.prefixlen == 0:
            raise ConfigurationError(
                f"{setting}: everybody is in {one}, and could claim any address: name the proxies alone"
            )
        found.append(one)
    return tuple(found)


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
    tls: Tls | None = None,
    trusted_proxies: Sequence[str] = (),
) -> None:
    """Serve an ASGI application until a signal; requests under way then have `grace_s` seconds. Blocks.

    `stopping` is called on the event loop before they are waited for. With `tls` by https; raises
    `ConfigurationError` if its files, or the port, cannot be used. `trusted_proxies`, as `proxies_of` gives
    them: behind these, a request's client is the right-most address of X-Forwarded-For that is none of them.
    What anybody else says in that header counts for nothing.
    """
    config = uvicorn.Config(
        app,
        host,
        port,
        log_level="warning",
        access_log=False,
        timeout_graceful_shutdown=grace_s,
        server_header=server_header,
        ssl_certfile=tls and tls.certificate_file,
        ssl_keyfile=tls and tls.key_file,
        # uvicorn would else believe whatever runs on this machine, and a variable of the environment.
        proxy_headers=bool(trusted_proxies),
        forwarded_allow_ips=list(trusted_proxies),
    )
    try:
        config.load()
    except OSError as error:  # ssl.SSLError is one
        raise ConfigurationError(f"{tls}: the certificate or its key cannot be used: {error}") from error
    require_free(host, port)
    # uvicorn stops on SIGTERM and then raises the signal again, which would end in status -15.
    signal.signal(signal.SIGTERM, _exit)
    Server(config, stopping).run()


def _exit(*_: object) -> None:
    raise SystemExit(0)
