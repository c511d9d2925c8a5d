"""Whether the agency's database was set back: what the log has of its changes and it has not (R24).

Queue, numbers and shadows went back with the rows, so the database itself cannot tell. The log can: it has
a change of a later epoch, or one with a number that the database has neither sent off nor in its queue.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from connectors.sdk import Sent
from connectors.sql.database import Database
from hub.core import stamps

_SENT_SEQ = "SELECT sent_seq FROM {state}"
_STILL_QUEUED = "SELECT seq, local_id, clock_ms FROM {changes} WHERE seq IN_LIST(:seqs)"
# Numbers of the queue; what is longer is the random part of an event id that happens to have no letter.
_DIGITS = 18


def later_epoch(db: Database, epoch: int, sent: Sequence[Sent]) -> int | None:
    """The epoch to begin; None if the database knows of all that was sent."""
    numbered = [(*_number(one), one) for one in sent]
    newest = max((seen for seen, _, _ in numbered), default=0)
    if newest > epoch:
        return newest + 1
    (sent_seq,) = db.query(_SENT_SEQ)[0]
    if sent_seq is None:
        # Tables of an earlier release, from which nothing was sent since.
        return None
    beyond = {seq: one for seen, seq, one in numbered if seen == epoch and seq is not None and seq > sent_seq}
    queued = {row[0]: row[1:] for row in db.query(_STILL_QUEUED, {"seqs": sorted(beyond)})} if beyond else {}
    return epoch + 1 if any(_is_foreign(one, queued, seq) for seq, one in beyond.items()) else None


def _is_foreign(one: Sent, queued: Mapping[int, tuple[str, int]], seq: int) -> bool:
    """Whether a change is not the one that waits here under its number, to be sent once more.

    After a restore the numbers are given out again. What got one later than the change was stamped is
    another edit.
    """
    if seq not in queued:
        return True
    local_id, clock_ms = queued[seq]
    return local_id != one.local_id or stamps.milliseconds(one.stamp) < clock_ms


def _number(one: Sent) -> tuple[int, int | None]:
    """(epoch, number in the queue) of an event id; a snapshot's change has no number.

    Epoch 0 if it is not an id of this connector: another program may have written to the topic.
    """
    _, _, rest = one.event_id.partition(f":{one.record_type}:")
    epoch, _, number = rest.partition("-")
    if not epoch.isdecimal() or len(epoch) > _DIGITS:
        return 0, None
    return int(epoch), int(number) if number.isdecimal() and len(number) <= _DIGITS else None
