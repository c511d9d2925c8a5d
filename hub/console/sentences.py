"""What the hub's explanations and veiled values say, in the reader's language."""

from __future__ import annotations

import datetime

from hub.console.languages import marked
from hub.console.visit import Visit
from hub.contracts.records import FieldSpec
from hub.core.projection import DELETE, RETRACT
from hub.ops.phrases import Phrase
from hub.ops.veil import EMPTY

_WORDS = {EMPTY: marked("(known to be empty)"), "true": marked("yes"), "false": marked("no")}

_OPERATIONS = {RETRACT: marked("taken back"), DELETE: marked("deleted")}


def spoken(visit: Visit, phrase: Phrase, record_type: str) -> str:
    """A phrase of `hub.ops` in the reader's language; `record_type`: whose the fields are that it names."""
    if not phrase:
        return ""
    values = {place: _named(visit, place, value, record_type) for place, value in phrase.values.items()}
    return visit.words(phrase.template) % values


def _named(visit: Visit, place: str, value: str, record_type: str) -> str:
    if isinstance(value, Phrase):
        return spoken(visit, value, record_type)
    if place in ("agency", "other"):
        return visit.wording.agency(value)
    if place == "word":
        return visit.words(_OPERATIONS[value]) if value in _OPERATIONS else value
    if place == "purpose":
        return visit.wording.purpose(value)
    if place == "field":
        return visit.wording.field(record_type, value)
    return visit.wording.record_type(value) if place == "record_type" else value


def value_in_words(visit: Visit, spec: FieldSpec, text: str) -> str:
    """A value as a veil gave it: codes and days in words, anything else as it stands."""
    if text in _WORDS and (text == EMPTY or spec.kind == "boolean"):
        return visit.words(_WORDS[text])
    if spec.codes:
        return visit.wording.listed([_code(visit, spec, one) for one in text.split(", ")]) if text else ""
    if spec.kind == "date":
        return day_in_words(visit, text)
    return text


def day_in_words(visit: Visit, text: str) -> str:
    """An ISO date in words; anything else as it stands."""
    try:
        return visit.wording.day(datetime.date.fromisoformat(text))
    except ValueError:
        return text


def _code(visit: Visit, spec: FieldSpec, text: str) -> str:
    """A code's label, after the sign that says whether an element of a list was added or taken away."""
    sign, _, code = text.rpartition(" ")
    label = spec.codes.get(code, {}).get(visit.language.code, code)
    return f"{sign} {label}".strip()
