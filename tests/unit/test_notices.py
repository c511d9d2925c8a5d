"""The texts of notices: there in every language, for every reason, and what a batch refuses is told once."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from hub.contracts.notices import TEXTS, label, text
from hub.contracts.records import LANGUAGES, Catalogue
from hub.core import answers, step
from hub.lanes.reading import DeadLetter, Message
from hub.lanes.refusals import refusals

ROOT = Path(__file__).parents[2]
PERSON = Catalogue.load(ROOT / "schemas" / "records").records["person"]


@pytest.mark.parametrize("reason", TEXTS)
def test_no_text_is_missing_in_any_language(reason: str) -> None:
    assert TEXTS[reason].keys() == set(LANGUAGES)
    said = text(reason, PERSON, ["phone", "commune"])
    assert all(said[language].strip() for language in LANGUAGES)
    assert len(set(said.values())) == len(LANGUAGES)
    assert re.search("[\u0600-\u06ff]", said["ar"])
    assert not re.search("[\u0600-\u06ff]", said["fr"])
    # Whoever names the fields does so in every language.
    assert len({"{fields}" in TEXTS[reason][language] for language in LANGUAGES}) == 1


def test_every_reason_that_the_core_gives_has_a_text() -> None:
    given = {
        answers.NO_AUTHORITY,
        answers.OUTRANKED,
        answers.OLDER,
        answers.NOT_PERMITTED,
        "immutable",
        "max",
    }
    given |= {step.STALE_FORM, step.IDENTIFIER_CHANGED, step.INCARNATION_ENDED}
    assert given <= TEXTS.keys()


def dead(offset: int, topic: str = "ads.person.changes", code: str = "invalid_value", path: str = "phone"):  # type: ignore[no-untyped-def]
    return DeadLetter(Message(topic, 0, offset, 1000, b"k", b"v"), code, path, "wrong")


def test_refusals_of_a_batch_are_told_together_where_they_are_alike() -> None:
    notes = refusals(
        [
            dead(1),
            dead(2),
            dead(3, path="cin"),
            dead(4, "health.person.changes"),
            dead(5, code="incarnation_ended"),
        ]
    )
    assert [(n.key.agency, n.reason, n.fields, n.records) for n in notes] == [
        ("ads", "refused", ("phone",), 2),
        ("ads", "refused", ("cin",), 1),
        ("health", "refused", ("phone",), 1),
        ("ads", "incarnation_ended", ("phone",), 1),
    ]
    assert len({note.event_id for note in notes}) == 4


def test_a_batch_without_dead_letters_tells_nothing() -> None:
    assert refusals([]) == []


def test_a_label_ends_at_a_stop_and_not_within_a_word() -> None:
    assert label(PERSON, "phone", "fr") == "Numéro de téléphone au format international (E.164)"
    assert label(PERSON, "unheard_of", "fr") == "unheard_of"
