"""The load: everybody's records converge, shown live and measured."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass

from hub.errors import Fatal
from hub.local.demo.agencies.databases import AGENCY_DATABASES
from hub.local.demo.quiet import Quiet
from hub.local.demo.region import Region
from hub.local.demo.screen import Screen

_SHOW_EVERY_S = 0.25
# Far more than any machine needs: whoever is slower than this is stuck.
_SLOWEST_CHANGES_PER_S = 50
_AT_LEAST_S = 120.0


@dataclass(frozen=True)
class Load:
    """How the load went. `changes`: rows that the agencies had to begin with.

    `seconds`: from the start of the first connector's process until the last row was committed in the
    last database that may hold it.
    """

    changes: int
    seconds: float

    @property
    def changes_per_s(self) -> float:
        return self.changes / self.seconds


def converge(region: Region, quiet: Quiet, screen: Screen) -> Load:
    """Wait until every agency has what it may have. Blocks; raises Fatal if it takes forever."""
    goal = expected_rows(region)
    changes = sum(len(copies) for held in region.population.copies.values() for copies in held.values())
    deadline = time.monotonic() + max(_AT_LEAST_S, changes / _SLOWEST_CHANGES_PER_S)
    with screen.progress(goal) as show:
        while not _shown(region, goal, show) or not quiet.wait(_SHOW_EVERY_S * 2):
            if time.monotonic() > deadline:
                raise Fatal(_stuck(region, goal))
            time.sleep(_SHOW_EVERY_S)
    return Load(changes, quiet.last_commit_s() - region.connectors_started_at())


def expected_rows(region: Region) -> dict[str, int]:
    """How many rows each agency holds once all have converged: from the truth about the population."""
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
        )
    return goal


def rows_held(region: Region) -> dict[str, int]:
    """How many rows each agency holds now."""
    return {
        agency: sum(
            region.desks[agency].one(f'SELECT count(*) FROM "{table.name}"')  # noqa: S608 — our own text
            for table in tables
        )
        for agency, (_, tables) in AGENCY_DATABASES.items()
    }


def _shown(region: Region, goal: Mapping[str, int], show: object) -> bool:
    held = rows_held(region)
    assert callable(show)
    show(held)
    return all(held[agency] >= goal[agency] for agency in goal)


def _stuck(region: Region, goal: Mapping[str, int]) -> str:
    held = rows_held(region)
    far = ", ".join(f"{agency} {held[agency]} of {goal[agency]}" for agency in goal)
    return f"the records do not converge: rows held are {far}; see the logs in {region.stack.folder.logs}"
