"""Rules R14 to R16 and R21: which records are one entity, and what happens when that changes."""

from __future__ import annotations

import datetime
from itertools import permutations
from typing import Any

import pytest
from support.changes import encoded, key, minute, record_id, said, shown
from support.contracts import CATALOGUE, IDS, TYPES
from support.memory_hub import MemoryHub

from hub.contracts.values import encode
from hub.core.assertions import Change, RecordKey
from hub.core.matching import MAX_SHARERS, identity_values
from hub.core.policy import STEWARD
from hub.core.projection import DELETE, MERGED, RETRACT, UPSERT
from hub.core.step import IDENTIFIER_CHANGED, INCARNATION_ENDED
from hub.lanes.converged import Converged

BORN = datetime.date(1990, 1, 1)
EN, ADS, REGION = key("entraide", "1"), key("ads", "a"), key("region", "r")
NUMBER = "INS-2026-000001"


def hub_of(*batches: tuple[Change, ...]) -> MemoryHub:
    hub = MemoryHub()
    for batch in batches:
        hub.take(*batch)
    hub.settle_due()
    return hub


def person(record: RecordKey, at_minute: float, operation: str = "insert", **values: Any) -> Change:
    """Somebody with the identifiers that all records of these tests share, unless said otherwise."""
    return said(record, at_minute, operation, **{"cin": "SH1", "birth_date": BORN, **values})


# R14


def test_r14_a_deletion_ends_an_incarnation_and_the_next_is_identified_anew() -> None:
    reborn = EN._replace(incarnation=1)
    hub = hub_of((person(EN, 1),), (said(EN, 2, "delete"),), (said(reborn, 3, "insert", cin="SH2"),))
    assert not hub.state(EN).live
    assert hub.state(reborn).live
    assert hub.entity(reborn) != hub.entity(EN)


@pytest.mark.parametrize("first", ["delete", "insert"])
def test_r14_the_next_life_of_a_row_is_told_what_the_row_before_it_held(first: str) -> None:
    """Whoever the row stood for is entered again under the same id, in one batch or the other way round: of
    what the hub had put into it, the new row has nothing."""
    reborn = ADS._replace(incarnation=1)
    changes = (said(ADS, 3, "delete"), person(reborn, 4))
    hub = hub_of((person(EN, 1, phone="+212600000001"), person(ADS, 2)))
    before = hub.told("ads", ADS)
    for batch in (changes,) if first == "delete" else ((changes[1],), (changes[0],)):
        hub.take(*batch)
    after = hub.told("ads", reborn)
    assert (after.content.local_id, shown(after)) == (ADS.local_id, shown(before))
    assert (before.content.life, after.content.life) == (0, 1)
    assert after.version > before.version
    assert after.seen == changes[1].stamp
    assert not any(one.deliveries for one in hub.again()), "once"


def test_r14_an_insert_into_a_life_that_has_ended_is_refused() -> None:
    late = said(EN, 3, "insert", phone="+212600000001")
    hub = hub_of((person(EN, 1),), (said(EN, 2, "delete"),), (late,))
    assert hub.rejected == [(late, INCARNATION_ENDED)]
    assert "phone" not in hub.state(EN).asserts.values


def test_r14_an_older_insert_that_comes_late_is_taken_and_the_life_stays_ended() -> None:
    hub = hub_of((said(EN, 2, "delete"),), (person(EN, 1),))
    assert hub.rejected == []
    assert not hub.state(EN).live
    assert hub.state(EN).asserts.values["cin"][1] == encoded("person", "cin", "SH1")


@pytest.mark.parametrize("name", ["cin", "massar_code"])
def test_r14_a_strong_identifier_that_changes_to_another_holds_the_whole_change(name: str) -> None:
    first, other = ("SH1", "SH2") if name == "cin" else ("R130000001", "R130000002")
    hub = hub_of((said(EN, 1, "insert", **{name: first}),))
    changed = said(EN, 2, **{name: other, "phone": "+212600000001"})
    hub.take(changed)
    (hold,) = hub.holds
    assert (hold.change, hold.reason, hold.fields) == (changed, IDENTIFIER_CHANGED, (name,))
    assert shown(hub.told("entraide", EN)) == {name: first}


