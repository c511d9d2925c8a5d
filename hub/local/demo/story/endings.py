"""Endings: what a deletion takes back, and what it leaves."""

from __future__ import annotations

from hub.local.demo.story.people import (
    ADS_PHONE,
    ENTRAIDE_PHONE,
    FIND_AT_ADS,
    FIND_AT_ENTRAIDE,
    FIND_AT_REGION,
    SET_ADS_PHONE,
    at_ads,
    at_region,
    received,
)
from hub.local.demo.story.scene import Scene

_DELETE_AT_ADS = "DELETE FROM beneficiaire WHERE id_beneficiaire = :id"
_FAMILY_AT_ENTRAIDE = 'SELECT "الاسم_العائلي_لاتيني" FROM "المستفيدون" WHERE "رقم_الملف" = :id'


def a_deletion(scene: Scene) -> None:
    """ADS deletes two files: of somebody whom Entraide received, and of somebody whom ADS alone knew."""
    shared, phone = received(scene, phone=scene.phone()), scene.phone()
    scene.find("ads", ADS_PHONE, id=shared.ads)
    own = scene.desk("entraide").one(ENTRAIDE_PHONE, id=shared.entraide)
    scene.edit("ads", SET_ADS_PHONE, phone=phone, id=shared.ads)
    scene.see("entraide", phone, ENTRAIDE_PHONE, id=shared.entraide)
    alone = scene.newcomer()
    at_ads_alone = at_ads(scene, alone, cin=alone.cin, phone=scene.phone())
    at_entraide_alone = scene.find("entraide", FIND_AT_ENTRAIDE, cin=alone.cin)
    at_region(scene, alone)

    scene.edit("ads", _DELETE_AT_ADS, id=shared.ads)
    scene.edit("ads", _DELETE_AT_ADS, id=at_ads_alone)
    scene.see("entraide", None, FIND_AT_ENTRAIDE, cin=alone.cin)
    birth = alone.birth.isoformat()
    gone = {"family": alone.family_fr, "given": alone.given_fr, "birth": birth}
    scene.see("region-laayoune", None, FIND_AT_REGION, **gone)
    scene.remark(f"nobody else spoke of the one: its rows (at Entraide {at_entraide_alone}) are gone")

    scene.see("entraide", own, ENTRAIDE_PHONE, id=shared.entraide)
    family = scene.desk("entraide").one(_FAMILY_AT_ENTRAIDE, id=shared.entraide)
    scene.check(family, shared.who.family_fr, "the name at entraide")
    scene.find(
        "region-laayoune",
        FIND_AT_REGION,
        family=shared.who.family_fr,
        given=shared.who.given_fr,
        birth=shared.who.birth.isoformat(),
    )
    scene.check(scene.desk("ads").one(FIND_AT_ADS, cin=shared.who.cin), None, "the deleted file at ads")
    scene.remark("of the other, Entraide keeps what it says itself, its own telephone number again")
