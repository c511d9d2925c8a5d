"""A steward's word on a field of a record: said, or taken back (R9, R19)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from starlette.responses import Response

from hub.console.access import Permission
from hub.console.faults import Fault
from hub.console.languages import marked
from hub.console.record_file import read_file
from hub.console.routing import API, Guarded, Section
from hub.console.sentences import value_in_words
from hub.console.visit import Visit
from hub.contracts.records import FieldSpec
from hub.contracts.values import InvalidValue
from hub.ops.finding import find_entity
from hub.ops.words import NothingSaid, Words, speakable

SAY, EMPTY, TAKE_BACK = "say", "empty", "take-back"
# A box of a list of codes that is ticked.
_TICKED = "value."
_LONGEST = 2_000


@dataclass(frozen=True)
class WordKept:
    """What was done: `decision` as it was asked for, of whom (hub id) and of which field."""

    entity: str
    field: str
    decision: str


def show_field(visit: Visit) -> Response:
    """One field, who says what of it, and the form in which a steward says what it holds."""
    record_type, spec = _meant(visit)
    file = read_file(visit, visit.path("entity"), visit.veil)
    said = next((one for one in file.fields if one.name == spec.name), None)
    return visit.page(
        "field.html",
        file=file,
        spec=spec,
        said=said,
        record_type=record_type,
        worded=lambda text: value_in_words(visit, spec, text),
        hint=spec.pattern_hint.get(visit.language.code, ""),
    )


def decide_field(visit: Visit) -> Response:
    """Say, or take back, as the form says."""
    return visit.go(f"/records/{_decide(visit).entity}")


def decide_field_for_programs(visit: Visit) -> Response:
    return visit.json(_decide(visit))


def _meant(visit: Visit) -> tuple[str, FieldSpec]:
    """The record type and the field that the address names; 404 for one of which a steward has no word."""
    with visit.parts.looking() as tx:
        entity = find_entity(tx, visit.path("entity")).entity
        record = visit.parts.catalogue.records[tx.entities({entity}).entities[entity].record_type]
    spec = record.by_name.get(visit.path("field"))
    if spec is None or spec not in speakable(record):
        raise Fault(404, marked("There is no such page, or it is not for you to see."))
    return record.name, spec


def _decide(visit: Visit) -> WordKept:
    _, spec = _meant(visit)
    entity, decision = visit.path("entity"), visit.form.get("decision", "")
    if decision not in (SAY, EMPTY, TAKE_BACK):
        raise Fault(
            400, marked("Say what the field holds, that it is empty, or that the word is taken back.")
        )
    said = _said(visit, spec) if decision == SAY else None
    why = visit.stated("why", marked("Say in a few words why you decide so."))
    words, person = Words(visit.parts), visit.somebody.person
    # One at a time: intake, which applies it, is not made for several threads.
    with visit.console.deciding:
        if decision == TAKE_BACK:
            return WordKept(words.take_back(entity, spec.name, person, why), spec.name, decision)
        try:
            return WordKept(words.say(entity, spec.name, said, person, why), spec.name, decision)
        except (InvalidValue, NothingSaid):
            raise Fault(
                400, marked("The contract has no such value of this field. Compare it with the document.")
            ) from None


def _said(visit: Visit, spec: FieldSpec) -> Sequence[str]:
    """The value that the form holds, or the elements of a list: ticked boxes, or one a line."""
    ticked = [name.removeprefix(_TICKED) for name in visit.form if name.startswith(_TICKED)]
    typed = visit.form.get("value", "")[:_LONGEST]
    return ticked or (typed.splitlines() if spec.kind == "strings" else [typed])


_FIELDS = (
    ("decision", "`say`, `empty` (it is known to be empty) or `take-back`."),
    ("value", "What it holds, as the contract has it; of a list, one element a line."),
    ("why", "Why, in a few words; kept with the decision."),
)
_ADDRESS = "/records/{entity}/fields/{field}"

SECTION = Section(
    (
        Guarded(_ADDRESS, show_field, Permission.DECIDE),
        Guarded(_ADDRESS, decide_field, Permission.DECIDE, method="POST"),
        Guarded(
            f"{API}{_ADDRESS}",
            decide_field_for_programs,
            Permission.DECIDE,
            method="POST",
            returns=WordKept,
            about="Say as a steward what a field holds, which ends its dispute, or take that back.",
            asks=_FIELDS,
        ),
    )
)
