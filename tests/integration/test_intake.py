"""Intake over a real PostgreSQL: the store holds what the core decides, in any order and after a crash."""

from __future__ import annotations

import datetime
from collections.abc import Iterator
from itertools import permutations
from typing import Any

import pytest
from support.changes import key, record_id, said, shown
from support.contracts import HEALTH, INTEGRATION, TERMS, TODAY, grant, names, terms
from support.facts import differences, facts
from support.memory_hub import MemoryHub
from support.store_hub import StoreHub, empty, open_store, position, start_positions

from hub.core.assertions import Change, RecordKey
from hub.core.projection import DELETE, MERGED, RETRACT, UPSERT
from hub.core.step import IDENTIFIER_CHANGED, INCARNATION_ENDED, STALE_FORM
from hub.lanes.reading import DeadLetter, Message, Read
from hub.store.errors import Fenced
from hub.store.loading import Advance

BORN = datetime.date(1990, 1, 1)
EN, ADS, REGION = key("entraide", "1"), key("ads", "a"), key("region", "r")
ENROLMENT, CONSENT = key("entraide", "e", "enrolment"), key("entraide", "k", "consent")
NUMBER = "INS-2026-000001"
TOPIC = "entraide.person.changes"


@pytest.fixture
def hub(database: str) -> Iterator[StoreHub]:
    store = open_store(database)
    yield StoreHub(store)
    store.close()


def person(record: RecordKey, at_minute: float, operation: str = "insert", **values: Any) -> Change:
    return said(record, at_minute, operation, **{"cin": "SH1", "birth_date": BORN, **values})


def enrolment(at_minute: float, operation: str = "insert", **values: Any) -> Change:
    return said(ENROLMENT, at_minute, operation, **{"number": NUMBER, "person": "1", **values})


def consent(at_minute: float, operation: str = "insert", **values: Any) -> Change:
    given = {"person": "1", "purpose": HEALTH, "recipients": ["health"], "status": "given"}
    return said(CONSENT, at_minute, operation, **({**given, **values} if operation == "insert" else values))


def holds(hub: StoreHub, agency: str, record: RecordKey) -> bool:
    told = hub.inbox.get((agency, hub.entity(record)))
    return told is not None and told.content.operation == UPSERT


def expected(*changes: Change) -> MemoryHub:
    """The core alone, told everything at once."""
    model = MemoryHub()
    model.take(*changes)
    model.settle_due()
    return model


def assert_same(hub: StoreHub, *changes: Change) -> None:
    model = expected(*changes)
    told = facts(model.world.records, model.world.entity_of, model.golden, model.inbox)
    assert differences(hub.facts(), told) == {}


def day(number: int) -> datetime.date:
    return datetime.date(1970, 1, 1) + datetime.timedelta(days=number)


# Positions (R25)


def test_r25_positions_move_with_the_effects_and_a_stale_worker_changes_nothing(hub: StoreHub) -> None:
    start_positions(hub.store, [(TOPIC, 0), (TOPIC, 1)])
    first = person(EN, 1)
    hub.converge(Read([(first, hub.message(first))]), [Advance(TOPIC, 0, 0, 5)])
    assert position(hub.store, TOPIC, 0) == 5
    before = hub.facts()
    # A worker that was paused has read the same offsets, and others of another partition.
    late = said(EN, 2, phone="+212600000001")
    stale = [Advance(TOPIC, 0, 0, 5), Advance(TOPIC, 1, 0, 3)]
    with pytest.raises(Fenced):
        hub.intake.converge(Read([(late, hub.message(late))]), stale, lambda tx, done: None)
    assert position(hub.store, TOPIC, 1) == 0
    assert differences(hub.facts(), before) == {}


