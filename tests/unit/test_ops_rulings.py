"""Why a value won, in words that follow the core's own decision."""

from __future__ import annotations

import datetime

from support.changes import key, minute, said
from support.contracts import TYPES
from support.memory_hub import MemoryHub

from hub.core.assertions import Change, RecordKey, RecordState
from hub.core.merge import Claim, Golden, golden_record
from hub.core.policy import STEWARD
from hub.ops.rulings import AGREES, ENDED, WINS, mentions, outcome, rule, sayings

ADS, EN, HEALTH = key("ads", "1"), key("entraide", "2"), key("health", "3")
POLICY = TYPES["person"]


def members(*changes: Change) -> list[RecordState]:
    """The records that these changes make, as one entity whoever they are."""
    hub = MemoryHub()
    hub.take(*changes)
    return sorted(hub.world.records.values(), key=lambda state: state.key)


def ruling(name: str, states: list[RecordState]) -> tuple[str, dict[str, tuple[str, str]]]:
    """(The rule, agency → what became of its word)."""
    golden = golden_record(POLICY, states)
    won = golden[name]
    says = sayings(POLICY.fields[name], states)
    found = {one.state.key.agency: outcome(POLICY, name, one, golden) for one in says}
    return rule(POLICY.fields[name], says, Claim(won.rank, won.stamp, won.key, won.value)), found


def test_the_only_word_wins() -> None:
    words, found = ruling("phone", members(said(ADS, 1, phone="+212612345678")))
    assert words == "the only one with a say"
    assert found == {"ads": (WINS, "")}


def test_higher_authority_beats_a_later_word() -> None:
    words, found = ruling("cin", members(said(EN, 1, cin="SH1"), said(ADS, 9, cin="SH2")))
    assert words == "highest authority: entraide stands above ads for this field"
    assert found["ads"] == ("outranked", "a source with higher authority has spoken")
    assert found["entraide"] == (WINS, "")


def test_between_equals_the_later_word_wins() -> None:
    words, found = ruling(
        "commune", members(said(EN, 1, commune="11.321.01.03"), said(ADS, 2, commune="11.321.01.05"))
    )
    assert words == "the latest word among those with the highest authority"
    assert found["entraide"] == ("older", "the other was said later")


def test_at_one_moment_the_sources_name_decides() -> None:
    words, found = ruling(
        "commune", members(said(EN, 1, commune="11.321.01.03"), said(ADS, 1, commune="11.321.01.05"))
    )
    assert words == "same authority and same moment: the source's name decides"
    assert found["ads"][0] == "tie"


def test_who_agrees_has_not_lost() -> None:
    words, found = ruling("cin", members(said(EN, 1, cin="SH1"), said(ADS, 9, cin="SH1")))
    assert words == "all who have a say agree"
    assert found["ads"] == (AGREES, "says the same")


def test_no_authority_is_no_say() -> None:
    words, found = ruling(
        "disability", members(said(HEALTH, 1, disability="motor"), said(EN, 9, disability="none"))
    )
    assert words == "the only one with a say"
    assert found["entraide"][0] == "no_authority"


def test_the_highest_and_the_first() -> None:
    words, found = ruling(
        "education_level",
        members(said(EN, 1, education_level="higher"), said(ADS, 9, education_level="primary")),
    )
    assert words == "the highest value stands (max)"
    assert found["ads"] == ("max", "another value is higher")
    words, found = ruling(
        "received_on", members(said(EN, 1, received_on=_day(3)), said(ADS, 2, received_on=_day(1)))
    )
    assert words == "immutable: the first dated word stays"
    assert found["ads"] == ("immutable", "another was first, and the first word stays")


def test_a_deleted_record_counts_no_longer() -> None:
    states = members(said(EN, 1, cin="SH1"), said(EN, 5, "delete"), said(ADS, 2, cin="SH2"))
    words, found = ruling("cin", states)
    assert words == "the only one with a say"
    assert found["entraide"][0] == ENDED


def test_a_steward_stands_above_all() -> None:
    states = members(said(EN, 9, cin="SH1"))
    word = RecordState(id=b"s" * 16, key=RecordKey(STEWARD, "person", "s", 0), born=1, seen=1)
    cin = POLICY.fields["cin"]
    word.asserts.values["cin"] = (minute(1), states[0].asserts.values["cin"][1])
    states.append(word)
    golden: Golden = golden_record(POLICY, states)
    won = golden["cin"]
    assert won.key.agency == STEWARD
    words = rule(cin, sayings(cin, states), Claim(won.rank, won.stamp, won.key, won.value))
    assert words == "a steward decided: that stands above every agency"


def test_elements_of_a_list_are_each_decided_by_the_strongest_who_mentions_them() -> None:
    states = members(
        said(EN, 1, languages=["ar", "fr"]),
        said(ADS, 2, languages=["fr"]),
        said(EN, 3, removed={"languages": ["fr"]}),
    )
    found = mentions(POLICY.fields["languages"], states)
    strongest = {element: (those[0][0].state.key.agency, those[0][1]) for element, those in found.items()}
    assert strongest == {b"\x04ar": ("entraide", True), b"\x04fr": ("entraide", False)}
    assert golden_record(POLICY, states)["languages"].elements == (b"\x04ar",)


def test_the_strongest_saying_comes_first() -> None:
    states = members(said(ADS, 9, cin="SH2"), said(EN, 1, cin="SH1"))
    assert [one.state.key.agency for one in sayings(POLICY.fields["cin"], states)] == ["entraide", "ads"]


def _day(number: int) -> datetime.date:
    return datetime.date(2026, 1, number)
