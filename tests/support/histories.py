"""What agencies may say over time, drawn by Hypothesis: few values, so that records meet and disagree.

A history is a list of local records' lives, each a list of changes in the order of its key. `arrivals`
draws in which order, how often and in what batches they come.
"""

from __future__ import annotations

import datetime
from collections.abc import Iterator, Sequence
from typing import Any

from hypothesis import strategies as st
from hypothesis.strategies import DrawFn

from hub.core.assertions import Change, RecordKey
from hub.core.policy import STEWARD
from support.changes import record_id, said
from support.contracts import HEALTH, INTEGRATION, TODAY

# Further apart than the window in which rewrites are counted: disputes are history, not state (R19).
_TICK_MINUTES = 11
_EPOCH = datetime.date(1970, 1, 1)

Life = list[Change]


def day(number: int) -> datetime.date:
    return _EPOCH + datetime.timedelta(days=number)


_VALUES: dict[str, dict[str, list[Any]]] = {
    "person": {
        "family_name_ar": ["العلوي", "العلوي", "الإدريسي"],
        "given_name_ar": ["فاطمة", "فاطمة", "سعيد"],
        "birth_date": [day(7_000), day(7_000), day(7_000), day(7_001), None],
        "sex": ["female", "female", "female", "male", None],
        "commune": ["11.321.01.03", "12.066.01.01", None],
        "phone": ["+212612345678", "+212612345679", None],
        "education_level": ["none", "primary", "higher", None],
        "disability": ["none", "motor", None],
        "languages": [["ar"], ["ar", "fr"], []],
        "received_on": [day(19_000), day(19_001), None],
    },
    "centre": {"code": ["MA-LAA-0001", "MA-LAA-0002"], "capacity": [10, 20, None], "phone": [None]},
    "enrolment": {
        "number": ["INS-2026-000001", "INS-2026-000001", "INS-2026-000002"],
        "person": ["p1", "p1", "p2", None],
        "centre": ["c1", None],
        "status": ["active", "completed", None],
        "modules": [["french"], ["sewing", "french"]],
    },
    "consent": {
        "person": ["p1", "p1", "p2"],
        "purpose": [HEALTH, HEALTH, INTEGRATION],
        "recipients": [["ads", "health"], ["health"], ["region"]],
        "status": ["given", "given", "given", "withdrawn"],
        "given_on": [day(TODAY - 1), day(TODAY), None],
        "valid_until": [day(TODAY), None, None, day(TODAY - 1)],
    },
    "cooperative": {
        "name": ["Tifaout", "Tifaout", "Argane"],
        "commune": ["11.321", "11.321", "12.066"],
        "president": ["p1", "p2", None],
        "members": [3, 20, None],
        "active": [True, False, None],
        "founded_on": [day(9_000), day(9_001), None],
        "crafts": [["zellige"], ["weaving", "zellige"]],
    },
}
# What is said together: who somebody is, what becomes of them, or only a part of it.
_SPOKEN: dict[str, list[tuple[str, ...]]] = {
    "person": [
        ("birth_date", "sex", "family_name_ar", "given_name_ar"),
        ("birth_date", "phone", "education_level", "languages"),
        ("family_name_ar", "given_name_ar", "received_on", "commune"),
        ("birth_date",),
        ("disability", "phone", "received_on", "languages"),
        ("phone", "education_level"),
        (),
    ],
    "centre": [("code", "capacity"), ("code",), ("capacity", "phone")],
    "enrolment": [
        ("number", "person", "centre", "status"),
        ("number", "person", "modules"),
        ("person", "status"),
        ("number", "modules"),
    ],
    "consent": [
        ("person", "purpose", "recipients", "status"),
        ("person", "purpose", "recipients", "status", "given_on", "valid_until"),
        ("status",),
        ("person",),
        ("recipients", "valid_until"),
    ],
    "cooperative": [
        ("name", "commune", "members", "crafts"),
        ("name", "president"),
        ("commune", "founded_on"),
        ("active", "members"),
    ],
}
_IDENTIFIERS: dict[str, list[str]] = {
    "cin": ["SH1", "SH1", "SH2"],
    "massar_code": ["R130000001", "R130000002"],
}
# The same for evidence of who somebody is as for all else (R16).
_OF_STEWARDS = ["cin", "birth_date", "given_name_ar", "phone", "education_level", "received_on", "languages"]
_LOCAL_IDS = {
    "person": ["p1", "p2"],
    "centre": ["c1"],
    "enrolment": ["e1", "e2"],
    "consent": ["k1", "k2"],
    "cooperative": ["o1", "o2"],
}
_SAYS = {
    "person": ["entraide", "ads", "region", "health"],
    "centre": ["entraide", "ads"],
    "enrolment": ["entraide", "ads"],
    "consent": ["entraide", "ads"],
    "cooperative": ["entraide", "ads"],
}
_OTHERS = ["enrolment", "enrolment", "consent", "consent", "cooperative", "cooperative", "centre"]


def _places(kinds: list[str]) -> st.SearchStrategy[tuple[str, str, str]]:
    return st.sampled_from(
        [(kind, agency, local) for kind in kinds for agency in _SAYS[kind] for local in _LOCAL_IDS[kind]]
    )


