"""The status for people: a table on a terminal, one line per agency and record type elsewhere."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table

from hub.ops.parts import local_time
from hub.ops.status import JOINING, Standing, Status
from hub.ops.steering import SideState

# Heading, name in plain lines.
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
# What should be zero: its column is shown where it is not, so that the table fits a narrow terminal.
_TROUBLES = ("waiting", "refused", "dead", "held", "disputed")
_UNBOUNDED = 1_000


def as_json(status: Status) -> dict[str, Any]:
    """One object for programs; `agencies` maps each to joined or joining."""
    return {**dataclasses.asdict(status), "at_rest": status.at_rest}


def show(status: Status, console: Console) -> None:
    """Print a table where a person looks, plain lines where a program or a file does.

    Lines, too, where the terminal is too narrow: a table would cut numbers short.
    """
    table = _table(status)
    roomy = console.options.update(max_width=_UNBOUNDED)
    if console.is_terminal and console.measure(table, options=roomy).maximum <= console.width:
        console.print(table)
        if quiet := _quiet(status):
            console.out(f"nothing {', '.join(quiet)}", highlight=False)
    else:
        for one in status.standings:
            numbers = " ".join(f"{name}={_value(one, name)}" for _, name in _COLUMNS)
            console.out(f"{one.agency} {one.record_type} {numbers}{_rates(one)}", highlight=False)
    for line in _overall(status):
        console.out(line, highlight=False)


def _table(status: Status) -> Table:
    quiet = _quiet(status)
    rated = any(one.changes_per_second is not None for one in status.standings)
    table = Table(
        title=f"Jisr Hub, {local_time(int(status.at * 1000))}",
        title_justify="left",
        box=box.SIMPLE_HEAD,
        pad_edge=False,
        show_edge=False,
        padding=0,
    )
    table.add_column("", no_wrap=True)
    shown = [(heading, name) for heading, name in _COLUMNS if name not in quiet]
    for heading in [heading for heading, _ in shown] + (["changes/s", "ack/s"] if rated else []):
        table.add_column(heading, justify="right", no_wrap=True)
    last = None
    for one in status.standings:
        if one.agency != last:
            table.add_row(f"[bold]{one.agency}[/]")
            last = one.agency
        rates = [f"{one.changes_per_second:,}", f"{one.acknowledged_per_second:,}"] if rated else []
        table.add_row(f"  {one.record_type}", *(_cell(one, name) for _, name in shown), *rates)
    return table


def _quiet(status: Status) -> list[str]:
    """The troubles that nobody has."""
    return [name for name in _TROUBLES if not any(getattr(one, name) for one in status.standings)]


def _cell(one: Standing, name: str) -> str:
    value = f"{_value(one, name):,}"
    if name in _TROUBLES and value != "0":
        return f"[bold red]{value}[/]"
    if name == "converged" and one.converged == one.entitled:
        return f"[green]{value}[/]"
    return value


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
    yield from status.brakes
    yield from _connectors(status)
    if status.missing_topics:
        yield f"topics missing: {', '.join(status.missing_topics)}"


def _connectors(status: Status) -> Iterator[str]:
    """What is not simply at work: sides paused, silent or not confirmed, restarts that did not come."""
    for one in status.connectors.sides:
        if one.is_paused or one.pending:
            wish = f"{one.wished} since {_when(one.wished_ms)}, as {one.who} wished: {one.why}"
            yield f"connector {one.agency} {one.side}: {wish}{_unconfirmed(one)}"
        elif one.fell_silent:
            yield f"connector {one.agency} {one.side}: silent since {_when(one.heard_ms)}"
    for again in status.connectors.restarts:
        if again.pending:
            yield (
                f"connector {again.agency}: not started anew yet, as {again.who} wished at "
                f"{_when(again.wished_ms)}: {again.why}"
            )
        elif again.problem:
            yield f"connector {again.agency}: could not start anew ({again.problem}), and goes on as it was"


def _unconfirmed(one: SideState) -> str:
    if not one.pending:
        return " (silent by now)" if one.silent else ""
    if one.heard_ms is None:
        return " (not confirmed: its connector has never told how it is)"
    return f" (not confirmed: {one.state} when last heard of, {_when(one.heard_ms)})"


def _when(ms: int | None) -> str:
    return local_time(ms or 0)
