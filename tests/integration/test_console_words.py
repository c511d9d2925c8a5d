"""A steward says in the console what a field holds, and takes it back; nobody else does."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from console_people import entity, pairs
from ops_hub import OpsHub, ops_hub
from support.console import Visitor

from hub.local.stack import Stack
from hub.ops.audit import Audit
from hub.ops.explain import FieldStory, explain
from hub.ops.finding import find_entity
from hub.ops.veil import Veil
from hub.store.audit import Search

Enter = Callable[..., Visitor]
WHY = "Her card was shown at the desk."


@pytest.fixture(scope="module")
def hub(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[OpsHub]:
    folder: Path = tmp_path_factory.mktemp("console")
    with ops_hub(stack, folder) as made:
        pairs(made, 1)
        yield made


def file_of(hub: OpsHub) -> str:
    return f"/records/{entity(hub, hub.key('entraide', 'PAIR-E0'))}"


def stands(hub: OpsHub, field: str) -> str:
    """The value that stands, in full."""
    with hub.parts.looking() as tx:
        sought = find_entity(tx, file_of(hub).rpartition("/")[2])
        fields: tuple[FieldStory, ...] = explain(hub.parts, tx, sought, Veil(reveal=True)).fields
    return next((one.value for one in fields if one.name == field), "")


def test_a_value_is_said_and_taken_back(hub: OpsHub, enter: Enter) -> None:
    visitor, path = enter("steward"), f"{file_of(hub)}/fields/given_name_ar"
    before = stands(hub, "given_name_ar")
    assert path in visitor.get(file_of(hub)).text
    answer = visitor.post(path, page=path, decision="say", value="سلمى", why=WHY)
    assert answer.url.path == file_of(hub)
    assert stands(hub, "given_name_ar") == "سلمى"
    page = visitor.get(path).text
    assert "a steward decided: that stands above every agency" in page
    assert "سلمى" not in page, "covered like any other value"
    visitor.post(path, page=path, decision="take-back", why=WHY)
    assert stands(hub, "given_name_ar") == before
    assert "Take the steward" not in visitor.get(path).text
    trail = Audit(hub.parts).search(Search(subject=f"person {file_of(hub).rpartition('/')[2]}"), 10)
    assert [(one.entry.action, one.entry.purpose) for one in trail if one.entry.action != "find"] == [
        ("say", WHY),
        ("take_back", WHY),
    ]


@pytest.mark.parametrize(
    ("field", "form", "value"),
    [
        ("sex", {"value": "female"}, "female"),
        ("birth_date", {"value": "1990-02-03"}, "1990-02-03"),
        ("languages", {"value.ar": "on", "value.fr": "on"}, "ar, fr"),
        ("phone", {"decision": "empty"}, "(known to be empty)"),
    ],
)
def test_each_kind_of_field_has_its_form(
    hub: OpsHub, enter: Enter, field: str, form: dict[str, str], value: str
) -> None:
    path = f"{file_of(hub)}/fields/{field}"
    enter("steward").post(path, page=path, **{"decision": "say", "why": WHY, **form})
    assert stands(hub, field) == value


WRONG = [
    ("phone", {"decision": "say", "value": "0612", "why": WHY}, "The contract has no such value"),
    ("phone", {"decision": "say", "value": "", "why": WHY}, "The contract has no such value"),
    ("birth_date", {"decision": "say", "value": "1/2/1990", "why": WHY}, "The contract has no such value"),
    ("phone", {"decision": "say", "value": "+212612345678", "why": "x"}, "Say in a few words"),
    ("phone", {"decision": "perhaps", "value": "+212612345678", "why": WHY}, "Say what the field holds"),
]


@pytest.mark.parametrize(("field", "form", "message"), WRONG)
def test_what_is_no_value_is_refused(
    hub: OpsHub, enter: Enter, field: str, form: dict[str, str], message: str
) -> None:
    visitor, path, before = enter("steward"), f"{file_of(hub)}/fields/{field}", stands(hub, field)
    answer = visitor.post(path, page=path, **form)
    assert answer.status_code == 400
    assert message in answer.text
    assert stands(hub, field) == before


@pytest.mark.parametrize("role", ["operator", "auditor"])
def test_nobody_but_a_steward_says_anything(hub: OpsHub, enter: Enter, role: str) -> None:
    visitor, path = enter(role), f"{file_of(hub)}/fields/phone"
    assert path not in visitor.get(file_of(hub)).text
    for one in (path, f"/api/v1{path}"):
        answer = visitor.post(one, page="/", decision="say", value="+212612345678", why=WHY)
        assert answer.status_code in (403, 404)
    assert visitor.get(path).status_code in (403, 404)


def test_programs_say_it_too(hub: OpsHub, enter: Enter) -> None:
    path = f"{file_of(hub)}/fields/commune"
    found = enter("steward").post(f"/api/v1{path}", page="/", decision="say", value="12.391.01.01", why=WHY)
    assert found.json() == {"entity": path.split("/")[2], "field": "commune", "decision": "say"}
    assert stands(hub, "commune") == "12.391.01.01"


@pytest.mark.parametrize("field", ["centre", "no_such_field"])
def test_there_is_no_page_of_what_a_steward_cannot_say(hub: OpsHub, enter: Enter, field: str) -> None:
    assert enter("steward").get(f"{file_of(hub)}/fields/{field}").status_code == 404
