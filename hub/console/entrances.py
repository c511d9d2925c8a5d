"""Ending sessions, making and revoking tokens: each kept in the audit trail. Blocks."""

from __future__ import annotations

import datetime
import time
from collections.abc import Callable

from hub.console.access import Role, User
from hub.console.doors import mark, new_token
from hub.errors import ConfigurationError
from hub.ops.audit import Person
from hub.ops.finding import NotFound
from hub.ops.parts import Parts
from hub.store.audit import note
from hub.store.entrances import (
    Entrant,
    KeptSession,
    KeptToken,
    end_sessions,
    make_token,
    open_sessions,
    revoke_token,
    tokens,
)

END_SESSIONS, MAKE_TOKEN, REVOKE_TOKEN = "end-sessions", "make-token", "revoke-token"
# What nobody remembers to take away ends by itself.
LONGEST_DAYS = 366


class Entrances:
    """What an operator does about who may come in."""

    def __init__(self, parts: Parts, clock: Callable[[], float] = time.time) -> None:
        self._parts = parts
        self._clock = clock

    def sessions(self, account: str | None = None, limit: int = 1_000) -> list[KeptSession]:
        """Sessions that are open, the newest first."""
        with self._parts.looking() as tx:
            return open_sessions(tx, account, limit)

    def end(
        self, who: Person, why: str, *, account: str | None = None, number: int | None = None
    ) -> list[KeptSession]:
        """End one session by its number, or all of an account; returns those that were open.

        Within two seconds every console knows.
        """
        with self._parts.deciding() as tx:
            ended = end_sessions(tx, account=account, number=number)
            note(tx, [who.entry(END_SESSIONS, f"session {one.id}", why, agency=one.agency) for one in ended])
        return ended

    def tokens(self) -> list[KeptToken]:
        """All tokens, also those that are over."""
        with self._parts.looking() as tx:
            return tokens(tx)

    def make(
        self, name: str, role: Role, agency: str | None, days: int, who: Person, why: str
    ) -> tuple[int, str]:
        """(number, the token itself, which nobody can be shown again). Raises `ConfigurationError`."""
        if agency is not None and agency not in self._parts.agreements:
            raise ConfigurationError(f"there is no agreement of {agency!r}")
        user = User(name, name, role, agency)
        if not 1 <= days <= LONGEST_DAYS:
            raise ConfigurationError(f"a token is for 1 to {LONGEST_DAYS} days, then another one is made")
        secret = new_token()
        until = datetime.datetime.fromtimestamp(self._clock(), datetime.UTC) + datetime.timedelta(days=days)
        with self._parts.deciding() as tx:
            entrant = Entrant(user.account, user.name, user.role, user.agency)
            number = make_token(tx, mark(secret), entrant, f"{who.name} ({who.account})", until)
            detail = f"{name}: {role}, {days} days"
            note(tx, [who.entry(MAKE_TOKEN, f"token {number}", why, agency=agency, detail=detail)])
        return number, secret

    def revoke(self, number: int, who: Person, why: str) -> KeptToken:
        """It lets nobody in any more, at once. Raises `NotFound` for one that is not there, or over."""
        with self._parts.deciding() as tx:
            revoked = revoke_token(tx, number)
            if revoked is None:
                raise NotFound(f"there is no token {number} that is not revoked: `jisr console token list`")
            note(tx, [who.entry(REVOKE_TOKEN, f"token {number}", why, agency=revoked.agency)])
        return revoked
