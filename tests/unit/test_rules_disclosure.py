"""Rules R17 to R20: what an agency may hold, in which version it is told, and how a lost edit is answered."""

from __future__ import annotations

import datetime
from collections.abc import Mapping
from typing import Any

import pytest
from support.changes import key, said, shown
from support.contracts import (
    CATALOGUE,
    EVENTS,
    HEALTH,
    IDS,
    INTEGRATION,
    NEVER,
    TERMS,
    TODAY,
    TYPES,
    grant,
    names,
    terms,
)
from support.memory_hub import MemoryHub

from hub.contracts.subjects import event_subjects
from hub.contracts.values import decode_string
from hub.core.answers import (
    NO_AUTHORITY,
    NOT_PERMITTED,
    OLDER,
    OUTRANKED,
    REWRITE_LIMIT,
    STALE_FORM,
    disputed_fields,
)
from hub.core.assertions import Change, RecordKey, absorb
from hub.core.contents import Rules
from hub.core.crosswalk import EPOCH_BITS
from hub.core.policy import STEWARD
from hub.core.projection import (
    DELETE,
    MERGED,
    RETRACT,
    UPSERT,
    Consent,
    Terms,
    consented,
    grants_in_force,
    next_due_day,
)
from hub.core.settle import Settled, settle
from hub.lanes.messages import Encoder

BORN = datetime.date(1990, 1, 1)
EN, ADS, REGION = key("entraide", "1"), key("ads", "a"), key("region", "r")
ENROLMENT, CONSENT = key("entraide", "e", "enrolment"), key("entraide", "k", "consent")
NUMBER = "INS-2026-000001"


def hub_of(*batches: tuple[Change, ...], **options: Any) -> MemoryHub:
    hub = MemoryHub(**options)
    for batch in batches:
        hub.take(*batch)
    hub.settle_due()
    return hub


def person(record: RecordKey, at_minute: float, operation: str = "insert", **values: Any) -> Change:
    return said(record, at_minute, operation, **{"cin": "SH1", "birth_date": BORN, **values})


def consent(at_minute: float, operation: str = "insert", **values: Any) -> Change:
    """The first person's consent that the health services know them."""
    given = {"person": "1", "purpose": HEALTH, "recipients": ["health"], "status": "given"}
    return said(CONSENT, at_minute, operation, **({**given, **values} if operation == "insert" else values))


def with_person_terms(*those: Terms) -> Mapping[str, tuple[Terms, ...]]:
    return {**TERMS, "person": those}


def holds(hub: MemoryHub, agency: str, record: RecordKey) -> bool:
    told = hub.inbox.get((agency, hub.entity(record)))
    return told is not None and told.content.operation == UPSERT


def settled_again(hub: MemoryHub, **changed: Any) -> list[Settled]:
    """Settle everything under other rules."""
    for name, value in changed.items():
        setattr(hub, name, value)
    return hub.again()


# R17


def test_r17_fields_is_the_whole_of_what_the_agreement_allows_and_anybody_has_spoken_of() -> None:
    hub = hub_of((person(EN, 1, massar_code="R130000001"), person(ADS, 2, phone="+212600000001", sex=None)))
    assert shown(hub.told("entraide", EN)) == {
        "cin": "SH1", "massar_code": "R130000001", "birth_date": BORN, "phone": "+212600000001",
    }  # fmt: skip
    # ads' agreement has no massar_code.
    assert shown(hub.told("ads", EN)) == {"cin": "SH1", "birth_date": BORN, "phone": "+212600000001"}


def test_r17_known_to_be_empty_is_told_and_is_not_the_same_as_never_spoken_of() -> None:
    hub = hub_of((person(EN, 1),), (said(EN, 2, phone=None),))
    content = hub.told("ads", EN).content
    assert "phone" in content.fields
    assert "phone" not in content.values
    assert "commune" not in content.fields


def test_r17_a_consent_discloses_and_its_withdrawal_takes_back() -> None:
    hub = hub_of((person(EN, 1), consent(2)))
    assert shown(hub.told("health", EN))["cin"] == "SH1"
    hub.take(consent(3, "update", status="withdrawn"))
    hub.settle_due()
    assert hub.told("health", EN).content.operation == RETRACT


