"""An operator copies an agency's database and, some deeds later, puts the copy back (R24)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple

from simulation.agency import AgencyDatabase
from simulation.deeds import SetBack
from simulation.people import People
from simulation.schedule import Schedule


class Restored(NamedTuple):
    """What was done. `copied_ms`, `restored_ms`: when the copy was made, and put back; `receipts`: how many
    messages there were of the agency's receipts by then."""

    agency: str
    copied_ms: int
    restored_ms: int
    receipts: int


class Operators:
    """Those of all agencies; `ledger` keeps what they have done, in order."""

    def __init__(
        self,
        schedule: Schedule,
        databases: Mapping[str, AgencyDatabase],
        people: People,
        stop: Callable[[str], None],
        start: Callable[[str, int], None],
        receipts: Callable[[str], int],
    ) -> None:
        """`stop`: ends an agency's connector; `start`: has it started so many ms later."""
        self._schedule, self._databases, self._people = schedule, databases, people
        self._stop, self._start, self._receipts = stop, start, receipts
        self.ledger: list[Restored] = []

    def work(self, plans: list[SetBack]) -> None:
        for plan in plans:
            self._restore(plan)

    def _restore(self, plan: SetBack) -> None:
        agency = plan.agency
        database = self._databases[agency]
        self._await(*plan.copied)
        database.await_writer(None)
        copied_ms, copy = self._schedule.now_ms, database.copy()
        memory, since = self._people.remember(agency), len(self._people.ledger)
        self._await(*plan.restored)
        self._stop(agency)
        database.put_back(copy)
        self._people.set_back(agency, memory, since)
        self.ledger.append(Restored(agency, copied_ms, self._schedule.now_ms, self._receipts(agency)))
        self._start(agency, plan.away_ms)

    def _await(self, deeds: int, later_ms: int) -> None:
        self._schedule.wait(lambda: self._people.done >= deeds)
        self._schedule.wait(timeout_ms=later_ms)
