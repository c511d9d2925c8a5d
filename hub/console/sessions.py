"""Sessions: who has come in and until when, in a signed cookie; and the token that each form must bring back.

The cookie is signed, not encrypted, and holds no more than the person's own name and role, and the number by
which the store knows the session: it can be ended there before its time (`hub.console.doors`).
"""

from __future__ import annotations

import hmac
import secrets
from collections.abc import MutableMapping
from typing import Any

from hub.console.access import Role, User
from hub.errors import ConfigurationError

COOKIE = "jisr_session"
# A working day. The cookie is renewed at every answer; this end is not.
LASTS_S = 8 * 3600
_TOKEN_BYTES = 24

Session = MutableMapping[str, Any]


def sign_in(session: Session, user: User, now: float, number: str) -> None:
    """Begin anew: nothing of what came before, above all no token that somebody may have planted."""
    session.clear()
    session.update(user=user.kept(), until=now + LASTS_S, number=number)


def sign_out(session: Session) -> None:
    session.clear()


def signed_in(session: Session, now: float, agencies: frozenset[str]) -> User | None:
    """Who has come in; None if nobody, no longer, or as somebody that there cannot be any more."""
    kept, until = session.get("user"), session.get("until")
    if not isinstance(kept, dict) or not isinstance(until, int | float) or until <= now:
        return None
    try:
        user = User(kept["name"], kept["account"], Role(kept["role"]), kept["agency"])
    except (KeyError, TypeError, ValueError, ConfigurationError):
        return None
    return user if user.agency is None or user.agency in agencies else None


def form_token(session: Session) -> str:
    """The token of this session's forms, made when it is first asked for."""
    if not isinstance(session.get("csrf"), str):
        session["csrf"] = secrets.token_urlsafe(_TOKEN_BYTES)
    return str(session["csrf"])


def is_form_token(session: Session, given: str) -> bool:
    """Whether a form was given out to this session."""
    known = session.get("csrf")
    return isinstance(known, str) and hmac.compare_digest(known.encode(), given.encode())
