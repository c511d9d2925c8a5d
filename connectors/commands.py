"""`jisr connector …`: check a mapping, install capture, run, and see how an agency's side is."""

from __future__ import annotations

import gc
import json
import logging
import signal
from pathlib import Path

import click

from connectors.compose import check, connect, open_database, runner
from connectors.probe import Probe
from connectors.settings import Settings
from connectors.sql import store
from connectors.sql.condition import condition, lines
from connectors.sql.database_check import require_fit
from connectors.sql.mapping_reader import read_mapping
from connectors.sweep_command import ROWS_PER_S, sweep_file
from hub.contracts.certificates import certificate_files as read_certificate_files
from hub.contracts.client_logs import quieten_clients
from hub.contracts.kafka_connection import KafkaConnection, kafka_options

_FILE = click.argument("file", type=click.Path(path_type=Path, exists=True, dir_okay=False))
_DATABASE = click.option(
    "--database",
    envvar="JISR_DATABASE_URL",
    required=True,
    help="The agency's database: postgresql://… or sqlite:///file.",
)
_SCHEMAS = click.option(
    "--schemas",
    envvar="JISR_SCHEMAS",
    type=click.Path(path_type=Path),
    default=Path("schemas"),
    show_default=True,
    help="Folder with records/ and events/.",
)
_AGREEMENTS = click.option(
    "--agreements",
    envvar="JISR_AGREEMENTS",
    type=click.Path(path_type=Path),
    default=Path("deploy/agreements"),
    show_default=True,
    help="Folder of agreements.",
)

_JSON = click.option("--json", "as_json", is_flag=True, help="One JSON object, for programs.")


@click.group()
def connector() -> None:
    """Join an agency's database to the hub."""


@connector.command(name="check")
@_FILE
@click.option("--database", envvar="JISR_DATABASE_URL", help="Also look whether the tables fit.")
@_SCHEMAS
@_AGREEMENTS
@_JSON
def check_command(file: Path, database: str | None, schemas: Path, agreements: Path, as_json: bool) -> None:
    """Say all that is wrong with a mapping, with line and column.

    Exit code 1 if anything is but warnings.
    """
    problems = check(file, schemas, agreements, database)
    errors = sum(not problem.warning for problem in problems)
    if as_json:
        told = [
            {"line": it.at[0], "column": it.at[1], "message": it.message, "warning": it.warning}
            for it in problems
        ]
        click.echo(json.dumps({"file": str(file), "problems": told}, indent=1, ensure_ascii=False))
    else:
        for problem in problems:
            click.echo(problem.line(file))
        click.echo(f"{file}: {errors} error(s), {len(problems) - errors} warning(s)")
    if errors:
        raise SystemExit(1)


@connector.command()
@_FILE
@_DATABASE
@_SCHEMAS
@_AGREEMENTS
def install(file: Path, database: str, schemas: Path, agreements: Path) -> None:
    """Put bookkeeping and triggers into the agency's database.

    Safe to repeat.
    """
    with connect(file, schemas, agreements, database) as (db, mapping):
        require_fit(mapping, db)
        store.prepare(db, mapping.agency)
        for record in mapping.records.values():
            db.install_capture(record)
    click.echo(f"capture is installed for {', '.join(mapping.records)}")


@connector.command()
@_FILE
@_DATABASE
@click.confirmation_option(prompt="Edits that were captured and not sent yet are lost. Go on?")
def uninstall(file: Path, database: str) -> None:
    """Remove triggers and bookkeeping; the agency's rows stay."""
    mapping, _ = read_mapping(file)
    db = open_database(database)
    try:
        if store.is_installed(db):
            store.require_capture(db, file, mapping.agency)
        db.uninstall()
    finally:
        db.close()
    click.echo("capture is removed")


@connector.command()
@_FILE
@_DATABASE
@_JSON
def status(file: Path, database: str, as_json: bool) -> None:
    """Show what waits, what the agency refuses, how far it has read."""
    mapping, _ = read_mapping(file)
    db = open_database(database)
    try:
        store.require_capture(db, file, mapping.agency)
        told = condition(db)
    finally:
        db.close()
    click.echo(json.dumps({"agency": mapping.agency, **told}) if as_json else "\n".join(lines(told)))


@connector.command()
@_FILE
@_DATABASE
@click.confirmation_option(prompt="All rows are sent again, as a snapshot. Go on?")
def resnapshot(file: Path, database: str) -> None:
    """Read all rows again: after a restore that was not noticed.

    Begins a new epoch; what the database does not have is then held for a person.
    """
    mapping, _ = read_mapping(file)
    db = open_database(database)
    try:
        store.require_capture(db, file, mapping.agency)
        store.new_epoch(db)
    finally:
        db.close()
    click.echo("the next run begins with a snapshot")


