"""Taking dead letters in again, and discarding them: one, or all that a filter shows.

Twice asked: the first form leads to a page that says how many there are and what would become of them; the
second is done only if these are still the ones that the person saw. Who and why goes into the audit trail.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from starlette.responses import Response

from hub.console.access import Permission
from hub.console.asking import number
from hub.console.dead_letter_words import words
from hub.console.dead_letters import ASKS, FILTERS, asked_filter, wanted_of
from hub.console.faults import Fault
from hub.console.languages import marked
from hub.console.routing import API, Guarded, Section
from hub.console.visit import MAX_STATED, MIN_STATED, Visit
from hub.errors import JisrError
from hub.ops.dead_letters import DeadLetters
from hub.ops.effects import DEAD
from hub.ops.parts import Parts
from hub.ops.redrive import Redrive, Redriven
from hub.store.dead_letters import OPEN, Wanted

# A browser waits for the answer: some hundred are taken in a second. The rest is offered afterwards.
AT_ONCE = 1_000
# Each preview is a rehearsal of some ten milliseconds.
PREVIEWED = 50
_SHOWN_DEAD = 50


_NONE = (409, marked("No dead letter that this could be done with is chosen by that any more."))
_OTHERS = marked("Meanwhile others than you were shown are chosen. Look again, then confirm.")
_WHY = marked("Say in a few words why.")


class Deed(StrEnum):
    """What is done with dead letters."""

    REDRIVE = "redrive"
    DISCARD = "discard"


@dataclass(frozen=True)
class Choice:
    """Numbers of dead letters, and how many `more` the filter shows than are done at once. `seal`: tells
    whether a filter still means them; `foreseen`: outcome → how many of the first 50, each by itself."""

    letters: tuple[int, ...]
    more: int
    seal: str
    foreseen: dict[str, int]


@dataclass(frozen=True)
class Done:
    """How many were taken in again or discarded, and how many `more` the filter showed. Of what was taken in
    again: outcome → how many, and the first that are `still` dead, with the reason. `broken_off`: the rest of
    the choice is as it was; try again."""

    number: int
    more: int
    outcomes: dict[str, int] = field(default_factory=dict)
    still: tuple[Redriven, ...] = ()
    broken_off: bool = False


def redrive(visit: Visit) -> Response:
    """Ask, then take in again."""
    return _decide(visit, Deed.REDRIVE)


def discard(visit: Visit) -> Response:
    """Ask, then discard."""
    return _decide(visit, Deed.DISCARD)


def _decide(visit: Visit, deed: Deed) -> Response:
    chosen, more, others = _meant(visit)
    if others or "seal" not in visit.form:
        return _ask(visit, deed, chosen, more, others, status=409 if others else 200)
    why = " ".join(visit.form.get("why", "").split())[:MAX_STATED]
    if len(why) < MIN_STATED:
        return _ask(visit, deed, chosen, more, _WHY, status=400)
    done = _done(visit, deed, chosen, more, why)
    # What was done before it broke off is done, and must be told.
    problem = marked("It broke off. What is listed here is done; try the rest again in a moment.")
    return visit.page(
        "dead_letters_done.html",
        deed=deed,
        done=done,
        problem=problem if done.broken_off else "",
        **words(),
    )


def _meant(visit: Visit) -> tuple[list[int], int, str]:
    """Whom the form means, and how many more; and what to say if it bears the seal of others than these."""
    chosen, more = _chosen(visit.parts, visit.form)
    if not chosen:
        raise Fault(*_NONE)
    others = visit.form.get("seal", seal(chosen)) != seal(chosen)
    return chosen, more, _OTHERS if others else ""


def _chosen(parts: Parts, given: Mapping[str, str]) -> tuple[list[int], int]:
    """The numbers that are meant, `AT_ONCE` at most, and how many there are beyond them."""
    letters = DeadLetters(parts)
    if "letter" in given:
        one = number(given["letter"] or None)
        return letters.numbers(Wanted(ids=(one or 0,))), 0
    wanted, superseded_only = wanted_of(given)
    if wanted.state != OPEN:
        raise Fault(400, marked("All at once is for open dead letters alone."))
    found = letters.numbers(wanted, superseded_only=superseded_only)
    return found[:AT_ONCE], max(0, len(found) - AT_ONCE)


def seal(chosen: Sequence[int]) -> str:
    """Tells whether the chosen are still those that the person saw."""
    return hashlib.sha256(repr(list(chosen)).encode()).hexdigest()[:32]


def _foreseen(visit: Visit, chosen: Sequence[int]) -> Counter[str]:
    found = Redrive(visit.parts).preview(chosen[:PREVIEWED], visit.veil)
    return Counter(one.outcome for one in found)


def _ask(
    visit: Visit, deed: Deed, chosen: Sequence[int], more: int, problem: str = "", status: int = 200
) -> Response:
    kept = {name: visit.form[name] for name in ("letter", *FILTERS) if visit.form.get(name)}
    return visit.page(
        "dead_letters_decide.html",
        status,
        deed=deed,
        chosen=chosen,
        more=more,
        foreseen=_foreseen(visit, chosen) if deed is Deed.REDRIVE else Counter(),
        kept=kept,
        seal=seal(chosen),
        given_why=visit.form.get("why", ""),
        problem=problem,
        **words(),
    )


def _done(visit: Visit, deed: Deed, chosen: Sequence[int], more: int, why: str) -> Done:
    if deed is Deed.DISCARD:
        discarded = DeadLetters(visit.parts).discard(chosen, visit.somebody.person, why)
        return Done(len(discarded), more)
    done: list[Redriven] = []
    broken_off = False
    try:
        # One at a time: intake is not made for several threads.
        with visit.console.deciding:
            for one in Redrive(visit.parts).redrive(chosen, visit.somebody.person, why):
                done.append(one)
    except JisrError:
        if not done:
            raise
        broken_off = True
    dead = tuple(one for one in done if one.outcome == DEAD)
    outcomes = Counter(one.outcome for one in done)
    return Done(len(done), more, dict(outcomes), dead[:_SHOWN_DEAD], broken_off=broken_off)


# For programs: the same two steps, as an address that only looks and one that does.


def choose(visit: Visit) -> Response:
    """Whom a choice means, and what would become of them."""
    given = asked_filter(visit)
    if letter := visit.asked("letter"):
        given = {"letter": letter}
    chosen, more = _chosen(visit.parts, given)
    return visit.json(Choice(tuple(chosen), more, seal(chosen), dict(_foreseen(visit, chosen))))


def redrive_for_programs(visit: Visit) -> Response:
    return _decided(visit, Deed.REDRIVE)


def discard_for_programs(visit: Visit) -> Response:
    return _decided(visit, Deed.DISCARD)


def _decided(visit: Visit, deed: Deed) -> Response:
    """Done at once: a number says whom it means, and with a filter the choice's seal does."""
    chosen, more, others = _meant(visit)
    if "letter" not in visit.form and "seal" not in visit.form:
        raise Fault(400, marked("Ask for the choice first, and send its `seal` with the same filter."))
    if others:
        raise Fault(409, others)
    return visit.json(_done(visit, deed, chosen, more, visit.stated("why", _WHY)))


