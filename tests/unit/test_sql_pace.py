"""How many rows a transaction of the sink takes."""

from __future__ import annotations

from connectors.sql.pace import AIM_S, FEWEST_ROWS, FIRST_ROWS, MOST_ROWS, Pace


def after(*transactions: tuple[int | None, float]) -> int:
    """The pace after transactions of (rows, or as many as it takes; seconds a row)."""
    pace = Pace()
    for rows, per_row_s in transactions:
        taken = rows or pace.rows
        pace.took(taken, taken * per_row_s)
    return pace.rows


def test_a_fast_database_takes_more_and_a_slow_one_less() -> None:
    assert after((None, 1e-6)) > FIRST_ROWS > after((None, 1e-2))
    assert after(*[(None, 1e-6)] * 20) == MOST_ROWS
    assert after(*[(None, 1.0)] * 20) == FEWEST_ROWS


def test_it_comes_to_rest_where_locks_are_held_as_long_as_they_may_be() -> None:
    assert abs(after(*[(None, AIM_S / 400)] * 20) - 400) <= 1


def test_a_few_rows_that_were_fast_tell_nothing_and_a_few_that_were_slow_do() -> None:
    assert after((1, AIM_S / 2)) == FIRST_ROWS
    assert after((1, 2 * AIM_S)) < FIRST_ROWS