def test_r14_learning_or_losing_an_identifier_contradicts_nothing() -> None:
    hub = hub_of(
        (said(EN, 1, "insert"),),
        (said(EN, 2, cin="SH1"),),
        (said(EN, 3, cin=None),),
        (said(EN, 4, cin="SH2"),),
    )
    assert hub.holds == []
    assert hub.state(EN).asserts.values["cin"][1] == encoded("person", "cin", "SH2")


def test_r14_an_older_change_with_another_identifier_is_superseded_not_held() -> None:
    hub = hub_of((said(EN, 2, cin="SH1"),), (said(EN, 1, cin="SH2", phone="+212600000001"),))
    assert hub.holds == []
    assert shown(hub.told("entraide", EN)) == {"cin": "SH1", "phone": "+212600000001"}


# R15


def test_r15_a_deletion_withdraws_what_the_record_said_and_the_entity_lives_on() -> None:
    hub = hub_of((person(EN, 1, phone="+212600000001"), person(ADS, 2, phone="+212600000002")))
    hub.take(said(ADS, 3, "delete"))
    assert shown(hub.told("entraide", EN))["phone"] == "+212600000001"
    assert hub.golden[hub.entity(EN)].live


def test_r15_where_it_was_deleted_it_is_not_created_again_until_it_is_inserted() -> None:
    hub = hub_of((person(EN, 1), person(ADS, 2)), (said(ADS, 3, "delete"),))
    assert hub.told("ads", EN).content.operation == RETRACT
    hub.take(said(EN, 4, phone="+212600000001"))
    assert hub.told("ads", EN).content.operation == RETRACT
    again = ADS._replace(incarnation=1)
    hub.take(person(again, 5))
    assert hub.entity(again) == hub.entity(EN)
    assert shown(hub.told("ads", EN))["phone"] == "+212600000001"


def test_r15_a_record_that_was_only_created_for_an_entity_does_not_support_it() -> None:
    hub = hub_of((person(EN, 1),))
    hub.take(said(ADS, 2, "link", entity=hub.entity(EN)))
    hub.take(said(EN, 3, "delete"))
    assert not hub.golden[hub.entity(EN)].live
    assert hub.told("ads", EN).content.operation == RETRACT


def test_r15_a_record_that_was_removed_because_it_was_retracted_may_be_created_again() -> None:
    hub = hub_of((person(EN, 1),))
    hub.take(said(ADS, 2, "link", entity=hub.entity(EN)))
    hub.take(said(ADS, 3, "unlink"))
    assert hub.told("ads", EN).content.operation == UPSERT
    assert hub.told("ads", EN).content.local_id is None


def test_r15_that_a_row_is_gone_that_was_named_since_is_told() -> None:
    """The agency's side may have found somebody else under the id that was named, and done nothing (R14)."""
    hub = hub_of((person(EN, 1),))
    hub.take(said(ADS, 2, "link", entity=hub.entity(EN)))
    first = hub.told("ads", EN)
    assert first.content.local_id is None
    hub.take(said(EN, 3, phone="+212600000001"))
    named = hub.told("ads", EN)
    assert named.content.local_id == ADS.local_id
    hub.take(said(ADS, 4, "unlink"))
    after = hub.told("ads", EN)
    assert (after.content.operation, after.content.local_id) == (UPSERT, None)
    assert after.version > named.version


@pytest.mark.parametrize(("record_type", "told"), [("person", RETRACT), ("enrolment", DELETE)])
def test_r15_the_end_of_all_records_is_a_deletion_elsewhere_only_if_the_type_says_so(
    record_type: str, told: str
) -> None:
    record = key("entraide", "1", record_type)
    hub = hub_of(
        (said(record, 1, "insert", **({"number": NUMBER} if record_type == "enrolment" else {"cin": "SH1"})),)
    )
    hub.take(said(record, 2, "delete"))
    assert hub.told("ads", record).content.operation == told


def test_r15_a_row_that_the_hub_had_made_beside_an_own_one_goes_as_well() -> None:
    """Made before the hub had heard of the agency's own row: it is not the one that is updated (R21)."""
    first, own, made = (
        key(a, i, "enrolment") for a, i in (("ads", "a"), ("entraide", "1"), ("entraide", "2"))
    )
    hub = hub_of((said(first, 1, "insert", number=NUMBER), said(own, 2, "insert", number=NUMBER)))
    hub.take(said(made, 3, "link", entity=hub.entity(first)))
    assert hub.told("entraide", first).content.local_id == "1"
    hub.take(said(first, 4, "delete"))
    assert hub.told("entraide", first).content.operation == DELETE
    hub.take(said(own, 5, "unlink"))
    told = hub.told("entraide", first).content
    assert (told.operation, told.local_id) == (DELETE, "2")
    hub.take(said(made, 6, "unlink"))
    assert hub.told("entraide", first).content.operation == DELETE