_CHOOSES = (
    ("letter", "One dead letter by its number; else all open ones that the filter shows:"),
    *((name, about) for name, about in ASKS if name in FILTERS and name != "state"),
)
_FIELDS = (
    *_CHOOSES,
    (
        "seal",
        "That of the choice, which is needed with a filter: if it means others by now, nothing is done.",
    ),
    ("why", "Why, in a few words; kept in the audit trail."),
)

SECTION = Section(
    (
        Guarded("/dead-letters/redrive", redrive, Permission.REDRIVE, method="POST"),
        # Not the operator's alone to say that what an agency sent will never count.
        Guarded("/dead-letters/discard", discard, Permission.DECIDE, method="POST"),
        Guarded(
            f"{API}/dead-letters/choice",
            choose,
            Permission.SEE_DEAD_LETTERS,
            returns=Choice,
            about="Which dead letters a decision would be on, and what taking them in again would come to.",
            asks=_CHOOSES,
        ),
        Guarded(
            f"{API}/dead-letters/redrive",
            redrive_for_programs,
            Permission.REDRIVE,
            method="POST",
            returns=Done,
            about="Take dead letters in again: one, or all that a filter shows.",
            asks=_FIELDS,
        ),
        Guarded(
            f"{API}/dead-letters/discard",
            discard_for_programs,
            Permission.DECIDE,
            method="POST",
            returns=Done,
            about="Discard dead letters: one, or all that a filter shows. Their bytes are kept.",
            asks=_FIELDS,
        ),
    )
)
