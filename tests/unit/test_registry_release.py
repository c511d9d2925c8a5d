"""The release's subjects, and what R5 says of a changed policy."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from hub.cli import jisr
from hub.contracts import topics
from hub.contracts.agreements import load_agreements
from hub.contracts.records import Catalogue
from hub.registry.release import Release, _field_changes

ROOT = Path(__file__).parents[2]


def test_every_topic_has_a_subject() -> None:
    release = Release.load(ROOT / "schemas", ROOT / "deploy" / "agreements")
    catalogue = Catalogue.load(ROOT / "schemas" / "records")
    agreements = load_agreements(ROOT / "deploy" / "agreements", catalogue)
    specs = list(topics.hub_topics(catalogue.partitions))
    for agency, agreement in agreements.items():
        specs += topics.agency_topics(agency, agreement.record_types, catalogue.partitions)
    assert {topics.subject(spec.name) for spec in specs} <= set(release.events)


def test_every_schema_of_this_release_is_safe() -> None:
    release = Release.load(ROOT / "schemas", ROOT / "deploy" / "agreements")
    assert list(release.unsafe()) == []
    assert len(list(release.subjects())) > len(release.events) > 0


def test_an_unsafe_schema_is_named() -> None:
    release = Release({}, {"a-value": {"type": "array", "items": "null"}, "b-value": {"type": "int"}})
    assert [message.partition(":")[0] for message in release.unsafe()] == ["a-value"]


def test_a_release_without_agreements_has_the_hubs_own_subjects(tmp_path: Path) -> None:
    release = Release.load(ROOT / "schemas", tmp_path)
    assert release.events
    assert all(subject.startswith("hub.") for subject in release.events)


OLD: dict[str, Any] = {"name": "cin", "privacy": "personal", "merge": "latest", "authority": ["a"]}
OLD |= {"codes": {"a": {}, "b": {}}}


@pytest.mark.parametrize(
    ("change", "may_weaken", "found"),
    [
        ({}, False, []),
        ({"doc": "new"}, False, []),
        ({"privacy": "sensitive"}, False, []),
        ({"privacy": "none"}, False, [True]),
        ({"privacy": "none"}, True, [False]),
        ({"merge": "max"}, True, [True]),
        ({"authority": ["b"]}, False, [False]),
        ({"match": "identifier"}, True, [True]),
        ({"natural_key": True}, True, [True]),
        ({"reference": "centre"}, True, [True]),
        ({"codes": {"a": {}, "b": {}, "c": {}}}, False, []),
        ({"codes": {"b": {}}}, True, [True]),
    ],
)
def test_policy_changes(change: dict[str, Any], may_weaken: bool, found: list[bool]) -> None:
    changes = list(_field_changes("person", OLD, {**OLD, **change}, may_weaken))
    assert [refused for refused, _ in changes] == found
    assert all(message.startswith("person.cin: ") for _, message in changes)


def test_codes_where_there_were_none_are_refused() -> None:
    free = {key: value for key, value in OLD.items() if key != "codes"}
    assert [refused for refused, _ in _field_changes("person", free, OLD, False)] == [True]


def test_merge_left_out_is_latest() -> None:
    bare = {key: value for key, value in OLD.items() if key != "merge"}
    assert list(_field_changes("person", OLD, bare, False)) == []


@pytest.mark.parametrize(
    ("language", "told"),
    [
        ("ar", "housing, income, education, employability, family, health:\n  critical    حرج\n"),
        ("fr", "assessor_role:\n  social_worker    Assistant social\n"),
        ("en", "  chronic_illness  Chronic illness\n"),
    ],
)
def test_a_record_type_is_shown_with_the_names_of_its_codes(language: str, told: str) -> None:
    shown = CliRunner().invoke(
        jisr, ["schema", "show", "assessment", "--schemas", str(ROOT / "schemas"), "--lang", language]
    )
    assert shown.exit_code == 0, shown.output
    assert told in shown.output