@connector.command()
@_FILE
@_DATABASE
@click.option("--record-type", metavar="TYPE", help="Sweep only this record type.")
@click.option("--repair", is_flag=True, help="Pass on what is found, as if a trigger had seen it.")
@click.option(
    "--rows-per-second", type=click.FloatRange(min=1), default=ROWS_PER_S, show_default=True, help="The pace."
)
@_JSON
@_SCHEMAS
@_AGREEMENTS
def sweep(
    file: Path,
    database: str,
    record_type: str | None,
    repair: bool,
    rows_per_second: float,
    as_json: bool,
    schemas: Path,
    agreements: Path,
) -> None:
    """Compare all rows with what was last known of them.

    Says what differs, and what it cost. Exit code 1 if something is found and not repaired.
    """
    sweep_file(
        file,
        database,
        schemas,
        agreements,
        record_type,
        rows_per_second,
        repair=repair,
        as_json_=as_json,
    )


@connector.command()
@_FILE
@_DATABASE
@kafka_options
@click.option("--registry-url", envvar="JISR_REGISTRY_URL", required=True, help="The schema registry.")
@click.option(
    "--registry-ca-file",
    envvar="JISR_REGISTRY_CA_FILE",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="PEM file of the authorities that an https registry is checked by; else the system's.",
)
@click.option(
    "--registry-token", envvar="JISR_REGISTRY_TOKEN", help="The registry's bearer token, if it has one."
)
@click.option(
    "--agency-key-file",
    envvar="JISR_AGENCY_KEY_FILE",
    type=click.Path(path_type=Path),
    required=True,
    help="The agency's own secret: makes message keys opaque.",
)
@click.option(
    "--sweep-every",
    envvar="JISR_SWEEP_EVERY_H",
    type=click.FloatRange(min=0),
    default=24.0,
    show_default=True,
    metavar="HOURS",
    help="How often rows are compared with what was last known of them; 0: never.",
)
@click.option(
    "--sweep-rows-per-second",
    envvar="JISR_SWEEP_ROWS_PER_S",
    type=click.FloatRange(min=1),
    default=500.0,
    show_default=True,
    help="At which pace.",
)
@click.option(
    "--sweep-repair", envvar="JISR_SWEEP_REPAIR", is_flag=True, help="Pass on what is found, as edits."
)
@_SCHEMAS
@_AGREEMENTS
@click.option(
    "--certificate-files",
    envvar="JISR_CERTIFICATE_FILES",
    metavar="FILE,…",
    help="PEM files whose end a metric tells.",
)
@click.option(
    "--web-host",
    envvar="JISR_WEB_HOST",
    default="127.0.0.1",
    show_default=True,
    help="Where /metrics, /livez and /readyz listen.",
)
@click.option(
    "--web-port", envvar="JISR_WEB_PORT", type=int, help="Their port; without it nothing is served."
)
def run(
    file: Path,
    database: str,
    kafka: KafkaConnection,
    registry_url: str,
    registry_ca_file: Path | None,
    registry_token: str | None,
    agency_key_file: Path,
    sweep_every: float,
    sweep_rows_per_second: float,
    sweep_repair: bool,
    schemas: Path,
    agreements: Path,
    certificate_files: str | None,
    web_host: str,
    web_port: int | None,
) -> None:
    """Carry edits to the hub and deliveries to the agency.

    Until SIGTERM or SIGINT.
    """
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    quieten_clients()
    settings = Settings(
        kafka=kafka,
        registry_url=registry_url,
        database_url=database,
        agency_key_file=agency_key_file,
        schemas=schemas,
        agreements=agreements,
        registry_ca_file=registry_ca_file,
        registry_token=registry_token,
        sweep_every_s=sweep_every * 3600,
        sweep_rows_per_s=sweep_rows_per_second,
        sweep_repair=sweep_repair,
        certificate_files=tuple(read_certificate_files(certificate_files)),
        web_host=web_host,
        web_port=web_port,
    )
    driver, metrics = runner(file, settings)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: driver.stop())
    # Rows live as long as their batch; looking for cycles among them again and again is wasted work.
    gc.collect()
    gc.freeze()
    gc.set_threshold(100_000, 20, 50)
    probe = Probe(web_host, web_port, metrics.registry, driver.health) if web_port is not None else None
    try:
        driver.run()
    finally:
        if probe is not None:
            probe.close()
