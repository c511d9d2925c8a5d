"""`jisr agreement`: what agencies have agreed on, and what another agreement would do."""

from __future__ import annotations

import datetime
import json
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing
from pathlib import Path

import click

from hub.contracts.agreements import Agreement, Grant, load_agreements
from hub.errors import Fatal
from hub.ops import disclosure_view, disclosures
from hub.ops.commands import as_json, opened
from hub.ops.forecast import Forecast, forecast
from hub.ops.log_reader import PEEK_BYTES, LogReader
from hub.ops.moments import Moment
from hub.ops.status import StatusReader


@click.group()
def agreement() -> None:
    """Agreements: those in force, planned ones, what came of them."""


@agreement.command()
@click.argument("names", metavar="[AGENCY]...", nargs=-1)
@as_json
def show(names: tuple[str, ...], as_json: bool) -> None:
    """Show the agreements in force, or those of each AGENCY.

    Who says what, who may hold what, why and until when.
    """
    with opened() as parts:
        known = parts.agreements
    for name in names:
        if name not in known:
            raise Fatal(f"no agreement with {name!r}: there are {', '.join(sorted(known))}")
    chosen = [known[name] for name in names or sorted(known)]
    if as_json:
        click.echo(json.dumps([_agreement_json(one) for one in chosen], ensure_ascii=False))
    else:
        click.echo("\n\n".join("\n".join(_agreement_lines(one)) for one in chosen))


@agreement.command()
@click.argument("folder", type=click.Path(path_type=Path, exists=True, file_okay=False))
@click.option(
    "--limit",
    type=click.IntRange(min=1),
    metavar="N",
    help="Look at N entities of each record type, a fair sample; without it at all of them.",
)
@as_json
def preview(folder: Path, limit: int | None, as_json: bool) -> None:
    """Show what the agreements in FOLDER would change.

    Nothing is changed. In numbers of entities, per agency, record type and field: what would be told for
    the first time, and what would be taken back. They come into force with the release that has them
    (JISR_AGREEMENTS).
    """
    with opened() as parts:
        planned = load_agreements(folder, parts.catalogue)
        worded = list(_differences(parts.agreements, planned))
        found = forecast(parts, planned, limit)
    if as_json:
        click.echo(json.dumps({"agreements": worded, **_forecast_json(found)}, ensure_ascii=False))
    else:
        click.echo("\n".join(_preview_lines(worded, found, limit)))


@agreement.command()
@click.argument("agency", required=False)
@click.option(
    "--since",
    type=Moment(),
    default="30d",
    show_default=True,
    metavar="TIME",
    help="From then on: a day, a time, or 2h, 3d ago.",
)
@as_json
def report(agency: str | None, since: datetime.datetime, as_json: bool) -> None:
    """Show what agencies, or AGENCY, were told and had taken back.

    What really was, and why, in numbers of entities. By agreements that changed, agencies that joined,
    consents, and what else became of records; and what the agencies' sides have yet to acknowledge.
    """
    with opened() as parts, closing(LogReader(parts.settings.kafka, PEEK_BYTES)) as log:
        found = disclosures.report(parts, since, agency)
        left = disclosures.outstanding(StatusReader(parts, log).status().standings, agency)
    if as_json:
        click.echo(json.dumps(disclosure_view.as_json(found, left), ensure_ascii=False))
    else:
        click.echo("\n".join(disclosure_view.lines(found, left)))


def _agreement_lines(one: Agreement) -> Iterator[str]:
    yield f"{one.agency}: {one.name['ar']} · {one.name['fr']} · {one.name['en']}; until {one.until}"
    for kind, fields in one.publishes.items():
        yield f"  says of {kind}: {', '.join(sorted(fields))}"
    for kind, grants in one.receives.items():
        for grant in grants:
            yield f"  may hold of {kind}: {', '.join(grant.fields)}"
            yield f"    for {_ground(grant)}"


def _ground(grant: Grant) -> str:
    rows = "new rows are made" if grant.create else "rows that it has are updated, none is made"
    until = "" if grant.until is None else f"; until {grant.until}"
    return f"{grant.purpose}, on the ground of {grant.legal_basis}; {rows}{until}"


