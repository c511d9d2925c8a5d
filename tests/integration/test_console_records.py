"""Finding a person in the console, and their file: what it tells whom, what is covered, what is kept."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from console_people import BORN, CIN, NAME_AR, PHONE, entity, one_person
from ops_hub import OpsHub, ops_hub
from support.changes import _START_MS, said
from support.console import Visitor

from hub.console import record_file
from hub.console.visit import Console
from hub.local.stack import Stack
from hub.ops.audit import Audit
from hub.store.audit import Search

Enter = Callable[..., Visitor]
SECRETS = (
    CIN,
    PHONE,
    NAME_AR,
    "Alaoui",
    "Alawi",
    "1990",
    "2024-01-10",
    "10 January",
    "DOSSIER-88",
    "CASE-99",
)


@pytest.fixture(scope="module")
def hub(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[OpsHub]:
    folder: Path = tmp_path_factory.mktemp("console")
    with ops_hub(stack, folder) as made:
        one_person(made)
        made.publish()
        made.acknowledge_all("ads")
        yield made


@pytest.fixture(scope="module")
def file(hub: OpsHub) -> str:
    """The path of the person's file."""
    return f"/records/{entity(hub, hub.key('entraide', 'DOSSIER-88'))}"


def deeds(hub: OpsHub, action: str) -> list[tuple[str, str, str]]:
    """Whose deed it was, on whom, and by what or for what."""
    found = Audit(hub.parts).search(Search(action=action), 1_000)
    return [(one.entry.account, one.entry.subject, one.entry.purpose or one.entry.detail) for one in found]


