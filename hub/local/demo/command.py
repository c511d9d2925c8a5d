"""`jisr demo`: the whole of it, from an empty folder to the proof."""

from __future__ import annotations

import json
import sys
import threading
from typing import Any

import click

from hub.local.data_folder import default_home

# As a shell reports a process that Ctrl-C ended.
_INTERRUPTED = 130


@click.command()
@click.option("--people", default=300, show_default=True, type=click.IntRange(min=1), help="How many people.")
@click.option("--seed", default=1, show_default=True, help="Which people: the same seed, the same people.")
@click.option("--hub-workers", default=1, show_default=True, type=click.IntRange(min=1))
@click.option("--json", "as_json", is_flag=True, help="The last line of standard output is one JSON object.")
@click.option("--keep", is_flag=True, help="Leave everything running at the end, until Ctrl-C.")
def demo(people: int, seed: int, hub_workers: int, as_json: bool, keep: bool) -> None:
    """Four agencies' databases converge; a story of twelve steps; and the proof that all agree.

    Exit code 0 only if every step came true and every agency holds exactly what it may hold.
    """
    from hub.local.demo.interruption import Interruption
    from hub.local.demo.performance import perform
    from hub.local.demo.population import population
    from hub.local.demo.region import Region
    from hub.local.demo.screen import Screen

    screen = Screen(stderr=as_json)
    home = default_home() / "demo"
    region = Region(home, population(people, seed), hub_workers, screen.progress_line)
    code = 1
    with Interruption() as interruption:
        try:
            report = perform(region, screen, interruption.heed)
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
    home = region.stack.options.home
    screen.heading(f"All goes on running until Ctrl-C (`JISR_HOME={home} jisr endpoints` shows this, too):")
    endpoints = region.stack.endpoints
    screen.line(f"  bootstrap  {endpoints.bootstrap}")
    screen.line(f"  registry   {endpoints.registry}")
    screen.line(f"  store      {endpoints.store}")
    for agency, url in endpoints.agencies.items():
        screen.line(f"  {agency}  {url}")
    threading.Event().wait()
