"""Prints of rows: they move by differences, in any order, and name the column that does not fit (R30)."""

from __future__ import annotations

import itertools
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.sdk import Sent
from connectors.sql.mapping import FieldMap, RecordMap, TableMap
from connectors.sql.restored import _number
from connectors.sql.row_print import SWEPT, Effect, RowPrinter, effects, minus, plus, value_print, written
from connectors.sql.rows import Captured, Columns
from connectors.sql.sweep import pause_s
from connectors.sql.sweep_state import DONE, ROWS, SHADOWS, Cost, Finding, Sweep, onward

MAIN = TableMap(0, "t", "id", fields=(FieldMap("cin", ("cin",)), FieldMap("phone", ("a", "b"))))
PART = TableMap(1, "p", "id", fields=(FieldMap("commune", ("commune",)),))
RECORD = RecordMap("person", (MAIN, PART))
PRINTER = RowPrinter(RECORD)
NUMBERS = itertools.count(1)


def row(op: str, old: Columns | None, new: Columns | None, part: int = 0, txid: int = 1) -> Captured:
    return Captured(next(NUMBERS), txid, "person", part, "7", op, 0, 0, 0, old, new)


def effect(*rows: Captured) -> Effect:
    return effects(rows, {"person": PRINTER})["person"]["7"]


def test_null_is_nothing_and_everything_else_is_something() -> None:
    assert value_print(None) == 0
    values = ["", "1", " ", 1, 0, True, 2.5, Decimal("1.50"), [], ["a"], ["a", None], b"x"]
    prints = [value_print(value) for value in values]
    assert 0 not in prints
    assert len(set(prints)) == len(values)


def test_a_float_that_went_through_fifteen_digits_is_the_same() -> None:
    number = 0.1 + 0.2
    assert number != float(f"{number:.15g}")
    assert value_print(number) == value_print(float(f"{number:.15g}"))


def test_differing_names_the_columns() -> None:
    before = PRINTER.of({0: {"cin": "A", "a": "1", "b": "2"}, 1: {"commune": "x"}})
    after = PRINTER.of({0: {"cin": "A", "a": "1", "b": "3"}})
    assert PRINTER.differing(before, after) == [(0, "b"), (1, "commune")]
    assert PRINTER.nulls(after) == {(1, "commune")}
    assert PRINTER.differing(before, before) == []


@pytest.mark.parametrize("order", list(itertools.permutations(range(3))))
def test_steps_lead_from_the_first_image_to_the_last_in_any_order(order: tuple[int, ...]) -> None:
    images: list[Columns] = [{"cin": "A", "a": None}, {"cin": "B", "a": "1"}, {"cin": "B"}, {"cin": None}]
    steps = [PRINTER.step(0, before, after) for before, after in itertools.pairwise(images)]
    moved = PRINTER.of({0: images[0]})
    for place in order:
        moved = plus(moved, steps[place])
    assert moved == PRINTER.of({0: images[-1]})


def test_what_was_never_noted_is_never_cancelled() -> None:
    first, silent, last = {"cin": "A"}, {"cin": "S"}, {"cin": "B"}
    noted = plus(PRINTER.of({0: first}), PRINTER.step(0, silent, last))
    assert PRINTER.differing(noted, PRINTER.of({0: last})) == [(0, "cin")]


def test_the_same_silent_change_twice_does_not_cancel_itself() -> None:
    """A job that writes behind the triggers every night, and people who put it back every day."""
    noted = PRINTER.of({0: {"cin": "M"}})
    for _ in range(9):
        noted = plus(noted, PRINTER.step(0, {"cin": "F"}, {"cin": "M"}))
        assert PRINTER.differing(noted, PRINTER.of({0: {"cin": "F"}}))


