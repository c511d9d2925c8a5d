"""Notices as rows of a table that the agency's staff can read: `jisr_notice`.

Grouped: notices of one kind and reason, of one record type and the same fields, within one hour of the
clock, are one row with a count and a few local ids. The hour is that of the edits, not of the arrival, so
the rows are the same however notices come (R8). `jisr_noted` remembers which were counted.
"""

from __future__ import annotations

import datetime
import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from typing import Any
from zoneinfo import ZoneInfo

from connectors.sdk import Notice, Partition
from connectors.sql import store
from connectors.sql.database import Database, patiently
from connectors.sql.mapping import Mapping as AgencyMapping
from connectors.sql.tables import NOTED, NOTICE

WINDOW_MS = 3600 * 1000
# Enough to find an example; who wants all asks the hub.
LOCAL_IDS = 5
# Longer than the topic keeps a notice (30 days): none is read again after it was forgotten.
KEPT_MS = 90 * 24 * 3600 * 1000

_POSITIONS = "SELECT topic, part, max(read_offset) FROM {noted} GROUP BY topic, part"
_NOTED = "SELECT notice_id FROM {noted} WHERE notice_id IN_LIST(:ids)"
_ROWS = (
    "SELECT id, first_at, last_at, kind, reason, record, fields, message, times, local_ids, at_ms "
    "FROM {notice} WHERE id IN_LIST(:ids)"
)
_FORGET_ROWS = "DELETE FROM {notice} WHERE at_ms < :before"
# The last one stays: it is the position.
_FORGET_NOTED = """
DELETE FROM {noted} WHERE at_ms < :before AND read_offset < (SELECT max(read_offset) FROM {noted})
"""


class SqlNoticeBoard:
    """Implements `connectors.sdk.NoticeBoard` on an agency's database, in the mapping's language."""

    def __init__(self, database: Database, mapping: AgencyMapping) -> None:
        self.db = database
        self._agency = mapping.agency
        self._language = mapping.language
        self._zone = ZoneInfo(mapping.timezone)
        self._forgotten_ms = 0

    def connect(self) -> Mapping[Partition, int]:
        self.db.connect()
        self.db.claim("notices")
        store.prepare(self.db, self._agency)
        return {(topic, part): int(last) + 1 for topic, part, last in self.db.query(_POSITIONS)}

    def post(self, notices: Sequence[Notice]) -> int:
        posted: list[int] = []
        patiently(partial(self._post, notices, posted))
        return posted[-1]

    def _post(self, notices: Sequence[Notice], posted: list[int]) -> None:
        with self.db.transaction():
            ids = [notice.notice_id for notice in notices]
            known = {row[0] for row in self.db.query(_NOTED, {"ids": ids})}
            news = {n.notice_id: n for n in notices if n.notice_id not in known}
            self._show(news.values())
            # Also those that came again: their place is how far the topic is read.
            self.db.upsert(NOTED, list({n.notice_id: _noted(n) for n in notices}.values()))
            self._forget()
        posted.append(len(news))

    def _show(self, news: Iterable[Notice]) -> None:
        groups: dict[str, list[Notice]] = {}
        for notice in news:
            groups.setdefault(group_of(notice), []).append(notice)
        rows = {row[0]: dict(zip(NOTICE.columns, row, strict=True)) for row in self._rows(list(groups))}
        for name, those in groups.items():
            rows[name] = self._row(name, rows.get(name), those)
        self.db.upsert(NOTICE, list(rows.values()))

    def _rows(self, names: list[str]) -> list[tuple[Any, ...]]:
        return self.db.query(_ROWS, {"ids": names}) if names else []

    def _row(self, name: str, before: dict[str, Any] | None, notices: Sequence[Notice]) -> dict[str, Any]:
        one = notices[0]
        moments = [self._moment(notice.at_ms) for notice in notices]
        ids = {notice.local_id for notice in notices if notice.local_id is not None}
        if before is not None:
            moments += [before["first_at"], before["last_at"]]
            ids |= set(before["local_ids"])
        return {
            "id": name,
            "first_at": min(moments),
            "last_at": max(moments),
            "kind": one.kind,
            "reason": one.reason,
            "record": one.record_type,
            "fields": list(one.fields),
            "message": self._text(one),
            "times": sum(n.count for n in notices) + (before["times"] if before else 0),
            # The least, so that the order of arrival does not choose.
            "local_ids": sorted(ids)[:LOCAL_IDS],
            "at_ms": window_of(one),
        }

    def _text(self, notice: Notice) -> str:
        """In the agency's language; a hub that has no text for a reason still names it."""
        return notice.message.get(self._language) or notice.reason

    def _moment(self, ms: int) -> str:
        moment = datetime.datetime.fromtimestamp(ms / 1000, self._zone)
        return moment.isoformat(sep=" ", timespec="seconds")

    def _forget(self) -> None:
        """Once an hour: what is old enough that nobody asks for it any more."""
        now_ms = self.db.clock_ms()
        if now_ms - self._forgotten_ms < WINDOW_MS:
            return
        self._forgotten_ms = now_ms
        for statement in (_FORGET_ROWS, _FORGET_NOTED):
            self.db.execute(statement, {"before": now_ms - KEPT_MS})

    def close(self) -> None:
        self.db.close()


def window_of(notice: Notice) -> int:
    """The beginning of the hour that the notice belongs to, in Unix milliseconds."""
    return notice.at_ms - notice.at_ms % WINDOW_MS


def group_of(notice: Notice) -> str:
    """The id of the row that the notice is counted in: no identifier of a person is in it."""
    alike = [
        notice.kind,
        notice.reason,
        notice.record_type,
        sorted(notice.fields),
        window_of(notice),
    ]
    return hashlib.blake2b(json.dumps(alike).encode(), digest_size=12).hexdigest()


def _noted(notice: Notice) -> dict[str, Any]:
    topic, part = notice.partition
    return {
        "notice_id": notice.notice_id,
        "topic": topic,
        "part": part,
        "read_offset": notice.offset,
        "at_ms": notice.at_ms,
    }
