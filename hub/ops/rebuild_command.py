"""`jisr rebuild`: the store is built anew from the kept topics (R31)."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

from hub.ops.commands import as_json, opened
from hub.ops.rebuild import Counts, Rebuild
from hub.ops.situation import BROKEN_OFF, EMPTY, OLDER, Situation, Surroundings

_STANDINGS = {
    EMPTY: "is empty",
    OLDER: "is older than what it has published",
    BROKEN_OFF: "holds a rebuild that was broken off",
}
# What the kept topics do not carry, and why that is borne.
LOST = (
    "the audit trail, and who decided what and why (the decisions on who is who are there): it names people",
    "what `jisr undo` could take back: only what stands is kept",
    "what stewards had decided on held changes and on masses: those of the last days are held once more",
    "held changes and masses that are older than the retention of `changes`: the agency says them again",
    "what was decided on dead letters: those of the last days are there again, open",
)


@click.command()
@click.option("--yes", is_flag=True, help="Do it; without this it is only shown what would be done.")
@click.option(
    "--replace", metavar="DATABASE", help="The database whose content is replaced, if it is not empty."
)
@as_json
def rebuild(yes: bool, replace: str | None, as_json: bool) -> None:
    """Build the hub's store anew from the kept topics.

    For a store that was lost, or restored to an earlier moment. Stop all workers first; start them after
    it: they read the retained changes again and tell every agency the current state. What breaks off is
    begun again by the same command.
    """
    with opened() as parts, _shown(quiet=as_json) as report:
        found = Surroundings(parts).look()
        built = Rebuild(parts, report).run(found, replace) if yes else None
    if as_json:
        click.echo(json.dumps(_json(found, built), indent=1, ensure_ascii=False))
    else:
        click.echo("\n".join(_lines(found, built, replace)))


@contextmanager
def _shown(*, quiet: bool) -> Iterator[Callable[[str, int, int], None]]:
    """A progress bar for a person at a terminal; nothing for programs."""
    console = Console(stderr=True)
    if quiet or not sys.stderr.isatty():
        yield lambda *_: None
        return
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console) as progress:
        tasks: dict[str, TaskID] = {}

        def report(step: str, done: int, total: int) -> None:
            task = (
                tasks.setdefault(step, progress.add_task(step, total=total))
                if step not in tasks
                else tasks[step]
            )
            progress.update(task, completed=done, total=max(total, done))

        yield report


def _json(found: Situation, built: Counts | None) -> dict[str, Any]:
    return {
        "store": {
            "database": found.database,
            "standing": found.standing,
            "records": found.records,
            "sessions": found.sessions,
        },
        "messages": dict(found.messages),
        "joined": list(found.joined),
        "waiting": list(found.waiting),
        "begins_late": found.begins_late,
        "not_in_topics": list(LOST),
        "built": None if built is None else built._asdict(),
    }


def _lines(found: Situation, built: Counts | None, replace: str | None) -> Iterator[str]:
    standing = _STANDINGS.get(
        found.standing, "knows all that was published last: nothing speaks for a rebuild"
    )
    yield f"the database {found.database} {standing} ({found.records} records)"
    kept = {name: count for name, count in found.messages.items() if count}
    yield f"{sum(kept.values())} messages in {len(kept)} kept topics to build from"
    if found.waiting:
        yield (
            f"not known to have joined: {', '.join(found.waiting)}. If one had, run `jisr connector "
            "resnapshot FILE` there: nothing is told to it before its snapshot is in"
        )
    if found.begins_late:
        yield (
            f"{found.begins_late} partitions of changes no longer hold their first messages: what the hub "
            "had taken in of them is in the kept topics. If it stood still for longer than that, see "
            "docs/operations.md, 'A topic below its retention'"
        )
    if found.standing == EMPTY or replace is None:
        yield "not in the topics, so lost with an empty store, and kept where one is replaced:"
        yield from (f"  - {one}" for one in LOST)
    yield from _done(found, built)


def _done(found: Situation, built: Counts | None) -> Iterator[str]:
    if built is None:
        by_name = "" if found.standing in (EMPTY, BROKEN_OFF) else f" --replace {found.database}"
        yield f"nothing is changed. To do it: stop all workers, then `jisr rebuild --yes{by_name}`"
        return
    yield (
        f"built in epoch {built.epoch}: {built.records} records, {built.entities} entities, "
        f"{built.told} of them as told to an agency; {built.reviewed} groups were identified again"
    )
    if built.unlinked:
        yield f"{built.unlinked} messages of records without a crosswalk: their changes are read again"
    if built.moved_positions:
        yield f"{built.moved_positions} positions were outside the log and begin at what it still holds"
    yield "start the workers: they read the retained changes again, and tell every agency the current state"
