"""Dead letters in words."""

from __future__ import annotations

import datetime
import json
import re
from pathlib import Path
from typing import Any

import pytest
from support.contracts import CATALOGUE, EVENTS
from support.dead_letters import row_of
from support.messages import message, schema_of

from hub.ops import dlq_view
from hub.ops.anatomy import full_name
from hub.ops.dead_letters import Letter
from hub.ops.effects import APPLIED, DEAD, HELD, NOTHING, SUPERSEDED, FieldEffect
from hub.ops.examination import Contract, examine
from hub.ops.redrive import Preview, Redriven
from hub.ops.remedies import REMEDIES, remedy
from hub.ops.veil import Veil

PERSON = CATALOGUE.records["person"]
CONTRACT = Contract(full_name(EVENTS.change(PERSON)), PERSON.by_name)
REFUSED = message(record={"phone": "0612345678"})
AT = datetime.datetime(2025, 1, 31, 12, tzinfo=datetime.UTC)


def line(superseded: str = "", local_id: str = "1", **said: Any) -> str:
    return dlq_view.line(Letter(row_of(REFUSED, **said), local_id, superseded))


def story(**said: Any) -> str:
    row = row_of(REFUSED, **said)
    return "\n".join(dlq_view.story(Letter(row, "1", ""), examine(row, CONTRACT, schema_of, Veil()), {}))


def test_a_line_says_whose_what_where_and_when() -> None:
    assert line().startswith(
        "dead letter 17: entraide:1 (person) invalid_value in phone, 2024-10-04 01:01:00"
    )
    assert ", open: field phone: not of the form" in line()
    assert line("2024-10-05").count("; superseded 2024-10-05: ") == 1
    assert line(local_id="").startswith("dead letter 17: entraide (person) ")


@pytest.mark.parametrize(
    ("said", "words"),
    [
        ({"redrives": 1, "who": "Salma"}, "open, redriven once in vain"),
        ({"redrives": 3, "who": "Salma"}, "open, redriven 3 times in vain"),
        ({"state": "redriven", "who": "Salma", "outcome": "applied"}, "redriven by Salma and applied"),
        ({"state": "discarded", "who": "Salma", "why": "old"}, "discarded by Salma (old)"),
    ],
)
def test_what_was_made_of_it_is_said(said: dict[str, Any], words: str) -> None:
    assert words in line(**said)
    assert words in story(**said)


def test_when_it_was_decided_is_said() -> None:
    found = story(state="discarded", who="Salma", why="old", decided_at=AT)
    assert "  discarded 2025-01-31 13:00:00.000+01:00 by Salma: old" in found
    assert "  redriven in vain 2025-01-31" in story(redrives=1, who="Salma", why="", decided_at=AT)


def test_json_is_whole_without_bytes() -> None:
    row = row_of(REFUSED, decided_at=AT)
    letter = Letter(row, "1", "")
    told = json.loads(json.dumps(dlq_view.story_json(letter, examine(row, CONTRACT, schema_of, Veil()), {})))
    assert (told["id"], told["decided_ms"], told["superseded"]) == (17, 1_738_324_800_000, None)
    assert told["bytes"] == len(REFUSED.value or b"") == told["examined"]["size"]
    assert "0612345678" not in repr(told)
    assert told["mend"] == REMEDIES["invalid_value"].mend


def test_a_terminal_is_not_commanded() -> None:
    assert dlq_view.printable("a\x1b[2J\r\n\u202e\0\ud800ب é•") == r"a\x1b[2J\r\n\u202e\x00\ud800ب é•"


def test_what_is_long_is_cut() -> None:
    assert len(line(local_id="x" * 100_000)) < 1_000
    assert "(100000 characters)" in line(local_id="x" * 100_000)


def effect(outcome: str, **said: Any) -> str:
    told: dict[str, Any] = {"name": "phone", "value": "0•••", "outcome": outcome, "why": "", **said}
    return dlq_view.effect_line(FieldEffect(**told))


def test_effects_in_words() -> None:
    assert effect("wins", changes=True) == "phone: 0•••: would win where there was nothing"
    assert effect("wins", changes=True, before="+•••") == "phone: 0•••: would win in place of +•••"
    assert effect("wins").endswith("no change: it is the golden value already")
    assert effect("agrees").endswith("no change: what stands says the same")
    assert effect("older", why="newer", rival="ads", rival_when="Friday").endswith(
        "would lose to ads's value of Friday (newer)"
    )
    assert effect(SUPERSEDED, why="later", rival_when="Friday").endswith("no change: later (Friday)")
    assert effect(HELD, why="a stale form").endswith("would be held: a stale form")
    assert effect(NOTHING, why="empty").endswith("no change: empty")
    assert effect("ended", why="it has ended", rival="ads").endswith("no change: it has ended")


def preview(**said: Any) -> list[str]:
    return list(dlq_view.preview_lines(Preview(**{"number": 17, "outcome": APPLIED, "why": "", **said})))


def test_previews_in_words() -> None:
    assert preview(outcome=DEAD, why="no_key: no key") == ["dead letter 17: would stay dead: no_key: no key"]
    told = preview(record="ads:1", operation="update", entity="E", identity="same", changes=True, reviews=2,
                   told={"region": "upsert", "ads": "upsert"})  # fmt: skip
    assert told == [
        "dead letter 17: would be applied",
        "  update of ads:1: stands for E",
        "  pairs that a person would have to look at (`jisr review list`): 2",
        "  agencies that would be told: ads (upsert), region (upsert)",
    ]
    assert "makes no difference: it is in effect" in preview()[0]
    assert preview(outcome=SUPERSEDED)[0].startswith(
        "dead letter 17: would change nothing: the record has said"
    )


def test_counts_and_outcomes_in_words() -> None:
    assert dlq_view.summary([APPLIED, DEAD, APPLIED]) == "2 applied, 1 dead"
    assert dlq_view.foreseen([SUPERSEDED, APPLIED]) == "1 would be applied, 1 would change nothing"
    assert (
        dlq_view.redriven_line(Redriven(17, SUPERSEDED, "person"))
        == "dead letter 17: superseded: it changed nothing"
    )
    assert (
        dlq_view.redriven_line(Redriven(17, DEAD, "person", "no_key: x"))
        == "dead letter 17: still dead: no_key: x"
    )
    assert (dlq_view.numbers([17]), dlq_view.numbers([1, 2])) == ("dead letter 17", "2 dead letters")


def test_every_reason_that_is_documented_has_a_remedy_and_no_other() -> None:
    agencies = (Path(__file__).parents[2] / "docs" / "agencies.md").read_text(encoding="utf-8")
    section = agencies.split("\n## Dead letters\n")[1].split("\n## ")[0]
    assert set(re.findall(r"^\| `(\w+)` \|", section, re.MULTILINE)) == REMEDIES.keys()
    assert remedy("of_a_later_release", b"").mend
    assert "looks like JSON" in remedy("undecodable", b'{"cin": 1}').meaning
