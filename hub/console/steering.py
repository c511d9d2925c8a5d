"""Pausing, resuming and starting anew an agency's connector, from its page and for programs."""

from __future__ import annotations

from contextlib import closing

from starlette.responses import Response

from hub.console.access import Permission
from hub.console.faults import Fault
from hub.console.languages import marked
from hub.console.routing import API, Guarded, Section
from hub.console.visit import Visit
from hub.contracts.control import SIDES, State, Target
from hub.ops.steering import PAUSE, RESTART, RESUME, Connectors, Steering

SIDE_NAMES = {
    Target.SOURCE: marked("Source: what it tells the hub"),
    Target.SINK: marked("Sink: what it is told"),
}
STATE_NAMES = {State.RUNNING: marked("at work"), State.PAUSED: marked("paused")}
DEED_NAMES = {
    PAUSE: marked("Pause"),
    RESUME: marked("Resume"),
    RESTART: marked("Start the connector anew"),
}
_BOTH = "both"


def steer(visit: Visit) -> Response:
    """Do as the form says, then show the agency's page."""
    agency = _wish(visit)
    return visit.go(f"/agencies/{agency}")


def steer_for_programs(visit: Visit) -> Response:
    agency = _wish(visit)
    with closing(visit.console.status.reader()) as log:
        return visit.json(Steering(visit.parts, log, visit.console.clock).connectors([agency]))


def _wish(visit: Visit) -> str:
    agency = visit.path("agency")
    visit.require_agency(agency)
    deed, side = visit.form.get("deed", ""), visit.form.get("side", _BOTH)
    if deed not in DEED_NAMES or side not in (_BOTH, *SIDES):
        raise Fault(400, marked("Choose what the connector is to do, and which side."))
    why = visit.stated("why", marked("Say in a few words why."))
    sides = SIDES if side == _BOTH else (Target(side),)
    with closing(visit.console.status.reader()) as log:
        steering = Steering(visit.parts, log, visit.console.clock)
        steering.wish(deed, agency, sides, visit.somebody.person, why)
    # Whoever wished it must see it on the page that follows.
    visit.console.status.outdated()
    return agency


_FIELDS = (
    ("deed", "`pause`, `resume` or `restart`. What is paused stays paused when it is started anew."),
    ("side", "`source`, `sink` or `both`, which is meant if it is left out; a restart is always of both."),
    ("why", "Why, in a few words; kept in the audit trail, and told to the agency's connector."),
)

SECTION = Section(
    (
        Guarded("/agencies/{agency}/connector", steer, Permission.STEER, method="POST"),
        Guarded(
            f"{API}/agencies/{{agency}}/connector",
            steer_for_programs,
            Permission.STEER,
            method="POST",
            returns=Connectors,
            about="Pause or resume an agency's connector between two batches, or start it anew; "
            "pending until it confirms.",
            asks=_FIELDS,
        ),
    )
)
