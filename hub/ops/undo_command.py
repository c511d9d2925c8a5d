"""`jisr undo`: a bad import or a mad script is taken back, after a look at what that means."""

from __future__ import annotations

import datetime
import json
from collections import Counter
from collections.abc import Iterator

import click

from hub.core import stamps
from hub.ops.commands import as_json, opened
from hub.ops.moments import Moment
from hub.ops.parts import local_time
from hub.ops.undo import Undo, Undone, Wanted

# Published by the next worker that sweeps, every few seconds.
_SOON = "the workers publish what follows within seconds"


@click.command()
@click.option("--agency", required=True, metavar="AGENCY", help="Whose word is taken back.")
@click.option(
    "--since",
    required=True,
    type=Moment(),
    metavar="TIME",
    help="What it said from then on: a day, a time, or 2h, 3d ago.",
)
@click.option("--until", type=Moment(), metavar="TIME", help="Before then; without it, until now.")
@click.option("--record-type", metavar="TYPE", help="Only of this record type.")
@click.option("--record", "local_id", metavar="LOCAL_ID", help="Only of this record of the agency's.")
@click.option("--actor", metavar="ACCOUNT", help="Only what this account or application there said.")
@click.option("--list-actors", is_flag=True, help="Show who there said how much; needs --who and --why.")
@click.option("--apply", is_flag=True, help="Do it; without this it is only shown what would be done.")
@click.option("--who", default="", metavar="NAME", help="Who decides or looks; needed to apply.")
@click.option("--why", default="", metavar="TEXT", help="Why; needed to apply.")
@as_json
def undo(
    agency: str,
    since: datetime.datetime,
    until: datetime.datetime | None,
    record_type: str | None,
    local_id: str | None,
    actor: str | None,
    list_actors: bool,
    apply: bool,
    who: str,
    why: str,
    as_json: bool,
) -> None:
    """Take back what an agency said within a span of time.

    What it and others said otherwise stands. Golden records and deliveries become as if it had never been
    said, and the agency's own rows are corrected. Without --apply nothing is changed.
    """
    if apply and list_actors:
        raise click.UsageError("--list-actors only looks: give it, or --apply")
    if apply and not (who.strip() and why.strip()):
        raise click.UsageError("--apply needs --who NAME and --why TEXT: who decides, and why")
    if list_actors and not (who.strip() and why.strip()):
        raise click.UsageError("--list-actors needs --who NAME and --why TEXT: who looks, and why")
    with opened() as parts:
        undoing = Undo(parts)
        wanted = undoing.wanted(agency, since, until, record_type, local_id, actor)
        if list_actors:
            _show_actors(wanted, undoing.actors(wanted, who.strip(), why.strip()), as_json=as_json)
            return
        found = undoing.apply(wanted, who.strip(), why.strip()) if apply else undoing.preview(wanted)
    if as_json:
        click.echo(json.dumps(_json(wanted, found, applied=apply), ensure_ascii=False))
    else:
        click.echo("\n".join(_lines(wanted, found, applied=apply)))


def _show_actors(wanted: Wanted, found: Counter[str | None], *, as_json: bool) -> None:
    most_first = sorted(found.items(), key=lambda item: (-item[1], item[0] or ""))
    if as_json:
        rows = [{"actor": actor, "assertions": count} for actor, count in most_first]
        click.echo(json.dumps({"agency": wanted.agency, "actors": rows}, ensure_ascii=False))
        return
    for actor, count in most_first:
        click.echo(f"{count:>9}  {'(no change told)' if actor is None else actor}")
    if not found:
        click.echo(f"{wanted.agency} said nothing in that span that is not taken back already")


def _lines(wanted: Wanted, found: Undone, *, applied: bool) -> Iterator[str]:
    since, until = (local_time(stamps.milliseconds(s)) for s in (wanted.span.since, wanted.span.until))
    if not found.records:
        by = wanted.agency if wanted.span.actor is None else f"{wanted.span.actor!r} at {wanted.agency}"
        yield f"{by} said nothing from {since} to {until} that is not taken back already"
        return
    verb = "taken back" if applied else "would be taken back"
    by = "" if wanted.span.actor is None else f" by {wanted.span.actor!r}"
    yield f"of {found.records} records of {wanted.agency}, what was said{by} from {since} to {until} {verb}"
    for name in sorted({*found.back, *found.gone}):
        yield (
            f"  {name}: an earlier word stands again for {found.back[name]}, nothing is left for "
            f"{found.gone[name]}"
        )
    if found.deleted:
        yield f"  {found.deleted} deletions: the records live on, and their rows are made again there"
    yield f"  for example {', '.join(found.examples)}"
    if applied:
        yield _SOON
    else:
        yield f"  {found.elsewhere} are of records that other agencies hold, too"
        yield "nothing was changed: --apply --who NAME --why TEXT does it"


def _json(wanted: Wanted, found: Undone, *, applied: bool) -> dict[str, object]:
    return {
        "agency": wanted.agency,
        "actor": wanted.span.actor,
        "since_ms": stamps.milliseconds(wanted.span.since),
        "until_ms": stamps.milliseconds(wanted.span.until),
        "applied": applied,
        "records": found.records,
        "back": dict(sorted(found.back.items())),
        "gone": dict(sorted(found.gone.items())),
        "deletions": found.deleted,
        "elsewhere": None if applied else found.elsewhere,
        "examples": found.examples,
    }
