"""`jisr connector pause|resume|restart`: what an operator of the hub wants of an agency's connector."""

from __future__ import annotations

import time
from collections.abc import Collection
from contextlib import closing
from typing import NamedTuple

import click

from hub.contracts.control import SIDES, Target
from hub.ops.audit import Person
from hub.ops.commands import given, opened
from hub.ops.log_reader import PEEK_BYTES, LogReader
from hub.ops.steering import PAUSE, RESTART, RESUME, Connectors, Steering

_STEP_S = 0.5

_agency = click.argument("agency", metavar="AGENCY")
_side = click.option(
    "--side", type=click.Choice([str(side) for side in SIDES]), help="Only this side; without it, both."
)
_who = click.option(
    "--who", required=True, callback=given, metavar="NAME", help="Who decides; the agency is told, too."
)
_why = click.option(
    "--why", required=True, callback=given, metavar="TEXT", help="Why; the agency is told, too."
)
_wait = click.option(
    "--wait",
    type=click.FloatRange(min=0),
    default=0,
    metavar="SECONDS",
    help="Wait so long for the connector to confirm; exit code 1 if it does not.",
)


@click.command()
@_agency
@_side
@_who
@_why
@_wait
def pause(agency: str, side: str | None, who: str, why: str, wait: float) -> None:
    """Pause AGENCY's connector, between two batches.

    Until it is resumed, also when it is started again. The source: its edits are captured and wait in its
    database. The sink: what it is told waits in its inbox. A paused side holds no connection to the
    agency's database.
    """
    _wish(PAUSE, agency, _sides(side), who, why, wait)


@click.command()
@_agency
@_side
@_who
@_why
@_wait
def resume(agency: str, side: str | None, who: str, why: str, wait: float) -> None:
    """Let AGENCY's connector go on where it was paused."""
    _wish(RESUME, agency, _sides(side), who, why, wait)


@click.command()
@_agency
@_who
@_why
@_wait
def restart(agency: str, who: str, why: str, wait: float) -> None:
    """Let AGENCY's connector end its sides and start them anew.

    It connects again and reads its mapping file. What is paused stays paused. If its mapping file is
    wrong by now, it goes on as it was, and says so.
    """
    _wish(RESTART, agency, (), who, why, wait)


def _sides(side: str | None) -> tuple[Target, ...]:
    return SIDES if side is None else (Target(side),)


def _wish(deed: str, agency: str, sides: Collection[Target], who: str, why: str, wait_s: float) -> None:
    with opened() as parts, closing(LogReader(parts.settings.kafka, PEEK_BYTES)) as log:
        steering = Steering(parts, log)
        steering.wish(deed, agency, sides, Person.at_keyboard(who), why)
        click.echo(f"{deed} {' and '.join(sides) or 'connector'} of {agency}: the connector is told")
        deadline = time.monotonic() + wait_s
        while open_points := _open_points(steering.connectors([agency]), deed, sides):
            if time.monotonic() >= deadline or not any(one.pending for one in open_points):
                break
            time.sleep(_STEP_S)
    for one in open_points:
        click.echo(one.text)
    if not open_points:
        click.echo("the connector has confirmed")
    elif wait_s:
        raise SystemExit(1)


class _Open(NamedTuple):
    """What is not as it was wished. `pending`: the connector has yet to answer."""

    text: str
    pending: bool


def _open_points(found: Connectors, deed: str, sides: Collection[Target]) -> list[_Open]:
    if deed != RESTART:
        return [
            _Open(f"{one.side}: not confirmed yet; the wish keeps until the connector reads it", True)
            for one in found.sides
            if one.side in sides and one.pending
        ]
    points = []
    for one in found.restarts:
        if one.pending:
            text = "not confirmed yet; the wish keeps until the connector reads it, or is started"
            points.append(_Open(text, True))
        elif one.problem:
            text = (
                f"it goes on as it was ({one.problem}): its mapping file is wrong, "
                "`jisr connector check` there says where"
            )
            points.append(_Open(text, False))
    return points
