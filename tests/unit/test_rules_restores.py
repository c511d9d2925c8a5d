"""Rule R24 in the core: what becomes of records that an agency's restored database has again, or has lost."""

from __future__ import annotations

import datetime
from itertools import permutations
from typing import Any

import pytest
from support.changes import key, said, shown
from support.contracts import IDS
from support.memory_hub import MemoryHub

from hub.core.assertions import Assertions, Change, RecordKey, pack, unpack
from hub.core.epochs import LOST, first_life, meant, named_below
from hub.core.projection import RETRACT, UPSERT
from hub.core.texts import encoded_text, text_of

BORN = datetime.date(1990, 1, 1)
PHONE, LATER = "+212600000001", "+212600000002"
ADS, AGAIN, EN = key("ads", "7"), key("ads", "8"), key("entraide", "1")
# Somebody else, to whom the restored database gave the number of the one whom it has forgotten.
REUSED = ADS._replace(incarnation=first_life(2))
ENROLMENT, CENTRE = key("ads", "e", "enrolment"), key("ads", "c", "centre")


def entered(record: RecordKey, at_minute: float = 1, **values: Any) -> Change:
    """Somebody without any identifier: who their row is, only the row itself tells."""
    return said(record, at_minute, "insert", **{"family_name_fr": "Alami", "phone": PHONE, **values})


def lost(record: RecordKey, epoch: int = 2) -> Change:
    return said(record, 1, LOST, epoch=epoch)


def made_for(record: RecordKey, founder: RecordKey, at_minute: float = 5) -> Change:
    return said(record, at_minute, "link", epoch=2, entity=IDS.record(*founder))


def hub_of(*changes: Change) -> MemoryHub:
    hub = MemoryHub()
    for change in changes:
        hub.take(change)
    hub.settle_due()
    return hub


def test_r24_what_a_lost_record_said_stands_and_its_row_is_to_be_made_again_as_the_agencys_own() -> None:
    hub = hub_of(entered(ADS), lost(ADS))
    assert shown(hub.told("entraide", ADS))["phone"] == PHONE
    told = hub.told("ads", ADS).content
    assert (told.operation, told.local_id, set(told.own)) == (UPSERT, None, {"family_name_fr", "phone"})


def test_r24_a_word_of_another_agency_is_not_given_back_as_the_agencys_own() -> None:
    hub = hub_of(
        entered(ADS, cin="SH1", birth_date=BORN),
        said(EN, 2, "insert", cin="SH1", birth_date=BORN, commune="11.321.01.03"),
        lost(ADS),
    )
    told = hub.told("ads", ADS).content
    assert "commune" in told.fields
    assert "commune" not in told.own


def test_r24_the_row_that_is_made_again_says_what_was_said_and_a_deletion_of_it_ends_that() -> None:
    hub = hub_of(entered(ADS), lost(ADS), made_for(AGAIN, ADS))
    assert (hub.state(ADS).live, hub.state(AGAIN).live) == (False, True)
    assert hub.entity(AGAIN) == hub.entity(ADS)
    assert (hub.told("ads", ADS).content.local_id, hub.told("ads", ADS).content.own) == ("8", ())
    hub.take(said(AGAIN, 6, phone=LATER, epoch=2))
    assert shown(hub.told("entraide", ADS))["phone"] == LATER
    hub.take(said(AGAIN, 7, "delete", epoch=2))
    assert hub.told("entraide", ADS).content.operation == RETRACT
    assert hub.told("ads", ADS).content.operation == RETRACT


@pytest.mark.parametrize("order", list(permutations(range(3))))
def test_r24_r15_what_people_delete_in_the_restored_database_is_not_made_once_more(order: Any) -> None:
    """Whether the hub finds out before or after it that an earlier row of theirs was lost (R8)."""
    changes = (lost(ADS), made_for(AGAIN, ADS), said(AGAIN, 7, "delete", epoch=2))
    hub = hub_of(entered(ADS), *(changes[number] for number in order))
    assert not any(state.live for state in hub.world.records.values())
    assert hub.told("entraide", ADS).content.operation == RETRACT
    assert hub.told("ads", ADS).content.operation == RETRACT


