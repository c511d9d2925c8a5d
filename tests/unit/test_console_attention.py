"""What needs attention first, and whose move it is: a table of statuses."""

from __future__ import annotations

import datetime
from dataclasses import replace

import pytest

from hub.console.access import Role, User
from hub.console.attention import LATE_S, MOVERS, Kind, Matter, Mover, matters
from hub.console.live import Snapshot
from hub.console.overview import KIND_STEPS, KIND_WORDS, MOVER_WORDS, FlowState, overview
from hub.ops.status import Standing, Status
from hub.ops.steering import Connectors, SideState
from hub.store.brakes import Brake

NOW = datetime.datetime(2026, 1, 31, tzinfo=datetime.UTC)
STEWARD = User("Souad", "souad", Role.STEWARD)


def snapshot(*standings: Standing, brakes: tuple[Brake, ...] = (), **status: object) -> Snapshot:
    rest: dict[str, object] = {"open_reviews": 0, "due": 0, "unpublished": 0, "missing_topics": (), **status}
    agencies = {one.agency: "joined" for one in standings}
    return Snapshot(Status(at=0.0, standings=standings, agencies=agencies, **rest), brakes)  # type: ignore[arg-type]


def mass(agency: str, undone: int) -> Brake:
    return Brake(3, agency, "person", "mass_delete", "held", 99, 5, NOW, NOW, None, None, None, 40, undone)


def told(found: list[Matter]) -> list[tuple[Kind, int, str | None]]:
    return [(one.kind, one.count, one.agency) for one in found]


def test_every_kind_has_somebody_to_move_and_words() -> None:
    assert set(MOVERS) == set(KIND_WORDS) == set(KIND_STEPS) == set(Kind)
    assert set(MOVER_WORDS) == set(Mover)


def test_nothing_needs_anybody_where_nothing_is_the_matter() -> None:
    assert matters(snapshot(Standing("ads", "person", entitled=9, converged=9))) == []


@pytest.mark.parametrize(
    ("standing", "kind", "mover"),
    [
        ({"dead": 4}, Kind.DEAD, Mover.AGENCY),
        ({"refused": 4}, Kind.REFUSED, Mover.AGENCY),
        ({"waiting": 4}, Kind.WAITING, Mover.AGENCY),
        ({"held": 4}, Kind.HELD, Mover.STEWARD),
        ({"disputed": 4}, Kind.DISPUTED, Mover.STEWARD),
        ({"unread": 4, "intake_lag_seconds": LATE_S + 1}, Kind.INTAKE_LATE, Mover.OPERATOR),
        ({"pending": 4, "delivery_lag_seconds": LATE_S + 1}, Kind.DELIVERY_LATE, Mover.AGENCY),
    ],
)
def test_each_trouble_is_named_with_whose_move_it_is(
    standing: dict[str, float], kind: Kind, mover: Mover
) -> None:
    found = matters(snapshot(Standing("ads", "person", **standing)))  # type: ignore[arg-type]
    assert [(one.kind, one.mover, one.count, one.agency) for one in found] == [(kind, mover, 4, "ads")]


def test_what_moves_in_time_needs_nobody() -> None:
    moving = Standing("ads", "person", pending=50, unread=20, delivery_lag_seconds=4, intake_lag_seconds=4)
    assert matters(snapshot(moving)) == []


def test_the_most_urgent_comes_first_and_of_a_kind_the_largest() -> None:
    found = matters(
        snapshot(
            Standing("ads", "person", waiting=9, dead=1, disputed=2),
            Standing("health", "person", dead=7),
            open_reviews=3,
            missing_topics=("ads.person.inbox",),
        )
    )
    assert told(found) == [
        (Kind.MISSING_TOPICS, 1, None),
        (Kind.DEAD, 7, "health"),
        (Kind.DEAD, 1, "ads"),
        (Kind.DISPUTED, 2, "ads"),
        (Kind.REVIEWS, 3, None),
        (Kind.WAITING, 9, "ads"),
    ]


def test_what_a_brake_holds_is_told_once() -> None:
    held = Standing("ads", "person", held=32)
    assert told(matters(snapshot(held, brakes=(mass("ads", 30),)))) == [
        (Kind.MASS_HELD, 30, "ads"),
        (Kind.HELD, 2, "ads"),
    ]
    assert told(matters(snapshot(Standing("ads", "person", held=30), brakes=(mass("ads", 30),)))) == [
        (Kind.MASS_HELD, 30, "ads")
    ]


def test_an_agency_is_shown_its_own_matters_alone() -> None:
    found = snapshot(
        Standing("ads", "person", dead=1, pending=1),
        Standing("health", "person", dead=2),
        brakes=(mass("health", 5),),
        open_reviews=3,
    )
    own = overview(found, User("Zineb", "zineb", Role.AGENCY, "health"))
    assert told(list(own.matters)) == [(Kind.MASS_HELD, 5, "health"), (Kind.DEAD, 2, "health")]
    assert own.at_rest, "what others still wait for is not its own"
    assert len(overview(found, STEWARD).matters) == 4
    assert not overview(found, STEWARD).at_rest


