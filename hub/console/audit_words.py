"""The audit trail's own words, in the reader's language.

What was done to what is kept in English, for the command line and for programs. Here each form that it is
kept in is recognised and said anew; what is recognised by none is shown as it is kept. The other way round,
what a reader looks for in their own words is found as it is kept.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from hub.console.dead_letter_words import BECAME
from hub.console.holds import REASONS
from hub.console.languages import marked
from hub.console.reading_words import Told
from hub.console.steering import SIDE_NAMES
from hub.console.visit import Visit
from hub.contracts.control import Target

_PLACE = re.compile(r"%\((\w+)\)s")
_ISOLATES = re.compile("[\u2066-\u2069]")
# What stands in a form's places.
_STANDS = {
    "number": r"\d+",
    "mass": r"B\d+",
    "agency": r"\w+",
    "since": r".+?",
    "until": r".+?",
}


class Form(NamedTuple):
    """A subject as it is kept, and as a marked message."""

    kept: str
    words: str


SUBJECTS = (
    Form("hold %(number)s", marked("hold %(number)s")),
    Form("hold %(mass)s", marked("mass %(mass)s")),
    Form("dead letter %(number)s", marked("dead letter %(number)s")),
    Form("review %(one)s %(other)s", marked("review of %(one)s and %(other)s")),
    Form("message %(place)s", marked("message %(place)s")),
    Form("token %(number)s", marked("token %(number)s")),
    Form("session %(number)s", marked("session %(number)s")),
    Form("lane %(lane)s: %(place)s", marked("lane %(lane)s at %(place)s")),
    Form("%(agency)s from %(since)s to %(until)s", marked("%(agency)s from %(since)s to %(until)s")),
    Form("nobody", marked("nobody")),
)

# Of these the detail is the name of a field.
_ABOUT_FIELDS = ("find", "say", "take_back")
_CHANGES = re.compile(r"(\w+), (\d+) changes")
_DETAILS = {
    "local_id": marked("by an agency's number"),
    "one record": marked("one record"),
    "one actor": marked("one actor"),
    "what it said stays": marked("what it said stays"),
    "what it said withdrawn": marked("what it said is withdrawn"),
}


def _pattern(template: str) -> re.Pattern[str]:
    parts = _PLACE.split(template)
    made = "".join(
        re.escape(one) if n % 2 == 0 else f"(?P<{one}>{_STANDS.get(one, r'[^ ]+')})"
        for n, one in enumerate(parts)
    )
    return re.compile(made, re.IGNORECASE)


_KEPT = tuple((form, _pattern(form.kept)) for form in SUBJECTS)


def subject_in_words(visit: Visit, kept: str) -> Told:
    """What something was done to."""
    if kept in visit.parts.agreements:
        return Told(visit.wording.agency(kept), known=True)
    for form, pattern in _KEPT:
        if found := pattern.fullmatch(kept):
            values = {place: _value(visit, place, value) for place, value in found.groupdict().items()}
            return Told(visit.words(form.words) % values, known=True)
    kind, _, entity = kept.partition(" ")
    if entity and kind in visit.parts.catalogue.records:
        return Told(f"{visit.wording.record_type(kind)} \u2068{entity}\u2069", known=True)
    return Told(kept, known=False)


def _value(visit: Visit, place: str, value: str) -> str:
    return f"\u2068{visit.wording.agency(value) if place == 'agency' else value}\u2069"


def subject_as_kept(visit: Visit, asked: str) -> str:
    """What a reader looks for, as the trail has it; anything else as it was asked."""
    asked = _ISOLATES.sub("", asked)
    for form in SUBJECTS:
        # An agency, or a kind of record, goes by many names; whoever looks for these has a filter.
        if found := _pattern(visit.words(form.words)).fullmatch(asked):
            return form.kept % found.groupdict()
    return asked


def detail_in_words(visit: Visit, action: str, record_type: str | None, kept: str) -> Told:
    """What else is kept of a deed."""
    if kept in _DETAILS:
        return Told(visit.words(_DETAILS[kept]), known=True)
    record = visit.parts.catalogue.records.get(record_type or "")
    if action in _ABOUT_FIELDS and record and kept in record.by_name:
        return Told(visit.wording.field(record.name, kept), known=True)
    return _by_code(visit, kept)


def _by_code(visit: Visit, kept: str) -> Told:
    """Codes of holds, masses, dead letters and connectors."""
    mass = _CHANGES.fullmatch(kept)
    if mass and mass[1] in REASONS:
        return Told(f"{visit.words(REASONS[mass[1]])} ({visit.wording.number(int(mass[2]))})", known=True)
    for words in (REASONS, BECAME):
        if kept in words:
            return Told(visit.words(words[kept]), known=True)
    sides = [Target(side) for side in kept.split(", ") if side in {str(one) for one in SIDE_NAMES}]
    if sides:
        return Told(visit.wording.listed([visit.words(SIDE_NAMES[side]) for side in sides]), known=True)
    return Told(kept, known=False)
