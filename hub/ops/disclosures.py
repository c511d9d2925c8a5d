"""What agencies were really told, and what was taken back from them, since a day: by agreements that changed,
by consents, and by what else became of records (R17).

`hub.ops.forecast` tells beforehand what planned agreements would do; this tells afterwards what was done, by
the workers' own count.
"""

from __future__ import annotations

import datetime
from collections.abc import Iterable
from dataclasses import dataclass, field

from hub.contracts.policies import day_number
from hub.core.disclosure import UNKNOWN, WHOLE
from hub.ops.finding import require_agency
from hub.ops.parts import MOROCCO, Parts
from hub.ops.status import Standing
from hub.store.disclosures import (
    BY_CONSENT,
    BY_RECORD,
    BY_REFERENCE,
    Count,
    Reprojection,
    disclosures,
    reprojections_since,
)

# In the order in which they are shown.
CAUSES = (BY_CONSENT, BY_REFERENCE, BY_RECORD)


@dataclass
class Moved:
    """What was told to one agency of one record type, and taken back, in numbers of entities.

    `begun`, `ended`: as a whole, for the first time or for good; `told`, `taken_back`: of those that it held
    before and after, by field; `unknown`: told anew, where nobody kept what had been told before.
    """

    agency: str
    record_type: str
    begun: int = 0
    ended: int = 0
    told: dict[str, int] = field(default_factory=dict)
    taken_back: dict[str, int] = field(default_factory=dict)
    unknown: int = 0

    def add(self, count: Count) -> None:
        name = count.where.field
        if name == WHOLE:
            self.begun += count.told
            self.ended += count.taken_back
        elif name == UNKNOWN:
            self.unknown += count.told + count.taken_back
        else:
            for number, counted in ((count.told, self.told), (count.taken_back, self.taken_back)):
                if number:
                    counted[name] = counted.get(name, 0) + number


@dataclass(frozen=True)
class Report:
    """What was told and taken back. `others`: cause, one of `CAUSES` → what it moved outside of
    reprojections."""

    since: datetime.datetime
    reprojections: tuple[tuple[Reprojection, tuple[Moved, ...]], ...]
    others: dict[str, tuple[Moved, ...]]


def report(parts: Parts, since: datetime.datetime, agency: str | None = None) -> Report:
    """What was told and taken back since, at one agency or at all. Blocks.

    A reprojection is told whole if it has not ended before; the rest is counted by days. Raises `Fatal` for
    an agency that is not known, and was not.
    """
    day = day_number(since.astimezone(MOROCCO).date())
    with parts.looking() as tx:
        begun = reprojections_since(tx, since)
        counts = disclosures(tx, [one.id for one in begun], day)
    counts = [one for one in counts if agency in (None, one.where.agency)]
    if not counts:
        # Who has left is asked for, too.
        require_agency(parts, agency)
    by_reprojection = tuple(
        (one, _moved(count for count in counts if count.where.reprojection == one.id)) for one in begun
    )
    return Report(
        since,
        tuple((one, those) for one, those in by_reprojection if those or _concerns(one, agency)),
        {
            cause: those
            for cause in CAUSES
            if (those := _moved(c for c in counts if not c.where.reprojection and c.where.cause == cause))
        },
    )


def _concerns(one: Reprojection, agency: str | None) -> bool:
    """Whether somebody who asks for `agency` wants to hear of it though it moved nothing there."""
    if agency is None or agency in one.agencies or one.agreed is None:
        return True
    return any(words["agency"] == agency for words in one.agreed)


def _moved(counts: Iterable[Count]) -> tuple[Moved, ...]:
    found: dict[tuple[str, str], Moved] = {}
    for count in counts:
        place = count.where.agency, count.where.record_type
        found.setdefault(place, Moved(*place)).add(count)
    return tuple(found[place] for place in sorted(found))


def outstanding(standings: Iterable[Standing], agency: str | None = None) -> list[Standing]:
    """Where an agency's side has yet to acknowledge what was published, waits with it or has refused it."""
    return [
        one
        for one in standings
        if agency in (None, one.agency) and (one.pending or one.waiting or one.refused)
    ]
