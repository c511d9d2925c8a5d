"""Sentences of explanations: text for the command line, template and values for other languages."""

from __future__ import annotations

import copy
import dataclasses
import json

from hub.ops.phrases import UNSAID, Phrase, all_of


@dataclasses.dataclass(frozen=True)
class Told:
    why: Phrase


def test_a_phrase_is_its_sentence_and_keeps_how_it_was_made() -> None:
    phrase = Phrase("%(agency)s stands above %(other)s", agency="ads", other="health")
    assert phrase == "ads stands above health"
    assert (phrase.template, phrase.values["other"]) == ("%(agency)s stands above %(other)s", "health")
    assert json.dumps(phrase) == '"ads stands above health"'
    assert not UNSAID


def test_a_value_may_hold_anything_and_copies_are_the_same() -> None:
    phrase = Phrase("not %(field)s", field="100 %(x)s")
    assert phrase == "not 100 %(x)s"
    copied = dataclasses.asdict(Told(phrase))["why"]
    assert copied is phrase
    assert copy.deepcopy([phrase])[0].template == "not %(field)s"


def test_several_become_one_that_can_still_be_translated() -> None:
    found = all_of([Phrase("one"), Phrase("two"), Phrase("three")])
    assert found == "one; two; three"
    assert isinstance(found.values["one"], Phrase)
    assert all_of([Phrase("one")]) == "one"
