"""`jisr agency`: what concerns an agency as a whole."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import click

from hub.ops.commands import as_json, opened
from hub.ops.retire import STAYS, WITHDRAWN, Leaving, Retirement


@click.group()
def agency() -> None:
    """An agency as a whole: how it leaves."""


@agency.command()
@click.argument("name", metavar="AGENCY")
@click.option(
    "--said",
    type=click.Choice([STAYS, WITHDRAWN]),
    default=STAYS,
    show_default=True,
    help="Whether what it said stays, or its records end.",
)
@click.option(
    "--list",
    "listing",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="Write what it was told to hold, by its own names, as CSV. Do so before its agreement ends.",
)
@click.option("--apply", is_flag=True, help="Do it; without this it is only shown what it means.")
@click.option("--who", default="", metavar="NAME", help="Who decides; needed to apply.")
@click.option("--why", default="", metavar="TEXT", help="Why; needed to apply.")
@as_json
def retire(
    name: str, said: str, listing: Path | None, apply: bool, who: str, why: str, as_json: bool
) -> None:
    """Let an agency leave for good, after a look at what that means.

    What it holds, and what rests on its word, is shown; then that is decided on. --apply also takes its
    rights and its password on Kafka away, and is refused until its agreement has ended or is gone. It
    needs one of Kafka's super.users then, if Kafka has access rules.
    """
    if apply and not (who.strip() and why.strip()):
        raise click.UsageError("--apply needs --who NAME and --why TEXT: who decides, and why")
    ended, rights = None, None
    with opened() as parts:
        retirement = Retirement(parts)
        found = retirement.look(name, listing)
        if apply:
            rights = retirement.end_access(found)
        if apply and said == WITHDRAWN:
            ended = retirement.withdraw(name, who.strip(), why.strip())
        elif apply:
            retirement.keep(name, who.strip(), why.strip())
    if as_json:
        click.echo(json.dumps(_json(found, ended, rights), ensure_ascii=False))
    else:
        click.echo("\n".join(_lines(found, said, ended, rights, applied=apply)))


def _lines(
    found: Leaving, said: str, ended: int | None, rights: int | None, *, applied: bool
) -> Iterator[str]:
    if found.in_force:
        yield f"{found.agency}: its agreement is in force until {found.until}"
    else:
        yield f"{found.agency}: no agreement is in force, so nothing more is told to it"
    for (kind, told), count in sorted(found.delivered.items()):
        yield f"  {kind}: {count} entities, last told: {told}"
    for kind, count in sorted(found.said.items()):
        yield f"  {kind}: {count} records of its own, of which {found.alone[kind]} rest on its word alone"
    if found.forbidden:
        yield f"  {found.forbidden} withdrawn consents stay said: nobody gives them again by its leaving"
    if rights is not None:
        yield f"its access to Kafka has ended: {rights} rights and its password are taken away"
    elif applied:
        yield "Kafka has no access rules: what keeps it out is the network alone"
    if ended is not None:
        yield f"{ended} records ended; the workers publish what follows within seconds"
    elif applied:
        yield "what it said stays; the decision is kept"
    else:
        yield f"nothing was changed: --said {said} --apply --who NAME --why TEXT does it"


def _json(found: Leaving, ended: int | None, rights: int | None) -> dict[str, object]:
    return {
        "agency": found.agency,
        "in_force": found.in_force,
        "until": found.until and found.until.isoformat(),
        "delivered": [
            {"record_type": kind, "told": told, "entities": count}
            for (kind, told), count in sorted(found.delivered.items())
        ],
        "said": dict(sorted(found.said.items())),
        "withdrawn_consents": found.forbidden,
        "alone": {kind: found.alone[kind] for kind in sorted(found.said)},
        "ended": ended,
        "rights_taken_away": rights,
    }
