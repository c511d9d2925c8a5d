"""`jisr metrics`: everything that every part measures, and the page of the documentation that says so."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping

import click

from connectors.metrics import SPECIFICATION as CONNECTOR
from hub.contracts.measures import Measure
from hub.ops.commands import as_json
from hub.ops.metrics import COUNTED, GIVEN
from hub.registry.metrics import SPECIFICATION as REGISTRY

# Heading → table, and what is to be known of all of it.
PARTS: Mapping[str, tuple[tuple[Measure, ...], str]] = {
    "Hub workers: what each counts": (COUNTED, "Each worker tells of its own work."),
    "Hub workers: what is gathered": (
        GIVEN,
        "Gathered from offsets and the store by every worker alike.",
    ),
    "Connectors": (CONNECTOR, "Every sample also has the label `agency`."),
    "Registry": (REGISTRY, ""),
}
_HEAD = """\
# Metrics

Made from the tables in the code ([`hub/ops/metrics.py`](../hub/ops/metrics.py),
[`connectors/metrics.py`](../connectors/metrics.py), [`hub/registry/metrics.py`](../hub/registry/metrics.py))
by `jisr metrics --markdown`; a test holds both together. `jisr metrics lag` shows those about lag.

Labels are bounded: agencies and record types come from the agreements, codes from lists of ours, and what is
not in a list is `other`. Besides these, every process tells `process_cpu_seconds_total`,
`process_resident_memory_bytes` and the like, as prometheus-client names them.

*Across* says how values of several processes with the same labels are put together: `sum` (of counters, rates
of them), `greatest` or `least`.
"""


def page() -> str:
    """The documentation's page of all metrics."""
    return "\n".join(_lines())


def _lines() -> Iterator[str]:
    yield _HEAD
    for heading, (table, note) in PARTS.items():
        yield f"## {heading}\n"
        if note:
            yield f"{note}\n"
        yield "| metric | type | across | labels | unit | meaning | when it looks wrong |"
        yield "|---|---|---|---|---|---|---|"
        for one in table:
            labels = ", ".join(one.labels)
            cells = (f"`{one.name}`", one.kind, one.across, labels, one.unit, one.meaning, one.remedy)
            yield f"| {' | '.join(cells)} |"
        yield ""


@click.command()
@click.argument("part_of_a_name", required=False, default="")
@click.option("--markdown", is_flag=True, help="The page of the documentation.")
@as_json
def metrics(part_of_a_name: str, markdown: bool, as_json: bool) -> None:
    """List what every part measures, and what to do about it.

    Type, labels, unit, meaning, and what to do when it looks wrong.
    """
    if markdown:
        click.echo(page(), nl=False)
        return
    found = {one.name: one for table, _ in PARTS.values() for one in table if part_of_a_name in one.name}
    if as_json:
        click.echo(json.dumps([_as_dict(one) for one in found.values()], ensure_ascii=False, indent=1))
        return
    for one in found.values():
        labels = f" by {', '.join(one.labels)}" if one.labels else ""
        click.echo(f"{one.name}: {one.kind}, {one.unit}{labels}\n  {one.meaning}\n  {one.remedy}")


def _as_dict(one: Measure) -> dict[str, object]:
    kept = ("name", "kind", "across", "labels", "unit", "meaning", "remedy")
    return {name: getattr(one, name) for name in kept}
