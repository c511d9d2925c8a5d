"""The core's parts one by one: states and their packing, merging, tokens, the crosswalk's consents."""

from __future__ import annotations

from itertools import permutations

import pytest
from support.changes import encoded, key, minute, said
from support.contracts import IDS, TYPES

from hub.core import stamps
from hub.core.assertions import Assertions, RecordState, absorb, pack, unpack
from hub.core.crosswalk import Entity, World, merged_into, regroup
from hub.core.matching import Decision, agreement, cluster, contradictions
from hub.core.merge import Claim, golden_record, winner
from hub.core.policy import FieldPolicy, TypePolicy
from hub.core.projection import Consent, Content
from hub.core.step import absorb_all
from hub.core.tokens import Ids, derive, record_token

PERSON = TYPES["person"]
EN, ADS, REGION = key("entraide", "1"), key("ads", "a"), key("region", "r")


def state_of(*changes_of_one_record: object) -> RecordState:
    (state,) = states_of(*changes_of_one_record)
    return state


def states_of(*changes: object) -> list[RecordState]:
    world = World()
    absorb_all(world, changes, lambda key: IDS.record(*key), TYPES)  # type: ignore[arg-type]
    return list(world.records.values())


# States


def test_a_state_is_packed_the_same_in_whatever_order_it_came_to_be() -> None:
    changes = [
        said(EN, 1, phone="+212600000001", languages=["fr", "ar"]),
        said(EN, 2, cin="SH1", languages=["ber"], removed={"languages": ["fr"]}),
        said(EN, 3, received_on=None, sex="male"),
    ]
    packed = {pack(state_of(*order).asserts) for order in permutations(changes)}
    assert len(packed) == 1
    assert pack(unpack(*packed)) in packed


def test_a_state_keeps_its_first_and_its_last_stamp() -> None:
    state = state_of(said(EN, 3), said(EN, 1), said(EN, 2, "delete"))
    assert (state.born, state.seen, state.ended) == (minute(1), minute(3), minute(2))


def test_the_first_word_of_an_immutable_field_stays_and_null_is_no_word() -> None:
    policy = TypePolicy("t", {"f": FieldPolicy("f", merge="immutable")})
    state = RecordState(id=b"r", key=EN)
    for at_minute, day in ((5, 19_005), (3, 19_003), (9, 19_009)):
        change = said(EN, at_minute)
        change.values["f"] = b"\x02%d" % day
        absorb(policy, state, change)
    change = said(EN, 1)
    change.values["f"] = None
    absorb(policy, state, change)
    assert state.asserts.values["f"] == (minute(3), b"\x0219003")


def test_an_update_to_an_empty_list_says_nothing_of_any_element() -> None:
    state = state_of(said(EN, 1, languages=[]))
    assert state.asserts.unions == {}
    assert not state.speaks


def test_of_an_addition_and_a_removal_at_one_moment_the_addition_stands() -> None:
    state = state_of(said(EN, 1, languages=["ar"], removed={"languages": ["ar"]}))
    assert state.asserts.unions["languages"] == {encoded("person", "languages", "ar"): (minute(1), True)}


# Merging


@pytest.mark.parametrize(
    ("merge", "expected"), [("latest", b"\x02b"), ("max", b"\x02c"), ("immutable", b"\x02a")]
)
def test_what_each_merge_rule_takes(merge: str, expected: bytes) -> None:
    claims = [Claim(0, 1, EN, b"\x02a"), Claim(0, 9, ADS, b"\x02b"), Claim(0, 5, REGION, b"\x02c")]
    for order in permutations(claims):
        assert winner(FieldPolicy("f", merge=merge), order).value == expected


def test_max_goes_by_the_place_in_the_code_list_and_never_takes_null() -> None:
    levels = PERSON.fields["education_level"]
    none, primary, higher = (
        encoded("person", "education_level", code) for code in ("none", "primary", "higher")
    )
    claims = [
        Claim(0, 1, EN, higher),
        Claim(0, 9, ADS, none),
        Claim(0, 5, REGION, primary),
        Claim(0, 99, EN, None),
    ]
    assert winner(levels, claims).value == higher


