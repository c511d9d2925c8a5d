"""A mad script: a mass UPDATE with a wrong condition, small enough for the brakes to let it pass."""

from __future__ import annotations

from collections.abc import Iterator

from hub.local.demo.everyday.holdings import differences
from hub.local.demo.everyday.members import AGENCY
from hub.local.demo.everyday.stage import STEWARD, Stage
from hub.local.demo.story.people import (
    ADS_COMMUNE,
    ADS_PHONE,
    ENTRAIDE_PHONE,
    SET_ADS_PHONE,
    SET_ENTRAIDE_COMMUNE,
    SET_ENTRAIDE_PHONE,
    Known,
    received,
)

_ROWS = 25
_AT_YOUTH = "SELECT matricule FROM adherent WHERE cin = :cin"
_NOW = "SELECT clock_timestamp()"
# Of ADS's own: what a script writes into a row that was made for somebody whom the youth services alone know
# makes that row partly ADS's, and it stays when they leave.
_OWN = "SELECT id_beneficiaire FROM beneficiaire_contact ORDER BY id_beneficiaire LIMIT :rows"
_SCRIPT = "UPDATE beneficiaire_contact SET telephone = :phone WHERE id_beneficiaire = ANY(:ids)"


def mad_script(stage: Stage) -> None:
    """ADS writes one number over many; people go on working; the hub takes the script back, and only it."""
    ads = stage.desk("ads")
    first, second, third = (received(stage, phone=stage.phone()) for _ in range(3))
    before = stage.holdings()
    ids = [int(one.ads) for one in (first, second, third)]
    ids += [key for (key,) in ads.ask(_OWN, rows=_ROWS - len(ids))]
    hit = set(map(str, ids))

    wrong = stage.phone()
    since = ads.one(_NOW)
    stage.edit("ads", _SCRIPT, phone=wrong, ids=ids)
    stage.see("entraide", wrong, ENTRAIDE_PHONE, id=first.entraide)
    until = ads.one(_NOW)
    stage.remark(f"{len(hit)} telephone numbers at ADS became one; others hold it by now")

    # Meanwhile: somebody else mends one of them, somebody else edits another thing, ADS itself mends a third.
    mended, mended_at_ads, (commune,) = stage.phone(), stage.phone(), stage.communes(1)
    stage.edit("entraide", SET_ENTRAIDE_PHONE, phone=mended, id=first.entraide)
    stage.edit("entraide", SET_ENTRAIDE_COMMUNE, commune=commune, id=second.entraide)
    stage.edit("ads", SET_ADS_PHONE, phone=mended_at_ads, id=third.ads)
    stage.see("ads", mended, ADS_PHONE, id=first.ads)
    stage.see("ads", commune, ADS_COMMUNE, id=second.ads)
    stage.see("entraide", mended_at_ads, ENTRAIDE_PHONE, id=third.entraide)
    stage.settle()

    span = ("undo", "--agency", "ads", "--since", since.isoformat(), "--until", until.isoformat())
    preview = stage.asked(*span)
    stage.check(preview["records"], len(hit), "records of which the preview would take something back")
    # In the third record an edit of ADS's own stands since: nothing of it would become another.
    stands = sum(preview[word].get("person.phone", 0) for word in ("back", "gone"))
    stage.check(stands, len(hit) - 1, "telephone numbers that would become others by it")
    stage.check(preview["applied"], False, "what a preview does")
    stage.asked(*span, "--apply", "--who", STEWARD, "--why", "a script with a wrong condition")
    stage.edited()
    after = stage.holdings()
    stage.remark(f"jisr undo: {preview['records']} records, {preview['elsewhere']} of them others hold, too")

    edits = [
        *_places(stage, first, "phone"),
        *_places(stage, third, "phone"),
        *_places(stage, second, "commune"),
    ]
    stage.only(edits, differences(before, after), "all tables afterwards")
    stage.remark(f"of all tables, only the {len(edits)} values that people edited meanwhile are others now")


def _places(stage: Stage, known: Known, field: str) -> Iterator[tuple[str, str, str, str]]:
    """Where a field of somebody is in tables; the region has a telephone number only with consent."""
    keys: dict[str, object] = {"entraide": known.entraide, "ads": known.ads}
    if field != "phone":
        keys["region-laayoune"] = known.region
    if AGENCY in stage.region.desks and (key := stage.desk(AGENCY).one(_AT_YOUTH, cin=known.who.cin)):
        keys[AGENCY] = key
    for agency, local_id in keys.items():
        yield agency, "person", str(local_id), field
