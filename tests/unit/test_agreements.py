"""Agreements: what is not declared never leaves, and a mistake in one is found where it stands."""

from __future__ import annotations

import datetime
import json
from dataclasses import replace
from pathlib import Path

import pytest
from support.contracts import CATALOGUE

from hub.contracts import topics
from hub.contracts.agreements import Agreement, load_agreement, load_agreements
from hub.contracts.policies import day_number, terms_by_type, type_policies
from hub.contracts.records import Catalogue, read_record_type
from hub.core.policy import STEWARD
from hub.core.projection import grants_in_force
from hub.errors import ConfigurationError

GOOD = """\
agency: museum
name: {ar: متحف, fr: Musée, en: Museum}
until: 2030-12-31
snapshot: true
publishes:
  person: [sex, cin]
receives:
  person:
    - {fields: [phone, cin], purpose: visits, legal_basis: public-mission, create: true}
    - {fields: [sex], purpose: statistics, legal_basis: consent, create: false, until: 2028-01-01}
  centre: {fields: [code], purpose: visits, legal_basis: public-mission, create: false}
"""


def loaded(folder: Path, text: str) -> Agreement:
    path = folder / "museum.yaml"
    path.write_text(text, encoding="utf-8")
    return load_agreement(path, CATALOGUE)


def test_echoes_are_filtered_only_where_an_agreement_says_so(tmp_path: Path) -> None:
    for said, filters in (("", False), ("echoes: none\n", False), ("echoes: filtered\n", True)):
        (one,) = terms_by_type({"museum": loaded(tmp_path, GOOD + said)})["centre"]
        assert one.filters_echoes is filters


def test_an_agreement_is_read_with_its_fields_in_the_order_of_the_schema(tmp_path: Path) -> None:
    agreement = loaded(tmp_path, GOOD)
    assert (agreement.agency, agreement.until, agreement.snapshot) == (
        "museum",
        datetime.date(2030, 12, 31),
        True,
    )
    assert agreement.publishes == {"person": frozenset({"cin", "sex"})}
    first, second = agreement.receives["person"]
    assert (first.fields, first.create, first.until) == (("cin", "phone"), True, None)
    assert (second.legal_basis, second.create, second.until) == ("consent", False, datetime.date(2028, 1, 1))
    assert agreement.record_types == ("person", "centre")


def test_what_an_agreement_does_not_say_is_not_allowed(tmp_path: Path) -> None:
    agreement = loaded(tmp_path, GOOD)
    terms = {name: those[0] for name, those in terms_by_type({"museum": agreement}).items()}
    assert terms.keys() == {"person", "centre"}
    today = day_number(datetime.date(2026, 1, 1))
    allowed = {name: [g.fields for g in grants_in_force(one, (), today)] for name, one in terms.items()}
    assert allowed == {"person": [{"cin", "phone"}], "centre": [{"code"}]}
    assert terms["centre"].publishes == frozenset()


@pytest.mark.parametrize(
    ("wrong", "right", "place", "said"),
    [
        ("[sex, cin]", "[sex, shoe_size]", "6:17", "no field 'shoe_size'"),
        ("[sex, cin]", "cin", "6:3", "a list of field names"),
        ("  person: [sex", "  persons: [sex", "6:3", "no record type 'persons'"),
        ("[phone, cin]", "[fone]", "9:17", "no field 'fone'"),
        ("legal_basis: consent", "legal_basis: consnt", "10:44", "public-mission or consent"),
        ("create: false, until", "create: perhaps, until", "10:66", "true or false"),
        ("until: 2030-12-31", "until: someday", "3:1", "a date"),
        ("until: 2030-12-31", "until: 2030-12-31 10:00:00", "3:1", "a date"),
        ("snapshot: true", "snapshot: 1", "4:1", "true or false"),
        ("snapshot: true", "snapshots: true", "4:1", "unknown key"),
        ("snapshot: true", "echoes: true", "4:1", "use none or filtered"),
        ("purpose: statistics, legal_basis: consent", "legal_basis: consent", "10:", "purpose is missing"),
        (
            "publishes:\n  person: [sex, cin]",
            "publishes: everything",
            "5:1",
            "record types with their fields, or {} for none, expected",
        ),
        ("agency: museum", "agency: hub", "1:1", "reserved"),
        ("agency: museum", "agency: The Museum", "1:1", "lower-case"),
        ("agency: museum", "agency: mu.seum", "1:1", "lower-case"),
        ("{ar: متحف, fr: Musée, en: Museum}", "{ar: متحف, en: Museum}", "2:", "a text in fr"),
        ("{ar: متحف, fr: Musée, en: Museum}", "{ar: متحف, fr: 7, en: Museum}", "2:", "a text in fr"),
        ("{ar: متحف, fr: Musée, en: Museum}", "{ar: متحف, es: Museo}", "2:", "unknown key 'es'"),
        ("until: 2030-12-31", "until: 2030-02-30", "", "day is out of range"),
        ("purpose: statistics", "purpose: statistic", "10:", "no consent can have the purpose"),
        ("agency: museum", "agency: [museum", "", "not readable as YAML"),
    ],
)
def test_a_mistake_is_found_where_it_stands(
    tmp_path: Path, wrong: str, right: str, place: str, said: str
) -> None:
    assert GOOD.count(wrong) == 1
    with pytest.raises(ConfigurationError, match=said) as refusal:
        loaded(tmp_path, GOOD.replace(wrong, right))
    assert f"museum.yaml:{place}" in str(refusal.value) or not place


