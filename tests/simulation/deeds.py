"""What the agencies' people do, drawn from a seed: when, where, to whom.

A deed names its place by number; which row that is turns out when it is done. Values typed are new each time,
so that every edit really is one, and can be told from every other.
"""

from __future__ import annotations

import datetime
from collections.abc import Collection
from dataclasses import dataclass
from random import Random

from simulation.forms import Values

TODAY = datetime.date(2026, 3, 2)
FAMILIES = ("Alaoui", "Berrada", "Chraibi", "Daoudi")
_GIVEN = ("Zineb", "Omar", "Salma", "Hind")
_WRITERS = ("entraide", "ads")

# kind → how often, of a hundred.
KINDS = {
    "receive": 18,
    "note": 26,
    "blank": 4,
    "learn": 10,
    "form": 9,
    "diagnose": 9,
    "enrol": 8,
    "progress": 9,
    "unenrol": 2,
    "consent": 8,
    "withdraw": 7,
    "dismiss": 6,
    "reuse": 2,
    "rename": 1,
}
# How long after a deed an operator sets to work; and for how long the connector stays away.
_OPERATED_MS = (0, 3, 300, 2_000, 9_000)
_STOPPED_MS = (400, 2_000, 12_000)
# In one of how many runs a database is restored.
_ONE_IS_RESTORED_IN = 4
# How far apart a steward's decisions are: what was decided meets what is on its way, or what is long at rest.
_DECIDED_MS = (300, 1_500, 5_000, 20_000)
NOTED = (
    "phone",
    "phone",
    "phone",
    "education_level",
    "languages",
    "received_on",
    "family_name_fr",
    "disability",
)


@dataclass(frozen=True)
class Deed:
    """One thing that people do `at_ms` after the beginning; `number` chooses, `serial` makes new values."""

    at_ms: int
    agency: str
    kind: str
    person: int
    number: int
    serial: int

    def __str__(self) -> str:
        return f"+{self.at_ms} ms {self.agency}: {self.kind} (person {self.person}, {self.number})"


def draw(seed: int, number: int, *, plain: bool = False, often: Collection[str] = ()) -> list[Deed]:
    """What people do in one run; kinds in `often` more than others.

    `plain`: only deeds whose effect does not depend on what was delivered.
    """
    rng = Random(f"people {seed}")
    # One of them comes up again and again: what is done to one person is what meets.
    focus = rng.randrange(3)
    possible = ("receive", "note", "learn", "enrol") if plain else KINDS
    kinds = {kind: KINDS[kind] * (5 if kind in often else 1) for kind in possible}
    chosen = ["receive"] * 3 + rng.choices(list(kinds), list(kinds.values()), k=number - 3)
    deeds, at_ms = [], 0
    for serial, kind in enumerate(chosen, 1):
        # In bursts: what meets on its way is what goes wrong.
        at_ms += rng.choice((40, 40, 300, 1_500) if plain else (0, 0, 1, 5, 40, 300, 1_500))
        agency = "health" if kind == "diagnose" else rng.choice((*_WRITERS, *_WRITERS, "health"))
        if (
            kind not in ("receive", "note", "learn", "diagnose", "form", "dismiss", "reuse")
            and agency == "health"
        ):
            agency = rng.choice(_WRITERS)
        person = rng.choice((focus, focus, focus, rng.randrange(3)))
        deeds.append(Deed(at_ms, agency, kind, person, rng.randrange(1_000), serial))
    return deeds


def draw_decisions(seed: int, *, often: bool = False) -> list[Deed]:
    """What a steward at the hub decides in one run: in half of all runs nothing. `often`: in any, and more.

    By dice of their own: in runs without a steward people do what they did before there was one.
    """
    rng = Random(f"steward {seed}")
    most = 8 if often else rng.choice((0, 5))
    deeds, at_ms = [], 0
    for serial in range(1, rng.randint(1, most) + 1 if most else 1):
        at_ms += rng.choice(_DECIDED_MS)
        deeds.append(Deed(at_ms, "hub", "decide", 0, rng.randrange(1_000_000), serial))
    return deeds


def draw_sweeps(seed: int) -> bool:
    """Whether connectors sweep in one run (R30): in a third of all, by dice of their own."""
    return Random(f"sweeps {seed}").randrange(3) == 0


@dataclass(frozen=True)
class SetBack:
    """A restore of an agency's database: copied so many ms after so many deeds, put back after others; then
    its connector is away for `away_ms`."""

    agency: str
    copied: tuple[int, int]
    restored: tuple[int, int]
    away_ms: int

    def __str__(self) -> str:
        return f"{self.agency}: copied {self.copied}, restored {self.restored}, away {self.away_ms} ms"


def draw_restores(seed: int, number: int, *, often: bool = False) -> list[SetBack]:
    """Which database is restored in one run of so many deeds: in most none. `often`: in any.

    By dice of their own, like a steward's decisions.
    """
    rng = Random(f"restore {seed}")
    if rng.randrange(_ONE_IS_RESTORED_IN) and not often:
        return []
    copied = rng.randrange(number - 1)
    restored = rng.randint(copied, number)
    moments = (copied, rng.choice(_OPERATED_MS)), (restored, rng.choice(_OPERATED_MS))
    return [SetBack(rng.choice(_WRITERS), *moments, rng.choice(_STOPPED_MS))]


def truth(person: int) -> Values:
    """Who a person really is."""
    return {
        "cin": f"SH{person + 1}",
        "family_name_fr": FAMILIES[person],
        "given_name_fr": _GIVEN[person],
        "birth_date": datetime.date(1990, 1, 1 + person),
        "sex": "female" if person % 2 == 0 else "male",
    }
