"""Audit: who saw values in full or decided something, when, and for which purpose."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from starlette.responses import Response

from hub.console.access import Permission
from hub.console.asking import day, end_of_day
from hub.console.audit_words import detail_in_words, subject_as_kept, subject_in_words
from hub.console.faults import Fault
from hub.console.languages import marked
from hub.console.routing import API, Guarded, Section
from hub.console.visit import Visit
from hub.ops.audit import Audit
from hub.store.audit import KeptEntry, Search

PAGE = 50

ACTIONS = {
    "reveal": marked("saw values in full"),
    "find": marked("looked for a record"),
    "release": marked("released"),
    "reject": marked("rejected"),
    "same": marked("said: the same person"),
    "different": marked("said: different persons"),
    "say": marked("said what a field holds"),
    "take_back": marked("took back what was said of a field"),
    "redrive": marked("took in again"),
    "discard": marked("discarded"),
    "undo": marked("took back"),
    "actors": marked("looked at who said how much"),
    "retire": marked("settled an agency's leaving"),
    "pause": marked("paused a connector"),
    "resume": marked("resumed a connector"),
    "restart": marked("started a connector anew"),
    "end-sessions": marked("ended a session"),
    "make-token": marked("made a token"),
    "revoke-token": marked("revoked a token"),
    "gap_skipped": marked("had a lane go on behind a gap"),
}


@dataclass(frozen=True)
class Deed:
    """An entry of the trail. `at_ms`: Unix milliseconds; `subject`: a hub id or number, never a name."""

    id: int
    at_ms: int
    who: str
    account: str
    action: str
    subject: str
    agency: str | None
    record_type: str | None
    purpose: str
    detail: str


@dataclass(frozen=True)
class AuditPage:
    """The newest deeds that match, the newest first. `older`: give it as `before` to read on, if not null."""

    deeds: tuple[Deed, ...]
    older: int | None


def _read(visit: Visit, given: Callable[[str], str | None]) -> AuditPage:
    search = Search(
        who=given("who"),
        action=given("action"),
        subject=given("subject"),
        agency=given("agency"),
        since=day(given("since")),
        until=end_of_day(given("until")),
        before=_number(given("before")),
    )
    found = Audit(visit.parts).search(search, PAGE + 1)[::-1]
    deeds = tuple(deed(one) for one in found[:PAGE])
    return AuditPage(deeds, deeds[-1].id if len(found) > PAGE else None)


def deed(kept: KeptEntry) -> Deed:
    """An entry as pages and programs see it."""
    return Deed(kept.id, int(kept.at.timestamp() * 1000), **kept.entry._asdict())


def _number(given: str | None) -> int | None:
    if given is None:
        return None
    if not (given.isascii() and given.isdigit() and len(given) < 19):
        raise Fault(400, marked("`before` must be the number of an entry."))
    return int(given)


def show(visit: Visit) -> Response:
    return _page(visit)


def search(visit: Visit) -> Response:
    """What the form asks for. By POST, since who and what is searched for must stand in no address."""
    return _page(visit)


def _page(visit: Visit) -> Response:
    def given(name: str) -> str | None:
        found = visit.form.get(name, "").strip()[:200]
        return (subject_as_kept(visit, found) if name == "subject" else found) or None

    return visit.page(
        "audit.html",
        seen=_read(visit, given),
        given=visit.form,
        actions=ACTIONS,
        subject=lambda one: subject_in_words(visit, one.subject),
        detail=lambda one: detail_in_words(visit, one.action, one.record_type, one.detail),
        agencies=list(visit.parts.agreements),
    )


def read(visit: Visit) -> Response:
    # Neither `who` nor `subject`: what is asked for by an address is kept in logs of proxies.
    public = {"action", "agency", "since", "until", "before"}
    return visit.json(_read(visit, lambda name: visit.asked(name) if name in public else None))


SECTION = Section(
    title=marked("Audit"),
    path="/audit",
    routes=(
        Guarded("/audit", show, Permission.SEE_AUDIT),
        Guarded("/audit", search, Permission.SEE_AUDIT, method="POST"),
        Guarded(
            f"{API}/audit",
            read,
            Permission.SEE_AUDIT,
            returns=AuditPage,
            about="Who saw values in full or decided something, the newest first.",
            asks=(
                ("action", "Only this: reveal, find, release, reject, redrive, pause, and so on."),
                ("agency", "Only what concerned a record of this agency."),
                ("since", "From this day on, in Morocco: 2026-01-31."),
                ("until", "To this day, included."),
                ("before", "Only entries before this number: `older` of the page before."),
            ),
        ),
    ),
)
