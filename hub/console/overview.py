"""Overview: how far every agency is with every record type, and what needs attention first."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any

import msgspec
from starlette.responses import Response

from hub.console.access import Permission, User
from hub.console.attention import LATE_S, Kind, Matter, Mover, matters
from hub.console.languages import marked
from hub.console.live import Snapshot
from hub.console.routing import API, Guarded, Section
from hub.console.visit import Visit
from hub.ops.status import Standing
from hub.ops.steering import Connectors, SideState

KIND_WORDS = {
    Kind.MISSING_TOPICS: marked("Kafka topics are missing"),
    Kind.INTAKE_LATE: marked("The hub is late in reading changes"),
    Kind.TOPIC_DIFFERS: marked("A topic does not say what the hub has told"),
    Kind.MASS_HELD: marked("A mass of changes is held"),
    Kind.DEAD: marked("Messages could not be used"),
    Kind.REFUSED: marked("The agency's database refuses deliveries"),
    Kind.DELIVERY_LATE: marked("Deliveries are not acknowledged"),
    Kind.SILENT: marked("Sides of the connector have fallen silent"),
    Kind.UNCONFIRMED: marked("The connector has not confirmed what is wanted of it"),
    Kind.PAUSED: marked("Sides of the connector are paused"),
    Kind.HELD: marked("Changes wait for a decision"),
    Kind.DISPUTED: marked("Fields are disputed between agencies"),
    Kind.REVIEWS: marked("Pairs of records may be one person"),
    Kind.WAITING: marked("Records wait for something that they refer to"),
}
KIND_STEPS = {
    Kind.MISSING_TOPICS: marked("Create them, then start the workers again."),
    Kind.INTAKE_LATE: marked("See whether the workers run, and add one."),
    Kind.TOPIC_DIFFERS: marked("Look what differs, then have it said again: jisr sweep --repair."),
    Kind.MASS_HELD: marked("Look at what it would do, then release or reject it."),
    Kind.DEAD: marked("The agency corrects and sends again; then they can be taken in again."),
    Kind.REFUSED: marked("The agency's administrator mends the column that is named."),
    Kind.DELIVERY_LATE: marked("See whether the agency's connector runs."),
    Kind.SILENT: marked("See whether the connector runs and reaches its agency's database."),
    Kind.UNCONFIRMED: marked("See whether the agency's connector runs; it obeys as soon as it reads."),
    Kind.PAUSED: marked("Resume it once the reason is over."),
    Kind.HELD: marked("Confirm or reject each."),
    Kind.DISPUTED: marked("Settle with the agencies who is right."),
    Kind.REVIEWS: marked("Compare them, and decide."),
    Kind.WAITING: marked("It passes by itself once the agency has sent the rest."),
}
MOVER_WORDS = {
    Mover.OPERATOR: marked("Operator's move"),
    Mover.STEWARD: marked("Steward's move"),
    Mover.AGENCY: marked("Agency's move"),
}


class FlowState(StrEnum):
    """How one agency's flows are, the most telling first."""

    PAUSED = "paused"
    SILENT = "silent"
    LATE = "late"
    JOINING = "joining"
    MOVING = "moving"
    AT_REST = "at_rest"


FLOW_WORDS = {
    FlowState.PAUSED: marked("paused"),
    FlowState.SILENT: marked("silent"),
    FlowState.LATE: marked("late"),
    FlowState.JOINING: marked("joining"),
    FlowState.MOVING: marked("moving"),
    FlowState.AT_REST: marked("at rest"),
}


@dataclass(frozen=True)
class Flow:
    """What passes between the hub and one agency now, all record types together.

    The rates, per second, are of changes taken in from it and of deliveries that its side acknowledged, over
    the last seconds; None until there were two looks. The lags are of the oldest message, in seconds.
    """

    agency: str
    state: FlowState
    changes_per_second: float | None
    unread: int
    intake_lag_seconds: float
    acknowledged_per_second: float | None
    pending: int
    delivery_lag_seconds: float


