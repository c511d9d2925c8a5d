"""`jisr sweep` on the embedded stack leaves alone whoever has not joined."""

from __future__ import annotations

import sqlite3
from pathlib import Path

from support.console import unanswered

from hub.local.sweep_command import _at_agency


def test_a_database_without_a_connector_is_left_out_and_left_as_it_is(tmp_path: Path) -> None:
    file = tmp_path / "ads.db"
    file.touch()
    assert _at_agency(unanswered(), "ads", f"sqlite:///{file}", None, repair=True) == {}
    with sqlite3.connect(file) as database:
        assert database.execute("SELECT name FROM sqlite_master").fetchall() == []
