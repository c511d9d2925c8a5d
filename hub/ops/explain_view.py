"""A case as text for a person, and as JSON for a program. Values come veiled already."""

from __future__ import annotations

import dataclasses
import datetime
from collections.abc import Iterator
from typing import Any

from hub.lanes.messages import hub_name
from hub.ops.case import Case, Delivery
from hub.ops.explain import AgencyStory, ConsentStory, Explanation, FieldStory, Member, Saying
from hub.ops.parts import local_time
from hub.store.stewardship import HeldChange, Pair

_EPOCH = datetime.date(1970, 1, 1)


def lines(case: Case) -> Iterator[str]:
    """The case, line by line."""
    explanation = case.explanation
    yield from _head(explanation)
    yield ""
    yield "records"
    yield from (f"  {_member(member)}" for member in explanation.members)
    yield ""
    yield "fields"
    for field in explanation.fields:
        yield from _field(field)
    yield ""
    yield "agencies"
    for agency in explanation.agencies:
        yield from _agency(agency, case.deliveries[agency.agency])
    yield from _list("consents", map(_consent, explanation.consents))
    yield from _list("holds", map(hold_line, case.holds))
    yield from _list("reviews", map(pair_line, case.reviews))
    yield from _list("dead letters", _dead_letters(case))
    yield from _list("last notices", _notices(case))
    yield from _list("could not be looked up", case.problems)


def as_json(case: Case) -> dict[str, Any]:
    """One object; holds carry no values, which `jisr hold show` gives."""
    found = dataclasses.asdict(dataclasses.replace(case, holds=(), reviews=()))
    found["holds"] = [hold_json(one) for one in case.holds]
    found["reviews"] = [pair_json(one) for one in case.reviews]
    return found


def _head(found: Explanation) -> Iterator[str]:
    state = "live" if found.live else "no record supports it any more"
    epoch = f", epoch {found.epoch}" if found.epoch else ""
    yield f"{found.record_type} {found.entity}: version {found.version}{epoch}, {state}"
    yield f"  asked for by {found.asked}"
    if found.merged:
        yield f"  {found.merged} was merged into it"


def _member(one: Member) -> str:
    life = f" (life {one.incarnation})" if one.incarnation else ""
    origin = "linked" if one.linked else "own"
    state = f"deleted {one.ended}" if one.ended else "live"
    main = ", receives the golden values" if one.primary else ""
    return (
        f"{one.agency}:{one.local_id}{life}: {state}, {origin}, says {one.asserts} fields, "
        f"first {one.first}, last {one.last}{main}"
    )


def _field(one: FieldStory) -> Iterator[str]:
    yield f"  {one.name} = {one.value or '(nothing)'}"
    yield f"      {one.rule}"
    for saying in one.sayings:
        yield f"      {_saying(saying)}"
    if one.disputed_at:
        yield f"      disputed: the hub stopped rewriting it at {', '.join(one.disputed_at)}"


def _saying(one: Saying) -> str:
    mark = "*" if one.outcome == "wins" else " "
    why = f" ({one.why})" if one.why else ""
    return f"{mark} {one.agency}:{one.local_id} {one.when}: {one.value}{why}"


def _agency(one: AgencyStory, delivery: Delivery) -> Iterator[str]:
    yield f"  {one.agency} calls it {one.name}: {one.told}"
    if one.may_hold:
        by_ground: dict[str, list[str]] = {}
        for name, ground in one.fields.items():
            by_ground.setdefault(ground, []).append(name)
        for basis, names in by_ground.items():
            yield f"      may hold, by {basis}: {', '.join(names)}"
        for name, why in one.withheld.items():
            yield f"      may not hold {name}: {why}"
    else:
        yield f"      may hold nothing: {one.why_not}"
    for name, when in one.echoes.items():
        yield f"      {name}: an echo at {when}, of what it had been told: not taken for its own word"
    yield f"      {_delivery(delivery)}"


