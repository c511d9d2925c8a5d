"""What agencies were told and had taken back, as lines and as JSON."""

from __future__ import annotations

import dataclasses
import datetime
from collections.abc import Iterable, Iterator, Sequence

from hub.lanes.agreed import worded
from hub.ops.disclosures import Moved, Report
from hub.ops.parts import local_time
from hub.ops.status import Standing
from hub.store.disclosures import AGREEMENT, BY_CONSENT, BY_RECORD, BY_REFERENCE, JOINING, Reprojection

_CAUSES = {
    BY_CONSENT: "by consents that were given, withdrawn or have run out",
    BY_REFERENCE: "because what records refer to came, went or became another",
    BY_RECORD: "taken back because of what became of records: deleted, merged, split or withdrawn",
}


def lines(report: Report, outstanding: Sequence[Standing]) -> Iterator[str]:
    """For a person at the terminal; `outstanding`: what agencies have not acknowledged."""
    yield f"since {_told(report.since)}"
    for one, those in report.reprojections:
        yield from _reprojection(one, those)
    for cause, those in report.others.items():
        yield _CAUSES[cause]
        yield from _moved(those)
    if not (report.reprojections or report.others):
        yield "nothing was told anew or taken back by agreements or consents"
    if not outstanding:
        yield "all that was published has been acknowledged"
        return
    yield "not acknowledged yet"
    for standing in outstanding:
        yield (
            f"  {standing.agency}: {standing.record_type}: {standing.pending} messages on their way,"
            f" {standing.waiting} wait, {standing.refused} refused"
        )


def as_json(report: Report, outstanding: Sequence[Standing]) -> dict[str, object]:
    """For programs: times are ISO 8601, numbers are of entities."""
    return {
        "since": report.since.isoformat(),
        "reprojections": [
            {
                "id": one.id,
                "record_type": one.record_type,
                "why": one.why,
                "agencies": list(one.agencies),
                "agreed": one.agreed,
                "entities": one.entities,
                "began_at": one.began_at.isoformat(),
                "ended_at": one.ended_at and one.ended_at.isoformat(),
                "due": one.due,
                "changes": [dataclasses.asdict(moved) for moved in those],
            }
            for one, those in report.reprojections
        ],
        "others": {
            cause: [dataclasses.asdict(moved) for moved in those] for cause, those in report.others.items()
        },
        "outstanding": [
            {
                "agency": one.agency,
                "record_type": one.record_type,
                "pending": one.pending,
                "waiting": one.waiting,
                "refused": one.refused,
            }
            for one in outstanding
        ],
    }


def _reprojection(one: Reprojection, those: Iterable[Moved]) -> Iterator[str]:
    yield f"{_told(one.began_at)} {one.record_type}: {_why(one)}"
    yield from (f"  {line}" for line in worded(one.agreed or ()))
    if one.ended_at is None:
        yield f"  under way: {one.due} of {one.entities} entities are due still"
    else:
        yield f"  ended {_told(one.ended_at)}: {one.entities} entities were settled again"
    yield from _moved(those)


def _told(moment: datetime.datetime) -> str:
    return local_time(int(moment.timestamp() * 1000))


def _why(one: Reprojection) -> str:
    if one.why == JOINING:
        return f"{', '.join(one.agencies)} joined"
    if one.why != AGREEMENT:
        return "the store was rebuilt"
    if one.agreed is None:
        return "the agreements changed; what they said before was not kept"
    return "the agreements changed" if one.agreed else "who may say what changed, not who may hold it"


def _moved(those: Iterable[Moved]) -> Iterator[str]:
    nothing = True
    for one in those:
        nothing = False
        yield f"  {one.agency}: {one.record_type}"
        for number, what in (
            (one.begun, "told for the first time"),
            (one.ended, "taken back as a whole"),
            (one.unknown, "told anew; what had been told before was not kept"),
        ):
            if number:
                yield f"    {number} {what}"
        for counted, what in ((one.told, "told, of"), (one.taken_back, "taken back, of")):
            for name, number in sorted(counted.items()):
                yield f"    {name}: {what} {number}"
    if nothing:
        yield "  nothing was told anew or taken back"
