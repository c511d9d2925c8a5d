"""Who asks: a person by the session's cookie, or a program by its token; never by both."""

from __future__ import annotations

from starlette.requests import Request

from hub.console import sessions
from hub.console.access import User
from hub.console.faults import Fault
from hub.console.languages import marked
from hub.console.limits import caller
from hub.console.visit import Console

API = "/api/v1"

_ELSEWHERE = (400, marked("A token is for programs, and for addresses under /api/v1 alone."))
_BOTH = (400, marked("Send a token or a session's cookie, not both."))
_NOT_VALID = (401, marked("The token is not valid: mistyped, expired or revoked."))
_TOO_MANY = (429, marked("Too many attempts. Wait some minutes, then try again."))


def recognise(console: Console, request: Request) -> None:
    """Note in the request who asks, nobody if it is not known. Blocks.

    Raises `Fault` for a token that is not valid or not in its place, `Retriable` while the store is away.
    """
    request.state.user, request.state.program = None, False
    token = bearer(request)
    if token is None:
        request.state.user = _person(console, request)
        return
    if not request.url.path.startswith(f"{API}/"):
        raise Fault(*_ELSEWHERE)
    if request.session.get("user") is not None:
        raise Fault(*_BOTH)
    request.state.user, request.state.program = _program(console, request, token), True


def bearer(request: Request) -> str | None:
    """The token of a program. Other schemes are those of a proxy in front of the console."""
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" else None


def _person(console: Console, request: Request) -> User | None:
    user = sessions.signed_in(request.session, console.clock(), frozenset(console.parts.agreements))
    number = request.session.get("number")
    return user if user and isinstance(number, str) and console.doors.is_open(number) else None


def _program(console: Console, request: Request, token: str) -> User:
    user = console.doors.program(token)
    agencies = console.parts.agreements
    if user is None or (user.agency is not None and user.agency not in agencies):
        wait_s = console.token_misses.take(caller(request))
        raise Fault(*_TOO_MANY, wait_s) if wait_s else Fault(*_NOT_VALID)
    wait_s = console.token_uses.take(user.account)
    if wait_s:
        raise Fault(*_TOO_MANY, wait_s)
    return user
