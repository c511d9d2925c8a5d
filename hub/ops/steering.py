"""Pausing, resuming and starting anew an agency's connector, and how each one is.

The connector runs at the agency and speaks to nobody but Kafka and the registry: so what is wanted of it is
written to a topic that it reads, and how it is, it writes to another one (decision 039).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterable
from contextlib import closing
from dataclasses import dataclass
from typing import Any, TypeVar

import fastavro
from kafka import KafkaProducer
from kafka.errors import KafkaError

from hub.contracts import topics
from hub.contracts.control import SIDES, Condition, State, Target, Wish
from hub.contracts.wire import frame, read, unframe, write
from hub.errors import ConfigurationError, Retriable, SkipRecord
from hub.ops.audit import Person
from hub.ops.log_reader import Found, LogReader
from hub.ops.parts import Parts
from hub.store.audit import note
from hub.store.steering import one_at_a_time

PAUSE, RESUME, RESTART = "pause", "resume", "restart"
# A connector tells how it is every minute; one that has not for so long is away.
SILENT_AFTER_S = 180.0
_BLOCK_MS = 10_000

Known = TypeVar("Known", Wish, Condition)


@dataclass(frozen=True)
class SideState:
    """One side of an agency's connector: what is wanted of it, and how it is.

    `wished`: running or paused, by `who` and `why`, since `wished_ms` (Unix ms; None if nobody ever wished
    anything). `state`: what its connector told last, since `since_ms`, and `heard_ms` when it told so;
    None if it never did. `pending`: it has not confirmed what is wanted. `silent`: it has not told for
    some minutes, as it does while it is at work or paused.
    """

    agency: str
    side: str
    wished: str
    wished_ms: int | None
    who: str
    why: str
    state: str | None
    since_ms: int | None
    heard_ms: int | None
    pending: bool
    silent: bool

    @property
    def is_paused(self) -> bool:
        return State.PAUSED in (self.wished, self.state)

    @property
    def fell_silent(self) -> bool:
        """What the agency's staff write is then known to nobody, and nothing that is pending tells of it. Who
        never told anything is no connector of ours."""
        return self.silent and self.heard_ms is not None


@dataclass(frozen=True)
class RestartState:
    """The last time that an agency's connector was to start anew; `problem`: why it could not, one word."""

    agency: str
    wished_ms: int
    who: str
    why: str
    pending: bool
    problem: str


@dataclass(frozen=True)
class Connectors:
    """All connectors: two sides of each agency, and the restarts that were wished."""

    sides: tuple[SideState, ...] = ()
    restarts: tuple[RestartState, ...] = ()


