"""What was wrong with a message, in the reader's language.

Whoever reads messages says it in English, and so it is kept with a dead letter, for logs and agencies. Here
each kind of such a sentence has its template: what was said is recognised, and said anew. What is recognised
by none (of a later release, or an error of a library) is shown as it is.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

from hub.console.languages import marked

if TYPE_CHECKING:
    from hub.console.visit import Visit

_CUT = 300

# The more special before the more general. `why` and `form` are sentences themselves.
TEMPLATES = (
    # Frame and schema.
    marked("the message has no value; say a deletion by operation delete"),
    marked("the message has no key: without one its order is not kept (R4)"),
    marked("%(number)s bytes; at most %(most)s"),
    marked("too large to be read at all"),
    marked("too large to be shown here"),
    marked("its payload is encrypted"),
    marked("not in Confluent's frame (a zero byte, then 4 bytes of schema id)"),
    marked(
        "schema id %(number)s is not in the registry %(place)s: "
        "write with a schema that the hub's operators have registered"
    ),
    marked("schema id %(number)s was not given here"),
    marked("schema id %(number)s: not one Avro record without references"),
    marked("schema id %(number)s: %(why)s"),
    marked("written as %(name)s; this topic takes %(other)s"),
    # Bytes.
    marked("the message ends inside a number, at byte %(number)s"),
    marked("the message ends inside a value, at %(number)s"),
    marked("a number of more than 64 bits ends at byte %(number)s"),
    marked("a string's length does not match its bytes"),
    marked("a string is not UTF-8: %(name)s"),
    marked("not readable by its schema: %(name)s"),
    marked("%(number)s bytes follow the record"),
    marked("no such union branch: %(number)s"),
    marked("no such type: %(name)s"),
    marked("no value of the enumeration has the position %(number)s"),
    marked("no operation has the position %(number)s"),
    marked("a list or map of more items than are ever needed"),
    # What the message says of itself.
    marked("the mask names %(name)s, no field of %(other)s"),
    marked("entity is not an id that this agency was given"),
    marked("the agreement of %(agency)s had ended when this was sent"),
    marked("incarnation: 0 or more expected"),
    marked("epoch: 0 or more expected"),
    marked("stamp: Unix milliseconds * 65536 + counter expected"),
    marked("%(name)s: 1 to %(most)s characters expected"),
    # Values.
    marked("field %(field)s: %(why)s"),
    marked("only a single value that is not asserted too can be stale (R13)"),
    marked("not a boolean"),
    marked("not a number of 8 bytes"),
    marked("not a number"),
    marked("a date outside the years 1 to 9999"),
    marked("text expected, not %(name)s"),
    marked("%(number)s characters; at most %(most)s"),
    marked("holds a NUL character, which no database can keep"),
    marked("holds half a surrogate pair, which is no character"),
    marked("not in the code list: %(name)s"),
    marked("not of the form: %(form)s"),
    marked("a list expected, not %(name)s"),
    marked("a whole number expected, not %(name)s"),
    marked("outside %(least)s to %(most)s"),
    marked("a number expected, not %(name)s"),
    marked("a finite number expected"),
    marked("true or false expected, not %(name)s"),
    marked("a date expected, not %(name)s"),
    # What the release says of the agency.
    marked("the agreements of this release let %(name)s publish no %(other)s"),
)
_PLACE = re.compile(r"%\((\w+)\)s")


class Told(NamedTuple):
    """A sentence, and whether it is in the reader's language."""

    text: str
    known: bool


def _pattern(template: str) -> re.Pattern[str]:
    parts = _PLACE.split(template)
    made = "".join(re.escape(one) if n % 2 == 0 else f"(?P<{one}>.+?)" for n, one in enumerate(parts))
    return re.compile(made, re.DOTALL)


_PATTERNS = tuple((template, _pattern(template)) for template in TEMPLATES)


def told(visit: Visit, said: str, record_type: str = "") -> Told:
    """What a reader of messages said, in the language of whoever reads it here; `record_type`: whose the
    fields are that it names, if that is known."""
    said = said[:_CUT]
    for template, pattern in _PATTERNS:
        found = pattern.fullmatch(said)
        if found:
            places = found.groupdict()
            if visit.words(template) == template and not (record_type and "field" in places):
                return Told(said, known=True)
            values = {place: _value(visit, place, value, record_type) for place, value in places.items()}
            return Told(visit.words(template) % values, known=True)
    return Told(said, known=False)


def _value(visit: Visit, place: str, value: str, record_type: str) -> str:
    if place == "why":
        return told(visit, value, record_type).text
    if place == "field":
        value = visit.wording.field(record_type, value)
    return visit.wording.form(value) if place == "form" else f"\u2068{value}\u2069"
