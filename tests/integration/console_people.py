"""Some people on their way, for the console: one known to two agencies, one merged into another, pairs."""

from __future__ import annotations

import datetime
from typing import Any

from ops_hub import PURPOSE, OpsHub
from support.changes import said

from hub.core.assertions import RecordKey
from hub.lanes.messages import hub_name

CIN, PHONE, NAME_AR = "SH4711", "+212655443322", "العلوي"
BORN = datetime.date(1990, 5, 1)
RECEIVED, LISTENED = datetime.date(2024, 1, 10), datetime.date(2024, 2, 3)


def one_person(hub: OpsHub) -> tuple[RecordKey, RecordKey]:
    """Somebody received, listened to, and known to entraide and ads, who differ on a name; with a consent."""
    entraide, ads = hub.key("entraide", "DOSSIER-88"), hub.key("ads", "CASE-99")
    who: dict[str, Any] = {"cin": CIN, "birth_date": BORN}
    hub.take(
        said(entraide, 1, "insert", **who, family_name_fr="Alaoui", family_name_ar=NAME_AR, phone=PHONE),
        said(ads, 2, "insert", **who, family_name_fr="Alawi", received_on=RECEIVED, languages=["ar"]),
    )
    enrolment, consent = hub.key("entraide", "n1", "enrolment"), hub.key("entraide", "c1", "consent")
    status = {"pathway": "listening", "status": "active", "started_on": LISTENED}
    hub.take(said(enrolment, 3, "insert", number="INS-2024-000001", person=entraide.local_id, **status))
    given = {"purpose": PURPOSE, "recipients": [ads.agency], "status": "given"}
    hub.take(said(consent, 4, "insert", person=entraide.local_id, **given))
    return entraide, ads


def entity(hub: OpsHub, record: RecordKey) -> str:
    """The hub id of whom the record stands for."""
    identity = hub.parts.ids.record(*record)
    with hub.parts.looking() as tx:
        return hub_name(tx.records({identity}).entity_of[identity])


def pairs(hub: OpsHub, count: int = 3) -> list[tuple[RecordKey, RecordKey]]:
    """Pairs that share an identifier; a birth date contradicts the first, nothing confirms the others."""
    found = []
    for number in range(count):
        entraide, ads = hub.key("entraide", f"PAIR-E{number}"), hub.key("ads", f"PAIR-A{number}")
        hub.take(said(entraide, 1, "insert", cin=f"PA{number}", birth_date=BORN, given_name_fr="Zineb"))
        more: dict[str, Any] = {"birth_date": BORN.replace(year=1991)} if number == 0 else {}
        hub.take(said(ads, 2, "insert", cin=f"PA{number}", given_name_fr="ZINEB", **more))
        found.append((entraide, ads))
    return found
