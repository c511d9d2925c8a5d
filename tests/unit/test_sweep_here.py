"""`jisr sweep`: what is in order is one line; whoever has not joined the embedded stack is left alone."""

from __future__ import annotations

import sqlite3
from pathlib import Path

from support.console import unanswered

from connectors.sql.sweep_state import Cost, Finding
from connectors.sweep_command import lines as agency_lines
from hub.local.sweep_command import _at_agency
from hub.ops import sweep


def test_a_database_without_a_connector_is_left_out_and_left_as_it_is(tmp_path: Path) -> None:
    file = tmp_path / "ads.db"
    file.touch()
    assert _at_agency(unanswered(), "ads", f"sqlite:///{file}", None, repair=True) == {}
    with sqlite3.connect(file) as database:
        assert database.execute("SELECT name FROM sqlite_master").fetchall() == []


def test_topics_in_order_are_one_line_and_each_other_its_own() -> None:
    clean = [sweep.TopicSwept(f"hub.{name}.golden", 5, 3, 0.25) for name in ("person", "centre")]
    missing = sweep.Finding("ads.person.inbox", "missing", None)
    assert sweep.lines([clean[0], sweep.TopicSwept("ads.person.inbox", 1, 2, 0.1, [missing]), clean[1]]) == [
        "as the store has them: 2 topics; 10 messages and 6 rows read, 0.50 s",
        "ads.person.inbox: 1 keys are not as the store has them; 1 messages and 2 rows read, 0.10 s",
        "  missing: 1 raised",
    ]


def test_record_types_in_order_are_one_line_and_each_other_its_own() -> None:
    edited = Finding("person", "217", "edited", ("phone",))
    found = {"person": (Cost(3, 3, 90, 0.5), [edited]), "centre": (Cost(2, 2, 60, 0.25), [])}
    assert agency_lines("ads", found) == [
        f"ads: rows are as they were known, of centre; {found['centre'][0].text()}",
        f"ads person: 1 rows are not as they were known; {found['person'][0].text()}",
        "  217: edited: phone; raised",
    ]
    assert agency_lines("ads", {}) == []
