"""The example connector (docs/examples/json_lines.py) keeps what every source keeps."""

from __future__ import annotations

import datetime
import importlib.util
import itertools
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

import pytest

from connectors.conformance import SourceCases, said
from connectors.sdk import Sent
from hub.contracts.records import Catalogue
from hub.errors import ConfigurationError, Retriable

ROOT = Path(__file__).parents[2]
RECORD = Catalogue.load(ROOT / "schemas" / "records").records["person"]


def example() -> Any:
    spec = importlib.util.spec_from_file_location("json_lines", ROOT / "docs" / "examples" / "json_lines.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


JsonLines = example().JsonLines


class File:
    """The agency's system: a program that appends to a file."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "edits.jsonl"
        self.path.touch()
        self._numbers = itertools.count(1)

    def source(self) -> Any:
        return JsonLines("tourism", RECORD, self.path)

    def insert(self, values: Mapping[str, Any]) -> str:
        local_id = str(next(self._numbers))
        self._append(local_id, "insert", values)
        return local_id

    def update(self, local_id: str, values: Mapping[str, Any]) -> None:
        self._append(local_id, "update", values)

    def delete(self, local_id: str) -> None:
        self._append(local_id, "delete", {})

    def _append(self, local_id: str, do: str, values: Mapping[str, Any]) -> None:
        # To the second, as many programs write it: edits of one second must come in their order all the same.
        at = datetime.datetime.now(tz=datetime.UTC).isoformat(timespec="seconds")
        given = {
            name: value.isoformat() if hasattr(value, "isoformat") else value
            for name, value in values.items()
        }
        with self.path.open("a", encoding="utf-8") as lines:
            lines.write(json.dumps({"at": at, "id": local_id, "do": do, "values": given}) + "\n")


class TestJsonLines(SourceCases):
    record = RECORD
    values: ClassVar = {
        "family_name_fr": "Alaoui",
        "given_name_fr": "Leila",
        "birth_date": datetime.date(1990, 3, 7),
    }
    edit: ClassVar = {"given_name_fr": "Layla"}

    @pytest.fixture
    def system(self, tmp_path: Path) -> File:
        return File(tmp_path)

    def test_a_line_that_is_still_being_written_is_not_read(self, system: File) -> None:
        system.insert(self.values)
        whole = system.path.read_bytes()
        system.path.write_bytes(whole + whole[:20])
        source = system.source()
        source.connect()
        assert [change.local_id for change in said(source)] == ["1"]

    def test_a_value_that_the_contract_does_not_allow_is_left_out(
        self, system: File, caplog: pytest.LogCaptureFixture
    ) -> None:
        system.insert({**self.values, "phone": "0612", "surname": "x"})
        source = system.source()
        source.connect()
        (change,) = said(source)
        assert set(change.changed) == set(self.values)
        assert "phone" in caplog.text
        assert "surname" in caplog.text
        assert "0612" not in caplog.text

    def test_a_deleted_id_that_is_used_again_is_another_life(self, system: File) -> None:
        local_id = system.insert(self.values)
        system.delete(local_id)
        system._append(local_id, "insert", self.values)
        source = system.source()
        source.connect()
        assert [change.incarnation for change in said(source)] == [0, 0, 1]

    def test_a_file_that_was_set_back_is_not_read_on(self, system: File) -> None:
        source = system.source()
        source.connect()
        with pytest.raises(ConfigurationError, match="put the whole back"):
            source.look_back([Sent("tourism:person:4096", "person", "1", 1, "insert")])

    def test_a_file_that_is_away_is_tried_again(self, system: File) -> None:
        source = system.source()
        source.connect()
        system.path.unlink()
        for call in (source.connect, source.backlog, lambda: source.read(1)):
            with pytest.raises(Retriable, match=r"edits\.jsonl: No such file"):
                call()

    def test_a_line_that_is_no_edit_ends_it_with_its_place(self, system: File) -> None:
        system.insert(self.values)
        begins = system.path.stat().st_size
        with system.path.open("a", encoding="utf-8") as lines:
            lines.write('{"id": "1", "do": "delete"}\n')
        source = system.source()
        source.connect()
        with pytest.raises(ConfigurationError, match=f"byte {begins}: no edit of the form"):
            said(source)


def test_what_is_not_set_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("JISR_BOOTSTRAP", raising=False)
    monkeypatch.chdir(ROOT)
    with pytest.raises(ConfigurationError, match="the variable JISR_BOOTSTRAP is not set"):
        example().main("tourism", "edits.jsonl")
