"""The audit: read everything, and judge it. See `hub.local.demo.proof` for what is proven, and how."""

from __future__ import annotations

import datetime
import zoneinfo
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from hub.contracts.agreements import Agreement
from hub.contracts.events import EventSchemas
from hub.contracts.records import Catalogue
from hub.local.demo.agencies.databases import ALL_DATABASES
from hub.local.demo.agencies.reading import fields_of, read_table
from hub.local.demo.copies import Population
from hub.local.demo.desk import Desk
from hub.local.demo.kept import Kept, read_kept
from hub.local.demo.proof.entitled import Entitled, Place
from hub.local.demo.proof.verdict import Rows, Verdict, compare, golden_differences, judge

# The hub's civil day; agreements and consents end by it.
_MOROCCO = zoneinfo.ZoneInfo("Africa/Casablanca")


@dataclass(frozen=True)
class Site:
    """All that an auditor needs: the agencies' databases, the kept topics, this release's rules."""

    bootstrap: str
    desks: Mapping[str, Desk]
    catalogue: Catalogue
    events: EventSchemas
    agreements: Mapping[str, Agreement]


def audit(site: Site) -> Verdict:
    """The proof over the whole region as it is now. Blocks: about 0.5 ms a row."""
    kept = read_kept(site.bootstrap, site.catalogue, site.events)
    return verdict(read_rows(site), kept, reckon(site, kept))


def reckon(site: Site, kept: Kept) -> Entitled:
    """Who is who, and what every agency may hold today."""
    today = datetime.datetime.now(tz=_MOROCCO).date()
    return Entitled(kept, site.catalogue, site.agreements, today)


def verdict(rows: Rows, kept: Kept, entitled: Entitled) -> Verdict:
    """The verdict on these rows."""
    fields = {
        (agency, table.record_type): fields_of(table)
        for agency, (_, tables) in ALL_DATABASES.items()
        for table in tables
    }
    compared, disagreeing = compare(rows, fields, entitled)
    published, differing = golden_differences(kept, entitled)
    return Verdict(judge(rows, fields, entitled), compared, disagreeing, published, differing)


def read_rows(site: Site) -> Rows:
    """What every agency's tables hold."""
    return {
        agency: {
            table.record_type: read_table(desk, table, site.catalogue.records[table.record_type])
            for table in ALL_DATABASES[agency][1]
        }
        for agency, desk in site.desks.items()
    }


def misidentified(
    population: Population,
    local_ids: Mapping[str, Mapping[int, str]],
    entity_at: Callable[[Place], str | None],
) -> list[str]:
    """People of the population whom the hub takes for somebody else, by the truth about them.

    Only right after the load: later on people are merged and deleted.
    """
    wrong: list[str] = []
    owner: dict[str, tuple[int, tuple[str, ...]]] = {}
    for person, agencies in population.truth.entities():
        places = [(agency, "person", local_ids[agency][person]) for agency in agencies]
        entities = {entity_at(place) for place in places}
        entity = next(iter(entities))
        if len(entities) > 1 or entity is None:
            wrong.append(f"person {person} is one, and not one entity: {', '.join(agencies)}")
        elif owner.setdefault(entity, (person, agencies)) != (person, agencies):
            wrong.append(f"persons {person} and {owner[entity][0]} are not one, and were taken for one")
    return wrong
