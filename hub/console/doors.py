"""Whom the console lets in at each request: sessions that are still open, and programs' tokens.

A cookie or token holds 256 random bits; the store keeps their SHA-256, so that whoever reads the store cannot
come in. What the store does not know is closed, and while it is away nobody comes in.
"""

from __future__ import annotations

import datetime
import hashlib
import math
import secrets
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from typing import Protocol

from hub.console.access import Role, User
from hub.errors import ConfigurationError
from hub.ops.parts import Parts
from hub.store.entrances import Entrant, begin_session, end_sessions, is_open, use_token

PREFIX = "jisr_"
_BYTES = 32
# How long a session that was ended elsewhere may still be taken for open.
FRESH_S = 2.0
_REMEMBERED = 10_000


class Doors(Protocol):
    """Blocks; raises `Retriable` while the store is away."""

    def begin(self, user: User, until: float) -> str:
        """Note that somebody came in, until Unix seconds; returns the number for the cookie."""

    def is_open(self, number: str) -> bool:
        """Whether a session is still open; what is not known is not."""

    def leave(self, number: str) -> None:
        """Somebody goes out."""

    def program(self, token: str) -> User | None:
        """The program that has this token; None if it is unknown, expired or revoked."""

    def forget(self) -> None:
        """Sessions were ended in the store: ask it again."""


class StoreDoors:
    """As the hub's store has it. Thread-safe."""

    def __init__(self, parts: Parts, clock: Callable[[], float] = time.monotonic) -> None:
        self._parts = parts
        self._clock = clock
        self._lock = threading.Lock()
        self._seen: OrderedDict[bytes, float] = OrderedDict()

    def begin(self, user: User, until: float) -> str:
        number = secrets.token_urlsafe(_BYTES)
        ends = datetime.datetime.fromtimestamp(until, datetime.UTC)
        entrant = Entrant(user.account, user.name, user.role, user.agency)
        with self._parts.deciding() as tx:
            begin_session(tx, mark(number), entrant, ends)
        return number

    def is_open(self, number: str) -> bool:
        this = mark(number)
        with self._lock:
            if self._seen.get(this, -math.inf) > self._clock() - FRESH_S:
                return True
        with self._parts.deciding() as tx:
            found = is_open(tx, this)
        with self._lock:
            self._seen.pop(this, None)
            if found:
                self._seen[this] = self._clock()
            if len(self._seen) > _REMEMBERED:
                self._seen.popitem(last=False)
        return found

    def leave(self, number: str) -> None:
        with self._parts.deciding() as tx:
            end_sessions(tx, mark=mark(number))
        self.forget()

    def program(self, token: str) -> User | None:
        if not token.startswith(PREFIX):
            return None
        with self._parts.deciding() as tx:
            found = use_token(tx, mark(token))
        if found is None:
            return None
        number, name, role, agency = found
        try:
            return User(name, f"token-{number}", Role(role), agency)
        except (ValueError, ConfigurationError):
            return None

    def forget(self) -> None:
        with self._lock:
            self._seen.clear()


def mark(secret: str) -> bytes:
    """What the store keeps of a secret of 256 random bits: no salt or slow hash makes it harder to guess."""
    return hashlib.sha256(secret.encode()).digest()


def new_token() -> str:
    return PREFIX + secrets.token_urlsafe(_BYTES)
