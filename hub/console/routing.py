"""Sections and their routes. A route without a declared permission is refused when it is mounted."""

from __future__ import annotations

import inspect
import logging
import traceback
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from hub.console.access import Permission, allowed
from hub.console.faults import Fault, fault
from hub.console.languages import marked
from hub.console.recognition import API, recognise
from hub.console.visit import Console, Visit, read_form
from hub.errors import ConfigurationError, JisrError

__all__ = ["API", "Guarded", "Section", "denied", "mounted"]

log = logging.getLogger(__name__)

# Runs in a thread of its own, since the store blocks; an `async def` runs on the event loop.
Endpoint = Callable[[Visit], Response] | Callable[[Visit], Awaitable[Response]]


@dataclass(frozen=True)
class Guarded:
    """A route: `path` as Starlette has it, and who may pass.

    For a path of the API: `returns`, the dataclass that is encoded, and `about`, a sentence, make its
    documentation; `asks` names the query parameters, or a form's fields, with a sentence each.
    """

    path: str
    endpoint: Endpoint
    permission: Permission
    method: str = "GET"
    returns: type | None = None
    about: str = ""
    asks: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class Section:
    """A part of the console. `title` (a marked message) and `path` stand in the menu, if there is a title."""

    routes: tuple[Guarded, ...]
    title: str = ""
    path: str = ""

    @property
    def permission(self) -> Permission:
        """What its page in the menu needs."""
        return next(route.permission for route in self.routes if route.path == self.path)


def mounted(console: Console, sections: Iterable[Section]) -> list[Route]:
    """All routes, each behind its permission; raises `ConfigurationError` for one that declares none."""
    routes = []
    for section in sections:
        for one in section.routes:
            if not isinstance(one, Guarded) or not isinstance(one.permission, Permission):
                raise ConfigurationError(
                    f"the route {getattr(one, 'path', one)!r} declares no permission: it is not mounted. "
                    "Give it a `Permission`, and ANYONE if it is for everybody"
                )
            if one.path.startswith(API) and one.returns is None:
                raise ConfigurationError(f"the route {one.path!r} does not say what it returns")
            routes.append(Route(one.path, _guard(console, one), methods=[one.method]))
    return routes


def _guard(console: Console, route: Guarded) -> Callable[[Request], Awaitable[Response]]:
    async def guard(request: Request) -> Response:
        form = await read_form(request) if route.method == "POST" else {}
        await run_in_threadpool(recognise, console, request)
        visit = Visit(console, request, form)
        if not allowed(visit.user, route.permission):
            raise denied(visit)
        visit.require_text()
        if route.method != "GET":
            visit.require_form_token()
        try:
            return await _answer(route.endpoint, visit)
        except (JisrError, Fault, HTTPException):
            raise
        except Exception as error:
            # Here, as Starlette would have the server log its text, which may repeat what somebody typed.
            log.error("%s %s: %s", route.method, route.path, _trace(error))  # noqa: TRY400
            raise fault(error) from None

    return guard


async def _answer(endpoint: Endpoint, visit: Visit) -> Response:
    if inspect.iscoroutinefunction(endpoint):
        found = await endpoint(visit)
    else:
        found = await run_in_threadpool(endpoint, visit)
    assert isinstance(found, Response)
    return found


def _trace(error: Exception) -> str:
    """Which error, and by which way it came: without any text of its own."""
    frames = traceback.extract_tb(error.__traceback__)
    return f"{type(error).__name__} at " + " < ".join(
        f"{Path(one.filename).name}:{one.lineno}" for one in frames[::-1]
    )


def denied(visit: Visit) -> Fault:
    """Why somebody may not pass: not signed in, or not with this role."""
    if visit.user is None:
        return Fault(401, marked("Please sign in first."))
    return Fault(403, marked("Your role does not allow this page. Ask whoever gives out roles."))
