"""The status on a terminal: all numbers whole, what is wrong where one sees it."""

from __future__ import annotations

import io
from dataclasses import replace

from rich.console import Console

from hub.ops.status import JOINED, JOINING, Standing, Status
from hub.ops.status_view import as_json, show
from hub.ops.steering import Connectors, RestartState, SideState

ADS = Standing(
    "ads", "person", entitled=1_234_567, converged=1_234_000, pending=567, delivery_lag_seconds=2.34
)
EN = Standing("entraide", "person", entitled=5, converged=5)


def status(*standings: Standing, **more: int) -> Status:
    agencies = {one.agency: JOINED for one in standings} | {"health": JOINING}
    overall = {"open_reviews": 0, "due": 0, "unpublished": 0} | more
    return Status(0.0, standings, agencies, missing_topics=(), **overall)


def shown(found: Status, width: int = 80, *, terminal: bool = True) -> list[str]:
    out = io.StringIO()
    show(found, Console(file=out, force_terminal=terminal, width=width, color_system=None))
    return [line.rstrip() for line in out.getvalue().splitlines()]


def test_a_table_groups_record_types_by_agency() -> None:
    lines = shown(status(ADS, replace(ADS, record_type="centre"), EN))
    assert lines[0].endswith("1970-01-01 00:00:00.000+00:00")
    assert [line for line in lines if line in ("ads", "entraide")] == ["ads", "entraide"]
    row = next(line for line in lines if line.startswith("  person"))
    assert row.split() == ["person", "1,234,567", "1,234,000", "567", "0", "2.3"]


def test_only_troubles_that_there_are_have_a_column() -> None:
    lines = shown(status(ADS, EN))
    assert "refused" not in lines[1]
    assert "nothing waiting, refused, dead, held, disputed" in lines
    lines = shown(status(replace(ADS, refused=3), EN))
    assert "refused" in lines[1]
    assert "nothing waiting, dead, held, disputed" in lines


def test_numbers_are_never_cut_short() -> None:
    narrow = shown(status(replace(ADS, changes_per_second=1000.5, acknowledged_per_second=2000.5)), width=50)
    assert narrow[0] == (
        "ads person entitled=1234567 converged=1234000 pending=567 unread=0 waiting=0 refused=0 dead=0 "
        "held=0 disputed=0 lag=2.3 changes/s=1000.5 ack/s=2000.5"
    )


def test_what_belongs_to_nobody_follows() -> None:
    lines = shown(status(EN, due=3, open_reviews=2), terminal=False)
    assert lines[1:] == [
        "moving: 3 due, 0 unpublished, 2 reviews open",
        "joining, so nothing is created there yet: health",
    ]
    assert shown(status(EN), terminal=False)[1].startswith("at rest: 0 due")


def test_at_rest_is_said_to_programs() -> None:
    assert as_json(status(EN))["at_rest"] is True
    for moving in (status(ADS), status(replace(EN, unread=1)), status(EN, due=1), status(EN, unpublished=1)):
        assert as_json(moving)["at_rest"] is False
    assert as_json(status(EN, open_reviews=9))["at_rest"] is True


def test_what_is_paused_or_not_confirmed_is_said_with_who_and_why() -> None:
    at_work = SideState(
        "ads", "source", "running", None, "", "", "running", 0, 0, pending=False, silent=False
    )
    paused = replace(
        at_work, side="sink", wished="paused", wished_ms=0, who="Samira", why="an upgrade", state="paused"
    )
    asked = replace(paused, state="running", pending=True, heard_ms=None)
    restart = RestartState("ads", 0, "Samira", "a new column", pending=False, problem="mapping")

    def lines(*sides: SideState, restarts: tuple[RestartState, ...] = ()) -> list[str]:
        found = replace(status(EN), connectors=Connectors(sides, restarts))
        assert as_json(found)["connectors"]["sides"][0]["side"] == sides[0].side
        return [line for line in shown(found, terminal=False) if line.startswith("connector ")]

    moment = "1970-01-01 00:00:00.000+00:00"
    said = f"connector ads sink: paused since {moment}, as Samira wished: an upgrade"
    assert lines(at_work) == []
    assert lines(at_work, paused) == [said]
    assert lines(replace(paused, silent=True)) == [f"{said} (silent by now)"]
    silent = replace(at_work, silent=True)
    assert lines(silent) == ["connector ads source: silent since 1970-01-01 00:00:00.000+00:00"]
    assert lines(replace(silent, heard_ms=None)) == [], "it is no connector of ours"
    assert lines(asked) == [f"{said} (not confirmed: its connector has never told how it is)"]
    assert lines(replace(asked, heard_ms=0)) == [
        f"{said} (not confirmed: running when last heard of, {moment})"
    ]
    assert lines(at_work, restarts=(restart,)) == [
        "connector ads: could not start anew (mapping), and goes on as it was"
    ]
    assert lines(at_work, restarts=(replace(restart, pending=True, problem=""),)) == [
        f"connector ads: not started anew yet, as Samira wished at {moment}: a new column"
    ]
