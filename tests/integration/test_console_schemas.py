"""The console's schemas over a real registry: subjects, versions, what differs, in each language."""

from __future__ import annotations

import copy
import re
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest
from ops_hub import REGISTRY_TOKEN, OpsHub, ops_hub
from support.console import Visitor

from hub.contracts import topics
from hub.contracts.registry_client import RegistryClient
from hub.contracts.subjects import contract_subject
from hub.local.stack import Stack

Enter = Callable[..., Visitor]
PERSON = "ma.jisr.records.person"


@pytest.fixture(scope="module")
def hub(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[OpsHub]:
    folder: Path = tmp_path_factory.mktemp("schemas")
    with ops_hub(stack, folder) as made:
        _two_versions(made)
        yield made


def _two_versions(hub: OpsHub) -> None:
    """The person's contract, and a later one that guards the telephone more and has one more field."""
    record = hub.parts.catalogue.records["person"]
    later = copy.deepcopy(dict(record.schema))
    next(one for one in later["fields"] if one["name"] == "phone")["privacy"] = "sensitive"
    nickname = {"name": "nickname", "type": ["null", "string"], "default": None, "doc": "What friends say."}
    later["fields"] = [*later["fields"], nickname]
    with closing(RegistryClient(hub.environment["JISR_REGISTRY_URL"], REGISTRY_TOKEN)) as client:
        client.register(contract_subject(record), dict(record.schema))
        client.register(contract_subject(record), later)


def test_an_agency_sees_the_hubs_schemas_and_its_own(hub: OpsHub, enter: Enter) -> None:
    own, other = (topics.subject(topics.changes(hub.name(one), "person")) for one in ("ads", "entraide"))
    visitor = enter("agency", "ads")
    found = visitor.get("/api/v1/schemas").json()["subjects"]
    assert own in found
    assert PERSON in found
    assert not [name for name in found if name.startswith(hub.name("entraide"))]
    assert visitor.get(f"/schemas/{own}").status_code == 200
    assert visitor.get(f"/schemas/{other}").status_code == 404
    assert other in enter("auditor").get("/schemas").text


def test_a_version_is_readable_and_the_newest_comes_first(enter: Enter) -> None:
    visitor = enter("operator")
    newest = visitor.get(f"/api/v1/schemas/{PERSON}").json()
    assert newest["versions"] == [2, 1]
    assert newest["schema"]["version"] == 2
    first = visitor.get(f"/schemas/{PERSON}?version=1").text
    assert "Fields of version 1" in first
    assert "nickname" not in first
    assert "the latest word stands" in first


@pytest.mark.parametrize(
    ("language", "words"),
    [
        (
            "en",
            ("The protection became sensitive, before: identifies directly", "The field was added: string?"),
        ),
        ("fr", ("La protection est devenue : sensible", "Le champ a été ajouté : string?")),
        ("ar", ("صارت الحماية: حساس", "أُضيف الحقل")),
    ],
)
def test_the_difference_is_told_in_words(enter: Enter, language: str, words: tuple[str, ...]) -> None:
    page = enter("operator", language=language).get(f"/schemas/{PERSON}?compare=1").text
    text = re.sub(r"<[^>]+>", "", page)
    for one in words:
        assert one in text
    found = enter("operator").get(f"/api/v1/schemas/{PERSON}?compare=1").json()
    assert {(one["path"], one["what"]) for one in found["changes"]} == {
        ("phone", "privacy"),
        ("nickname", "added"),
    }


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("nothing", 404),
        (f"{PERSON}?version=9", 404),
        (f"{PERSON}?compare=9", 404),
        (f"{PERSON}?version=x", 400),
        (f"{PERSON}?version=1&compare=1", 400),
    ],
)
def test_what_is_not_there_is_refused(enter: Enter, path: str, status: int) -> None:
    visitor = enter("operator")
    assert visitor.get(f"/schemas/{path}").status_code == status
    assert visitor.get(f"/api/v1/schemas/{path}").status_code == status
