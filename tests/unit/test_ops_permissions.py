"""Why an agency may hold what it may, and what stands in the way: every obstacle is found by name."""

from __future__ import annotations

import dataclasses
import datetime

import pytest
from support.changes import key, said
from support.contracts import HEALTH as HEALTH_PURPOSE
from support.contracts import INTEGRATION, TODAY
from support.memory_hub import MemoryHub

from hub.core.assertions import Change, RecordKey
from hub.ops.permissions import Ground, Situation, ground

ADS, EN, REGION = key("ads", "1"), key("entraide", "2"), key("region", "3")
WHO = {"cin": "SH1", "birth_date": datetime.date(1990, 1, 1)}


def hub(*changes: Change) -> MemoryHub:
    made = MemoryHub()
    made.take(*changes)
    made.settle_due()
    return made


def of(made: MemoryHub, record: RecordKey, agency: str) -> Ground:
    situation = Situation(made.entity(record), made.world, made.rules(), made._targets())
    return ground(situation, situation.settled(), agency)


def consent(recipient: str, purpose: str, person: str = "1", **more: object) -> Change:
    record = key("ads", f"c-{recipient}", "consent")
    values = {"person": person, "purpose": purpose, "recipients": [recipient], "status": "given"}
    return said(record, 1, "insert", **values, **more)  # type: ignore[arg-type]


def test_what_may_be_held_names_its_ground_and_what_is_kept_back() -> None:
    found = of(hub(said(EN, 1, **WHO, massar_code="R130045678")), EN, "ads")
    assert found.fields == {
        "cin": f"{INTEGRATION} (public mission)",
        "birth_date": f"{INTEGRATION} (public mission)",
    }
    assert found.withheld == {"massar_code": "not in its agreement"}
    assert found.why_not == ""


def test_a_field_waits_for_consent_and_comes_with_it() -> None:
    health = key("health", "4")
    changes = [said(ADS, 1, **WHO), said(health, 1, **WHO, disability="motor")]
    assert of(hub(*changes), ADS, "ads").withheld["disability"] == "no consent in force covers it"
    with_it = hub(*changes, consent("ads", INTEGRATION))
    assert of(with_it, ADS, "ads").fields["disability"] == f"{INTEGRATION} (consent)"


def test_nothing_without_consent() -> None:
    assert of(hub(said(ADS, 1, **WHO)), ADS, "health").why_not == "no consent in force covers it"
    with_it = hub(said(ADS, 1, **WHO), consent("health", HEALTH_PURPOSE))
    assert of(with_it, ADS, "health").why_not == ""
    ended = hub(said(ADS, 1, **WHO), consent("health", HEALTH_PURPOSE, valid_until=_day(TODAY - 1)))
    assert of(ended, ADS, "health").why_not == "no consent in force covers it"


def test_only_those_whom_the_agency_has() -> None:
    found = of(hub(said(ADS, 1, **WHO)), ADS, "region")
    assert found.why_not == "its agreement has it hold only those whom it already has"


def test_what_was_deleted_there_stays_away() -> None:
    made = hub(said(EN, 1, **WHO), said(ADS, 1, **WHO), said(ADS, 2, "delete"))
    found = of(made, EN, "ads")
    assert found.why_not == "it deleted its record, and gets it back only by entering it again"


def test_two_obstacles_are_both_named() -> None:
    made = hub(said(EN, 1, **WHO), said(REGION, 1, **WHO), said(REGION, 2, "delete"))
    assert of(made, EN, "region").why_not == (
        "it deleted its record, and gets it back only by entering it again; "
        "its agreement has it hold only those whom it already has"
    )


def test_joining() -> None:
    made = hub(said(EN, 1, **WHO))
    situation = Situation(made.entity(EN), made.world, made.rules(), {})
    joining = situation.with_rules(joining=frozenset({"ads"}))
    found = ground(joining, joining.settled(), "ads")
    assert found.why_not.startswith("it is still joining")


@pytest.mark.parametrize(("known", "words"), [(False, "not known yet"), (True, "not projected to it")])
def test_a_reference_that_is_not_there(known: bool, words: str) -> None:
    enrolment = key("entraide", "e1", "enrolment")
    changes = [said(enrolment, 1, number="INS-2026-000001", person="2")]
    if known:
        # health may know the enrolment by consent, but its consent is the one for another purpose.
        changes.append(said(EN, 1, **WHO))
    made = hub(*changes)
    agency = "health" if known else "ads"
    assert f"what it refers to is not there: person ({words})" in of(made, enrolment, agency).why_not


def test_an_agreement_that_ended() -> None:
    made = hub(said(EN, 1, **WHO))
    made.terms = {
        "person": tuple(terms._replace(until_day=TODAY - 1) for terms in made.terms["person"]),
    }
    assert of(made, EN, "ads").why_not == "its agreement, or the grant in it, has ended"


def test_disputed_fields_are_kept_back_there_alone() -> None:
    made = hub(said(EN, 1, **WHO, family_name_fr="Alaoui"), said(ADS, 1, **WHO))
    for number in range(6):
        made.take(said(ADS, 2 + number / 10, family_name_fr=f"Alami {number}"))
    assert of(made, EN, "ads").withheld == {"family_name_fr": "disputed: the hub stopped rewriting it there"}
    assert "family_name_fr" in of(made, EN, "entraide").fields


def test_nobody_supports_it_any_more() -> None:
    made = hub(said(EN, 1, **WHO), said(EN, 2, "delete"))
    assert of(made, EN, "ads").why_not == "no agency's record supports it any more"


def test_an_agency_without_an_agreement_on_the_type() -> None:
    made = hub(said(EN, 1, **WHO))
    assert of(made, EN, "nobody").why_not == "its agreement lets it receive no person"


def test_looking_changes_nothing() -> None:
    made = hub(said(EN, 1, **WHO))
    before = {entity: dataclasses.replace(_copy(made, entity)) for entity in made.world.entities}
    of(made, EN, "health")
    assert {entity: _copy(made, entity) for entity in made.world.entities} == before


@dataclasses.dataclass
class _Copy:
    version: int
    held: dict[str, object]


def _copy(made: MemoryHub, entity: bytes) -> _Copy:
    found = made.world.entities[entity]
    return _Copy(found.version, dict(found.held))


def _day(number: int) -> datetime.date:
    return datetime.date(1970, 1, 1) + datetime.timedelta(days=number)
