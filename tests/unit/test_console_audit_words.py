"""The audit trail in the reader's language: every form in which its subjects and details are kept."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from starlette.requests import Request
from support.console import away, console_of, contracts

from hub.console.audit_words import detail_in_words, subject_as_kept, subject_in_words
from hub.console.visit import Console, Visit

ENTITY, OTHER = "AAAAAAAAAAAAAAAAAAAAAA", "BBBBBBBBBBBB_BBBBBBB-B"
KEPT = (
    "hold 7",
    "hold B3",
    "dead letter 1",
    f"review {ENTITY} {OTHER}",
    "message ads.person.changes[2]@17",
    "token 4",
    "session 12",
    "lane intake: ads.person.changes[0]",
    "nobody",
)


@pytest.fixture(scope="module")
def console() -> Iterator[Console]:
    parts = contracts()
    with console_of(parts, open_log=away) as made:
        yield made
    parts.close()


def reader(console: Console, language: str) -> Visit:
    headers = [(b"accept-language", language.encode())]
    return Visit(console, Request({"type": "http", "method": "GET", "path": "/", "headers": headers}), {})


def plain(text: str) -> str:
    return re.sub("[\u2066-\u2069]", "", text)


@pytest.mark.parametrize("language", ["ar", "fr"])
@pytest.mark.parametrize("kept", KEPT)
def test_a_subject_is_told_in_the_readers_words_and_found_by_them(
    console: Console, language: str, kept: str
) -> None:
    visit = reader(console, language)
    told = subject_in_words(visit, kept)
    assert told.known
    words = plain(told.text)
    assert words != kept
    for value in re.findall(r"B?\d+|[\w.]+\[\d\]\S*|[\w-]{22}", kept):
        assert value in words
    assert subject_as_kept(visit, words) == subject_as_kept(visit, told.text) == kept
    assert subject_as_kept(visit, kept) == kept, "as the command line has it"


def test_agencies_and_files_go_by_their_names(console: Console) -> None:
    visit = reader(console, "fr")
    name = visit.wording.agency("ads")
    assert name != "ads"
    assert subject_in_words(visit, "ads").text == name
    assert name in subject_in_words(visit, "ads from 2026-01-01 10:00 to 2026-01-02 10:00").text
    assert plain(subject_in_words(visit, f"person {ENTITY}").text) == f"Personnes {ENTITY}"
    assert subject_in_words(visit, "what a later release says") == ("what a later release says", False)
    assert subject_as_kept(visit, ENTITY) == ENTITY


@pytest.mark.parametrize(
    ("action", "kept", "words"),
    [
        ("find", "local_id", "par le numéro d'un organisme"),
        ("release", "stale_form", "Un formulaire périmé"),
        ("release", "mass_delete, 30 changes", "Beaucoup de suppressions"),
        ("redrive", "applied", "appliqué"),
        ("pause", "source, sink", "Source"),
        ("retire", "what it said withdrawn", "retiré"),
    ],
)
def test_a_detail_is_told_in_the_readers_words(console: Console, action: str, kept: str, words: str) -> None:
    told = detail_in_words(reader(console, "fr"), action, "person", kept)
    assert told.known
    assert words in told.text


def test_an_identifier_is_named_as_the_contract_does(console: Console) -> None:
    visit = reader(console, "fr")
    assert detail_in_words(visit, "find", "person", "cin") == (visit.wording.field("person", "cin"), True)
    assert detail_in_words(visit, "make-token", None, "report: steward, 3 days").known is False
