"""Meeting: one person is one everywhere, and what one agency learns the others know."""

from __future__ import annotations

from hub.local.demo.audit import misidentified, reckon
from hub.local.demo.kept import read_kept
from hub.local.demo.loading import expected_rows, rows_held
from hub.local.demo.story.people import (
    ADS_COMMUNE,
    ENTRAIDE_COMMUNE,
    ENTRAIDE_PHONE,
    FIND_AT_REGION,
    REGION_COMMUNE,
    at_health,
    received,
)
from hub.local.demo.story.scene import Scene

_PATIENT = "SELECT surname || '/' || surname_ar FROM patient WHERE patient_id::text = :id"
_COUNT_AT_ENTRAIDE = 'SELECT count(*) FROM "المستفيدون" WHERE "رقم_البطاقة" = :cin'
_COUNT_AT_ADS = "SELECT count(*) FROM beneficiaire WHERE cin = :cin"
_COUNT_AT_REGION = FIND_AT_REGION.replace("SELECT id", "SELECT count(*)")
_MOVE_AT_ADS = """
    UPDATE beneficiaire_contact SET telephone = :phone, code_commune = :commune WHERE id_beneficiaire = :id
"""


def one_person(scene: Scene) -> None:
    """The whole population is recognised; then a patient comes whom the others know already."""
    region = scene.region
    scene.check(rows_held(region), expected_rows(region), "rows at each agency")
    kept = read_kept(region.bootstrap, region.catalogue, region.events)
    wrong = misidentified(region.population, region.local_ids, reckon(region.site, kept).entity_at)
    scene.check(wrong, [], "people taken for others")
    entities = sum(1 for _ in region.population.truth.entities())
    copies = sum(len(held["person"]) for held in region.population.copies.values())
    scene.remark(f"{copies} files on {region.population.people} people: {entities} persons, each found once")

    known = received(scene)
    who = known.who
    patient = at_health(scene, who, surname=who.family_fr.upper(), in_arabic=False)
    scene.see("health", f"{who.family_fr}/{who.family_ar}", _PATIENT, id=patient)
    scene.check(scene.desk("entraide").one(_COUNT_AT_ENTRAIDE, cin=who.cin), 1, "files at entraide")
    scene.check(scene.desk("ads").one(_COUNT_AT_ADS, cin=who.cin), 1, "files at ads")
    at_region = scene.desk("region-laayoune").one(
        _COUNT_AT_REGION, family=who.family_fr, given=who.given_fr, birth=who.birth.isoformat()
    )
    scene.check(at_region, 1, "files at region-laayoune")
    scene.remark("health typed the name in capitals and left out the Arabic: it now has both as agreed")


def an_edit_travels(scene: Scene) -> None:
    """ADS notes a removal: new telephone, new commune."""
    before, after = scene.communes(2)
    known = received(scene, phone=scene.phone(), commune=before)
    scene.see("ads", before, ADS_COMMUNE, id=known.ads)
    phone = scene.phone()
    scene.edit("ads", _MOVE_AT_ADS, phone=phone, commune=after, id=known.ads)
    scene.see("entraide", phone, ENTRAIDE_PHONE, id=known.entraide)
    scene.see("entraide", after, ENTRAIDE_COMMUNE, id=known.entraide)
    scene.see("region-laayoune", after, REGION_COMMUNE, id=known.region)
