"""How people come onto each agency's books in the story: with that agency's own tables and columns."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import Connection

from hub.local.demo.desk import write
from hub.local.demo.story.scene import Newcomer, Scene

_ENTRAIDE_SEXES = {"female": "أ", "male": "ذ"}
_ADS_SEXES = {"female": "F", "male": "M"}
_HEALTH_SEXES = {"female": 2, "male": 1}

_AT_ENTRAIDE = """
    INSERT INTO "المستفيدون" ("رقم_البطاقة", "الاسم_العائلي", "الاسم_الشخصي", "الاسم_العائلي_لاتيني",
                             "الاسم_الشخصي_لاتيني", "تاريخ_الازدياد", "الجنس", "الجماعة", "الهاتف")
    VALUES (:cin, :family_ar, :given_ar, :family_fr, :given_fr, :birth, :sex, :commune, :phone)
    RETURNING "رقم_الملف"
"""
_AT_ADS = """
    INSERT INTO beneficiaire (cin, nom_complet, nom_complet_ar, sexe, date_naissance)
    VALUES (:cin, :name_fr, :name_ar, :sex, :birth) RETURNING id_beneficiaire
"""
_CONTACT_AT_ADS = """
    INSERT INTO beneficiaire_contact (id_beneficiaire, telephone, code_commune)
    VALUES (:id, :phone, :commune)
"""
_AT_HEALTH = """
    INSERT INTO patient (national_id, surname, first_name, surname_ar, first_name_ar, gender,
                         birth_year, birth_month, birth_day)
    VALUES (:cin, :family_fr, :given_fr, :family_ar, :given_ar, :sex, :year, :month, :day)
    RETURNING patient_id
"""
FIND_AT_ENTRAIDE = 'SELECT "رقم_الملف" FROM "المستفيدون" WHERE "رقم_البطاقة" = :cin'
FIND_AT_ADS = "SELECT id_beneficiaire FROM beneficiaire WHERE cin = :cin"
# The region is given no identity card numbers.
FIND_AT_REGION = "SELECT id FROM personne WHERE nom = :family AND prenom = :given AND ne_le = :birth"

ENTRAIDE_PHONE = 'SELECT "الهاتف" FROM "المستفيدون" WHERE "رقم_الملف" = :id'
ENTRAIDE_COMMUNE = 'SELECT "الجماعة" FROM "المستفيدون" WHERE "رقم_الملف" = :id'
ADS_PHONE = "SELECT telephone FROM beneficiaire_contact WHERE id_beneficiaire = :id"
ADS_COMMUNE = "SELECT code_commune FROM beneficiaire_contact WHERE id_beneficiaire = :id"
ENTRAIDE_DISABILITY = 'SELECT "الإعاقة" FROM "المستفيدون" WHERE "رقم_الملف" = :id'
REGION_COMMUNE = "SELECT code_commune FROM personne WHERE id = :id"

SET_ENTRAIDE_PHONE = 'UPDATE "المستفيدون" SET "الهاتف" = :phone WHERE "رقم_الملف" = :id'
SET_ENTRAIDE_COMMUNE = 'UPDATE "المستفيدون" SET "الجماعة" = :commune WHERE "رقم_الملف" = :id'
SET_ADS_PHONE = "UPDATE beneficiaire_contact SET telephone = :phone WHERE id_beneficiaire = :id"
SET_DISABILITY = "UPDATE patient SET disability_code = :code WHERE patient_id::text = :id"


@dataclass(frozen=True)
class Known:
    """A newcomer and the rows that stand for them: the keys at three agencies."""

    who: Newcomer
    entraide: int
    ads: int
    region: int


def at_entraide(scene: Scene, who: Newcomer, *, phone: str | None, commune: str | None) -> int:
    """Entraide Nationale receives somebody; the file number."""
    number: int = scene.edit(
        "entraide",
        _AT_ENTRAIDE,
        cin=who.cin,
        family_ar=who.family_ar,
        given_ar=who.given_ar,
        family_fr=who.family_fr,
        given_fr=who.given_fr,
        birth=who.birth.strftime("%d/%m/%Y"),
        sex=_ENTRAIDE_SEXES[who.sex],
        commune=commune,
        phone=phone,
    )
    return number


def at_ads(scene: Scene, who: Newcomer, *, cin: str | None, phone: str | None, key: int | None = None) -> int:
    """ADS registers somebody, in its two tables; the key, or the one given."""

    def register(connection: Connection) -> int:
        values: dict[str, object] = {
            "cin": cin,
            "name_fr": f"{who.family_fr}, {who.given_fr}",
            "name_ar": f"{who.family_ar}، {who.given_ar}",
            "sex": _ADS_SEXES[who.sex],
            "birth": who.birth,
        }
        sql = _AT_ADS
        if key is not None:
            sql = sql.replace("(cin,", "(id_beneficiaire, cin,").replace("(:cin,", "(:key, :cin,")
            values["key"] = key
        number: int = write(connection, sql, values)
        write(connection, _CONTACT_AT_ADS, {"id": number, "phone": phone, "commune": None})
        return number

    number = scene.desk("ads").together(register)
    scene.edited()
    return number


def at_health(scene: Scene, who: Newcomer, *, surname: str, in_arabic: bool) -> str:
    """The health services register a patient; the key."""
    key = scene.edit(
        "health",
        _AT_HEALTH,
        cin=who.cin,
        family_fr=surname,
        given_fr=who.given_fr,
        family_ar=who.family_ar if in_arabic else None,
        given_ar=who.given_ar if in_arabic else None,
        sex=_HEALTH_SEXES[who.sex],
        year=who.birth.strftime("%Y"),
        month=who.birth.strftime("%m"),
        day=who.birth.strftime("%d"),
    )
    return str(key)


def received(scene: Scene, *, phone: str | None = None, commune: str | None = None) -> Known:
    """Somebody new at Entraide Nationale, whom ADS and the region have got to know by now."""
    who = scene.newcomer()
    entraide = at_entraide(scene, who, phone=phone, commune=commune)
    ads = scene.find("ads", FIND_AT_ADS, cin=who.cin)
    return Known(who, entraide, ads, at_region(scene, who))


def at_region(scene: Scene, who: Newcomer) -> int:
    """The region's row of somebody, once it is there."""
    birth = who.birth.isoformat()
    key: int = scene.find(
        "region-laayoune", FIND_AT_REGION, family=who.family_fr, given=who.given_fr, birth=birth
    )
    return key
