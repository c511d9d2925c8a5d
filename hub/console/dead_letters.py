"""Dead letters: in piles by reason, one by one with their bytes, and what a redrive would change."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from urllib.parse import urlencode

from starlette.responses import Response

from hub.console.access import Permission
from hub.console.asking import day, end_of_day, number
from hub.console.attention import Mover
from hub.console.dead_letter_words import STATES, held_in_words, reason, words
from hub.console.faults import Fault
from hub.console.languages import marked
from hub.console.routing import API, Guarded, Section
from hub.console.visit import Visit
from hub.ops.dead_letters import DeadLetters, Letter
from hub.ops.examination import Examined, contract_of, examine
from hub.ops.moments import milliseconds
from hub.ops.redrive import Preview, Redrive
from hub.ops.veil import Veil
from hub.store.dead_letters import DISCARDED, OPEN, REDRIVEN, Heap, Wanted

PAGE = 50
ALL = "all"
# Parts of a change outside of its record that only its own agency may read: they may be, or hold, anything.
COVERED = frozenset({"local_id", "event_id"})
FILTERS = ("agency", "record_type", "code", "state", "since", "until", "superseded")


@dataclass(frozen=True)
class Line:
    """One dead letter without values. `at_ms`: when its message was appended; `local_id` is covered;
    `superseded`: when its record had said all of it again, empty if it has not; `mover`: whose move it is."""

    id: int
    agency: str
    record_type: str
    code: str
    path: str
    at_ms: int
    state: str
    mover: Mover
    local_id: str
    superseded: str
    redrives: int
    outcome: str | None
    who: str | None
    why: str | None
    decided_ms: int | None
    bytes: int


@dataclass(frozen=True)
class Pile:
    """Dead letters that are alike; `number` is counted up to 10,000 only."""

    agency: str
    record_type: str
    code: str
    state: str
    number: int


@dataclass(frozen=True)
class LetterList:
    """What a filter shows. `total`: all that it matches, in `piles`, each counted up to 10,000; `letters`: a
    page of them, the oldest first, with fewer or none of those that are superseded alone; `next`: give it as
    `after` to read on, if not null; `readable`: false while the registry is away, when nobody can tell what
    is superseded."""

    total: int
    piles: tuple[Pile, ...]
    letters: tuple[Line, ...]
    next: int | None
    readable: bool


@dataclass(frozen=True)
class LetterView:
    """One dead letter: where it stands in Kafka, what is wrong, its bytes as far as the reader may see them,
    and what taking it in again would come to now (null once that was done)."""

    letter: Line
    topic: str
    partition: int
    offset: int
    message: str
    examined: Examined
    preview: Preview | None


def wanted_of(given: Mapping[str, str]) -> tuple[Wanted, bool]:
    """Which dead letters a filter means, and whether superseded ones alone; raises 400 for a wrong one."""
    state = given.get("state") or OPEN
    if state not in (ALL, *STATES):
        raise Fault(400, marked("There is no such state of dead letters."))
    wanted = Wanted(
        agency=given.get("agency") or None,
        record_type=given.get("record_type") or None,
        code=given.get("code") or None,
        state=None if state == ALL else state,
        since_ms=milliseconds(day(given.get("since") or None)),
        until_ms=milliseconds(end_of_day(given.get("until") or None)),
    )
    return wanted, bool(given.get("superseded"))


def asked_filter(visit: Visit) -> dict[str, str]:
    """The filter that stands in the address."""
    return {name: found for name in FILTERS if (found := visit.asked(name))}


def line(visit: Visit, one: Letter, *, revealed: bool = False) -> Line:
    """A dead letter as this reader may see it."""
    row = one.row
    shown = one.local_id if revealed or not one.local_id else visit.local_id(row.agency, one.local_id)
    return Line(
        id=row.id,
        agency=row.agency,
        record_type=row.record_type,
        code=row.code,
        path=row.path,
        at_ms=row.at_ms,
        state=row.state,
        mover=Mover.STEWARD if one.superseded else reason(row.code).mover,
        local_id=shown,
        superseded=one.superseded,
        redrives=row.redrives,
        outcome=row.outcome,
        who=row.who,
        why=row.why,
        decided_ms=milliseconds(row.decided_at),
        bytes=len(row.value or b""),
    )


def _read(visit: Visit, given: Mapping[str, str]) -> LetterList:
    wanted, superseded_only = wanted_of(given)
    letters = DeadLetters(visit.parts)
    piles = [Pile(*heap) for heap in sorted(letters.heaps(wanted, exactly=False), key=_largest)]
    after = number(visit.asked("after")) or 0
    found, following = letters.page(wanted, PAGE, superseded_only=superseded_only, after=after)
    return LetterList(
        total=sum(pile.number for pile in piles),
        piles=tuple(piles),
        letters=tuple(line(visit, one) for one in found),
        next=following,
        readable=not letters.problem,
    )


def _largest(heap: Heap) -> tuple[int, Heap]:
    return -heap.number, heap


def show(visit: Visit) -> Response:
    given = asked_filter(visit)
    seen = _read(visit, given)

    def address(**changed: object) -> str:
        """This page with another filter."""
        query = {name: value for name, value in {**given, **changed}.items() if value}
        return f"/dead-letters?{urlencode(query)}" if query else "/dead-letters"

    return visit.page(
        "dead_letters.html",
        seen=seen,
        given=given,
        address=address,
        decidable=given.get("state", OPEN) == OPEN and seen.total > 0,
        # A pile that was opened, or so few that a page holds them all.
        one_by_one="code" in given or "superseded" in given or seen.total <= PAGE,
        filters=FILTERS,
        agencies=list(visit.parts.agreements),
        record_types=list(visit.parts.catalogue.records),
        **words(),
    )


def read(visit: Visit) -> Response:
    return visit.json(_read(visit, asked_filter(visit)))


def _one(visit: Visit) -> Letter:
    return DeadLetters(visit.parts).one(number(visit.path("letter")) or 0)


def _view(visit: Visit, one: Letter, veil: Veil) -> LetterView:
    row, parts = one.row, visit.parts
    contract = contract_of(parts, row.record_type)
    covered = frozenset() if veil.reveal else COVERED
    return LetterView(
        letter=line(visit, one, revealed=veil.reveal),
        topic=row.topic,
        partition=row.partition,
        offset=row.kafka_offset,
        message=row.message,
        examined=examine(row, contract, parts.registry.schema_by_id, veil, covered),
        preview=None if row.state == REDRIVEN else _preview(visit, row.id, veil),
    )


def _preview(visit: Visit, letter: int, veil: Veil) -> Preview | None:
    for found in Redrive(visit.parts).preview([letter], veil):
        # It names the record by its local id, which stands in the letter's line, covered.
        return found if veil.reveal else dataclasses.replace(found, record="")
    return None


def show_letter(visit: Visit) -> Response:
    """One dead letter with its values covered."""
    return _letter_page(visit, _one(visit), visit.veil)


def reveal_letter(visit: Visit) -> Response:
    """The same with its values and bytes in full, once, for the purpose that the form states."""
    one = _one(visit)
    subject = f"dead letter {one.row.id}"
    veil = visit.revealed(subject, agency=one.row.agency, record_type=one.row.record_type)
    return _letter_page(visit, one, veil)


def _letter_page(visit: Visit, one: Letter, veil: Veil) -> Response:
    contract = contract_of(visit.parts, one.row.record_type)
    spec = contract.specs.get(one.row.path) if contract else None
    return visit.page(
        "dead_letter.html",
        view=_view(visit, one, veil),
        revealed=veil.reveal,
        held_why=partial(held_in_words, visit, one.row.record_type),
        hint=visit.wording.hint(spec) if spec else "",
        discardable=one.row.state == OPEN,
        redrivable=one.row.state in (OPEN, DISCARDED),
        **words(),
    )


def read_letter(visit: Visit) -> Response:
    return visit.json(_view(visit, _one(visit), visit.veil))


ASKS = (
    ("agency", "Only this agency's."),
    ("record_type", "Only of this record type."),
    ("code", "Only with this reason, such as invalid_value."),
    ("state", "open (as if not given), redriven, discarded or all."),
    ("since", "Appended from this day on, in Morocco: 2026-01-31."),
    ("until", "Appended to this day, included."),
    ("superseded", "Any word: only those whose record has said all of it again."),
    ("after", "Only letters behind this number: `next` of the page before."),
)

SECTION = Section(
    title=marked("Dead letters"),
    path="/dead-letters",
    routes=(
        Guarded("/dead-letters", show, Permission.SEE_DEAD_LETTERS),
        Guarded("/dead-letters/{letter:int}", show_letter, Permission.SEE_DEAD_LETTERS),
        Guarded("/dead-letters/{letter:int}", reveal_letter, Permission.REVEAL, method="POST"),
        Guarded(
            f"{API}/dead-letters",
            read,
            Permission.SEE_DEAD_LETTERS,
            returns=LetterList,
            about="Messages that could not be used, counted by reason and one by one.",
            asks=ASKS,
        ),
        Guarded(
            f"{API}/dead-letters/{{letter:int}}",
            read_letter,
            Permission.SEE_DEAD_LETTERS,
            returns=LetterView,
            about="One dead letter: its bytes, where they broke, and what taking it in again would change.",
        ),
    ),
)
