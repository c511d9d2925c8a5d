"""The demonstration's proof: it holds for a converged region, and fails for every planted divergence."""

from __future__ import annotations

import datetime
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from hub.contracts.agreements import load_agreements
from hub.contracts.records import Catalogue
from hub.contracts.values import encode
from hub.core.assertions import RecordKey, RecordState
from hub.local.demo.audit import misidentified, verdict
from hub.local.demo.kept import Kept
from hub.local.demo.population import population
from hub.local.demo.proof.entitled import Entitled
from hub.local.demo.proof.verdict import Verdict

ROOT = Path(__file__).parents[2]
CATALOGUE = Catalogue.load(ROOT / "schemas" / "records")
AGREEMENTS = load_agreements(ROOT / "deploy" / "agreements", CATALOGUE)
TODAY = datetime.date(2026, 7, 1)
BIRTH = datetime.date(1990, 5, 17)

AMINA = {"family_name_fr": "Alami", "given_name_fr": "Amina", "birth_date": BIRTH, "sex": "female"}
ARABIC = {"family_name_ar": "العلمي", "given_name_ar": "أمينة"}
PHONE, OTHER_PHONE = "+212612345678", "+212687654321"
CENTRE = {"code": "MA-LAA-0001", "name_ar": "مركز", "kind": "social_centre"}
ENROLMENT = {"number": "INS-2026-000001", "pathway": "training", "status": "active", "modules": ["french"]}


class World:
    """A region as the hub's kept topics and the agencies' tables have it, small enough to check by eye."""

    def __init__(self) -> None:
        self.kept = Kept(golden={name: {} for name in CATALOGUE.records})
        self.rows: dict[str, dict[str, dict[str, dict[str, Any]]]] = {
            "entraide": {"person": {}, "centre": {}, "enrolment": {}, "consent": {}},
            "ads": {"person": {}, "centre": {}, "enrolment": {}, "consent": {}},
            "region-laayoune": {"person": {}, "centre": {}},
            "health": {"person": {}},
        }

    def record(
        self, agency: str, record_type: str, local_id: str, entity: str, stamp: int = 1, **says: Any
    ) -> RecordState:
        """A local record that stands for `entity` and asserts `says`."""
        state = RecordState(
            id=f"{agency}-{record_type}-{local_id}".encode(),
            key=RecordKey(agency, record_type, local_id, 0),
            born=stamp,
            seen=stamp,
        )
        for name, value in says.items():
            spec = CATALOGUE.records[record_type].by_name[name]
            if spec.kind == "strings":
                state.asserts.unions[name] = {encode(spec, one) or b"": (stamp, True) for one in value}
            else:
                state.asserts.values[name] = (stamp, encode(spec, value))
        self.kept.states[state.id.decode()] = state
        self.kept.entity_of[state.id.decode()] = entity
        return state

    def row(self, agency: str, record_type: str, local_id: str, **holds: Any) -> None:
        self.rows[agency][record_type][local_id] = holds

    def golden(self, record_type: str, entity: str, **values: Any) -> None:
        event = {"live": True, "merged_into": None, "fields": list(values), "record": values}
        self.kept.golden[record_type][entity] = event

    def judged(self) -> Verdict:
        return verdict(self.rows, self.kept, Entitled(self.kept, CATALOGUE, AGREEMENTS, TODAY))


def converged() -> World:
    """Amina is known to Entraide and ADS (its telephone is the newer one) and enrolled; health knows her."""
    world = World()
    world.record("entraide", "person", "1", "P", 1, **AMINA, **ARABIC, phone=PHONE, cin="SH1234567")
    world.record("ads", "person", "7", "P", 2, **AMINA, phone=OTHER_PHONE)
    world.record("region-laayoune", "person", "3", "P", 3)
    world.record("health", "person", "h", "P", 2, **AMINA, disability="motor")
    known = {**AMINA, **ARABIC, "cin": "SH1234567"}
    world.row("entraide", "person", "1", **known, phone=OTHER_PHONE, disability="motor")
    world.row("ads", "person", "7", **known, phone=OTHER_PHONE)
    world.row("region-laayoune", "person", "3", **AMINA, **ARABIC)
    world.row("health", "person", "h", **known, disability="motor")
    world.golden("person", "P", **known, phone=OTHER_PHONE, disability="motor")
    world.record("entraide", "centre", "c-1", "C", 1, **CENTRE)
    world.golden("centre", "C", **CENTRE)
    for agency, key in (("entraide", "c-1"), ("ads", "4"), ("region-laayoune", "9")):
        world.row(agency, "centre", key, **CENTRE)
        if agency != "entraide":
            world.record(agency, "centre", key, "C", 5)
    world.record("ads", "enrolment", "20", "E", 2, **ENROLMENT, person="7", centre="4")
    world.record("entraide", "enrolment", "30", "E", 5)
    world.row("ads", "enrolment", "20", **ENROLMENT, person="7", centre="4")
    world.row("entraide", "enrolment", "30", **ENROLMENT, person="1", centre="c-1")
    world.golden("enrolment", "E", **ENROLMENT, person="P", centre="C")
    return world


def with_consent(world: World, **consent: Any) -> None:
    """Amina's consent, recorded at Entraide."""
    given = {"purpose": "social-integration", "recipients": ["ads"], "status": "given"} | consent
    world.record("entraide", "consent", "50", "K", 6, **given, person="1")
    world.record("ads", "consent", "60", "K", 7)
    world.row("entraide", "consent", "50", **given, person="1")
    world.row("ads", "consent", "60", **given, person="7")
    world.golden("consent", "K", **given, person="P")


