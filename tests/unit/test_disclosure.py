"""What is counted as told and taken back, and how what was agreed on is kept and compared (R17)."""

from __future__ import annotations

from pathlib import Path

from hub.contracts.records import Catalogue
from hub.core.disclosure import UNKNOWN, WHOLE, mark, marks_of, moved
from hub.core.projection import Grant, Terms
from hub.lanes.agreed import agreed, differences, worded
from hub.lanes.intake_lane import due_limit

SCHEMAS = Path(__file__).parents[2] / "schemas"
A, B, C = mark("a"), mark("b"), mark("c")


def test_what_moves_between_two_tellings() -> None:
    held = marks_of(("a", "b"))
    assert moved(held, marks_of(("b", "a"))) == (frozenset(), frozenset())
    assert moved(held, marks_of(("b", "c"))) == ({C}, {A})
    assert moved(None, held) == ({WHOLE}, frozenset())
    assert moved(held, None) == (frozenset(), {WHOLE})
    assert moved(None, None) == (frozenset(), frozenset())
    # Of before nothing was kept: what was told then is not guessed, and what ends ends.
    assert moved(b"", held) == ({UNKNOWN}, frozenset())
    assert moved(b"", None) == (frozenset(), {WHOLE})


def test_no_two_fields_of_a_record_type_have_one_mark() -> None:
    for record in Catalogue.load(SCHEMAS / "records").records.values():
        names = [field.name for field in record.fields]
        assert len(set(map(mark, names))) == len(names)


def _terms(*grants: Grant, until: int = 100) -> tuple[Terms, ...]:
    return (Terms("ads", frozenset(), grants, until),)


def test_what_differs_in_what_was_agreed_on() -> None:
    first = Grant(frozenset({"cin", "phone"}), "care", False, True, None)
    second = Grant(frozenset({"disability"}), "care", True, False, 50)
    before = agreed(_terms(first, second), 10)
    assert differences(before, agreed(_terms(second, first), 10)) == []
    narrower = Grant(frozenset({"cin", "sex"}), "care", False, True, None)
    assert differences(before, agreed(_terms(narrower, second), 10)) == [
        {
            "agency": "ads",
            "purpose": "care",
            "consent": False,
            "create": True,
            "also": ["sex"],
            "no_longer": ["phone"],
        }
    ]
    # The day alone may end a grant, and an agreement.
    (over,) = differences(before, agreed(_terms(first, second), 51))
    assert (over["consent"], over["also"], over["no_longer"]) == (True, [], ["disability"])
    gone = differences(before, agreed((), 10))
    assert [one["no_longer"] for one in gone] == [["cin", "phone"], ["disability"]]
    assert gone == differences(before, agreed(_terms(first, second), 101))
    assert list(worded(gone)) == [
        "ads may hold for care (rows made): no longer cin, phone",
        "ads may hold for care, with consent (rows that it has): no longer disability",
    ]


def test_batches_of_what_is_due_take_as_long_as_a_live_change_may_wait() -> None:
    assert due_limit(100, 100, 0.001) == 200, "no more than twice as many at once"
    assert due_limit(800, 800, 0.8) == 200
    assert due_limit(400, 4, 8.0) == 100, "some always go on"
    assert due_limit(1_000, 1_000, 0.01) == 1_000
    assert due_limit(400, 0, 5.0) == 400, "nothing taken tells nothing"
