"""`jisr connector plan` and `report`: what would come of a join, and what has come of it."""

from __future__ import annotations

import json
from contextlib import closing
from pathlib import Path

import click

from connectors.compose import agreed, dry_run
from hub.contracts.records import LANGUAGES, Catalogue
from hub.errors import ConfigurationError
from hub.local.join_plan import JoinPlanner, Wish
from hub.ops.commands import Revealing, as_json, opened, revealing
from hub.ops.join_counts import JoinCounts
from hub.ops.join_counts import as_json as counts_as_json
from hub.ops.join_page import page
from hub.ops.join_report import JoinReporter
from hub.ops.join_sheet import SheetMaker, lines
from hub.ops.parts import Parts

# As many rows of each record type are read unless more are wanted, and at most.
ROWS, MOST_ROWS = 1_000, 100_000
ROWS_PER_S = 500.0


_html = click.option(
    "--html", type=click.Path(path_type=Path, dir_okay=False), help="Write a page there instead."
)
_language = click.option(
    "--language", type=click.Choice(LANGUAGES), default="en", show_default=True, help="Of text and page."
)


@click.command()
@click.argument("agency")
@click.option(
    "--mapping",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="Count only what this mapping holds, as a plan does.",
)
@_html
@_language
@as_json
@revealing
def report(
    agency: str,
    mapping: Path | None,
    html: Path | None,
    language: str,
    as_json: bool,
    revealing: Revealing,
) -> None:
    """Say what came of AGENCY's join, in the form of its plan.

    Reads the hub's store alone: the agency's records, whom they match, what waits for a person, what
    others hold on the agency's word, and where the hub tells the agency something else than it says
    itself.
    """
    if html is not None:
        _claim(html)
    with opened() as parts:
        mapped = None if mapping is None else mapped_fields(mapping, parts, agency)
        reporter = JoinReporter(parts, agency, revealing.veil, mapped)
        revealing.note(parts, f"the report on {agency}'s join", agency=agency)
        found = reporter.report()
    _show(parts.catalogue, found, html, language, as_json=as_json, revealed=revealing.reveal)


def mapped_fields(file: Path, parts: Parts, agency: str) -> dict[str, tuple[str, ...]]:
    """Record type → the fields that a mapping holds; raises `ConfigurationError` for another agency's."""
    mapping, _ = agreed(file, parts.settings.agreements, parts.catalogue)
    if mapping.agency != agency:
        raise ConfigurationError(f"{file} is the mapping of {mapping.agency}, not of {agency}")
    return {name: record.field_names for name, record in mapping.records.items()}


@click.command()
@click.argument("file", type=click.Path(path_type=Path, exists=True, dir_okay=False))
@click.option(
    "--database",
    envvar="JISR_DATABASE_URL",
    required=True,
    help="The agency's database: postgresql://… or sqlite:///file. Nothing is written to it.",
)
@click.option("--record-type", metavar="TYPE", help="Plan only this record type.")
@click.option(
    "--limit",
    type=click.IntRange(1, MOST_ROWS),
    default=ROWS,
    show_default=True,
    help="So many rows of each record type at most, in the order of their keys.",
)
@click.option(
    "--rows-per-second", type=click.FloatRange(min=1), default=ROWS_PER_S, show_default=True, help="The pace."
)
@_html
@_language
@as_json
@revealing
def plan(
    file: Path,
    database: str,
    record_type: str | None,
    limit: int,
    rows_per_second: float,
    html: Path | None,
    language: str,
    as_json: bool,
    revealing: Revealing,
) -> None:
    """Say what would come of it if the agency joined now.

    Or if its mapping were FILE. Reads the agency's rows and the hub's store, and writes to neither. Keys
    and values are covered according to the contract's privacy, unless revealed.
    """
    if html is not None:
        _claim(html)
    with opened() as parts:
        dry = dry_run(file, parts.settings.schemas, parts.settings.agreements, database)
        agency = dry.mapping.agency
        if agency not in parts.agreements:
            raise ConfigurationError(f"{file}: there is no agreement of {agency!r}")
        revealing.note(parts, f"the plan of {agency}'s join", agency=agency)
        with closing(dry):
            dry.connect()
            wish = Wish(record_type, limit, rows_per_second)
            found = JoinPlanner(parts, dry, wish, revealing.veil).plan()
    _show(parts.catalogue, found, html, language, as_json=as_json, revealed=revealing.reveal)


def _claim(html: Path) -> None:
    """Make the file beforehand, for its owner alone: what it will tell is not everybody's."""
    try:
        html.touch(mode=0o600)
        if html.is_file():
            # It may have been there, and open to others.
            html.chmod(0o600)
    except OSError as error:
        raise ConfigurationError(f"--html {html}: cannot be written: {error.strerror}") from error


def _show(
    catalogue: Catalogue,
    found: JoinCounts,
    html: Path | None,
    language: str,
    *,
    as_json: bool,
    revealed: bool,
) -> None:
    """Write it as was asked for."""
    sheet = SheetMaker(catalogue, language, found.kind).sheet(found, revealed=revealed)
    if html is not None:
        html.write_text(page(sheet), encoding="utf-8")
    if as_json:
        click.echo(json.dumps(counts_as_json(found), indent=1, ensure_ascii=False))
    elif html is None:
        click.echo("\n".join(lines(sheet)))
