"""Rules R8 to R13: what the hub believes, whatever the order in which it is told."""

from __future__ import annotations

import datetime
from itertools import permutations

import pytest
from support.changes import encoded, key, minute, said, shown
from support.contracts import CATALOGUE, IDS, TYPES
from support.facts import differences, facts
from support.memory_hub import MemoryHub

from hub.contracts.policies import type_policies
from hub.core import stamps
from hub.core.answers import STALE_FORM
from hub.core.assertions import Assertions, Change, RecordKey, RecordState, absorb
from hub.core.merge import Claim, golden_record, winner
from hub.core.policy import STEWARD, FieldPolicy
from hub.core.step import IDENTIFIER_CHANGED

BORN = datetime.date(1990, 1, 1)
EN, ADS, REGION = key("entraide", "1"), key("ads", "a"), key("region", "r")


def hub_of(*batches: tuple[Change, ...]) -> MemoryHub:
    hub = MemoryHub()
    for batch in batches:
        hub.take(*batch)
    hub.settle_due()
    return hub


def believed(hub: MemoryHub, record: RecordKey, field: str) -> bytes | None:
    """The golden value of a field of the entity that the record stands for."""
    return hub.golden[hub.entity(record)].encoded.get(field)


def facts_of(hub: MemoryHub) -> object:
    return facts(hub.world.records, hub.world.entity_of, hub.golden, hub.inbox)


# R8


def test_r8_the_same_changes_in_any_order_doubled_and_batched_give_the_same_hub() -> None:
    changes = [
        said(EN, 1, "insert", cin="SH1", birth_date=BORN, phone="+212600000001", languages=["ar"]),
        said(ADS, 2, "insert", cin="SH1", birth_date=BORN, education_level="higher"),
        said(ADS, 3, phone="+212600000002", languages=["fr"], removed={"languages": ["ar"]}),
        said(key("ads", "e", "enrolment"), 2, "insert", number="INS-2026-000001", person="a"),
    ]
    expected = facts_of(hub_of(tuple(changes)))
    for order in permutations(changes):
        assert differences(facts_of(hub_of(*((change,) for change in order))), expected) == {}
        assert differences(facts_of(hub_of(order[:2], order[1:], order[:1])), expected) == {}


def test_r8_the_first_of_two_equal_stamps_has_no_advantage() -> None:
    one, other = said(EN, 1, phone="+212600000001"), said(EN, 1, phone="+212600000002")
    there, here = hub_of((one,), (other,)), hub_of((other,), (one,))
    assert believed(there, EN, "phone") == believed(here, EN, "phone")


def test_r8_who_founded_an_entity_depends_on_stamps_and_not_on_who_came_first() -> None:
    later = said(EN, 5, "insert", cin="SH1", birth_date=BORN)
    earlier = said(ADS, 3, "insert", cin="SH1", birth_date=BORN)
    oldest = said(EN, 1, phone="+212600000001")
    for order in permutations([later, earlier, oldest]):
        hub = hub_of(*((change,) for change in order))
        assert hub.entity(EN) == hub.entity(ADS) == IDS.record(*EN)


# R9


def claim(rank: int, stamp: int, source: RecordKey, value: bytes | None = b"v") -> Claim:
    return Claim(rank, stamp, source, value)


ORDER_OF_ASSERTIONS = [
    ("authority before stamp", claim(0, 1, ADS), claim(1, 9, REGION)),
    ("a steward before all", claim(-1, 1, key(STEWARD, "s")), claim(0, 9, EN)),
    ("stamp before source", claim(0, 2, ADS), claim(0, 1, REGION)),
    ("the counter of a stamp counts", claim(0, minute(1, 2), ADS), claim(0, minute(1, 1), REGION)),
    ("source before local id", claim(0, 1, key("region", "1")), claim(0, 1, key("ads", "2"))),
    (
        "local id before incarnation",
        claim(0, 1, key("ads", "2")),
        claim(0, 1, key("ads", "1", incarnation=5)),
    ),
    ("incarnation before value", claim(0, 1, key("ads", "a", incarnation=1), b"a"), claim(0, 1, ADS, b"b")),
    ("bytes at last", claim(0, 1, ADS, b"b"), claim(0, 1, ADS, b"a")),
    ("a value before none", claim(0, 1, ADS, b""), claim(0, 1, ADS, None)),
]


@pytest.mark.parametrize(
    ("stronger", "weaker"),
    [pair[1:] for pair in ORDER_OF_ASSERTIONS],
    ids=[p[0] for p in ORDER_OF_ASSERTIONS],
)
def test_r9_the_total_order_of_assertions(stronger: Claim, weaker: Claim) -> None:
    for claims in ([stronger, weaker], [weaker, stronger]):
        assert winner(FieldPolicy("f"), claims) == stronger


