"""What the store's callers need to tell apart."""

from hub.core.contents import Reference
from hub.errors import Retriable


class Fenced(Retriable):
    """Another worker has moved this lane's position: what was read here is not ours to apply (R25)."""


class LockSetGrew(Retriable):
    """More rows are concerned than were locked: start again with the larger set (R25).

    `references`: what leads to those that must be locked before what refers to them.
    """

    def __init__(self, entities: frozenset[bytes], references: frozenset[Reference] = frozenset()) -> None:
        super().__init__("more entities are concerned than were locked")
        self.entities = entities
        self.references = references


class StoreAway(Retriable):
    """The hub's PostgreSQL does not answer, or broke off."""