def test_r17_a_consent_for_some_fields_changes_only_those() -> None:
    hub = hub_of((person(EN, 1), person(REGION, 2, phone="+212600000001")))
    assert "phone" not in shown(hub.told("region", EN))
    hub.take(consent(3, purpose=INTEGRATION, recipients=["region"]))
    hub.settle_due()
    assert shown(hub.told("region", EN))["phone"] == "+212600000001"
    hub.take(said(CONSENT, 4, "delete"))
    hub.settle_due()
    assert "phone" not in hub.told("region", EN).content.fields


@pytest.mark.parametrize(
    "other",
    [{"purpose": INTEGRATION}, {"recipients": ["ads"]}, {"status": "withdrawn"}],
    ids=["another purpose", "another recipient", "withdrawn"],
)
def test_r17_a_consent_to_something_else_discloses_nothing(other: dict[str, Any]) -> None:
    hub = hub_of((person(EN, 1), consent(2, **other)))
    assert not holds(hub, "health", EN)


def test_r17_a_consent_is_in_force_from_its_first_to_its_last_day() -> None:
    days = {"given_on": _date(TODAY + 1), "valid_until": _date(TODAY + 2)}
    hub = hub_of((person(EN, 1), consent(2, **days)))
    in_force = []
    for day in range(TODAY, TODAY + 4):
        settled_again(hub, day=day)
        in_force.append(holds(hub, "health", EN))
    assert in_force == [False, True, True, False]


def test_r17_an_expiry_is_a_due_day() -> None:
    valid = {"given_on": _date(TODAY + 3), "valid_until": _date(TODAY + 5)}
    hub = hub_of((person(EN, 1), consent(2, **valid)))
    due = []
    for day in (TODAY, TODAY + 3, TODAY + 6):
        (settled,) = [s for s in settled_again(hub, day=day) if s.entity.id == hub.entity(EN)]
        due.append(settled.due_day)
    # Its first day, the day after its last, then the end of the agreement.
    assert due == [TODAY + 3, TODAY + 6, NEVER + 1]


def test_r17_a_grant_and_an_agreement_end_with_their_last_day() -> None:
    both = terms("ads", "person", grant(frozenset({"cin"})), grant(frozenset({"sex"}), until=5), until=7)
    spoken = [frozenset().union(*(g.fields for g in grants_in_force(both, (), day))) for day in (5, 6, 7, 8)]
    assert spoken == [{"cin", "sex"}, {"cin"}, {"cin"}, set()]
    assert [next_due_day(both, (), day) for day in (0, 6, 8)] == [6, 8, None]


def test_r17_what_a_person_s_papers_may_tell_depends_on_the_person_s_consent_too() -> None:
    enrolment = said(ENROLMENT, 2, "insert", number=NUMBER, person="1")
    hub = hub_of((person(EN, 1), enrolment))
    assert not holds(hub, "health", ENROLMENT)
    hub.take(consent(3))
    hub.settle_due()
    assert shown(hub.told("health", ENROLMENT))["number"] == NUMBER
    hub.take(consent(4, "update", status="withdrawn"))
    hub.settle_due()
    assert hub.told("health", ENROLMENT).content.operation == RETRACT


def test_r17_consents_of_a_person_are_due_even_if_only_their_papers_need_them() -> None:
    only_papers = {**TERMS, "person": (terms("health", "person", grant(names("person"))),)}
    hub = hub_of((person(EN, 1), consent(2, valid_until=_date(TODAY + 5))), terms=only_papers)
    (settled,) = hub.again(hub.entity(EN))
    assert settled.due_day == TODAY + 6


def test_r17_a_narrower_agreement_takes_back() -> None:
    hub = hub_of((person(EN, 1, phone="+212600000001"), person(ADS, 2)))
    narrower = with_person_terms(terms("ads", "person", grant(frozenset({"cin"}))))
    settled_again(hub, terms=narrower)
    assert shown(hub.told("ads", EN)) == {"cin": "SH1"}
    settled_again(hub, terms=with_person_terms(terms("ads", "person")))
    assert hub.told("ads", EN).content.operation == RETRACT


def test_r17_a_split_takes_back_what_was_the_others() -> None:
    hub = hub_of((person(EN, 1, phone="+212600000001"), person(REGION, 2, commune="11.321.01.03")))
    entity = hub.entity(EN)
    assert shown(hub.told("region", EN))["birth_date"] == BORN
    hub.take(said(REGION, 3, birth_date=BORN + datetime.timedelta(1)))
    assert hub.entity(REGION) != entity
    assert hub.inbox["region", entity].content.operation == RETRACT
    assert shown(hub.told("region", REGION))["commune"] == "11.321.01.03"
    assert "commune" not in shown(hub.told("entraide", EN))


