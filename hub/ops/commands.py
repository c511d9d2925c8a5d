"""`jisr status` and `jisr explain`: how far everything has come, and why one record is as it is."""

from __future__ import annotations

import getpass
import json
import logging
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager

import click
from rich.console import Console

from hub.ops import explain_view, status_view
from hub.ops.case import CaseReader
from hub.ops.log_reader import PEEK_BYTES, LogReader
from hub.ops.parts import Parts
from hub.ops.status import StatusReader
from hub.ops.veil import Veil
from hub.settings import load_settings

log = logging.getLogger(__name__)

as_json = click.option("--json", "as_json", is_flag=True, help="One JSON object, for programs.")
reveal = click.option(
    "--reveal", is_flag=True, help="Show personal values in full. Who revealed whom is logged."
)


@contextmanager
def opened() -> Iterator[Parts]:
    """The parts of the hub that the environment (or the embedded stack) names."""
    with closing(Parts(load_settings())) as parts:
        yield parts


def note_reveal(subject: str) -> None:
    """Leave a trace that values were shown in full, and tell the person so."""
    log.warning("%s had the values of %s revealed", getpass.getuser(), subject)
    click.echo(f"values of {subject} are shown in full: this was logged", err=True)


@click.command()
@as_json
@click.option(
    "--rate",
    is_flag=False,
    flag_value=1.0,
    type=click.FloatRange(min=0.1),
    metavar="[SECONDS]",
    help="Measure changes read and deliveries acknowledged per second, over 1 second or SECONDS.",
)
@click.option(
    "--wait-converged",
    is_flag=True,
    help="Wait until nothing is pending, unread, due or unpublished; exit code 1 if the time is up first.",
)
@click.option("--timeout", default=60.0, show_default=True, metavar="SECONDS", help="For how long to wait.")
def status(as_json: bool, rate: float | None, wait_converged: bool, timeout: float) -> None:
    """Show, per agency and record type, what has converged and what has not, and why.

    What a connector has captured and not yet sent is not seen here: its own metrics tell that.
    """
    with opened() as parts, closing(LogReader(parts.settings.bootstrap, PEEK_BYTES)) as reader:
        looking = StatusReader(parts, reader)
        at_rest = looking.wait_at_rest(timeout) if wait_converged else True
        found = looking.status(rate)
    if as_json:
        click.echo(json.dumps(status_view.as_json(found), indent=1, ensure_ascii=False))
    else:
        status_view.show(found, Console())
    if not at_rest:
        click.echo(f"not at rest after {timeout:g} s", err=True)
        sys.exit(1)


@click.command()
@click.argument("person")
@click.option("--agency", metavar="AGENCY", help="PERSON is a local id of this agency, or its name of one.")
@click.option("--record-type", default="person", show_default=True, help="What PERSON is, for a local id.")
@as_json
@reveal
def explain(person: str, agency: str | None, record_type: str, as_json: bool, reveal: bool) -> None:
    """Explain one person (or record of another type): who says what, what won and by which rule, who is
    told what and on what ground, and whether it arrived.

    PERSON is a hub id, agency:local_id, a local id with --agency, or an agency's own name of an entity.
    Values are covered according to the contract's privacy, unless revealed.
    """
    with opened() as parts:
        case = CaseReader(parts, Veil(reveal=reveal)).read(person, agency, record_type)
    if reveal:
        note_reveal(f"{case.explanation.record_type} {case.explanation.entity}")
    if as_json:
        click.echo(json.dumps(explain_view.as_json(case), indent=1, ensure_ascii=False))
    else:
        click.echo("\n".join(explain_view.lines(case)))
