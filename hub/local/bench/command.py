"""`jisr bench`: measures, shows, and prints one JSON object."""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Sequence
from pathlib import Path

import click


@click.command()
@click.option(
    "--changes", default=100_000, show_default=True, type=click.IntRange(min=10), help="How many changes."
)
@click.option("--seed", default=1, show_default=True, help="Which people: the same seed, the same people.")
@click.option("--only", "only", multiple=True, metavar="PART", help="Only this part; may be repeated.")
@click.option(
    "--rate",
    "rates",
    multiple=True,
    type=click.IntRange(min=1),
    default=(200, 1_000),
    show_default=True,
    help="Edits a second for the latency; may be repeated.",
)
@click.option("--latency-s", default=20.0, show_default=True, help="For how long at each rate.")
@click.option(
    "--entities",
    multiple=True,
    type=click.IntRange(min=100, max=1_000_000),
    default=(10_000, 100_000),
    show_default=True,
    help="How many the hub knows of when a change's cost is measured, and (the most) the console; may be "
    "repeated.",
)
@click.option(
    "--plot",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Also draw what was measured: an SVG file.",
)
@click.option("--json", "as_json", is_flag=True, help="The last line of standard output is one JSON object.")
def bench(
    changes: int,
    seed: int,
    only: Sequence[str],
    rates: Sequence[int],
    latency_s: float,
    entities: Sequence[int],
    plot: Path | None,
    as_json: bool,
) -> None:
    """Measure the embedded stack under a fixed workload.

    docs/performance.md says what each part is. Every part ends with a comparison of what the agencies
    hold; a difference is an error.
    """
    from hub.local.bench.parts import PARTS
    from hub.local.bench.plan import Bench
    from hub.local.bench.plot import draw
    from hub.local.demo.interruption import Interruption
    from hub.local.demo.screen import Screen

    unknown = set(only) - PARTS.keys()
    if unknown:
        raise click.BadParameter(f"{', '.join(sorted(unknown))}: there are {', '.join(PARTS)}")
    screen = Screen(stderr=as_json)
    measure = Bench(changes, seed, rates, latency_s, entities, screen.progress_line)
    found = {}
    with Interruption() as interruption:
        for name in only or PARTS:
            interruption.heed()
            screen.heading(name)
            found[name] = PARTS[name](measure)
            screen.line(json.dumps(found[name]))
    if plot is not None:
        plot.write_text(draw(found), encoding="utf-8")
        screen.line(f"drawn: {plot}")
    if as_json:
        machine = {"cores": os.cpu_count(), "python": platform.python_version()}
        click.echo(json.dumps({"changes": changes, "seed": seed, "machine": machine, "parts": found}))