def test_r17_who_may_only_update_hears_of_nobody_new() -> None:
    hub = hub_of((person(EN, 1),))
    assert not holds(hub, "region", EN)
    hub.take(person(REGION, 2))
    assert holds(hub, "region", EN)


def test_r17_nothing_is_said_to_an_agency_whose_own_records_are_still_coming_in() -> None:
    hub = hub_of(
        (person(EN, 1), person(key("entraide", "2"), 1, cin="SH2"), person(ADS, 2)),
        joining=frozenset({"ads"}),
    )
    assert not holds(hub, "ads", ADS)
    assert not holds(hub, "ads", key("entraide", "2"))
    settled_again(hub, joining=frozenset())
    assert holds(hub, "ads", ADS)
    assert holds(hub, "ads", key("entraide", "2"))


def test_r17_what_was_retracted_stays_so_whatever_becomes_of_the_entity() -> None:
    """A merge or the end of all records is not told to an agency that holds nothing any more."""
    hub = hub_of((person(EN, 1), consent(2)))
    was = hub.entity(EN)
    hub.take(consent(3, "update", status="withdrawn"))
    hub.settle_due()
    retraction = hub.inbox["health", was]
    hub.take(person(ADS, 0.5))
    assert hub.entity(EN) != was
    assert hub.inbox["health", was] == retraction
    assert hub.inbox["ads", was].content.operation == MERGED


# R18


def test_r18_every_change_of_a_projection_raises_the_version_and_nothing_else_does() -> None:
    hub = hub_of((person(EN, 1, phone="+212600000001"),))
    first = hub.told("ads", EN).version
    hub.take(said(EN, 2, phone="+212600000002"))
    second = hub.told("ads", EN).version
    assert second > first
    hub.take(said(EN, 3, phone="+212600000002"))
    hub.again()
    assert hub.world.entities[hub.entity(EN)].version == second


def test_r18_settling_twice_says_nothing_the_second_time() -> None:
    hub = hub_of(
        (person(EN, 1), person(ADS, 2), consent(3), said(ENROLMENT, 4, "insert", number=NUMBER, person="1"))
    )
    said_before = len(hub.deliveries)
    versions = {entity: row.version for entity, row in hub.world.entities.items()}
    again = hub.again()
    assert not any(one.golden_changed or one.deliveries or one.answers for one in again)
    assert len(hub.deliveries) == said_before
    assert {entity: row.version for entity, row in hub.world.entities.items()} == versions


def test_r18_all_concerned_in_a_merge_and_in_a_split_get_one_more_than_the_highest() -> None:
    hub = hub_of((person(EN, 1), person(ADS, 2, cin=None)))
    for minute, phone in enumerate(("+212600000001", "+212600000002", "+212600000003"), start=3):
        hub.take(said(ADS, minute, phone=phone))
    one, other = hub.world.entities[hub.entity(EN)], hub.world.entities[hub.entity(ADS)]
    highest = max(one.version, other.version)
    assert one.version != other.version
    hub.decide(EN, ADS, same=True, stamp=1)
    assert one.version == other.version == highest + 1
    hub.decide(EN, ADS, same=False, stamp=2)
    assert one.version == other.version == highest + 2


def test_r18_a_raised_epoch_stands_above_every_version_before() -> None:
    hub = hub_of((person(EN, 1),))
    entity = hub.world.entities[hub.entity(EN)]
    entity.version = 5_000
    absorb(TYPES["person"], hub.state(EN), said(EN, 2, phone="+212600000001"))
    rules = hub.rules()
    rules.epoch = 3
    settle(hub.world, [entity.id], rules, {}, {})
    assert entity.version == (3 << EPOCH_BITS) + 1


# R19


def lost_by(hub: MemoryHub) -> list[tuple[str, str]]:
    return [tuple(lost) for lost in hub.answers[-1].lost] if hub.answers else []


