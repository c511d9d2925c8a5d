"""The few statements that lanes give to a connection themselves: positions, receipts, farewells, joining.

Each is known by its identity: a statement that is new in production fails here by its text.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from types import SimpleNamespace
from typing import Any

from hub.lanes import joining, restores
from hub.store import audit, brakes, disclosures, facts, history, positions, stewardship
from simulation.tables import Session

Parameters = Mapping[str, Any]
Answer = list[Any]


class Result(list[Any]):
    """Rows with the faces of SQLAlchemy's results that are asked for."""

    @property
    def rowcount(self) -> int:
        return len(self)

    def all(self) -> list[Any]:
        return self

    def one(self) -> Any:
        (row,) = self
        return row

    def one_or_none(self) -> Any:
        return self.one() if self else None

    def scalar_one(self) -> Any:
        (value,) = self.one()
        return value

    def scalar_one_or_none(self) -> Any:
        return self.scalar_one() if self else None


class Row(SimpleNamespace):
    """A row by name, or in order."""

    def __iter__(self) -> Iterator[Any]:
        return iter(vars(self).values())


class Statements:
    """`sqlalchemy.Connection`, for these statements alone."""

    def __init__(self, session: Session) -> None:
        self.session = session

    def execute(self, statement: Any, parameters: Parameters | list[Parameters] | None = None) -> Result:
        if statement not in ANSWERS:
            raise NotImplementedError(f"the simulated store does not know: {statement}")
        many = parameters if isinstance(parameters, list) else [parameters or {}]
        return Result(row for one in many for row in ANSWERS[statement](self.session, one) or ())


def _positions(session: Session, p: Parameters) -> Answer:
    return [
        Row(topic=row[1], partition=row[2], topic_id=row[3], next_offset=row[4])
        for _, row in session.rows("position")
        if row[0] == p["lane"] and row[1] in p["topics"]
    ]


def _first_position(session: Session, p: Parameters) -> None:
    key = (p["lane"], p["topic"], p["partition"])
    session.lock("position", key)
    if session.get("position", key) is None:
        session.put("position", key, (*key, p["topic_id"], p["next_offset"]))


def _leftover(session: Session, p: Parameters) -> Answer:
    before_ms = session.schedule.now_ms - p["age_s"] * 1000
    found = [
        Row(id=number, payload=row[2])
        for number, row in session.rows("publication")
        if (row[1] == p["worker"] or row[3] < before_ms) and not session.is_locked("publication", number)
    ][: p["limit"]]
    for row in found:
        session.lock("publication", row.id)
    return found


def _save_receipt(session: Session, p: Parameters) -> None:
    key = (p["topic"], p["partition"])
    session.lock("receipt", key)
    known = session.get("receipt", key)
    if known is None or known[4] <= p["committed_ms"] or known[3] < p["next_offset"]:
        row = (*key, p["agency"], p["next_offset"], p["committed_ms"], p["epoch"], p["set_back_ms"])
        session.put("receipt", key, row)


def _save_undelivered(session: Session, p: Parameters) -> None:
    key = (p["agency"], p["entity"])
    session.lock("undelivered", key)
    known = session.get("undelivered", key)
    if known is None or known[3] <= p["version"]:
        row = (*key, p["record_type"], p["version"], p["state"], p["code"], p["column_name"])
        session.put("undelivered", key, row)


def _drop_undelivered(session: Session, p: Parameters) -> None:
    key = (p["agency"], p["entity"])
    known = session.get("undelivered", key)
    if known is not None and known[3] <= p["version"]:
        session.delete("undelivered", key)


def _save_farewell(session: Session, p: Parameters) -> None:
    names = ("agency", "entity", "record_type", "topic", "partition", "kafka_offset", "version")
    row = tuple(p[name] for name in names)
    known = session.get("farewell", row[:2])
    if known is None or known[6] <= row[6]:
        session.put("farewell", row[:2], row)


def _take_farewells(session: Session, p: Parameters) -> Answer:
    taken = []
    for key, row in sorted(session.rows("farewell"), key=lambda item: item[1][1])[: p["limit"]]:
        receipt = session.get("receipt", row[3:5])
        if receipt is not None and receipt[3] > row[5] and not session.is_locked("farewell", key):
            session.delete("farewell", key)
            taken.append((*row[:3], row[6]))
    return taken


def _decision(session: Session, p: Parameters) -> Answer:
    key = (p["a"], p["b"])
    if session.get("decision", key) is None:
        return []
    session.lock("decision", key)
    _, _, same, stamp = session.get("decision", key) or key
    return [Row(same=same, stamp=stamp, who="", why="")]


def _save_decision(session: Session, p: Parameters) -> None:
    key = (p["a"], p["b"])
    session.lock("decision", key)
    known = session.get("decision", key)
    if known is None or known[3] < p["stamp"]:
        session.put("decision", key, (*key, p["same"], p["stamp"]))


def _close_review(session: Session, p: Parameters) -> None:
    for key in ((p["a"], p["b"]), (p["b"], p["a"])):
        if session.get("review", key) is not None:
            session.lock("review", key)
            row = session.get("review", key) or ()
            session.put("review", key, (*row[:4], p["state"]))


