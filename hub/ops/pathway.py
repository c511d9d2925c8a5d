"""A person's way through the centres, step by step: read off the dates and codes of records. Pure.

What is covered has no step: that somebody was diagnosed on a day is as personal as any value.
"""

from __future__ import annotations

import datetime
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum

from hub.ops.related import Related


class Stage(StrEnum):
    """The stages of the pathway, in their order."""

    RECEIVED = "received"
    LISTENED_TO = "listened_to"
    DIAGNOSED = "diagnosed"
    ORIENTED = "oriented"
    INTEGRATED = "integrated"


@dataclass(frozen=True)
class Step:
    """One step. `day` and `until`: ISO dates, `until` None while it goes on or where it has no length.

    `entity`: the hub id of the record that tells of it, None for the person's own; `code`: the pathway.
    """

    stage: Stage
    day: str
    until: str | None
    record_type: str
    entity: str | None
    code: str = ""


# (Record type, its date) → the stage; None: its pathway says which.
_STAGES: Mapping[tuple[str, str], Stage | None] = {
    ("person", "received_on"): Stage.RECEIVED,
    ("assessment", "assessed_on"): Stage.DIAGNOSED,
    ("referral", "issued_on"): Stage.ORIENTED,
    ("enrolment", "started_on"): None,
}
_UNTIL = {"enrolment": "ended_on", "referral": "closed_on"}
_PATHWAYS = {
    "reception": Stage.RECEIVED,
    "listening": Stage.LISTENED_TO,
    "diagnosis": Stage.DIAGNOSED,
    "orientation": Stage.ORIENTED,
    "training": Stage.INTEGRATED,
    "employment": Stage.INTEGRATED,
    "entrepreneurship": Stage.INTEGRATED,
    "social_support": Stage.INTEGRATED,
}
_ORDER = list(Stage)


def pathway(record_type: str, own: Mapping[str, str], related: Iterable[Related]) -> list[Step]:
    """The steps by their days; `own` and the values of `related` as a veil gives them."""
    found = [*_steps(record_type, None, own)]
    for one in related:
        if not one.towards and one.live:
            found += _steps(one.record_type, one.entity, one.values)
    return sorted(found, key=lambda step: (step.day, _ORDER.index(step.stage), step.entity or ""))


def _steps(record_type: str, entity: str | None, values: Mapping[str, str]) -> Iterator[Step]:
    code = values.get("pathway", "")
    for (kind, name), stage in _STAGES.items():
        day = _day(values.get(name, "")) if kind == record_type else None
        which = stage or _PATHWAYS.get(code)
        if day and which:
            until = _day(values.get(_UNTIL.get(kind, ""), ""))
            yield Step(which, day, until, record_type, entity, code if stage is None else "")


def _day(text: str) -> str | None:
    """The ISO date that the text is; None for what is covered or empty."""
    try:
        return datetime.date.fromisoformat(text).isoformat()
    except ValueError:
        return None
