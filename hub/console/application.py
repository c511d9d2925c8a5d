"""The console as an ASGI application."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Awaitable, Callable, Sequence
from http import HTTPStatus
from typing import Literal
from urllib.parse import urlencode

import msgspec
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.sessions import SessionMiddleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from hub.console import sessions
from hub.console.faults import TITLES, Fault, fault
from hub.console.live import FRESH_S
from hub.console.protection import Protection
from hub.console.recognition import bearer, recognise
from hub.console.rendering import STATIC
from hub.console.routing import API, mounted
from hub.console.streams import Streams
from hub.console.visit import Console, Visit
from hub.errors import ConfigurationError, JisrError

log = logging.getLogger(__name__)

_LOCAL_NAMES = ("127.0.0.1", "localhost", "[::1]")
_MIN_SECRET_BYTES = 16


def build_console(console: Console, secret: bytes, hosts: Sequence[str] = _LOCAL_NAMES) -> Starlette:
    """The application. `secret` signs sessions; `hosts`: the names by which browsers may call it.

    Raises `ConfigurationError` for a short secret, or a route that declares no permission.
    """
    if len(secret) < _MIN_SECRET_BYTES:
        raise ConfigurationError(f"the console's secret has fewer than {_MIN_SECRET_BYTES} bytes")
    telling = _telling(console)
    # `lax`, as a link from a message should find its reader signed in; each change needs a form's token.
    same_site: Literal["lax"] = "lax"
    app = Starlette(
        routes=[
            Route("/livez", _livez),
            Mount("/static", StaticFiles(directory=STATIC), name="static"),
            *mounted(console, console.sections),
        ],
        middleware=[
            Middleware(Protection, secure=console.secure),
            Middleware(TrustedHostMiddleware, allowed_hosts=list(hosts), www_redirect=False),
            Middleware(
                SessionMiddleware,
                secret_key=secret.hex(),
                session_cookie=sessions.COOKIE,
                max_age=sessions.LASTS_S,
                same_site=same_site,
                https_only=console.secure,
            ),
        ],
        exception_handlers={Fault: telling, HTTPException: telling, JisrError: telling},
    )
    app.state.streams = Streams(console.status.snapshot, FRESH_S)
    return app


async def _livez(_: Request) -> Response:
    return PlainTextResponse("ok")


def _telling(console: Console) -> Callable[[Request, Exception], Awaitable[Response]]:
    """How errors are answered: to people by a page in their language, to programs as JSON (RFC 9457)."""

    async def tell(request: Request, error: Exception) -> Response:
        told = fault(error)
        if isinstance(error, JisrError):
            # Without the error's text, which may repeat what somebody typed.
            log.error("%s %s: %s", request.method, _route_of(request), type(error).__name__)
        if not hasattr(request.state, "user"):
            # Nobody asked yet who it is: there is no such route. The page has a menu for those who are in.
            with contextlib.suppress(Fault, JisrError):
                await run_in_threadpool(recognise, console, request)
        visit = Visit(console, request, {})
        answer = _problem(visit, told) if request.url.path.startswith(API) else _page(visit, told)
        if told.status == 401 and bearer(request) is not None:
            answer.headers["WWW-Authenticate"] = "Bearer"
        if told.retry_after_s:
            answer.headers["Retry-After"] = str(int(told.retry_after_s) + 1)
        return answer

    return tell


def _route_of(request: Request) -> str:
    """The path's pattern: what stands in its places may name somebody."""
    route = request.scope.get("route")
    return route.path if isinstance(route, Route) else "?"


def _page(visit: Visit, told: Fault) -> Response:
    if told.status == 401 and visit.request.method == "GET":
        return visit.go(f"/sign-in?{urlencode({'next': visit.address})}")
    return visit.page("fault.html", told.status, title=TITLES[told.status], message=told.message)


def _problem(visit: Visit, told: Fault) -> Response:
    content = {
        "type": "about:blank",
        "title": HTTPStatus(told.status).phrase,
        "status": told.status,
        "detail": visit.words(told.message),
    }
    return Response(msgspec.json.encode(content), told.status, media_type="application/problem+json")
