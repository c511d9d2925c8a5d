"""How large the measurements are, and what every one of them needs."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from hub.local.bench.stage import Stage
from hub.local.bench.workload import Workload, workload
from hub.local.stack import Progress

# Whoever is slower than this is stuck.
_SLOWEST_PER_S = 20
_AT_LEAST_S = 120.0


@dataclass(frozen=True)
class Bench:
    """`rates`: edits a second for the latency, each for `latency_s`. `entities`: how many the hub knows of
    when the cost of a change is measured, ascending.
    """

    changes: int
    seed: int
    rates: Sequence[int]
    latency_s: float
    entities: Sequence[int]
    report: Callable[[Progress], None]

    @property
    def patience_s(self) -> float:
        return self.patience_of(self.changes)

    @staticmethod
    def patience_of(changes: int) -> float:
        """How long so many changes may take, in s."""
        return max(_AT_LEAST_S, changes / _SLOWEST_PER_S)

    def workload(self, first: int = 0) -> Workload:
        return workload(self.changes, self.seed + first, first)

    def stage(self, targets: int, load: Workload) -> Stage:
        return Stage(targets, load.known, self.report)


def difference(now: Mapping[str, float], before: Mapping[str, float]) -> dict[str, float]:
    """What each process has used since."""
    return {name: used - before.get(name, 0.0) for name, used in now.items()}
