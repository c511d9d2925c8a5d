"""Taking dead letters in again, and discarding them: one, or all that a filter shows.

Twice asked: the first form leads to a page that says how many there are and what would become of them; the
second is done only if these are still the ones that the person saw. Who and why goes into the audit trail.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Sequence
from enum import StrEnum

from starlette.responses import Response

from hub.console.access import Permission
from hub.console.asking import number
from hub.console.dead_letter_words import words
from hub.console.dead_letters import FILTERS, wanted_of
from hub.console.faults import Fault
from hub.console.languages import marked
from hub.console.routing import Guarded, Section
from hub.console.visit import MAX_STATED, MIN_STATED, Visit
from hub.errors import JisrError
from hub.ops.dead_letters import DeadLetters
from hub.ops.effects import DEAD
from hub.ops.redrive import Redrive, Redriven
from hub.store.dead_letters import OPEN, Wanted

# A browser waits for the answer: some hundred are taken in a second. The rest is offered afterwards.
AT_ONCE = 1_000
# Each preview is a rehearsal of some ten milliseconds.
PREVIEWED = 50
_SHOWN_DEAD = 50


class Deed(StrEnum):
    """What is done with dead letters."""

    REDRIVE = "redrive"
    DISCARD = "discard"


def redrive(visit: Visit) -> Response:
    """Ask, then take in again."""
    return _decide(visit, Deed.REDRIVE)


def discard(visit: Visit) -> Response:
    """Ask, then discard."""
    return _decide(visit, Deed.DISCARD)


def _decide(visit: Visit, deed: Deed) -> Response:
    chosen, more = _chosen(visit)
    if not chosen:
        raise Fault(409, marked("No dead letter that this could be done with is chosen by that any more."))
    if "seal" not in visit.form:
        return _ask(visit, deed, chosen, more)
    if visit.form["seal"] != seal(chosen):
        problem = marked("Meanwhile others than you were shown are chosen. Look again, then confirm.")
        return _ask(visit, deed, chosen, more, problem, status=409)
    why = " ".join(visit.form.get("why", "").split())[:MAX_STATED]
    if len(why) < MIN_STATED:
        return _ask(visit, deed, chosen, more, marked("Say in a few words why."), status=400)
    return (
        _redriven(visit, chosen, more, why) if deed is Deed.REDRIVE else _discarded(visit, chosen, more, why)
    )


def _chosen(visit: Visit) -> tuple[list[int], int]:
    """The numbers that the form means, `AT_ONCE` at most, and how many there are beyond them."""
    letters = DeadLetters(visit.parts)
    if "letter" in visit.form:
        one = number(visit.form["letter"] or None)
        return letters.numbers(Wanted(ids=(one or 0,))), 0
    wanted, superseded_only = wanted_of(visit.form)
    if wanted.state != OPEN:
        raise Fault(400, marked("All at once is for open dead letters alone."))
    found = letters.numbers(wanted, superseded_only=superseded_only)
    return found[:AT_ONCE], max(0, len(found) - AT_ONCE)


def seal(chosen: Sequence[int]) -> str:
    """Tells whether the chosen are still those that the person saw."""
    return hashlib.sha256(repr(list(chosen)).encode()).hexdigest()[:32]


def _ask(
    visit: Visit, deed: Deed, chosen: Sequence[int], more: int, problem: str = "", status: int = 200
) -> Response:
    foreseen: Counter[str] = Counter()
    if deed is Deed.REDRIVE:
        foreseen.update(one.outcome for one in Redrive(visit.parts).preview(chosen[:PREVIEWED], visit.veil))
    kept = {name: visit.form[name] for name in ("letter", *FILTERS) if visit.form.get(name)}
    return visit.page(
        "dead_letters_decide.html",
        status,
        deed=deed,
        chosen=chosen,
        more=more,
        foreseen=foreseen,
        kept=kept,
        seal=seal(chosen),
        given_why=visit.form.get("why", ""),
        problem=problem,
        **words(),
    )


def _redriven(visit: Visit, chosen: Sequence[int], more: int, why: str) -> Response:
    done: list[Redriven] = []
    problem = ""
    try:
        # One at a time: intake is not made for several threads.
        with visit.console.deciding:
            for one in Redrive(visit.parts).redrive(chosen, visit.somebody.person, why):
                done.append(one)
    except JisrError:
        if not done:
            raise
        # What was done before is done, and must be told.
        problem = marked("It broke off. What is listed here is done; try the rest again in a moment.")
    dead = [one for one in done if one.outcome == DEAD]
    return _done(
        visit, Deed.REDRIVE, len(done), more, problem=problem, still=dead[:_SHOWN_DEAD],
        outcomes=Counter(one.outcome for one in done),
    )  # fmt: skip


def _discarded(visit: Visit, chosen: Sequence[int], more: int, why: str) -> Response:
    done = DeadLetters(visit.parts).discard(chosen, visit.somebody.person, why)
    return _done(visit, Deed.DISCARD, len(done), more, problem="", still=[], outcomes=Counter())


def _done(
    visit: Visit,
    deed: Deed,
    count: int,
    more: int,
    *,
    problem: str,
    still: Sequence[Redriven],
    outcomes: Counter[str],
) -> Response:
    return visit.page(
        "dead_letters_done.html",
        deed=deed,
        count=count,
        more=more,
        problem=problem,
        still=still,
        outcomes_found=outcomes,
        **words(),
    )


SECTION = Section(
    (
        Guarded("/dead-letters/redrive", redrive, Permission.REDRIVE, method="POST"),
        # Not the operator's alone to say that what an agency sent will never count.
        Guarded("/dead-letters/discard", discard, Permission.DECIDE, method="POST"),
    )
)
