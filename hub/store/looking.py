"""A transaction of intake that takes no locks: for what is only supposed, and never committed."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from hub.core.contents import Reference, Target
from hub.core.crosswalk import World
from hub.store.loading import Advance
from hub.store.transaction import Transaction


class Looking(Transaction):
    """Looks where intake would lock. Who extends it says what becomes of what would be saved."""

    def advance(self, lane: str, advances: Sequence[Advance]) -> None:
        pass

    def lock_references(self, *, alone: bool) -> None:
        pass

    def lock_early(self, ids: Collection[bytes], *, shared: bool = False) -> None:
        pass

    def lock_entities(self, ids: Collection[bytes]) -> World:
        return self.entities(ids)

    def led_to(self, references: Collection[Reference]) -> dict[str, set[bytes]]:
        del references  # asked for what is to be locked early: nothing is
        return {}

    def targets(
        self, references: Collection[Reference], *, locked: bool, patient: bool = True
    ) -> dict[Reference, Target]:
        del locked, patient  # nothing is
        return self.look_at_targets(references)