@pytest.mark.parametrize("late", [False, True])
def test_r24_whom_people_enter_again_themselves_takes_over_and_is_not_made_once_more(late: bool) -> None:
    known = {"cin": "SH1", "birth_date": BORN}
    typed = said(AGAIN, 5, "insert", epoch=2, family_name_fr="Alami", **known)
    after = (lost(ADS), typed) if late else (typed, lost(ADS))
    hub = hub_of(entered(ADS, **known), *after)
    assert [m.key for m in hub.world.members()[hub.entity(ADS)] if m.live] == [AGAIN]
    assert hub.told("ads", ADS).content.local_id == "8"
    assert shown(hub.told("ads", ADS))["phone"] == PHONE


def test_r24_a_number_that_is_given_out_again_is_somebody_else() -> None:
    hub = hub_of(entered(ADS), said(REUSED, 5, "insert", epoch=2, family_name_fr="Benani"), lost(ADS))
    assert hub.entity(REUSED) != hub.entity(ADS)
    assert shown(hub.told("entraide", ADS))["family_name_fr"] == "Alami"
    assert shown(hub.told("entraide", REUSED))["family_name_fr"] == "Benani"


def test_r24_r20_what_a_lost_record_refers_to_is_what_that_number_meant() -> None:
    hub = hub_of(
        entered(ADS),
        said(CENTRE, 1, "insert", code="MA-LAA-0012"),
        said(ENROLMENT, 2, "insert", number="INS-2026-000001", person="7", centre="c"),
        said(REUSED, 5, "insert", epoch=2, family_name_fr="Benani"),
        said(CENTRE, 5, "snapshot", epoch=2, asserted=0, code="MA-LAA-0012"),
        lost(ADS),
        lost(ENROLMENT),
    )
    name = IDS.pairwise("entraide").name
    assert shown(hub.told("entraide", ENROLMENT))["person"] == name(hub.entity(ADS))
    assert name(hub.entity(REUSED)) != name(hub.entity(ADS))
    again = key("ads", "f", "enrolment")
    hub.take(made_for(AGAIN, ADS))
    hub.take(made_for(again, ENROLMENT, 6))
    hub.settle_due()
    assert shown(hub.told("entraide", again))["person"] == name(hub.entity(AGAIN))


def test_r24_r20_who_has_an_id_again_is_meant_by_it_and_not_who_had_it_after_the_backup() -> None:
    """Her papers would be shown as those of him who was given her number in the lost hours."""
    after = ADS._replace(incarnation=1)
    hub = hub_of(
        entered(ADS),
        said(ENROLMENT, 2, "insert", number="INS-2026-000001", person="7"),
        said(ADS, 3, "delete"),
        said(after, 4, "insert", family_name_fr="Benani"),
        said(ADS, 6, "snapshot", epoch=2, asserted=0, phone=PHONE),
        said(ENROLMENT, 6, "snapshot", epoch=2, asserted=0, number="INS-2026-000001"),
        lost(after),
    )
    name = IDS.pairwise("entraide").name
    assert shown(hub.told("entraide", ENROLMENT))["person"] == name(hub.entity(ADS))
    assert name(hub.entity(after)) != name(hub.entity(ADS))


def test_r24_what_is_said_once_more_of_a_lost_record_means_whom_it_meant() -> None:
    """A message that is repeated, or redriven, after the loss was found counts as said later where its
    agency's clock runs ahead; by then somebody else may have the number (R10, R20)."""
    hub = hub_of(
        entered(ADS), said(ENROLMENT, 2, "insert", number="INS-2026-000001", person="7"), lost(ENROLMENT)
    )
    before = hub.state(ENROLMENT).asserts.values["person"]
    assert text_of(before[1] or b"") == named_below("7", first_life(2))
    hub.take(entered(REUSED, 5, family_name_fr="Berrada"))
    hub.take(said(ENROLMENT, 6, "insert", number="INS-2026-000001", person="7"))
    after = hub.state(ENROLMENT).asserts.values["person"]
    assert after[0] > before[0]
    assert after[1] == before[1]


