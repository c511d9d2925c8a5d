"""What is measured: one function a part, each on a stage of its own. All return plain values for JSON."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from hub.local.bench import floors
from hub.local.bench.edits import arrivals, edit
from hub.local.bench.failover import failover
from hub.local.bench.growth import growth
from hub.local.bench.pages import pages
from hub.local.bench.plan import Bench, difference
from hub.local.bench.stage import SOURCE, Stage
from hub.local.bench.workload import INSERTED, Workload, fill, workload, write


def end_to_end(bench: Bench, targets: int) -> dict[str, Any]:
    """From the first commit at the source to the last in the last target."""
    load = bench.workload()
    with bench.stage(targets, load) as stage:
        before, began = stage.stack.cpu_s(), time.time()
        write(stage.url(SOURCE), load)
        written = time.time()
        stage.settle(bench.patience_s)
        seconds = stage.last_commit_s() - began
        spent = difference(stage.stack.cpu_s(), before)
        stage.check()
        return {
            "targets": targets,
            "changes": load.changes,
            "seconds": round(seconds, 2),
            "written_s": round(written - began, 2),
            "changes_per_s": round(load.changes / seconds),
            "cpu_us_per_delivery": {
                name: round(1e6 * used / (load.changes * targets)) for name, used in spent.items()
            },
            "memory_mb": stage.peak_mb,
        }


def intake(bench: Bench) -> dict[str, Any]:
    """One hub worker alone drains changes that wait in Kafka: golden records and three projections each."""
    load = bench.workload()
    with bench.stage(3, load) as stage:
        stage.stack.pause("hub-0")
        stage.pause(*stage.targets)
        write(stage.url(SOURCE), load)
        stage.wait(lambda: stage.idle(SOURCE), bench.patience_s)
        before, began = stage.stack.cpu_s(), time.monotonic()
        stage.stack.resume("hub-0")
        stage.wait(stage.quiet.all_read, bench.patience_s)
        seconds = time.monotonic() - began
        used = difference(stage.stack.cpu_s(), before)
        stage.resume(*stage.targets)
        stage.settle(bench.patience_s)
        stage.check()
        return {
            "changes": load.changes,
            "seconds": round(seconds, 2),
            "changes_per_s": round(load.changes / seconds),
            "cpu_us_per_change": round(1e6 * used["hub-0"] / load.changes),
            # Of the servers: nobody else uses them meanwhile, so this is what the store and the log cost.
            "server_cpu_us_per_change": {
                name: round(1e6 * used[name] / load.changes) for name in ("postgres", "kafka")
            },
        }


def sink_drain(bench: Bench) -> dict[str, Any]:
    """A backlog in the inboxes is written into one target alone, then into three at once."""
    load, more = bench.workload(), bench.workload(first=500_000)
    with bench.stage(3, load) as stage:
        alone = _drain(bench, stage, load, stage.targets[-1:])
        stage.resume(*stage.targets[:-1])
        stage.settle(bench.patience_s)
        together = _drain(bench, stage, more, stage.targets)
        stage.check()
    return {"alone": alone, "three_at_once": together}


def latency(bench: Bench) -> dict[str, Any]:
    """Commit to commit, in ms, from when an edit was due: one that had to wait counts from then, too."""
    edits = [round(rate * bench.latency_s) for rate in bench.rates]
    load = workload(math.ceil(sum(edits) / INSERTED) + 1, bench.seed)
    found = {}
    with bench.stage(2, load) as stage:
        fill(stage.url(SOURCE), load.people)
        stage.settle(bench.patience_s)
        for turn, rate in enumerate(bench.rates):
            due = edit(stage, turn, rate, range(sum(edits[:turn]), sum(edits[: turn + 1])))
            stage.settle(bench.patience_s)
            found[f"at_{rate}_per_s"] = _percentiles(stage, due)
        stage.check()
    return found


def measured_floors(bench: Bench) -> dict[str, Any]:
    """What the same bytes and rows cost without a hub, on the same machine in the same run."""
    load = bench.workload()
    with bench.stage(1, load) as stage:
        stage.pause(*stage.targets)
        write(stage.url(SOURCE), load)
        stage.wait(lambda: stage.idle(SOURCE), bench.patience_s)
        return {
            "kafka_messages_per_s": floors.kafka(stage.bootstrap, f"{SOURCE}.person.changes"),
            "upsert_rows_per_s": floors.upsert(stage.url(SOURCE), load.people),
        }


PARTS: Mapping[str, Callable[[Bench], dict[str, Any]]] = {
    "floors": measured_floors,
    "end_to_end_2": lambda bench: end_to_end(bench, 2),
    "end_to_end_3": lambda bench: end_to_end(bench, 3),
    "intake": intake,
    "sink_drain": sink_drain,
    "latency": latency,
    "failover": failover,
    "growth": growth,
    "console": pages,
}


def _drain(bench: Bench, stage: Stage, load: Workload, targets: Sequence[str]) -> dict[str, Any]:
    """Write a workload while all targets are frozen, then let `targets` go on; the slowest one counts."""
    stage.pause(*stage.targets)
    write(stage.url(SOURCE), load)
    stage.wait(lambda: stage.idle(SOURCE) and stage.quiet.all_read(), bench.patience_s)
    before, began = stage.stack.cpu_s(), time.monotonic()
    stage.resume(*targets)
    stage.wait(lambda: all(stage.quiet.applied(agency) for agency in targets), bench.patience_s)
    seconds = time.monotonic() - began
    used = difference(stage.stack.cpu_s(), before)
    rows = load.changes
    return {
        "rows": rows,
        "seconds": round(seconds, 2),
        "rows_per_s": round(rows / seconds),
        "cpu_us_per_row": {agency: round(1e6 * used[f"connector-{agency}"] / rows) for agency in targets},
    }


def _percentiles(stage: Stage, due: Mapping[str, float]) -> dict[str, Any]:
    """Of the delays to each target's commit."""
    delays = sorted(1000 * (arrived - was_due) for was_due, arrived in arrivals(stage, due))
    told = {f"p{p:g}_ms": round(_percentile(delays, p), 1) for p in (50, 99, 99.9)}
    return {"edits": len(due), "deliveries": len(delays), **told}


def _percentile(values: Sequence[float], percent: float) -> float:
    """The smallest value that `percent` of all do not exceed."""
    return values[max(0, math.ceil(len(values) * percent / 100) - 1)]
