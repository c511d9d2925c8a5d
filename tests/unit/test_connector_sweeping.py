"""The side that sweeps asks the agency's database for no more than the next page."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from connectors import sweeping
from connectors.metrics import Metrics
from connectors.sweeping import SweepSide

PAGES = 3


class Sweeper:
    """Every record type is due once, for some pages; notes what it is asked."""

    def __init__(self, records: list[str]) -> None:
        self.left = dict.fromkeys(records, PAGES)
        self.asked: list[str] = []
        self.pages: list[str] = []

    def connect(self) -> None:
        pass

    def rest_s(self, record: str, every_s: float) -> float:
        self.asked.append(record)
        return 0.0 if self.left[record] else every_s

    def resume(self, record: str) -> bool:
        return True

    def step(self, record: str) -> Any:
        self.left[record] -= 1
        self.pages.append(record)
        cost = SimpleNamespace(rows=1, keys=0, bytes=1, seconds=0.0)
        return SimpleNamespace(cost=cost, findings=(), over=not self.left[record])

    def close(self) -> None:
        pass


def test_a_sweep_under_way_is_gone_on_with_before_any_other_is_asked_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sweeping, "FIRST_REST_S", 0.0)
    records = ["centre", "person", "enrolment", "referral"]
    sweeper = Sweeper(records)
    side = SweepSide(sweeper, records, 3600.0, 500.0, Metrics("ads"))
    side.open()
    while len(sweeper.pages) < PAGES * len(records):
        side.step()
    assert sweeper.pages == [record for record in records for _ in range(PAGES)]
    # Once for each page, and after the end of each sweep once for those whose turn it is not.
    assert len(sweeper.asked) <= PAGES * len(records) + len(records) ** 2
    assert side.step() == sweeping.LONGEST_REST_S