@dataclass(frozen=True)
class Overview:
    """What one reader sees of the hub. `at`: Unix seconds; `joining`: agencies that are not taken in yet."""

    at: float
    at_rest: bool
    standings: tuple[Standing, ...]
    joining: tuple[str, ...]
    matters: tuple[Matter, ...]
    connectors: Connectors
    flows: tuple[Flow, ...]

    @property
    def paused(self) -> frozenset[str]:
        """Agencies of whose connector a side is paused."""
        return frozenset(one.agency for one in self.connectors.sides if one.is_paused)

    @property
    def digest(self) -> str:
        """Changes when there is something new to see."""
        # Not when a connector was last heard of: that is every minute.
        sides = [replace(one, heard_ms=None) for one in self.connectors.sides]
        seen = self.standings, self.joining, self.matters, self.at_rest, sides, self.connectors.restarts
        content = msgspec.json.encode(seen)
        return hashlib.sha256(content).hexdigest()[:16]


def overview(snapshot: Snapshot, user: User, agency: str | None = None) -> Overview:
    """A snapshot as this user may see it; `agency`: of that one alone."""
    status = snapshot.status
    wanted = agency or user.agency
    standings = tuple(one for one in status.standings if wanted in (None, one.agency))
    moving = any(one.pending or one.unread for one in standings)
    sides = tuple(one for one in status.connectors.sides if wanted in (None, one.agency))
    joining = tuple(
        name for name, how in status.agencies.items() if how == "joining" and wanted in (None, name)
    )
    return Overview(
        at=status.at,
        at_rest=not moving if wanted else status.at_rest,
        standings=standings,
        joining=joining,
        matters=tuple(one for one in matters(snapshot) if wanted in (None, one.agency)),
        connectors=Connectors(
            sides,
            tuple(one for one in status.connectors.restarts if wanted in (None, one.agency)),
        ),
        flows=tuple(_flows(standings, sides, joining)),
    )


def _flows(
    standings: Sequence[Standing], sides: Sequence[SideState], joining: Collection[str]
) -> Iterator[Flow]:
    paused = {one.agency for one in sides if one.is_paused}
    # Nobody knows then what its staff have written: it is not at rest.
    silent = {one.agency for one in sides if one.fell_silent}
    for agency in dict.fromkeys(one.agency for one in standings):
        those = [one for one in standings if one.agency == agency]
        intake_lag = max(one.intake_lag_seconds for one in those)
        delivery_lag = max(one.delivery_lag_seconds for one in those)
        taken = _total(one.changes_per_second for one in those)
        given = _total(one.acknowledged_per_second for one in those)
        unread, pending = sum(one.unread for one in those), sum(one.pending for one in those)
        if agency in paused:
            state = FlowState.PAUSED
        elif agency in silent:
            state = FlowState.SILENT
        elif max(intake_lag, delivery_lag) > LATE_S:
            state = FlowState.LATE
        elif agency in joining:
            state = FlowState.JOINING
        else:
            state = FlowState.MOVING if unread or pending or taken or given else FlowState.AT_REST
        yield Flow(agency, state, taken, unread, intake_lag, given, pending, delivery_lag)


def _total(rates: Iterable[float | None]) -> float | None:
    """Of what was measured; None where nothing was."""
    known = [one for one in rates if one is not None]
    return round(sum(known), 1) if known else None


def _read(visit: Visit) -> Overview:
    return overview(visit.console.status.snapshot(), visit.somebody)


def show(visit: Visit) -> Response:
    return visit.page("overview.html", seen=_read(visit), **words_of_progress())


def words_of_progress() -> dict[str, Any]:
    """What the tables and lists of progress are worded with."""
    return {"kinds": KIND_WORDS, "steps": KIND_STEPS, "movers": MOVER_WORDS, "flow_words": FLOW_WORDS}


def read(visit: Visit) -> Response:
    return visit.json(_read(visit))


async def live(visit: Visit) -> Response:
    """Server-sent events: `seen` with a digest, whenever there is something new to see."""
    user = visit.somebody
    return visit.streams.stream(
        user.agency, lambda snapshot: overview(snapshot, user).digest, admitted=visit.is_still_in
    )


SECTION = Section(
    title=marked("Overview"),
    path="/",
    routes=(
        Guarded("/", show, Permission.SEE_PROGRESS),
        Guarded("/live", live, Permission.SEE_PROGRESS),
        Guarded(
            f"{API}/overview",
            read,
            Permission.SEE_PROGRESS,
            returns=Overview,
            about="How far every agency is with every record type, and what needs attention first.",
        ),
    ),
)