def test_r25_what_fails_at_the_end_leaves_nothing(hub: StoreHub) -> None:
    start_positions(hub.store, [(TOPIC, 0)])

    def fail(tx: object, done: object) -> None:
        raise KeyError("the worker dies")

    first = person(EN, 1)
    with pytest.raises(KeyError):
        hub.intake.converge(Read([(first, hub.message(first))]), [Advance(TOPIC, 0, 0, 1)], fail)
    assert position(hub.store, TOPIC, 0) == 0
    assert hub.rows("SELECT 1 FROM record") == hub.rows("SELECT 1 FROM identity") == []


# Order and batches (R8), where the store has to find who is connected


def in_every_order(hub: StoreHub, changes: list[Change]) -> Iterator[list[Change]]:
    for order in permutations(changes):
        empty(hub.store)
        hub.log.clear()
        for change in order:
            hub.take(change)
        hub.settle_due()
        yield list(order)


def test_r8_a_natural_key_may_come_in_parts_of_one_batch(hub: StoreHub) -> None:
    one, other = key("ads", "1", "cooperative"), key("entraide", "2", "cooperative")
    parts = said(one, 1, "insert", name="Tifaout"), said(one, 2, commune="11.321")
    whole = said(other, 3, "insert", name="Tifaout", commune="11.321")
    hub.take(*parts)
    hub.take(whole)
    assert hub.entity(one) == hub.entity(other)
    assert_same(hub, *parts, whole)


def test_r8_a_natural_key_is_found_by_the_values_that_stand_not_by_those_last_heard(hub: StoreHub) -> None:
    one, other = key("ads", "1", "cooperative"), key("entraide", "2", "cooperative")
    changes = [
        said(one, 5, name="Tifaout"),
        said(one, 3, name="Argane"),
        said(one, 4, commune="11.321"),
        said(other, 6, "insert", name="Tifaout", commune="11.321"),
    ]
    hub.take(changes[0])
    hub.take(*changes[1:3])
    hub.take(changes[3])
    assert hub.entity(one) == hub.entity(other)


def test_r8_an_older_word_that_comes_late_makes_its_record_the_founder(hub: StoreHub) -> None:
    changes = [person(EN, 5), person(ADS, 3), said(EN, 1, phone="+212600000001")]
    for order in in_every_order(hub, changes):
        assert_same(hub, *order)
        assert hub.entity(ADS) == record_id(EN)


def test_r8_a_link_may_come_before_the_record_that_it_leads_to(hub: StoreHub) -> None:
    """A store that was restored reads what came after its backup again, partition by partition."""
    changes = [
        said(ADS, 2, "link", entity=record_id(EN)),
        person(EN, 1),
        said(ADS, 3, commune="11.321.01.03"),
    ]
    for order in in_every_order(hub, changes):
        assert_same(hub, *order)
        assert hub.entity(ADS) == record_id(EN)


def test_a_link_to_an_entity_of_another_type_joins_nothing(hub: StoreHub) -> None:
    centre = key("entraide", "c", "centre")
    hub.take(said(centre, 1, "insert", code="MA-LAA-0001", phone="+212600000001"))
    for change in (said(ADS, 2, "link", entity=record_id(centre)), person(ADS, 3), person(EN, 4)):
        hub.take(change)
    assert hub.entity(ADS) != record_id(centre)
    assert hub.entity(EN) == hub.entity(ADS)
    assert "cin" not in hub.golden[record_id(centre)].golden


def test_r1_a_record_type_that_no_code_knows_converges(hub: StoreHub) -> None:
    one, other = key("ads", "1", "cooperative"), key("entraide", "2", "cooperative")
    changes = [
        person(EN, 1),
        said(
            other, 2, "insert", name="Tifaout", commune="11.321", president="1", members=7, crafts=["zellige"]
        ),
        said(one, 3, "insert", name="Tifaout", commune="11.321", members=5, active=True, share=1.5),
    ]
    for order in in_every_order(hub, changes):
        assert_same(hub, *order)
        told = shown(hub.inbox["ads", hub.entity(one)])
        assert (told["members"], told["share"], told["active"], told["crafts"]) == (7, 1.5, True, ["zellige"])