@pytest.mark.parametrize("status", ["given", "withdrawn"])
def test_r24_r17_a_consent_that_was_lost_stays_with_its_person_when_they_are_found_elsewhere(
    status: str,
) -> None:
    consent = key("ads", "k", "consent")
    hub = hub_of(
        entered(ADS, cin="SH1", birth_date=BORN),
        said(consent, 2, "insert", person="7", purpose="social-integration", status=status),
        lost(ADS),
        lost(consent),
    )
    assert hub.world.entities[hub.entity(ADS)].consents
    hub.take(said(EN, 5, "insert", cin="SH1", birth_date=BORN))
    assert hub.entity(EN) == hub.entity(ADS)
    assert hub.world.entities[hub.entity(ADS)].consents


def test_r24_what_was_lost_and_is_there_again_after_a_second_restore_speaks_for_itself() -> None:
    hub = hub_of(entered(ADS), lost(ADS), made_for(AGAIN, ADS))
    hub.take(said(ADS, 8, "snapshot", epoch=3, asserted=0, phone=PHONE))
    hub.take(lost(AGAIN, 3))
    assert [m.key for m in hub.world.members()[hub.entity(ADS)] if m.live] == [ADS]
    assert hub.told("ads", ADS).content.local_id == "7"


def test_r24_a_deletion_that_a_restore_has_undone_does_not_stand() -> None:
    hub = hub_of(
        entered(ADS), said(ADS, 2, "delete"), said(ADS, 3, "snapshot", epoch=2, asserted=0, phone=PHONE)
    )
    assert hub.rejected == []
    assert hub.state(ADS).live
    assert hub.told("ads", ADS).content.local_id == "7"
    hub.take(said(ADS, 4, "delete", epoch=2))
    assert hub.told("entraide", ADS).content.operation == RETRACT


def test_r24_whoever_has_a_row_again_that_was_taken_back_is_told_so_once_more() -> None:
    """The retraction may be gone from the inbox by then: without another one the row would stay (R17)."""
    founder = key("entraide", "1")
    hub = hub_of(
        said(founder, 1, "insert", cin="SH1"),
        said(ADS, 2, "link", entity=IDS.record(*founder)),
        said(founder, 3, "delete"),
        said(ADS, 4, "unlink"),
    )
    entity = hub.entity(founder)
    before = hub.inbox["ads", entity]
    assert before.content.operation == RETRACT
    assert hub.world.entities[entity].bury("ads", before.version)
    hub.take(said(ADS, 5, "link", epoch=2, entity=IDS.record(*founder)))
    after = hub.inbox["ads", entity]
    assert after.content.operation == RETRACT
    assert after.version > before.version


def test_r24_r8_the_order_in_which_epochs_are_heard_of_does_not_matter() -> None:
    changes = (
        entered(ADS),
        said(ADS, 9, "unlink"),
        said(ADS, 3, "update", epoch=2, phone=LATER),
        said(ADS, 2, "delete", epoch=2),
        lost(ADS, 3),
    )
    found = set()
    for order in permutations(changes):
        state = hub_of(*order, *order[:2]).state(ADS)
        found.add((state.ended, state.asserts.returned, state.asserts.epoch, state.lost))
    assert found == {(changes[3].stamp, False, 2, False)}
    found = set()
    for order in permutations((*changes[:3], lost(ADS, 3))):
        state = hub_of(*order).state(ADS)
        found.add((state.live, state.lost, state.asserts.epoch, state.asserts.returned))
    assert found == {(True, True, 2, False)}


def test_r24_a_record_that_was_packed_before_epochs_were_counted_is_of_the_first() -> None:
    kept = unpack(pack(Assertions())[:-3].replace(b"\x9a", b"\x97", 1))
    assert (kept.epoch, kept.ended_in, kept.lost) == (1, 1, 0)


@pytest.mark.parametrize("text", ["", "7", "é" * 40, "x" * 64, "x" * 9000])
def test_texts_are_encoded_as_avro_has_them(text: str) -> None:
    assert text_of(encoded_text(text)) == text
    assert meant(named_below(text, 131_072)) == (text, 131_072)
    assert meant(text) == (text, None)


@pytest.mark.parametrize("local_id", ["a\x1f", "a\x1fb", "a\x1f-1", "a\x1f9999999999", "a\x1f٣"])
def test_a_local_id_that_looks_like_a_pinned_one_is_a_local_id(local_id: str) -> None:
    assert meant(local_id) == (local_id, None)
