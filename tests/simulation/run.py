"""One seed, run and judged."""

from __future__ import annotations

import hashlib
import logging
import traceback
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field

from simulation.judge import Judge
from simulation.planted import PLANTS
from simulation.reference import Entity
from simulation.region import Options, Region

# What a planted function raises that no longer fits where it is called: it would be found by any seed, and
# prove nothing.
_DOES_NOT_FIT = (TypeError, AttributeError, NameError)


@dataclass
class Verdict:
    """What came of a run: `problems` is empty if all is as it should be."""

    seed: int
    problems: list[str] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)
    deeds: list[str] = field(default_factory=list)
    # How often the baton changed hands, and what was said, to compare two runs of one seed.
    steps: int = 0
    trace: str = ""


def run(
    seed: int,
    plant: int | None = None,
    *,
    schedule: str = "",
    plain: bool = False,
    restore: bool | None = None,
) -> Verdict:
    """Run one seed, with a mistake planted or without; `restore` as in `Options`."""
    options = Options(seed, schedule, plain, restore=restore)
    if plant is not None:
        # More dies, and people do what brings it to light: most seeds would else be played in vain.
        often = PLANTS[plant].often
        options = Options(
            seed, often=often, steward="decide" in often, sweeps="sweep" in often, restore="restore" in often,
            most_faults=10, one_passage_in=15,
        )  # fmt: skip
    logging.disable(logging.CRITICAL)
    region = Region(options)
    deeds = [str(deed) for deed in (*region.deeds, *region.restores)]
    verdict = Verdict(seed, faults=region.faults, deeds=deeds)
    try:
        # Planted while it runs, not while it is judged: the judge must not make the same mistake.
        with PLANTS[plant].planted() if plant is not None else nullcontext():
            region.run()
    except Exception as error:
        if plant is not None and isinstance(error, _DOES_NOT_FIT):
            raise
        last = traceback.extract_tb(error.__traceback__)[-1]
        verdict.problems = [f"{type(error).__name__}: {error} ({last.name}, line {last.lineno})"]
    else:
        verdict.problems = Judge(region).problems()
    verdict.steps = region.schedule.switches
    messages = [(*place, *record) for place, log in sorted(region.broker.log.items()) for record in log]
    verdict.trace = hashlib.blake2b(repr(messages).encode(), digest_size=8).hexdigest()
    return verdict


def run_some(seeds: Sequence[int], restore: bool | None = None) -> list[Verdict]:
    return [run(seed, restore=restore) for seed in seeds]


def caught(plant: int, most: int) -> Verdict | None:
    """A seed that finds a planted mistake: the one that found it last time, or the first of `most`."""
    seeds = (PLANTS[plant].seed, *range(most))
    return next((found for seed in seeds if (found := run(seed, plant)).problems), None)


def believed(seed: int, schedule: str) -> list[str]:
    """What is believed in the end, in a run in which no effect of a deed depends on what was delivered."""
    logging.disable(logging.CRITICAL)
    region = Region(Options(seed, f"{schedule} {seed}", plain=True))
    region.run()
    judge = Judge(region)
    problems = judge.problems()
    assert not problems, problems
    found = []
    for entity in judge.reference.entities:
        written = [str(tuple(member.name)) for member in entity.members if member.linked is None]
        golden = {name: _shown(value) for name, value in sorted(entity.golden.items())}
        found.append(f"{written} {golden}")
    return sorted(found)


def _shown(value: object) -> str:
    return str(tuple(value.founder.name)) if isinstance(value, Entity) else str(value)