def test_r15_a_row_that_a_split_gives_back_to_what_is_no_more_goes() -> None:
    """Its agency was told that it had become part of another, and has let it go since (R29)."""
    hub = hub_of((person(EN, 1), person(REGION, 2, cin="SH2")))
    hub.take(said(ADS, 3, "link", entity=hub.entity(REGION)))
    was = hub.entity(REGION)
    hub.decide(EN, REGION, same=True)
    told = hub.inbox["ads", was]
    assert told.content.operation == MERGED
    assert hub.world.entities[was].bury("ads", told.version)
    hub.take(said(REGION, 4, "delete"))
    hub.decide(EN, REGION, same=False, stamp=2)
    content = hub.inbox["ads", was].content
    assert (content.operation, content.local_id) == (RETRACT, ADS.local_id)


def test_r15_a_propagated_deletion_ends_what_was_said_before_it_whoever_said_it() -> None:
    one, other = key("entraide", "1", "enrolment"), key("ads", "a", "enrolment")
    changes = [
        said(one, 1, "insert", number=NUMBER),
        said(other, 2, "insert", number=NUMBER, status="active", modules=["french"]),
        said(one, 3, "delete"),
        said(other, 4, status="completed"),
    ]
    hub = hub_of(*((change,) for change in changes[:3]))
    assert not hub.golden[hub.entity(one)].live
    assert hub.told("ads", one).content.operation == DELETE
    # Whoever speaks of it afterwards, revives it with what they say then; whatever the order of arrival.
    for order in (changes, changes[::-1]):
        hub = hub_of(*((change,) for change in order))
        assert hub.golden[hub.entity(one)].live
        assert hub.golden[hub.entity(one)].encoded == {"status": encoded("enrolment", "status", "completed")}


@pytest.mark.parametrize("forgotten", [False, True])
def test_r15_an_edit_that_is_older_than_a_propagated_deletion_is_answered_with_it(*, forgotten: bool) -> None:
    """The sink leaves a row alone for the sake of an edit that the hub has not seen: once it has, it decides.

    Also where the hub has forgotten meanwhile, with a tombstone, that it told of the end.
    """
    one, other = key("entraide", "1", "enrolment"), key("ads", "a", "enrolment")
    hub = hub_of((said(one, 1, "insert", number=NUMBER),), (said(other, 2, "insert", number=NUMBER),))
    hub.take(said(one, 9, "delete"))
    ended = hub.told("ads", one)
    if forgotten:
        assert hub.world.entities[hub.entity(one)].bury("ads", ended.version)
    edit = said(other, 3, status="active")
    hub.take(edit)
    assert [tuple(lost) for lost in hub.answers[-1].lost] == [("status", "deleted")]
    again = hub.told("ads", one)
    assert again.content.operation == ended.content.operation == DELETE
    assert again.version > ended.version
    assert again.seen == edit.stamp
    assert not hub.golden[hub.entity(one)].live


# R16


def test_r16_a_shared_identifier_links_where_birth_date_or_name_agrees() -> None:
    by_birth = hub_of((person(EN, 1), person(ADS, 2)))
    assert by_birth.entity(EN) == by_birth.entity(ADS) == IDS.record(*EN)
    names = {"family_name_ar": "الإدريسي", "given_name_ar": "فاطمة", "birth_date": None}
    folded = {"family_name_ar": "فاطمه", "given_name_ar": "الادريسي", "birth_date": BORN}
    by_name = hub_of((person(EN, 1, **names), person(ADS, 2, **folded)))
    assert by_name.entity(EN) == by_name.entity(ADS)
    latin = {"family_name_fr": "El Idrissi", "given_name_fr": "Fâtima", "birth_date": None}
    other = {"family_name_fr": "EL-IDRISSI", "given_name_fr": "FATIMA", "birth_date": BORN}
    assert len(set(hub_of((person(EN, 1, **latin), person(ADS, 2, **other))).world.entity_of.values())) == 1


