"""A hub with something to see on every page of the console: people on their way, a hold, a refusal, deeds."""

from __future__ import annotations

import datetime
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ops_hub import OpsHub, ops_hub
from support.changes import said

from hub.local.stack import Stack
from hub.ops.audit import Audit, Person

BORN = datetime.date(1990, 5, 1)
PHONE, OLD_PHONE = "+212622222222", "+212611111111"
LOCAL_ID = "CASE-77"
DEEDS = 60


@contextmanager
def console_hub(stack: Stack, folder: Path) -> Iterator[OpsHub]:
    """The hub, with a person whose stale form is held, and more deeds than fit on a page of the trail."""
    with ops_hub(stack, folder, joining=["region"]) as hub:
        ads, entraide = hub.key("ads", LOCAL_ID), hub.key("entraide", LOCAL_ID)
        known = {"cin": "SH1", "birth_date": BORN}
        hub.take(said(ads, 1, "insert", phone=OLD_PHONE, family_name_fr="Alaoui", **known))
        hub.take(said(entraide, 2, "insert", phone=PHONE, **known))
        hub.take(said(ads, 4, given_name_fr="Zineb", stale={"phone": OLD_PHONE}))
        hub.publish()
        hub.rows(
            "INSERT INTO undelivered SELECT %s, entity, 'person', 1, 'refused', '23514', 'telephone', 1000"
            " FROM record LIMIT 1 RETURNING 1",
            hub.name("ads"),
        )
        person = Person("Brahim", "brahim@desk")
        for number in range(DEEDS):
            Audit(hub.parts).reveal(person, f"hold {number}", "a call of the centre", agency=hub.name("ads"))
        yield hub
