"""The load: everybody's records converge, shown live and measured."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from hub.contracts.agreements import CONSENT, Grant
from hub.local.demo.agencies.databases import AGENCY_DATABASES
from hub.local.demo.quiet import Quiet, pause_s
from hub.local.demo.region import Region
from hub.local.demo.screen import Screen

_SHOW_EVERY_S = 0.5
# How long to wait for the end, once all rows are there, before they are shown again.
_END_WITHIN_S = 5.0
# Far more than any machine needs: whoever is slower than this is stuck.
_SLOWEST_CHANGES_PER_S = 50
_AT_LEAST_S = 120.0


@dataclass(frozen=True)
class Load:
    """How the load went. `changes`: rows that the agencies had to begin with.

    `seconds`: from the start of the first connector's process until the last row was committed in the
    last database that may hold it. `cpu_s`: processor seconds of each process of the stack by then, its
    start and its children included. `complete`: False if it did not come to an end in time.
    """

    changes: int
    seconds: float
    cpu_s: Mapping[str, float]
    complete: bool

    @property
    def changes_per_s(self) -> float:
        return self.changes / self.seconds


def converge(region: Region, quiet: Quiet, screen: Screen, heed: Callable[[], None]) -> Load:
    """Wait until every agency has what it may have, or until that takes forever. Blocks."""
    goal = expected_rows(region)
    changes = sum(len(copies) for held in region.population.copies.values() for copies in held.values())
    deadline = time.monotonic() + max(_AT_LEAST_S, changes / _SLOWEST_CHANGES_PER_S)
    complete = False
    with screen.progress(goal) as show:
        while not complete and time.monotonic() < deadline:
            heed()
            began = time.monotonic()
            held = rows_held(region)
            show(held)
            if all(held[agency] >= goal[agency] for agency in goal):
                complete = quiet.wait(_END_WITHIN_S)
            else:
                time.sleep(pause_s(began, _SHOW_EVERY_S))
    seconds = quiet.last_commit_s() - region.connectors_started_at()
    return Load(changes, seconds, region.cpu_s(), complete)


def expected_rows(region: Region) -> dict[str, int]:
    """How many rows each agency holds once all have converged: from the truth about the population.

    Neither here nor in `rows_held` are the tables whose rows come and go with people's consent: how many
    those are is proven at the end.
    """
    people = region.population
    numbers: dict[str, set[int]] = {}
    for copies in people.copies.values():
        for record_type, those in copies.items():
            numbers.setdefault(record_type, set()).update(copy.number for copy in those)
    things = {record_type: len(known) for record_type, known in numbers.items()}
    # Of those who cannot be recognised there is one entity for each agency that knows them.
    things["person"] = sum(1 for _ in people.truth.entities())
    goal = {}
    for agency, held in people.copies.items():
        receives = region.agreements[agency].receives
        goal[agency] = sum(
            things[record_type] if any(grant.create for grant in receives[record_type]) else len(copies)
            for record_type, copies in held.items()
            if not _by_consent(receives[record_type])
        )
    return goal


def _by_consent(grants: Iterable[Grant]) -> bool:
    """Whether people's consent decides which rows an agency has."""
    return any(grant.create and grant.legal_basis == CONSENT for grant in grants)


def rows_held(region: Region) -> dict[str, int]:
    """How many rows each agency holds now, in the tables of `expected_rows`."""
    held = {}
    for agency, (_, tables) in AGENCY_DATABASES.items():
        receives = region.agreements[agency].receives
        counts = [
            f'(SELECT count(*) FROM "{table.name}")'  # noqa: S608 — our own text
            for table in tables
            if not _by_consent(receives[table.record_type])
        ]
        held[agency] = int(region.desks[agency].one(f"SELECT {' + '.join(counts)}"))
    return held