@pytest.mark.parametrize("text", ["", "- a list\n", "just text\n"])
def test_what_is_no_mapping_is_no_agreement(tmp_path: Path, text: str) -> None:
    with pytest.raises(ConfigurationError, match="mapping"):
        loaded(tmp_path, text)


def test_two_agreements_of_one_agency_and_none_at_all_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="no agreements"):
        load_agreements(tmp_path, CATALOGUE)
    for name in ("one", "two"):
        (tmp_path / f"{name}.yaml").write_text(GOOD, encoding="utf-8")
    with pytest.raises(ConfigurationError, match="a second agreement of museum"):
        load_agreements(tmp_path, CATALOGUE)
    # Passed over, it would end an agency's agreement.
    (tmp_path / "two.yaml").rename(tmp_path / "two.yml")
    with pytest.raises(ConfigurationError, match=r"two\.yml: .* ends with \.yaml"):
        load_agreements(tmp_path, CATALOGUE)


def test_policies_say_what_the_contracts_say() -> None:
    person = type_policies(CATALOGUE)["person"]
    assert person.identifiers == ("cin", "massar_code")
    assert person.matched["birth_date"] == "birth_date"
    assert {"cin", "sex", "family_name_ar"} <= person.evidence
    assert type_policies(CATALOGUE)["cooperative"].natural_key == ("name", "commune")
    assert type_policies(CATALOGUE)["enrolment"].references == {"person": "person", "centre": "centre"}
    for record in CATALOGUE.records.values():
        policy = type_policies(CATALOGUE)[record.name]
        for spec in record.fields:
            for agency in ("entraide", "ads", "health", "museum", STEWARD):
                assert policy.fields[spec.name].rank(agency) == spec.rank(agency)


def test_record_types_come_after_those_that_they_refer_to() -> None:
    order = CATALOGUE.dependency_order()
    assert sorted(order) == sorted(CATALOGUE.records)
    for name, record in CATALOGUE.records.items():
        for spec in record.references:
            assert spec.reference == name or order.index(spec.reference or "") < order.index(name)


def test_everybody_else_has_the_rank_of_their_place_among_those_named(tmp_path: Path) -> None:
    field = {"name": "f", "type": ["null", "string"], "default": None, "privacy": "none"}
    field["authority"] = ["ads", "*", "entraide"]
    path = tmp_path / "thing.avsc"
    path.write_text(json.dumps({"type": "record", "name": "thing", "fields": [field]}), encoding="utf-8")
    policy = type_policies(Catalogue({"thing": read_record_type(path)}))["thing"].fields["f"]
    assert [policy.rank(agency) for agency in ("ads", "museum", "entraide")] == [0, 1, 2]


@pytest.mark.parametrize("authority", ["entraide", [], None])
def test_authority_is_a_list_of_agencies(tmp_path: Path, authority: object) -> None:
    field = {
        "name": "f",
        "type": ["null", "string"],
        "default": None,
        "privacy": "none",
        "authority": authority,
    }
    path = tmp_path / "thing.avsc"
    path.write_text(json.dumps({"type": "record", "name": "thing", "fields": [field]}), encoding="utf-8")
    with pytest.raises(ConfigurationError, match="authority"):
        read_record_type(path)


def thing(folder: Path, **attributes: object) -> Path:
    """A contract with one field, and these attributes of the record."""
    field = {"name": "f", "type": ["null", "string"], "default": None, "privacy": "none", "authority": ["*"]}
    path = folder / "thing.avsc"
    path.write_text(json.dumps({"type": "record", "name": "thing", **attributes, "fields": [field]}), "utf-8")
    return path


def test_a_small_record_type_has_few_partitions(tmp_path: Path) -> None:
    for given, changes, inbox in (({}, 6, 3), ({"partitions": 3}, 3, 2), ({"partitions": 1}, 1, 1)):
        small = Catalogue({"thing": read_record_type(thing(tmp_path, **given))})
        specs = (
            *topics.hub_topics(small.partitions),
            *topics.agency_topics("museum", small.records, small.partitions),
        )
        counts = {spec.name: spec.partitions for spec in specs}
        assert counts["museum.thing.changes"] == changes
        assert counts["hub.thing.assertions"] == counts["hub.thing.golden"] == changes
        assert counts["museum.thing.inbox"] == inbox


@pytest.mark.parametrize("count", [0, 65, -1, "6", 1.5, True, None])
def test_a_number_of_partitions_that_is_none_is_refused(tmp_path: Path, count: object) -> None:
    with pytest.raises(ConfigurationError, match=r'thing\.avsc: "partitions" is .*: a whole number from 1'):
        read_record_type(thing(tmp_path, partitions=count))


def test_record_types_that_refer_to_each_other_are_ordered_all_the_same() -> None:
    assert Catalogue({}).dependency_order() == ()
    centre, enrolment = CATALOGUE.records["centre"], CATALOGUE.records["enrolment"]
    back = replace(centre.by_name["phone"], name="latest", reference="enrolment")
    circle = Catalogue({"enrolment": enrolment, "centre": replace(centre, fields=(back,))})
    assert sorted(circle.dependency_order()) == ["centre", "enrolment"]
