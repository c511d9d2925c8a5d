"""How far everything has come: per agency and record type, from the store and from Kafka's offsets.

Nothing here asks an agency's side: what its connector has captured and not yet sent is its own metric, and
whether it is at work or paused is what it told last.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field

from hub.contracts import topics
from hub.contracts.policies import day_number
from hub.ops import counts
from hub.ops.brake_view import brake_line
from hub.ops.counts import Place, Side
from hub.ops.log_reader import LogReader
from hub.ops.parts import Parts, today
from hub.ops.steering import Connectors, Steering
from hub.store.brakes import brakes
from hub.store.topic_sweeps import last_sweeps

JOINED, JOINING = "joined", "joining"

_WAIT_STEP_S = 0.25
# Rates are measured against a look that was so long ago, the one before where looks are rarer; never against
# an older one, from before everybody went home.
_RATED_OVER_S, _REMEMBERED_S = 5.0, 180.0
# How often in a row everything must be at rest: a delivery may set off changes of its own.
_QUIET_LOOKS = 2


@dataclass(frozen=True)
class Standing:
    """How far one agency is with one record type; numbers are of entities, records or messages.

    entitled: entities that the agency was last told to hold. pending: messages in its inbox that it has
    not acknowledged. converged: entitled less pending, refused and waiting deliveries; as several messages
    may be of one entity, at least so many are as they should be. waiting: deliveries that wait at the
    agency's side, and the agency's own records that refer to something that the hub does not know yet
    (`waiting_references`). refused: deliveries that the agency's database refuses. dead: its messages that
    could not be used. held: its changes that wait for a person. disputed: fields that the hub stopped
    rewriting. unread: its changes that the hub has not read. The lags are the ages, in seconds, of the
    oldest message that is pending or unread. The rates, per second, are of changes read and of deliveries
    acknowledged; None where they were not measured.
    """

    agency: str
    record_type: str
    entitled: int = 0
    converged: int = 0
    pending: int = 0
    waiting: int = 0
    waiting_references: int = 0
    refused: int = 0
    dead: int = 0
    held: int = 0
    disputed: int = 0
    unread: int = 0
    delivery_lag_seconds: float = 0.0
    intake_lag_seconds: float = 0.0
    changes_per_second: float | None = None
    acknowledged_per_second: float | None = None


@dataclass(frozen=True)
class Status:
    """All standings, and what belongs to no single agency."""

    at: float
    standings: tuple[Standing, ...]
    agencies: Mapping[str, str]
    open_reviews: int
    due: int
    unpublished: int
    missing_topics: tuple[str, ...]
    # Masses that are held, each in a line (R32).
    brakes: tuple[str, ...] = ()
    # Topics whose last sweep left keys that are not as the store has them, and how many (R26).
    differing: Mapping[str, int] = field(default_factory=dict)
    # How the agencies' connectors are, and what operators want of them.
    connectors: Connectors = field(default_factory=Connectors)

    @property
    def at_rest(self) -> bool:
        """Whether nothing is pending, unread, due or unpublished."""
        moving = any(one.pending or one.unread for one in self.standings)
        return not (moving or self.due or self.unpublished or self.missing_topics)


@dataclass
class _Progress:
    """Offsets of one look: what is behind in each partition, and what belongs to no agency."""

    unread: dict[Place, tuple[int, int]]
    pending: dict[Place, tuple[int, int]]
    read: dict[Place, int]
    acknowledged: dict[Place, int]
    overall: counts.Overall
    missing: tuple[str, ...]
    at: float = field(default_factory=time.monotonic)

    @property
    def at_rest(self) -> bool:
        left = self.unread or self.pending or self.overall.due or self.overall.unpublished
        return not (left or self.missing)


class StatusReader:
    """Reads the status; one consumer for all its looks. Blocks."""

    def __init__(
        self,
        parts: Parts,
        log: LogReader,
        clock: Callable[[], float] = time.time,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._parts = parts
        self._log = log
        self._steering = Steering(parts, log, clock)
        self._clock = clock
        self._sleep = sleep
        agreements = parts.agreements.values()
        self._sides = [(one.agency, kind) for one in agreements for kind in one.record_types]
        self._looks: deque[_Progress] = deque()

    def status(self, rate_over_s: float | None = None) -> Status:
        """The whole status; `rate_over_s`: measure rates over so many seconds, which are waited for."""
        before = self._progress() if rate_over_s else None
        if rate_over_s:
            self._sleep(rate_over_s)
        return self._status(self._progress(), before)

    def status_since(self) -> Status:
        """The whole status, with rates since an earlier call of this, some seconds ago, if there was one."""
        now = self._progress()
        while self._looks and self._looks[0].at < now.at - _REMEMBERED_S:
            self._looks.popleft()
        while len(self._looks) > 1 and self._looks[1].at <= now.at - _RATED_OVER_S:
            self._looks.popleft()
        before = self._looks[0] if self._looks else None
        self._looks.append(now)
        return self._status(now, before)

    def _status(self, now: _Progress, before: _Progress | None) -> Status:
        with self._parts.looking() as tx:
            numbers = counts.by_side(tx)
            joining = self._parts.joining.agencies(tx)
            masses = brakes(tx)
            sweeps = last_sweeps(tx)
        appended = self._log.timestamps(
            {place: first for place, (first, _) in [*now.unread.items(), *now.pending.items()]}
        )
        return Status(
            at=self._clock(),
            standings=tuple(self._standing(side, numbers, now, before, appended) for side in self._sides),
            agencies={name: JOINING if name in joining else JOINED for name in self._parts.agreements},
            open_reviews=now.overall.reviews,
            due=now.overall.due,
            unpublished=now.overall.unpublished,
            missing_topics=now.missing,
            brakes=tuple(map(brake_line, masses)),
            differing={name: swept.findings for name, swept in sorted(sweeps.items()) if swept.findings},
            connectors=self._steering.connectors(self._parts.agreements),
        )

    def wait_at_rest(self, timeout_s: float) -> bool:
        """Whether everything came to rest, and stayed so for a moment, within the time. Blocks so long."""
        deadline = time.monotonic() + timeout_s
        quiet = 0
        while True:
            quiet = quiet + 1 if self._progress().at_rest else 0
            if quiet >= _QUIET_LOOKS or time.monotonic() >= deadline:
                return quiet >= _QUIET_LOOKS
            self._sleep(_WAIT_STEP_S)

    def _progress(self) -> _Progress:
        """One look. The order matters: whatever was said before the first step is settled, published and
        acknowledged if nothing is left at the end; in any other order something could slip through."""
        changes, no_changes = self._log.places(topics.changes(*side) for side in self._sides)
        inboxes, no_inboxes = self._log.places(topics.inbox(*side) for side in self._sides)
        controls = (name(one) for one in self._parts.agreements for name in (topics.control, topics.state))
        _, no_controls = self._log.places(controls)
        said = self._log.ends(changes)
        with self._parts.looking() as tx:
            read = counts.intake_positions(tx)
            overall = counts.overall(tx, day_number(today()))
        told = self._log.ends(inboxes)
        with self._parts.looking() as tx:
            acknowledged = counts.receipt_watermarks(tx)
        beginnings = self._log.beginnings([*changes, *inboxes])
        return _Progress(
            unread=counts.backlog(changes, beginnings, said, read),
            pending=counts.backlog(inboxes, beginnings, told, acknowledged),
            read=read,
            acknowledged=acknowledged,
            overall=overall,
            missing=(*no_changes, *no_inboxes, *no_controls),
        )

    def _standing(
        self,
        side: Side,
        numbers: Mapping[str, Mapping[Side, int]],
        now: _Progress,
        before: _Progress | None,
        appended: Mapping[Place, int],
    ) -> Standing:
        def number(name: str) -> int:
            return numbers[name].get(side, 0)

        unread, pending = _of(now.unread, topics.changes(*side)), _of(now.pending, topics.inbox(*side))
        left = sum(count for _, count in pending.values())
        undelivered = number("refused") + number("waiting_deliveries")
        return Standing(
            agency=side[0],
            record_type=side[1],
            entitled=number("entitled"),
            converged=max(0, number("entitled") - left - undelivered),
            pending=left,
            waiting=number("waiting_deliveries") + number("waiting_references"),
            waiting_references=number("waiting_references"),
            refused=number("refused"),
            dead=number("dead"),
            held=number("held"),
            disputed=number("disputed"),
            unread=sum(count for _, count in unread.values()),
            delivery_lag_seconds=self._age(pending, appended),
            intake_lag_seconds=self._age(unread, appended),
            changes_per_second=_rate(before, now, topics.changes(*side), lambda look: look.read),
            acknowledged_per_second=_rate(before, now, topics.inbox(*side), lambda look: look.acknowledged),
        )

    def _age(self, places: Collection[Place], appended: Mapping[Place, int]) -> float:
        oldest = min((appended[place] for place in places if place in appended), default=None)
        return 0.0 if oldest is None else round(max(0.0, self._clock() - oldest / 1000), 3)


def _of(behind: Mapping[Place, tuple[int, int]], topic: str) -> dict[Place, tuple[int, int]]:
    return {place: left for place, left in behind.items() if place[0] == topic}


def _rate(
    before: _Progress | None,
    now: _Progress,
    topic: str,
    offsets: Callable[[_Progress], Mapping[Place, int]],
) -> float | None:
    """Offsets passed per second between two looks; a partition first read in between is not counted."""
    if before is None:
        return None
    earlier, later = offsets(before), offsets(now)
    passed = sum(
        offset - earlier[place] for place, offset in later.items() if place[0] == topic and place in earlier
    )
    return round(passed / (now.at - before.at), 1)
