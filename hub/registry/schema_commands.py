"""`jisr schema …`"""

from __future__ import annotations

import sys
from collections.abc import Iterable
from pathlib import Path

import click
from rich.console import Console
from rich.table import Table

from hub.contracts.records import LANGUAGES, Catalogue, FieldSpec, read_record_type
from hub.contracts.registry_client import RegistryClient
from hub.errors import ConfigurationError
from hub.registry.commands import read_token
from hub.registry.records_page import code_lists, page
from hub.registry.release import Release

_HEADINGS = {
    "en": ("Field", "Type", "Authority", "Merge", "Privacy", "Meaning"),
    "fr": ("Champ", "Type", "Autorité", "Fusion", "Confidentialité", "Signification"),
    "ar": ("الحقل", "النوع", "المرجعية", "الدمج", "الخصوصية", "المعنى"),
}
_FOLDER = click.Path(file_okay=False, path_type=Path)
_FILE = click.Path(dir_okay=False, path_type=Path)

_schemas = click.option(
    "--schemas",
    type=_FOLDER,
    default="schemas",
    show_default=True,
    envvar="JISR_SCHEMAS",
    help="Folder with records/ and events/.",
)
_agreements = click.option(
    "--agreements",
    type=_FOLDER,
    default="deploy/agreements",
    show_default=True,
    envvar="JISR_AGREEMENTS",
    help="Folder of agreements.",
)
_ca_file = click.option(
    "--registry-ca-file",
    type=_FILE,
    envvar="JISR_REGISTRY_CA_FILE",
    metavar="FILE",
    help="PEM file of the authorities that an https registry is checked by; else the system's.",
)


@click.group()
def schema() -> None:
    """Record types and events: check, register, show."""


@schema.command()
@click.argument("paths", nargs=-1, type=_FILE)
@_schemas
@_agreements
@click.option(
    "--registry-url",
    "--registry",
    "registry",
    metavar="URL",
    help="Also compare with what this registry holds.",
)
@_ca_file
@click.option(
    "--weaken-privacy", multiple=True, metavar="RECORD.FIELD", help="Allow it, this once; may be repeated."
)
def check(
    paths: tuple[Path, ...],
    schemas: Path,
    agreements: Path,
    registry: str | None,
    registry_ca_file: Path | None,
    weaken_privacy: tuple[str, ...],
) -> None:
    """Check the whole release, or the record types in PATHS.

    Safety, policies, compatibility.
    """
    release = Release.of_records(paths) if paths else Release.load(schemas, agreements)
    problems = list(release.unsafe())
    if registry and not problems:
        client = RegistryClient(registry, ca_file=registry_ca_file)
        problems += release.breaking(client)
        for refused, message in release.policy_changes(client, weaken_privacy):
            if refused:
                problems.append(message)
            else:
                click.echo(f"note: {message}")
    _report(problems, f"{len(list(release.subjects()))} schemas are in order")


@schema.command()
@_schemas
@_agreements
@click.option(
    "--registry-url",
    "--registry",
    "registry",
    metavar="URL",
    required=True,
    envvar="JISR_REGISTRY_URL",
    help="The schema registry.",
)
@_ca_file
@click.option(
    "--token-file",
    type=_FILE,
    required=True,
    envvar="JISR_REGISTRY_TOKEN_FILE",
    help="Holds the token that the registry lets register.",
)
@click.option(
    "--weaken-privacy", multiple=True, metavar="RECORD.FIELD", help="Allow it, this once; may be repeated."
)
def register(
    schemas: Path,
    agreements: Path,
    registry: str,
    registry_ca_file: Path | None,
    token_file: Path,
    weaken_privacy: tuple[str, ...],
) -> None:
    """Register this release for every agency and record type.

    Changes nothing if it is there.
    """
    release = Release.load(schemas, agreements)
    client = RegistryClient(registry, read_token(token_file), ca_file=registry_ca_file)
    changes = list(release.policy_changes(client, weaken_privacy))
    # Everything is compared before anything is written: a release goes in whole or not at all.
    problems = [*release.unsafe(), *release.breaking(client), *(m for refused, m in changes if refused)]
    _report(problems, "")
    for _, message in changes:
        click.echo(f"note: {message}")
    for subject, schema_id in release.register(client):
        click.echo(f"{schema_id:>6}  {subject}")


@schema.command()
@click.argument("name")
@_schemas
@click.option(
    "--language",
    "--lang",
    "lang",
    type=click.Choice(LANGUAGES),
    default="en",
    show_default=True,
    help="Of headings, meanings and names.",
)
def show(name: str, schemas: Path, lang: str) -> None:
    """Show the record type NAME: its fields and codes.

    What holds for each field, and the codes with their names.
    """
    path = schemas / "records" / f"{name}.avsc"
    if not path.exists():
        known = ", ".join(sorted(p.stem for p in path.parent.glob("*.avsc")))
        there = f"there are {known}" if known else "there are none; set JISR_SCHEMAS"
        raise ConfigurationError(f"no record type {name!r} in {path.parent}: {there}")
    record = read_record_type(path)
    table = Table(*_HEADINGS[lang], title=f"{record.name}: {record.doc.get(lang, '')}", show_lines=True)
    for spec in record.fields:
        table.add_row(
            spec.name,
            _type(spec),
            ", ".join(spec.authority),
            spec.merge,
            spec.privacy,
            spec.doc.get(lang, ""),
        )
    Console(markup=False).print(table)
    for names, codes in code_lists(record):
        click.echo(f"\n{', '.join(names)}:")
        width = max(map(len, codes))
        for code, labels in codes.items():
            click.echo(f"  {code:<{width}}  {labels.get(lang, '')}")


@schema.command("page")
@_schemas
def show_page(schemas: Path) -> None:
    """Print the page of all record types, in three languages."""
    click.echo(page(Catalogue.load(schemas / "records")), nl=False)


def _type(spec: FieldSpec) -> str:
    marks = [
        f"→ {spec.reference}" if spec.reference else "",
        "natural key" if spec.natural_key else "",
        f"match: {spec.match}" if spec.match else "",
        "code" if spec.codes else "",
    ]
    return "\n".join([spec.kind, *filter(None, marks)])


def _report(problems: Iterable[str], fine: str) -> None:
    """Print the problems and exit 1, or say that all is `fine`."""
    lines = list(problems)
    for line in lines:
        click.echo(f"error: {line}", err=True)
    if lines:
        sys.exit(1)
    if fine:
        click.echo(fine)
