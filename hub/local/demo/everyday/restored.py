"""An agency's database is restored from yesterday's backup, while the others have gone on."""

from __future__ import annotations

from dataclasses import dataclass

from hub.local.demo.desk import Desk
from hub.local.demo.everyday.holdings import differences, of_rows_in
from hub.local.demo.everyday.stage import Stage
from hub.local.demo.proof.verdict import Rows
from hub.local.demo.story.people import (
    ADS_PHONE,
    ENTRAIDE_PHONE,
    SET_ADS_PHONE,
    SET_ENTRAIDE_PHONE,
    at_ads,
    received,
)
from hub.local.stack import AgencyDatabase

_DATABASE = AgencyDatabase("ads").database
_BACKUP = f"{_DATABASE}_yesterday"
_EPOCH = "SELECT epoch FROM jisr_state"
_ENROL = """
    INSERT INTO inscription (numero, id_beneficiaire, id_centre, parcours, statut)
    VALUES (:number, :person, (SELECT min(id_centre) FROM centre), 'FORM', 'E') RETURNING id_inscription
"""
_WHO_AT_ENTRAIDE = 'SELECT "المستفيد" FROM "التسجيلات" WHERE "رقم_التسجيل" = :number'
_BY_PHONE_AT_ENTRAIDE = 'SELECT "رقم_الملف" FROM "المستفيدون" WHERE "الهاتف" = :phone'
_BY_PHONE_AT_ADS = "SELECT id_beneficiaire FROM beneficiaire_contact WHERE telephone = :phone"
_BY_NUMBER = "SELECT id_inscription FROM inscription WHERE numero = :number"
_WHO_BY_NUMBER = "SELECT id_beneficiaire FROM inscription WHERE numero = :number"


@dataclass(frozen=True)
class _Entered:
    """Somebody whom ADS alone received, without any identifier, and enrolled: after the backup."""

    person: int
    phone: str
    enrolment: int
    number: str


def restored(stage: Stage) -> None:
    """ADS's database comes back from a copy; what was said since, there and elsewhere, is not lost."""
    theirs, ours = (received(stage, phone=stage.phone()) for _ in range(2))
    stage.settle()
    stage.region.stack.copy_database(_DATABASE, _BACKUP)
    ads = _reopened(stage)
    epoch = ads.one(_EPOCH)

    phone, own = stage.phone(), stage.phone()
    stage.edit("entraide", SET_ENTRAIDE_PHONE, phone=phone, id=theirs.entraide)
    stage.edit("ads", SET_ADS_PHONE, phone=own, id=ours.ads)
    stage.see("ads", phone, ADS_PHONE, id=theirs.ads)
    stage.see("entraide", own, ENTRAIDE_PHONE, id=ours.entraide)
    entered = _enter(stage)
    before = stage.holdings()

    stage.region.stack.rest("connector-ads")
    stage.region.stack.set_back_database(_DATABASE, _BACKUP)
    ads = _reopened(stage)
    stage.check(
        ads.one(ADS_PHONE, id=ours.ads) == own, False, "whether the copy has what was written after it"
    )
    stage.check(ads.one(_EPOCH), epoch, "the epoch in the restored database")
    other = stage.phone()
    reused = at_ads(stage, stage.newcomer(), cin=None, phone=other)
    stage.check(reused, entered.person, "the number that the restored database gives to somebody else")
    stage.edited()
    stage.region.stack.wake("connector-ads")
    stage.see("ads", epoch + 1, _EPOCH)
    stage.see("ads", phone, ADS_PHONE, id=theirs.ads)
    stage.see("ads", own, ADS_PHONE, id=ours.ads)
    stage.remark("the connector found out by itself, began a new epoch, and read all rows again")
    _is_back(stage, entered, other, before)


def _enter(stage: Stage) -> _Entered:
    phone, number = stage.phone(), stage.number()
    person = at_ads(stage, stage.newcomer(), cin=None, phone=phone)
    enrolment = stage.edit("ads", _ENROL, number=number, person=person)
    stage.find("entraide", _WHO_AT_ENTRAIDE, number=number)
    return _Entered(person, phone, enrolment, number)


def _is_back(stage: Stage, entered: _Entered, other: str, before: Rows) -> None:
    """Whoever was entered after the backup is there again, under another number; nobody was mixed up."""
    again = stage.find("ads", _BY_PHONE_AT_ADS, phone=entered.phone)
    stage.see("ads", again, _WHO_BY_NUMBER, number=entered.number)
    stage.check(again == entered.person, False, "whether two people have one number at ads")
    stage.see("ads", entered.person, _BY_PHONE_AT_ADS, phone=other)
    one, two = (stage.find("entraide", _BY_PHONE_AT_ENTRAIDE, phone=p) for p in (entered.phone, other))
    stage.check(one == two, False, "whether entraide takes the two for one")
    stage.remark("who was entered after the backup is there again; their number had gone to somebody else")

    after, enrolment = stage.holdings(), stage.desk("ads").one(_BY_NUMBER, number=entered.number)
    was, now = before["ads"], after["ads"]
    stage.check(
        now["person"][str(again)], was["person"][str(entered.person)], "what was entered of the person"
    )
    said, back = was["enrolment"][str(entered.enrolment)], now["enrolment"][str(enrolment)]
    stage.check(back, {**said, "person": back["person"]}, "what was entered of the enrolment")
    elsewhere = {
        (one.agency, one.record_type, one.local_id) for one in of_rows_in(before, differences(before, after))
    }
    theirs = {("ads", "person", str(entered.person)), ("ads", "enrolment", str(entered.enrolment))}
    stage.check(elsewhere - theirs, set(), "rows of others that the restore has changed")
    stage.remark("all else is as it was before the restore")


def _reopened(stage: Stage) -> Desk:
    """Its clients were sent away."""
    return stage.region.open_desk("ads", stage.region.stack.endpoints.agencies["ads"])
