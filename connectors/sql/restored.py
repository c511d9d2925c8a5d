"""Whether the agency's database was set back: what the log has of its changes and it has not (R24).

Queue, numbers and shadows went back with the rows, so the database itself cannot tell. The log can: it has
a change of a later epoch, or one with a number that the database has neither sent off nor in its queue.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import NamedTuple

from connectors.sdk import Sent
from connectors.sql.database import Database
from connectors.sql.rows import DELETE, INSERT
from hub.core import stamps

_SENT_SEQ = "SELECT sent_seq FROM {state}"
_STILL_QUEUED = """
SELECT seq, record, local_id, op, known, clock_ms FROM {changes} WHERE seq IN_LIST(:seqs)
"""
# The main row of a record that began or ended: rows of its parts may come before it, as where they go first.
_MAIN_ROW = """
SELECT min(seq) FROM {changes}
 WHERE record = :record AND local_id = :local_id AND part = 0 AND op = :op AND seq >= :seq
"""
_OF_WHOLE_ROW = {"insert": INSERT, "delete": DELETE}
# What the latest change of a record in the queue may be stamped with, but for one more for each row.
_LATEST = """
SELECT c.record, c.local_id, max(c.clock_ms), max(c.known), coalesce(max(s.last), 0), count(*)
  FROM {changes} c LEFT JOIN {shadow} s ON s.record = c.record AND s.local_id = c.local_id
 WHERE c.local_id IN_LIST(:ids) GROUP BY c.record, c.local_id
"""
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
    if beyond and not db.tells_transactions:
        # There it is noted before anything is sent. What waits here under such a number is no proof of the
        # contrary: with it perhaps went, as one change, what came later and was lost.
        return epoch + 1
    queued = _queued(db, beyond)
    return epoch + 1 if any(_is_foreign(one, queued.get(seq)) for seq, one in beyond.items()) else None


class Waiting(NamedTuple):
    """What was sent, in whatever epoch, and waits here to be sent once more. `last`: up to which number of
    the queue, 0 if nothing; `begun`: those with which lives begin, of rows that were told apart from any
    other by their clock."""

    last: int
    begun: frozenset[int]


def still_queued(db: Database, sent: Sequence[Sent]) -> Waiting:
    """What of the log waits in the queue."""
    numbered = {seq: one for one in sent if (seq := _number(one)[1]) is not None}
    rows = {seq: row for seq, row in _queued(db, numbered).items() if not _is_foreign(numbered[seq], row)}
    last = max((_last_of(db, seq, numbered[seq]) for seq in rows), default=0)
    return Waiting(last, frozenset(seq for seq, row in rows.items() if row.op == INSERT and not row.known))


def _last_of(db: Database, seq: int, one: Sent) -> int:
    """The number up to which a change goes that has the number of its first row."""
    op = _OF_WHOLE_ROW.get(one.operation)
    if op is None:
        return seq
    where = {"record": one.record_type, "local_id": one.local_id, "op": op, "seq": seq}
    return int(db.query(_MAIN_ROW, where)[0][0] or seq)


class _Queued(NamedTuple):
    """What waits under a number that the log knows. `latest`: no change of its record that waits is stamped
    later."""

    record: str
    local_id: str
    op: str
    known: int
    clock_ms: int
    latest: int


def _queued(db: Database, seqs: Collection[int]) -> dict[int, _Queued]:
    rows = db.query(_STILL_QUEUED, {"seqs": sorted(seqs)}) if seqs else []
    if not rows:
        return {}
    latest = {
        (record, local_id): max(stamps.capture(clock_ms, known), last) + number
        for record, local_id, clock_ms, known, last, number in db.query(
            _LATEST, {"ids": sorted({row[2] for row in rows})}
        )
    }
    return {
        seq: _Queued(record, local_id, op, known, clock_ms, latest[record, local_id])
        for seq, record, local_id, op, known, clock_ms in rows
    }


def _is_foreign(one: Sent, queued: _Queued | None) -> bool:
    """Whether a change is not the one that waits here under its number, to be sent once more.

    After a restore the numbers are given out again. What got one later than the change was stamped is
    another edit; so is one that could not be stamped so late, since nobody here has been shown what the
    other's author had been shown.
    """
    if queued is None or (queued.record, queued.local_id) != (one.record_type, one.local_id):
        return True
    return not stamps.capture(queued.clock_ms, queued.known) <= one.stamp <= queued.latest


def _number(one: Sent) -> tuple[int, int | None]:
    """(epoch, number in the queue) of an event id; a snapshot's change has no number.

    Epoch 0 if it is not an id of this connector: another program may have written to the topic.
    """
    _, _, rest = one.event_id.partition(f":{one.record_type}:")
    epoch, _, number = rest.partition("-")
    if not epoch.isdecimal() or len(epoch) > _DIGITS:
        return 0, None
    return int(epoch), int(number) if number.isdecimal() and len(number) <= _DIGITS else None
