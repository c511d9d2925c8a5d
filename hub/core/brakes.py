"""Brakes: so many changes of one kind from one agency that a person must look first (R32).

Pure: what counts as which kind, and from how many on it is a mass. First loads are no mass: an insert or a
snapshot adds what an agency knows. Only what a snapshot puts in place of others' values is counted, too.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from hub.core.assertions import Change

MASS_DELETE, MASS_UPDATE, MASS_JOIN = "mass_delete", "mass_update", "mass_join"
# Records that a restored database does not have: counted once, when all of it has been read (R24).
MASS_LOST = "mass_lost"
KINDS = (MASS_DELETE, MASS_UPDATE, MASS_JOIN, MASS_LOST)

MINUTE_MS = 60_000


class Limit(NamedTuple):
    """How many changes within the window pass: `floor`, or a share of the agency's live records."""

    floor: int
    percent: float

    def of(self, live: int) -> int:
        """The limit for an agency with so many live records of the type."""
        return max(self.floor, int(live * self.percent / 100))


# Deletions: a desk that cleans up deletes a few dozen rows in ten minutes, and a big agency some percent of
# its own; more is a script, a lost table or a wrong WHERE. Updates: a form a minute at fifty desks is five
# hundred; yearly campaigns (new telephone prefixes, communes renamed) are announced and released by hand.
DELETES = Limit(50, 5.0)
UPDATES = Limit(500, 20.0)
WINDOW_MIN = 10


@dataclass(frozen=True)
class Limits:
    """The limit of each kind, and the window in which changes are counted."""

    window_min: int = WINDOW_MIN
    of_kind: Mapping[str, Limit] = field(
        default_factory=lambda: {
            MASS_DELETE: DELETES,
            MASS_UPDATE: UPDATES,
            MASS_JOIN: UPDATES,
            MASS_LOST: DELETES,
        }
    )


def kind_of(change: Change) -> str | None:
    """What a change counts as by itself; None for what is not looked at, or only beside others' words."""
    if change.operation == "delete":
        return MASS_DELETE
    if change.operation == "update" and (change.values or change.added or change.removed):
        return MASS_UPDATE
    return None
