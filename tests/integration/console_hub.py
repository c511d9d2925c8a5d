"""A hub with something to see on every page of the console: people on their way, a hold, a refusal, deeds."""

from __future__ import annotations

import datetime
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from braked_worker import Worker
from ops_hub import PURPOSE, OpsHub, ops_hub
from support.changes import said

from hub.core.disclosure import UNKNOWN, WHOLE
from hub.local.stack import Stack
from hub.ops.audit import Audit, Person
from hub.store.disclosures import (
    AGREEMENT,
    BY_AGREEMENT,
    BY_RECORD,
    Disclosed,
    begin_reprojection,
    count_disclosures,
    open_reprojections,
)

BORN = datetime.date(1990, 5, 1)
PHONE, OLD_PHONE = "+212622222222", "+212611111111"
LOCAL_ID, OTHER_ID = "CASE-77", "CASE-78"
DEEDS = 60
MASS = 30


@contextmanager
def console_hub(stack: Stack, folder: Path) -> Iterator[OpsHub]:
    """The hub, with two persons whose stale forms are held, a mass of deletions that a brake holds, and more
    deeds than fit on a page of the trail."""
    with ops_hub(stack, folder, joining=["region"]) as hub:
        for number, local_id in enumerate((LOCAL_ID, OTHER_ID)):
            ads, entraide = hub.key("ads", local_id), hub.key("entraide", local_id)
            known = {"cin": f"SH{number}", "birth_date": BORN}
            hub.take(said(ads, 1, "insert", phone=OLD_PHONE, family_name_fr="Alaoui", **known))
            hub.take(said(entraide, 2, "insert", phone=PHONE, **known))
            hub.take(said(ads, 4, given_name_fr="Zineb", stale={"phone": OLD_PHONE}))
        _delete_a_mass(hub)
        _narrow_an_agreement(hub)
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


def _narrow_an_agreement(hub: OpsHub) -> None:
    """As the workers count it: ads lost telephone numbers, gained a few sexes, and is not done yet."""
    ads = hub.name("ads")
    words = {"agency": ads, "purpose": PURPOSE, "consent": False, "create": True}
    today = hub.parts.intake.day
    with hub.parts.store.begin() as tx:
        agreed = [{**words, "also": ["sex"], "no_longer": ["phone"]}]
        begin_reprojection(tx.connection, "person", AGREEMENT, agreed=agreed)
        number = open_reprojections(tx.connection)["person"]
        where = (number, today, BY_AGREEMENT, ads, "person")
        counts = {"phone": (0, 12_345), "sex": (7, 0), WHOLE: (2, 1), UNKNOWN: (3, 0)}
        gone = {Disclosed(0, today, BY_RECORD, ads, "person", WHOLE): (0, 4)}
        count_disclosures(tx.connection, {Disclosed(*where, name): n for name, n in counts.items()} | gone)


def _delete_a_mass(hub: OpsHub) -> None:
    """All persons that health has told of, deleted at once; a few pass."""
    keys = [hub.key("health", f"ZAOUIA-{number}") for number in range(MASS)]
    worker = Worker(hub)
    worker.take([said(key, 1, "insert", cin=f"ZZ{n}", birth_date=BORN) for n, key in enumerate(keys)])
    worker.take([said(key, 2, "delete") for key in keys], 2)
