"""What a filter is given, read: days and numbers as people type them."""

from __future__ import annotations

import datetime

from hub.console.faults import Fault
from hub.console.languages import marked
from hub.ops.moments import milliseconds
from hub.ops.parts import MOROCCO

_DAY = datetime.timedelta(days=1)


def day(given: str | None) -> datetime.datetime | None:
    """The beginning of a day in Morocco; raises 400 where it is none."""
    if given is None:
        return None
    try:
        return datetime.datetime.combine(datetime.date.fromisoformat(given), datetime.time(), MOROCCO)
    except ValueError as error:
        raise Fault(400, marked("Give days like 2026-01-31.")) from error


def end_of_day(given: str | None) -> datetime.datetime | None:
    """The end of a day in Morocco, as `day` reads it."""
    begun = day(given)
    try:
        return begun + _DAY if begun else None
    except OverflowError as error:
        raise Fault(400, marked("Give days like 2026-01-31.")) from error


def moment(given: str | None) -> int | None:
    """A day or a time in Morocco, in Unix milliseconds; raises 400 where it is none."""
    if given is None:
        return None
    try:
        found = datetime.datetime.fromisoformat(given)
        return milliseconds(found if found.tzinfo else found.replace(tzinfo=MOROCCO))
    except (ValueError, OverflowError) as error:
        raise Fault(400, marked("Give times like 2026-01-31T14:05.")) from error


def number(given: str | None) -> int | None:
    """A whole number from 0 on that the store and Kafka can hold; raises 400 for anything else."""
    if given is None:
        return None
    if not (given.isascii() and given.isdigit() and len(given) < 19):
        raise Fault(400, marked("A whole number was expected here."))
    return int(given)
