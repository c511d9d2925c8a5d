"""Order: a record comes before what it refers to; an identity is learned late."""

from __future__ import annotations

import time
from functools import partial
from typing import Any

from sqlalchemy import text

from hub.contracts import topics
from hub.core import stamps
from hub.core.tokens import record_token
from hub.local.demo.story.people import (
    ADS_COMMUNE,
    ENTRAIDE_PHONE,
    FIND_AT_ENTRAIDE,
    FIND_AT_REGION,
    at_ads,
    at_entraide,
)
from hub.local.demo.story.scene import Newcomer, Scene

_NEXT_PERSON = "SELECT nextval(pg_get_serial_sequence('beneficiaire', 'id_beneficiaire'))"
_NEXT_ENROLMENT = "SELECT nextval(pg_get_serial_sequence('inscription', 'id_inscription'))"
_A_CENTRE = "SELECT min(id_centre) FROM centre"
_ENROL = """
    INSERT INTO inscription (id_inscription, numero, id_beneficiaire, id_centre, parcours, statut)
    VALUES (:id, :number, :person, :centre, 'FORM', 'E')
"""
_ENROLLED_AT_ENTRAIDE = 'SELECT "المستفيد" FROM "التسجيلات" WHERE "رقم_التسجيل" = :number'
_TAKEN_IN = text("SELECT count(*) FROM reference WHERE agency = 'ads' AND local_id = :person")

_NAMESAKES_AT_ENTRAIDE = """
    SELECT count(*) FROM "المستفيدون"
    WHERE "الاسم_العائلي_لاتيني" = :family AND "الاسم_الشخصي_لاتيني" = :given AND "تاريخ_الازدياد" = :birth
"""
_NAMESAKES_AT_ADS = "SELECT count(*) FROM beneficiaire WHERE nom_complet = :name AND date_naissance = :birth"
_NAMESAKES_AT_REGION = FIND_AT_REGION.replace("SELECT id", "SELECT count(*)")
_LEARN_CIN = "UPDATE beneficiaire SET cin = :cin WHERE id_beneficiaire = :id"


def before_its_person(scene: Scene) -> None:
    """ADS's training software writes to Kafka itself, and is faster than the clerk with the person's file."""
    desk, number, who = scene.desk("ads"), scene.number(), scene.newcomer()
    person, enrolment = desk.do(_NEXT_PERSON), desk.do(_NEXT_ENROLMENT)
    centre = desk.one(_A_CENTRE)
    key = record_token(_agency_key(scene), "enrolment", str(enrolment))
    change = _enrolment(scene, str(enrolment), number, str(person), str(centre))
    scene.post.send(topics.changes("ads", "enrolment"), key, change)
    scene.wait(lambda: _taken_in(scene, person), True, "the hub takes in the enrolment")
    scene.check(scene.desk("entraide").one(_ENROLLED_AT_ENTRAIDE, number=number), None, "early at entraide")

    at_ads(scene, who, cin=who.cin, phone=scene.phone(), key=person)
    found = scene.find("entraide", _ENROLLED_AT_ENTRAIDE, number=number)
    scene.check(
        scene.desk("entraide").one(FIND_AT_ENTRAIDE, cin=who.cin), found, "whose enrolment it is at entraide"
    )
    desk.do(_ENROL, id=enrolment, number=number, person=person, centre=centre)


def _agency_key(scene: Scene) -> bytes:
    return scene.region.stack.folder.secret("agency-ads").encode()


def _taken_in(scene: Scene, person: int) -> bool:
    with scene.region.store.connect() as store:
        return bool(store.execute(_TAKEN_IN, {"person": str(person)}).scalar_one())


def _enrolment(scene: Scene, local_id: str, number: str, person: str, centre: str) -> dict[str, Any]:
    fields = [spec.name for spec in scene.region.catalogue.records["enrolment"].fields]
    said = {"number": number, "person": person, "centre": centre, "pathway": "training", "status": "active"}
    return {
        "event_id": f"story-{number}",
        "local_id": local_id,
        "operation": "insert",
        "stamp": stamps.at(time.time_ns() // 1_000_000),
        "changed": list(said),
        "record": dict.fromkeys(fields) | said,
    }


def learned_late(scene: Scene) -> None:
    """ADS received somebody who had no identity card on them; now it has seen the card."""
    who, phone, (commune,) = scene.newcomer(), scene.phone(), scene.communes(1)
    keys: dict[str, int] = {}
    scene.at_once(
        lambda: keys.update(entraide=at_entraide(scene, who, phone=None, commune=commune)),
        lambda: keys.update(ads=at_ads(scene, who, cin=None, phone=phone)),
    )
    for agency in ("entraide", "ads", "region-laayoune"):
        scene.wait(partial(_namesakes, scene, agency, who), 2, f"files of two persons at {agency}")

    scene.edit("ads", _LEARN_CIN, cin=who.cin, id=keys["ads"])
    scene.see("entraide", phone, ENTRAIDE_PHONE, id=keys["entraide"])
    scene.see("ads", commune, ADS_COMMUNE, id=keys["ads"])
    scene.until(
        lambda: scene.post.notices("entraide", "duplicate") or scene.post.notices("ads", "duplicate"),
        "a notice of a duplicate expected, none came",
    )
    for agency in ("entraide", "ads", "region-laayoune"):
        scene.check(_namesakes(scene, agency, who), 2, f"files at {agency} afterwards")
    scene.remark("one person now: the older file at each agency holds what both knew")
    scene.remark("no file was deleted: the second one is named as a duplicate, and receives nothing more")


def _namesakes(scene: Scene, agency: str, who: Newcomer) -> int:
    desk = scene.desk(agency)
    if agency == "entraide":
        birth = who.birth.strftime("%d/%m/%Y")
        count = desk.one(_NAMESAKES_AT_ENTRAIDE, family=who.family_fr, given=who.given_fr, birth=birth)
    elif agency == "ads":
        name = f"{who.family_fr}, {who.given_fr}"
        count = desk.one(_NAMESAKES_AT_ADS, name=name, birth=who.birth)
    else:
        birth = who.birth.isoformat()
        count = desk.one(_NAMESAKES_AT_REGION, family=who.family_fr, given=who.given_fr, birth=birth)
    return int(count)