class Steering:
    """Reads and writes wishes. Blocks; raises `Retriable` while Kafka, the registry or the store is away."""

    def __init__(self, parts: Parts, log: LogReader, clock: Callable[[], float] = time.time) -> None:
        self._parts = parts
        self._log = log
        self._clock = clock

    def connectors(self, agencies: Iterable[str]) -> Connectors:
        """How the connectors of these agencies are."""
        wanted = list(agencies)
        wishes = self._latest(map(topics.control, wanted), Wish.read)
        told = self._latest(map(topics.state, wanted), Condition.read)
        sides, restarts = [], []
        for agency in wanted:
            sides += [self._side(agency, side, wishes, told) for side in SIDES]
            place = agency, Target.PROCESS
            if place in wishes:
                wish, condition = wishes[place][1], told[place][1] if place in told else None
                restarts.append(_restart(agency, wish, condition))
        return Connectors(tuple(sides), tuple(restarts))

    def wish(self, deed: str, agency: str, sides: Collection[Target], who: Person, why: str) -> None:
        """Pause or resume sides, or restart a connector; the audit trail has it before the connector.

        Raises `ConfigurationError` for an agency without an agreement. To wish again what is wished already
        is no mistake: it says who and why anew.
        """
        if agency not in self._parts.agreements:
            known = ", ".join(self._parts.agreements)
            raise ConfigurationError(f"there is no agreement of {agency!r}; there are {known}")
        targets = (Target.PROCESS,) if deed == RESTART else tuple(sides)
        state = State.PAUSED if deed == PAUSE else State.RUNNING
        topic = topics.control(agency)
        schema = self._parts.events.plain("control")
        schema_id = self._parts.registry.lookup(topics.subject(topic), schema)
        with self._parts.deciding() as tx:
            detail = "" if deed == RESTART else ", ".join(targets)
            note(tx, [who.entry(deed, agency, why, agency=agency, detail=detail)])
        with self._parts.deciding() as tx:
            # Two operators at once: the numbers tell whose word came last.
            one_at_a_time(tx, agency)
            number = self._next_number(topic)
            wish = Wish(number, state, int(self._clock() * 1000), who.name, why)
            parsed = fastavro.parse_schema(schema)
            self._send(
                topic, [(target, frame(schema_id, write(parsed, wish.event(target)))) for target in targets]
            )

    def _next_number(self, topic: str) -> int:
        """Above all that the topic has, and above those of a topic that was lost and made anew."""
        last = max((wish.number for _, wish in self._latest([topic], Wish.read).values()), default=0)
        return max(last + 1, int(self._clock() * 1000))

    def _send(self, topic: str, messages: Iterable[tuple[Target, bytes]]) -> None:
        try:
            with closing(
                KafkaProducer(
                    **self._parts.settings.kafka.options(),
                    client_id="jisr-ops",
                    acks="all",
                    enable_idempotence=True,
                    max_block_ms=_BLOCK_MS,
                    bootstrap_timeout_ms=_BLOCK_MS,
                    request_timeout_ms=_BLOCK_MS,
                    delivery_timeout_ms=2 * _BLOCK_MS,
                    allow_auto_create_topics=False,
                    metrics_enabled=False,
                )
            ) as producer:
                sent = [producer.send(topic, value, target.encode()) for target, value in messages]
                for one in sent:
                    one.get(timeout=2 * _BLOCK_MS / 1000)
        except KafkaError as error:
            raise Retriable(
                f"whether {topic} has the wish is not known, Kafka does not answer ({type(error).__name__}): "
                "say it again, which does no harm"
            ) from error

    def _latest(
        self, names: Iterable[str], known: Callable[[Any], tuple[Target, Known]]
    ) -> dict[tuple[str, Target], tuple[int, Known]]:
        """(when the broker got it, the last word) by agency and target."""
        found: dict[tuple[str, Target], tuple[int, Known]] = {}
        for message in self._log.whole(*names):
            said = self._decoded(message, known)
            if said is not None:
                place = message.topic.partition(".")[0], said[0]
                found[place] = message.timestamp_ms, said[1]
        return found

    def _decoded(
        self, message: Found, known: Callable[[Any], tuple[Target, Known]]
    ) -> tuple[Target, Known] | None:
        """None for what is no such message: an agency can write what it likes to its own topic."""
        try:
            schema_id, body = unframe(message.value or b"")
            return known(read(self._parsed(schema_id, message.topic), body))
        except (SkipRecord, KeyError, TypeError, ValueError):
            return None

    def _parsed(self, schema_id: int, topic: str) -> Any:
        """The schema that it was written with; this release's, while the registry is away."""
        try:
            schema = self._parts.registry.schema_by_id(schema_id)
        except Retriable:
            schema = self._parts.events.plain(topic.rpartition(".")[2])
        return fastavro.parse_schema(schema)

    def _side(
        self,
        agency: str,
        side: Target,
        wishes: dict[tuple[str, Target], tuple[int, Wish]],
        told: dict[tuple[str, Target], tuple[int, Condition]],
    ) -> SideState:
        wish = wishes[agency, side][1] if (agency, side) in wishes else None
        heard_ms, condition = told.get((agency, side), (None, None))
        silent_ms = (self._clock() - SILENT_AFTER_S) * 1000
        return SideState(
            agency=agency,
            side=side,
            wished=wish.state if wish else State.RUNNING,
            wished_ms=wish.at_ms if wish else None,
            who=wish.who if wish else "",
            why=wish.why if wish else "",
            state=condition.state if condition else None,
            since_ms=condition.since_ms if condition else None,
            heard_ms=heard_ms,
            pending=wish is not None and (condition is None or condition.number < wish.number),
            silent=heard_ms is None or heard_ms < silent_ms,
        )


def _restart(agency: str, wish: Wish, condition: Condition | None) -> RestartState:
    pending = condition is None or condition.number < wish.number
    problem = condition.problem if condition and not pending else ""
    return RestartState(agency, wish.at_ms, wish.who, wish.why, pending, problem)
