"""What a change costs when the hub knows of ever more entities: it should cost the same."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import psycopg
from sqlalchemy import make_url, text

from hub.local import postgres
from hub.local.bench.plan import Bench, difference
from hub.local.bench.stage import SOURCE, Stage
from hub.local.bench.workload import fill, made_up, updates, write

# Of the edits that are measured at each size.
_EDITS = 5_000
# Below the cap of the source's queue, beyond which it would keep marks instead of edits.
_AT_ONCE = 50_000
_STORE_BYTES = text("SELECT pg_database_size(current_database())")
_TIDY = ("VACUUM (ANALYZE)", "CHECKPOINT")
# A sweep reads by the clock: on a slow machine, or among many, more of it would count as the edits' cost.
_NO_SWEEPS = {"JISR_SWEEP_EVERY_H": "0"}


def growth(bench: Bench) -> dict[str, Any]:
    """At each number of entities: processor time of an edit and of a newcomer, by process; bytes kept."""
    found: dict[str, Any] = {}
    known = 0
    with Stage(1, [], bench.report, environment=_NO_SWEEPS) as stage:
        empty = _kept(stage)
        for size in sorted(bench.entities):
            entry: dict[str, Any] = {"new_cpu_us": _grow(bench, stage, known, size)}
            known = size
            entry["edit_cpu_us"] = _edit(bench, stage, size)
            kept = _kept(stage)
            entry |= {f"{name}_bytes": round((kept[name] - empty[name]) / size) for name in kept}
            found[str(size)] = entry
        stage.check()
    first = _total(found[str(min(bench.entities))])
    for entry in found.values():
        entry["edit_ratio"] = round(_total(entry) / first, 2)
    return found


def _total(entry: dict[str, Any]) -> float:
    return float(sum(entry["edit_cpu_us"].values()))


def _grow(bench: Bench, stage: Stage, known: int, size: int) -> dict[str, int]:
    before = stage.stack.cpu_s()
    for first in range(known, size, _AT_ONCE):
        fill(stage.url(SOURCE), made_up(first, min(_AT_ONCE, size - first), bench.seed))
        stage.wait(lambda: stage.idle(SOURCE), bench.patience_of(_AT_ONCE))
    stage.settle(bench.patience_of(size - known))
    return _per_change(stage, before, size - known)


def _edit(bench: Bench, stage: Stage, size: int) -> dict[str, int]:
    _tidy(stage)
    load = updates(size, _EDITS, bench.seed)
    before = stage.stack.cpu_s()
    write(stage.url(SOURCE), load)
    stage.settle(bench.patience_of(load.changes))
    return _per_change(stage, before, load.changes)


def _tidy(stage: Stage) -> None:
    """What the server does now and then would come at some sizes and not at others, and count as the edits'.

    Right after a checkpoint is when they cost most: each page's first change is logged with the whole page.
    """
    databases = [stage.stack.endpoints.store, *stage.stack.endpoints.agencies.values()]
    names = [str(make_url(url).database) for url in databases]
    for url in map(stage.stack.superuser_url, names):
        with psycopg.connect(postgres.plain(url), autocommit=True) as connection:
            for statement in _TIDY:
                connection.execute(statement)


def _per_change(stage: Stage, before: dict[str, float], changes: int) -> dict[str, int]:
    spent = difference(stage.stack.cpu_s(), before)
    return {name: round(1e6 * used / changes) for name, used in spent.items()}


def _kept(stage: Stage) -> dict[str, int]:
    """Bytes in the hub's store, and in Kafka's log."""
    with stage.store.connect() as store:
        in_store = int(store.execute(_STORE_BYTES).scalar_one())
    return {"store": in_store, "log": _on_disk(stage.stack.folder.kafka)}


def _on_disk(folder: Path) -> int:
    """Of segments; their indexes are preallocated, and say nothing."""
    return sum(path.stat().st_size for path in folder.rglob("*.log"))
