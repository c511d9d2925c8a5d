"""What needs attention first, and whose move it is: read off a status, the most urgent first. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum

from hub.console.live import Snapshot
from hub.ops.status import Standing, Status

# From when on a delay is no longer how things are: the objective is 5 s, and alerts begin at a minute.
LATE_S = 60.0


class Mover(StrEnum):
    """Whose move it is."""

    OPERATOR = "operator"
    STEWARD = "steward"
    AGENCY = "agency"


class Kind(StrEnum):
    """What is the matter, the most urgent first."""

    MISSING_TOPICS = "missing_topics"
    INTAKE_LATE = "intake_late"
    TOPIC_DIFFERS = "topic_differs"
    MASS_HELD = "mass_held"
    DEAD = "dead"
    REFUSED = "refused"
    DELIVERY_LATE = "delivery_late"
    SILENT = "silent"
    UNCONFIRMED = "unconfirmed"
    PAUSED = "paused"
    HELD = "held"
    DISPUTED = "disputed"
    REVIEWS = "reviews"
    WAITING = "waiting"


MOVERS = {
    Kind.MISSING_TOPICS: Mover.OPERATOR,
    Kind.INTAKE_LATE: Mover.OPERATOR,
    Kind.TOPIC_DIFFERS: Mover.OPERATOR,
    Kind.MASS_HELD: Mover.STEWARD,
    Kind.DEAD: Mover.AGENCY,
    Kind.REFUSED: Mover.AGENCY,
    Kind.DELIVERY_LATE: Mover.AGENCY,
    Kind.SILENT: Mover.AGENCY,
    Kind.UNCONFIRMED: Mover.AGENCY,
    Kind.PAUSED: Mover.OPERATOR,
    Kind.HELD: Mover.STEWARD,
    Kind.DISPUTED: Mover.STEWARD,
    Kind.REVIEWS: Mover.STEWARD,
    Kind.WAITING: Mover.AGENCY,
}
_ORDER = list(Kind)


@dataclass(frozen=True)
class Matter:
    """One thing to attend to. `count` of what `kind` says; `seconds` for delays; no agency: the hub's own."""

    kind: Kind
    mover: Mover
    count: int
    agency: str | None = None
    record_type: str | None = None
    seconds: float = 0.0


def matters(snapshot: Snapshot) -> list[Matter]:
    """All matters, the most urgent first; within a kind the largest."""
    found = [*_of_the_hub(snapshot)]
    for one in snapshot.status.standings:
        masses = sum(
            brake.undone
            for brake in snapshot.brakes
            if (brake.agency, brake.record_type) == (one.agency, one.record_type)
        )
        found += _of_a_side(one, max(0, one.held - masses))
    return sorted(found, key=lambda one: (_ORDER.index(one.kind), -one.count, one.agency or ""))


def _of_the_hub(snapshot: Snapshot) -> Iterator[Matter]:
    status = snapshot.status
    yield from _some(Kind.MISSING_TOPICS, len(status.missing_topics))
    yield from _some(Kind.REVIEWS, status.open_reviews)
    for topic, keys in status.differing.items():
        # Of an agency, or the hub's own; `hub.links` is of all record types.
        side = topic.split(".")
        agency, kind = side[0] if side[0] in status.agencies else None, side[1] if len(side) > 2 else None
        yield from _some(Kind.TOPIC_DIFFERS, keys, agency, kind)
    for agency in status.agencies:
        sides = [one for one in status.connectors.sides if one.agency == agency]
        yield from _some(Kind.SILENT, sum(one.fell_silent for one in sides), agency)
        yield from _some(Kind.PAUSED, sum(one.is_paused for one in sides), agency)
        late = [one for one in sides if one.pending and one.wished_ms and one.wished_ms < _due_ms(status)]
        yield from _some(Kind.UNCONFIRMED, len(late), agency)
    for brake in snapshot.brakes:
        yield from _some(Kind.MASS_HELD, brake.undone, brake.agency, brake.record_type)


def _due_ms(status: Status) -> float:
    """Wishes from before should be confirmed by now."""
    return (status.at - LATE_S) * 1000


def _of_a_side(one: Standing, held_singly: int) -> Iterator[Matter]:
    side = one.agency, one.record_type
    if one.intake_lag_seconds > LATE_S:
        yield from _some(Kind.INTAKE_LATE, one.unread, *side, seconds=one.intake_lag_seconds)
    if one.delivery_lag_seconds > LATE_S:
        yield from _some(Kind.DELIVERY_LATE, one.pending, *side, seconds=one.delivery_lag_seconds)
    numbers = {
        Kind.DEAD: one.dead,
        Kind.REFUSED: one.refused,
        Kind.HELD: held_singly,
        Kind.DISPUTED: one.disputed,
        Kind.WAITING: one.waiting,
    }
    for kind, count in numbers.items():
        yield from _some(kind, count, *side)


def _some(
    kind: Kind,
    count: int,
    agency: str | None = None,
    record_type: str | None = None,
    seconds: float = 0.0,
) -> Iterable[Matter]:
    return [Matter(kind, MOVERS[kind], count, agency, record_type, seconds)] if count else []
