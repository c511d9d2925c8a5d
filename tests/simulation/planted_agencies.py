"""Mistakes in what runs at an agency."""

from __future__ import annotations

import dataclasses
from types import SimpleNamespace
from typing import Any

import msgspec

from connectors import messages
from connectors.sdk import Arrivals
from connectors.sql import assemble, chunk, plan, restored, snapshot, store, sweep_look
from connectors.sql import source as sql_source
from connectors.sql.chunk import Chunk
from connectors.sql.following import Followers
from connectors.sql.plan import Planner
from connectors.sql.sink import SqlSink
from connectors.sql.source import SqlSource
from connectors.sql.sqlite import SQLite
from connectors.sql.writing import RowWriter
from hub.core import stamps, step
from simulation.plants import Change, plant


@plant("R4", "the key of a change is the local id")
def _() -> list[Change]:
    return [(messages, "record_token", lambda _key, _type, local_id: local_id)]


@plant("R10", "a stamp is the clock's, whatever was shown", 82)
def _() -> list[Change]:
    return [(stamps, "capture", lambda clock_ms, _known: stamps.at(clock_ms))]


@plant("R11", "a snapshot says null of what is empty", 2)
def _() -> list[Change]:
    original, absorb = snapshot.snapshot, step.absorb

    def with_nulls(*arguments: Any) -> Any:
        values, problems = original(*arguments)
        return {**{name: None for name in ("cin", "phone") if name in arguments[-1]}, **values}, problems

    def as_update(policy: Any, state: Any, change: Any, *rest: Any) -> Any:
        told = "update" if change.operation == "snapshot" else change.operation
        return absorb(policy, state, msgspec.structs.replace(change, operation=told), *rest)

    return [(snapshot, "snapshot", with_nulls), (step, "absorb", as_update)]


@plant("R12", "of a list an agency says all that it holds", 50, often=("progress", "enrol"))
def _() -> list[Change]:
    def assert_elements(change: Any, name: str, was: Any, now: Any) -> None:
        if set(was or ()) != set(now or ()):
            change.changed = (*change.changed, name)
            change.values[name] = sorted(now or ())

    return [(assemble, "_assert_elements", assert_elements)]


@plant("R13", "a stale form is an edit like any other", 2, often=("form", "note"))
def _() -> list[Change]:
    return [(assemble, "_stale", lambda *_: False)]


@plant("R22", "edits are forgotten before the broker has them")
def _() -> list[Change]:
    read, acknowledge = SqlSource.read, SqlSource.acknowledge

    def read_and_forget(self: SqlSource, limit: int) -> Any:
        batch = read(self, limit)
        if batch is not None:
            acknowledge(self, batch)
        return batch

    return [(SqlSource, "read", read_and_forget), (SqlSource, "acknowledge", lambda *_: None)]


@plant("R22", "what was tried is mixed with what came since", 109)
def _() -> list[Change]:
    return [(sql_source.SqlSource, "_as_tried", lambda _self, rows: rows)]


@plant("R23", "capture hears what the hub writes")
def _() -> list[Change]:
    begin = SQLite.begin
    return [(SQLite, "begin", lambda self, *, by_hub: begin(self, by_hub=False))]


@plant("R17", "what is no longer listed is left where it is", 344, often=("consent", "withdraw", "diagnose"))
def _() -> list[Change]:
    return [(plan, "_is_the_hubs", lambda *_: False)]


@plant(
    "R20", "after a split, what refers to a person stays with the former row", 0, often=("decide", "enrol")
)
def _() -> list[Change]:
    return [(Followers, "follow", lambda *_: False)]


@plant("R28", "the version of a delivery is not looked at", 98)
def _() -> list[Change]:
    return [(chunk, "_is_news", lambda _step, _retried, **_: True)]


@plant("R28", "`seen` is ignored: an edit that the hub has not heard of is written over", 15)
def _() -> list[Change]:
    existing_row = Planner.existing_row

    def knowing_all(self: Planner, delivery: Any, *rest: Any) -> Any:
        return existing_row(self, dataclasses.replace(delivery, seen=1 << 62), *rest)

    return [(Planner, "existing_row", knowing_all)]


@plant("R28", "an edit that is not sent yet is written over", 15)
def _() -> list[Change]:
    return [(Planner, "pending_slots", lambda _self, _rows: set())]


@plant("R28", "a position moves before the effects that it covers", 17)
def _() -> list[Change]:
    apply = SqlSink.apply

    def move_first(self: SqlSink, arrivals: Arrivals) -> Any:
        self._advance(arrivals)
        return apply(self, arrivals)

    return [(SqlSink, "apply", move_first)]


@plant("R28", "the hub is not told of a row that was made for it")
def _() -> list[Change]:
    begin_lives = RowWriter._begin_lives

    def silent(self: RowWriter, steps: Any) -> None:
        begin_lives(self, steps)
        steps.clear()

    return [(RowWriter, "_begin_lives", silent)]


@plant("R30", "a sweep compares rows of which an edit is not sent yet", 148, ("sweep",))
def _() -> list[Change]:
    careless = SimpleNamespace(busy=lambda *_: set(), state=store.state)
    return [(sweep_look, "store", careless)]


@plant("R30", "what the hub writes is not noted: a sweep takes it for an edit of the agency's", 0, ("sweep",))
def _() -> list[Change]:
    return [(Chunk, "_note_prints", lambda *_: None)]


@plant("R24", "nobody notices that a database was restored", 1, often=("restore", "note"))
def _() -> list[Change]:
    return [(restored, "later_epoch", lambda *_: None)]


@plant("R24", "a restored database does not say again what it has", 1, often=("restore", "receive"))
def _() -> list[Change]:
    return [(store, "_NEW_EPOCH", store._NEW_EPOCH.replace(":snapshot", "coalesce(snapshot, :snapshot)"))]
