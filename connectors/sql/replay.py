"""Writing again what was delivered, for fields that the mapping holds otherwise by now, or at all.

What the hub said of such a field could not be held before, or was written by another list of codes, and the
hub has no reason to say it again. An inbox keeps the last word on each entity, so it is read once more from
its beginning, and of what comes a second time only these fields can differ.

Not before the source has read all rows for them: what people have in a column that was never captured would
be written over before anybody has heard of it.
"""

from __future__ import annotations

import logging
from collections.abc import Collection, Mapping
from dataclasses import dataclass

from connectors.sdk import Partition
from connectors.sql import forms, snapshot, store
from connectors.sql.database import Database
from connectors.sql.mapping import Mapping as AgencyMapping
from hub.contracts import topics

log = logging.getLogger(__name__)

_POSITIONS = "SELECT part, next_offset FROM {position} WHERE topic = :topic"
_FORGET = "DELETE FROM {position} WHERE topic = :topic"


@dataclass(frozen=True)
class Replay:
    """One record type's: `withheld` are fields that are not written yet, `again` those that are written again
    from what comes before the offsets of `until`, by partition."""

    withheld: frozenset[str] = frozenset()
    again: frozenset[str] = frozenset()
    until: Mapping[int, int] | None = None

    def over(self, record_topic: str, positions: Mapping[Partition, int]) -> bool:
        """Whether all that is to be written again has been."""
        return all(positions.get((record_topic, part), 0) >= end for part, end in (self.until or {}).items())


def adopt(db: Database, mapping: AgencyMapping) -> tuple[dict[str, forms.Known], dict[str, Replay]]:
    """Record type → how it was mapped, and what is to be written again; within the caller's transaction."""
    known, replays = forms.load(db, "sink"), {}
    for name, record in mapping.records.items():
        form = forms.form_of(record, mapping.timezone)
        before = known.setdefault(name, forms.Known(form))
        progress = before.progress
        fields = frozenset(progress.get("fields", ())) if progress else frozenset()
        if withheld := forms.differing(before.form, form):
            replays[name] = Replay(withheld | fields)
        elif fields:
            until = {int(part): int(end) for part, end in progress["until"].items()}
            replays[name] = Replay(again=fields, until=until)
        elif before.form != form:
            known[name] = forms.succeed(before, form)
    forms.save(db, "sink", known)
    return known, replays


def begin(db: Database, mapping: AgencyMapping, record: str, fields: Collection[str]) -> bool:
    """Begin to write again, if the source is through with its reading; within the caller's transaction.

    The positions of the inbox are given up: the next `connect` reads it from its beginning.
    """
    form = forms.form_of(mapping.records[record], mapping.timezone)
    read = forms.load(db, "source").get(record)
    _, progress = store.state(db)
    done = snapshot.progress_of(progress.get(record, {})).done
    if read is None or not done or forms.differing(read.form | {"published": []}, form):
        return False
    topic = topics.inbox(mapping.agency, record)
    until = {str(part): int(end) for part, end in db.query(_POSITIONS, {"topic": topic})}
    known = forms.succeed(forms.load(db, "sink")[record], form)
    known.progress = {"fields": sorted(fields), "until": until}
    forms.save(db, "sink", {record: known})
    db.execute(_FORGET, {"topic": topic})
    log.warning("%s: what was delivered is written again for %s", record, ", ".join(sorted(fields)))
    return True


def end(db: Database, record: str) -> None:
    """All is written again; within the caller's transaction."""
    known = forms.load(db, "sink")[record]
    known.progress = {}
    forms.save(db, "sink", {record: known})