LOST = [
    ("outranked", (person(EN, 5, given_name_fr="Salma"), person(ADS, 1)), said(ADS, 9, given_name_fr="Selma"),
     ("given_name_fr", OUTRANKED)),
    ("older", (person(EN, 5, phone="+212600000001"), person(ADS, 1)), said(ADS, 3, phone="+212600000002"),
     ("phone", OLDER)),
    ("no authority", (person(EN, 5), person(ADS, 1)), said(ADS, 9, disability="motor"),
     ("disability", NO_AUTHORITY)),
    ("not permitted", (person(EN, 5), person(ADS, 1)), said(ADS, 9, withheld=("massar_code",)),
     ("massar_code", NOT_PERMITTED)),
    ("stale form", (person(EN, 5), person(ADS, 1)), said(ADS, 9, stale={"phone": "+212600000002"}),
     ("phone", STALE_FORM)),
    ("highest stays", (person(EN, 5, education_level="higher"), person(ADS, 1)),
     said(ADS, 9, education_level="none"), ("education_level", "max")),
    ("first stays", (person(EN, 5, received_on=BORN), person(ADS, 1)),
     said(ADS, 9, received_on=BORN + datetime.timedelta(1)), ("received_on", "immutable")),
    ("an element removed and added elsewhere later", (person(EN, 5, languages=["fr"]), person(ADS, 1)),
     said(ADS, 3, removed={"languages": ["fr"]}), ("languages", OUTRANKED)),
]  # fmt: skip


@pytest.mark.parametrize(
    ("before", "edit", "lost"), [case[1:] for case in LOST], ids=[case[0] for case in LOST]
)
def test_r19_an_edit_that_loses_is_answered_with_the_reason_and_the_current_value(
    before: tuple[Change, ...], edit: Change, lost: tuple[str, str]
) -> None:
    hub = hub_of(before)
    known = hub.told("ads", ADS)
    hub.take(edit)
    assert lost_by(hub) == [lost]
    again = hub.told("ads", ADS)
    # Told again though the golden record did not change, and in a later version.
    assert again.version > known.version
    assert again.content == known.content


def test_r19_an_edit_that_wins_or_says_what_is_believed_is_not_answered() -> None:
    hub = hub_of((person(EN, 1, phone="+212600000001"), person(ADS, 2)))
    hub.take(said(ADS, 3, phone="+212600000002"))
    hub.take(said(EN, 4, phone="+212600000002"))
    assert hub.answers == []


@pytest.mark.parametrize("operation", ["insert", "snapshot"])
def test_r19_only_edits_are_answered(operation: str) -> None:
    hub = hub_of((person(EN, 1, sex="female"),))
    hub.take(person(ADS, 9, operation, sex="male", cin=None))
    hub.take(said(ADS, 10, cin="SH1"))
    assert hub.answers == []


def fight(hub: MemoryHub, first_minute: float, times: int, step: float = 0.1) -> None:
    """ads and the hub write one field over, again and again."""
    for number in range(times):
        hub.take(said(ADS, first_minute + number * step, given_name_fr="Selma" if number % 2 else None))


def fighters() -> MemoryHub:
    return hub_of((person(EN, 1, given_name_fr="Salma"), person(ADS, 2)))


def steward_said(hub: MemoryHub, at_minute: float, **values: object) -> Change:
    """A steward's word on whom the fight is about."""
    return said(key(STEWARD, "s"), at_minute, entity=hub.entity(EN), **values)


def test_r19_a_field_that_is_rewritten_too_often_is_disputed_and_left_alone() -> None:
    hub = fighters()
    fight(hub, 3, REWRITE_LIMIT - 1)
    assert "given_name_fr" in hub.told("ads", ADS).content.fields
    fight(hub, 4, 1)
    assert hub.answers[-1].disputed == ("given_name_fr",)
    assert "given_name_fr" not in hub.told("ads", ADS).content.fields
    assert "given_name_fr" in hub.told("entraide", ADS).content.fields


def test_r19_a_dispute_does_not_end_by_waiting_and_is_said_once() -> None:
    hub = fighters()
    fight(hub, 3, REWRITE_LIMIT)
    fight(hub, 60, 2)
    assert "given_name_fr" not in hub.told("ads", ADS).content.fields
    assert [answer.disputed for answer in hub.answers if answer.disputed] == [("given_name_fr",)]


def test_r19_rewrites_far_apart_are_no_dispute() -> None:
    hub = fighters()
    fight(hub, 3, 3 * REWRITE_LIMIT, step=11)
    assert "given_name_fr" in hub.told("ads", ADS).content.fields


