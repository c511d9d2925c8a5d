"""Notices as rows of the agency's own table: grouped, in its language, each counted once."""

from __future__ import annotations

import dataclasses
import random
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from sql_agency import Agency, empty_database

from connectors.compose import database
from connectors.sdk import Notice
from connectors.sql.notices import KEPT_MS, LOCAL_IDS, WINDOW_MS, SqlNoticeBoard
from hub.contracts.notices import TEXTS

TOPIC = ("entraide.notices", 0)
# The beginning of an hour of yesterday.
NINE_MS = int(time.time() * 1000) // WINDOW_MS * WINDOW_MS - 24 * WINDOW_MS


@pytest.fixture(params=["postgresql", "sqlite"])
def agency(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Agency]:
    made = Agency(request.param, empty_database(request.param, request, tmp_path), tmp_path)
    yield made
    made.close()


def board(agency: Agency, language: str = "fr") -> SqlNoticeBoard:
    mapping = dataclasses.replace(agency.mapping, language=language)
    return SqlNoticeBoard(database(agency.url), mapping)


def notice(number: int, local_id: str = "1", reason: str = "older", after_s: int = 0, **more: Any) -> Notice:
    message = {language: text.format(fields="tel") for language, text in TEXTS[reason].items()}
    given: dict[str, Any] = {"fields": ("phone",), "kind": "answered", "count": 1, **more}
    return Notice(
        notice_id=f"n{number}",
        reason=reason,
        record_type="person",
        at_ms=NINE_MS + after_s * 1000,
        local_id=local_id,
        message=message,
        partition=TOPIC,
        offset=number,
        **given,
    )


def posted(agency: Agency, *batches: Sequence[Notice]) -> list[tuple[Any, ...]]:
    one = board(agency)
    one.connect()
    try:
        for batch in batches:
            one.post(batch)
    finally:
        one.close()
    return shown(agency)


def shown(agency: Agency) -> list[tuple[Any, ...]]:
    columns = "reason, fields, times, local_ids, first_at, last_at, message"
    return agency.sql(f"SELECT {columns} FROM jisr_notice ORDER BY reason, at_ms, fields")


def test_alike_notices_are_one_row_in_the_agencys_language(agency: Agency) -> None:
    rows = posted(agency, [notice(n, str(n % 8), after_s=n) for n in range(40)])
    assert len(rows) == 1
    _, fields, times, local_ids, first_at, last_at, message = rows[0]
    assert times == 40
    assert str(local_ids).count("'") == 2 * LOCAL_IDS or str(local_ids).count('"') == 2 * LOCAL_IDS
    assert "phone" in str(fields)
    assert last_at > first_at
    assert message == TEXTS["older"]["fr"].format(fields="tel")


def test_what_is_not_alike_is_a_row_of_its_own(agency: Agency) -> None:
    rows = posted(
        agency,
        [notice(1), notice(2, reason="outranked"), notice(3, fields=("commune",))],
        [notice(4, after_s=WINDOW_MS // 1000)],
    )
    assert [row[2] for row in rows] == [1, 1, 1, 1]


def test_the_same_notices_in_any_order_and_again_give_the_same_rows(agency: Agency) -> None:
    those = [notice(n, str(n), after_s=n * 200) for n in range(30)]
    first = posted(agency, those)
    assert sum(row[2] for row in first) == 30
    agency.sql("DELETE FROM jisr_notice")
    agency.sql("DELETE FROM jisr_noted")
    random.Random(1).shuffle(those)
    assert posted(agency, those[:7], those[5:], those) == first


def test_a_notice_of_many_records_counts_them_all(agency: Agency) -> None:
    assert [row[2] for row in posted(agency, [notice(1, count=800), notice(2, count=200)])] == [1000]


def test_reading_goes_on_behind_the_last_notice_also_one_that_came_twice(agency: Agency) -> None:
    one = board(agency)
    assert one.connect() == {}
    assert one.post([notice(1), notice(2)]) == 2
    assert one.post([dataclasses.replace(notice(2), offset=9)]) == 0
    one.close()
    again = board(agency)
    assert again.connect() == {TOPIC: 10}
    again.close()
    assert [row[2] for row in shown(agency)] == [2]


def test_staff_may_delete_rows_and_old_ones_go_by_themselves(agency: Agency) -> None:
    one = board(agency)
    one.connect()
    one.post([dataclasses.replace(notice(1), at_ms=one.db.clock_ms() - KEPT_MS - 2 * WINDOW_MS)])
    assert shown(agency) == []
    one.post([notice(2)])
    agency.sql("DELETE FROM jisr_notice")
    one.post([notice(3)])
    one.close()
    assert [row[2] for row in shown(agency)] == [1]
    # The position outlives what was forgotten.
    again = board(agency)
    assert again.connect() == {TOPIC: 4}
    again.close()


@pytest.mark.parametrize("language", ["ar", "fr", "en"])
def test_the_language_is_the_mappings(agency: Agency, language: str) -> None:
    one = board(agency, language)
    one.connect()
    one.post([notice(1, reason="duplicate", fields=())])
    one.close()
    assert shown(agency)[0][-1] == TEXTS["duplicate"][language]