def test_r16_an_identifier_alone_is_a_review_and_discloses_nothing() -> None:
    hub = hub_of((said(EN, 1, "insert", cin="SH1", phone="+212600000001"),))
    hub.take(said(REGION, 2, "insert", cin="SH1", commune="11.321.01.03"))
    assert hub.entity(EN) != hub.entity(REGION)
    (review,) = hub.reviews
    assert ({review.a, review.b}, review.reason) == (
        {IDS.record(*EN), IDS.record(*REGION)},
        "identifier_alone",
    )
    # The region, which only updates whom it has, hears of its own person and of nobody else.
    assert {place: shown(one) for place, one in hub.inbox.items() if place[0] == "region"} == {
        ("region", hub.entity(REGION)): {"commune": "11.321.01.03"}
    }


@pytest.mark.parametrize(
    "against",
    [{"birth_date": BORN + datetime.timedelta(1)}, {"sex": "male"}, {"massar_code": "R130000002"}],
    ids=["birth date", "sex", "another identifier"],
)
def test_r16_a_contradiction_prevents_a_link_and_asks_a_person(against: dict[str, Any]) -> None:
    names = {
        "family_name_ar": "العلوي",
        "given_name_ar": "سعيد",
        "sex": "female",
        "massar_code": "R130000001",
    }
    hub = hub_of((person(EN, 1, **names), person(ADS, 2, **{**names, **against})))
    assert hub.entity(EN) != hub.entity(ADS)
    assert [(review.reason, against.keys() <= set(review.fields)) for review in hub.reviews] == [
        ("contradiction", True)
    ]


def test_r16_names_without_a_letter_agree_with_nobody() -> None:
    nameless = {"family_name_fr": "-", "given_name_fr": "...", "birth_date": None}
    hub = hub_of((person(EN, 1, **nameless), person(ADS, 2, **nameless)))
    assert hub.entity(EN) != hub.entity(ADS)
    assert [review.reason for review in hub.reviews] == ["identifier_alone"]


@pytest.mark.parametrize(("decided", "contradicted"), [(EN, ADS), (ADS, EN)])
def test_r16_who_was_told_apart_is_not_asked_about_again_whatever_else_contradicts(
    decided: RecordKey, contradicted: RecordKey
) -> None:
    other = key("health", "h")
    hub = hub_of((person(contradicted, 1, sex="female"), person(decided, 2)))
    hub.decide(decided, other, same=False)
    hub.take(person(other, 3, sex="male"))
    assert len(set(hub.world.entity_of.values())) == 2
    assert hub.reviews == []


def test_r16_a_contradiction_with_any_member_keeps_the_whole_group_apart() -> None:
    hub = hub_of((person(EN, 1), person(ADS, 2, sex="female"), person(REGION, 3, sex="male")))
    assert hub.entity(EN) == hub.entity(ADS) != hub.entity(REGION)


def test_r16_clusters_do_not_depend_on_arrival() -> None:
    changes = [
        person(EN, 3),
        person(ADS, 2, sex="female"),
        person(REGION, 1, sex="male"),
        person(key("health", "h"), 4),
    ]
    expected = hub_of(tuple(changes)).world.entity_of
    for order in permutations(changes):
        assert hub_of(*((change,) for change in order)).world.entity_of == expected


def test_r16_an_identifier_that_too_many_share_is_no_identifier() -> None:
    crowd = [person(key("entraide", str(n)), n) for n in range(MAX_SHARERS)]
    hub = hub_of(tuple(crowd))
    assert len(set(hub.world.entity_of.values())) == 1
    hub.take(person(key("entraide", "one too many"), 99))
    assert len(set(hub.world.entity_of.values())) == MAX_SHARERS + 1
    assert {review.reason for review in hub.reviews} == {"too_many_share"}


def test_r16_a_merge_that_is_split_again_leaves_exactly_what_was_there() -> None:
    hub = hub_of((person(EN, 1, phone="+212600000001"), said(ADS, 2, "insert", birth_date=BORN)))
    hub.take(said(key("ads", "k", "consent"), 2, "insert", person="a", purpose="health-followup",
                  recipients=["health"], status="given"))  # fmt: skip
    hub.settle_due()
    before = {place: one.content for place, one in hub.inbox.items()}
    consents = {entity: dict(row.consents) for entity, row in hub.world.entities.items()}
    assert any(consents.values())
    # A consent goes where the record goes that it was given for, in the same step: not by what is due later.
    hub.decide(EN, ADS, same=True, stamp=1)
    assert hub.entity(EN) == hub.entity(ADS)
    assert hub.world.entities[hub.entity(EN)].consents
    assert hub.told("health", EN).content.operation == UPSERT
    hub.settle_due()
    hub.decide(EN, ADS, same=False, stamp=2)
    assert hub.entity(EN) != hub.entity(ADS)
    assert hub.inbox["health", hub.entity(EN)].content.operation != UPSERT
    hub.settle_due()
    assert hub.entity(EN) != hub.entity(ADS)
    after = {place: one.content for place, one in hub.inbox.items() if one.content.operation == UPSERT}
    assert after == before
    assert {entity: dict(row.consents) for entity, row in hub.world.entities.items()} == consents