def _delivery(one: Delivery) -> str:
    sent = one.sent
    if sent is None:
        return one.state if one.state != "unknown" else "last sent: not known, the log cannot be read"
    where = f"{sent.topic}[{sent.partition}] at {sent.offset}"
    version = f" version {_counter(sent.version)}" if sent.version is not None else ""
    text = f"last sent: {sent.operation}{version}, {local_time(sent.at_ms)}, {where}: {one.state}"
    if one.acknowledged_ms is not None:
        text += f" by {local_time(one.acknowledged_ms)}"
    if one.undelivered is not None:
        bad = one.undelivered
        column = f" in column {bad.column}" if bad.column else ""
        text += f"; version {_counter(bad.version)} {bad.state}: {bad.code}{column}"
        text += f", since {local_time(bad.since_ms)}"
    return text + (f"; {sent.problem}" if sent.problem else "")


def _counter(version: int) -> int:
    return version & ((1 << 40) - 1)


def _consent(one: ConsentStory) -> str:
    given = "given" if one.given else "withdrawn"
    days = {"from": one.from_day, "until": one.until_day}
    bounds = [f"{word} {_date(day)}" for word, day in days.items() if day is not None]
    text = f"{one.purpose} to {', '.join(one.recipients)}: {given} for {one.about}"
    return " ".join([text, *bounds])


def _date(day: int) -> str:
    return (_EPOCH + datetime.timedelta(days=day)).isoformat()


def _dead_letters(case: Case) -> Iterator[str]:
    for one in case.dead_letters:
        yield (
            f"{one.agency}:{one.local_id} {local_time(one.at_ms)} {one.code}: {one.message} "
            f"(`jisr dlq show {one.number}`)"
        )


def _notices(case: Case) -> Iterator[str]:
    for one in case.notices:
        yield f"{one.agency}:{one.local_id} {local_time(one.at_ms)} {one.kind}/{one.reason}: {one.text}"


def _list(title: str, items: Any) -> Iterator[str]:
    found = list(items)
    if found:
        yield ""
        yield title
        yield from (f"  {item}" for item in found)


def hold_line(one: HeldChange) -> str:
    """One hold in a line, without values."""
    key = one.change.key
    decided = f", {one.state} by {one.who}: {one.why}" if one.who else ""
    return (
        f"hold {one.id}: {key.agency}:{key.local_id} ({key.record_type}) {one.reason}, "
        f"{', '.join(one.fields)}, since {local_time(_ms(one.created_at))}{decided}"
    )


def hold_json(one: HeldChange) -> dict[str, Any]:
    """One hold without values."""
    key = one.change.key
    return {
        "id": one.id,
        "record": hub_name(one.record),
        **key._asdict(),
        "reason": one.reason,
        "fields": list(one.fields),
        "state": one.state,
        "since_ms": _ms(one.created_at),
        "who": one.who,
        "why": one.why,
    }


# Why a person must look, by the code that matching gives.
_REVIEWED = {
    "identifier_alone": "they share an identifier and nothing else confirms it",
    "contradiction": "they share an identifier and something contradicts it",
    "too_many_share": "very many records share this identifier",
}


def pair_line(one: Pair) -> str:
    """One review in a line; its records by the names that `jisr review` takes."""
    sides = [f"{key.agency}:{key.local_id}" for key in (one.a_key, one.b_key)]
    why = f"{_REVIEWED.get(one.reason, one.reason)}: {', '.join(one.fields)}"
    decided = f", {one.state}" + (f" by {one.who}: {one.why}" if one.who else "")
    return (
        f"{hub_name(one.a)} {hub_name(one.b)}: {' and '.join(sides)} ({one.a_key.record_type}), "
        f"{why}, since {local_time(_ms(one.created_at))}{decided}"
    )


def pair_json(one: Pair) -> dict[str, Any]:
    """One review."""
    return {
        "a": {"record": hub_name(one.a), **one.a_key._asdict()},
        "b": {"record": hub_name(one.b), **one.b_key._asdict()},
        "reason": one.reason,
        "fields": list(one.fields),
        "state": one.state,
        "since_ms": _ms(one.created_at),
        "who": one.who,
        "why": one.why,
    }


def _ms(moment: datetime.datetime) -> int:
    return int(moment.timestamp() * 1000)