def test_of_an_immutable_field_the_highest_authority_s_first_dated_word_stays() -> None:
    claims = [
        Claim(1, 1, ADS, b"\x02a"),
        Claim(0, stamps.LOWEST, EN, b"\x02b"),
        Claim(0, 5, EN, b"\x02c"),
        Claim(0, 7, REGION, b"\x02d"),
        Claim(0, 2, REGION, None),
    ]
    for order in permutations(claims):
        assert winner(FieldPolicy("f", merge="immutable"), order).value == b"\x02c"


def test_a_golden_record_has_the_fields_in_the_order_of_the_schema() -> None:
    members = states_of(
        said(EN, 1, phone="+212600000001", cin="SH1"), said(ADS, 2, birth_date=None, languages=["ar"])
    )
    assert list(golden_record(PERSON, members)) == ["cin", "birth_date", "phone", "languages"]


def test_an_element_that_all_have_removed_is_gone_and_the_field_is_still_known() -> None:
    members = states_of(
        said(EN, 1, languages=["ar"]), said(ADS, 2, languages=[], removed={"languages": ["ar"]})
    )
    assert golden_record(PERSON, members)["languages"].elements == ()


# Matching


def names(script: str, family: str, given: str) -> RecordState:
    return state_of(said(EN, 1, **{f"family_name_{script}": family, f"given_name_{script}": given}))


@pytest.mark.parametrize(
    ("script", "one", "other"),
    [
        ("ar", ("أحمد", "الإدريسي"), ("احمد", "الادريسي")),
        ("ar", ("مُحَمَّد", "بنعلى"), ("محمد", "بنعلي")),
        ("ar", ("فاطمة", "العـلوي"), ("العلوي", "فاطمه")),
        ("ar", ("سؤال", "رئيس"), ("سوال", "رييس")),
        ("fr", ("Aït Ouârab", "Brahim"), ("AIT OUARAB", "brahim")),
        ("fr", ("Ben-Ali", "Zoé"), ("zoe", "Ben Ali")),
    ],
)
def test_names_agree_however_they_are_spelt_or_in_which_box_they_are(
    script: str, one: tuple[str, str], other: tuple[str, str]
) -> None:
    assert agreement(PERSON, names(script, *one), names(script, *other))


@pytest.mark.parametrize(
    ("one", "other"), [(("Alami", "Sara"), ("Alami", "Salma")), (("Alami", "Sara"), ("Alami Sara", "X"))]
)
def test_other_names_do_not_agree(one: tuple[str, str], other: tuple[str, str]) -> None:
    assert not agreement(PERSON, names("fr", *one), names("fr", *other))


def test_half_a_name_agrees_with_nothing() -> None:
    half = state_of(said(EN, 1, family_name_fr="Alami"))
    assert not agreement(PERSON, half, half)


def test_only_what_both_say_can_contradict() -> None:
    one, other = (
        state_of(said(EN, 1, sex="male", cin="SH1")),
        state_of(said(ADS, 1, cin="SH2", birth_date=None)),
    )
    assert contradictions(PERSON, one, other) == ("cin",)


def test_a_decision_joins_who_share_nothing_and_keeps_apart_who_share_all() -> None:
    one, other, third = states_of(said(EN, 1, cin="SH1"), said(ADS, 2), said(REGION, 3))
    joined = cluster(PERSON, [one, other, third], [Decision(other.id, third.id, True, 1)])
    assert joined.founder == {one.id: one.id, other.id: other.id, third.id: other.id}
    apart = cluster(
        PERSON, [one, other], [Decision(one.id, other.id, True, 1), Decision(other.id, one.id, False, 2)]
    )
    assert apart.founder == {one.id: one.id, other.id: other.id}


def test_of_two_decisions_at_one_moment_the_cautious_one_counts() -> None:
    one, other = states_of(said(EN, 1), said(ADS, 2))
    for order in permutations([Decision(one.id, other.id, True, 5), Decision(one.id, other.id, False, 5)]):
        assert cluster(PERSON, [one, other], order).founder[other.id] == other.id


