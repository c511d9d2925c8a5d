"""Every subject of this release, with its schema: what `jisr schema register` puts into the registry."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from hub.contracts import topics
from hub.contracts.agreements import Agreement
from hub.contracts.events import EventSchemas
from hub.contracts.records import Catalogue, RecordType
from hub.contracts.safety import JsonSchema


def contract_subject(record: RecordType) -> str:
    """The subject of the `.avsc` itself, policies included: the baseline that a release is held to."""
    return f"ma.jisr.records.{record.name}"


def projection_subject(record_type: str) -> str:
    """The subject of what is said to any agency about a record type; its id is that of every inbox's."""
    return f"hub.{record_type}.projection-payload"


def event_subjects(
    catalogue: Catalogue, events: EventSchemas, agreements: Mapping[str, Agreement]
) -> dict[str, JsonSchema]:
    """Subject → schema of all that is written to Kafka: each topic's values, and what envelopes carry."""
    return dict([*_hub_subjects(catalogue, events), *_agency_subjects(catalogue, events, agreements)])


def _hub_subjects(catalogue: Catalogue, events: EventSchemas) -> Iterator[tuple[str, JsonSchema]]:
    envelope = events.plain("envelope")
    for name, record in catalogue.records.items():
        yield f"hub.{name}.golden-payload", events.golden(record)
        # Of no topic, so that an agency can be told that it holds something no longer when no agreement
        # names it, or that record type, any more.
        yield projection_subject(name), events.projection(record)
        yield topics.subject(topics.golden(name)), envelope
        yield topics.subject(topics.assertions(name)), envelope
    for event in ("assertions", "link"):
        yield f"hub.{event}-payload", events.plain(event)
    yield topics.subject(topics.LINKS), envelope


def _agency_subjects(
    catalogue: Catalogue, events: EventSchemas, agreements: Mapping[str, Agreement]
) -> Iterator[tuple[str, JsonSchema]]:
    for agency, agreement in agreements.items():
        for name in agreement.record_types:
            record = catalogue.records[name]
            yield topics.subject(topics.changes(agency, name)), events.change(record)
            yield topics.subject(topics.inbox(agency, name)), events.projection(record)
        yield topics.subject(topics.notices(agency)), events.plain("notice")
        yield topics.subject(topics.receipts(agency)), events.plain("receipt")
        yield topics.subject(topics.dead_letters(agency)), events.plain("dead_letter")
        yield topics.subject(topics.control(agency)), events.plain("control")
        yield topics.subject(topics.state(agency)), events.plain("state")
