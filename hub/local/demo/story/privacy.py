"""Privacy: who may know of a disability, and for how long."""

from __future__ import annotations

from datetime import date

from hub.local.demo.story.people import (
    ENTRAIDE_DISABILITY,
    FIND_AT_ADS,
    FIND_AT_ENTRAIDE,
    at_health,
    at_region,
)
from hub.local.demo.story.scene import Scene

_ASSESS = """
    UPDATE patient SET disability_code = 2, first_name = :given WHERE patient_id::text = :id
"""
_ADS_DISABILITY = "SELECT handicap FROM beneficiaire WHERE id_beneficiaire = :id"
_ADS_NAME = "SELECT nom_complet FROM beneficiaire WHERE id_beneficiaire = :id"
_CONSENT = """
    INSERT INTO "الموافقات" ("المستفيد", "الغرض", "الجهات", "الحالة", "تاريخ_المنح")
    VALUES (:person, 'إدماج اجتماعي', 'ads', 'ممنوحة', :today) RETURNING "المعرف"
"""
_WITHDRAW = 'UPDATE "الموافقات" SET "الحالة" = \'مسحوبة\' WHERE "المعرف" = :id'


def a_disability(scene: Scene) -> None:
    """Health assesses a disability; the person consents that ADS may know, and withdraws it again."""
    who = scene.newcomer()
    patient = at_health(scene, who, surname=who.family_fr, in_arabic=True)
    ads = scene.find("ads", FIND_AT_ADS, cin=who.cin)
    entraide = scene.find("entraide", FIND_AT_ENTRAIDE, cin=who.cin)
    at_region(scene, who)

    given = f"{who.given_fr} Bis"
    scene.edit("health", _ASSESS, given=given, id=patient)
    scene.see("entraide", "بصرية", ENTRAIDE_DISABILITY, id=entraide)
    # The name was changed in the same breath: where it has arrived, the disability would be, too.
    scene.see("ads", f"{who.family_fr}, {given}", _ADS_NAME, id=ads)
    scene.check(
        scene.desk("ads").one(_ADS_DISABILITY, id=ads), None, "the disability at ads, without consent"
    )
    scene.remark("Entraide, entitled by its mission, sees it; ADS does not; the region has no such column")

    today = date.today()  # noqa: DTZ011 — the day on the paper that the person signs
    consent = scene.edit("entraide", _CONSENT, person=entraide, today=today)
    scene.see("ads", "VIS", _ADS_DISABILITY, id=ads)
    scene.remark("consent recorded at Entraide: ADS sees it")
    scene.edit("entraide", _WITHDRAW, id=consent)
    scene.see("ads", None, _ADS_DISABILITY, id=ads)
    scene.remark("consent withdrawn: gone from ADS")
