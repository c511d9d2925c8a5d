"""The record contracts and agreements of this release: complete in three languages, and coherent."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from pathlib import Path

import pytest

from hub.contracts.agreements import CONSENT, PUBLIC_MISSION, Agreement, load_agreements
from hub.contracts.records import LANGUAGES, Catalogue, FieldSpec

ROOT = Path(__file__).parents[2]
AGENCIES = {"entraide", "ads", "region-laayoune", "health"}
PERSON_FIELDS = [
    "cin",
    "massar_code",
    "family_name_ar",
    "given_name_ar",
    "family_name_fr",
    "given_name_fr",
    "birth_date",
    "sex",
    "commune",
    "phone",
    "education_level",
    "disability",
    "languages",
    "received_on",
]

CATALOGUE = Catalogue.load(ROOT / "schemas" / "records")
AGREEMENTS = load_agreements(ROOT / "deploy" / "agreements", CATALOGUE)
FIELDS = [(record.name, spec) for record in CATALOGUE.records.values() for spec in record.fields]
EACH_FIELD = pytest.mark.parametrize(
    ("record_type", "spec"), FIELDS, ids=[f"{name}.{spec.name}" for name, spec in FIELDS]
)
EACH_AGREEMENT = pytest.mark.parametrize("agreement", AGREEMENTS.values(), ids=AGREEMENTS)


def scripts(text: str) -> set[str]:
    return {unicodedata.name(letter).split()[0] for letter in text if letter.isalpha()}


def texts(spec: FieldSpec) -> Iterator[dict[str, str]]:
    yield dict(spec.doc)
    yield from (dict(label) for label in spec.codes.values())
    if spec.pattern is not None:
        yield dict(spec.pattern_hint)


def assert_trilingual(text: dict[str, str]) -> None:
    assert set(text) == set(LANGUAGES)
    assert "ARABIC" in scripts(text["ar"])
    assert scripts(text["fr"]) == scripts(text["en"]) == {"LATIN"}
    for value in text.values():
        # Composed, and without the invisible direction marks that pasted Arabic drags along.
        assert value == unicodedata.normalize("NFC", value).strip()
        assert not any(unicodedata.category(letter) == "Cf" for letter in value)


def test_a_person_has_these_fields_in_this_order() -> None:
    assert [spec.name for spec in CATALOGUE.records["person"].fields] == PERSON_FIELDS


@pytest.mark.parametrize("record", CATALOGUE.records.values(), ids=CATALOGUE.records)
def test_every_record_type_is_described_in_three_languages(record: object) -> None:
    assert_trilingual(dict(record.doc))  # type: ignore[attr-defined]


@EACH_FIELD
def test_every_field_and_code_is_described_in_three_languages(record_type: str, spec: FieldSpec) -> None:
    for text in texts(spec):
        assert_trilingual(text)


@EACH_FIELD
def test_no_two_codes_of_a_field_are_called_alike(record_type: str, spec: FieldSpec) -> None:
    for language in LANGUAGES:
        labels = [label[language] for label in spec.codes.values()]
        assert len(set(labels)) == len(labels)


@EACH_FIELD
def test_the_example_in_every_hint_has_the_form_that_is_asked_for(record_type: str, spec: FieldSpec) -> None:
    if spec.pattern is None:
        return
    examples = {re.findall(r"[A-Z0-9+.-]+$", hint)[0] for hint in spec.pattern_hint.values()}
    assert len(examples) == 1
    (example,) = examples
    assert spec.pattern.fullmatch(example)
    assert len(example) <= spec.max_length


@EACH_FIELD
def test_text_is_bounded_by_a_code_list_or_a_length(record_type: str, spec: FieldSpec) -> None:
    # Otherwise one record of a megabyte is as good as any other.
    assert spec.kind != "string" or spec.codes or spec.max_length <= 160


@EACH_FIELD
def test_authority_names_only_agencies_that_have_an_agreement(record_type: str, spec: FieldSpec) -> None:
    assert set(spec.authority) <= {*AGREEMENTS, "*"}


def test_only_strong_identifiers_identify_and_all_of_them_are_direct_identifiers() -> None:
    person = CATALOGUE.records["person"]
    assert [spec.name for spec in person.identifiers] == ["cin", "massar_code"]
    assert all(spec.privacy == "direct-identifier" for spec in person.identifiers)
    others = [record for record in CATALOGUE.records.values() if record is not person]
    assert not [spec for record in others for spec in record.fields if spec.match]


def test_what_has_a_national_number_is_linked_by_it() -> None:
    keys = {name: [s.name for s in record.natural_keys] for name, record in CATALOGUE.records.items()}
    assert {name: key for name, key in keys.items() if key} == {
        "association": ["code"],
        "centre": ["code"],
        "enrolment": ["number"],
        "module": ["code"],
        "project": ["number"],
        "referral": ["number"],
        "service": ["code"],
    }


def test_records_refer_to_what_they_are_about() -> None:
    references = {
        name: {spec.name: spec.reference for spec in record.references}
        for name, record in CATALOGUE.records.items()
        if record.references
    }
    assert references == {
        "enrolment": {"person": "person", "centre": "centre"},
        "consent": {"person": "person"},
        "service": {"centre": "centre", "association": "association"},
        "assessment": {"person": "person", "centre": "centre"},
        "module": {"centre": "centre"},
        "module_result": {"person": "person", "module": "module"},
        "pathway": {"person": "person", "centre": "centre"},
        "project": {"person": "person", "centre": "centre"},
        "support_plan": {"person": "person", "centre": "centre", "assessment": "assessment"},
        "referral": {
            "person": "person",
            "from_centre": "centre",
            "to_centre": "centre",
            "to_service": "service",
            "to_association": "association",
        },
    }


def test_small_record_types_have_one_partition_and_the_first_ones_keep_their_six() -> None:
    assert {name for name, count in CATALOGUE.partitions.items() if count == 1} == {
        "association", "module", "service",
    }  # fmt: skip
    assert {name for name, count in CATALOGUE.partitions.items() if count == 6} == {
        "centre", "consent", "enrolment", "person",
    }  # fmt: skip


def test_each_record_type_comes_after_those_that_it_refers_to() -> None:
    order = CATALOGUE.dependency_order()
    for position, name in enumerate(order):
        assert {spec.reference for spec in CATALOGUE.records[name].references} <= set(order[:position])


@EACH_FIELD
def test_what_is_said_of_a_person_is_personal_at_least(record_type: str, spec: FieldSpec) -> None:
    about_people = any(one.reference == "person" for one in CATALOGUE.records[record_type].references)
    assert not about_people or spec.privacy != "none"


@EACH_AGREEMENT
def test_what_is_sensitive_goes_only_to_those_in_charge_or_by_consent(agreement: Agreement) -> None:
    # Entraide Nationale runs the centres, and the health services treat: their mission is a ground.
    if agreement.agency in ("entraide", "health"):
        return
    for record_type, grants in agreement.receives.items():
        by_name = CATALOGUE.records[record_type].by_name
        for grant in grants:
            sensitive = [name for name in grant.fields if by_name[name].privacy == "sensitive"]
            assert not sensitive or grant.legal_basis == CONSENT


def test_there_is_an_agreement_with_each_agency() -> None:
    assert set(AGREEMENTS) == AGENCIES
    for agreement in AGREEMENTS.values():
        assert set(agreement.name) == set(LANGUAGES)
        assert "ARABIC" in scripts(agreement.name["ar"])


@EACH_AGREEMENT
def test_an_agency_publishes_only_what_it_has_authority_for(agreement: Agreement) -> None:
    for record_type, fields in agreement.publishes.items():
        by_name = CATALOGUE.records[record_type].by_name
        powerless = [field for field in fields if by_name[field].rank(agreement.agency) is None]
        assert not powerless


@EACH_AGREEMENT
def test_every_purpose_is_one_that_a_person_can_consent_to(agreement: Agreement) -> None:
    purposes = CATALOGUE.records["consent"].by_name["purpose"].codes
    grants = [grant for entries in agreement.receives.values() for grant in entries]
    assert {grant.purpose for grant in grants} <= set(purposes)


@EACH_AGREEMENT
def test_no_grant_outlives_its_agreement_and_no_field_is_granted_twice(agreement: Agreement) -> None:
    for grants in agreement.receives.values():
        assert all(grant.until is None or grant.until <= agreement.until for grant in grants)
        fields = [field for grant in grants for field in grant.fields]
        assert len(set(fields)) == len(fields)


@EACH_AGREEMENT
def test_an_agency_that_creates_records_receives_their_identity(agreement: Agreement) -> None:
    identity = {
        "person": {"family_name_fr", "given_name_fr", "birth_date", "sex"},
        "centre": {"code", "name_ar", "name_fr", "kind"},
        "enrolment": {"number", "person", "centre", "pathway", "status"},
        "consent": {"person", "purpose", "recipients", "status"},
        "association": {"code", "name_ar", "name_fr", "status"},
        "service": {"code", "name_ar", "name_fr", "sector", "status"},
        "assessment": {"person", "centre", "assessed_on"},
        "module": {"code", "title_ar", "title_fr", "kind", "status"},
        "module_result": {"person", "module", "outcome"},
        "pathway": {"person", "step"},
        "project": {"number", "person", "state"},
        "support_plan": {"person", "state"},
        "referral": {"number", "person", "state"},
    }
    for record_type, grants in agreement.receives.items():
        for grant in grants:
            assert not grant.create or identity[record_type] <= set(grant.fields)


@EACH_AGREEMENT
def test_a_record_is_received_only_with_what_it_refers_to(agreement: Agreement) -> None:
    for record_type, grants in agreement.receives.items():
        references = {spec.name: spec.reference for spec in CATALOGUE.records[record_type].references}
        received = {field for grant in grants for field in grant.fields}
        assert {references[field] for field in received & references.keys()} <= agreement.receives.keys()


def test_disability_is_said_by_health_alone_and_known_to_few() -> None:
    assert CATALOGUE.records["person"].by_name["disability"].authority == ("health",)
    publishers = {a.agency for a in AGREEMENTS.values() if "disability" in a.publishes["person"]}
    assert publishers == {"health"}
    assert bases("disability") == {"entraide": PUBLIC_MISSION, "health": PUBLIC_MISSION, "ads": CONSENT}


def test_what_people_suffer_is_sensitive_in_every_record_type() -> None:
    sensitive = {f"{name}.{spec.name}" for name, spec in FIELDS if spec.privacy == "sensitive"}
    assert sensitive == {
        "person.disability", "assessment.family", "assessment.health", "assessment.vulnerabilities",
        "referral.reason", "support_plan.goals",
    }  # fmt: skip


def test_the_region_knows_of_work_and_not_of_troubles() -> None:
    region = AGREEMENTS["region-laayoune"]
    assert set(region.receives) == {"person", "centre", "association", "service", "module", "project"}


def test_the_region_alone_says_what_it_granted_and_the_others_hear_it() -> None:
    granted = {"funding_granted", "granted_on"}
    for field in granted:
        assert CATALOGUE.records["project"].by_name[field].authority == ("region-laayoune",)
    assert {a.agency for a in AGREEMENTS.values() if granted & a.publishes.get("project", frozenset())} == {
        "region-laayoune"
    }
    for agency in ("entraide", "ads"):
        (grant,) = AGREEMENTS[agency].receives["project"]
        assert granted <= set(grant.fields)


def test_health_hears_of_referrals_only_by_consent_and_not_of_where_else_people_go() -> None:
    (grant,) = AGREEMENTS["health"].receives["referral"]
    assert (grant.legal_basis, grant.purpose) == (CONSENT, "health-followup")
    assert not {"from_centre", "to_centre", "to_association"} & set(grant.fields)


def test_the_region_receives_no_identifier_and_the_telephone_only_by_consent() -> None:
    person = CATALOGUE.records["person"]
    assert not [s.name for s in person.identifiers if "region-laayoune" in bases(s.name)]
    assert bases("phone")["region-laayoune"] == CONSENT


def test_health_creates_no_patients() -> None:
    assert not any(grant.create for grant in AGREEMENTS["health"].receives["person"])


def bases(field: str) -> dict[str, str]:
    """Agency → the legal basis on which it receives a person's `field`."""
    return {
        agreement.agency: grant.legal_basis
        for agreement in AGREEMENTS.values()
        for grant in agreement.receives["person"]
        if field in grant.fields
    }
