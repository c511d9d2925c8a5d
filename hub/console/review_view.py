"""A review as a page or a program sees it: made from the story of its pair, local ids covered."""

from __future__ import annotations

from dataclasses import dataclass

from hub.console.visit import Visit
from hub.core.assertions import RecordKey
from hub.lanes.messages import hub_name
from hub.ops.review_story import Consequence, FieldPair, Informed, ReviewStory
from hub.ops.veil import Veil
from hub.store.stewardship import Pair, PairIds


@dataclass(frozen=True)
class Queued:
    """A pair in the queue; `a` and `b` are the hub names of its records. `since_ms`: Unix milliseconds."""

    a: str
    b: str
    agencies: tuple[str, str]
    record_type: str
    reason: str
    fields: tuple[str, ...]
    since_ms: int


@dataclass(frozen=True)
class Queue:
    """Open reviews, oldest first. `more`: give it as `after` to read on, if not null."""

    pairs: tuple[Queued, ...]
    more: str | None


@dataclass(frozen=True)
class ReviewSide:
    """One of the two records; `local_id` is covered unless revealed, `entity` is whom it stands for now."""

    record: str
    agency: str
    local_id: str
    entity: str


@dataclass(frozen=True)
class ReviewOutcome:
    """What a decision would lead to. `moving`: agencies whose records would come to stand for another.

    `together`: both would stand for one; `joined`: how many records that of the first would have.
    """

    together: bool
    joined: int
    moving: tuple[str, ...]
    informed: tuple[Informed, ...]


@dataclass(frozen=True)
class ReviewView:
    """One review. `place` of `total` in the queue, null once decided; `earlier` and `later`: `a.b` of others.

    `state`: open, same, different, or settled by another decision; `who` and `why`: of a decision.
    """

    a: ReviewSide
    b: ReviewSide
    record_type: str
    reason: str
    shared: tuple[str, ...]
    state: str
    since_ms: int
    who: str | None
    why: str | None
    revealed: bool
    fields: tuple[FieldPair, ...]
    same: ReviewOutcome
    different: ReviewOutcome
    place: int | None
    total: int
    earlier: str | None
    later: str | None


def queued(one: Pair) -> Queued:
    """A pair as the queue shows it."""
    return Queued(
        a=hub_name(one.a),
        b=hub_name(one.b),
        agencies=(one.a_key.agency, one.b_key.agency),
        record_type=one.a_key.record_type,
        reason=one.reason,
        fields=one.fields,
        since_ms=_ms(one),
    )


def _ms(one: Pair) -> int:
    return int(one.created_at.timestamp() * 1000)


def view_of(visit: Visit, story: ReviewStory, veil: Veil) -> ReviewView:
    """One review as this reader sees it; `story` with its values veiled by `veil`."""
    pair, place = story.pair, story.place
    return ReviewView(
        a=_side(visit, veil, pair.a, pair.a_key, story.entities[0]),
        b=_side(visit, veil, pair.b, pair.b_key, story.entities[1]),
        record_type=pair.a_key.record_type,
        reason=pair.reason,
        shared=pair.fields,
        state=pair.state,
        since_ms=_ms(pair),
        who=pair.who,
        why=pair.why,
        revealed=veil.reveal,
        fields=story.fields,
        same=_outcome(story.same),
        different=_outcome(story.different),
        place=place.place if place else None,
        total=place.total if place else 0,
        earlier=_joined(place.before) if place else None,
        later=_joined(place.next) if place else None,
    )


def _side(visit: Visit, veil: Veil, record: bytes, key: RecordKey, entity: str) -> ReviewSide:
    local_id = key.local_id if veil.reveal else visit.local_id(key.agency, key.local_id)
    return ReviewSide(hub_name(record), key.agency, local_id, entity)


def _outcome(one: Consequence) -> ReviewOutcome:
    return ReviewOutcome(one.together, one.joined, tuple(key.agency for key in one.moving), one.informed)


def _joined(pair: PairIds | None) -> str | None:
    return None if pair is None else f"{hub_name(pair[0])}.{hub_name(pair[1])}"
