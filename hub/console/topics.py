"""Topics: what is in Kafka beside what the release needs, and their messages, decoded and covered."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass

from starlette.responses import Response

from hub.console.access import Permission
from hub.console.asking import moment, number
from hub.console.faults import Fault
from hub.console.languages import marked
from hub.console.routing import API, Guarded, Section, denied
from hub.console.visit import Visit
from hub.ops.browsing import KEY_DEPTH, PAGE, Page, Topics, TopicState
from hub.ops.message_view import Message, kind_of
from hub.ops.veil import Veil

_MAX_KEY = 200

KINDS = {
    "changes": marked("what the agency says"),
    "inbox": marked("what the agency may know"),
    "notices": marked("notices to the agency's staff"),
    "receipts": marked("what the agency's side has taken up"),
    "dlq": marked("messages that could not be used"),
    "golden": marked("golden records"),
    "assertions": marked("what each record asserts"),
    "links": marked("which record stands for whom"),
    "control": marked("what is wanted of its connector"),
    "state": marked("how its connector is"),
}
STATES = {
    "in_order": marked("as in the release"),
    "differs": marked("differs from the release"),
    "missing": marked("missing"),
}


@dataclass(frozen=True)
class TopicList:
    """The topics of the release as they are; `unneeded`: others that are called like ours."""

    topics: tuple[TopicState, ...]
    unneeded: tuple[str, ...]


@contextmanager
def _topics(visit: Visit) -> Iterator[Topics]:
    with closing(visit.console.status.reader()) as log:
        yield Topics(visit.parts, log)


def _list(visit: Visit) -> TopicList:
    with _topics(visit) as topics:
        states, unneeded = topics.states()
    return TopicList(tuple(states), tuple(unneeded))


def show_all(visit: Visit) -> Response:
    seen = _list(visit)
    groups: dict[str, list[TopicState]] = {}
    for one in seen.topics:
        groups.setdefault(one.agency or "", []).append(one)
    return visit.page("topics.html", seen=seen, groups=groups, kinds=KINDS, states=STATES)


def read_all(visit: Visit) -> Response:
    return visit.json(_list(visit))


def _topic(visit: Visit) -> str:
    """The topic of the address; raises 403 for dead letters that this reader may not see elsewhere either."""
    topic = visit.path("topic")
    if topic.endswith(".dlq") and not visit.may(Permission.SEE_DEAD_LETTERS):
        raise denied(visit)
    return topic


def _browse(visit: Visit) -> Page:
    """What the address asks for: from an offset on, from a moment on, else the newest."""
    topic, partition = _topic(visit), number(visit.asked("partition"))
    offset, since = number(visit.asked("offset")), moment(visit.asked("since"))
    if offset is not None and partition is None:
        raise Fault(400, marked("An offset is of one partition: say of which."))
    with _topics(visit) as topics:
        if offset is not None and partition is not None:
            return topics.onwards(topic, partition, offset, visit.veil)
        if since is not None:
            return topics.since(topic, partition, since, visit.veil)
        return topics.newest(topic, partition, visit.veil)


def show(visit: Visit) -> Response:
    return _topic_page(visit, _browse(visit))


def read(visit: Visit) -> Response:
    return visit.json(_browse(visit))


def find(visit: Visit) -> Response:
    """The newest messages with a key. By POST: what somebody types in must stand in no address."""
    key = visit.form.get("key", "").strip()
    if not key or len(key) > _MAX_KEY:
        raise Fault(400, marked("Give a key of 1 to 200 characters."))
    with _topics(visit) as topics:
        partition = number(visit.form.get("partition") or None)
        page = topics.with_key(_topic(visit), partition, key.encode(), visit.veil)
    return _topic_page(visit, page, key=key)


def _topic_page(visit: Visit, page: Page, key: str = "") -> Response:
    topic = visit.path("topic")
    partition = visit.asked("partition") or visit.form.get("partition") or ""
    return visit.page(
        "topic.html",
        topic=topic,
        kind=kind_of(topic),
        kinds=KINDS,
        page=page,
        key=key,
        partition=partition,
        offset=visit.asked("offset"),
        since=visit.asked("since") or "",
        depth=KEY_DEPTH,
        size=PAGE,
    )


def _one(visit: Visit, veil: Veil) -> Message:
    partition, offset = number(visit.path("partition")) or 0, number(visit.path("offset")) or 0
    with _topics(visit) as topics:
        return topics.one(_topic(visit), partition, offset, veil)


def show_message(visit: Visit) -> Response:
    """One message with its values covered."""
    return _message_page(visit, _one(visit, visit.veil), revealed=False)


def read_message(visit: Visit) -> Response:
    return visit.json(_one(visit, visit.veil))


def reveal_message(visit: Visit) -> Response:
    """The same with its values in full, once, for the purpose that the form states."""
    one = _one(visit, visit.veil)
    topic = visit.path("topic")
    kind = kind_of(topic)
    subject = f"message {topic}[{one.partition}]@{one.offset}"
    veil = visit.revealed(subject, agency=kind.agency, record_type=kind.record_type)
    return _message_page(visit, _one(visit, veil), revealed=True)


def _message_page(visit: Visit, one: Message, *, revealed: bool) -> Response:
    return visit.page("message.html", topic=visit.path("topic"), one=one, revealed=revealed)


_ASKS = (
    ("partition", "Only of this partition; as if not given: of all."),
    ("offset", "From this offset of the partition on, the oldest first."),
    ("since", "Appended from this moment on, in Morocco, the oldest first: 2026-01-31T14:05."),
)
_ONE = "/topics/{topic}/{partition:int}/{offset:int}"

SECTION = Section(
    title=marked("Topics"),
    path="/topics",
    routes=(
        Guarded("/topics", show_all, Permission.SEE_RECORDS),
        Guarded("/topics/{topic}", show, Permission.SEE_RECORDS),
        Guarded("/topics/{topic}", find, Permission.SEE_RECORDS, method="POST"),
        Guarded(_ONE, show_message, Permission.SEE_RECORDS),
        Guarded(_ONE, reveal_message, Permission.REVEAL, method="POST"),
        Guarded(
            f"{API}/topics",
            read_all,
            Permission.SEE_RECORDS,
            returns=TopicList,
            about="The topics that the release needs, as they are in Kafka.",
        ),
        Guarded(
            f"{API}/topics/{{topic}}",
            read,
            Permission.SEE_RECORDS,
            returns=Page,
            about=f"Up to {PAGE} messages of a topic, decoded, their values covered; the newest first.",
            asks=_ASKS,
        ),
        Guarded(
            f"{API}{_ONE}",
            read_message,
            Permission.SEE_RECORDS,
            returns=Message,
            about="One message, decoded, its values covered.",
        ),
    ),
)
