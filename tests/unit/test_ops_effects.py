"""What one change comes to, field by field, as it is told before a redrive."""

from __future__ import annotations

import datetime
from collections.abc import Iterable

import pytest
from support.changes import key, record_id, said
from support.contracts import CATALOGUE, TYPES

from hub.core.assertions import Change, RecordKey, RecordState, absorb
from hub.core.merge import golden_record
from hub.ops.effects import HELD, NOTHING, SUPERSEDED, FieldEffect, field_effects, took
from hub.ops.veil import Veil

POLICY, SPECS = TYPES["person"], CATALOGUE.records["person"].by_name
ADS, ENTRAIDE, REGION = key("ads", "1"), key("entraide", "1"), key("region", "1")


def states(changes: Iterable[Change]) -> dict[RecordKey, RecordState]:
    found: dict[RecordKey, RecordState] = {}
    for change in changes:
        state = found.setdefault(change.key, RecordState(id=record_id(change.key), key=change.key))
        absorb(POLICY, state, change)
    return found


def told(change: Change, *before: Change) -> dict[str, FieldEffect]:
    """Field → what `change` comes to after `before`."""
    now = states([*before, change])
    goldens = [golden_record(POLICY, list(them.values())) for them in (states(before), now)]
    veil = Veil(reveal=True)
    found = field_effects(POLICY, SPECS, change, now[change.key], goldens[0], goldens[1], veil)
    return {f"{one.name} {one.value}" if one.value[:2] in ("+ ", "- ") else one.name: one for one in found}


def after(change: Change, *others: Change) -> bool:
    return took(change, states([change, *others])[change.key])


# Whether it takes effect at all


@pytest.mark.parametrize(
    ("change", "others", "takes"),
    [
        (said(ADS, 2, phone="+212611111111"), [], True),
        (said(ADS, 2, phone="+212611111111"), [said(ADS, 3, phone="+212622222222")], False),
        (said(ADS, 2, phone="+212611111111"), [said(ADS, 1, phone="+212622222222")], True),
        (said(ADS, 2, phone="+212611111111"), [said(ADS, 3, commune="11.321.01.03")], True),
        (said(ADS, 2, phone="+212611111111", cin="SH1"), [said(ADS, 3, cin="SH2")], True),
        (said(ADS, 2, phone=None), [], True),
        (said(ADS, 2, "insert", phone=None), [said(ADS, 3, phone=None)], False),
        (said(ADS, 2, languages=["ar"]), [said(ADS, 3, removed={"languages": ["ar"]})], False),
        (said(ADS, 2, languages=["ar", "fr"]), [said(ADS, 3, removed={"languages": ["ar"]})], True),
        (said(ADS, 2, phone="+212611111111"), [said(ADS, 3, "delete")], False),
        (said(ADS, 2, "delete"), [], True),
        (said(ADS, 2, "delete"), [said(ADS, 3, "delete")], False),
        (said(ADS, 2, received_on=None), [said(ADS, 3, phone="+212611111111")], True),
        (said(ADS, 2, "link", entity=b"e" * 16), [said(ADS, 3, phone="+212611111111")], True),
        (said(ADS, 2, "link", entity=b"e" * 16), [said(ADS, 3, "unlink")], False),
    ],
)
def test_whether_a_change_takes_effect(change: Change, others: list[Change], takes: bool) -> None:
    assert after(change, *others) is takes


# Field by field


def test_a_first_word_wins_where_there_was_nothing() -> None:
    found = told(said(ADS, 2, phone="+212611111111"))["phone"]
    assert (found.outcome, found.changes, found.before) == ("wins", True, "")


def test_a_later_word_wins_in_place_of_what_was() -> None:
    found = told(said(ADS, 2, phone="+212611111111"), said(ADS, 1, phone="+212622222222"))["phone"]
    assert (found.outcome, found.changes) == ("wins", True)
    assert found.before.startswith("+212622222222 (ads, ")


def test_what_is_golden_already_changes_nothing() -> None:
    found = told(said(ADS, 3, phone="+212611111111"), said(REGION, 2, phone="+212611111111"))["phone"]
    assert (found.outcome, found.changes) == ("wins", False)
    found = told(said(ADS, 2, phone="+212611111111"), said(REGION, 3, phone="+212611111111"))["phone"]
    assert (found.outcome, found.changes) == ("agrees", False)


def test_who_spoke_later_or_with_more_authority_stands() -> None:
    older = told(said(ADS, 2, phone="+212611111111"), said(REGION, 3, phone="+212622222222"))["phone"]
    assert (older.outcome, older.why, older.rival, older.changes) == ("older", "newer", "region", False)
    weaker = told(said(ADS, 3, cin="SH1"), said(ENTRAIDE, 2, cin="SH2"))["cin"]
    assert (weaker.outcome, weaker.why, weaker.rival) == ("outranked", "authority", "entraide")
    silent = told(said(ADS, 3, disability="visual"))["disability"]
    assert (silent.outcome, silent.changes) == ("no_authority", False)


def test_what_the_record_said_later_itself_stands() -> None:
    found = told(said(ADS, 2, phone="+212611111111"), said(ADS, 3, phone="+212622222222"))["phone"]
    assert (found.outcome, found.why, found.rival) == (SUPERSEDED, "it has said so later itself", "ads")
    assert found.changes is False


def test_of_an_immutable_field_the_first_word_stands() -> None:
    day, other = datetime.date(2024, 1, 1), datetime.date(2024, 2, 2)
    found = told(said(ADS, 3, received_on=day), said(ADS, 2, received_on=other))["received_on"]
    assert (found.outcome, found.why) == (SUPERSEDED, "its first word stays")
    assert told(said(ADS, 2, received_on=day), said(ADS, 3, received_on=other))["received_on"].changes


def test_elements_of_a_list_are_told_one_by_one() -> None:
    found = told(said(ADS, 2, languages=["ar", "fr"]), said(ADS, 3, removed={"languages": ["fr"]}))
    assert (found["languages + ar"].outcome, found["languages + ar"].changes) == ("wins", True)
    assert (found["languages + fr"].outcome, found["languages + fr"].changes) == (SUPERSEDED, False)


def test_what_is_empty_in_an_insert_is_held_or_not_permitted_says_nothing() -> None:
    found = told(
        said(ADS, 2, "insert", phone=None, stale={"commune": "11.321.01.03"}, withheld=("massar_code",)),
    )
    assert {name: one.outcome for name, one in found.items()} == {
        "phone": NOTHING, "commune": HELD, "massar_code": "not_permitted",
    }  # fmt: skip
    assert not any(one.changes for one in found.values())


def test_a_record_that_has_ended_says_nothing() -> None:
    found = told(said(ADS, 2, phone="+212611111111"), said(ADS, 3, "delete"))["phone"]
    assert (found.outcome, found.changes) == ("ended", False)
