"""The registry over HTTP: routes, body limit, write token, JSON errors, health and metrics."""

from __future__ import annotations

import hmac
import json
import logging
import time
from base64 import b64decode
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from prometheus_client import generate_latest
from sqlalchemy.exc import InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from hub.contracts.certificates import Certificates
from hub.contracts.measures import Measures
from hub.contracts.safety import MAX_SCHEMA_BYTES
from hub.registry.metrics import SPECIFICATION
from hub.registry.service import ApiError, Call, Service
from hub.registry.storage import Storage

# A schema travels as a string inside JSON, where each of its quotes takes a second byte.
MAX_BODY_BYTES = 4 * MAX_SCHEMA_BYTES

_LOG = logging.getLogger(__name__)
_MEDIA_TYPE = "application/vnd.schemaregistry.v1+json"
_AWAY = (OperationalError, InterfaceError, PoolTimeout)

Answer = Callable[[Call], Any]
Endpoint = Callable[[Request], Awaitable[Response]]


class RegistryMetrics:
    """The registry's metrics, in a collector of their own: two apps in one process do not clash."""

    def __init__(self, certificates: Sequence[Path] = ()) -> None:
        measures = Measures(SPECIFICATION)
        measures.counted.register(Certificates(certificates))
        self.collector = measures.registry
        self.requests = measures.counter("jisr_registry_requests_total")
        self.seconds = measures.histogram("jisr_registry_request_seconds")


def build_app(storage: Storage, token: str | None = None, certificates: Sequence[Path] = ()) -> Starlette:
    """The registry as an ASGI application; it closes `storage` when it stops.

    `certificates`: files whose end is told by a metric.

    `token` lets its holder write, as bearer token or as password of any user; without one, nobody
    writes (R5: agencies cannot register schemas).
    """
    service, metrics = Service(storage), RegistryMetrics(certificates)

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        yield
        storage.close()

    async def livez(_: Request) -> Response:
        return PlainTextResponse("ok")

    async def readyz(_: Request) -> Response:
        try:
            await run_in_threadpool(storage.ping)
        except _AWAY:
            return PlainTextResponse("the database does not answer", 503)
        return PlainTextResponse("ok")

    async def show_metrics(_: Request) -> Response:
        return PlainTextResponse(generate_latest(metrics.collector))

    own = [Route("/livez", livez), Route("/readyz", readyz), Route("/metrics", show_metrics)]
    routes = [*own, *_api(service, metrics, token)]
    return Starlette(routes=routes, lifespan=lifespan, exception_handlers={HTTPException: _no_route})


def _api(service: Service, metrics: RegistryMetrics, token: str | None) -> list[Route]:
    subject, schema = "/subjects/{subject}", "/schemas/ids/{id}"
    version, compatibility = f"{subject}/versions/{{version}}", "/compatibility/subjects/{subject}"
    reads: list[tuple[str, str, Answer]] = [
        ("GET", "/", service.nothing),
        ("GET", "/subjects", service.subjects),
        ("GET", f"{subject}/versions", service.versions),
        ("GET", version, service.version),
        ("GET", f"{version}/schema", service.version_schema),
        ("POST", subject, service.lookup),
        ("GET", "/schemas/types", service.types),
        ("GET", schema, service.schema),
        ("GET", f"{schema}/schema", service.schema_alone),
        ("GET", f"{schema}/versions", service.schema_versions),
        ("GET", f"{schema}/subjects", service.schema_subjects),
        ("POST", f"{compatibility}/versions", service.compatible),
        ("POST", f"{compatibility}/versions/{{version}}", service.compatible),
        ("GET", "/config", service.level),
        ("GET", "/config/{subject}", service.level),
        ("GET", "/mode", service.mode),
    ]
    writes: list[tuple[str, str, Answer]] = [
        ("POST", f"{subject}/versions", service.register),
        *((m, p, a) for p in ("/config", "/config/{subject}")
          for m, a in (("PUT", service.set_level), ("DELETE", service.delete_level))),
    ]  # fmt: skip
    routes = []
    for guarded, table in ((False, reads), (True, writes)):
        for method, path, answer in table:
            endpoint = _endpoint(answer, metrics, path, _guard(token) if guarded else None)
            routes.append(Route(path, endpoint, methods=[method]))
    return routes


def _endpoint(
    answer: Answer, metrics: RegistryMetrics, path: str, guard: Callable[[Request], None] | None
) -> Endpoint:
    async def endpoint(request: Request) -> Response:
        started = time.perf_counter()
        try:
            if guard:
                guard(request)
            body = await _body(request) if request.method in ("POST", "PUT") else {}
            call = Call({**request.query_params, **request.path_params}, body)
            response = _json(200, await run_in_threadpool(answer, call))
        except ApiError as error:
            response = _error(error.status, error.code, str(error))
        except _AWAY as error:
            _LOG.warning("the registry's database does not answer: %s", error)
            response = _error(503, 50001, "The registry's database does not answer; try again")
        metrics.requests.labels(request.method, path, response.status_code).inc()
        metrics.seconds.labels(request.method, path).observe(time.perf_counter() - started)
        return response

    return endpoint


def _guard(token: str | None) -> Callable[[Request], None]:
    def guard(request: Request) -> None:
        if token is None:
            raise ApiError(403, 40301, "This registry was started without a token: it is read-only")
        if not hmac.compare_digest(_credential(request), token.encode()):
            raise ApiError(401, 40101, "Writing needs the registry's token (bearer, or as password)")

    return guard


def _credential(request: Request) -> bytes:
    scheme, _, value = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() == "basic":
        try:
            return b64decode(value, validate=True).partition(b":")[2]
        except ValueError:
            return b""
    return value.strip().encode("latin-1") if scheme.lower() == "bearer" else b""


async def _body(request: Request) -> dict[str, Any]:
    data = b""
    async for chunk in request.stream():
        data += chunk
        if len(data) > MAX_BODY_BYTES:
            raise ApiError(413, 413, f"The body is larger than {MAX_BODY_BYTES} bytes")
    try:
        body = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise ApiError(400, 400, f"The body is not JSON: {str(error)[:100]}") from error
    if not isinstance(body, dict):
        raise ApiError(400, 400, "The body must be a JSON object")
    return body


async def _no_route(_: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    return _error(error.status_code, error.status_code, f"HTTP {error.status_code} {error.detail}")


def _error(status: int, code: int, message: str) -> Response:
    response = _json(status, {"error_code": code, "message": message})
    if status == 401:
        response.headers["WWW-Authenticate"] = 'Basic realm="schema registry"'
    return response


def _json(status: int, content: Any) -> Response:
    return Response(json.dumps(content), status, media_type=_MEDIA_TYPE)
