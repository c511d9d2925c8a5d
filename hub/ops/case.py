"""The whole case of one entity: the store's explanation, what the log shows, and what stands in its way."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, closing
from dataclasses import dataclass
from typing import TypeVar

from hub.contracts import topics
from hub.core.assertions import RecordKey
from hub.errors import JisrError
from hub.lanes.messages import hub_id
from hub.ops import troubles
from hub.ops.explain import AgencyStory, Explanation, explain
from hub.ops.finding import Sought, find
from hub.ops.log_reader import LogReader
from hub.ops.parts import Parts
from hub.ops.traces import NoticeSeen, Older, Sent, Traces
from hub.ops.troubles import DeadLetterSeen, Undelivered, Watermark
from hub.ops.veil import Veil
from hub.store.stewardship import HeldChange, Pair, holds, reviews
from hub.store.transaction import Transaction

_NOTICES = 5

T = TypeVar("T")


@dataclass(frozen=True)
class Delivery:
    """What one agency was sent last, and what its side made of it.

    `state`: acknowledged, pending, refused or waiting; unknown while the log cannot be read. `sent` is None
    where nothing was sent, or longer ago than was looked.
    """

    sent: Sent | None
    state: str
    undelivered: Undelivered | None
    acknowledged_ms: int | None


@dataclass(frozen=True)
class Case:
    """Everything that the hub can tell of one entity; `problems`: what could not be looked up."""

    explanation: Explanation
    deliveries: dict[str, Delivery]
    holds: tuple[HeldChange, ...]
    reviews: tuple[Pair, ...]
    dead_letters: tuple[DeadLetterSeen, ...]
    notices: tuple[NoticeSeen, ...]
    problems: tuple[str, ...]


@dataclass(frozen=True)
class _Stored:
    """What is read from the store at one moment."""

    explanation: Explanation
    undelivered: dict[str, Undelivered]
    watermarks: dict[tuple[str, int], Watermark]
    holds: list[HeldChange]
    reviews: list[Pair]
    dead_letters: list[DeadLetterSeen]


class CaseReader:
    """Puts cases together. Blocks; goes on without what does not answer, and says so."""

    def __init__(
        self,
        parts: Parts,
        veil: Veil,
        *,
        notices: bool = True,
        depth: int | None = None,
        log: Callable[[], AbstractContextManager[LogReader]] | None = None,
    ) -> None:
        """`notices`: whether they are looked for, which takes long where an agency got many.

        `depth`: how many messages back what was sent is looked for. `log`: who lends a reader of Kafka.
        """
        self._parts = parts
        self._notices = notices
        self._depth = depth
        self._log = log or (lambda: closing(LogReader(parts.settings.kafka)))
        self._veil = veil
        self._problems: list[str] = []

    def read(self, name: str, agency: str | None, record_type: str) -> Case:
        """The case of whom `name` means (`hub.ops.finding.find`); raises `NotFound`."""
        return self.read_found(lambda tx: find(self._parts, tx, name, agency, record_type))

    def read_found(
        self, seek: Callable[[Transaction], Sought], also: Callable[[Transaction, Sought], None] | None = None
    ) -> Case:
        """The case of whom `seek` finds; `also` reads more of them at the same moment of the store."""
        self._problems = []
        stored = self._stored(seek, also)
        nothing: tuple[dict[str, Delivery], list[NoticeSeen]] = ({}, [])
        deliveries, notices = self._try(lambda: self._logged(stored), nothing)
        unknown = Delivery(None, "unknown", None, None)
        return Case(
            explanation=stored.explanation,
            deliveries={
                one.agency: deliveries.get(one.agency, unknown) for one in stored.explanation.agencies
            },
            holds=tuple(stored.holds),
            reviews=tuple(stored.reviews),
            dead_letters=tuple(stored.dead_letters),
            notices=tuple(notices),
            problems=tuple(self._problems),
        )

    def _stored(
        self, seek: Callable[[Transaction], Sought], also: Callable[[Transaction, Sought], None] | None
    ) -> _Stored:
        with self._parts.looking() as tx:
            sought = seek(tx)
            found = explain(self._parts, tx, sought, self._veil)
            if also is not None:
                also(tx, sought)
            members = [hub_id(member.record) for member in found.members]
            keys = [
                RecordKey(one.agency, found.record_type, one.local_id, one.incarnation)
                for one in found.members
            ]
            inboxes = [topics.inbox(one.agency, found.record_type) for one in found.agencies]
            return _Stored(
                explanation=found,
                undelivered=troubles.undelivered(tx, sought.entity),
                watermarks=troubles.watermarks(tx, inboxes),
                holds=holds(tx, records=members),
                reviews=reviews(tx, records=members),
                dead_letters=self._try(lambda: troubles.dead_letters(self._parts, tx, keys), []),
            )

    def _logged(self, stored: _Stored) -> tuple[dict[str, Delivery], list[NoticeSeen]]:
        explanation = stored.explanation
        entities = [hub_id(explanation.entity), *(hub_id(one.record) for one in explanation.members)]
        deliveries, notices = {}, []
        with self._log() as log:
            traces = Traces(log, self._parts.registry)
            called = {one.agency: one.name for one in explanation.agencies}
            last = traces.last_sent(called, explanation.record_type, self._depth)
            for one in explanation.agencies:
                sent = last.get(one.agency)
                if isinstance(sent, Older):
                    deliveries[one.agency] = _long_ago(stored, one, sent)
                else:
                    deliveries[one.agency] = _delivery(stored, one.agency, sent)
                if not self._notices:
                    continue
                pairwise = self._parts.ids.pairwise(one.agency)
                names = {pairwise.name(entity) for entity in entities}
                notices += traces.notices(one.agency, names, _NOTICES)
        return deliveries, notices

    def _try(self, look: Callable[[], T], otherwise: T) -> T:
        try:
            return look()
        except JisrError as error:
            self._problems.append(str(error))
            return otherwise


def _delivery(stored: _Stored, agency: str, sent: Sent | None) -> Delivery:
    trouble = stored.undelivered.get(agency)
    if sent is None:
        return Delivery(None, "nothing sent", trouble, None)
    mark = stored.watermarks.get((sent.topic, sent.partition))
    reached = mark is not None and mark.next_offset > sent.offset
    state = "acknowledged" if reached else "pending"
    if trouble is not None and trouble.version == sent.version:
        state = trouble.state
    return Delivery(sent, state, trouble, mark.committed_ms if mark and reached else None)


def _long_ago(stored: _Stored, one: AgencyStory, older: Older) -> Delivery:
    """Of a message that was not looked for far enough: it is taken up if everything so old is."""
    trouble = stored.undelivered.get(one.agency)
    if not one.addressed:
        return Delivery(None, "nothing sent", trouble, None)
    mark = stored.watermarks.get((older.topic, older.partition))
    reached = mark is not None and mark.next_offset >= older.before
    return Delivery(
        None, trouble.state if trouble else "acknowledged" if reached else "pending", trouble, None
    )