def _agreement_json(one: Agreement) -> dict[str, object]:
    return {
        "agency": one.agency,
        "name": dict(one.name),
        "until": one.until.isoformat(),
        "publishes": {kind: sorted(fields) for kind, fields in one.publishes.items()},
        "receives": {
            kind: [
                {
                    "fields": list(grant.fields),
                    "purpose": grant.purpose,
                    "legal_basis": grant.legal_basis,
                    "create": grant.create,
                    "until": grant.until and grant.until.isoformat(),
                }
                for grant in grants
            ]
            for kind, grants in one.receives.items()
        },
    }


def _differences(now: Mapping[str, Agreement], planned: Mapping[str, Agreement]) -> Iterator[str]:
    """What the words of the agreements differ in, a line each."""
    for name in sorted(now.keys() | planned.keys()):
        if name not in planned:
            yield f"{name}: its agreement is gone"
        elif name not in now:
            yield f"{name}: a new agreement"
        else:
            yield from (f"{name}: {line}" for line in _changed(now[name], planned[name]))


def _changed(was: Agreement, will: Agreement) -> Iterator[str]:
    if was.until != will.until:
        yield f"until {will.until} instead of {was.until}"
    if was.snapshot != will.snapshot:
        yield "has records of its own to begin with" if will.snapshot else "begins without records of its own"
    if was.filters_echoes != will.filters_echoes:
        yield f"echoes are {'filtered by the hub' if will.filters_echoes else 'not filtered any more'}"
    for kind in sorted(was.publishes.keys() | will.publishes.keys()):
        yield from _moved(f"says of {kind}", was.publishes.get(kind, ()), will.publishes.get(kind, ()))
    for kind in sorted(was.receives.keys() | will.receives.keys()):
        grants = was.receives.get(kind, ()), will.receives.get(kind, ())
        by_ground = [_by_ground(those) for those in grants]
        for ground in sorted(by_ground[0].keys() | by_ground[1].keys()):
            fields = [those.get(ground, set()) for those in by_ground]
            yield from _moved(f"may hold of {kind} for {ground}", *fields)


def _by_ground(grants: Iterable[Grant]) -> dict[str, set[str]]:
    """Ground → what may be held on it; several grants may have the same."""
    fields: dict[str, set[str]] = {}
    for one in grants:
        fields.setdefault(_ground(one), set()).update(one.fields)
    return fields


def _moved(what: str, was: Iterable[str], will: Iterable[str]) -> Iterator[str]:
    gone, new = sorted(set(was).difference(will)), sorted(set(will).difference(was))
    if gone:
        yield f"{what}: no longer {', '.join(gone)}"
    if new:
        yield f"{what}: also {', '.join(new)}"


def _preview_lines(worded: list[str], found: Forecast, limit: int | None) -> Iterator[str]:
    yield from worded or ["the agreements say the same"]
    sizes = ", ".join(f"{count} {kind}" for kind, count in found.looked.items())
    sample = "" if limit is None else f" (at most {limit} of each)"
    yield f"looked at{sample}: {sizes or 'nothing, for the store is empty'}"
    for agency, kind in found.places():
        yield f"  {agency}: {kind}"
        for number, what in (
            (found.begun[agency, kind], "would be told for the first time"),
            (found.ended[agency, kind], "would be taken back as a whole"),
        ):
            if number:
                yield f"    {number} {what}"
        for counted, what in ((found.gained, "would be told, of"), (found.lost, "would be taken back, of")):
            for name, number in _of(counted, agency, kind):
                yield f"    {name}: {what} {number}"
    if not found.places():
        yield "no agency would hold anything else"
    yield "nothing was changed"


def _of(counted: Mapping[tuple[str, str, str], int], agency: str, kind: str) -> list[tuple[str, int]]:
    return sorted((name[2], number) for name, number in counted.items() if name[:2] == (agency, kind))


def _forecast_json(found: Forecast) -> dict[str, object]:
    return {
        "looked": dict(found.looked),
        "changes": [
            {
                "agency": agency,
                "record_type": kind,
                "begun": found.begun[agency, kind],
                "ended": found.ended[agency, kind],
                "gained": dict(_of(found.gained, agency, kind)),
                "lost": dict(_of(found.lost, agency, kind)),
            }
            for agency, kind in found.places()
        ],
    }
