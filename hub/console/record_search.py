"""Finding a person or thing, by an agency's local id, by hub id, identifier or name; and its file.

What somebody types names a person, so it travels in a form and stands in no address; a search by anything
but a hub id is kept in the audit trail.
"""

from __future__ import annotations

import datetime
import re
from collections.abc import Callable
from dataclasses import dataclass

from starlette.responses import Response

from hub.console.access import Permission
from hub.console.audit import ACTIONS
from hub.console.faults import Fault
from hub.console.languages import marked
from hub.console.record_file import RecordFile, read_file, subject_of
from hub.console.routing import API, Guarded, Section
from hub.console.sentences import day_in_words, value_in_words
from hub.console.visit import Visit
from hub.contracts.values import InvalidValue
from hub.lanes.messages import hub_name
from hub.ops.audit import Audit
from hub.ops.finding import (
    NotFound,
    Sought,
    find,
    find_by_identifier,
    find_entity,
    identifying_fields,
)
from hub.ops.naming import SHOWN, Namesakes, TooVague, find_by_name
from hub.ops.pathway import Stage
from hub.ops.words import speakable

_YEAR = re.compile("[0-9]{4}")

STAGES = {
    Stage.RECEIVED: marked("Received"),
    Stage.LISTENED_TO: marked("Listened to"),
    Stage.DIAGNOSED: marked("Diagnosed"),
    Stage.ORIENTED: marked("Oriented"),
    Stage.INTEGRATED: marked("Integrated"),
}
DELIVERIES = {
    "acknowledged": marked("Acknowledged"),
    "pending": marked("Not acknowledged yet"),
    "refused": marked("Refused"),
    "waiting": marked("Waiting"),
    "nothing sent": marked("Nothing was sent"),
    "unknown": marked("Not known: Kafka does not answer"),
}
REVIEW_STATES = {
    "open": marked("to be decided"),
    "same": marked("decided: the same"),
    "different": marked("decided: different"),
    "settled": marked("settled by another decision"),
}


@dataclass(frozen=True)
class Found:
    """Whom a search led to: hub ids. Several, where several say the same identifier.

    `record_type`: of what was looked for; empty for a hub id, which may be of anything.
    """

    record_type: str
    entities: tuple[str, ...]


def show(visit: Visit) -> Response:
    return _form_page(visit, None)


def search(visit: Visit) -> Response:
    """To the one file that is meant, or a page that says what was found; by name always that."""
    if visit.form.get("name"):
        return _form_page(visit, None, _by_name(visit))
    found = _search(visit)
    if len(found.entities) == 1:
        return visit.go(f"/records/{found.entities[0]}")
    return _form_page(visit, found)


def search_for_programs(visit: Visit) -> Response:
    return visit.json(_search(visit))


def search_name_for_programs(visit: Visit) -> Response:
    return visit.json(_by_name(visit))


def _form_page(visit: Visit, found: Found | None, named: Namesakes | None = None) -> Response:
    nobody = (found is not None and not found.entities) or (named is not None and not named.found)
    return visit.page(
        "record_search.html",
        404 if nobody else 200,
        found=found,
        named=named,
        shown=SHOWN,
        given=visit.form,
        agencies=list(visit.parts.agreements),
        record_types=list(visit.parts.catalogue.records),
        identifiers=_identifiers(visit),
    )


def _identifiers(visit: Visit) -> list[tuple[str, str]]:
    """(Record type, field) by which something is found; persons are looked for most."""
    records = visit.parts.catalogue.records
    kinds = sorted(records, key=lambda kind: kind != "person")
    return [(kind, name) for kind in kinds for name in identifying_fields(records[kind])]


def _search(visit: Visit) -> Found:
    """Who is meant by the form: `hub_id`; or `agency`, `record_type`, `local_id`; or `field`, `value`."""
    form = {name: value.strip() for name, value in visit.form.items()}
    if form.get("hub_id"):
        return _by_hub_id(visit, form["hub_id"])
    if form.get("local_id"):
        side = form.get("agency", ""), form.get("record_type", "person")
        return _kept(visit, _by_local_id(visit, *side, form["local_id"]), "local_id")
    if form.get("value"):
        kind, _, name = form.get("field", "").partition(".")
        return _kept(visit, _by_identifier(visit, kind, name, form["value"]), name)
    raise Fault(400, marked("Type what to look for in one of the forms."))


def _by_hub_id(visit: Visit, name: str) -> Found:
    with visit.parts.looking() as tx:
        return _one("", lambda: find_entity(tx, name))


def _by_local_id(visit: Visit, agency: str, record_type: str, local_id: str) -> Found:
    if agency not in visit.parts.agreements or record_type not in visit.parts.catalogue.records:
        raise Fault(400, marked("Choose an agency and a kind of record from the lists."))
    with visit.parts.looking() as tx:
        return _one(record_type, lambda: find(visit.parts, tx, local_id, agency, record_type))


def _one(record_type: str, look: Callable[[], Sought]) -> Found:
    try:
        return Found(record_type, (hub_name(look().entity),))
    except NotFound:
        return Found(record_type, ())


