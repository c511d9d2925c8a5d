"""The status for people: a table on a terminal, one line per agency and record type elsewhere."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import Any

from rich.console import Console
from rich.table import Table

from hub.ops.parts import local_time
from hub.ops.status import JOINING, Standing, Status

# Heading, field; a column whose every value is zero or unmeasured still shows: nothing wrong is news too.
_COLUMNS = (
    ("entitled", "entitled"),
    ("converged", "converged"),
    ("pending", "pending"),
    ("unread", "unread"),
    ("waiting", "waiting"),
    ("refused", "refused"),
    ("dead", "dead"),
    ("held", "held"),
    ("disputed", "disputed"),
    ("lag s", "lag"),
)
_WRONG = frozenset({"refused", "dead", "held", "disputed"})


def as_json(status: Status) -> dict[str, Any]:
    """One object for programs; `agencies` maps each to joined or joining."""
    return {**dataclasses.asdict(status), "at_rest": status.at_rest}


def show(status: Status, console: Console) -> None:
    """Print a table where a person looks, plain lines where a program or a file does."""
    if console.is_terminal:
        console.print(_table(status))
    else:
        for one in status.standings:
            numbers = " ".join(f"{name}={_value(one, name)}" for _, name in _COLUMNS)
            console.out(f"{one.agency} {one.record_type} {numbers}{_rates(one)}", highlight=False)
    for line in _overall(status):
        console.out(line, highlight=False)


def _table(status: Status) -> Table:
    table = Table(title=f"Jisr Hub, {local_time(int(status.at * 1000))}", title_justify="left")
    table.add_column("agency")
    table.add_column("record")
    for heading, _ in _COLUMNS:
        table.add_column(heading, justify="right")
    rated = any(one.changes_per_second is not None for one in status.standings)
    if rated:
        table.add_column("changes/s", justify="right")
        table.add_column("ack/s", justify="right")
    last = None
    for one in status.standings:
        cells = [_cell(one, name) for _, name in _COLUMNS]
        rates = [f"{one.changes_per_second}", f"{one.acknowledged_per_second}"] if rated else []
        if last not in (None, one.agency):
            table.add_section()
        table.add_row("" if last == one.agency else one.agency, one.record_type, *cells, *rates)
        last = one.agency
    return table


def _cell(one: Standing, name: str) -> str:
    value = _value(one, name)
    if name in _WRONG and value:
        return f"[bold red]{value}[/]"
    if name == "converged" and one.converged == one.entitled:
        return f"[green]{value}[/]"
    return str(value)


def _value(one: Standing, name: str) -> Any:
    if name == "lag":
        return round(max(one.delivery_lag_seconds, one.intake_lag_seconds), 1)
    return getattr(one, name)


def _rates(one: Standing) -> str:
    if one.changes_per_second is None:
        return ""
    return f" changes/s={one.changes_per_second} ack/s={one.acknowledged_per_second}"


def _overall(status: Status) -> Iterator[str]:
    yield (
        f"{'at rest' if status.at_rest else 'moving'}: {status.due} due, {status.unpublished} unpublished, "
        f"{status.open_reviews} reviews open"
    )
    joining = [name for name, state in status.agencies.items() if state == JOINING]
    if joining:
        yield f"joining, so nothing is created there yet: {', '.join(joining)}"
    if status.missing_topics:
        yield f"topics missing: {', '.join(status.missing_topics)}"