def test_r19_a_steward_ends_a_dispute() -> None:
    hub = fighters()
    fight(hub, 3, REWRITE_LIMIT)
    assert disputed_fields(hub.state(ADS)) == {"given_name_fr"}
    hub.take(steward_said(hub, 9, given_name_fr="Selma"))
    for agency in ("ads", "entraide"):
        assert shown(hub.told(agency, ADS))["given_name_fr"] == "Selma"


def test_r19_who_writes_over_a_steward_s_word_is_stopped_again() -> None:
    hub = fighters()
    fight(hub, 3, REWRITE_LIMIT)
    hub.take(steward_said(hub, 9, given_name_fr="Sâlma"))
    fight(hub, 10, REWRITE_LIMIT - 1)
    assert shown(hub.told("ads", ADS))["given_name_fr"] == "Sâlma"
    fight(hub, 11, 1)
    assert "given_name_fr" not in hub.told("ads", ADS).content.fields
    assert shown(hub.told("entraide", ADS))["given_name_fr"] == "Sâlma"
    assert [answer.disputed for answer in hub.answers if answer.disputed] == [("given_name_fr",)] * 2


def test_r19_a_steward_s_word_that_is_taken_back_leaves_what_agencies_say() -> None:
    hub = fighters()
    hub.take(steward_said(hub, 9, given_name_fr="Sâlma"))
    hub.take(said(key(STEWARD, "s"), 10, "unlink"))
    assert shown(hub.told("ads", ADS))["given_name_fr"] == "Salma"


def test_r19_a_word_that_says_nothing_is_told_to_nobody() -> None:
    hub = fighters()
    hub.take(steward_said(hub, 9, languages=[]))
    hub.take(said(EN, 10, "delete"), said(ADS, 10, "delete"))
    assert STEWARD not in {agency for agency, _ in hub.inbox}


def test_r19_a_steward_is_not_answered() -> None:
    hub = fighters()
    hub.take(steward_said(hub, 9, given_name_fr="Sâlma"), steward_said(hub, 8, given_name_fr="Selma"))
    assert hub.answers == []


def test_r19_a_steward_s_word_alone_keeps_nobody() -> None:
    hub = fighters()
    hub.take(steward_said(hub, 9, given_name_fr="Sâlma"))
    hub.take(said(EN, 10, "delete"), said(ADS, 10, "delete"))
    assert not hub.golden[hub.entity(EN)].live


# R20


def reference(hub: MemoryHub, agency: str, record: RecordKey, field: str) -> RecordKey | None:
    """Whom the agency's name in a reference field leads to."""
    name = decode_string(hub.told(agency, record).content.values[field])
    entity = IDS.pairwise(agency).hub_id(name)
    return next((s.key for s in hub.world.records.values() if s.id == entity), None)


def enrolment(at_minute: float = 2, **values: Any) -> Change:
    return said(ENROLMENT, at_minute, "insert", **{"number": NUMBER, "person": "1", **values})


def test_r20_a_reference_is_the_receivers_own_name_of_whom_it_leads_to() -> None:
    hub = hub_of((person(EN, 1), enrolment()))
    raw = {agency: hub.told(agency, ENROLMENT).content.values["person"] for agency in ("ads", "entraide")}
    assert raw["ads"] != raw["entraide"]
    assert reference(hub, "ads", ENROLMENT, "person") == reference(hub, "entraide", ENROLMENT, "person") == EN


def test_r20_a_record_is_projected_only_where_what_it_refers_to_is() -> None:
    hub = hub_of((enrolment(),))
    assert not holds(hub, "ads", ENROLMENT)
    hub.take(person(EN, 1))
    hub.settle_due()
    assert holds(hub, "ads", ENROLMENT)
    # ads lets go of the person, so of the enrolment too.
    hub.take(person(ADS, 3), said(ADS, 4, "delete"))
    hub.settle_due()
    assert not holds(hub, "ads", EN)
    assert hub.told("ads", ENROLMENT).content.operation in (RETRACT, DELETE)
    assert holds(hub, "entraide", ENROLMENT)


