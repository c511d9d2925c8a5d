"""The connector's small HTTP server: /metrics, /livez and /readyz."""

from __future__ import annotations

import contextlib
import json
import threading
from collections.abc import Mapping
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from prometheus_client.registry import Collector

from connectors.runner import Health
from hub.errors import ConfigurationError


class Probe:
    """Serves from a thread of its own; port 0 takes a free one.

    Raises `ConfigurationError` where it may not listen there, as on a port that is taken.
    """

    def __init__(self, host: str, port: int, registry: Collector, health: Mapping[str, Health]) -> None:
        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                status, kind, body = answer(self.path, registry, health)
                # Who asked may not have waited for the answer.
                with contextlib.suppress(ConnectionError):
                    self.send_response(status)
                    self.send_header("Content-Type", kind)
                    self.send_header("Content-Length", str(len(body)))
                    self.end_headers()
                    self.wfile.write(body)

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002 — the base class's name
                """Probes come every few seconds: no line for each."""

        try:
            self._server = ThreadingHTTPServer((host, port), Handler)
        except OSError as error:
            raise ConfigurationError(f"JISR_WEB_HOST and JISR_WEB_PORT: {host}:{port}: {error}") from error
        self.port: int = self._server.server_address[1]
        threading.Thread(target=self._server.serve_forever, name="probe", daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


def answer(path: str, registry: Collector, health: Mapping[str, Health]) -> tuple[HTTPStatus, str, bytes]:
    """(status, content type, body) of one request."""
    if path == "/metrics":
        return HTTPStatus.OK, CONTENT_TYPE_LATEST, generate_latest(registry)
    if path == "/livez":
        wrong = {name: "no progress" for name, state in health.items() if state.stalled()}
    elif path == "/readyz":
        wrong = {name: state.away for name, state in health.items() if state.away}
    else:
        return HTTPStatus.NOT_FOUND, "text/plain", b"use /metrics, /livez or /readyz\n"
    status = HTTPStatus.SERVICE_UNAVAILABLE if wrong else HTTPStatus.OK
    body = json.dumps({"status": "unavailable" if wrong else "ok", "sides": wrong}).encode()
    return status, "application/json", body
