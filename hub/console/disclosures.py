"""What one agency was told anew and had taken back: by agreements, consents, and what became of records."""

from __future__ import annotations

import datetime
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from starlette.responses import Response

from hub.console.access import Permission
from hub.console.languages import marked
from hub.console.routing import API, Guarded, Section
from hub.console.visit import Visit
from hub.ops.disclosures import Moved, report
from hub.ops.parts import MOROCCO
from hub.store.disclosures import (
    AGREEMENT,
    BY_CONSENT,
    BY_RECORD,
    BY_REFERENCE,
    JOINING,
    REBUILT,
    Reprojection,
)

DAYS = 30

# The terms of a record type are others, but not who may hold what.
_CONTRACT = "contract"

CAUSES = {
    AGREEMENT: marked("The agreements changed"),
    _CONTRACT: marked("Who may say what has changed"),
    JOINING: marked("An agency joined"),
    REBUILT: marked("The hub's store was rebuilt"),
    BY_CONSENT: marked("Consents were given, withdrawn or have run out"),
    BY_REFERENCE: marked("What records refer to came, went or became another"),
    BY_RECORD: marked("Records were deleted, merged, split or withdrawn"),
}


@dataclass(frozen=True)
class Agreed:
    """What differs in what the agency may hold for one purpose."""

    purpose: str
    consent: bool
    also: tuple[str, ...]
    no_longer: tuple[str, ...]


@dataclass(frozen=True)
class Told:
    """What was told and taken back for one cause, of one record type.

    `began_ms`, `ended_ms`: of a reprojection, Unix milliseconds; `due`: how many entities it has yet to
    settle. `begun`, `ended`: entities told for the first time, and taken back as a whole; `told`,
    `taken_back`: of the others, by field; `unknown`: told anew, where nobody kept what had been told before.
    """

    cause: str
    record_type: str
    began_ms: int | None
    ended_ms: int | None
    due: int
    agreed: tuple[Agreed, ...]
    begun: int
    ended: int
    told: dict[str, int]
    taken_back: dict[str, int]
    unknown: int


@dataclass(frozen=True)
class Disclosures:
    """Of the last days, the latest first. `since_ms`: Unix milliseconds."""

    agency: str
    since_ms: int
    told: tuple[Told, ...]


def _read(visit: Visit) -> Disclosures:
    agency = visit.path("agency")
    visit.require_agency(agency)
    since = datetime.datetime.now(tz=MOROCCO) - datetime.timedelta(days=DAYS)
    found = report(visit.parts, since, agency)
    reprojected = [
        _told(one.why, moved, one, agency)
        for one, those in found.reprojections
        for moved in _shown(one, those)
    ]
    others = [_told(cause, moved) for cause, those in found.others.items() for moved in those]
    return Disclosures(agency, _ms(since), tuple(others + reprojected[::-1]))


def _shown(one: Reprojection, those: Iterable[Moved]) -> Iterable[Moved]:
    """What it moved; a reprojection that moved nothing here is told of, too."""
    return those or (Moved("", one.record_type),)


def _told(cause: str, moved: Moved, one: Reprojection | None = None, agency: str = "") -> Told:
    return Told(
        cause=_CONTRACT if one is not None and one.agreed == [] and cause == AGREEMENT else cause,
        record_type=moved.record_type,
        began_ms=None if one is None else _ms(one.began_at),
        ended_ms=None if one is None or one.ended_at is None else _ms(one.ended_at),
        due=0 if one is None else one.due,
        agreed=tuple(_agreed(words) for words in (one and one.agreed) or () if words["agency"] == agency),
        begun=moved.begun,
        ended=moved.ended,
        told=moved.told,
        taken_back=moved.taken_back,
        unknown=moved.unknown,
    )


def _agreed(words: dict[str, Any]) -> Agreed:
    return Agreed(words["purpose"], words["consent"], tuple(words["also"]), tuple(words["no_longer"]))


def _ms(moment: datetime.datetime) -> int:
    return int(moment.timestamp() * 1000)


def show(visit: Visit) -> Response:
    return visit.page("disclosures.html", seen=_read(visit), causes=CAUSES)


def read(visit: Visit) -> Response:
    return visit.json(_read(visit))


SECTION = Section(
    (
        Guarded("/agencies/{agency}/disclosures", show, Permission.SEE_PROGRESS),
        Guarded(
            f"{API}/agencies/{{agency}}/disclosures",
            read,
            Permission.SEE_PROGRESS,
            returns=Disclosures,
            about=f"What an agency was told anew and had taken back in the last {DAYS} days, and why.",
        ),
    )
)
