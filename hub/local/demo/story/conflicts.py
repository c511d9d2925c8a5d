"""Conflicts: two agencies write at once, somebody writes without authority, an old form comes back."""

from __future__ import annotations

import time

from hub.local.demo.story.people import (
    ADS_COMMUNE,
    ADS_PHONE,
    ENTRAIDE_DISABILITY,
    ENTRAIDE_PHONE,
    REGION_COMMUNE,
    SET_ADS_PHONE,
    SET_DISABILITY,
    SET_ENTRAIDE_COMMUNE,
    SET_ENTRAIDE_PHONE,
    at_health,
    received,
)
from hub.local.demo.story.scene import Scene

_ENTRAIDE_FAMILY = 'SELECT "الاسم_العائلي_لاتيني" FROM "المستفيدون" WHERE "رقم_الملف" = :id'
_SET_ENTRAIDE_FAMILY = 'UPDATE "المستفيدون" SET "الاسم_العائلي_لاتيني" = :name WHERE "رقم_الملف" = :id'
_ADS_NAME = "SELECT nom_complet FROM beneficiaire WHERE id_beneficiaire = :id"
_SET_ADS_NAME = "UPDATE beneficiaire SET nom_complet = :name WHERE id_beneficiaire = :id"
_SET_ENTRAIDE_DISABILITY = 'UPDATE "المستفيدون" SET "الإعاقة" = \'بدون\' WHERE "رقم_الملف" = :id'
_HEALTH_DISABILITY = "SELECT disability_code FROM patient WHERE patient_id::text = :id"
_REGION_FAMILY = "SELECT nom FROM personne WHERE id = :id"


def different_fields(scene: Scene) -> None:
    """Entraide writes the commune while ADS writes the telephone."""
    before, after = scene.communes(2)
    known = received(scene, phone=scene.phone(), commune=before)
    scene.find("ads", ADS_PHONE, id=known.ads)
    phone = scene.phone()
    scene.at_once(
        lambda: scene.edit("entraide", SET_ENTRAIDE_COMMUNE, commune=after, id=known.entraide),
        lambda: scene.edit("ads", SET_ADS_PHONE, phone=phone, id=known.ads),
    )
    scene.see("ads", after, ADS_COMMUNE, id=known.ads)
    scene.see("entraide", phone, ENTRAIDE_PHONE, id=known.entraide)
    scene.see("region-laayoune", after, REGION_COMMUNE, id=known.region)
    scene.check(scene.desk("ads").one(ADS_PHONE, id=known.ads), phone, "the telephone at ads")


def same_field(scene: Scene) -> None:
    """The family name, over which Entraide has authority; then the telephone, over which nobody has."""
    known = received(scene, phone=scene.phone())
    scene.find("ads", ADS_PHONE, id=known.ads)
    who = known.who
    scene.at_once(
        lambda: scene.edit("ads", _SET_ADS_NAME, name=f"Bis, {who.given_fr}", id=known.ads),
        lambda: scene.edit("entraide", _SET_ENTRAIDE_FAMILY, name="Ter", id=known.entraide),
    )
    scene.see("ads", f"Ter, {who.given_fr}", _ADS_NAME, id=known.ads)
    scene.see("region-laayoune", "Ter", _REGION_FAMILY, id=known.region)
    _told(scene, "ads", known.ads, "outranked")
    scene.check(
        scene.desk("entraide").one(_ENTRAIDE_FAMILY, id=known.entraide), "Ter", "the name at entraide"
    )

    older, newer = scene.phone(), scene.phone()
    scene.edit("entraide", SET_ENTRAIDE_PHONE, phone=older, id=known.entraide)
    _next_millisecond()
    scene.edit("ads", SET_ADS_PHONE, phone=newer, id=known.ads)
    scene.see("entraide", newer, ENTRAIDE_PHONE, id=known.entraide)
    scene.see("ads", newer, ADS_PHONE, id=known.ads)
    scene.remark(
        "name: Entraide's, whose authority it is; telephone: the later one, by a millisecond or more"
    )


def without_authority(scene: Scene) -> None:
    """ADS corrects a name that Entraide has given; Entraide writes over what only health may say."""
    known = received(scene)
    name = f"{known.who.family_fr}, {known.who.given_fr}"
    scene.edit("ads", _SET_ADS_NAME, name=f"Autrement, {known.who.given_fr}", id=known.ads)
    scene.see("ads", name, _ADS_NAME, id=known.ads)
    notice = _told(scene, "ads", known.ads, "outranked")
    for language in ("ar", "fr", "en"):
        scene.remark(f"{language}: {notice['message'][language]}")
    family = scene.desk("entraide").one(_ENTRAIDE_FAMILY, id=known.entraide)
    scene.check(family, known.who.family_fr, "the name at entraide")

    patient = at_health(scene, known.who, surname=known.who.family_fr, in_arabic=True)
    scene.edit("health", SET_DISABILITY, code=2, id=patient)
    scene.see("entraide", "بصرية", ENTRAIDE_DISABILITY, id=known.entraide)
    scene.edit("entraide", _SET_ENTRAIDE_DISABILITY, id=known.entraide)
    scene.see("entraide", "بصرية", ENTRAIDE_DISABILITY, id=known.entraide)
    notice = _told(scene, "entraide", known.entraide, "not_permitted")
    for language in ("ar", "fr", "en"):
        scene.remark(f"{language}: {notice['message'][language]}")
    scene.check(scene.desk("health").one(_HEALTH_DISABILITY, id=patient), 2, "the disability at health")


def stale_form(scene: Scene) -> None:
    """At ADS a form that was opened before Entraide's edit is saved after it."""
    before, after = scene.phone(), scene.phone()
    known = received(scene, phone=before)
    scene.see("ads", before, ADS_PHONE, id=known.ads)
    scene.edit("entraide", SET_ENTRAIDE_PHONE, phone=after, id=known.entraide)
    scene.see("ads", after, ADS_PHONE, id=known.ads)
    scene.edit("ads", SET_ADS_PHONE, phone=before, id=known.ads)
    scene.see("ads", after, ADS_PHONE, id=known.ads)
    _told(scene, "ads", known.ads, "stale_form")
    scene.check(
        scene.desk("entraide").one(ENTRAIDE_PHONE, id=known.entraide), after, "the telephone at entraide"
    )


def _told(scene: Scene, agency: str, local_id: int, reason: str) -> dict[str, dict[str, str]]:
    """The notice that an agency got about its record."""
    found: list[dict[str, dict[str, str]]] = scene.until(
        lambda: [one for one in scene.post.notices(agency, reason) if one["local_id"] == str(local_id)],
        f"{agency}.notices: a notice with the reason {reason} expected, none came",
    )
    return found[0]


def _next_millisecond() -> None:
    """Stamps count milliseconds; two edits within one are ordered by source instead."""
    begun = time.time_ns() // 1_000_000
    while time.time_ns() // 1_000_000 <= begun + 1:
        time.sleep(0.0005)
