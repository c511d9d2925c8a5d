"""The words of dead letters: one for each reason that there is, and whose move follows from it."""

from __future__ import annotations

import pytest

from hub.console.attention import Mover
from hub.console.dead_letter_words import REASONS, effect, reason
from hub.ops.effects import FieldEffect
from hub.ops.remedies import REMEDIES
from hub.ops.rulings import WINS


def test_every_reason_has_its_words_and_no_other() -> None:
    assert set(REASONS) == set(REMEDIES)


def test_a_reason_of_another_release_is_the_operators() -> None:
    assert reason("a_later_reason").mover is Mover.OPERATOR


@pytest.mark.parametrize(
    ("outcome", "changes", "words"),
    [
        (WINS, True, "Would become the golden value"),
        (WINS, False, "No change: it stands already"),
        ("older", False, "No change: a newer word stands"),
        ("what came later", False, "No change: another word stands"),
    ],
)
def test_what_becomes_of_a_field_is_told(outcome: str, changes: bool, words: str) -> None:
    assert effect(FieldEffect("phone", "0•••", outcome, "", changes=changes)) == words