def test_r14_what_never_can_be_applied_is_a_dead_letter_with_its_message(hub: StoreHub) -> None:
    hub.take(person(EN, 1), said(EN, 2, "delete"))
    late = said(EN, 3, "insert")
    read = Read([(late, hub.message(late))])
    done = hub.converge(read, [])
    ((_, message),) = read.changes
    assert [(dead.message, dead.code) for dead in done.dead] == [(message, INCARNATION_ENDED)]


# What is kept for persons


def test_holds_reviews_and_dead_letters_are_kept_once(hub: StoreHub) -> None:
    hub.take(person(EN, 1, phone="+212600000002"))
    changed, stale = said(EN, 2, cin="SH2"), said(EN, 3, stale={"phone": "+212600000001"})
    stranger = said(REGION, 4, "insert", cin="SH1")
    for _ in range(2):
        hub.take(changed, stale, stranger)
    held = hub.rows("SELECT reason, fields, event_id FROM hold ORDER BY id")
    assert [tuple(row) for row in held] == [
        (IDENTIFIER_CHANGED, ["cin"], changed.event_id),
        (STALE_FORM, ["phone"], stale.event_id),
    ]
    (review,) = hub.rows("SELECT a, b, reason, state FROM review")
    assert {bytes(review.a), bytes(review.b)} == {record_id(EN), record_id(REGION)}
    assert (review.reason, review.state) == ("identifier_alone", "open")
    place = {"topic": TOPIC, "partition": 0, "kafka_offset": 7, "agency": "entraide", "record_type": "person"}
    letter = {**place, "code": "undecodable", "path": "", "message": "no frame", "at_ms": 5, "key": b"k"}
    letter["value"] = b"\0junk"
    for _ in range(2):
        with hub.store.begin() as tx:
            tx.save_dead_letters([letter])
    (kept,) = hub.rows("SELECT value, state FROM dead_letter")
    assert (bytes(kept.value), kept.state) == (b"\0junk", "open")


def test_dead_letters_of_reading_come_out_with_the_batch(hub: StoreHub) -> None:
    letter = DeadLetter(Message(TOPIC, 0, 1, 0, b"k", b"junk"), "undecodable", "", "no frame")
    done = hub.take(person(EN, 1), dead=[letter])
    assert done.dead == [letter]
    assert holds(hub, "ads", EN)


def test_r19_a_dispute_is_kept(hub: StoreHub) -> None:
    hub.take(person(EN, 1, given_name_fr="Salma"), person(ADS, 2))
    for number in range(6):
        hub.take(said(ADS, 3 + number / 10, given_name_fr="Selma" if number % 2 else None))
    (dispute,) = hub.rows("SELECT record, field, agency FROM dispute")
    assert (bytes(dispute.record), dispute.field, dispute.agency) == (record_id(ADS), "given_name_fr", "ads")
    assert "given_name_fr" not in hub.inbox["ads", hub.entity(ADS)].content.fields


# References (R20, R27)


def test_r27_a_reference_may_come_before_what_it_refers_to(hub: StoreHub) -> None:
    centre = said(key("entraide", "c", "centre"), 1, "insert", code="MA-LAA-0001")
    for order in in_every_order(hub, [person(EN, 1), enrolment(2, centre="c"), centre]):
        assert_same(hub, *order)
        assert holds(hub, "ads", ENROLMENT)


def test_r27_a_consent_may_come_before_its_person_whom_nobody_else_holds(hub: StoreHub) -> None:
    only_by_consent = {
        **TERMS,
        "person": (terms("health", "person", grant(names("person"), consent=HEALTH)),),
    }
    strict = StoreHub(hub.store, only_by_consent)
    for order in in_every_order(strict, [person(EN, 1), consent(2)]):
        assert holds(strict, "health", EN), order


