"""What an agency may hold becomes less, and more again: by its agreement, and by a person's consent."""

from __future__ import annotations

from datetime import date
from typing import Any

from hub.local.demo.everyday.holdings import Difference, differences
from hub.local.demo.everyday.stage import Stage
from hub.local.demo.story.people import at_health, received

_FIELD = "phone"
_HEALTH_SERVICE = 'SELECT min("المعرف") FROM "الخدمات" WHERE "القطاع" = \'صحة\''
_REFER = """
    INSERT INTO "الإحالات" ("رقم_الإحالة", "المستفيد", "إلى_خدمة", "السبب", "الاستعجال", "الحالة",
                            "تاريخ_الإحالة")
    VALUES (:number, :person, :service, 'دعم نفسي', 'مستعجلة', 'مرسلة', :today) RETURNING "المعرف"
"""
_CONSENT = """
    INSERT INTO "الموافقات" ("المستفيد", "الغرض", "الجهات", "الحالة", "تاريخ_المنح")
    VALUES (:person, 'تتبع صحي', 'health', 'ممنوحة', :today) RETURNING "المعرف"
"""
_WITHDRAW = 'UPDATE "الموافقات" SET "الحالة" = \'مسحوبة\' WHERE "المعرف" = :id'
# As much as health was told: who, why, how urgent.
_AT_HEALTH = """
    SELECT patient_id::text || ' ' || reason_code || ' ' || urgency_code
    FROM incoming_referral WHERE slip_number = :number
"""


def agreement_narrows(stage: Stage) -> None:
    """ADS is to hold telephone numbers no more; then the agreement is widened again."""
    before = stage.holdings()
    planned = stage.release.plan("ads", _without_field)
    (preview,) = stage.asked("agreement", "preview", str(planned))["changes"]
    stage.check((preview["agency"], preview["record_type"]), ("ads", "person"), "whom the preview names")
    stage.check(list(preview["lost"]), [_FIELD], "fields that the preview says are lost")
    stage.remark(f"jisr agreement preview: ADS would lose {_FIELD} of {preview['lost'][_FIELD]} people")

    stage.release.change("ads", _without_field)
    stage.roll_out()
    narrowed = differences(before, stage.holdings())
    stage.check(bool(narrowed), True, "whether anything was taken back")
    stage.check([one.place for one in narrowed if not _is_lost(one)], [], "whatever else became another")
    stage.prove()
    _explained(stage, "ads", "person", narrowed[0].local_id)
    stage.remark(
        f"in force: {len(narrowed)} numbers are gone from ADS, which keeps those that it says itself"
    )
    _reported(stage, preview["lost"])

    stage.release.change("ads", _with_field)
    stage.roll_out()
    stage.same(before, stage.holdings(), "widened again, every table is as it was")


def _reported(stage: Stage, foreseen: dict[str, int]) -> None:
    """`jisr agreement report` tells that what was foreseen has been done, and acknowledged."""
    report = stage.asked("agreement", "report", "ads")
    last = report["reprojections"][-1]
    (moved,) = (one for one in last["changes"] if one["record_type"] == "person")
    stage.check(moved["taken_back"], foreseen, "what the report says was taken back")
    stage.check(report["outstanding"], [], "what ADS has yet to acknowledge")
    stage.remark(f"jisr agreement report: {_FIELD} was taken back of {moved['taken_back'][_FIELD]} people")


def _grant(agreement: Any) -> Any:
    return agreement["receives"]["person"][0]["fields"]


def _without_field(agreement: Any) -> None:
    _grant(agreement).remove(_FIELD)


def _with_field(agreement: Any) -> None:
    _grant(agreement).append(_FIELD)


def _is_lost(one: Difference) -> bool:
    return (one.agency, one.record_type, one.field) == ("ads", "person", _FIELD)


def _explained(stage: Stage, agency: str, record_type: str, local_id: str) -> None:
    """`jisr explain` names the field, and why it is withheld."""
    told = _story(stage, agency, f"{agency}:{local_id}", record_type)
    stage.check(_FIELD in told["withheld"], True, f"whether jisr explain tells of {_FIELD} at {agency}")
    stage.remark(f"jisr explain: {agency} may not hold {_FIELD}: {told['withheld'][_FIELD]}")


def _story(stage: Stage, agency: str, record: str, record_type: str) -> dict[str, Any]:
    case = stage.asked("explain", record, "--record-type", record_type)
    told: dict[str, Any] = next(one for one in case["explanation"]["agencies"] if one["agency"] == agency)
    return told


def consent_withdrawn(stage: Stage) -> None:
    """A person sent to the health services withdraws what let them know of it, and gives it again."""
    known = received(stage)
    at_health(stage, known.who, surname=known.who.family_fr, in_arabic=True)
    number = f"ORI-{stage.number()[4:]}"
    today = date.today()  # noqa: DTZ011 — the day on the paper that the person signs
    service = stage.desk("entraide").one(_HEALTH_SERVICE)
    referral = stage.edit(
        "entraide", _REFER, number=number, person=known.entraide, service=service, today=today
    )
    stage.settle()
    stage.check(stage.desk("health").one(_AT_HEALTH, number=number), None, "the referral, without consent")

    consent = stage.edit("entraide", _CONSENT, person=known.entraide, today=today)
    held = stage.find("health", _AT_HEALTH, number=number)
    stage.edit("entraide", _WITHDRAW, id=consent)
    stage.see("health", None, _AT_HEALTH, number=number)
    told = _story(stage, "health", f"entraide:{referral}", "referral")
    stage.check(told["may_hold"], False, "whether jisr explain says that health may hold it")
    stage.remark(f"withdrawn: the referral is gone from health; jisr explain: {told['why_not']}")

    stage.edit("entraide", _CONSENT, person=known.entraide, today=today)
    stage.see("health", held, _AT_HEALTH, number=number)
    stage.remark("given again, on another paper: health holds the referral again, as it was")