def test_a_topic_that_differs_is_named_with_whose_it_is() -> None:
    status = {"ads.person.inbox": 4, "hub.person.golden": 2, "hub.links": 1}
    found = matters(snapshot(Standing("ads", "person"), differing=status))
    assert [(one.count, one.agency, one.record_type) for one in found] == [
        (4, "ads", "person"), (2, None, "person"), (1, None, None)
    ]  # fmt: skip
    assert {(one.kind, one.mover) for one in found} == {(Kind.TOPIC_DIFFERS, Mover.OPERATOR)}


@pytest.mark.parametrize(
    ("numbers", "state"),
    [
        ({}, FlowState.AT_REST),
        ({"changes_per_second": 0.0, "acknowledged_per_second": 0.0}, FlowState.AT_REST),
        ({"changes_per_second": 0.2}, FlowState.MOVING),
        ({"pending": 1, "delivery_lag_seconds": 2.0}, FlowState.MOVING),
        ({"unread": 1, "intake_lag_seconds": LATE_S + 1}, FlowState.LATE),
    ],
)
def test_how_an_agency_s_flows_are(numbers: dict[str, float], state: FlowState) -> None:
    moving = Standing("ads", "person", **numbers)  # type: ignore[arg-type]
    (flow,) = overview(snapshot(moving, Standing("ads", "consent")), STEWARD).flows
    assert flow.state is state
    joining = replace(snapshot(moving).status, agencies={"ads": "joining"})
    (flow,) = overview(Snapshot(joining, ()), STEWARD).flows
    assert flow.state is (FlowState.LATE if state is FlowState.LATE else FlowState.JOINING)
    paused = SideState("ads", "sink", "paused", 1, "", "", "paused", None, None, pending=False, silent=False)
    (flow,) = overview(snapshot(moving, connectors=Connectors((paused,))), STEWARD).flows
    assert flow.state is FlowState.PAUSED
    mute = replace(paused, wished="running", state="running", heard_ms=1, silent=True)
    (flow,) = overview(snapshot(moving, connectors=Connectors((mute,))), STEWARD).flows
    assert flow.state is FlowState.SILENT, "what its staff write is known to nobody: that is no rest"


def test_a_flow_adds_up_what_is_measured_and_tells_the_oldest() -> None:
    person = Standing(
        "ads", "person", pending=3, unread=1, changes_per_second=2.5, intake_lag_seconds=4.0,
        acknowledged_per_second=None, delivery_lag_seconds=1.0,
    )  # fmt: skip
    consent = replace(person, record_type="consent", changes_per_second=1.0, delivery_lag_seconds=9.0)
    flows = overview(snapshot(person, consent, Standing("health", "person")), STEWARD).flows
    assert [one.agency for one in flows] == ["ads", "health"]
    ads = flows[0]
    assert (ads.changes_per_second, ads.acknowledged_per_second) == (3.5, None)
    assert (ads.unread, ads.pending, ads.intake_lag_seconds, ads.delivery_lag_seconds) == (2, 6, 4.0, 9.0)


def test_the_digest_changes_with_what_is_to_be_seen_and_not_with_the_clock() -> None:
    one = overview(snapshot(Standing("ads", "person", pending=1)), STEWARD)
    same = overview(snapshot(Standing("ads", "person", pending=1)), STEWARD)
    other = overview(snapshot(Standing("ads", "person", pending=2)), STEWARD)
    assert one.digest == same.digest != other.digest


def test_a_paused_connector_is_the_operators_and_one_that_does_not_obey_the_agencys() -> None:
    now_s = LATE_S * 10
    side = SideState("ads", "sink", "running", None, "", "", None, None, None, pending=False, silent=True)
    paused = replace(side, wished="paused", wished_ms=1, state="paused")
    asked = replace(side, side="source", wished="running", wished_ms=1, state="paused", pending=True)
    just_asked = replace(asked, wished_ms=int(now_s * 1000) - 1, state="running")

    def found(*sides: SideState) -> list[tuple[Kind, int, str | None]]:
        looked = snapshot(Standing("ads", "person"), connectors=Connectors(sides))
        return told(matters(replace(looked, status=replace(looked.status, at=now_s))))

    assert found(side, just_asked) == []
    assert found(paused) == [(Kind.PAUSED, 1, "ads")]
    assert found(paused, asked) == [(Kind.UNCONFIRMED, 1, "ads"), (Kind.PAUSED, 2, "ads")]
    assert MOVERS[Kind.PAUSED] is Mover.OPERATOR
    assert MOVERS[Kind.UNCONFIRMED] is Mover.AGENCY


def test_a_connector_that_fell_silent_is_told_of_though_nothing_is_pending() -> None:
    told_once = SideState(
        "ads", "source", "running", None, "", "", "running", 1, 2, pending=False, silent=True
    )
    sides = told_once, replace(told_once, side="sink", silent=False)
    never = replace(told_once, agency="health", state=None, since_ms=None, heard_ms=None)
    looked = snapshot(
        Standing("ads", "person"), Standing("health", "person"), connectors=Connectors((*sides, never))
    )
    assert told(matters(looked)) == [(Kind.SILENT, 1, "ads")]
