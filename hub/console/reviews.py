"""Reviews: pairs of records that may be one, their evidence side by side, what would follow, the decision."""

from __future__ import annotations

from dataclasses import dataclass

from starlette.responses import Response

from hub.console.access import Permission
from hub.console.faults import Fault
from hub.console.languages import marked
from hub.console.review_view import Queue, ReviewView, queued, view_of
from hub.console.routing import API, Guarded, Section
from hub.console.sentences import value_in_words
from hub.console.visit import MAX_STATED, MIN_STATED, Visit
from hub.core.matching import Likeness
from hub.lanes.messages import hub_id, hub_name
from hub.ops.finding import NotFound
from hub.ops.review_story import ReviewStory, review_story
from hub.ops.reviews import DIFFERENT, SAME, Reviews
from hub.ops.veil import Veil
from hub.store.stewardship import PairIds

PAGE = 50

REASONS = {
    "identifier_alone": marked("They share an identifier, and nothing else confirms it"),
    "contradiction": marked("They share an identifier, and something contradicts"),
    "too_many_share": marked("Very many records share this identifier"),
}
LIKENESSES = {
    Likeness.AGREES: marked("agrees"),
    Likeness.CONTRADICTS: marked("contradicts"),
    Likeness.DIFFERS: marked("differs"),
    Likeness.ONE_SIDED: marked("one alone says it"),
}
INFORMED = {
    "upsert": marked("gets what then stands"),
    "merged": marked("is told which two are one"),
    "retract": marked("has to give up what it may hold no longer"),
    "delete": marked("is told that it is deleted"),
}


@dataclass(frozen=True)
class Ruled:
    """What a decision came to: whether it is new, and whether both stand for one now."""

    new: bool
    together: bool


def show_queue(visit: Visit) -> Response:
    return visit.page("reviews.html", queue=_queue(visit), reasons=REASONS, decided=_decided(visit))


def read_queue(visit: Visit) -> Response:
    return visit.json(_queue(visit))


def _queue(visit: Visit) -> Queue:
    after = visit.asked("after")
    found = Reviews(visit.parts).page(None if after is None else _ids(*_halves(after)), PAGE + 1)
    pairs = tuple(queued(one) for one in found[:PAGE])
    return Queue(pairs, f"{pairs[-1].a}.{pairs[-1].b}" if len(found) > PAGE else None)


def _halves(joined: str) -> tuple[str, str]:
    a, _, b = joined.partition(".")
    return a, b


def _ids(a: str, b: str) -> PairIds:
    try:
        return hub_id(a), hub_id(b)
    except ValueError:
        raise NotFound("no hub names of two records") from None


def _pair(visit: Visit) -> PairIds:
    return _ids(visit.path("a"), visit.path("b"))


def _view(visit: Visit, veil: Veil) -> ReviewView:
    return view_of(visit, review_story(visit.parts, _pair(visit), veil), veil)


def show(visit: Visit) -> Response:
    """One review with its values covered."""
    return _page(visit, _view(visit, visit.veil))


def reveal(visit: Visit) -> Response:
    """The same with values in full, once, for the purpose that the form states."""
    pair = review_story(visit.parts, _pair(visit), visit.veil).pair
    subject = f"review {hub_name(pair.a)} {hub_name(pair.b)}"
    veil = visit.revealed(subject, record_type=pair.a_key.record_type)
    return _page(visit, _view(visit, veil))


def read(visit: Visit) -> Response:
    return visit.json(_view(visit, visit.veil))


def _page(visit: Visit, view: ReviewView) -> Response:
    specs = visit.parts.catalogue.records[view.record_type].by_name
    return visit.page(
        "review.html",
        view=view,
        worded=lambda name, text: value_in_words(visit, specs[name], text),
        names=lambda agencies: [visit.wording.agency(one) for one in agencies],
        reasons=REASONS,
        likenesses=LIKENESSES,
        informed=INFORMED,
        decided=_decided(visit),
        min_why=MIN_STATED,
        max_why=MAX_STATED,
    )


def _decided(visit: Visit) -> str | None:
    """What was decided a moment ago, on the pair before."""
    found = visit.asked("decided")
    return found if found in (SAME, DIFFERENT) else None


def decide(visit: Visit) -> Response:
    """Take the decision, then show the next pair, or the queue where there is none."""
    later = _later(review_story(visit.parts, _pair(visit), visit.veil))
    word = SAME if _ruling(visit) else DIFFERENT
    _rule(visit)
    return visit.go(f"/reviews{later}?decided={word}")


def decide_for_programs(visit: Visit) -> Response:
    return visit.json(_rule(visit))


def _later(story: ReviewStory) -> str:
    following = story.place and (story.place.next or story.place.before)
    return f"/{hub_name(following[0])}/{hub_name(following[1])}" if following else ""


def _ruling(visit: Visit) -> bool:
    ruling = visit.form.get("decision")
    if ruling not in (SAME, DIFFERENT):
        raise Fault(400, marked("Choose whether the two are the same or different."))
    return ruling == SAME


def _rule(visit: Visit) -> Ruled:
    a, b = _pair(visit)
    same = _ruling(visit)
    why = visit.stated("why", marked("Say in a few words why you decide so."))
    # One at a time: intake is not made for several threads.
    with visit.console.deciding:
        verdict = Reviews(visit.parts, visit.console.clock).decide(
            hub_name(a), hub_name(b), "", same=same, who=visit.somebody.person, why=why
        )
    return Ruled(verdict.new, verdict.together)


_ONE = "/reviews/{a}/{b}"
_DECISION_FIELDS = (
    ("decision", "`same` or `different`."),
    ("why", "Why, in a few words; kept with the decision."),
)

SECTION = Section(
    title=marked("Reviews"),
    path="/reviews",
    routes=(
        Guarded("/reviews", show_queue, Permission.SEE_RECORDS),
        Guarded(_ONE, show, Permission.SEE_RECORDS),
        Guarded(_ONE, reveal, Permission.REVEAL, method="POST"),
        Guarded(f"{_ONE}/decision", decide, Permission.DECIDE, method="POST"),
        Guarded(
            f"{API}/reviews",
            read_queue,
            Permission.SEE_RECORDS,
            returns=Queue,
            about="Pairs of records that may be one, and wait for somebody, oldest first.",
            asks=(("after", "Only pairs after this one: `more` of the page before."),),
        ),
        Guarded(
            f"{API}{_ONE}",
            read,
            Permission.SEE_RECORDS,
            returns=ReviewView,
            about="One pair: the evidence side by side, values covered, and what would follow.",
        ),
        Guarded(
            f"{API}{_ONE}/decision",
            decide_for_programs,
            Permission.DECIDE,
            method="POST",
            returns=Ruled,
            about="Decide that the two are the same, or different. The latest decision counts.",
            asks=_DECISION_FIELDS,
        ),
    ),
)
