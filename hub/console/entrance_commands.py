"""`jisr console sessions` and `jisr console token`: who may come in, and who not any more."""

from __future__ import annotations

import datetime
import json
from collections.abc import Sequence
from typing import Any

import click

from hub.console.access import Role
from hub.console.entrances import LONGEST_DAYS, Entrances
from hub.ops.audit import Person
from hub.ops.commands import as_json, given, opened
from hub.ops.parts import local_time
from hub.store.entrances import KeptSession, KeptToken

_who = click.option("--who", required=True, callback=given, metavar="NAME", help="Who decides; kept.")
_why = click.option("--why", required=True, callback=given, metavar="TEXT", help="Why; kept.")


@click.group()
def sessions() -> None:
    """People who are signed in at the console."""


@sessions.command("list")
@click.option("--account", metavar="ACCOUNT", help="Only those of this account, as the list names it.")
@as_json
def list_sessions(account: str | None, as_json: bool) -> None:
    """List sessions that are open, the newest first."""
    with opened() as parts:
        found = Entrances(parts).sessions(account)
    _tell(found, [_session(one) for one in found], "nobody is signed in", as_json=as_json)


@sessions.command("revoke")
@click.argument("number", type=int, required=False)
@click.option("--account", metavar="ACCOUNT", help="All sessions of this account, in place of one NUMBER.")
@_who
@_why
def revoke_sessions(number: int | None, account: str | None, who: str, why: str) -> None:
    """End the session of this NUMBER, or all of an account.

    Before their time, and effective within 2 seconds.
    """
    if (number is None) == (account is None):
        raise click.UsageError("give the NUMBER of a session, or --account for all of somebody's")
    with opened() as parts:
        ended = Entrances(parts).end(Person.at_keyboard(who), why, account=account, number=number)
    for one in ended:
        click.echo(f"ended: {_session(one)}")
    if not ended:
        click.echo("no such session is open")


@click.group()
def token() -> None:
    """Tokens by which programs ask the console's API."""


@token.command("create")
@click.option("--name", required=True, callback=given, metavar="NAME", help="What the program is called.")
@click.option(
    "--role",
    required=True,
    type=click.Choice([str(role) for role in Role]),
    help="What it sees and may do: as a person of this role.",
)
@click.option("--agency", metavar="AGENCY", help="For the role `agency`: which one.")
@click.option(
    "--expires-days", required=True, type=click.IntRange(1, LONGEST_DAYS), help="For how long it is good."
)
@_who
@_why
def create_token(name: str, role: str, agency: str | None, expires_days: int, who: str, why: str) -> None:
    """Make a token and print it, this once: only its hash is kept."""
    with opened() as parts:
        number, secret = Entrances(parts).make(
            name, Role(role), agency, expires_days, Person.at_keyboard(who), why
        )
    click.echo(f"token {number} is for {name}; it is shown this once:", err=True)
    click.echo(secret)


@token.command("list")
@as_json
def list_tokens(as_json: bool) -> None:
    """List all tokens: for whom, until when, last used, revoked."""
    with opened() as parts:
        found = Entrances(parts).tokens()
    _tell(found, [_token(one) for one in found], "there are no tokens", as_json=as_json)


@token.command("revoke")
@click.argument("number", type=int)
@_who
@_why
def revoke_token(number: int, who: str, why: str) -> None:
    """Let the token of this NUMBER let nobody in any more, at once."""
    with opened() as parts:
        revoked = Entrances(parts).revoke(number, Person.at_keyboard(who), why)
    click.echo(f"token {revoked.id} of {revoked.name} lets nobody in any more")


def _tell(found: Sequence[Any], lines: Sequence[str], nothing: str, *, as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps([one._asdict() for one in found], default=str, ensure_ascii=False))
    else:
        click.echo("\n".join(lines) or nothing)


def _session(one: KeptSession) -> str:
    return f"{one.id} {one.name} ({one.account}), {_role(one)}, until {_when(one.until)}"


def _token(one: KeptToken) -> str:
    used = f"last used {_when(one.used_at)}" if one.used_at else "never used"
    end = f"revoked {_when(one.revoked_at)}" if one.revoked_at else f"until {_when(one.until)}"
    return f"{one.id} {one.name}, {_role(one)}, made by {one.made_by} {_when(one.made_at)}, {end}, {used}"


def _role(one: KeptSession | KeptToken) -> str:
    return f"{one.role} of {one.agency}" if one.agency else one.role


def _when(at: datetime.datetime) -> str:
    return local_time(int(at.timestamp() * 1000))
