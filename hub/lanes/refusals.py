"""What staff are told of their agency's messages that could not be used: how many, and in which field.

The dead letter itself is for whoever runs the agency's connector; staff only need to know that what they
entered has not reached the others (R27).
"""

from __future__ import annotations

from collections.abc import Iterable

from hub.contracts import topics
from hub.contracts.notices import REFUSED, TEXTS
from hub.core import stamps
from hub.core.assertions import RecordKey
from hub.lanes.converged import Note
from hub.lanes.reading import DeadLetter


def refusals(dead: Iterable[DeadLetter]) -> list[Note]:
    """One note for all of a batch that are alike: agency, record type, field and reason."""
    groups: dict[tuple[str, str, str, str], list[DeadLetter]] = {}
    for one in dead:
        reason = one.code if one.code in TEXTS else REFUSED
        place = (*topics.split(one.message.topic), reason, one.path)
        groups.setdefault(place, []).append(one)
    return [
        Note(
            "dead_letter",
            reason,
            # Which record it was may not even be readable.
            RecordKey(agency, record_type, "", 0),
            (path,) if path else (),
            stamps.at(those[0].message.timestamp_ms),
            None,
            "-".join(map(str, those[0].message[:3])),
            len(those),
        )
        for (agency, record_type, reason, path), those in groups.items()
    ]
