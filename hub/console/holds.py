"""Holds: what waits for a person, singly (17) or by the mass (B3); what it would do, and the word on it."""

from __future__ import annotations

from collections.abc import Callable

from starlette.responses import Response

from hub.console.access import Permission
from hub.console.asking import number
from hub.console.faults import Fault
from hub.console.languages import marked
from hub.console.routing import Guarded, Section
from hub.console.visit import Visit
from hub.ops.audit import Person
from hub.ops.brakes import Brakes
from hub.ops.holds import HeldStory, Holds
from hub.ops.veil import Veil

REASONS = {
    "stale_form": marked("An outdated form was saved"),
    "identifier_changed": marked("A strong identifier changed"),
    "mass_delete": marked("Many deletions at once"),
    "mass_update": marked("Many updates at once"),
    "mass_join": marked("A joining agency's snapshot would change many records"),
    "mass_lost": marked("A restored database does not have these records"),
}
STATES = {
    "held": marked("Waits for a decision"),
    "released": marked("Released"),
    "rejected": marked("Rejected"),
}

# What a decision calls: number, who, why.
Decide = Callable[[int, Person, str], object]


def _number(visit: Visit, name: str) -> int:
    return number(visit.path(name)) or 0


def _hold(visit: Visit, veil: Veil) -> HeldStory:
    return Holds(visit.parts).show(_number(visit, "hold"), veil)


def show_hold(visit: Visit) -> Response:
    """One held change with its values covered."""
    return _hold_page(visit, _hold(visit, visit.veil), revealed=False)


def reveal_hold(visit: Visit) -> Response:
    """The same with its values in full, once, for the purpose that the form states."""
    key = _hold(visit, visit.veil).hold.change.key
    subject = f"hold {visit.path('hold')}"
    veil = visit.revealed(subject, agency=key.agency, record_type=key.record_type)
    return _hold_page(visit, _hold(visit, veil), revealed=True)


def _hold_page(visit: Visit, story: HeldStory, *, revealed: bool) -> Response:
    return visit.page("hold.html", story=story, revealed=revealed, reasons=REASONS, states=STATES)


def decide_hold(visit: Visit) -> Response:
    """Release or reject one held change, as the form says."""
    holds = Holds(visit.parts)
    _decide(visit, _number(visit, "hold"), {"release": holds.release, "reject": holds.reject})
    return visit.go(f"/holds/{visit.path('hold')}")


def show_mass(visit: Visit) -> Response:
    """One mass of changes, and what it would do."""
    story = Brakes(visit.parts).show(_number(visit, "mass"))
    examples = [visit.local_id(story.brake.agency, one) for one in story.examples]
    return visit.page("mass.html", story=story, examples=examples, reasons=REASONS, states=STATES)


def decide_mass(visit: Visit) -> Response:
    """Release or reject a mass, as the form says. Blocks until all of it is carried out."""
    brakes = Brakes(visit.parts)
    _decide(visit, _number(visit, "mass"), {"release": brakes.release, "reject": brakes.reject})
    return visit.go(f"/masses/{visit.path('mass')}")


def _decide(visit: Visit, number: int, ways: dict[str, Decide]) -> None:
    decide = ways.get(visit.form.get("decision", ""))
    if decide is None:
        raise Fault(400, marked("Say whether it is to be released or rejected."))
    why = visit.stated("why", marked("Say in a few words why you decide so."))
    # One at a time: intake, which applies what is released, is not made for several threads.
    with visit.console.deciding:
        decide(number, visit.somebody.person, why)


SECTION = Section(
    (
        Guarded("/holds/{hold:int}", show_hold, Permission.SEE_HOLDS),
        Guarded("/holds/{hold:int}", reveal_hold, Permission.REVEAL, method="POST"),
        Guarded("/holds/{hold:int}/decision", decide_hold, Permission.DECIDE, method="POST"),
        Guarded("/masses/{mass:int}", show_mass, Permission.SEE_HOLDS),
        Guarded("/masses/{mass:int}/decision", decide_mass, Permission.DECIDE, method="POST"),
    )
)