def test_r20_dependants_follow_a_merge_and_a_split(hub: StoreHub) -> None:
    hub.take(person(EN, 2), person(ADS, 1, cin=None), enrolment(3))
    hub.settle_due()
    assert hub.golden[hub.entity(ENROLMENT)].references["person"] == record_id(EN)
    hub.take(said(ADS, 4, cin="SH1"))
    hub.settle_due()
    assert hub.golden[hub.entity(ENROLMENT)].references["person"] == record_id(ADS)
    merged = hub.inbox["ads", hub.entity(ENROLMENT)]
    hub.take(said(ADS, 5, birth_date=BORN + datetime.timedelta(1)))
    hub.settle_due()
    assert hub.golden[hub.entity(ENROLMENT)].references["person"] == record_id(EN)
    assert hub.inbox["ads", hub.entity(ENROLMENT)].version > merged.version


def test_r20_a_reference_means_the_latest_life_of_a_local_id(hub: StoreHub) -> None:
    hub.take(enrolment(1))
    for incarnation in range(6):
        life = EN._replace(incarnation=incarnation)
        hub.take(person(life, 2 + 2 * incarnation, cin=f"SH{incarnation + 1}"))
        hub.settle_due()
        assert hub.golden[hub.entity(ENROLMENT)].references["person"] == record_id(life)
        hub.take(said(life, 3 + 2 * incarnation, "delete"))


# Consents (R17)


def test_r17_a_consent_is_given_withdrawn_given_again_and_expires(hub: StoreHub) -> None:
    hub.take(person(EN, 1))
    hub.take(enrolment(1))
    states = []
    for change in (
        consent(2),
        consent(3, "update", status="withdrawn"),
        consent(4, "update", status="given", valid_until=day(TODAY + 5)),
    ):
        hub.take(change)
        hub.settle_due()
        states.append((holds(hub, "health", EN), holds(hub, "health", ENROLMENT)))
    assert states == [(True, True), (False, False), (True, True)]
    hub.day = TODAY + 5
    hub.settle_due()
    assert (holds(hub, "health", EN), holds(hub, "health", ENROLMENT)) == (True, True)
    hub.day = TODAY + 6
    hub.settle_due()
    for record in (EN, ENROLMENT):
        assert hub.inbox["health", hub.entity(record)].content.operation == RETRACT


def test_r17_papers_follow_consents_even_where_the_person_is_held_without(hub: StoreHub) -> None:
    terms_of = {**TERMS, "person": (terms("health", "person", grant(names("person"))),)}
    strict = StoreHub(hub.store, terms_of)
    strict.take(person(EN, 1))
    strict.take(enrolment(1))
    states = []
    for change in (
        consent(2),
        consent(3, "update", status="withdrawn"),
        consent(4, "update", status="given"),
    ):
        strict.take(change)
        strict.settle_due()
        states.append((holds(strict, "health", EN), holds(strict, "health", ENROLMENT)))
    assert states == [(True, True), (True, False), (True, True)]
    strict.take(consent(5, "update", valid_until=day(TODAY + 5)))
    strict.settle_due()
    strict.day = TODAY + 6
    strict.settle_due()
    assert (holds(strict, "health", EN), holds(strict, "health", ENROLMENT)) == (True, False)


def test_r17_a_consent_begins_on_its_first_day(hub: StoreHub) -> None:
    hub.take(person(EN, 1), person(REGION, 1, phone="+212600000001"))
    hub.take(consent(2, purpose=INTEGRATION, recipients=["region"], given_on=day(TODAY + 3)))
    hub.settle_due()
    assert "phone" not in shown(hub.inbox["region", hub.entity(EN)])
    hub.day = TODAY + 3
    hub.settle_due()
    assert shown(hub.inbox["region", hub.entity(EN)])["phone"] == "+212600000001"


def test_r17_a_consent_goes_with_its_record_through_a_merge_and_still_expires(hub: StoreHub) -> None:
    hub.take(person(EN, 2), person(ADS, 1, cin=None))
    hub.take(consent(3, valid_until=day(TODAY + 5)))
    hub.settle_due()
    hub.take(said(ADS, 4, cin="SH1"))
    hub.settle_due()
    assert hub.entity(EN) == record_id(ADS)
    assert holds(hub, "health", ADS)
    hub.day = TODAY + 6
    hub.settle_due()
    assert not holds(hub, "health", ADS)


