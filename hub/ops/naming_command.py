"""`jisr names`: the keys by which records are found by name, for a store that is older than they are."""

from __future__ import annotations

import json

import click

from hub.ops.commands import as_json, opened
from hub.ops.naming import index_names


@click.command()
@as_json
def names(as_json: bool) -> None:
    """Make the keys anew by which people are found by name.

    For once, after an upgrade of a store that had records before: until then the console says that its
    search by name is incomplete. Workers may go on meanwhile; those of the release before must have
    ended. Safe to repeat, and to break off.
    """

    def report(seen: int) -> None:
        if not as_json:
            click.echo(f"{seen} records", err=True)

    with opened() as parts:
        seen = index_names(parts, report)
    click.echo(
        json.dumps({"records": seen}) if as_json else f"{seen} records are found by name, if they have one"
    )