def test_r9_a_steward_decides_fields_of_every_merge_rule() -> None:
    decided, first = claim(-1, 9, key(STEWARD, "s"), b"\x02a"), claim(0, 1, EN, b"\x02z")
    for merge in ("latest", "max", "immutable"):
        assert winner(FieldPolicy("f", merge=merge), [decided, first]) == decided


def test_r9_a_golden_record_is_a_function_of_assertions_whatever_order_they_are_kept_in() -> None:
    members = [
        RecordState(
            id=bytes([n]), key=key(agency, "1"), born=n, asserts=Assertions({"phone": (n, b"\x02%d" % n)})
        )
        for n, agency in enumerate(("entraide", "ads", "region"), start=1)
    ]
    golden = [golden_record(TYPES["person"], order) for order in permutations(members)]
    assert all(one == golden[0] for one in golden)
    assert golden[0]["phone"].value == b"\x023"


def test_r9_authority_is_the_position_in_the_contract_and_none_is_no_say() -> None:
    person = type_policies(CATALOGUE)["person"]
    assert [person.fields["cin"].rank(agency) for agency in ("entraide", "ads", "region")] == [0, 1, 1]
    assert person.fields["disability"].rank("health") == 0
    assert person.fields["disability"].rank("entraide") is None
    assert person.fields["disability"].rank(STEWARD) == -1


def test_r9_whoever_has_no_say_is_not_believed_even_if_alone() -> None:
    hub = hub_of((said(EN, 1, cin="SH1", disability="motor"),))
    assert "disability" not in hub.golden[hub.entity(EN)].golden


# R10, the hub's half (see test_rules_reading for the bound on messages)


def test_r10_a_correction_of_a_delivered_value_beats_it_whatever_the_clocks_say() -> None:
    delivered = stamps.at(1_000_000, 7)
    assert stamps.capture(clock_ms=999_000, known=delivered) > delivered
    assert stamps.capture(clock_ms=1_000_001, known=delivered) == stamps.at(1_000_001)


def test_r10_stamps_compare_as_milliseconds_then_counter() -> None:
    assert stamps.at(1, 65_535) < stamps.at(2, 0) < stamps.at(2, 1)
    assert stamps.milliseconds(stamps.at(1_234, 99)) == 1_234


def test_r10_a_stamp_is_held_back_to_the_bound_after_the_append_time() -> None:
    append_ms = 1_000_000
    fair, ahead = stamps.at(append_ms + 1, 3), stamps.at(append_ms + 3_600_000)
    assert stamps.bounded(fair, append_ms, 7) == fair
    assert stamps.bounded(ahead, append_ms, 7) == stamps.at(append_ms + stamps.MAX_SKEW_MS, 7)


def test_r10_edits_under_a_clock_that_runs_ahead_keep_their_order_within_a_batch() -> None:
    append_ms, first = 1_000_000, stamps.at(9_000_000)
    held = [stamps.bounded(first + made, append_ms, 70_000 + made) for made in range(3)]
    assert held == sorted(set(held))


# R11


@pytest.mark.parametrize("operation", ["insert", "snapshot", "link"])
def test_r11_only_an_update_asserts_null(operation: str) -> None:
    hub = hub_of((said(EN, 1, phone="+212600000001", cin="SH1", birth_date=BORN),))
    hub.take(said(ADS, 2, operation, cin="SH1", birth_date=BORN, phone=None))
    assert believed(hub, EN, "phone") == encoded("person", "phone", "+212600000001")
    hub.take(said(ADS, 3, phone=None))
    assert hub.golden[hub.entity(EN)].golden["phone"].value is None


def test_r11_a_snapshot_of_unknown_age_loses_to_everything_dated() -> None:
    hub = hub_of((said(EN, 1, cin="SH1", birth_date=BORN, phone="+212600000001"),))
    undated = said(
        ADS, 9, "snapshot", asserted=stamps.LOWEST, cin="SH1", birth_date=BORN, phone="+212600000002"
    )
    hub.take(undated)
    assert hub.entity(ADS) == hub.entity(EN)
    assert believed(hub, EN, "phone") == encoded("person", "phone", "+212600000001")