@st.composite
def histories(draw: DrawFn, *, contradicting: bool = False) -> list[Life]:
    """The lives of a few local records of one to four people, and of things that refer to them.

    `contradicting`: a record may change one strong identifier for another; then what is held depends on
    the order of its key, which a topic keeps (R14).
    """
    people = draw(st.lists(_places(["person"]), min_size=1, max_size=4, unique=True))
    # Half of the time about papers rather than people: enrolments and consents must find their person.
    kinds, least = draw(st.sampled_from([(_OTHERS, 0), (["enrolment", "consent"], 2)]))
    others = draw(st.lists(_places(kinds), min_size=least, max_size=3, unique=True))
    places = [*people, *others]
    founders = [record_id(RecordKey(agency, "person", local, 0)) for _, agency, local in people]
    lives = []
    for kind, agency, local in places:
        tick = draw(st.integers(0, 4))
        for incarnation in range(draw(st.sampled_from([1, 1, 1, 2]))):
            record = RecordKey(agency, kind, local, incarnation)
            life, tick = _life(draw, record, tick, founders, contradicting)
            lives.append(life)
    return lives + _words(draw, founders)


def _words(draw: DrawFn, founders: Sequence[bytes]) -> list[Life]:
    """What a steward says of a field of somebody, says otherwise, or takes back."""
    lives = []
    for number in range(draw(st.sampled_from([0, 0, 0, 1, 2]))):
        record, tick = RecordKey(STEWARD, "person", f"w{number}", 0), draw(st.integers(0, 6))
        entity, name = draw(st.sampled_from(founders)), draw(st.sampled_from(_OF_STEWARDS))
        values = st.sampled_from((_VALUES["person"] | _IDENTIFIERS)[name])
        life = []
        for _ in range(draw(st.sampled_from([1, 1, 2]))):
            tick += 1
            word = {name: draw(values)}
            life.append(said(record, tick * _TICK_MINUTES, entity=entity, confirmed=True, **word))
        if draw(st.sampled_from([False, False, True])):
            life.append(said(record, (tick + 1) * _TICK_MINUTES, "unlink"))
        lives.append(life)
    return lives


def _life(
    draw: DrawFn, record: RecordKey, tick: int, founders: Sequence[bytes], contradicting: bool
) -> tuple[Life, int]:
    kind = record.record_type
    always = {name: draw(st.sampled_from(values)) for name, values in _IDENTIFIERS.items()}
    life = []
    for position in range(draw(st.sampled_from([1, 2, 2, 3, 4]))):
        tick += draw(st.sampled_from([0, 1, 2]))
        first = position == 0 and draw(st.sampled_from([True, True, False]))
        operation = draw(st.sampled_from(["insert", "snapshot", "link"])) if first else "update"
        values = {n: draw(st.sampled_from(_VALUES[kind][n])) for n in draw(st.sampled_from(_SPOKEN[kind]))}
        if kind == "person":
            values |= _identifiers(draw, always, contradicting)
        life.append(
            said(
                record,
                tick * _TICK_MINUTES,
                operation,
                counter=position,
                asserted=0 if operation == "snapshot" else None,
                entity=draw(st.sampled_from(founders)) if operation == "link" and kind == "person" else None,
                removed=_removed(draw, kind, values) if operation == "update" else None,
                **values,
            )
        )
    if draw(st.sampled_from([False] * 7 + [True])):
        tick += 1
        life.append(said(record, tick * _TICK_MINUTES, "delete", counter=9))
    return life, tick + 1


def _identifiers(draw: DrawFn, always: dict[str, str], contradicting: bool) -> dict[str, Any]:
    """Learned late, early or never; taken away again; or, if `contradicting`, changed for another."""
    said_now = {}
    for name, chances in (("cin", [True, True, False]), ("massar_code", [False, False, True])):
        if draw(st.sampled_from(chances)):
            value = draw(st.sampled_from(_IDENTIFIERS[name])) if contradicting else always[name]
            said_now[name] = draw(st.sampled_from([value, value, value, value, None]))
    return said_now


def _removed(draw: DrawFn, kind: str, values: dict[str, Any]) -> dict[str, list[str]]:
    lists = [name for name, value in values.items() if isinstance(value, list)]
    return {
        name: draw(st.sampled_from([item for item in _VALUES[kind][name] if item]))[:1]
        for name in lists
        if draw(st.booleans())
    }


@st.composite
def arrivals(draw: DrawFn, lives: Sequence[Life], *, in_key_order: bool = False) -> list[list[Change]]:
    """The changes of `lives` in some order, some of them twice, cut into batches.

    `in_key_order`: as a topic keeps it, each key's changes in theirs; a repetition comes later.
    """
    if in_key_order:
        order = list(_interleaved(draw, lives))
    else:
        order = draw(st.permutations([change for life in lives for change in life]))
    doubled = draw(st.lists(st.integers(0, len(order) - 1), max_size=4))
    for position in doubled:
        later = draw(st.integers(position + 1, len(order)))
        order.insert(later, order[position])
    cuts = sorted(draw(st.sets(st.integers(1, len(order)), max_size=len(order))))
    batches = [order[a:b] for a, b in zip([0, *cuts], [*cuts, len(order)], strict=True)]
    return [batch for batch in batches if batch]


def _interleaved(draw: DrawFn, lives: Sequence[Life]) -> Iterator[Change]:
    # All lives of one local id share its key.
    keys: dict[tuple[str, str, str], list[Change]] = {}
    for life in lives:
        for change in life:
            keys.setdefault(change.key[:3], []).append(change)
    turns = draw(st.permutations([key for key, changes in keys.items() for _ in changes]))
    waiting = {key: iter(changes) for key, changes in keys.items()}
    return (next(waiting[key]) for key in turns)