def test_r16_the_latest_of_a_stewards_decisions_on_a_pair_counts_and_stands_above_identifiers() -> None:
    hub = hub_of((person(EN, 1), person(ADS, 2)))
    hub.decide(EN, ADS, same=False, stamp=5)
    assert hub.entity(EN) != hub.entity(ADS)
    hub.decide(EN, ADS, same=True, stamp=4)
    assert hub.entity(EN) != hub.entity(ADS)


def test_r16_a_steward_s_word_on_a_field_neither_joins_nor_parts() -> None:
    other, word = person(REGION, 3, cin="SH9"), said(key(STEWARD, "s"), 4, entity=record_id(EN), cin="SH9")
    hub = hub_of((person(EN, 1), person(ADS, 2)), (other,))
    hub.take(word, said(key(STEWARD, "t"), 4, entity=record_id(EN), birth_date=datetime.date(1991, 2, 2)))
    assert hub.entity(EN) == hub.entity(ADS) == hub.entity(key(STEWARD, "s")) == hub.entity(key(STEWARD, "t"))
    # Whoever comes now, or is looked at once more, is still known by what agencies say.
    newcomer = person(key("health", "h"), 5)
    hub.take(newcomer, said(ADS, 6, cin="SH1", family_name_fr="Alaoui"))
    assert hub.entity(newcomer.key) == hub.entity(ADS) == hub.entity(EN)
    assert hub.entity(REGION) != hub.entity(EN)
    assert not hub.reviews


def test_r16_a_steward_s_word_follows_whom_it_was_said_of() -> None:
    hub = hub_of((person(EN, 1, given_name_fr="Salma"),), (person(ADS, 2, given_name_fr="Selma"),))
    hub.take(said(key(STEWARD, "s"), 3, entity=record_id(EN), given_name_fr="Sâlma"))
    hub.decide(EN, ADS, same=False)
    assert hub.entity(key(STEWARD, "s")) == hub.entity(EN) != hub.entity(ADS)
    assert shown(hub.told("ads", ADS))["given_name_fr"] == "Selma"


def test_r16_a_hub_id_is_that_of_the_founding_record_so_a_replay_gives_the_same() -> None:
    assert hub_of((person(EN, 1),)).entity(EN) == IDS.record("entraide", "person", "1", 0)
    # A record that was created for an entity never founds it, even if its clock was behind.
    hub = hub_of((person(EN, 5),))
    hub.take(person(ADS, 1, "link", entity=hub.entity(EN)))
    assert hub.entity(ADS) == hub.entity(EN) == IDS.record(*EN)


def test_r16_things_that_are_no_persons_link_by_their_whole_natural_key() -> None:
    one, other, third = (
        key(agency, local, "cooperative") for agency, local in (("ads", "1"), ("entraide", "2"), ("ads", "3"))
    )
    hub = hub_of((said(one, 1, name="Tifaout", commune="11.321"), said(other, 2, name="Tifaout")))
    assert hub.entity(one) != hub.entity(other)
    hub.take(said(other, 3, commune="11.321"), said(third, 3, name="Tifaout", commune="12.066"))
    assert hub.entity(one) == hub.entity(other) != hub.entity(third)
    assert hub.reviews == []


def test_identity_values_of_a_natural_key_need_all_its_parts() -> None:
    hub = hub_of((said(key("ads", "1", "cooperative"), 1, name="Tifaout"),))
    assert identity_values(TYPES["cooperative"], hub.state(key("ads", "1", "cooperative"))) == []


# R21


