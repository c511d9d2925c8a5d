"""What the store's callers need to tell apart."""

from hub.errors import Retriable


class Fenced(Retriable):
    """Another worker has moved this lane's position: what was read here is not ours to apply (R25)."""


class LockSetGrew(Retriable):
    """More rows are concerned than were locked: start again with the larger set (R25)."""

    def __init__(self, entities: frozenset[bytes]) -> None:
        super().__init__("more entities are concerned than were locked")
        self.entities = entities


class StoreAway(Retriable):
    """The hub's PostgreSQL does not answer, or broke off."""