def test_r17_a_consent_goes_with_the_record_that_it_names_by_now(hub: StoreHub) -> None:
    """Which of a person's records a consent names is no news while they are one person."""
    other = key("entraide", "e2")
    hub.take(person(EN, 1), person(other, 2))
    hub.take(consent(3, person=other.local_id))
    hub.settle_due()
    hub.take(consent(4, "update", person=EN.local_id))
    hub.settle_due()
    assert hub.entity(other) == hub.entity(EN)
    hub.take(said(other, 5, birth_date=BORN + datetime.timedelta(1)))
    hub.settle_due()
    assert hub.entity(other) != hub.entity(EN)
    assert (holds(hub, "health", EN), holds(hub, "health", other)) == (True, False)


def test_r17_a_consent_that_is_deleted_is_withdrawn(hub: StoreHub) -> None:
    hub.take(person(EN, 1), consent(2))
    hub.settle_due()
    assert holds(hub, "health", EN)
    hub.take(said(CONSENT, 3, "delete"))
    hub.settle_due()
    assert hub.inbox["health", hub.entity(EN)].content.operation == RETRACT
    assert hub.inbox["ads", hub.entity(CONSENT)].content.operation == DELETE


# Restating (R26)


def test_r26_restating_gives_the_same_content_in_the_same_version(hub: StoreHub) -> None:
    hub.take(person(EN, 1, phone="+212600000001"), person(ADS, 2))
    entity = hub.entity(EN)
    before = {agency: hub.inbox[agency, entity] for agency in ("ads", "entraide")}
    done = hub.restate({entity: before})
    (settled,) = done.settled
    assert {one.agency: one for one in settled.deliveries} == before
    assert settled.golden_changed
    assert settled.entity.version == before["ads"].version


def test_r26_a_retraction_that_was_never_published_is_restated(hub: StoreHub) -> None:
    hub.take(person(EN, 1), consent(2))
    hub.settle_due()
    hub.take(consent(3, "update", status="withdrawn"))
    retraction = hub.inbox["health", hub.entity(EN)]
    assert retraction.content.operation == RETRACT
    (settled,) = hub.restate({hub.entity(EN): ["health"]}).settled
    assert settled.deliveries == (retraction,)


def test_r26_a_merged_entity_is_restated_as_merged_even_if_it_is_looked_at_alone(hub: StoreHub) -> None:
    hub.take(person(EN, 1), person(ADS, 2, cin=None))
    was = hub.entity(ADS)
    hub.take(said(ADS, 3, cin="SH1"))
    told = hub.inbox["ads", was]
    assert (told.content.operation, told.content.merged_into) == (MERGED, record_id(EN))
    (settled,) = hub.restate({was: ["ads"]}).settled
    assert settled.merged_into == record_id(EN)
    assert settled.deliveries == (told,)


def test_what_is_due_and_has_not_changed_says_nothing(hub: StoreHub) -> None:
    hub.take(person(EN, 1), person(ADS, 2, cin=None), consent(2), enrolment(2))
    hub.take(said(ADS, 3, cin="SH1"))
    hub.settle_due()
    world = hub.world()
    with hub.store.begin() as tx:
        tx.save_due(dict.fromkeys(world.entities, 0))
    for done in hub.settle_due():
        assert [one for one in done.settled if one.deliveries or one.golden_changed] == []
    now = hub.world()
    assert {e: row.version for e, row in now.entities.items()} == {
        e: row.version for e, row in world.entities.items()
    }


def test_r18_the_epoch_of_a_restored_store_stands_above_all_versions_before(hub: StoreHub) -> None:
    hub.take(person(EN, 1))
    before = hub.inbox["ads", hub.entity(EN)].version
    restored = StoreHub(hub.store, log=hub.log, epoch=2)
    restored.take(said(EN, 2, phone="+212600000001"))
    assert hub.inbox["ads", hub.entity(EN)].version == (2 << 40) + 1 > before
