"""What is alike in all runs of the simulation: contracts, agreements and mappings, read and compiled once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

from connectors.compose import converters_of, covered
from connectors.messages import Reader, Writer
from connectors.metrics import Metrics
from connectors.sql.mapping_check import load_mapping
from hub.contracts.agreements import Agreement, load_agreements
from hub.contracts.events import EventSchemas
from hub.contracts.policies import terms_by_type, type_policies
from hub.contracts.records import Catalogue
from hub.contracts.subjects import event_subjects
from hub.core.tokens import Ids
from hub.lanes.messages import Encoder
from hub.lanes.reading import Reading
from simulation.agency import AtRest, SimulatedSQLite, make_template
from simulation.said import Schemas

HERE = Path(__file__).parent
PROJECT = HERE.parents[1]
AGENCIES = ("ads", "entraide", "health")
SIDES = ("source", "sink", "sweep")
RECORD_TYPES = ("centre", "consent", "enrolment", "person")


@dataclass
class Parts:
    """What is alike in all runs: read, parsed and compiled once."""

    catalogue: Catalogue
    events: EventSchemas
    agreements: Mapping[str, Agreement]
    ids: Ids
    terms: Any
    types: Any
    schemas: Any
    reading: Reading
    encoder: Encoder
    mappings: Mapping[str, Any]
    templates: Mapping[str, bytes]
    converters: Mapping[str, Any]
    databases: Mapping[tuple[str, str], SimulatedSQLite]
    # For the judge.
    at_rest: Mapping[str, AtRest]
    metrics: Metrics

    @property
    def said(self) -> list[tuple[str, str]]:
        """(Agency, record type) of what agencies say, as the hub's composition has it."""
        return [(name, kind) for name, one in self.agreements.items() for kind in one.publishes]

    @property
    def made(self) -> list[tuple[str, str]]:
        """(Agency, record type) of what the hub makes rows."""
        return [
            (name, kind)
            for name, one in self.agreements.items()
            for kind, grants in one.receives.items()
            if any(grant.create for grant in grants)
        ]


class Registry:
    """The schema registry: all schemas of the release, numbered."""

    def __init__(self, subjects: Mapping[str, Any]) -> None:
        self.numbers = {subject: number for number, subject in enumerate(subjects, 1)}
        self._schemas = dict(enumerate(subjects.values(), 1))

    def lookup(self, subject: str, _: Any) -> int:
        return self.numbers[subject]

    def schema_by_id(self, number: int) -> Any:
        return self._schemas[number]


@cache
def parts() -> Parts:
    released = Catalogue.load(PROJECT / "schemas" / "records")
    # The people of the simulation know these; a record type more would change what every seed plays.
    catalogue = Catalogue({name: released.records[name] for name in RECORD_TYPES})
    events = EventSchemas(PROJECT / "schemas" / "events")
    loaded = load_agreements(PROJECT / "deploy" / "agreements", released)
    agreements = {name: _narrowed(loaded[name]) for name in AGENCIES}
    ids, terms = Ids(b"a secret of the simulation, 32 b"), terms_by_type(agreements)
    registry = Registry(event_subjects(catalogue, events, agreements))
    mappings = {
        name: covered(
            load_mapping(HERE / "mappings" / f"{name}.yaml", catalogue, agreements[name]), agreements[name]
        )
        for name in AGENCIES
    }
    return Parts(
        catalogue,
        events,
        agreements,
        ids,
        terms,
        type_policies(catalogue),
        registry,
        Reading(catalogue, events, terms, ids, registry.schema_by_id),
        Encoder(catalogue, events, ids, registry.numbers),
        mappings,
        {name: make_template(mapping) for name, mapping in mappings.items()},
        {name: converters_of(mapping, catalogue) for name, mapping in mappings.items()},
        {(name, side): SimulatedSQLite() for name in AGENCIES for side in SIDES},
        {name: AtRest() for name in AGENCIES},
        Metrics("simulation"),
    )


def _narrowed(agreement: Agreement) -> Agreement:
    """The agreement as far as it speaks of `RECORD_TYPES`."""
    return replace(
        agreement,
        publishes={name: said for name, said in agreement.publishes.items() if name in RECORD_TYPES},
        receives={name: held for name, held in agreement.receives.items() if name in RECORD_TYPES},
    )


@cache
def codec(agency: str) -> tuple[Reader, Writer]:
    """What an agency's connector reads and writes with."""
    given = parts()
    key = f"the key of {agency}".encode()
    return Reader(given.schemas), Writer(agency, key, given.catalogue, given.events, given.schemas)


# What was sent, decoded.
SCHEMAS = Schemas(parts().schemas)