def test_a_person_is_found_by_every_name_and_that_is_kept(
    hub: OpsHub, enter: Enter, file: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    visitor = enter("operator")
    forms = (
        {"agency": hub.name("ads"), "record_type": "person", "local_id": "CASE-99"},
        {"field": "person.cin", "value": f" {CIN} "},
        {"hub_id": file.rpartition("/")[2]},
    )
    for form in forms:
        answer = visitor.post("/records", page="/records", **form)
        assert answer.url.path == file
        assert str(answer.url).count("?") == 0
    subject = f"person {file.rpartition('/')[2]}"
    kept = [("Souad@local-login", subject, "local_id"), ("Souad@local-login", subject, "cin")]
    assert deeds(hub, "find") == kept, "a hub id names nobody outside the hub"
    logged = "".join(record.getMessage() for record in caplog.records)
    assert CIN not in logged
    assert "CASE-99" not in logged


def test_other_records_are_found_by_their_natural_key(enter: Enter) -> None:
    visitor = enter("operator")
    answer = visitor.post("/records", page="/records", field="enrolment.number", value="INS-2024-000001")
    assert "Enrolments" in answer.text
    assert "Persons" in answer.text, "whom it refers to"


@pytest.mark.parametrize(
    ("form", "status", "words"),
    [
        ({"field": "person.cin", "value": "ZZ999"}, 404, "Nobody and nothing is known"),
        ({"field": "person.cin", "value": "not a number"}, 400, "No identifier of this kind"),
        ({"field": "person.phone", "value": PHONE}, 400, "Choose an identifier"),
        ({"hub_id": "nonsense"}, 404, "Nobody and nothing is known"),
        ({"agency": "none", "local_id": "1"}, 400, "Choose an agency"),
        ({}, 400, "Type what to look for"),
    ],
)
def test_who_is_not_known_is_said_so(enter: Enter, form: dict[str, str], status: int, words: str) -> None:
    answer = enter("operator").post("/records", page="/records", **form)
    assert answer.status_code == status
    assert words in answer.text
    assert form.get("value", "none such") not in answer.text


def test_what_somebody_no_longer_says_finds_them_no_more(hub: OpsHub, enter: Enter) -> None:
    ads = hub.key("ads", "former")
    hub.take(said(ads, 1, "insert", massar_code="R130045678", birth_date=BORN))
    visitor = enter("operator")
    form = {"field": "person.massar_code", "value": "R130045678"}
    assert visitor.post("/api/v1/records", page="/records", **form).json()["entities"] == [entity(hub, ads)]
    hub.take(said(ads, 2, massar_code=None))
    assert visitor.post("/records", page="/records", **form).status_code == 404


@pytest.mark.parametrize("role", ["operator", "steward", "auditor"])
def test_a_file_is_shown_with_its_values_covered(enter: Enter, file: str, role: str) -> None:
    visitor = enter(role)
    page = visitor.get(file).text
    for text in (page, visitor.get(f"/api/v1{file}").text):
        assert "•••" in text
        assert [secret for secret in SECRETS if secret in text] == []
    assert ("Show values in full" in page) == (role == "steward")
    assert "highest authority" in page
    assert "Acknowledged" in page
    assert "in force" in page
    assert "they are shown with them" in page, "the pathway is personal"


def test_what_was_taken_for_an_echo_is_told_on_the_file(hub: OpsHub, enter: Enter, file: str) -> None:
    """Health saves whole records; its agreement has the hub filter what it only repeats."""
    visitor = enter("operator")
    assert "Taken for echoes" not in visitor.get(file).text
    now = (time.time() * 1000 - _START_MS) / 60_000
    entraide, health = hub.key("entraide", "echo-1"), hub.key("health", "echo-2")
    who: dict[str, Any] = {"cin": "EC1", "birth_date": BORN}
    hub.take(said(entraide, now - 60, "insert", **who, phone=PHONE), said(health, now - 50, "insert", **who))
    hub.take(said(health, now + 1, phone=PHONE))
    path = f"/records/{entity(hub, entraide)}"
    page = visitor.get(path).text
    echoes = page.partition('id="echoes"')[2].partition("</section>")[0]
    assert "Telephone" in echoes
    assert "Last repeated" in echoes
    assert PHONE not in page
    agencies = {one["agency"]: one["echoes"] for one in visitor.get(f"/api/v1{path}").json()["agencies"]}
    assert set(agencies[hub.name("health")]) == {"phone"}
    assert agencies[hub.name("health")]["phone"] // 60_000 == int(_START_MS / 60_000 + now + 1)
    assert agencies[hub.name("ads")] == {}


def test_values_are_shown_to_a_steward_who_says_why_and_that_is_kept(
    hub: OpsHub, enter: Enter, file: str
) -> None:
    visitor = enter("steward")
    refused = visitor.post(file, page=file, purpose="why")
    assert refused.status_code == 400
    assert deeds(hub, "reveal") == []
    shown = visitor.post(file, page=file, purpose="the centre asks whose file it is").text
    assert f'<bdi dir="auto">{NAME_AR}</bdi>' in shown
    assert [
        secret for secret in (CIN, PHONE, "10 January 2024", "3 February 2024") if secret not in shown
    ] == []
    received, listened = shown.index("Received</strong>"), shown.index("Listened to</strong>")
    assert received < shown.index("10 January 2024") < listened < shown.index("3 February 2024")
    subject = f"person {file.rpartition('/')[2]}"
    assert deeds(hub, "reveal") == [("Souad@local-login", subject, "the centre asks whose file it is")]
    assert CIN not in visitor.get(file).text, "once, not from now on"


@pytest.mark.parametrize("role", ["operator", "auditor"])
def test_who_may_not_reveal_does_not_by_sending_the_form(enter: Enter, file: str, role: str) -> None:
    answer = enter(role).post(file, page="/records" if role == "operator" else "/audit", purpose="curious me")
    assert answer.status_code == 403
    assert PHONE not in answer.text


def test_an_agency_sees_no_file_here(enter: Enter, file: str) -> None:
    visitor = enter("agency", "ads")
    for path in (file, f"/api/v1{file}", "/records"):
        assert visitor.get(path).status_code == 403


def test_a_search_without_the_forms_token_does_nothing(enter: Enter, hub: OpsHub) -> None:
    visitor, before = enter("operator"), deeds(hub, "find")
    for path in ("/records", "/api/v1/records"):
        answer = visitor.client.post(path, data={"field": "person.cin", "value": CIN})
        assert answer.status_code == 403
    assert deeds(hub, "find") == before


def test_looking_for_people_is_limited(console: Console, enter: Enter) -> None:
    visitor = enter("operator")
    while console.reveals.take("find Souad@local-login") == 0.0:
        pass
    answer = visitor.post("/records", page="/records", field="person.cin", value=CIN)
    assert answer.status_code == 429


def test_auditors_see_who_saw_a_file(enter: Enter, file: str) -> None:
    enter("steward").post(file, page=file, purpose="a call of the health centre")
    page = enter("auditor").get(file).text
    assert "a call of the health centre" in page
    assert "saw values in full" in page
    hidden = enter("operator")
    assert "a call of the health centre" not in hidden.get(file).text
    assert hidden.get(f"/api/v1{file}").json()["looks"] is None


def test_a_merged_one_leads_to_the_file_that_stands(hub: OpsHub, enter: Enter) -> None:
    ads, entraide = hub.key("ads", "m1"), hub.key("entraide", "m2")
    hub.take(said(ads, 1, "insert", cin="SH5", birth_date=BORN))
    hub.take(said(entraide, 2, "insert", given_name_fr="Zineb", birth_date=BORN))
    before = entity(hub, entraide)
    hub.take(said(entraide, 3, cin="SH5"))
    answer = enter("operator").get(f"/records/{before}")
    assert f"{before} was found to be the same" in answer.text
    assert entity(hub, ads) in answer.text


@pytest.mark.parametrize("name", ["A" * 22, "nobody", "é" * 22])
def test_an_unknown_hub_id_is_not_found(enter: Enter, name: str) -> None:
    visitor = enter("operator")
    assert visitor.get(f"/records/{name}").status_code == 404
    assert visitor.get(f"/api/v1/records/{name}").status_code == 404


def test_an_agencys_own_names_are_taken_in_no_address(hub: OpsHub, enter: Enter) -> None:
    assert enter("operator").get(f"/records/{hub.name('ads')}:CASE-99").status_code == 404


@pytest.mark.parametrize(
    ("language", "words"),
    [
        ("ar", ("أعلى صلاحية", "القيم المعتمدة وسبب اعتمادها", "مهمة عمومية", 'dir="rtl"')),
        ("fr", ("plus haute autorité", "Ce qui est retenu", "mission publique", "Réception confirmée")),
    ],
)
def test_rules_are_told_in_the_readers_language(
    enter: Enter, file: str, language: str, words: tuple[str, ...]
) -> None:
    visitor = enter("steward", language=language)
    page = visitor.get(file).text
    assert [word for word in words if word not in page] == []
    for english in ("highest authority", "public mission", "the latest word", "all who have a say"):
        assert english not in page + visitor.get(f"/api/v1{file}").text


def test_programs_find_and_read_the_same(enter: Enter, file: str) -> None:
    visitor = enter("operator")
    found = visitor.post("/api/v1/records", page="/records", field="person.cin", value=CIN).json()
    assert found == {"record_type": "person", "entities": [file.rpartition("/")[2]]}
    read = visitor.get(f"/api/v1{file}").json()
    assert {one["name"] for one in read["fields"]} >= {"cin", "phone", "family_name_ar"}
    related = {(one["record_type"], one["towards"]) for one in read["related"]}
    assert related == {("consent", False), ("enrolment", False)}
    described = visitor.get("/api/v1/openapi.json").json()["paths"]
    assert "value" in str(described["/api/v1/records"]["post"]["requestBody"])


def test_what_was_sent_long_ago_is_known_by_its_receipt_alone(
    hub: OpsHub, enter: Enter, file: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A page reads no inbox whole: beyond its depth the watermark tells, and no message has to be found."""

    def states() -> dict[str, tuple[str, bool]]:
        read = enter("operator").get(f"/api/v1{file}").json()
        return {
            one["agency"].removesuffix(f"-{hub.suffix}"): (one["state"], one["sent_ms"] is not None)
            for one in read["agencies"]
        }

    near = states()
    monkeypatch.setattr(record_file, "_DEPTH", 0)
    assert near["ads"] == ("acknowledged", True)
    assert {agency: (state, False) for agency, (state, _) in near.items()} == states()
    assert {state for state, _ in near.values()} >= {"acknowledged", "pending"}