def _settle_reviews(session: Session, p: Parameters) -> None:
    for key, row in session.rows("review"):
        one, other = (session.get("record", record) or [None] * 6 for record in key)
        if row[4] == "open" and one[5] in p["entities"] and one[5] == other[5]:
            session.put("review", key, (*row[:4], "settled"))


def _leave_publication(session: Session, p: Parameters) -> None:
    session.tables.serial += 1
    number, long_ago_ms = session.tables.serial, session.schedule.now_ms - 86_400_000
    session.put("publication", number, (number, "steward", p["payload"], long_ago_ms))


def _nothing(_session: Session, _p: Parameters) -> None:
    pass


def _settings(session: Session, _: Parameters) -> Answer:
    return [Row(name=name, value=row[0]) for name, row in session.rows("setting")]


def _put_setting(session: Session, p: Parameters) -> None:
    session.put("setting", p["name"], (p["value"],))


def _change_setting(session: Session, p: Parameters) -> Answer:
    session.lock("setting", p["name"])
    if session.get("setting", p["name"]) == (p["value"],):
        return []
    _put_setting(session, p)
    return [Row(name=p["name"])]


def _fact(session: Session, p: Parameters) -> Answer:
    row = session.get("setting", p["name"])
    return [] if row is None else [Row(value=row[0])]


def _said(session: Session, p: Parameters) -> Answer:
    """Topics that are read up to where their agency's side said that an epoch was complete."""
    found = []
    for topic in sorted(p["topics"]):
        read = {row[2]: row[4] for _, row in session.rows("position") if row[:2] == (p["lane"], topic)}
        told = [row for _, row in session.rows("receipt") if row[0] == topic and row[1] in read]
        epochs = {row[5] for row in told}
        if len(epochs) == 1 and min(epochs) > 0 and all(read[row[1]] >= row[3] for row in told):
            set_back_ms = min(row[6] for row in told)
            found.append(Row(topic=topic, partitions=len(told), epoch=min(epochs), set_back_ms=set_back_ms))
    return found


def _living(session: Session, p: Parameters) -> Answer:
    rows = sorted((row for _, row in session.rows("record")), key=lambda row: (row[3], row[4]))
    beyond = (p["local_id"], p["incarnation"])
    found = [
        Row(local_id=row[3], incarnation=row[4], seen=row[7], asserts=row[10])
        for row in rows
        if row[1:3] == (p["agency"], p["record_type"]) and not row[8] and row[3:5] > beyond
    ]
    return found[: p["limit"]]


def _unread(session: Session, p: Parameters) -> Answer:
    # No message of a run is ever a dead letter; if one is, the judge says so.
    return [Row(exists=False)]


def _live(session: Session, p: Parameters) -> Answer:
    rows = [row for _, row in session.rows("record") if row[1:3] == (p["agency"], p["record_type"])]
    return [Row(count=sum(not row[8] for row in rows))]


def _snapshot(session: Session, p: Parameters) -> Answer:
    taken_in, read = 0, 0
    for _, (lane, topic, partition, _, next_offset) in session.rows("position"):
        if lane == p["lane"] and topic in p["topics"]:
            receipt = session.get("receipt", (topic, partition))
            taken_in += receipt is not None and next_offset >= receipt[3]
            read += next_offset
    return [Row(taken_in=taken_in, read=read)]


def _all_due(session: Session, p: Parameters) -> None:
    those = [
        (p["types"].index(row[1]), entity) for entity, row in session.rows("entity") if row[1] in p["types"]
    ]
    add_due(session, {entity: 0 for _, entity in sorted(those)})


def add_due(session: Session, days: Mapping[bytes, int]) -> None:
    """Rows of `due`: (day, entity), in this order, where there is none of that day."""
    there = {row for _, row in session.rows("due")}
    for entity in days:
        if (days[entity], entity) not in there:
            session.tables.serial += 1
            session.put("due", session.tables.serial, (days[entity], entity))


ANSWERS: dict[Any, Callable[[Session, Parameters], Answer | None]] = {
    positions._POSITIONS: _positions,
    positions._FIRST_POSITION: _first_position,
    positions._LEFTOVER: _leftover,
    positions._SAVE_RECEIPTS: _save_receipt,
    positions._SAVE_UNDELIVERED: _save_undelivered,
    positions._DROP_UNDELIVERED: _drop_undelivered,
    positions._SAVE_FAREWELL: _save_farewell,
    positions._TAKE_FAREWELLS: _take_farewells,
    restores._SAID: _said,
    restores._LIVING: _living,
    restores._UNREAD: _unread,
    brakes._LIVE: _live,
    facts._FACT: _fact,
    facts._PUT: _put_setting,
    joining._SETTINGS: _settings,
    joining._PUT: _put_setting,
    joining._CHANGE: _change_setting,
    joining._SNAPSHOT: _snapshot,
    joining._ALL_DUE: _all_due,
    history._FORGET: _nothing,
    stewardship._DECISION: _decision,
    stewardship._SAVE_DECISION: _save_decision,
    stewardship._CLOSE_REVIEW: _close_review,
    stewardship._SETTLE_REVIEWS: _settle_reviews,
    stewardship._LEAVE_PUBLICATION: _leave_publication,
    audit._NOTE: _nothing,
    disclosures._BEGIN: _nothing,
    disclosures._END: _nothing,
    disclosures._OPEN: _nothing,
}
