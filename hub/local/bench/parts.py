"""What is measured: one function a part, each on a stage of its own. All return plain values for JSON."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import psycopg

from hub.errors import Fatal
from hub.local.bench import floors
from hub.local.bench.stage import SOURCE, Stage
from hub.local.bench.workload import INSERTED, Workload, fill, workload, write
from hub.local.stack import Progress

# Whoever is slower than this is stuck.
_SLOWEST_PER_S = 20
_AT_LEAST_S = 120.0
_WRITERS = 4
_EDIT = "UPDATE beneficiary SET phone = %s WHERE id = %s"
_COMMITTED = """
    SELECT phone, (extract(epoch FROM pg_xact_commit_timestamp(xmin)) * 1000)::float8
    FROM beneficiary WHERE phone LIKE '+21277%'
"""


@dataclass(frozen=True)
class Bench:
    """How large the measurements are. `rates`: edits a second for the latency, each for `latency_s`."""

    changes: int
    seed: int
    rates: Sequence[int]
    latency_s: float
    report: Callable[[Progress], None]

    @property
    def patience_s(self) -> float:
        return max(_AT_LEAST_S, self.changes / _SLOWEST_PER_S)

    def workload(self, first: int = 0) -> Workload:
        return workload(self.changes, self.seed + first, first)

    def stage(self, targets: int, load: Workload) -> Stage:
        return Stage(targets, load.known, self.report)


def end_to_end(bench: Bench, targets: int) -> dict[str, Any]:
    """From the first commit at the source to the last in the last target."""
    load = bench.workload()
    with bench.stage(targets, load) as stage:
        before, began = stage.stack.cpu_s(), time.time()
        write(stage.url(SOURCE), load)
        written = time.time()
        stage.settle(bench.patience_s)
        seconds = stage.last_commit_s() - began
        spent = _difference(stage.stack.cpu_s(), before)
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
        used = _difference(stage.stack.cpu_s(), before)["hub-0"]
        stage.resume(*stage.targets)
        stage.settle(bench.patience_s)
        stage.check()
        return {
            "changes": load.changes,
            "seconds": round(seconds, 2),
            "changes_per_s": round(load.changes / seconds),
            "cpu_us_per_change": round(1e6 * used / load.changes),
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
            due = _edit(stage, turn, rate, range(sum(edits[:turn]), sum(edits[: turn + 1])))
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
    used = _difference(stage.stack.cpu_s(), before)
    rows = load.changes
    return {
        "rows": rows,
        "seconds": round(seconds, 2),
        "rows_per_s": round(rows / seconds),
        "cpu_us_per_row": {agency: round(1e6 * used[f"connector-{agency}"] / rows) for agency in targets},
    }


def _edit(stage: Stage, turn: int, rate: int, people: range) -> dict[str, float]:
    """Edit these people, each when it is due; phone → when that was, in s since 1970.

    Open loop: writers that fall behind do not put off what is due after. Each edit is of another person,
    since only the last commit of a row can be told.
    """
    begin = time.time() + 0.5
    due = {_marker(turn, number): begin + number / rate for number in range(len(people))}

    def work(writer: int) -> None:
        with psycopg.connect(stage.url(SOURCE), autocommit=True) as connection:
            for number in range(writer, len(people), _WRITERS):
                marker = _marker(turn, number)
                time.sleep(max(0.0, due[marker] - time.time()))
                connection.execute(_EDIT, (marker, people[number] + 1))

    with ThreadPoolExecutor(_WRITERS) as writers:
        # Asked for the results, so that a writer's error is not lost.
        list(writers.map(work, range(_WRITERS)))
    return due


def _marker(turn: int, number: int) -> str:
    return f"+21277{turn}{number:06}"


def _percentiles(stage: Stage, due: Mapping[str, float]) -> dict[str, Any]:
    """Of the delays to each target's commit."""
    delays = sorted(
        at_ms - 1000 * due[phone]
        for agency in stage.targets
        for phone, at_ms in stage.desks[agency].ask(_COMMITTED)
        if phone in due
    )
    if len(delays) != len(due) * len(stage.targets):
        raise Fatal(f"{len(due)} edits of {len(stage.targets)} targets arrived {len(delays)} times")
    arrived = {f"p{p:g}_ms": round(_percentile(delays, p), 1) for p in (50, 99, 99.9)}
    return {"edits": len(due), "deliveries": len(delays), **arrived}


def _percentile(values: Sequence[float], percent: float) -> float:
    """The smallest value that `percent` of all do not exceed."""
    return values[max(0, math.ceil(len(values) * percent / 100) - 1)]


def _difference(now: Mapping[str, float], before: Mapping[str, float]) -> dict[str, float]:
    return {name: used - before.get(name, 0.0) for name, used in now.items()}
