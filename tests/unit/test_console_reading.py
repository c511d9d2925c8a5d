"""What is wrong with a message is told in the reader's language: every sentence that the code can say."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from hub.console.dead_letter_words import held_in_words
from hub.console.holds import REASONS as HOLD_REASONS
from hub.console.languages import load_languages
from hub.console.reading_words import told
from hub.console.wording import Wording
from hub.contracts.records import Catalogue
from hub.core import stamps
from hub.ops.parts import stamp_time

ROOT = Path(__file__).parents[2]
LANGUAGES = load_languages()
CATALOGUE = Catalogue.load(ROOT / "schemas" / "records")
# Where messages of agencies are read. What a receipt says wrongly never becomes a dead letter.
READERS = (
    "hub/contracts/values.py",
    "hub/contracts/wire.py",
    "hub/contracts/registry_client.py",
    "hub/contracts/own_schemas.py",
    "hub/lanes/reading.py",
    "hub/ops/anatomy.py",
)
# Said in full elsewhere: `code, message`, and the code alone.
PREFIX = {"InvalidValue": "field cin: "}


def sentences() -> Iterator[str]:
    """Every sentence that a reader's error is made with; X stands where a value does."""
    for name in READERS:
        tree = ast.parse((ROOT / name).read_text(encoding="utf-8"))
        texts = {
            node.targets[0].id: node.value
            for node in ast.walk(tree)
            if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name)
        }
        for node in ast.walk(tree):
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") in ("SkipRecord", "InvalidValue"):
                said = node.args[1]
                said = texts[said.id] if isinstance(said, ast.Name) else said
                yield PREFIX.get(node.func.id, "") + text(said)  # type: ignore[attr-defined]


def text(node: ast.expr) -> str:
    if isinstance(node, ast.JoinedStr):
        return "".join(one.value if isinstance(one, ast.Constant) else "X" for one in node.values)  # type: ignore[misc]
    assert isinstance(node, ast.Constant), ast.dump(node)
    return str(node.value)


def visit(language: str) -> Any:
    speaks = LANGUAGES[language]
    return SimpleNamespace(words=speaks.messages.gettext, wording=Wording(speaks, CATALOGUE, {}))


SENTENCES = sorted({*sentences()} - {"field X: X"})


def test_all_readers_were_looked_through() -> None:
    assert len(SENTENCES) > 35


@pytest.mark.parametrize("said", SENTENCES)
def test_every_sentence_of_a_reader_is_told_in_every_language(said: str) -> None:
    assert told(visit("en"), said) == (said, True)
    for language in ("ar", "fr"):
        found = told(visit(language), said)
        assert found.known
        assert found.text != said
        # Nothing of it was left in English: not even what follows a field's name.
        assert not told(visit("en"), found.text).known


def test_values_stay_and_forms_are_the_contracts_own() -> None:
    spec = CATALOGUE.records["person"].by_name["cin"]
    found = told(visit("fr"), f"field cin: not of the form: {spec.pattern_hint['en']}")
    assert found.text == f"champ \u2068cin\u2069 : pas de la forme : {spec.pattern_hint['fr']}"
    phone = CATALOGUE.records["person"].by_name["phone"]
    assert "\u2066+212\u2069" in visit("ar").wording.hint(phone), "the plus stands before the number"
    assert "17" in told(visit("ar"), "17 bytes follow the record").text


@pytest.mark.parametrize("language", ["ar", "fr", "en"])
def test_a_field_goes_by_the_contracts_words_where_its_record_type_is_known(language: str) -> None:
    reader = visit(language)
    name = reader.wording.field("person", "phone")
    assert name != "phone"
    found = told(reader, "field phone: a date expected, not x", "person")
    assert found.known
    assert f"\u2068{name}\u2069" in found.text
    assert "phone" not in found.text.replace(name, "")


@pytest.mark.parametrize("language", ["ar", "fr", "en"])
def test_why_a_preview_would_be_held_is_told_in_words(language: str) -> None:
    reader = visit(language)
    found = held_in_words(reader, "person", "stale_form: phone, email; identifier_changed: cin")
    for name in ("phone", "email", "cin"):
        assert reader.wording.field("person", name) in found
    for code in ("stale_form", "identifier_changed"):
        assert reader.words(HOLD_REASONS[code]) in found
        assert code not in found


def test_a_stamp_is_told_as_a_date_of_the_readers_language() -> None:
    stamp = stamps.capture(1_767_225_600_000, 0)
    told_plainly, counted = stamp_time(stamp), stamp_time(stamp + 3)
    assert counted == f"{told_plainly} +3"
    for language in ("ar", "fr", "en"):
        wording = visit(language).wording
        assert wording.stamp(told_plainly) == wording.stamp(counted) == wording.unix(1_767_225_600)
    assert visit("fr").wording.stamp("undated") == "undated"


@pytest.mark.parametrize("language", ["ar", "fr"])
def test_that_an_agency_may_not_say_it_is_told_in_the_readers_language(language: str) -> None:
    assert told(visit(language), "the agreements of this release let ads publish no person").known


def test_what_nobody_knows_is_shown_as_it_is_and_not_without_end() -> None:
    assert told(visit("ar"), "the moon is away") == ("the moon is away", False)
    assert len(told(visit("ar"), "z" * 1_000).text) == 300
