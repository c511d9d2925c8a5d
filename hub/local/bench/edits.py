"""Edits at a steady rate, and when each arrived."""

from __future__ import annotations

import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor

import psycopg

from hub.errors import Fatal
from hub.local.bench.stage import SOURCE, Stage

_WRITERS = 4
_EDIT = "UPDATE beneficiary SET phone = %s WHERE id = %s"
_COMMITTED = """
    SELECT phone, (extract(epoch FROM pg_xact_commit_timestamp(xmin)) * 1000)::float8
    FROM beneficiary WHERE phone LIKE '+21277%'
"""


def edit(stage: Stage, turn: int, rate: int, people: range) -> dict[str, float]:
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


def arrivals(stage: Stage, due: Mapping[str, float]) -> list[tuple[float, float]]:
    """(when it was due, when a target committed it) of each edit and target, in s since 1970.

    Raises `Fatal` if one is missing.
    """
    found = [
        (due[phone], at_ms / 1000)
        for agency in stage.targets
        for phone, at_ms in stage.desks[agency].ask(_COMMITTED)
        if phone in due
    ]
    if len(found) != len(due) * len(stage.targets):
        raise Fatal(f"{len(due)} edits of {len(stage.targets)} targets arrived {len(found)} times")
    return found