@given(st.lists(st.integers(0, 2**32 - 1), max_size=5), st.lists(st.integers(0, 2**32 - 1), max_size=5))
def test_columns_are_added_and_taken_apart_each_by_itself(one: list[int], other: list[int]) -> None:
    a, b = (sum(n << (32 * i) for i, n in enumerate(numbers)) for numbers in (one, other))
    lanes = [(x + y) % 2**32 for x, y in itertools.zip_longest(one, other, fillvalue=0)]
    assert plus(a, b) == sum(n << (32 * i) for i, n in enumerate(lanes))
    assert minus(plus(a, b), b) == a
    assert plus(minus(a, b), b) == a


def test_a_number_in_place_of_its_text_is_another_value() -> None:
    assert PRINTER.step(0, {"cin": "1"}, {"cin": 1}) != 0
    assert PRINTER.step(0, {"cin": 1}, {"cin": 1.0}) == (value_print(1.0) - value_print(1)) % 2**32


def test_an_unknown_print_stays_unknown_unless_a_life_begins_or_ends() -> None:
    assert effect(row("U", {"cin": "A"}, {"cin": "B"})).on(None, life=0) is None
    image = {"cin": "A"}
    assert effect(row("I", None, image)).on(None, life=0) == written(PRINTER.of({0: image}))
    assert effect(row("D", image, None)).on(None, life=None) == "0"
    # Who had the id before: the row that is there now was made after it (R14).
    for op, old, new in (("D", image, None), ("I", None, image), ("U", image, {"cin": "B"})):
        assert effect(row(op, old, new)).on("abc", life=1) == "abc"


def test_a_new_life_begins_anew_whatever_was_left_of_the_last() -> None:
    image, part = {"cin": "A"}, {"commune": "x"}
    lives = [
        row("I", None, part, part=1),
        row("I", None, image),
    ]
    assert effect(*lives).on("abc", life=0) == written(PRINTER.of({0: image, 1: part}))
    ended = [row("D", {"cin": "Z"}, None), row("D", {"commune": "z"}, None, part=1), *lives]
    assert effect(*ended).on("abc", life=0) == written(PRINTER.of({0: image, 1: part}))


def test_what_a_sweep_queued_moves_nothing() -> None:
    assert effects([row("U", {"cin": "A"}, {"cin": "B"}, txid=SWEPT)], {"person": PRINTER}) == {}


def test_other_columns_are_another_form() -> None:
    assert RowPrinter(RecordMap("person", (MAIN,))).form != PRINTER.form
    assert RowPrinter(RecordMap("person", (MAIN, PART))).form == PRINTER.form


def test_a_sweep_goes_from_rows_to_shadows_to_its_end() -> None:
    found = [Finding("person", "7", "edited", ("cin",))]
    sweep = Sweep("person", phase=ROWS, started_ms=1_000)
    sweep = onward(sweep, "7", Cost(rows=2, bytes=10, seconds=0.5), found, 0)
    assert (sweep.phase, sweep.after) == (ROWS, "7")
    sweep = onward(sweep, None, Cost(), [], 0)
    assert (sweep.phase, sweep.after) == (SHADOWS, None)
    sweep = onward(sweep, None, Cost(keys=2), [], 3_000)
    assert (sweep.phase, sweep.finished_ms) == (DONE, 3_000)
    assert sweep.report == {
        "cost": {"rows": 2, "keys": 2, "bytes": 10, "seconds": 0.5},
        "found": {"edited": 1},
        "took_ms": 2_000,
    }


def test_the_pace_counts_the_time_that_reading_took() -> None:
    assert pause_s(Cost(rows=150, keys=50, seconds=0.1), rows_per_s=100) == pytest.approx(1.9)
    assert pause_s(Cost(rows=10, seconds=1), rows_per_s=100) == 0


@pytest.mark.parametrize(
    ("event_id", "number"),
    [
        ("ads:person:3-17", (3, 17)),
        ("ads:person:3-5f0c", (3, None)),
        ("ads:person:3-" + "1" * 32, (3, None)),
        ("ads:centre:3-17", (0, None)),
        ("another program's", (0, None)),
        ("ads:person:", (0, None)),
    ],
)
def test_the_number_of_an_event_id(event_id: str, number: tuple[int, int | None]) -> None:
    assert _number(Sent(event_id, "person", "7", 0, "update")) == number
