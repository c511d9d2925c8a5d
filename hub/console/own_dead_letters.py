"""An agency's own messages that could not be used: which, why, what it is to do. Nothing is decided here."""

from __future__ import annotations

from dataclasses import dataclass

from starlette.responses import Response

from hub.console.access import Permission
from hub.console.asking import number
from hub.console.dead_letter_words import words
from hub.console.routing import API, Guarded, Section
from hub.console.visit import Visit
from hub.ops.dead_letters import DeadLetters
from hub.store.dead_letters import OPEN, Wanted

PAGE = 50


@dataclass(frozen=True)
class OwnLetter:
    """One message that could not be used, where it stands in Kafka, and what was found; without values.
    `at_ms`: when it was appended; `superseded`: when its record had said all of it again, else empty."""

    id: int
    record_type: str
    code: str
    path: str
    message: str
    at_ms: int
    local_id: str
    topic: str
    partition: int
    offset: int
    superseded: str


@dataclass(frozen=True)
class OwnLetters:
    """Those on which nobody has decided, the oldest first. `next`: give it as `after` to read on."""

    agency: str
    letters: tuple[OwnLetter, ...]
    next: int | None


def _read(visit: Visit) -> OwnLetters:
    agency = visit.path("agency")
    visit.require_agency(agency)
    after = number(visit.asked("after")) or 0
    found, following = DeadLetters(visit.parts).page(Wanted(agency=agency, state=OPEN), PAGE, after=after)
    letters = tuple(
        OwnLetter(
            id=one.row.id,
            record_type=one.row.record_type,
            code=one.row.code,
            path=one.row.path,
            message=one.row.message,
            at_ms=one.row.at_ms,
            local_id=one.local_id and visit.local_id(agency, one.local_id),
            topic=one.row.topic,
            partition=one.row.partition,
            offset=one.row.kafka_offset,
            superseded=one.superseded,
        )
        for one in found
    )
    return OwnLetters(agency, letters, following)


def show(visit: Visit) -> Response:
    return visit.page("own_dead_letters.html", seen=_read(visit), **words())


def read(visit: Visit) -> Response:
    return visit.json(_read(visit))


SECTION = Section(
    (
        Guarded("/agencies/{agency}/dead-letters", show, Permission.SEE_OWN_DEAD_LETTERS),
        Guarded(
            f"{API}/agencies/{{agency}}/dead-letters",
            read,
            Permission.SEE_OWN_DEAD_LETTERS,
            returns=OwnLetters,
            about="An agency's messages that could not be used and wait for a decision, without values.",
            asks=(("after", "Only letters behind this number: `next` of the page before."),),
        ),
    )
)