def test_r11_an_undated_first_word_is_not_the_first_of_an_immutable_field() -> None:
    day = datetime.date(2020, 1, 1)
    undated = said(EN, 9, "snapshot", asserted=stamps.LOWEST, received_on=datetime.date(2024, 1, 1))
    for order in permutations([undated, said(EN, 10, received_on=day)]):
        hub = hub_of(*((change,) for change in order))
        assert believed(hub, EN, "received_on") == encoded("person", "received_on", day)


# R12, the hub's half


def test_r12_an_agency_adds_and_removes_only_its_own_elements() -> None:
    hub = hub_of((said(EN, 1, cin="SH1", birth_date=BORN, languages=["ar"]),))
    hub.take(said(ADS, 2, cin="SH1", birth_date=BORN, languages=["fr", "ber"]))
    assert shown(hub.told("entraide", EN))["languages"] == ["ar", "fr", "ber"]
    hub.take(said(EN, 3, removed={"languages": ["fr"]}))
    assert shown(hub.told("entraide", EN))["languages"] == ["ar", "ber"]
    hub.take(said(ADS, 4, languages=["fr"]))
    assert shown(hub.told("entraide", EN))["languages"] == ["ar", "fr", "ber"]


def test_r12_who_says_a_row_again_without_what_others_added_is_told_it_again() -> None:
    """Its side leaves a list alone of which it has said something later than the hub has seen."""
    hub = hub_of((said(EN, 1, cin="SH1", birth_date=BORN, languages=["ar"]),))
    hub.take(said(ADS, 2, cin="SH1", birth_date=BORN, languages=["fr"]))
    before = hub.told("entraide", EN)
    again = said(EN, 3, "snapshot", languages=["ar"])
    hub.take(again)
    after = hub.told("entraide", EN)
    assert (after.version > before.version, after.seen) == (True, again.stamp)
    assert shown(after)["languages"] == ["ar", "fr"]
    hub.take(said(EN, 4, "snapshot", languages=["ar", "fr"]))
    assert hub.told("entraide", EN).version == after.version


def test_r12_an_older_removal_does_not_undo_a_later_addition() -> None:
    hub = hub_of(
        (said(EN, 5, languages=["fr"]),), (said(EN, 3, languages=[], removed={"languages": ["fr"]}),)
    )
    assert shown(hub.told("ads", EN))["languages"] == ["fr"]


# R13, the hub's half


def test_r13_a_stale_form_is_held_and_answered_and_asserts_nothing() -> None:
    hub = hub_of((said(EN, 1, cin="SH1", birth_date=BORN, phone="+212600000001"),))
    hub.take(said(ADS, 2, cin="SH1", birth_date=BORN))
    hub.take(said(EN, 3, phone="+212600000002"))
    before = hub.told("ads", ADS)
    stale = said(ADS, 4, stale={"phone": "+212600000001"})
    hub.take(stale)
    assert believed(hub, EN, "phone") == encoded("person", "phone", "+212600000002")
    assert [(hold.change, hold.reason, hold.fields) for hold in hub.holds] == [
        (stale, STALE_FORM, ("phone",))
    ]
    (answer,) = hub.answers
    assert (answer.key, [tuple(lost) for lost in answer.lost]) == (ADS, [("phone", STALE_FORM)])
    # The source gets the current value once more, in a later version.
    again = hub.told("ads", ADS)
    assert again.version > before.version
    assert shown(again)["phone"] == "+212600000002"


def test_r13_the_same_stale_form_twice_is_held_once() -> None:
    stale = said(ADS, 4, stale={"phone": "+212600000001"})
    hub = hub_of((said(ADS, 1, phone="+212600000002"),), (stale,), (stale,))
    assert len(hub.holds) == 1


def test_r13_what_was_held_can_be_confirmed() -> None:
    hub = hub_of((said(EN, 1, cin="SH1", birth_date=BORN),))
    changed = said(EN, 2, cin="SH2")
    hub.take(changed)
    assert [hold.reason for hold in hub.holds] == [IDENTIFIER_CHANGED]
    assert believed(hub, EN, "cin") == encoded("person", "cin", "SH1")
    changed.confirmed = True
    hub.take(changed)
    assert believed(hub, EN, "cin") == encoded("person", "cin", "SH2")


def test_absorbing_says_on_which_fields_the_change_now_stands() -> None:
    state = RecordState(id=b"r", key=EN)
    policy = TYPES["person"]
    assert absorb(policy, state, said(EN, 2, phone="+212600000001", languages=["ar"])) == {
        "phone",
        "languages",
    }
    assert absorb(policy, state, said(EN, 1, phone="+212600000002", sex="male")) == {"sex"}
    assert absorb(policy, state, said(EN, 1, "insert", birth_date=None)) == set()