def test_r21_one_primary_record_receives_and_the_agencys_others_do_not() -> None:
    second = key("ads", "b")
    hub = hub_of((person(EN, 1, phone="+212600000001"), person(ADS, 2), person(second, 3)))
    assert hub.entity(ADS) == hub.entity(second)
    deliveries = [one for one in hub.deliveries if one.agency == "ads" and one.entity == hub.entity(EN)]
    assert {one.content.local_id for one in deliveries} == {"a"}
    hub.take(said(ADS, 4, "delete"))
    assert hub.told("ads", EN).content.local_id == "b"


def test_r21_a_merge_tells_what_into_and_deletes_nothing() -> None:
    hub = hub_of((person(EN, 1), person(ADS, 2, cin=None)))
    was = hub.entity(ADS)
    hub.take(said(ADS, 3, cin="SH1"))
    for agency in ("entraide", "ads"):
        told = hub.inbox[agency, was].content
        assert (told.operation, told.merged_into) == (MERGED, hub.entity(EN))
    assert hub.golden[was].merged_into == hub.entity(EN)


def duplicates(hub: MemoryHub, *moved: RecordKey) -> set[RecordKey]:
    """The records about which intake would tell their agencies, had these just come to their entities."""
    done = Converged()
    done.add(hub.world, [], moved=[IDS.record(*record) for record in moved])
    assert {note.reason for note in done.notes} <= {"duplicate"}
    return {note.key for note in done.notes}


def test_r21_an_agency_is_told_of_its_duplicates_whichever_of_them_came_last() -> None:
    second = key("ads", "b")
    newer_came = hub_of((person(EN, 1), person(ADS, 2), person(second, 3)))
    assert duplicates(newer_came, second) == {second}
    # The older record comes last: it is the one that is updated from now on, so the other must be told of.
    older_came = hub_of((person(EN, 1), person(second, 3)), (person(ADS, 2),))
    assert duplicates(older_came, ADS) == {second}
    assert duplicates(older_came, EN) == set()


def test_r21_values_reach_the_row_that_the_agency_knows() -> None:
    """A local id is given as soon as there is a row; where its side knows it by itself, that is no news."""
    hub = hub_of((person(EN, 1),))
    assert hub.told("ads", EN).content.local_id is None
    before = hub.told("ads", EN)
    hub.take(said(ADS, 2, "link", entity=hub.entity(EN)))
    assert hub.told("ads", EN) is before
    hub.take(said(EN, 3, phone="+212600000001"))
    assert hub.told("ads", EN).content.local_id == "a"
    hub.take(person(REGION, 0.5))
    assert hub.entity(ADS) == IDS.record(*REGION)
    assert hub.told("ads", EN).content.local_id == "a"


def test_r21_after_a_split_each_entity_has_the_row_again_that_was_made_for_it() -> None:
    """Its side was told that the entity was part of another one: by itself it knows of no row for it."""
    hub = hub_of((person(EN, 1),), (said(REGION, 2, "insert", birth_date=BORN, phone="+212600000001"),))
    other = key("ads", "b")
    hub.take(said(ADS, 3, "link", entity=hub.entity(EN)), said(other, 3, "link", entity=hub.entity(REGION)))
    parted = hub.entity(REGION)
    hub.take(said(REGION, 4, cin="SH1"))
    assert hub.inbox["ads", parted].content.operation == MERGED
    hub.decide(EN, REGION, same=False)
    hub.settle_due()
    assert hub.entity(other) == hub.entity(REGION) == parted
    assert (hub.told("ads", EN).content.local_id, hub.told("ads", REGION).content.local_id) == ("a", "b")


def test_r21_values_reach_the_row_made_for_the_entity_though_another_was_named_meanwhile() -> None:
    second = key("ads", "b")
    hub = hub_of((person(EN, 1),), (person(second, 3),))
    # The agency's side now takes the entity for that row; word of the older one, made for it, comes late.
    assert hub.told("ads", EN).content.local_id == "b"
    hub.take(said(ADS, 2, "link", entity=hub.entity(EN)))
    assert hub.told("ads", EN).content.local_id == "a"
    hub.take(said(second, 4, "delete"))
    # The side has nothing for the entity since that row is gone; by itself it would not find the other one.
    assert hub.told("ads", EN).content.local_id == "a"


def test_values_are_compared_in_their_canonical_form() -> None:
    spec = CATALOGUE.records["person"].by_name["cin"]
    assert encode(spec, " SH1\u200f") == encoded("person", "cin", "SH1")
    assert minute(1) < minute(1, 1) < minute(2)
