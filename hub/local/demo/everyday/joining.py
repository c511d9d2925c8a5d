"""An agency joins a region at work, with years of messy data."""

from __future__ import annotations

import threading
from collections import Counter
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

from hub.local import services
from hub.local.demo.agencies.databases import create, load
from hub.local.demo.copies import Population
from hub.local.demo.desk import Desk
from hub.local.demo.everyday.holdings import Difference, differences, of_rows_in
from hub.local.demo.everyday.members import AGENCY, Members, members_of
from hub.local.demo.everyday.stage import STEWARD, Stage
from hub.local.demo.proof.verdict import Rows
from hub.local.demo.story.people import FIND_AT_ADS, at_entraide
from hub.local.demo.story.scene import Newcomer, NotSeen
from hub.local.stack import AgencyDatabase

BEFORE = "before the join"
# For the day of a join an operator lowers the limit: here so far that a small region is enough to reach it.
_LOWERED = {"JISR_BRAKE_UPDATES": "12"}
_RECEIVED_MEANWHILE = 8
_EVERY_S = 0.2
_MEND = "UPDATE adherent SET gsm = :phone, maj_le = maj_le WHERE matricule = :id"
# What a plan and a report must agree on: who is who, and what could not be read.
_WHO_IS_WHO = ("matched", "uncertain", "new", "duplicates", "refused", "unread")


def joins(stage: Stage) -> None:
    """The youth services: planned, mended, held by the brake, released; people go on being received."""
    members = members_of(stage.region.population)
    before = stage.remembered[BEFORE] = stage.holdings()
    mapping, url = stage.release.add(AGENCY), _database(stage, members)
    try:
        plan = _planned(stage, mapping, url, members)
    except NotSeen:
        # Or the next restart would let it in all the same.
        stage.release.remove(AGENCY)
        raise
    _prepare(stage, url)

    newcomers = [stage.newcomer() for _ in range(_RECEIVED_MEANWHILE)]
    desk = threading.Thread(target=lambda: _receive(stage, newcomers), name="reception", daemon=True)
    desk.start()
    _start(stage, url)
    hold = stage.until(lambda: _held(stage), "jisr hold list: the join held by the brake expected, it is not")
    desk.join()
    for who in newcomers:
        stage.find("ads", FIND_AT_ADS, cin=who.cin)
    stage.remark(f"{len(newcomers)} people were received at Entraide meanwhile, and are known at ADS")
    nothing_replaced(of_rows_in(before, differences(before, stage.holdings())), stage)
    stage.remark(f"held by the brake: {hold['id']}, {hold['held']} rows; nobody's value was replaced by then")

    stage.jisr("hold", "release", hold["id"], "--who", STEWARD, "--why", "the youth services, as planned")
    stage.edited()
    came_true(stage, plan, before, stage.holdings())
    _reported(stage, mapping, plan)


def _database(stage: Stage, members: Members) -> str:
    """The newcomer's own database, filled."""
    people = stage.region.population
    url = stage.region.stack.create_database(AgencyDatabase(AGENCY).database)
    create(url, AGENCY)
    copies = Population(people.people, people.seed, {AGENCY: {"person": members.copies}}, people.truth)
    stage.region.local_ids[AGENCY] = load(url, AGENCY, copies)
    return url


