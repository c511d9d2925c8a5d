"""`jisr audit`: who saw values in full or decided something, when, and for which purpose."""

from __future__ import annotations

import datetime
import json
from typing import Any

import click

from hub.ops.audit import ACTIONS, Audit
from hub.ops.commands import as_json, opened
from hub.ops.moments import since, until
from hub.ops.parts import local_time
from hub.store.audit import KeptEntry, Search


@click.group()
def audit() -> None:
    """The audit trail: who saw values in full, who decided what."""


@audit.command("list")
@click.option("--who", metavar="NAME", help="Only by this person, or from this account (user@host).")
@click.option("--action", type=click.Choice(ACTIONS), help="Only this.")
@click.option("--subject", metavar="SUBJECT", help="Only what was done to this, as the list names it.")
@click.option("--agency", metavar="AGENCY", help="Only what concerned a record of this agency.")
@since
@until
@click.option(
    "--limit", type=click.IntRange(min=1), default=100, show_default=True, help="The newest so many."
)
@as_json
def list_entries(
    who: str | None,
    action: str | None,
    subject: str | None,
    agency: str | None,
    since: datetime.datetime | None,
    until: datetime.datetime | None,
    limit: int,
    as_json: bool,
) -> None:
    """List what was done, the newest last. It names no person: subjects are hub ids and numbers."""
    with opened() as parts:
        found = Audit(parts).search(Search(who, action, subject, agency, since, until), limit)
    if as_json:
        click.echo(json.dumps([_json(one) for one in found], ensure_ascii=False))
        return
    for one in found:
        click.echo(_line(one))
    if not found:
        click.echo("nothing was done that matches")


def _line(one: KeptEntry) -> str:
    entry = one.entry
    # What was done to an agency as a whole begins with its name.
    named = entry.subject.split(" ")[0]
    about = f" of {entry.agency}" if entry.agency and entry.agency != named else ""
    detail = f" ({entry.detail})" if entry.detail else ""
    purpose = f": {entry.purpose}" if entry.purpose else ""
    when = local_time(int(one.at.timestamp() * 1000))
    return f"{when} {entry.who} ({entry.account}) {entry.action}: {entry.subject}{about}{detail}{purpose}"


def _json(one: KeptEntry) -> dict[str, Any]:
    return {"id": one.id, "at_ms": int(one.at.timestamp() * 1000), **one.entry._asdict()}
