"""`jisr demo`: the whole of it, from an empty folder to the proof."""

from __future__ import annotations

import json
import sys
import threading
from typing import Any

import click

from hub.local.data_folder import default_home

# So many that the agency that joins in the second act has enough to say to be held.
_LEAST_IN_ACT_2 = 60
# As a shell reports a process that Ctrl-C ended.
_INTERRUPTED = 130


@click.command()
@click.option("--people", default=300, show_default=True, type=click.IntRange(min=1), help="How many people.")
@click.option("--seed", default=1, show_default=True, help="Which people: the same seed, the same people.")
@click.option(
    "--act",
    "chosen",
    multiple=True,
    type=click.Choice(["1", "2", "all"]),
    default=["1"],
    show_default=True,
    help="1: the story. 2: what happens to agencies in ordinary life. May be given twice; all is both.",
)
@click.option(
    "--hub-workers", default=1, show_default=True, type=click.IntRange(min=1), help="How many hub workers."
)
@click.option("--json", "as_json", is_flag=True, help="The last line of standard output is one JSON object.")
@click.option("--keep", is_flag=True, help="Leave everything running at the end, until Ctrl-C.")
def demo(
    people: int, seed: int, chosen: tuple[str, ...], hub_workers: int, as_json: bool, keep: bool
) -> None:
    """Let four agencies' databases converge, and prove it.

    The first act is a story of twelve scenes. The second act (`--act 2`) is ordinary life: an agency
    joins, an agreement and a consent change, a script goes mad, a database is restored, people are taken
    for one another.

    Exit code 0 only if every step came true and every agency holds exactly what it may hold.
    """
    from hub.local.demo.everyday.release import Release
    from hub.local.demo.interruption import Interruption
    from hub.local.demo.performance import perform
    from hub.local.demo.population import population
    from hub.local.demo.region import Region, clear
    from hub.local.demo.screen import Screen

    screen = Screen(stderr=as_json)
    home = default_home() / "demo"
    acts = [act for act in (1, 2) if {str(act), "all"} & {*chosen}]
    if 2 in acts and people < _LEAST_IN_ACT_2:
        raise click.UsageError(f"--act 2 needs at least --people {_LEAST_IN_ACT_2}: fewer reach no brake")
    # Before anything of a running one is touched.
    clear(home)
    release = Release(home.with_name("demo-release"))
    region = Region(
        home,
        population(people, seed),
        hub_workers,
        screen.progress_line,
        agreements=release.agreements,
        connectors=release.connectors,
    )
    code = 1
    with Interruption() as interruption:
        try:
            report = perform(region, release, acts, screen, interruption.heed)
            code = 0 if report.ok else 1
            if as_json:
                click.echo(json.dumps(report.as_json(), ensure_ascii=False))
            if keep:
                _keep(region, screen)
        except KeyboardInterrupt:
            screen.line("stopping")
            code = _INTERRUPTED if code else 0
        finally:
            # A second Ctrl-C would leave processes behind.
            interruption.no_more()
            region.stop()
    sys.exit(code)


def _keep(region: Any, screen: Any) -> None:
    from hub.local.postgres import plain

    home = region.stack.options.home
    screen.heading(f"All goes on running until Ctrl-C (`JISR_HOME={home} jisr endpoints` shows this, too):")
    endpoints = region.stack.endpoints
    screen.line(f"  bootstrap  {endpoints.bootstrap}")
    screen.line(f"  registry   {endpoints.registry}")
    screen.line(f"  store      {plain(endpoints.store)}")
    for agency, url in endpoints.agencies.items():
        screen.line(f"  {agency}  {plain(url)}")
    threading.Event().wait()
