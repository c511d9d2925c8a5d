"""How long deliveries stop when a process dies: from SIGKILL until something new is delivered again."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from hub.local import services
from hub.local.bench.edits import arrivals, edit
from hub.local.bench.plan import Bench
from hub.local.bench.stage import SOURCE, Stage, target
from hub.local.bench.workload import fill, made_up

# A load that one worker carries easily: what is measured is the gap, not the backlog after it.
_RATE = 100
_BEFORE_S, _AFTER_S = 4.0, 12.0


def failover(bench: Bench) -> dict[str, Any]:
    """Seconds until an edit made after the death is committed at the target, and the longest delay of any."""
    edits = math.ceil(_RATE * (_BEFORE_S + _AFTER_S))
    found = {}
    with Stage(1, [], bench.report) as stage:
        deaths: dict[str, Callable[[], None]] = {
            name: lambda name=name: stage.stack.kill(name)  # type: ignore[misc]
            for name in ("hub-0", f"connector-{SOURCE}", f"connector-{target(1)}")
        }
        deaths["hub-0 frozen, hub-1 takes over"] = lambda: stage.stack.pause("hub-0")
        fill(stage.url(SOURCE), made_up(0, edits * len(deaths), bench.seed))
        stage.settle(bench.patience_of(edits * len(deaths)))
        for turn, (name, die) in enumerate(deaths.items()):
            if turn == len(deaths) - 1:
                stage.stack.run([services.hub_worker(stage.stack, 1)])
            people = range(turn * edits, (turn + 1) * edits)
            found[name] = _gap(bench, stage, turn, people, die)
        stage.stack.resume("hub-0")
        stage.settle(bench.patience_s)
        stage.check()
    return found


def _gap(bench: Bench, stage: Stage, turn: int, people: range, die: Callable[[], None]) -> dict[str, float]:
    with ThreadPoolExecutor(1) as writers:
        writing = writers.submit(edit, stage, turn, _RATE, people)
        time.sleep(_BEFORE_S)
        died = time.time()
        die()
        due = writing.result()
    stage.settle(bench.patience_s)
    found = arrivals(stage, due)
    return {
        "seconds": round(min(arrived for was_due, arrived in found if was_due > died) - died, 2),
        "longest_delay_s": round(max(arrived - was_due for was_due, arrived in found), 2),
    }