def _by_identifier(visit: Visit, record_type: str, name: str, value: str) -> Found:
    record = visit.parts.catalogue.records.get(record_type)
    if record is None or name not in identifying_fields(record):
        raise Fault(400, marked("Choose an identifier from the list."))
    try:
        with visit.parts.looking() as tx:
            found = find_by_identifier(visit.parts, tx, record_type, name, value)
    except InvalidValue:
        raise Fault(
            400, marked("No identifier of this kind is written so. Compare it with the document.")
        ) from None
    return Found(record_type, tuple(map(hub_name, found)))


def _by_name(visit: Visit) -> Namesakes:
    """Who has a name like `name`, born on or in `born`; kept like any other search."""
    # Counted first: whoever tries names one after another is stopped whether they find somebody or not.
    visit.limited(visit.console.reveals, f"find {visit.somebody.account}")
    born = _born(visit.form.get("born", "").strip())
    try:
        with visit.parts.looking() as tx:
            namesakes = find_by_name(visit.parts, tx, visit.form.get("name", "")[:200], born, visit.veil)
    except TooVague:
        raise Fault(
            400, marked("Type a given name and a family name, or one of them and when the person was born.")
        ) from None
    subjects = [subject_of(one.record_type, one.entity) for one in namesakes.found]
    Audit(visit.parts).find(visit.somebody.person, subjects, "person", "name")
    return namesakes


def _born(typed: str) -> datetime.date | int | None:
    """A day, or a year where only that is known; None where nothing was typed."""
    if not typed:
        return None
    try:
        return int(typed) if _YEAR.fullmatch(typed) else datetime.date.fromisoformat(typed)
    except ValueError:
        raise Fault(400, marked("Write when the person was born as 1987-05-23, or only the year.")) from None


def _kept(visit: Visit, found: Found, by: str) -> Found:
    """The same, once it is written down: that a name led to somebody is itself known to few."""
    visit.limited(visit.console.reveals, f"find {visit.somebody.account}")
    subjects = [subject_of(found.record_type, entity) for entity in found.entities]
    Audit(visit.parts).find(visit.somebody.person, subjects, found.record_type, by)
    return found


def show_file(visit: Visit) -> Response:
    """A file with its values covered."""
    return _file_page(visit, read_file(visit, visit.path("entity"), visit.veil))


def reveal_file(visit: Visit) -> Response:
    """The same with its values in full, once, for the purpose that the form states."""
    with visit.parts.looking() as tx:
        entity = find_entity(tx, visit.path("entity")).entity
        record_type = tx.entities({entity}).entities[entity].record_type
    veil = visit.revealed(subject_of(record_type, hub_name(entity)), record_type=record_type)
    return _file_page(visit, read_file(visit, hub_name(entity), veil))


def read(visit: Visit) -> Response:
    return visit.json(read_file(visit, visit.path("entity"), visit.veil))


def _file_page(visit: Visit, file: RecordFile) -> Response:
    specs = visit.parts.catalogue.records

    def worded(record_type: str, name: str, text: str) -> str:
        return value_in_words(visit, specs[record_type].by_name[name], text)

    return visit.page(
        "record_file.html",
        file=file,
        worded=worded,
        day=lambda text: day_in_words(visit, text),
        stages=STAGES,
        deliveries=DELIVERIES,
        review_states=REVIEW_STATES,
        speakable=_speakable(visit, file.record_type),
        actions=ACTIONS,
    )


def _speakable(visit: Visit, record_type: str) -> tuple[str, ...]:
    """The fields of which this reader may say what they hold."""
    if not visit.may(Permission.DECIDE):
        return ()
    return tuple(spec.name for spec in speakable(visit.parts.catalogue.records[record_type]))


_NAME_FIELDS = (
    ("name", "Given and family name, in either script and order, however they are spelled."),
    ("born", "The day as 1987-05-23, or the year. Without it two words of the name are needed."),
)
_SEARCH_FIELDS = (
    ("hub_id", "A hub id. Or give the next three."),
    ("agency", "Whose local id it is."),
    ("record_type", "Of what: person, if it is not given."),
    ("local_id", "The agency's own id of its record. Or give the last two."),
    ("field", "An identifier, with its record type: person.cin."),
    ("value", "The identifier, exactly."),
)

SECTION = Section(
    title=marked("Records"),
    path="/records",
    routes=(
        Guarded("/records", show, Permission.SEE_RECORDS),
        Guarded("/records", search, Permission.SEE_RECORDS, method="POST"),
        Guarded("/records/{entity}", show_file, Permission.SEE_RECORDS),
        Guarded("/records/{entity}", reveal_file, Permission.REVEAL, method="POST"),
        Guarded(
            f"{API}/records",
            search_for_programs,
            Permission.SEE_RECORDS,
            method="POST",
            returns=Found,
            about="Whom a hub id, an agency's local id or an identifier means. Kept in the audit trail.",
            asks=_SEARCH_FIELDS,
        ),
        Guarded(
            f"{API}/names",
            search_name_for_programs,
            Permission.SEE_RECORDS,
            method="POST",
            returns=Namesakes,
            about="Who has a name like this one, values covered. Kept in the audit trail.",
            asks=_NAME_FIELDS,
        ),
        Guarded(
            f"{API}/records/{{entity}}",
            read,
            Permission.SEE_RECORDS,
            returns=RecordFile,
            about="All that the hub tells of one person or thing, values covered.",
        ),
    ),
)
