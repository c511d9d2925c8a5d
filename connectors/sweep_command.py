"""`jisr connector sweep`: compare an agency's rows with what was last known of them, now (R30)."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from contextlib import closing
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from connectors.compose import swept
from connectors.sql import store
from connectors.sql.sweep import Sweeper, sweep_all
from connectors.sql.sweep_state import REPAIRED, Cost, Finding
from hub.errors import ConfigurationError

# Of a command that somebody waits for; the one that runs by itself takes its time.
ROWS_PER_S = 5_000.0
# Findings shown to a person one by one.
_SHOWN = 50


def sweep_now(
    sweeper: Sweeper, records: Sequence[str], rows_per_s: float
) -> dict[str, tuple[Cost, list[Finding]]]:
    """Sweep these record types from the beginning; what each cost and what was found. Blocks."""
    found: dict[str, tuple[Cost, list[Finding]]] = {}
    for record in records:
        cost = Cost()
        findings: list[Finding] = []
        for page in sweep_all(sweeper, [record], rows_per_s):
            cost += page.cost
            findings += page.findings
        found[record] = cost, findings
    return found


def as_json(agency: str, found: dict[str, tuple[Cost, list[Finding]]]) -> dict[str, Any]:
    """For programs: what was found by record type, and what it cost the agency's database."""
    return {
        "agency": agency,
        "records": {
            record: {"cost": asdict(cost), "findings": [asdict(finding) for finding in findings]}
            for record, (cost, findings) in found.items()
        },
    }


def lines(agency: str, found: dict[str, tuple[Cost, list[Finding]]]) -> list[str]:
    """For a person. Local ids are the agency's own; no value is shown."""
    told = []
    if clean := {record: cost for record, (cost, findings) in found.items() if not findings}:
        spent = sum(clean.values(), Cost())
        told.append(f"{agency}: rows are as they were known, of {', '.join(clean)}; {spent.text()}")
    for record, (cost, findings) in found.items():
        if not findings:
            continue
        told.append(f"{agency} {record}: {len(findings)} rows are not as they were known; {cost.text()}")
        told += [f"  {finding.local_id}: {finding.text()}" for finding in findings[:_SHOWN]]
        if len(findings) > _SHOWN:
            told.append(f"  and {len(findings) - _SHOWN} more: --json names them all")
    return told


def open_findings(found: dict[str, tuple[Cost, list[Finding]]]) -> int:
    """How many still want somebody's attention."""
    return sum(finding.state != REPAIRED for _, findings in found.values() for finding in findings)


def chosen(records: Sequence[str], wanted: str | None) -> list[str]:
    """The record types to sweep; raises `ConfigurationError` for one that is not mapped."""
    if wanted is not None and wanted not in records:
        raise ConfigurationError(f"{wanted!r} is not mapped; there are {', '.join(records)}")
    return [record for record in records if wanted in (None, record)]


def sweep_file(
    file: Path,
    database: str,
    schemas: Path,
    agreements: Path,
    record_type: str | None,
    rows_per_s: float,
    *,
    repair: bool,
    as_json_: bool,
) -> None:
    """The command; exit code 1 if something was found and not repaired."""
    sweeper = swept(file, schemas, agreements, database, repairs=repair)
    with closing(sweeper):
        sweeper.db.connect()
        # Or a sweep would make the bookkeeping itself, and find that nothing differs from it.
        store.require_capture(sweeper.db, file, sweeper.mapping.agency)
        sweeper.connect()
        found = sweep_now(sweeper, chosen(list(sweeper.mapping.records), record_type), rows_per_s)
    agency = sweeper.mapping.agency
    if as_json_:
        click.echo(json.dumps(as_json(agency, found), indent=1, ensure_ascii=False))
    else:
        click.echo("\n".join(lines(agency, found)))
    if open_findings(found):
        sys.exit(1)
