"""Schedules: which edits and which faults, in which order. All of it follows from a seed; nothing is done."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import count
from random import Random

from hub.crash import POINTS

# What people do, as `Staff` knows it.
EDITS = (
    "phone_at_entraide",
    "phone_at_ads",
    "commune_at_entraide",
    "commune_at_region",
    "receive",
    "twins",
    "enrol",
    "status",
    "unenrol",
    "dismiss",
    "consent",
    "withdraw",
)
_WEIGHTS = (4, 4, 3, 3, 2, 2, 3, 2, 1, 1, 1, 1)
# Points that are passed only after another death; where that one must happen.
AFTER = {
    "leftover.restated": "intake.committed",
    "leftover.published": "publication.acknowledged",
    "source.joining": "source.sent",
}
# Passed when an agency joins: the stage has one join at its start.
AT_START = ("joining.admitted",)
# What must happen so that a point is passed at all.
_NEEDS = {"tombstone.sent": ("enrol", "unenrol", "receive", "dismiss")}
# Where a worker or connector is frozen while others go on.
FREEZES = (
    "intake.finishing",
    "intake.committed",
    "publication.acknowledged",
    "receipts.saving",
    "source.sent",
    "sink.applying",
    "sink.applied",
)
_MOST_PASSAGES = 3


@dataclass(frozen=True)
class Step:
    """One thing that is done: `what` to whom, `number` how often or which, `serial` unique in its run."""

    kind: str
    what: str = ""
    number: int = 0
    serial: int = 0

    def __str__(self) -> str:
        return " ".join(filter(None, (self.kind, self.what, str(self.number or ""))))


@dataclass(frozen=True)
class Round:
    """Steps after which everything is left to settle, and the oracle is asked."""

    name: str
    steps: Sequence[Step] = field(default=())

    def __str__(self) -> str:
        return f"{self.name}: " + ", ".join(map(str, self.steps))


class Draw:
    """Draws rounds from a seed. `first`: of the serial numbers, so that two draws may share a stage."""

    def __init__(self, seed: int, first: int = 1) -> None:
        self._rng = Random(f"faults {seed}")
        self._serial = count(first)

    def rounds(self, number: int) -> Iterator[Round]:
        """`number` rounds of one fault each, or two at once."""
        for _ in range(number):
            yield self.round()

    def round(self) -> Round:
        names = self._rng.sample(sorted(FAULTS), self._rng.choice((1, 1, 2)))
        steps = [step for name in names for step in FAULTS[name](self)]
        return Round(" and ".join(names), [*self.edits(3), *steps, *self.edits(3)])

    def all_points(self, together: int) -> Iterator[Round]:
        """Every crash point once, so many in a round, each of another part of the path."""
        points = [point for point in POINTS if point not in AT_START]
        rounds = -(-len(points) // together)
        for start in range(rounds):
            chosen = points[start::rounds]
            steps = [step for point in chosen for step in self._crash(point, 1)]
            yield Round(f"killed at {', '.join(chosen)}", [*self.edits(3), *steps])

    def edits(self, number: int) -> list[Step]:
        kinds = self._rng.choices(EDITS, _WEIGHTS, k=number)
        return [self._edit(kind) for kind in kinds]

    def _edit(self, kind: str) -> Step:
        return Step("edit", kind, self._rng.randrange(1_000), next(self._serial))

    def _crash(self, point: str, passages: int) -> list[Step]:
        before = AFTER.get(point)
        orders = [Step("arm", point, passages)]
        if before is not None:
            orders.append(Step("arm", before, 1))
        needed = [self._edit(kind) for kind in _NEEDS.get(point, ())]
        caught = [Step("caught", order.what) for order in reversed(orders)]
        return [*orders, *self.edits(3), *needed, *caught]

    def killed(self) -> list[Step]:
        points = [point for point in POINTS if point not in AT_START]
        return self._crash(self._rng.choice(points), self._rng.randint(1, _MOST_PASSAGES))

    def frozen(self) -> list[Step]:
        point = self._rng.choice(FREEZES)
        return [
            Step("freeze", point, self._rng.randint(1, _MOST_PASSAGES)),
            *self.edits(2),
            Step("caught", point),
            *self.edits(6),
            Step("thaw", point),
            *self.edits(2),
        ]

    def broker_killed(self) -> list[Step]:
        return [Step("kill", "kafka"), *self.edits(6)]

    def server_killed(self) -> list[Step]:
        return [Step("kill", "postgres"), *self.edits(6)]

    def process_killed(self) -> list[Step]:
        names = ("hub-0", "hub-1", "connector-ads", "connector-entraide", "connector-region-laayoune")
        return [*self.edits(3), Step("kill", self._rng.choice(names)), *self.edits(4)]

    def connections_cut(self) -> list[Step]:
        name = self._rng.choice(("store", "ads", "entraide"))
        cuts = [[Step("cut", name), *self.edits(2)] for _ in range(3)]
        return [step for cut in cuts for step in cut]

    def database_away(self) -> list[Step]:
        name = self._rng.choice(("store", "ads", "entraide"))
        return [Step("away", name), *self.edits(6), Step("pass"), Step("back", name), *self.edits(2)]

    def repeated(self) -> list[Step]:
        """Messages come again, later and in another order."""
        return [
            Step("repeat", ".changes", self._rng.randrange(1_000)),
            *self.edits(3),
            Step("repeat", ".inbox", self._rng.randrange(1_000)),
        ]

    def poisoned(self) -> list[Step]:
        kinds = self._rng.sample(("rubbish", "unknown_schema", "invalid"), 2)
        return [
            step
            for kind in kinds
            for step in (Step("poison", kind, serial=next(self._serial)), *self.edits(2))
        ]

    def clock_off(self) -> list[Step]:
        """A stock client whose clock is an hour ahead or behind."""
        hours = self._rng.sample((-1, 1, -1, 1), 3)
        return [
            step
            for one in hours
            for step in (
                Step("youth", f"{one:+}h", self._rng.randrange(1_000), next(self._serial)),
                *self.edits(2),
            )
        ]

    def rebalanced(self) -> list[Step]:
        worker = self._rng.choice(("hub-0", "hub-1"))
        return [*self.edits(3), Step("restart", worker), *self.edits(4)]

    def twins(self) -> list[Step]:
        """Two agencies create one person at once, several times."""
        return [self._edit("twins") for _ in range(4)]


FAULTS = {
    name: getattr(Draw, name)
    for name in (
        "killed", "frozen", "broker_killed", "server_killed", "process_killed", "connections_cut",
        "database_away", "repeated", "poisoned", "clock_off", "rebalanced", "twins",
    )
}  # fmt: skip
