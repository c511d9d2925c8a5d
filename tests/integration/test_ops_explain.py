"""`jisr explain` from a real store, and what it makes of whom one can mean."""

from __future__ import annotations

import datetime
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ops_hub import PURPOSE, OpsHub, ops_hub
from support.changes import _START_MS, said
from support.changes import shown as shown_values

from hub.core.assertions import RecordKey
from hub.local.stack import Stack
from hub.ops.explain import AgencyStory, Explanation, explain
from hub.ops.finding import NotFound, find
from hub.ops.parts import stamp_time
from hub.ops.veil import COVER, Veil

BORN = datetime.date(1990, 5, 1)


@pytest.fixture(scope="module")
def hub(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[OpsHub]:
    folder: Path = tmp_path_factory.mktemp("ops")
    with ops_hub(stack, folder, joining=["region"]) as made:
        yield made


def explained(hub: OpsHub, name: str, agency: str | None = None, *, reveal: bool = False) -> Explanation:
    with hub.parts.looking() as tx:
        return explain(hub.parts, tx, find(hub.parts, tx, name, agency, "person"), Veil(reveal=reveal))


def person(hub: OpsHub, number: int) -> tuple[RecordKey, RecordKey]:
    """One person, known to entraide and to ads, who say different things of a name and a phone."""
    entraide, ads = hub.key("entraide", f"e{number}"), hub.key("ads", f"a{number}")
    who: dict[str, Any] = {"cin": f"SH{number}", "birth_date": BORN}
    hub.take(
        said(entraide, 1, "insert", **who, family_name_fr="Alaoui", massar_code=f"R{number:09}"),
        said(ads, 2, "insert", **who, family_name_fr="Alawi", phone="+212612345678", languages=["ar", "fr"]),
    )
    return entraide, ads


def story(found: Explanation, agency: str) -> AgencyStory:
    return next(one for one in found.agencies if one.agency == agency)


def test_one_person_by_every_name(hub: OpsHub) -> None:
    entraide, ads = person(hub, 1)
    found = explained(hub, f"{entraide.agency}:e1")
    calls = story(found, ads.agency).name
    names = [
        (f"{ads.agency}:a1", None),
        ("a1", ads.agency),
        (found.entity, None),
        (calls, ads.agency),
        (calls, None),
    ]
    assert [explained(hub, name, agency).entity for name, agency in names] == [found.entity] * len(names)
    assert {(one.agency, one.local_id) for one in found.members} == {
        (entraide.agency, "e1"),
        (ads.agency, "a1"),
    }


@pytest.mark.parametrize("name", ["nobody", "A" * 22])
def test_a_stranger_is_said_to_be_one(hub: OpsHub, name: str) -> None:
    with pytest.raises(NotFound, match="give a hub id, agency:local_id"):
        explained(hub, name)
    with pytest.raises(NotFound, match="no agency 'nobody'"):
        explained(hub, "1", "nobody")
    with pytest.raises(NotFound, match="no agency 'adz'"):
        explained(hub, "adz:1")


def test_fields_tell_who_won_and_why(hub: OpsHub) -> None:
    entraide, ads = person(hub, 2)
    found = explained(hub, f"{ads.agency}:a2", reveal=True)
    fields = {one.name: one for one in found.fields}
    name = fields["family_name_fr"]
    assert name.value == "Alaoui"
    assert name.rule == f"highest authority: {entraide.agency} stands above {ads.agency} for this field"
    assert [(one.agency, one.value, one.outcome) for one in name.sayings] == [
        (entraide.agency, "Alaoui", "wins"),
        (ads.agency, "Alawi", "outranked"),
    ]
    assert name.sayings[0].when == "2024-10-04 01:01:00.000+01:00"
    assert fields["languages"].value == "ar, fr"
    assert fields["phone"].rule == "the only one with a say"
    assert found.version == 1


def test_values_are_covered_unless_revealed(hub: OpsHub) -> None:
    _, ads = person(hub, 3)
    covered = repr(explained(hub, f"{ads.agency}:a3"))
    for secret in ("Alaoui", "Alawi", "SH3", "1990", "612345678", "R000000003"):
        assert secret not in covered
        assert secret in repr(explained(hub, f"{ads.agency}:a3", reveal=True))
    assert f"A{COVER} (6)" in covered


def test_agencies_tell_what_they_may_hold_and_why_not(hub: OpsHub) -> None:
    _, ads = person(hub, 4)
    found = explained(hub, f"{ads.agency}:a4")
    at_ads = story(found, ads.agency)
    assert at_ads.fields["phone"] == f"{PURPOSE} (public mission)"
    assert at_ads.withheld == {"massar_code": "not in its agreement"}
    assert at_ads.told == "told"
    assert (
        story(found, hub.name("health")).why_not == "its agreement has it hold only those whom it already has"
    )
    assert story(found, hub.name("region")).why_not.startswith("it is still joining")
    assert story(found, hub.name("region")).told == "never told anything"


def test_a_merged_entity_leads_to_the_one_that_stands(hub: OpsHub) -> None:
    ads, entraide = hub.key("ads", "m1"), hub.key("entraide", "m2")
    hub.take(said(ads, 1, "insert", cin="SH5", birth_date=BORN))
    hub.take(said(entraide, 2, "insert", given_name_fr="Zineb", birth_date=BORN))
    before = explained(hub, "m2", entraide.agency)
    assert before.entity != explained(hub, "m1", ads.agency).entity
    hub.take(said(entraide, 3, cin="SH5"))
    after = explained(hub, before.entity)
    assert (after.merged, after.entity) == (before.entity, explained(hub, "m1", ads.agency).entity)
    assert len(after.members) == 2


def test_a_deleted_record_is_shown_with_its_end(hub: OpsHub) -> None:
    _, ads = person(hub, 6)
    hub.take(said(ads, 9, "delete"))
    found = explained(hub, "a6", ads.agency)
    gone = next(one for one in found.members if one.agency == ads.agency)
    assert (gone.live, gone.ended, gone.primary) == (False, "2024-10-04 01:09:00.000+01:00", False)
    assert (
        story(found, ads.agency).why_not
        == "it deleted its record, and gets it back only by entering it again"
    )
    assert story(found, ads.agency).told == "told (retract)"


def test_consent_is_a_ground(hub: OpsHub) -> None:
    _, ads = person(hub, 7)
    health = hub.key("health", "h7")
    hub.take(said(health, 3, "insert", cin="SH7", birth_date=BORN, disability="motor"))
    assert story(explained(hub, "a7", ads.agency), ads.agency).withheld["disability"].startswith("no consent")
    consent = hub.key("entraide", "c7", "consent")
    hub.take(
        said(consent, 4, "insert", person="e7", purpose=PURPOSE, recipients=[ads.agency], status="given")
    )
    found = explained(hub, "a7", ads.agency)
    assert story(found, ads.agency).fields["disability"] == f"{PURPOSE} (consent)"
    assert [(one.purpose, one.recipients, one.given) for one in found.consents] == [
        (PURPOSE, (ads.agency,), True)
    ]


def test_explaining_locks_and_changes_nothing(hub: OpsHub) -> None:
    _, ads = person(hub, 8)
    before = hub.rows("SELECT id, version, xmin::text FROM entity ORDER BY id")
    with hub.parts.store.engine.begin() as other:
        other.exec_driver_sql("SELECT 1 FROM entity FOR UPDATE")
        other.exec_driver_sql("SELECT 1 FROM record FOR UPDATE")
        explained(hub, "a8", ads.agency)
    assert hub.rows("SELECT id, version, xmin::text FROM entity ORDER BY id") == before


def test_an_echo_is_told_counted_and_not_taken_for_a_word(hub: OpsHub) -> None:
    """Health saves whole records; its agreement has the hub filter what it only repeats."""
    now = (time.time() * 1000 - _START_MS) / 60_000
    entraide, health = hub.key("entraide", "e90"), hub.key("health", "h90")
    who: dict[str, Any] = {"cin": "SH90", "birth_date": BORN}
    hub.take(
        said(entraide, now - 60, "insert", **who, phone="+212611111111", languages=["ar"]),
        said(health, now - 50, "insert", **who),
    )
    whole = {**who, "phone": "+212611111111", "languages": ["ar"], "education_level": None}
    # Told at the clock of this machine, written back a moment later, with a value of its own.
    done = hub.take(said(health, now + 1, **{**whole, "education_level": "primary"}))
    assert done.echoes == {(health.agency, "person"): 4}
    found = explained(hub, f"{health.agency}:h90")
    assert set(story(found, health.agency).echoes) == {"birth_date", "cin", "phone", "languages"}
    assert story(found, entraide.agency).echoes == {}
    fields = {field.name: field for field in found.fields}
    assert [one.agency for one in fields["phone"].sayings] == [entraide.agency]
    assert [one.agency for one in fields["education_level"].sayings] == [health.agency]
    # Its own word stays as it stands: it had given the number before it was told anything.
    assert {one.agency: one.when for one in fields["cin"].sayings}[health.agency] < stamp_time(
        said(health, now - 40).stamp
    )
    shown = hub.run("explain", f"{health.agency}:h90").stdout
    assert "phone: an echo at" in shown
    # A new number on its way to health, whose old one comes back: it stays, and health is told again.
    hub.take(said(entraide, now + 2, phone="+212622222222"))
    done = hub.take(said(health, now + 3, **{**whole, "education_level": "primary"}))
    (answer,) = (one for settled in done.settled for one in settled.answers)
    assert [tuple(lost) for lost in answer.lost] == [("phone", "echo")]
    (again,) = (d for settled in done.settled for d in settled.deliveries)
    assert (again.agency, shown_values(again)["phone"]) == (health.agency, "+212622222222")
    # The source takes it away: nobody else has said it.
    hub.take(said(entraide, now + 4, phone=None))
    fields = {field.name: field for field in explained(hub, f"{health.agency}:h90").fields}
    assert fields["phone"].value == "(known to be empty)"