def test_r20_a_reference_that_may_not_be_held_does_not_stand_in_the_way() -> None:
    hub = hub_of((person(EN, 1), consent(1), enrolment(centre="nobody knows it")))
    # health's agreement has no centre; the others' have, and wait for it.
    assert "centre" not in shown(hub.told("health", ENROLMENT))
    assert not holds(hub, "ads", ENROLMENT)


def test_r20_dependants_are_told_when_a_link_changes() -> None:
    hub = hub_of((person(EN, 2), person(ADS, 1, cin=None), enrolment(3)))
    assert reference(hub, "ads", ENROLMENT, "person") == EN
    hub.take(said(ADS, 4, cin="SH1"))
    hub.settle_due()
    assert hub.entity(EN) == hub.entity(ADS)
    assert reference(hub, "ads", ENROLMENT, "person") == ADS
    assert hub.golden[hub.entity(ENROLMENT)].references["person"] == hub.entity(ADS)


def test_r20_a_reference_means_the_latest_life_of_a_local_id() -> None:
    reborn = EN._replace(incarnation=1)
    changes = [person(EN, 1), said(EN, 2, "delete"), person(reborn, 3, cin="SH2"), enrolment(1)]
    for order in (changes, changes[::-1]):
        hub = hub_of(*((change,) for change in order))
        assert reference(hub, "ads", ENROLMENT, "person") == reborn


def test_r20_the_golden_record_names_the_entity_once_it_is_known() -> None:
    hub = hub_of((enrolment(),))
    assert hub.golden[hub.entity(ENROLMENT)].references == {"person": None}
    hub.take(person(EN, 1))
    hub.settle_due()
    assert hub.golden[hub.entity(ENROLMENT)].references == {"person": hub.entity(EN)}


# What restating is for (R26)


def restated(hub: MemoryHub, entity: bytes, agency: str) -> Settled:
    (settled,) = settle(hub.world, [entity], hub.rules(), {}, {}, restated={entity: frozenset({agency})})
    return settled


def test_restating_says_the_same_in_the_same_version() -> None:
    hub = hub_of((person(EN, 1, phone="+212600000001"),))
    known = hub.told("ads", EN)
    settled = restated(hub, hub.entity(EN), "ads")
    assert settled.deliveries == (known,)
    assert settled.golden_changed


def test_restating_repeats_a_retraction_a_deletion_and_a_merge_whose_message_may_be_lost() -> None:
    hub = hub_of((person(EN, 1), consent(2), person(ADS, 3, cin=None)))
    was = hub.entity(ADS)
    hub.take(consent(4, "update", status="withdrawn"), said(ADS, 5, cin="SH1"))
    hub.settle_due()
    hub.take(said(CONSENT, 6, "delete"))
    for agency, entity, operation in (
        ("health", hub.entity(EN), RETRACT),
        ("ads", was, MERGED),
        ("ads", hub.entity(CONSENT), DELETE),
    ):
        known = hub.inbox[agency, entity]
        assert known.content.operation == operation
        assert restated(hub, entity, agency).deliveries == (known,)


def test_restating_ends_what_was_ended_and_buried_meanwhile() -> None:
    """A worker that was frozen may still write an older projection behind the tombstone: it is not to stand
    there as the last word."""
    hub = hub_of((person(EN, 1), consent(2), person(ADS, 3, cin=None)))
    was = hub.entity(ADS)
    hub.take(consent(4, "update", status="withdrawn"), said(ADS, 5, cin="SH1"))
    hub.settle_due()
    for agency, entity, operation in (("health", hub.entity(EN), RETRACT), ("ads", was, MERGED)):
        known = hub.inbox[agency, entity]
        del hub.world.entities[entity].held[agency]
        assert restated(hub, entity, agency).deliveries == (known,)
        # And another tombstone follows.
        assert hub.world.entities[entity].held[agency].operation == operation


def test_a_consent_covers_only_what_it_says() -> None:
    given = Consent("entraide", "1", HEALTH, ("health",), True, 5, 7)
    assert [day for day in range(10) if given.covers("health", HEALTH, day)] == [5, 6, 7]
    assert not given.covers("ads", HEALTH, 6)
    assert not given.covers("health", INTEGRATION, 6)


OTHER_PAPER = key("ads", "k", "consent")


def other_paper(at_minute: float, **values: Any) -> Change:
    """What ads has on paper of the same person."""
    given = {"person": "a", "purpose": HEALTH, "recipients": ["health"], "status": "given"}
    return said(OTHER_PAPER, at_minute, "insert", **{**given, **values})


