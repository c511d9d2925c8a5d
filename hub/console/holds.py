"""Holds: what waits for a person, singly (17) or by the mass (B3); what it would do, and the word on it."""

from __future__ import annotations

from collections.abc import Callable

from starlette.responses import Response

from hub.console.access import Permission
from hub.console.asking import number
from hub.console.faults import Fault
from hub.console.hold_view import (
    HoldDecided,
    HoldList,
    HoldView,
    MassDecided,
    MassList,
    MassView,
    hold_line,
    hold_view,
    mass_line,
    mass_view,
)
from hub.console.languages import marked
from hub.console.routing import API, Guarded, Section
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

PAGE = 50

# What a decision calls: number, who, why; it returns how much was new.
Decide = Callable[[int, Person, str], int]


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


def list_holds(visit: Visit) -> Response:
    """Held changes for programs, a page at a time."""
    after, agency, every = number(visit.asked("after")), visit.asked("agency"), _every(visit)
    found = Holds(visit.parts).list(agency, all_states=every, after=after, limit=PAGE + 1)
    lines = tuple(hold_line(visit, one) for one in found[:PAGE])
    return visit.json(HoldList(lines, lines[-1].id if len(found) > PAGE else None))


def _every(visit: Visit) -> bool:
    """Whether those that are decided are asked for, too."""
    asked = visit.asked("state") or "held"
    if asked not in ("held", "all"):
        raise Fault(400, marked("Ask for those that are `held`, or for `all`."))
    return asked == "all"


def read_hold(visit: Visit) -> Response:
    return visit.json(hold_view(visit, _hold(visit, visit.veil)))


def decide_hold(visit: Visit) -> Response:
    """Release or reject one held change, as the form says."""
    _decide_hold(visit)
    return visit.go(f"/holds/{visit.path('hold')}")


def decide_hold_for_programs(visit: Visit) -> Response:
    new = _decide_hold(visit)
    return visit.json(HoldDecided(_hold(visit, visit.veil).hold.state, bool(new)))


def _decide_hold(visit: Visit) -> int:
    holds = Holds(visit.parts)
    return _decide(visit, _number(visit, "hold"), {"release": holds.release, "reject": holds.reject})


def show_mass(visit: Visit) -> Response:
    """One mass of changes, and what it would do."""
    story = Brakes(visit.parts).show(_number(visit, "mass"))
    examples = [visit.local_id(story.brake.agency, one) for one in story.examples]
    return visit.page("mass.html", story=story, examples=examples, reasons=REASONS, states=STATES)


def list_masses(visit: Visit) -> Response:
    """Masses for programs: there are few."""
    found = Brakes(visit.parts).list(visit.asked("agency"), all_states=_every(visit))
    return visit.json(MassList(tuple(mass_line(one) for one in found)))


def read_mass(visit: Visit) -> Response:
    return visit.json(mass_view(visit, Brakes(visit.parts).show(_number(visit, "mass"))))


def decide_mass(visit: Visit) -> Response:
    """Release or reject a mass, as the form says. Blocks until all of it is carried out."""
    _decide_mass(visit)
    return visit.go(f"/masses/{visit.path('mass')}")


def decide_mass_for_programs(visit: Visit) -> Response:
    return visit.json(MassDecided(_decide_mass(visit)))


def _decide_mass(visit: Visit) -> int:
    brakes = Brakes(visit.parts)
    return _decide(visit, _number(visit, "mass"), {"release": brakes.release, "reject": brakes.reject})


def _decide(visit: Visit, number: int, ways: dict[str, Decide]) -> int:
    decide = ways.get(visit.form.get("decision", ""))
    if decide is None:
        raise Fault(400, marked("Say whether it is to be released or rejected."))
    why = visit.stated("why", marked("Say in a few words why you decide so."))
    # One at a time: intake, which applies what is released, is not made for several threads.
    with visit.console.deciding:
        return decide(number, visit.somebody.person, why)


_ASKS = (("agency", "Only this agency's."), ("state", "held (as if not given) or all."))
_FIELDS = (("decision", "`release` or `reject`."), ("why", "Why, in a few words; kept with the decision."))


SECTION = Section(
    (
        Guarded("/holds/{hold:int}", show_hold, Permission.SEE_HOLDS),
        Guarded("/holds/{hold:int}", reveal_hold, Permission.REVEAL, method="POST"),
        Guarded("/holds/{hold:int}/decision", decide_hold, Permission.DECIDE, method="POST"),
        Guarded("/masses/{mass:int}", show_mass, Permission.SEE_HOLDS),
        Guarded("/masses/{mass:int}/decision", decide_mass, Permission.DECIDE, method="POST"),
        Guarded(
            f"{API}/holds",
            list_holds,
            Permission.SEE_HOLDS,
            returns=HoldList,
            about="Changes that wait for a person's word, one by one, the oldest first.",
            asks=(*_ASKS, ("after", "Only holds behind this number: `next` of the page before.")),
        ),
        Guarded(
            f"{API}/holds/{{hold:int}}",
            read_hold,
            Permission.SEE_HOLDS,
            returns=HoldView,
            about="One held change: what would be said, what the record says, what stands; values covered.",
        ),
        Guarded(
            f"{API}/holds/{{hold:int}}/decision",
            decide_hold_for_programs,
            Permission.DECIDE,
            method="POST",
            returns=HoldDecided,
            about="Release a held change, which applies it, or reject it.",
            asks=_FIELDS,
        ),
        Guarded(
            f"{API}/masses",
            list_masses,
            Permission.SEE_HOLDS,
            returns=MassList,
            about="Masses of changes that brakes hold.",
            asks=_ASKS,
        ),
        Guarded(
            f"{API}/masses/{{mass:int}}",
            read_mass,
            Permission.SEE_HOLDS,
            returns=MassView,
            about="One mass, and what it would do.",
        ),
        Guarded(
            f"{API}/masses/{{mass:int}}/decision",
            decide_mass_for_programs,
            Permission.DECIDE,
            method="POST",
            returns=MassDecided,
            about="Release a mass, or reject it; answered once all of it is carried out.",
            asks=_FIELDS,
        ),
    )
)
