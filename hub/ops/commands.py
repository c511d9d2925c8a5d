"""`jisr status` and `jisr explain`: how far everything has come, and why one record is as it is."""

from __future__ import annotations

import functools
import json
import logging
import sys
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
from rich.console import Console

from hub.contracts.agreements import load_agreements
from hub.contracts.records import Catalogue
from hub.ops import explain_view, status_view
from hub.ops.audit import Audit, Person
from hub.ops.case import CaseReader
from hub.ops.log_reader import PEEK_BYTES, LogReader
from hub.ops.parts import Parts
from hub.ops.status import StatusReader
from hub.ops.veil import Veil
from hub.settings import load_settings

log = logging.getLogger(__name__)

as_json = click.option("--json", "as_json", is_flag=True, help="One JSON object, for programs.")


@dataclass(frozen=True)
class Revealing:
    """Whether values are to be shown in full, by whom and for which purpose."""

    reveal: bool
    purpose: str
    who: Person

    @property
    def veil(self) -> Veil:
        return Veil(reveal=self.reveal)

    def note(
        self, parts: Parts, subject: str, *, agency: str | None = None, record_type: str | None = None
    ) -> None:
        """If values are to be shown: write it down first, and tell the person so."""
        if not self.reveal:
            return
        Audit(parts).reveal(self.who, subject, self.purpose, agency=agency, record_type=record_type)
        log.warning("%s (%s) had the values of %s revealed", self.who.name, self.who.account, subject)
        click.echo(f"values of {subject} are shown in full: `jisr audit list` keeps it", err=True)


def revealing(command: Callable[..., None]) -> Callable[..., None]:
    """The options by which values are shown in full; they arrive as `revealing`."""

    @click.option("--reveal", is_flag=True, help="Show personal values in full. The audit trail keeps it.")
    @click.option("--who", metavar="NAME", default="", help="Who looks; needed to reveal.")
    @click.option("--purpose", metavar="TEXT", default="", help="Why they must be seen; needed to reveal.")
    @functools.wraps(command)
    def asked(*, reveal: bool, who: str, purpose: str, **rest: Any) -> None:
        # The account alone would not do: in a container everybody has the same.
        if reveal and not (who.strip() and purpose.strip()):
            raise click.UsageError(
                "--reveal needs --who NAME and --purpose TEXT: who looks, and why the values must be seen"
            )
        command(revealing=Revealing(reveal, purpose.strip(), Person.at_keyboard(who.strip())), **rest)

    return asked


def given(_: click.Context, parameter: click.Parameter, value: str) -> str:
    """An option's text, which must say something."""
    if not value.strip():
        raise click.BadParameter("must not be empty", param=parameter)
    return value.strip()


@contextmanager
def opened() -> Iterator[Parts]:
    """The parts of the hub that the environment (or the embedded stack) names."""
    with closing(Parts(load_settings())) as parts:
        yield parts


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
    """Show what has converged and what has not, and why.

    Per agency and record type; docs/operators.md tells what each column means. What a connector has
    captured and not yet sent is not seen here: its own metrics tell that.
    """
    with opened() as parts, closing(LogReader(parts.settings.kafka, PEEK_BYTES)) as reader:
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
@revealing
def explain(person: str, agency: str | None, record_type: str, as_json: bool, revealing: Revealing) -> None:
    """Explain a record: who says what, what won, who is told what.

    And by which rule, on what ground, and whether it arrived. PERSON is a hub id, agency:local_id, a
    local id with --agency, or an agency's own name of an entity. Values are covered according to the
    contract's privacy, unless revealed.
    """
    with opened() as parts:
        case = CaseReader(parts, revealing.veil).read(person, agency, record_type)
        found = case.explanation
        revealing.note(parts, f"{found.record_type} {found.entity}", record_type=found.record_type)
    if as_json:
        click.echo(json.dumps(explain_view.as_json(case), indent=1, ensure_ascii=False))
    else:
        click.echo("\n".join(explain_view.lines(case)))


def release_options(command: Callable[..., None]) -> Callable[..., None]:
    """The options that say which release is meant; its `partitions` and agreements (`agreed`) arrive."""
    folder = click.Path(file_okay=False, path_type=Path)

    @click.option(
        "--schemas",
        type=folder,
        default="schemas",
        show_default=True,
        envvar="JISR_SCHEMAS",
        help="Folder with records/.",
    )
    @click.option(
        "--agreements",
        type=folder,
        default="deploy/agreements",
        show_default=True,
        envvar="JISR_AGREEMENTS",
        help="Folder of agreements.",
    )
    @functools.wraps(command)
    def loaded(*, schemas: Path, agreements: Path, **rest: Any) -> None:
        catalogue = Catalogue.load(schemas / "records")
        agreed = list(load_agreements(agreements, catalogue).values())
        command(partitions=catalogue.partitions, agreed=agreed, **rest)

    return loaded