@pytest.mark.parametrize(
    ("withdrawal", "stands"),
    [
        ({}, False),
        ({"recipients": ["region"]}, True),
        ({"purpose": INTEGRATION}, True),
        ({"recipients": []}, False),
        ({"purpose": None}, False),
        ({"status": "given"}, True),
    ],
)
def test_r17_a_consent_is_withdrawn_wherever_the_person_is_received(
    withdrawal: dict[str, Any], stands: bool
) -> None:
    people = (person(EN, 1), person(ADS, 2))
    later = other_paper(4, **{"status": "withdrawn", **withdrawal})
    for batches in ((people, (consent(3),), (later,)), (people, (later,), (consent(3),))):
        hub = hub_of(*batches)
        assert holds(hub, "health", EN) is stands


def test_r17_a_consent_given_after_a_withdrawal_stands() -> None:
    hub = hub_of((person(EN, 1), person(ADS, 2)), (other_paper(3, status="withdrawn"),), (consent(4),))
    assert holds(hub, "health", EN)


@pytest.mark.parametrize(
    ("given_on", "said_ms", "withdrawn_on", "withdrawn_ms", "stands"),
    [
        (None, 5, None, 6, False),
        (None, 7, None, 6, True),
        (None, 0, None, 6, False),  # of unknown age
        (None, 7, None, 0, False),  # a withdrawal of unknown age
        (3, 0, 2, 0, True),
        (2, 0, 2, 0, False),
        (1, 5 * 86_400_000, None, 2 * 86_400_000, False),  # an older paper, entered later
        (3, 86_400_000, None, 2 * 86_400_000, True),  # a later day, whatever the clocks say
        (2, 2 * 86_400_000 + 2, None, 2 * 86_400_000 + 1, True),  # the same day: the clock decides
        (2, 2 * 86_400_000 + 1, None, 2 * 86_400_000 + 2, False),
    ],
)
def test_r17_what_is_not_known_of_a_consents_age_speaks_against_it(
    given_on: int | None, said_ms: int, withdrawn_on: int | None, withdrawn_ms: int, stands: bool
) -> None:
    given = Consent("entraide", "1", HEALTH, ("health",), True, given_on, None, False, said_ms)
    taken = Consent("ads", "a", HEALTH, ("health",), False, withdrawn_on, None, True, withdrawn_ms)
    for papers in ([given, taken], [taken, given]):
        assert consented(papers, "health", HEALTH, 10) is stands


def test_r17_what_no_agreement_names_any_more_is_retracted() -> None:
    """The record type's inbox is nobody's subject then, and its holders are told all the same."""
    catalogue, events = CATALOGUE, EVENTS
    subjects = event_subjects(catalogue, events, {})
    encoder = Encoder(catalogue, events, IDS, {name: n for n, name in enumerate(subjects, 1)})
    hub = hub_of((person(EN, 1),))
    assert holds(hub, "ads", EN)
    (settled,) = settled_again(hub, terms={})
    messages = [encoder.projection(delivery) for delivery in settled.deliveries]
    assert {message.topic for message in messages} >= {"ads.person.inbox"}


def _date(day: int) -> datetime.date:
    return datetime.date(1970, 1, 1) + datetime.timedelta(days=day)


def test_rules_work_out_what_is_allowed_without_consents_once() -> None:
    hub = hub_of((person(EN, 1),))
    rules: Rules = hub.rules()
    assert rules.allowed("person", ()) is rules.allowed("person", ())
    assert rules.allowed("unheard of", ()) == ()


def test_r29_only_the_retraction_that_was_acknowledged_is_buried() -> None:
    """The receipt of an earlier one must not set a tombstone behind a later one that nobody has read yet."""
    hub = hub_of((person(EN, 1), consent(2)))
    person_id, versions = hub.entity(EN), []
    for at, status in ((3, "withdrawn"), (4, "given"), (5, "withdrawn")):
        hub.take(consent(at, "update", status=status))
        hub.settle_due()
        versions.append(hub.inbox["health", person_id].version)
    entity = hub.world.entities[person_id]
    first, given, last = versions
    assert hub.inbox["health", person_id].content.operation == RETRACT
    assert not entity.bury("health", first)
    assert not entity.bury("health", given)
    assert entity.bury("health", last)
    assert "health" not in entity.held