def _planned(stage: Stage, mapping: Path, url: str, members: Members) -> dict[str, Any]:
    """The plan, twice: what it says cannot be read is mended at the agency first."""
    command = ("connector", "plan", str(mapping), "--database", url)
    first = stage.asked(*command, **_LOWERED)["records"]["person"]
    unread = _number(first["refused"]) + _number(first["unread"])
    stage.check(unread, len(members.unreadable), "telephone numbers that the plan says cannot be read")
    keys = stage.region.local_ids[AGENCY]
    with closing(Desk(AGENCY, url)) as desk:
        for number, phone in members.unreadable.items():
            desk.do(_MEND, phone=phone, id=int(keys[number]))
    plan: dict[str, Any] = stage.asked(*command, **_LOWERED)["records"]["person"]
    found = {name: _number(plan[name]) for name in _WHO_IS_WHO}
    stage.check(
        found,
        {
            "matched": members.matched,
            "uncertain": members.uncertain,
            "new": members.new,
            "duplicates": members.twice,
            "refused": 0,
            "unread": 0,
        },
        "jisr connector plan",
    )
    stage.check(plan["brake"]["held"], True, "whether the plan says that the brake will hold the join")
    stage.remark(f"plan: {unread} telephone numbers cannot be read; the agency mended them before it joined")
    stage.remark(
        f"plan: of {plan['rows']} members {found['matched']} match, {found['new']} are new, "
        f"{found['duplicates']} are here twice, {found['uncertain']} are for a steward; "
        f"{plan['brake']['overwriting']} would put others' values aside"
    )
    return plan


def _prepare(stage: Stage, url: str) -> None:
    """Schemas, topics, workers that know of the newcomer."""
    stack = stage.region.stack
    services.register_schemas(stack)
    services.provision(stack)
    stack.endpoints = replace(stack.endpoints, agencies={**stack.endpoints.agencies, AGENCY: url})
    stage.roll_out(_LOWERED)


def _start(stage: Stage, url: str) -> None:
    stack = stage.region.stack
    stack.run([services.connector(stack, AgencyDatabase(AGENCY))])
    stage.region.open_desk(AGENCY, url)
    stage.look_again()


def _receive(stage: Stage, newcomers: list[Newcomer]) -> None:
    for who in newcomers:
        at_entraide(stage, who, phone=who.phone, commune=None)
        threading.Event().wait(_EVERY_S)


def _held(stage: Stage) -> dict[str, Any] | None:
    found = stage.asked("hold", "list", "--agency", AGENCY)
    return next((one for one in found if one.get("kind") == "mass_join"), None)


def nothing_replaced(found: list[Difference], stage: Stage) -> None:
    replaced = [one.place for one in found if one.before is not None]
    stage.check(replaced, [], "values of others that a held join replaced")


def came_true(stage: Stage, plan: dict[str, Any], before: Rows, after: Rows) -> None:
    """What the plan said of the others' tables is what their tables show, value by value."""
    found = [one for one in of_rows_in(before, differences(before, after)) if one.agency != AGENCY]
    emptied = [one.place for one in found if one.emptied]
    stage.check(emptied, [], "values that a sparse newcomer emptied")
    seen = Counter((one.agency, one.field, "filled" if one.before is None else "replaced") for one in found)
    planned = Counter(
        {
            (agency, name, word): those[word]
            for agency, there in plan["elsewhere"].items()
            for name, those in there["fields"].items()
            for word in ("filled", "replaced")
            if those[word]
        }
    )
    stage.check(dict(sorted(seen.items())), dict(sorted(planned.items())), "values changed elsewhere")
    replaced = sum(count for (_, _, word), count in seen.items() if word == "replaced")
    stage.remark(
        f"released: {replaced} values replaced and {seen.total() - replaced} filled elsewhere, "
        "exactly as planned; none emptied"
    )


def _reported(stage: Stage, mapping: Path, plan: dict[str, Any]) -> None:
    report = stage.asked("connector", "report", AGENCY, "--mapping", str(mapping))["records"]["person"]
    for name in _WHO_IS_WHO:
        stage.check(_number(report[name]), _number(plan[name]), f"jisr connector report: {name}")
    stage.remark("jisr connector report: the same numbers as in the plan")


def _number(counted: Any) -> int:
    """Of a number, of numbers by reason, or of a list of what was counted."""
    if isinstance(counted, dict):
        return sum(counted.values())
    return sum(one["number"] for one in counted) if isinstance(counted, list) else int(counted)
