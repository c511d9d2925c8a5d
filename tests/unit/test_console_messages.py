"""The console's messages: there in every language, none left over, none said in two ways."""

from __future__ import annotations

import re
from collections import defaultdict
from pathlib import Path

import pytest
from babel.messages.catalog import Message
from babel.messages.extract import extract_from_dir
from babel.messages.pofile import read_po

from hub.console.languages import FOLDER, chosen, load_languages
from hub.console.wording import RECORD_TYPES
from hub.contracts.records import Catalogue

CONSOLE = FOLDER.parent
ROOT = CONSOLE.parents[1]
OPS = CONSOLE.parent / "ops"
KEYWORDS = {"_": None, "marked": None, "gettext": None, "ngettext": (1, 2)}
METHODS = [("**.py", "python"), ("templates/**.html", "jinja2")]
OPTIONS = {"**.html": {"newstyle_gettext": "true", "silent": "false"}}
LANGUAGES = load_languages()


def used() -> dict[object, str]:
    """Message → the first place that uses it."""
    found: dict[object, str] = {}
    for name, line, message, _, _ in extract_from_dir(CONSOLE, METHODS, OPTIONS, KEYWORDS):
        found.setdefault(message, f"hub/console/{name}:{line}")
    for name, line, message, _, _ in extract_from_dir(OPS, [("**.py", "python")], {}, {"Phrase": None}):
        found.setdefault(message, f"hub/ops/{name}:{line}")
    return found


def catalogued(language: str) -> dict[object, list[Message]]:
    found: dict[object, list[Message]] = defaultdict(list)
    for path in sorted((FOLDER / language).glob("*.po")):
        with path.open("rb") as source:
            for message in read_po(source, locale=language, abort_invalid=True):
                if message.id:
                    found[message.id].append(message)
    return found


def words(message: Message) -> list[str]:
    return [message.string] if isinstance(message.string, str) else list(message.string)


@pytest.mark.parametrize("language", ["ar", "fr"])
def test_every_message_is_translated_and_none_is_left_over(language: str) -> None:
    there, wanted = catalogued(language), used()
    assert {message: place for message, place in wanted.items() if message not in there} == {}, "untranslated"
    assert [message for message in there if message not in wanted] == [], "no page says this any more"
    for found in there.values():
        for message in found:
            assert all(words(message)), f"{language}: {message.id}"
            assert not message.fuzzy, f"{language}: {message.id}"


@pytest.mark.parametrize(("language", "forms"), [("ar", 6), ("fr", 2)])
def test_plurals_have_every_form_and_places_are_kept(language: str, forms: int) -> None:
    for found in catalogued(language).values():
        for message in found:
            plural = isinstance(message.id, tuple)
            assert len(words(message)) == (forms if plural else 1), message.id
            places = set(re.findall(r"%\(\w+\)s", message.id[-1] if plural else message.id))
            last = words(message)[-1]
            assert set(re.findall(r"%\(\w+\)s", last)) == places, message.id
            for one in words(message):
                assert set(re.findall(r"%\(\w+\)s", one)) <= places, message.id
                assert "%" not in re.sub(r"%\(\w+\)s", "", one), message.id


@pytest.mark.parametrize("language", ["ar", "fr"])
def test_a_message_in_two_files_says_the_same(language: str) -> None:
    for found in catalogued(language).values():
        assert len({message.string for message in found}) == 1, found[0].id


def test_every_record_type_of_the_release_has_a_heading() -> None:
    assert set(RECORD_TYPES) == set(Catalogue.load(ROOT / "schemas" / "records").records)


def test_an_untranslated_template_would_be_found(tmp_path: Path) -> None:
    (tmp_path / "templates").mkdir()
    (tmp_path / "templates" / "page.html").write_text('{{ _("Never said before") }}', encoding="utf-8")
    found = {one[2] for one in extract_from_dir(tmp_path, METHODS, OPTIONS, KEYWORDS)}
    assert found == {"Never said before"}


@pytest.mark.parametrize(
    ("number", "words"),
    [(1, "حقل واحد"), (2, "حقلان"), (3, "3 حقول"), (11, "11 حقلا"), (100, "100 حقل"), (103, "103 حقول")],
)
def test_arabic_counts_as_arabic_does(number: int, words: str) -> None:
    form = LANGUAGES["ar"].messages.ngettext("%(number)s field", "%(number)s fields", number)
    assert form % {"number": number} == words


@pytest.mark.parametrize(
    ("cookie", "accepted", "code"),
    [
        ("fr", "ar", "fr"),
        (None, "en-US,en;q=0.9", "en"),
        (None, "de, fr;q=0.4, en;q=0.8", "en"),
        (None, "fr-MA", "fr"),
        (None, "en;q=0, fr;q=0.1", "fr"),
        (None, "de", "ar"),
        (None, None, "ar"),
        ("xx", "; ;;q=9,,\x00", "ar"),
    ],
)
def test_the_language_is_chosen_then_asked_for_then_arabic(
    cookie: str | None, accepted: str | None, code: str
) -> None:
    assert chosen(cookie, accepted, LANGUAGES).code == code
