"""`make simulate`: many seeds on all processors, or one again. See docs/simulation.md."""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from multiprocessing import get_context

from simulation.run import Verdict, run_some

# How many seeds one worker takes at a time.
SLICE = 10


def run_all(seeds: Sequence[int], workers: int, restore: bool | None) -> Iterator[Verdict]:
    """Verdicts as they come; the order of seeds is not kept."""
    slices = [seeds[start : start + SLICE] for start in range(0, len(seeds), SLICE)]
    with ProcessPoolExecutor(workers, get_context("spawn")) as pool:
        for verdicts in pool.map(partial(run_some, restore=restore), slices):
            yield from verdicts


def report(verdict: Verdict, arguments: str) -> None:
    """What a person needs to find the mistake."""
    print(f"\nseed {verdict.seed} fails:")
    for problem in verdict.problems[:12]:
        print(f"  {problem}")
    print(f"  faults: {', '.join(verdict.faults) or 'none'}")
    print(f"  again: make simulate SEED={verdict.seed} SEEDS=1{arguments}", flush=True)


def show(verdict: Verdict) -> None:
    """All that happened in the one seed that was asked for."""
    for deed in verdict.deeds:
        print(f"  {deed}")
    for fault in verdict.faults:
        print(f"  {fault}")
    print(f"  {verdict.steps} steps, trace {verdict.trace}")


def main() -> int:
    parser = argparse.ArgumentParser(prog="make simulate", description=__doc__)
    parser.add_argument("--seed", type=int, default=0, help="The first seed.")
    parser.add_argument("--seeds", type=int, default=1_000, help="How many.")
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1)
    parser.add_argument(
        "--restore", action="store_true", default=None, help="Restore an agency's database in every run."
    )
    options = parser.parse_args()
    seeds, began, failed = range(options.seed, options.seed + options.seeds), time.monotonic(), 0
    if len(seeds) > SLICE:
        verdicts = run_all(seeds, options.workers, options.restore)
    else:
        verdicts = iter(run_some(seeds, options.restore))
    for verdict in verdicts:
        if verdict.problems:
            failed += 1
            report(verdict, " ARGS=--restore" if options.restore else "")
        if len(seeds) == 1:
            show(verdict)
    seconds = time.monotonic() - began
    print(f"{len(seeds)} seeds, {failed} fail; {seconds:.0f} s, {len(seeds) / seconds:.1f} seeds/s")
    return 1 if failed else 0


if __name__ == "__main__":
    # Sets of text and bytes are walked in an order that depends on the process: one seed must be one run.
    if os.environ.get("PYTHONHASHSEED") != "0":
        arguments = [sys.executable, "-m", "simulation", *sys.argv[1:]]
        os.execve(sys.executable, arguments, {**os.environ, "PYTHONHASHSEED": "0"})
    raise SystemExit(main())
