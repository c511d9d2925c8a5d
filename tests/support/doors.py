"""Sessions and tokens in memory, for consoles whose store does not answer."""

from __future__ import annotations

import secrets

from hub.console.access import User


class MemoryDoors:
    """As `hub.console.doors.StoreDoors`; `programs`: token → user."""

    def __init__(self) -> None:
        self.open: dict[str, User] = {}
        self.programs: dict[str, User] = {}

    def begin(self, user: User, until: float) -> str:
        del until
        number = secrets.token_urlsafe(8)
        self.open[number] = user
        return number

    def is_open(self, number: str) -> bool:
        return number in self.open

    def leave(self, number: str) -> None:
        self.open.pop(number, None)

    def program(self, token: str) -> User | None:
        return self.programs.get(token)

    def forget(self) -> None:
        """Nothing is remembered beside it."""
