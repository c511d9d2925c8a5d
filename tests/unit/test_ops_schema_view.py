"""Schemas read by a person: fields flat with their policies, and differences one by one."""

from __future__ import annotations

import copy
from typing import Any

from support.contracts import CATALOGUE, EVENTS

from hub.ops.schema_view import SchemaChange, differences, fields_of

PERSON: dict[str, Any] = dict(CATALOGUE.records["person"].schema)


def changed(**attributes: Any) -> dict[str, Any]:
    """The person's contract with other attributes of `phone`."""
    schema = copy.deepcopy(PERSON)
    phone = next(one for one in schema["fields"] if one["name"] == "phone")
    phone.update(attributes)
    return schema


def test_a_field_has_its_policies_and_its_meaning_in_each_language() -> None:
    fields = {one.path: one for one in fields_of(PERSON)}
    assert list(fields) == [spec.name for spec in CATALOGUE.records["person"].fields]
    born, sex = fields["birth_date"], fields["sex"]
    assert (born.type, born.privacy, set(born.doc)) == ("date?", "personal", {"ar", "fr", "en"})
    assert born.authority == CATALOGUE.records["person"].by_name["birth_date"].authority
    assert sex.codes == tuple(CATALOGUE.records["person"].by_name["sex"].codes)


def test_fields_of_records_within_are_there_by_their_path() -> None:
    paths = {one.path: one.type for one in fields_of(EVENTS.change(CATALOGUE.records["person"]))}
    assert paths["record"] == "person?"
    assert paths["record.birth_date"] == "date?"
    assert paths["removed"] == "map of array of string"
    receipt = {one.path: one.type for one in fields_of(EVENTS.plain("receipt"))}
    assert receipt["exceptions.state"] == "one of: refused, waiting, resolved"


def test_a_schema_differs_from_itself_in_nothing() -> None:
    assert list(differences(PERSON, copy.deepcopy(PERSON))) == []


def test_what_was_added_removed_and_changed_is_told() -> None:
    field = {"name": "nickname", "type": ["null", "string"], "default": None, "privacy": "personal"}
    other = changed(privacy="sensitive", authority=["ads", "*"], doc_fr="Un numéro")
    other["fields"] = [*other["fields"], field]
    found = list(differences(PERSON, other))
    before = CATALOGUE.records["person"].by_name["phone"]
    assert SchemaChange("phone", "privacy", before.privacy, "sensitive") in found
    assert SchemaChange("phone", "authority", ", ".join(before.authority), "ads, *") in found
    assert SchemaChange("phone", "meaning", before.doc["fr"], "Un numéro") in found
    assert SchemaChange("nickname", "added", "", "string?") in found
    assert len(found) == 4
    assert SchemaChange("nickname", "removed", "string?", "") in list(differences(other, PERSON))
