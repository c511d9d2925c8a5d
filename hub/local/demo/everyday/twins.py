"""Who is who, and who is not: one person twice on an agency's books, and two sisters taken for one."""

from __future__ import annotations

from dataclasses import dataclass, replace

from hub.local.demo.everyday.stage import STEWARD, Stage
from hub.local.demo.story.people import (
    ADS_PHONE,
    ENTRAIDE_PHONE,
    FIND_AT_ENTRAIDE,
    SET_ADS_PHONE,
    SET_ENTRAIDE_PHONE,
    at_ads,
    at_region,
    received,
)
from hub.local.demo.story.scene import Newcomer

_COUNT_AT_ENTRAIDE = FIND_AT_ENTRAIDE.replace('"رقم_الملف"', "count(*)", 1)
_ENROL_AT_ADS = """
    INSERT INTO inscription (numero, id_beneficiaire, id_centre, parcours, statut)
    SELECT :number, :person, min(id_centre), 'ORI', 'E' FROM centre
"""
_REFER_AT_ADS = """
    INSERT INTO orientation (numero, id_beneficiaire, id_centre_origine, urgence, etat, emise_le)
    SELECT :number, :person, min(id_centre), 'N', 'T', current_date FROM centre
"""
_ENROLLED_AT_ENTRAIDE = 'SELECT "المستفيد" FROM "التسجيلات" WHERE "رقم_التسجيل" = :number'
_REFERRED_AT_ENTRAIDE = 'SELECT "المستفيد" FROM "الإحالات" WHERE "رقم_الإحالة" = :number'
_NAMED_AT_ENTRAIDE = """
    SELECT "رقم_الملف" FROM "المستفيدون"
    WHERE "الاسم_العائلي_لاتيني" = :family AND "الاسم_الشخصي_لاتيني" = :given AND "تاريخ_الازدياد" = :birth
"""
_SET_CIN = "UPDATE beneficiaire SET cin = :cin WHERE id_beneficiaire = :id"


def registered_twice(stage: Stage) -> None:
    """ADS writes down somebody whom it has already: the older file is the one that learns."""
    known, phone = received(stage, phone=stage.phone()), stage.phone()
    stage.see("ads", stage.desk("entraide").one(ENTRAIDE_PHONE, id=known.entraide), ADS_PHONE, id=known.ads)
    second = at_ads(stage, known.who, cin=known.who.cin, phone=None)
    stage.until(
        lambda: [one for one in stage.post.notices("ads", "duplicate") if one["local_id"] == str(second)],
        "ads.notices: a notice of the second file expected, none came",
    )
    stage.edit("entraide", SET_ENTRAIDE_PHONE, phone=phone, id=known.entraide)
    stage.see("ads", phone, ADS_PHONE, id=known.ads)
    stage.settle()
    stage.check(stage.desk("ads").one(ADS_PHONE, id=second), None, "the telephone in the second file at ads")
    stage.check(stage.desk("entraide").one(_COUNT_AT_ENTRAIDE, cin=known.who.cin), 1, "files at entraide")
    own = stage.phone()
    stage.edit("ads", SET_ADS_PHONE, phone=own, id=second)
    stage.see("entraide", own, ENTRAIDE_PHONE, id=known.entraide)
    stage.remark(
        "the second file is named to ADS as a duplicate, and left as it is; what ADS says in it counts"
    )


@dataclass(frozen=True)
class _Sister:
    """One of the two, and her files."""

    who: Newcomer
    entraide: int
    ads: int


def sisters(stage: Stage) -> None:
    """Twin sisters; a clerk types the card of one for the other; a steward parts them again."""
    one = _one_sister(stage)
    other = _other_sister(stage, one.who)
    enrolment, referral = stage.number(), f"ORI-{stage.number()[4:]}"
    stage.edit("ads", _ENROL_AT_ADS, number=enrolment, person=other.ads)
    stage.edit("ads", _REFER_AT_ADS, number=referral, person=other.ads)
    stage.see("entraide", other.entraide, _ENROLLED_AT_ENTRAIDE, number=enrolment)
    stage.see("entraide", other.entraide, _REFERRED_AT_ENTRAIDE, number=referral)
    before = stage.holdings()

    stage.edit("ads", _SET_CIN, cin=one.who.cin, id=other.ads)
    stage.see("entraide", one.entraide, _ENROLLED_AT_ENTRAIDE, number=enrolment)
    stage.see("entraide", one.entraide, _REFERRED_AT_ENTRAIDE, number=referral)
    stage.prove()
    stage.remark("the card of one in the file of the other: taken for one; her enrolment and referral follow")

    stage.jisr(
        "review", "different", f"ads:{other.ads}", f"entraide:{one.entraide}",
        "--who", STEWARD, "--why", "twin sisters, both were here",
    )  # fmt: skip
    stage.edited()
    stage.see("entraide", other.entraide, _ENROLLED_AT_ENTRAIDE, number=enrolment)
    stage.see("entraide", other.entraide, _REFERRED_AT_ENTRAIDE, number=referral)
    stage.prove()
    stage.remark("parted by a steward: enrolment and referral are hers again")
    stage.edit("ads", _SET_CIN, cin=None, id=other.ads)
    stage.same(before, stage.holdings(), "the clerk's mistake taken out, every table is as it was")


def _one_sister(stage: Stage) -> _Sister:
    known = received(stage, phone=stage.phone(), commune=stage.communes(1)[0])
    return _Sister(known.who, known.entraide, known.ads)


def _other_sister(stage: Stage, twin: Newcomer) -> _Sister:
    """Registered at ADS without her card; by then she has a file at three agencies."""
    other = stage.newcomer()
    who = replace(
        other, family_fr=twin.family_fr, family_ar=twin.family_ar, birth=twin.birth, sex=twin.sex,
        given_fr=f"{twin.given_fr} Saida", given_ar=f"{twin.given_ar} سعيدة",
    )  # fmt: skip
    ads = at_ads(stage, who, cin=None, phone=who.phone)
    entraide = stage.find(
        "entraide",
        _NAMED_AT_ENTRAIDE,
        family=who.family_fr,
        given=who.given_fr,
        birth=who.birth.strftime("%d/%m/%Y"),
    )
    at_region(stage, who)
    return _Sister(who, entraide, ads)
