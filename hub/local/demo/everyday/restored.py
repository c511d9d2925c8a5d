"""An agency's database is restored from yesterday's backup, while the others have gone on."""

from __future__ import annotations

from hub.local.demo.desk import Desk
from hub.local.demo.everyday.stage import Stage
from hub.local.demo.story.people import (
    ADS_PHONE,
    ENTRAIDE_PHONE,
    SET_ADS_PHONE,
    SET_ENTRAIDE_PHONE,
    received,
)
from hub.local.stack import AgencyDatabase

_DATABASE = AgencyDatabase("ads").database
_BACKUP = f"{_DATABASE}_yesterday"
_EPOCH = "SELECT epoch FROM jisr_state"


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
    before = stage.holdings()

    stage.region.stack.rest("connector-ads")
    stage.region.stack.set_back_database(_DATABASE, _BACKUP)
    ads = _reopened(stage)
    stage.check(
        ads.one(ADS_PHONE, id=ours.ads) == own, False, "whether the copy has what was written after it"
    )
    stage.check(ads.one(_EPOCH), epoch, "the epoch in the restored database")
    stage.edited()
    stage.region.stack.wake("connector-ads")
    stage.see("ads", epoch + 1, _EPOCH)
    stage.see("ads", phone, ADS_PHONE, id=theirs.ads)
    stage.see("ads", own, ADS_PHONE, id=ours.ads)
    stage.remark("the connector found out by itself, began a new epoch, and read all rows again")
    stage.same(before, stage.holdings(), "every table is as it was before the restore")


def _reopened(stage: Stage) -> Desk:
    """Its clients were sent away."""
    return stage.region.open_desk("ads", stage.region.stack.endpoints.agencies["ads"])
