"""The performance: load, story, proof; and what is reported of them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from typing import Any

from hub.local.demo.audit import audit
from hub.local.demo.everyday.release import Release
from hub.local.demo.everyday.stage import Stage, Turn
from hub.local.demo.everyday.steps import TURNS
from hub.local.demo.loading import Load, converge
from hub.local.demo.proof.verdict import Verdict
from hub.local.demo.quiet import Quiet
from hub.local.demo.region import Region
from hub.local.demo.screen import Screen
from hub.local.demo.story.scene import Outcome, Scene, Step
from hub.local.demo.story.steps import STEPS

_SETTLE_WITHIN_S = 60.0
_SHOWN_PROBLEMS = 12
# Of the digests: enough to compare by eye, and the table fits a narrow terminal.
_SHOWN_DIGITS = 8


@dataclass
class Report:
    """What came of it."""

    load: Load
    verdict: Verdict
    people: int
    seed: int
    settled: bool
    steps: list[Outcome] = field(default_factory=list)

    @property
    def converged(self) -> bool:
        return self.load.complete and self.settled and self.verdict.proven

    @property
    def ok(self) -> bool:
        return self.converged and all(step.ok for step in self.steps)

    def as_json(self) -> dict[str, Any]:
        """For programs: plain values only."""
        agencies: dict[str, dict[str, Any]] = {}
        for sheet in self.verdict.sheets:
            agencies.setdefault(sheet.agency, {})[sheet.record_type] = {
                "rows": sheet.rows,
                "entitled": sheet.entitled,
                "duplicates": sheet.duplicates,
                "held_digest": sheet.held_digest,
                "entitled_digest": sheet.entitled_digest,
                "equal": sheet.equal,
            }
        return {
            "converged": self.converged,
            "ok": self.ok,
            "people": self.people,
            "seed": self.seed,
            "changes": self.load.changes,
            "seconds": round(self.load.seconds, 2),
            "changes_per_s": round(self.load.changes_per_s),
            "cpu_seconds": dict(self.load.cpu_s),
            "values_compared": self.verdict.compared,
            "problems": self.verdict.problems(),
            "steps": [step.as_json() for step in self.steps],
            "agencies": agencies,
        }


def perform(
    region: Region, release: Release, acts: Sequence[int], screen: Screen, heed: Callable[[], None]
) -> Report:
    """All of the demonstration; leaves everything running. Blocks; may be interrupted anywhere.

    `release` is what the region's parts read. `heed` is called now and then, and raises if somebody has asked
    to stop.
    """
    population = region.population
    screen.heading(f"Four agencies, {population.people} people (seed {population.seed})")
    region.start()
    heed()
    quiet = Quiet(region)
    try:
        load = converge(region, quiet, screen, heed)
        _show_load(load, screen)
        steps = []
        for act in acts:
            steps += _play(act, region, release, screen, heed) if load.complete else _not_played(act)
        # The agencies, their topics and databases may be others now.
        quiet.close()
        quiet = Quiet(region)
        settled = quiet.wait(_SETTLE_WITHIN_S)
        if not settled:
            screen.verdict(False, f"something is still under way after {_SETTLE_WITHIN_S:.0f} s")
        heed()
        verdict = audit(region.site)
    finally:
        quiet.close()
    report = Report(load, verdict, population.people, population.seed, settled, steps)
    _show_proof(report, screen)
    return report


def _play(
    act: int, region: Region, release: Release, screen: Screen, heed: Callable[[], None]
) -> list[Outcome]:
    screen.heading(_HEADINGS[act])
    outcomes = []
    for number, outcome in enumerate(_STEPS[act](region, release, heed), 1):
        outcomes.append(outcome)
        delay = "" if outcome.delay_ms is None else f"  ({outcome.delay_ms:.0f} ms)"
        screen.verdict(outcome.ok, f"{number:>2}. {outcome.sentence}{delay}")
        for remark in outcome.remarks:
            screen.line(f"      {remark}", "dim")
        if not outcome.ok:
            screen.line(f"      {outcome.problem}", "red")
    return outcomes


def _story(region: Region, _: Release, heed: Callable[[], None]) -> Iterator[Outcome]:
    with closing(Scene(region, heed)) as scene:
        for step in STEPS:
            yield scene.play(step)


def _everyday(region: Region, release: Release, heed: Callable[[], None]) -> Iterator[Outcome]:
    with closing(Stage(region, release, heed)) as stage:
        for turn in TURNS:
            yield stage.take(turn)


_HEADINGS = {1: "The story", 2: "Ordinary life"}
_STEPS = {1: _story, 2: _everyday}


def _not_played(act: int) -> list[Outcome]:
    """Steps over records that have not converged would only wait for each of their deadlines."""
    steps: Iterable[Step | Turn] = STEPS if act == 1 else TURNS
    problem = "not played: the load did not converge"
    return [Outcome(step.name, ok=False, problem=problem, sentence=step.sentence) for step in steps]


def _show_load(load: Load, screen: Screen) -> None:
    if not load.complete:
        screen.verdict(False, f"the {load.changes} records do not converge; see the logs")
        return
    screen.verdict(
        True,
        f"{load.changes} records converged in {load.seconds:.1f} s: {load.changes_per_s:,.0f} changes/s, "
        "from the start of the connectors to the last commit in the last database entitled to them",
    )
    spent = ", ".join(f"{name} {seconds:.0f}" for name, seconds in load.cpu_s.items())
    screen.line(f"  processor seconds by then, starts included: {spent}", "dim")


def _show_proof(report: Report, screen: Screen) -> None:
    verdict = report.verdict
    screen.heading("The proof: what each agency holds, and what it may hold")
    columns = ("agency", "records", "rows", "duplicates", "entitled", "held", "to hold", "")
    screen.table(
        columns,
        [
            (
                sheet.agency,
                sheet.record_type,
                str(sheet.rows),
                str(sheet.duplicates),
                str(sheet.entitled),
                sheet.held_digest[:_SHOWN_DIGITS],
                sheet.entitled_digest[:_SHOWN_DIGITS],
                "✓" if sheet.equal else "✗",
            )
            for sheet in verdict.sheets
        ],
    )
    screen.verdict(
        not verdict.disagreeing,
        f"{verdict.compared:,} pairs of values that two agencies share were compared: "
        f"{len(verdict.disagreeing)} differ",
    )
    screen.verdict(
        not verdict.golden_differs,
        f"{verdict.golden_published:,} golden records published: "
        f"{len(verdict.golden_differs)} are not what the agencies' assertions amount to",
    )
    problems = verdict.problems()
    for problem in problems[:_SHOWN_PROBLEMS]:
        screen.line(f"  {problem}", "red")
    if len(problems) > _SHOWN_PROBLEMS:
        screen.line(f"  … and {len(problems) - _SHOWN_PROBLEMS} more", "red")
    steps = sum(step.ok for step in report.steps)
    screen.line()
    screen.verdict(report.ok, f"{steps} of {len(report.steps)} steps came true; " + _last_word(report))


def _last_word(report: Report) -> str:
    if report.converged:
        return "every agency holds exactly what it may hold, and all that they share is the same"
    return f"NOT converged: {len(report.verdict.problems())} differences"