# The crosswalk


def two_people() -> tuple[World, RecordState, RecordState]:
    one, other = states_of(said(EN, 1), said(ADS, 2))
    world = World({s.id: s for s in (one, other)}, {s.id: s.id for s in (one, other)})
    world.entities = {
        s.id: Entity(id=s.id, record_type="person", version=v) for s, v in ((one, 3), (other, 8))
    }
    return world, one, other


def test_a_merge_and_its_split_are_the_same_step() -> None:
    world, one, other = two_people()
    consent = Consent("ads", "a", "p", ("health",), True, None, None)
    world.entities[other.id].consents = {b"k": consent}
    assert regroup(world, {one.id: one.id, other.id: other.id}) == []
    ((record, before, after),) = regroup(world, {other.id: one.id})
    assert (record, before, after) == (other.id, other.id, one.id)
    assert merged_into(world, other.id) == one.id
    assert merged_into(world, one.id) is None
    assert (world.entities[one.id].consents, world.entities[other.id].consents) == ({b"k": consent}, {})
    assert [entity.version for entity in world.entities.values()] == [8, 8]
    regroup(world, {other.id: other.id})
    assert (world.entities[one.id].consents, world.entities[other.id].consents) == ({}, {b"k": consent})


def test_merges_that_do_not_touch_each_other_keep_their_own_versions() -> None:
    world, one, other = two_people()
    third, fourth = states_of(said(key("ads", "3"), 1), said(key("ads", "4"), 2))
    for state, version in ((third, 20), (fourth, 21)):
        world.records[state.id], world.entity_of[state.id] = state, state.id
        world.entities[state.id] = Entity(id=state.id, record_type="person", version=version)
    regroup(world, {other.id: one.id, fourth.id: third.id})
    assert [world.entities[s.id].version for s in (one, other, third, fourth)] == [8, 8, 21, 21]


# Contents


def test_contents_that_differ_have_different_digests() -> None:
    contents = [
        Content("upsert", None, None, ("a", "b"), {"a": b"1", "b": b"2"}),
        Content("upsert", None, None, ("a", "b"), {"a": b"12", "b": b""}),
        Content("upsert", None, None, ("a", "b"), {"a": b"12"}),
        Content("upsert", None, None, ("a",), {"a": b"12"}),
        Content("upsert", "7", None, ("a",), {"a": b"12"}),
        Content("retract"),
        Content("merged", merged_into=b"x"),
        Content("merged", merged_into=b"y"),
    ]
    assert len({content.digest() for content in contents}) == len(contents)
    assert contents[0].digest() == Content(*contents[0]).digest()


# Tokens (R4, R16)


def test_r4_ids_are_keyed_and_stable() -> None:
    ids = Ids(b"secret of sixteen+")
    assert ids.record(*EN) == Ids(b"secret of sixteen+").record(*EN)
    assert ids.record(*EN) != Ids(b"another secret....").record(*EN)
    assert (
        len({ids.record("a", "bc", "d", 1), ids.record("ab", "c", "d", 1), ids.record("a", "bc", "d1", 1)})
        == 3
    )
    assert len(record_token(derive(b"k", "p"), "person", "1")) == 22


def test_r4_two_agencies_names_of_one_entity_cannot_be_compared_and_lead_back() -> None:
    entity = IDS.record(*EN)
    one, other = IDS.pairwise("ads"), IDS.pairwise("entraide")
    assert one.name(entity) != other.name(entity)
    assert one.hub_id(one.name(entity)) == other.hub_id(other.name(entity)) == entity
    assert one.hub_id(other.name(entity)) != entity


@pytest.mark.parametrize("name", ["", "short", "x" * 23, "é" * 22, "x" * 100])
def test_what_is_not_of_a_name_s_form_leads_nowhere(name: str) -> None:
    assert IDS.pairwise("ads").hub_id(name) is None


def test_a_short_secret_is_refused() -> None:
    with pytest.raises(ValueError, match="at least 16"):
        Ids(b"short")


def test_assertions_of_nothing_are_nothing() -> None:
    assert unpack(pack(Assertions())) == Assertions()
