"""`jisr value`: what a steward says of a field, above all agencies."""

from __future__ import annotations

import json
import sys

import click

from hub.ops.commands import as_json, given, opened
from hub.ops.finding import require_agency
from hub.ops.words import Dispute, Words

_who = click.option(
    "--who", required=True, callback=given, metavar="NAME", help="Who decides; kept with the decision."
)
_why = click.option(
    "--why", required=True, callback=given, metavar="TEXT", help="Why; kept with the decision."
)
_agency = click.option(
    "--agency", metavar="AGENCY", help="PERSON is a local id of this agency, or its name of one."
)
_record_type = click.option(
    "--record-type", default="person", show_default=True, help="What PERSON is, for a local id."
)

# Published by the next worker that sweeps, every few seconds.
_SOON = "the workers publish what follows within seconds"


@click.group()
def value() -> None:
    """What a steward says of a field.

    It stands above every agency's word until it is taken back, and ends a dispute.
    """


@value.command("disputes")
@click.option("--agency", metavar="AGENCY", help="Only this agency's.")
@as_json
def disputes(agency: str | None, as_json: bool) -> None:
    """List fields in dispute, oldest first, without values.

    The hub stopped rewriting them, since somebody wrote their own value over it again and again. `jisr
    explain` tells who says what.
    """
    with opened() as parts:
        require_agency(parts, agency)
        found = Words(parts).disputes(agency)
    if as_json:
        click.echo(json.dumps([_as_json(one) for one in found], ensure_ascii=False))
        return
    for one in found:
        click.echo(f"{one.agency}:{one.local_id}  {one.record_type} {one.entity}  {one.field}")
    if not found:
        click.echo("nothing is in dispute")


@value.command("say")
@click.argument("person")
@click.argument("field")
@click.argument("values", nargs=-1, metavar="[VALUE]...")
@click.option("--empty", is_flag=True, help="It is known to be empty; in place of VALUE.")
@_who
@_why
@_agency
@_record_type
def say(
    person: str,
    field: str,
    values: tuple[str, ...],
    empty: bool,
    who: str,
    why: str,
    agency: str | None,
    record_type: str,
) -> None:
    """Say what FIELD of PERSON holds.

    PERSON is named as for `jisr explain`. VALUE is as the contract has it: a code, a date as YYYY-MM-DD,
    true or false; of a list, each of its elements. With - it is read from standard input, one a line, so
    that it is in no shell's history.
    """
    if empty == bool(values):
        raise click.UsageError("say VALUE, or --empty: one of the two")
    if values == ("-",):
        values = tuple(line for line in sys.stdin.read().splitlines() if line.strip())
    with opened() as parts:
        entity = Words(parts).say(
            person,
            field,
            None if empty else values,
            who,
            why,
            agency=agency,
            record_type=record_type,
        )
    click.echo(f"said of {entity}: {field}; {_SOON}")


@value.command("take-back")
@click.argument("person")
@click.argument("field")
@_who
@_why
@_agency
@_record_type
def take_back(person: str, field: str, who: str, why: str, agency: str | None, record_type: str) -> None:
    """Take back what a steward said of FIELD.

    What agencies say stands again.
    """
    with opened() as parts:
        entity = Words(parts).take_back(person, field, who, why, agency=agency, record_type=record_type)
    click.echo(f"taken back of {entity}: {field}; {_SOON}")


def _as_json(one: Dispute) -> dict[str, object]:
    return {**one._asdict(), "since": one.since.isoformat()}