def test_a_converged_region_is_proven() -> None:
    judged = converged().judged()
    assert judged.problems() == []
    assert judged.proven
    sheets = {(s.agency, s.record_type): s for s in judged.sheets}
    assert sheets["ads", "person"].rows == sheets["ads", "person"].entitled == 1
    # 13 fields that two of four agencies share, and so on: something was really compared.
    assert judged.compared > 30


def test_digests_do_not_depend_on_any_order() -> None:
    world, other = converged(), converged()
    for agency in other.rows:
        for record_type, rows in other.rows[agency].items():
            turned = {key: dict(reversed(rows[key].items())) for key in reversed(rows)}
            other.rows[agency][record_type] = turned
    digests = [[s.held_digest for s in one.judged().sheets] for one in (world, other)]
    assert digests[0] == digests[1]


Plant = Callable[[World], object]


def change(agency: str, record_type: str, key: str, **values: Any) -> Plant:
    return lambda world: world.rows[agency][record_type][key].update(values)


PLANTED: dict[str, Plant] = {
    "another value": change("ads", "person", "7", phone=PHONE),
    "a value lost": change("entraide", "person", "1", given_name_ar=None),
    "a value that the agency may not hold": change("region-laayoune", "person", "3", phone=OTHER_PHONE),
    "a sensitive value without consent": change("ads", "person", "7", disability="motor"),
    "a list with an element too many": change("entraide", "enrolment", "30", modules=["digital", "french"]),
    "an unreadable value": change("entraide", "person", "1", cin="unreadable: 'x'"),
    "a row missing": lambda world: world.rows["region-laayoune"]["person"].pop("3"),
    "a row that the hub does not know": lambda world: world.row("ads", "person", "8", **AMINA),
    "a reference to somebody else": change("entraide", "enrolment", "30", person="2"),
    "an agency's record that another entity stands for": lambda world: world.kept.entity_of.update(
        {"region-laayoune-centre-9": "C2"}
    ),
    "a golden record that nobody published": lambda world: world.kept.golden["person"].clear(),
    "another golden record": lambda world: world.golden("centre", "C", **CENTRE, capacity=3),
    "a golden record of nothing": lambda world: world.golden("centre", "X", **CENTRE),
    "an assertion that was lost on the way": lambda world: world.kept.states[
        "ads-person-7"
    ].asserts.values.pop("phone"),
    "a deletion that was lost on the way": lambda world: world.rows["ads"]["enrolment"].clear(),
}


@pytest.mark.parametrize("planted", PLANTED)
def test_any_planted_divergence_is_found(planted: str) -> None:
    world = converged()
    PLANTED[planted](world)
    judged = world.judged()
    assert not judged.proven
    assert judged.problems()


def test_a_difference_between_two_agencies_is_found_without_the_hubs_help() -> None:
    world = converged()
    change("ads", "person", "7", birth_date=datetime.date(1990, 5, 18))(world)
    assert any("birth_date is not the same at" in one for one in world.judged().disagreeing)


def test_problems_repeat_no_personal_value() -> None:
    world = converged()
    change("ads", "person", "7", phone=PHONE, cin="SH7654321")(world)
    text = "\n".join(world.judged().problems())
    assert "phone" in text
    assert PHONE not in text
    assert "SH7654321" not in text


def test_consent_lets_an_agency_hold_what_it_else_may_not() -> None:
    world = converged()
    with_consent(world)
    assert not world.judged().proven
    change("ads", "person", "7", disability="motor")(world)
    assert world.judged().problems() == []


@pytest.mark.parametrize(
    "consent",
    [
        {"status": "withdrawn"},
        {"recipients": ["region-laayoune"]},
        {"purpose": "statistics"},
        {"valid_until": TODAY - datetime.timedelta(days=1)},
        {"given_on": TODAY + datetime.timedelta(days=1)},
    ],
)
def test_a_consent_that_is_not_in_force_lets_nobody_hold_anything(consent: dict[str, Any]) -> None:
    world = converged()
    with_consent(world, **consent)
    assert world.judged().problems() == []
    change("ads", "person", "7", disability="motor")(world)
    assert not world.judged().proven


def test_a_second_row_of_one_person_is_listed_and_not_compared() -> None:
    world = converged()
    world.record("ads", "person", "8", "P", 9)
    world.row("ads", "person", "8", **AMINA, phone=None)
    judged = world.judged()
    (sheet,) = (s for s in judged.sheets if (s.agency, s.record_type) == ("ads", "person"))
    assert (sheet.rows, sheet.entitled, sheet.duplicates, judged.problems()) == (2, 1, 1, [])


def test_who_deleted_a_record_is_not_entitled_to_it() -> None:
    world = converged()
    world.kept.states["region-laayoune-person-3"].ended = 8
    del world.rows["region-laayoune"]["person"]["3"]
    assert world.judged().problems() == []


def test_people_taken_for_one_another_are_found() -> None:
    people = population(60, 3)
    local_ids = {
        agency: {one.number: f"{agency}{one.number}" for one in held["person"]}
        for agency, held in people.copies.items()
    }
    owner: dict[tuple[str, str], str] = {}
    for person, agencies in people.truth.entities():
        owner |= {(agency, local_ids[agency][person]): f"{person} {agencies}" for agency in agencies}
    linked = min(people.truth.linked)
    one_of_several = (people.truth.known_to[linked][0], local_ids[people.truth.known_to[linked][0]][linked])
    stranger = next(place for place in owner if owner[place] != owner[one_of_several])

    def found() -> list[str]:
        return misidentified(people, local_ids, lambda place: owner.get((place[0], place[2])))

    assert found() == []
    truly = owner[one_of_several]
    owner[one_of_several] = "somebody else"
    assert found() != [], "one person is two"
    owner[one_of_several] = truly
    owner[stranger] = truly
    assert found() != [], "two persons are one"
