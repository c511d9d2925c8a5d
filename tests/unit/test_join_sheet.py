"""The sheet of a plan: every word in three languages, and a page that loads and runs nothing."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from pathlib import Path
from string import Formatter

import pytest
from support.contracts import CATALOGUE

from hub.contracts.records import LANGUAGES
from hub.core import answers, matching, step
from hub.ops import join_effects, join_identity
from hub.ops.join_counts import Example, JoinCounts, TypeCounts, as_json, tally
from hub.ops.join_page import page
from hub.ops.join_sheet import Sheet, SheetMaker, lines
from hub.ops.join_words import WORDS

HOSTILE = "<script>alert(1)</script>\x1b[2J"


def found() -> JoinCounts:
    one = TypeCounts(rows=3, new=2, known=1, more=True)
    one.matched["identifier_and_name"] += 1
    tally(one.refused, ("bad_value", "phone", HOSTILE), Example("1••• (2)"))
    tally(one.reviews, ("contradiction", "cin"), Example("1••• (2)", why="ads:2••• (2)"))
    one.here_of("phone").add("filled", "gap", Example("p••• (2)", "", "+••• (13)"))
    one.at("ads").created = 2
    one.at("ads").of("phone").add("replaced", "outranked", Example("p••• (2)", "+•••", "+•••"))
    return JoinCounts("plan", "tourism", "2026-03-01 10:00:00.000+00:00", {"person": one})


def sheet(language: str) -> Sheet:
    return SheetMaker(CATALOGUE, language).sheet(found(), revealed=False)


class Tags(HTMLParser):
    """Which tags there are, whether all are closed, and what they ask for."""

    VOID = frozenset({"meta"})

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.names: set[str] = set()
        self.asked: dict[str, str | None] = {}
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.names.add(tag)
        self.asked |= dict(attrs)
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


@pytest.mark.parametrize(("language", "direction"), [("ar", "rtl"), ("fr", "ltr"), ("en", "ltr")])
def test_the_page_stands_by_itself_and_runs_nothing(language: str, direction: str) -> None:
    text = page(sheet(language))
    tags = Tags(text)
    assert tags.open == []
    assert (tags.asked["lang"], tags.asked["dir"]) == (language, direction)
    assert not tags.names & {"script", "link", "img", "iframe", "form", "object"}
    assert not re.search(r"\b(src=|href=|url\(|on\w+=)|@import", text)
    assert "&lt;script&gt;" in text


def test_a_terminal_obeys_nothing_that_stands_in_a_database() -> None:
    assert "\x1b" not in "".join(lines(sheet("en")))


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_number_stands_in_the_text(language: str) -> None:
    told = "\n".join(lines(sheet(language)))
    for text in ("tourism", "ads", "1••• (2)", "+••• (13)", "∅"):
        assert text in told
    assert WORDS["sampled"][language].split("{")[0] in told
    assert WORDS["covered"][language] in told
    assert "identifier_and_name" not in told


@pytest.mark.parametrize("name", WORDS)
def test_every_word_is_there_in_three_languages_with_the_same_places(name: str) -> None:
    assert WORDS[name].keys() == set(LANGUAGES)
    places = [{one for _, one, _, _ in Formatter().parse(text) if one} for text in WORDS[name].values()]
    assert places[0] == places[1] == places[2]
    assert all(text.strip() for text in WORDS[name].values())


def test_every_rule_has_its_words() -> None:
    rules = {
        join_effects.GAP,
        join_effects.IDENTITY,
        join_effects.UNION,
        join_effects.ENTITLED,
        *join_identity.BY.values(),
    }
    rules |= {join_identity.NATURAL_KEY, join_identity.CREATED_FOR, join_identity.THROUGH_OTHERS}
    rules |= {answers.NO_AUTHORITY, answers.OLDER, answers.OUTRANKED, "immutable", "max", "tie"}
    reasons = set(re.findall(r'Review\([^"]*"(\w+)"', Path(matching.__file__).read_text(encoding="utf-8")))
    assert len(reasons) == 3
    assert rules | reasons | {step.IDENTIFIER_CHANGED} <= WORDS.keys()


def test_programs_get_the_same_keys_whatever_was_found() -> None:
    empty = as_json(JoinCounts("plan", "tourism", "now", {"person": TypeCounts()}))
    full = as_json(found())
    assert empty.keys() == full.keys()
    assert empty["records"]["person"].keys() == full["records"]["person"].keys()
    assert full["records"]["person"]["refused"] == [
        {
            "code": "bad_value",
            "field": "phone",
            "column": HOSTILE,
            "number": 1,
            "examples": [{"key": "1••• (2)", "before": "", "after": "", "why": ""}],
        }
    ]


def test_kinds_of_records_that_there_are_none_of_are_left_out() -> None:
    empty = JoinCounts("plan", "tourism", "2026-03-01 10:00:00.000+00:00", {"person": TypeCounts()})
    counted = SheetMaker(CATALOGUE, "en").sheet(empty, revealed=True).sections[0].tables[0]
    assert counted.rows == [("records read", "0")]
    kinds = [kind for kind, _ in sheet("en").sections[0].tables[0].rows]
    assert "already linked" in kinds
    assert "duplicates within the agency" not in kinds
