"""The oracle: is every acknowledged change accounted for, and does everybody hold what they should?

It looks from the outside only: the agencies' databases, and Kafka's topics read from their beginning. Of
the hub it uses its secret, to tell which agency's name means which entity. See docs/faults.md for what it
proves; every fault test asks it, and it alone.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from faults.inboxes import Inboxes, read_inboxes
from faults.kafka_log import Logged, read_topics
from faults.ledger import Entry, Ledger, Place
from faults.said import Asserted, RecordName, Said, Saying, fold, read_said, repetitions_differ
from hub.contracts import topics
from hub.contracts.agreements import Agreement
from hub.contracts.records import FieldSpec
from hub.contracts.values import decode
from hub.contracts.wire import read, unframe
from hub.core.assertions import RecordState
from hub.core.tokens import Ids
from hub.lanes.messages import hub_name
from hub.local.demo.agencies.databases import AGENCY_DATABASES
from hub.local.demo.agencies.reading import Held
from hub.local.demo.audit import Site, read_rows, reckon, verdict
from hub.local.demo.kept import Kept, read_kept
from hub.local.demo.proof.entitled import Entitled
from hub.local.demo.proof.verdict import Rows

# (agency, record type, local id)
LocalRecord = tuple[str, str, str]
# SQLite has no number of a transaction: edits of one row that wait together are said as one, the last.
_COALESCING = {agency for agency, (kind, _) in AGENCY_DATABASES.items() if kind == "sqlite"}


@dataclass
class Evidence:
    """All that was found, read once. `initial`: local ids of the rows that were there before anything."""

    site: Site
    ledger: Ledger
    initial: Mapping[tuple[str, str], frozenset[str]]
    ids: Ids
    said: Said
    inboxes: Inboxes
    dead: set[Place]
    held: set[tuple[str, str, str, str]]
    kept: Kept
    rows: Rows
    entitled: Entitled


def collect(
    site: Site, ledger: Ledger, initial: Mapping[tuple[str, str], frozenset[str]], secret: bytes
) -> Evidence:
    """Read everything. Blocks; right only while nothing is under way."""
    log = read_topics(site.bootstrap, _names(site.agreements))
    kept = read_kept(site.bootstrap, site.catalogue, site.events)
    ids, notices = Ids(secret), list(_events(site, log, "notice"))
    return Evidence(
        site=site,
        ledger=ledger,
        initial=initial,
        ids=ids,
        said=read_said(_of(log, ".changes"), site.catalogue, site.events),
        inboxes=read_inboxes(_of(log, ".inbox"), site.catalogue, site.events),
        dead={
            (one["topic"], one["partition"], one["offset"]) for _, one in _events(site, log, "dead_letter")
        },
        held={
            (agency, one["record_type"], one["local_id"], name)
            for agency, one in notices
            if one["kind"] == "held" or one["reason"] == "stale_form"
            for name in one["fields"]
        },
        kept=kept,
        rows=read_rows(site),
        entitled=_without_disputed(reckon(site, kept), ids, notices),
    )


def _without_disputed(
    entitled: Entitled, ids: Ids, notices: Iterable[tuple[str, Mapping[str, Any]]]
) -> Entitled:
    """Over a disputed field the hub contends no longer: the agency is told of it no more, and keeps its own
    word until a steward decides (R19)."""
    for agency, one in notices:
        if one["kind"] == "disputed":
            fields = entitled.fields[agency, one["record_type"]]
            entity = _entity(ids, agency, one["entity"])
            if entity in fields:
                fields[entity] = fields[entity].difference(one["fields"])
    return entitled


def _names(agreements: Mapping[str, Agreement]) -> list[str]:
    names = []
    for agency, agreement in agreements.items():
        for record_type in agreement.record_types:
            names += [topics.changes(agency, record_type), topics.inbox(agency, record_type)]
        names += [topics.dead_letters(agency), topics.notices(agency)]
    return names


def _of(log: Mapping[str, list[Logged]], ending: str) -> Iterator[Logged]:
    for name in sorted(log):
        if name.endswith(ending):
            yield from log[name]


_ENDINGS = {"dead_letter": ".dlq", "notice": ".notices"}


def _events(site: Site, log: Mapping[str, list[Logged]], kind: str) -> Iterator[tuple[str, Any]]:
    """(agency, event)"""
    schema = site.events.plain(kind)
    for message in _of(log, _ENDINGS[kind]):
        yield message.topic.split(".")[0], read(schema, unframe(message.value)[1])


def judge(evidence: Evidence) -> list[str]:
    """Everything that is wrong; empty if all is proven."""
    return [
        *_lost(evidence),
        *_dead(evidence),
        *_misunderstood(evidence),
        *repetitions_differ(evidence.said),
        *evidence.inboxes.problems,
        *_told_otherwise(evidence),
        *_unexplained_rows(evidence),
        *verdict(evidence.rows, evidence.kept, evidence.entitled).problems(),
    ]


# Acknowledged changes


def _lost(evidence: Evidence) -> Iterator[str]:
    """Acknowledged changes that were never said. (What they then amount to is compared for every record.)"""
    by_record: dict[LocalRecord, list[Saying]] = defaultdict(list)
    for one in evidence.said.sayings:
        if one.place not in evidence.dead:
            by_record[one.record[:3]].append(one)
    superseded: set[tuple[LocalRecord, str]] = set()
    for entry in reversed(evidence.ledger.entries):
        place = entry.agency, entry.record_type, entry.local_id
        for name in _unsaid(entry, by_record[place]):
            if (*place, name) not in evidence.held and (place, name) not in superseded:
                yield f"{entry}: {name} was never said, nor held"
        if entry.agency in _COALESCING:
            superseded |= {(place, name) for name in entry.values}


def _unsaid(entry: Entry, sayings: list[Saying]) -> list[str]:
    if entry.operation == "delete":
        return [] if any(one.change["operation"] == "delete" for one in sayings) else ["it"]
    return [
        name
        for name, value in entry.values.items()
        if not any(name in one.change["changed"] and one.value(name) == value for one in sayings)
    ]


def _dead(evidence: Evidence) -> Iterator[str]:
    """What no reader can use is dead, with a reason; nothing else is."""
    for place in sorted(evidence.said.unreadable - evidence.dead):
        yield f"{place}: cannot be used, and is no dead letter"
    for place in sorted(evidence.dead - evidence.said.unreadable):
        yield f"{place}: can be used, and is a dead letter"
    for place in sorted(evidence.ledger.poison - evidence.dead):
        yield f"{place}: poison, and no dead letter"


# What the hub understood


def _misunderstood(evidence: Evidence) -> Iterator[str]:
    """Records of which the hub keeps something else than was said: lost, invented, or superseded wrongly."""
    living = [one for one in evidence.said.sayings if one.place not in evidence.dead]
    folded = fold(living, evidence.site.catalogue, evidence.site.agreements)
    kept = {tuple(state.key): state for state in evidence.kept.states.values()}
    for record in sorted(folded.keys() - kept.keys()):
        yield f"{record}: said, and the hub does not know of it"
    for record in sorted(kept.keys() - folded.keys()):
        yield f"{record}: the hub keeps what nobody said"
    for record in sorted(folded.keys() & kept.keys()):
        wrong = sorted(_differing(evidence, record, folded[record], kept[record]))
        if wrong:
            yield f"{record}: the hub keeps otherwise than was said: {', '.join(wrong)}"


def _differing(evidence: Evidence, record: RecordName, said: Asserted, kept: RecordState) -> Iterator[str]:
    specs = evidence.site.catalogue.records[record[1]].by_name
    if said.ended != kept.ended:
        yield "its end"
    for name in said.values.keys() | kept.asserts.values.keys():
        if not _stands(specs[name], said.values.get(name, {}), kept.asserts.values.get(name)):
            yield name
    for name in said.elements.keys() | kept.asserts.unions.keys():
        if _latest_elements(said.elements.get(name, {})) != _kept_elements(specs[name], kept, name):
            yield name


def _stands(spec: FieldSpec, said: Mapping[int, list[Any]], kept: tuple[int, bytes | None] | None) -> bool:
    """Whether what is kept of a field is the latest of what was said (of an immutable one, any of it)."""
    if not said or kept is None:
        return not said and kept is None
    value = None if kept[1] is None else decode(spec, kept[1])
    return value in said.get(kept[0], ()) and (spec.merge == "immutable" or kept[0] == max(said))


def _latest_elements(said: Mapping[str, Mapping[int, list[bool]]]) -> dict[str, bool]:
    return {element: max(stamps[max(stamps)]) for element, stamps in said.items()}


def _kept_elements(spec: FieldSpec, kept: RecordState, name: str) -> dict[str, bool]:
    return {decode(spec, raw): there for raw, (_, there) in kept.asserts.unions.get(name, {}).items()}


# What readers of inboxes end with


def _told_otherwise(evidence: Evidence) -> Iterator[str]:
    """What a reader that ignores lower versions ends with, against what it may hold."""
    entitled = evidence.entitled
    told: dict[tuple[str, str], dict[str, Mapping[str, Any]]] = defaultdict(dict)
    for (agency, record_type, name), state in evidence.inboxes.state.items():
        if state["operation"] == "upsert":
            told[agency, record_type][_entity(evidence.ids, agency, name)] = state
    for (agency, record_type), allowed in entitled.fields.items():
        where = f"{agency}.{record_type}.inbox"
        for entity in sorted(allowed.keys() - told[agency, record_type].keys()):
            yield f"{where}: {entity} may be held, and was not told"
        for entity, state in sorted(told[agency, record_type].items(), key=lambda pair: pair[0]):
            if entity not in allowed:
                yield f"{where}: {entity} was told, and may not be held"
            elif wrong := _wrong_fields(evidence, agency, entity, allowed[entity], state):
                yield f"{where}: {entity} was last told otherwise: {', '.join(wrong)}"


def _entity(ids: Ids, agency: str, name: str) -> str:
    identity = ids.pairwise(agency).hub_id(name)
    return f"unknown {name}" if identity is None else hub_name(identity)


def _wrong_fields(
    evidence: Evidence, agency: str, entity: str, allowed: frozenset[str], state: Mapping[str, Any]
) -> list[str]:
    thing, image = evidence.entitled.things[entity], state["record"] or {}
    references = {spec.name for spec in evidence.entitled.references(thing.record_type)}
    wrong = sorted(allowed.symmetric_difference(state["fields"]))
    for name in sorted(allowed.intersection(state["fields"])):
        value = image.get(name)
        if name in references and value is not None:
            value = _entity(evidence.ids, agency, value)
        if isinstance(value, list):
            value = sorted(value) or None
        if value != thing.values[name]:
            wrong.append(name)
    return wrong


# Rows


def _unexplained_rows(evidence: Evidence) -> Iterator[str]:
    """Rows that neither the agency's people nor a single creation of the hub's explain: doubles (R28)."""
    made = {(one.agency, one.record_type, one.local_id) for one in evidence.ledger.entries}
    linked = _links(evidence.said)
    for agency, tables in evidence.rows.items():
        for record_type, rows in tables.items():
            created: dict[str, list[str]] = defaultdict(list)
            for local_id in sorted(rows.keys() - evidence.initial[agency, record_type]):
                place = agency, record_type, local_id
                if place in linked:
                    created[linked[place]].append(local_id)
                elif place not in made and not _may_be_made(evidence, agency, rows[local_id]):
                    yield f"{agency}: {record_type} {local_id}: a row that nobody made"
            for entity, local_ids in created.items():
                if len(local_ids) > 1:
                    yield f"{agency}: {record_type} {local_ids}: made twice for {entity}"


def _may_be_made(evidence: Evidence, agency: str, row: Held) -> bool:
    """Whether somebody began to make this row, and its commit broke off."""
    return any(
        (agency, name, row.get(name)) in evidence.ledger.unsure for name in ("cin", "number", "person")
    )


def _links(said: Said) -> dict[LocalRecord, str]:
    """(agency, record type, local id) → the entity for which its connector made the row."""
    return {
        one.record[:3]: str(one.change["entity"]) for one in said.sayings if one.change["operation"] == "link"
    }
