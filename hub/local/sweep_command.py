"""`jisr sweep`: the hub compared with its topics; on the embedded stack, the agencies with themselves too."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from contextlib import closing
from typing import Any

import click

from connectors.compose import swept
from connectors.sql.store import is_installed
from connectors.sweep_command import ROWS_PER_S, chosen, open_findings, sweep_now
from connectors.sweep_command import as_json as agency_as_json
from connectors.sweep_command import lines as agency_lines
from hub.errors import ConfigurationError
from hub.local.data_folder import DataFolder, default_home
from hub.local.stack import PROJECT
from hub.ops.commands import as_json, opened
from hub.ops.last_said import Pace
from hub.ops.sweep import HubSweep, lines
from hub.ops.sweep import as_json as hub_as_json
from hub.settings import HubSettings


@click.command()
@click.option("--agency", metavar="AGENCY", help="Only what concerns this agency.")
@click.option("--record-type", metavar="TYPE", help="Only this record type.")
@click.option("--repair", is_flag=True, help="Say again, or pass on, what is found.")
@click.option(
    "--per-second",
    type=click.FloatRange(min=1),
    metavar="N",
    help="Read at most so many messages and rows a second at the hub; as fast as it goes if not given.",
)
@as_json
def sweep(
    agency: str | None, record_type: str | None, repair: bool, per_second: float | None, as_json: bool
) -> None:
    """Compare the store with what every topic says.

    The last message of every key; what that cost is told, too. On the embedded stack also every agency's
    rows with what was last known of them, as `jisr connector sweep` does at an agency. Exit code 1 if
    something is found and not repaired.
    """
    with opened() as parts:
        if agency is not None and agency not in parts.agreements:
            raise ConfigurationError(f"there is no agreement of {agency!r}")
        if record_type is not None and record_type not in parts.catalogue.records:
            raise ConfigurationError(f"there is no record type {record_type!r}")
        at_hub = HubSweep(parts, Pace(per_second)).run(repair=repair, agency=agency, record_type=record_type)
        urls = {name: url for name, url in _databases(parts.settings).items() if agency in (None, name)}
        at_agencies = {
            name: _at_agency(parts.settings, name, url, record_type, repair=repair)
            for name, url in urls.items()
        }
    if as_json:
        told: dict[str, Any] = {
            "hub": hub_as_json(at_hub),
            "agencies": [agency_as_json(name, found) for name, found in at_agencies.items()],
        }
        click.echo(json.dumps(told, indent=1, ensure_ascii=False))
    else:
        told_there = [line for name, found in at_agencies.items() for line in agency_lines(name, found)]
        click.echo("\n".join([*lines(at_hub), *told_there]))
    if any(topic.left for topic in at_hub) or any(open_findings(found) for found in at_agencies.values()):
        sys.exit(1)


def _databases(settings: HubSettings) -> Mapping[str, str]:
    """The agencies' databases by name, if it is the embedded stack that is swept, and they are prepared."""
    folder = DataFolder(default_home())
    found = folder.read_state().get("endpoints") if folder.is_locked() else None
    if not found or found["store"] != settings.store_url:
        return {}
    urls: dict[str, str] = found["agencies"]
    return {name: url for name, url in urls.items() if _mapping(name).exists()}


def _mapping(agency: str) -> Any:
    return PROJECT / "deploy" / "connectors" / f"{agency}.yaml"


def _at_agency(
    settings: HubSettings, agency: str, url: str, record_type: str | None, *, repair: bool
) -> dict[str, Any]:
    sweeper = swept(_mapping(agency), settings.schemas, settings.agreements, url, repairs=repair)
    with closing(sweeper):
        sweeper.db.connect()
        # Empty, or not joined yet: there is nothing to compare with, and nothing may be put there.
        if not is_installed(sweeper.db):
            return {}
        sweeper.connect()
        mapped = list(sweeper.mapping.records)
        if record_type is not None and record_type not in mapped:
            return {}
        return sweep_now(sweeper, chosen(mapped, record_type), ROWS_PER_S)
