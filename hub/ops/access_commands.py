"""`jisr access`: who may do what on an operator's own Kafka, by this release and its agreements."""

from __future__ import annotations

import functools
import json
import os
import secrets
import sys
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import click

from hub.contracts.agreements import Agreement
from hub.contracts.kafka_connection import KafkaConnection, kafka_options
from hub.errors import Fatal
from hub.ops.access import (
    Access,
    Difference,
    apply_access,
    compare_access,
    in_order,
    release_access,
    set_password,
    told,
)
from hub.ops.commands import as_json, release_options
from hub.ops.parts import today

_FOLDER = click.Path(file_okay=False, path_type=Path)

_passwords = click.option(
    "--passwords",
    type=_FOLDER,
    metavar="FOLDER",
    help="Where the password of each user is written, into a file of that name, mode 600.",
)


def _release(command: Callable[..., None]) -> Callable[..., None]:
    """The options that say which release is meant; what it allows arrives as `wanted`."""

    @release_options
    @click.option(
        "--group",
        default="jisr-hub",
        show_default=True,
        envvar="JISR_GROUP",
        help="Prefix of the workers' consumer groups.",
    )
    @functools.wraps(command)
    def loaded(
        *, partitions: Mapping[str, int], agreed: Sequence[Agreement], group: str, **rest: Any
    ) -> None:
        command(wanted=release_access(partitions, agreed, group, today()), **rest)

    return loaded


@click.group()
def access() -> None:
    """Kafka's users and their rights: derived from the agreements. Others' are never touched."""


@access.command("plan")
@_release
@as_json
def plan(wanted: Access, as_json: bool) -> None:
    """List what each user of ours may do, and nothing else.

    By this release; asks no Kafka.
    """
    lines = [told(right) for right in in_order(wanted.rights)]
    click.echo(json.dumps({"users": wanted.users, "rights": lines}) if as_json else "\n".join(lines))


@access.command("check")
@kafka_options
@_release
@as_json
def check(kafka: KafkaConnection, wanted: Access, as_json: bool) -> None:
    """Compare Kafka with this release: what is lacking or too much.

    Changes nothing. Exit code 0 if all is in order, else 1.
    """
    found = compare_access(kafka, wanted)
    if as_json:
        click.echo(json.dumps(_json(found)))
    else:
        click.echo("\n".join([*_lines(found, "lacking", "too much"), *_notes(wanted, found)]))
    if not found.in_order:
        sys.exit(1)


@access.command("apply")
@kafka_options
@_release
@_passwords
def apply(kafka: KafkaConnection, wanted: Access, passwords: Path | None) -> None:
    """Give what is lacking, then take away what is too much. Safe to repeat.

    With --passwords, users that have none get one. Needs an administrator: one of Kafka's super.users.
    """
    found = apply_access(kafka, wanted)
    for line in _lines(found, "given", "taken away"):
        click.echo(line)
    made = found.unknown if passwords is not None else []
    for user in made:
        assert passwords is not None
        click.echo(f"{user}: its password is in {_new_password(kafka, user, passwords)}")
    for line in _notes(wanted, found, made):
        click.echo(line)


@access.command("rotate")
@click.argument("users", nargs=-1, required=True, metavar="USER…")
@kafka_options
@_passwords
def rotate(users: tuple[str, ...], kafka: KafkaConnection, passwords: Path | None) -> None:
    """Replace passwords: the old ones open no connection any more.

    Connections that are open stay; connectors and workers read their file when they connect anew.
    """
    if passwords is None:
        raise click.UsageError("--passwords FOLDER: where the new passwords are written")
    for user in users:
        click.echo(f"{user}: its new password is in {_new_password(kafka, user, passwords)}")


def _new_password(kafka: KafkaConnection, user: str, folder: Path) -> Path:
    """Written before Kafka knows it, and in its place only when Kafka does: none is ever lost."""
    path, coming = folder / user, folder / f"{user}.new"
    password = secrets.token_urlsafe(32)
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        coming.unlink(missing_ok=True)
        with os.fdopen(os.open(coming, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(password + "\n")
        set_password(kafka, user, password)
        coming.replace(path)
    except OSError as error:
        raise Fatal(
            f"{error.filename}: the password of {user} cannot be written: {error.strerror}"
        ) from error
    return path


def _lines(found: Difference, lacking: str, beyond: str) -> Iterator[str]:
    yield from (f"{lacking}: {told(right)}" for right in found.lacking)
    yield from (f"{beyond}: {told(right)}" for right in found.beyond)
    yield from (f"{beyond}: {user} has a password, and no agreement" for user in found.leftover)
    if found.in_order:
        yield "all rights are as this release says"


def _notes(wanted: Access, found: Difference, made: Collection[str] = ()) -> Iterator[str]:
    for user in sorted(wanted.ended):
        yield f"{user}: its agreement has ended; it keeps what it has until `jisr agency retire`"
    for user in found.unknown:
        if user not in made:
            yield f"{user}: has no password; `jisr access apply --passwords FOLDER` makes one"


def _json(found: Difference) -> dict[str, Any]:
    return {
        "in_order": found.in_order,
        "lacking": [told(right) for right in found.lacking],
        "too_much": [told(right) for right in found.beyond],
        "without_password": list(found.unknown),
        "leftover_passwords": list(found.leftover),
    }
