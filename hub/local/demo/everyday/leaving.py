"""An agency leaves for good: what it was told is taken back, its word is withdrawn, nothing else moves."""

from __future__ import annotations

import csv
from datetime import date, timedelta
from functools import partial
from typing import Any

from hub.local.demo.everyday.holdings import differences, of_rows_in
from hub.local.demo.everyday.joining import BEFORE
from hub.local.demo.everyday.members import AGENCY
from hub.local.demo.everyday.stage import STEWARD, Stage
from hub.local.demo.story.scene import NotSeen

_OWN = "SELECT count(*) FROM adherent WHERE matricule::text = ANY(:keys)"
_ALL = "SELECT count(*) FROM adherent"


def leaves(stage: Stage) -> None:
    """The youth services again: listed, their agreement ended, their connector gone, their word withdrawn."""
    if AGENCY not in stage.region.desks:
        raise NotSeen(f"not played: {AGENCY} has not joined")
    desk, keys = stage.desk(AGENCY), list(stage.region.local_ids[AGENCY].values())
    told = desk.one(_ALL)
    listing = stage.release.folder / "delivered.csv"
    found = stage.asked("agency", "retire", AGENCY, "--list", str(listing))
    delivered = sum(one["entities"] for one in found["delivered"] if one["told"] == "upsert")
    stage.check(delivered, _listed(listing), "what the list says was delivered")
    stage.remark(f"listed before it left: {delivered} people whom it was told of, {told} files")

    yesterday = date.today() - timedelta(days=1)  # noqa: DTZ011 — the last day in an agreement
    stage.release.change(AGENCY, partial(_ends_on, day=yesterday))
    stage.roll_out()
    stage.settle()
    stage.check(desk.one(_ALL), len(keys), "files at youth once its agreement has ended")
    stage.check(desk.one(_OWN, keys=keys), len(keys), "its own files there")
    stage.prove()
    stage.remark(
        f"its agreement ended: {told - len(keys)} files made for it are gone, its own {len(keys)} stay"
    )

    _goes(stage)
    ended = stage.asked(
        "agency", "retire", AGENCY, "--said", "withdrawn",
        "--apply", "--who", STEWARD, "--why", "the youth services left the programme",
    )  # fmt: skip
    stage.edited()
    before, after = stage.remembered[BEFORE], stage.holdings()
    stage.only(
        (), of_rows_in(before, differences(before, after)), "the others, as they were before it joined"
    )
    stage.remark(
        f"{ended['ended']} of its records withdrawn: the others hold what they held before it joined"
    )


def _ends_on(agreement: Any, day: date) -> None:
    agreement["until"] = day


def _goes(stage: Stage) -> None:
    """No connector, nothing of ours in its database, no agreement."""
    region = stage.region
    region.stack.rest(f"connector-{AGENCY}")
    mapping = stage.release.connectors / f"{AGENCY}.yaml"
    url = region.stack.endpoints.agencies[AGENCY]
    stage.jisr("connector", "uninstall", str(mapping), "--yes", JISR_DATABASE_URL=url)
    region.desks.pop(AGENCY).close()
    stage.release.remove(AGENCY)
    stage.roll_out()


def _listed(listing: Any) -> int:
    with listing.open(encoding="utf-8", newline="") as file:
        return sum(row["told"] == "upsert" for row in csv.DictReader(file))
