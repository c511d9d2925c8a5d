"""The steps in their order."""

from __future__ import annotations

from hub.local.demo.story.conflicts import different_fields, same_field, stale_form, without_authority
from hub.local.demo.story.endings import a_deletion
from hub.local.demo.story.faults import bad_records, killed
from hub.local.demo.story.meeting import an_edit_travels, one_person
from hub.local.demo.story.order import before_its_person, learned_late
from hub.local.demo.story.privacy import a_disability
from hub.local.demo.story.scene import Step

STEPS: tuple[Step, ...] = (
    Step("one-person", "People known to several agencies are one, everywhere.", one_person),
    Step("edit-travels", "An edit at one agency reaches the others.", an_edit_travels),
    Step("different-fields", "Two agencies edit different fields at once: both survive.", different_fields),
    Step("same-field", "The same field at once: authority, then time decides, alike everywhere.", same_field),
    Step("without-authority", "An edit without authority is put back, and explained.", without_authority),
    Step("privacy", "A disability is seen only by those entitled, ADS only by consent.", a_disability),
    Step("stale-form", "A stale form undoes nothing.", stale_form),
    Step("before-its-person", "An enrolment that comes before its person waits for it.", before_its_person),
    Step("learned-late", "A national id learned late makes two people one.", learned_late),
    Step("bad-records", "A bad record goes to the dead letters, and blocks nobody.", bad_records),
    Step("killed", "A hub worker and a connector are killed: nothing is lost or doubled.", killed),
    Step("deletion", "A deletion takes back what it asserted, and no more.", a_deletion),
)
