"""Finding somebody by name in the console: however it is spelled, by what records say now alone."""

from __future__ import annotations

import datetime
import logging
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from click.testing import CliRunner
from console_people import entity
from ops_hub import OpsHub, ops_hub
from support.changes import _START_MS, said
from support.console import Visitor

from hub.cli import jisr
from hub.console.visit import Console
from hub.local.stack import Stack
from hub.ops.audit import Audit
from hub.ops.naming import SHOWN
from hub.ops.undo import Undo
from hub.store.audit import Search

Enter = Callable[..., Visitor]
BORN = datetime.date(1987, 5, 23)
MOHAMED = {"given_name_fr": "Mohamed", "family_name_fr": "El Alaoui", "birth_date": BORN}
NAMES = "SELECT record, keys FROM record_name ORDER BY record"


@pytest.fixture(scope="module")
def hub(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[OpsHub]:
    with ops_hub(stack, tmp_path_factory.mktemp("names")) as made:
        yield made


@pytest.fixture(scope="module")
def mohamed(hub: OpsHub) -> str:
    """The hub id of a person known to two agencies, who write the name in two scripts."""
    entraide, ads = hub.key("entraide", "m1"), hub.key("ads", "m2")
    arabic = {"given_name_ar": "محمد", "family_name_ar": "العلوي", "birth_date": BORN}
    hub.take(said(entraide, 1, "insert", cin="NM1", **arabic), said(ads, 2, "insert", cin="NM1", **MOHAMED))
    return entity(hub, ads)


@pytest.fixture(autouse=True)
def often(console: Console) -> None:
    """This module's people may search as often as they like."""
    console.reveals._times = 1_000


def found(visitor: Visitor, name: str, born: str = "") -> list[str]:
    answer = visitor.post("/api/v1/names", page="/records", name=name, born=born)
    assert answer.status_code == 200, answer.text
    assert not answer.json()["partial"]
    return [one["entity"] for one in answer.json()["found"]]


def kept(hub: OpsHub) -> list[tuple[bytes, tuple[int, ...]]]:
    return [(bytes(row.record), tuple(row.keys)) for row in hub.rows(NAMES)]


@pytest.mark.parametrize(
    ("name", "born"),
    [
        ("Mohammed Alaoui", ""), ("ALAWI muhammad", ""), ("محمد علوي", ""), ("العلوي Med", ""),
        ("محمد", "1987"), ("elalaoui", "1987-05-23"),
    ],
)  # fmt: skip
def test_a_person_is_found_however_the_name_is_spelled(
    enter: Enter, mohamed: str, name: str, born: str
) -> None:
    assert found(enter("operator"), name, born) == [mohamed]


@pytest.mark.parametrize(
    ("name", "born"), [("Mohamed Tazi", ""), ("Mohamed Alaoui", "1988"), ("محمد", "1987-05-24")]
)
def test_nobody_else_is(enter: Enter, mohamed: str, name: str, born: str) -> None:
    answer = enter("operator").post("/records", page="/records", name=name, born=born)
    assert answer.status_code == 404
    assert "Nobody is known by a name like this" in answer.text
    assert mohamed not in answer.text


@pytest.mark.parametrize("role", ["operator", "steward", "auditor"])
def test_what_is_found_is_covered_and_kept_in_the_trail(
    hub: OpsHub, enter: Enter, mohamed: str, role: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    visitor = enter(role)
    before = len(Audit(hub.parts).search(Search(action="find"), 1_000))
    answer = visitor.post("/records", page="/records", name="Mohamed Alaoui", born="1987")
    assert f"/records/{mohamed}" in answer.text
    assert str(answer.url).endswith("/records")
    table = answer.text.partition("<tbody>")[2].partition("</tbody>")[0]
    assert "•••" in table
    assert [one for one in ("Mohamed", "Alaoui", "محمد", "العلوي", "1987") if one in table] == []
    newest, *rest = Audit(hub.parts).search(Search(action="find"), 1_000)
    assert (newest.entry.subject, newest.entry.detail) == (f"person {mohamed}", "name")
    assert len(rest) == before
    assert "Alaoui" not in "".join(record.getMessage() for record in caplog.records)


def test_an_agency_searches_nobody(enter: Enter) -> None:
    visitor = enter("agency", "ads")
    assert visitor.post("/api/v1/names", page="/", name="Mohamed Alaoui").status_code == 403


@pytest.mark.parametrize(
    ("name", "born", "words"),
    [
        ("Mohamed", "", "Type a given name and a family name"), ("- aou", "1987", "Type a given name"),
        ("Mohamed Alaoui", "23/05/87", "1987-05-23"),
    ],
)  # fmt: skip
def test_a_name_alone_is_too_little(enter: Enter, name: str, born: str, words: str) -> None:
    answer = enter("operator").post("/records", page="/records", name=name, born=born)
    assert answer.status_code == 400
    assert words in answer.text


def test_searches_are_limited(enter: Enter, console: Console) -> None:
    console.reveals._times = 2
    visitor = enter("operator")
    form = {"name": "Zohra Bennis", "born": ""}
    statuses = [visitor.post("/records", page="/records", **form).status_code for _ in range(3)]
    assert statuses[-1] == 429


def test_of_many_some_are_shown_and_the_birth_date_narrows_them(hub: OpsHub, enter: Enter) -> None:
    days = [datetime.date(1960 + number, 1, 2) for number in range(SHOWN + 5)]
    given = ["Khadouj", *["Khadija"] * (len(days) - 1)]
    for number, (day, name) in enumerate(zip(days, given, strict=True)):
        who = {"given_name_fr": name, "family_name_fr": "Tazi", "birth_date": day}
        hub.take(said(hub.key("ads", f"k{number}"), 1, "insert", **who))
    visitor = enter("operator")
    page = visitor.post("/records", page="/records", name="Khadidja Tazzi").text
    assert "There are more than are shown" in page
    assert page.count("sounds alike") == SHOWN
    spelled = visitor.post("/api/v1/names", page="/records", name="Khadouj Tazi", born="1960").json()
    assert [(one["entity"], one["spelled"]) for one in spelled["found"]] == [
        (entity(hub, hub.key("ads", "k0")), True)
    ]
    assert not spelled["more"]


def test_a_name_follows_what_its_record_says(hub: OpsHub, enter: Enter) -> None:
    """A new name, none, a taken back one; one person of two, and two of one."""
    visitor = enter("operator")
    ads, entraide = hub.key("ads", "z1"), hub.key("entraide", "z2")
    hub.take(said(ads, 1, "insert", given_name_fr="Zineb", family_name_fr="Chraibi", birth_date=BORN))
    hub.take(said(entraide, 1, "insert", given_name_fr="Touria", family_name_fr="Chraibi", birth_date=BORN))
    assert found(visitor, "زينب الشرايبي") == [entity(hub, ads)]
    hub.take(said(ads, 2, family_name_fr="Benjelloun"))
    assert found(visitor, "Zineb Chraibi") == []
    assert found(visitor, "Zineb Benjelloun") == [entity(hub, ads)]
    begun = datetime.datetime.fromtimestamp(_START_MS / 1000 + 2 * 60 - 1, datetime.UTC)
    undo = Undo(hub.parts, clock=lambda: _START_MS / 1000 + 3600)
    undo.apply(undo.wanted(ads.agency, begun, None), "Salma", "a bad import")
    assert found(visitor, "Zineb Benjelloun") == []
    assert found(visitor, "Zineb Chraibi") == [entity(hub, ads)]
    apart = entity(hub, ads), entity(hub, entraide)
    hub.take(said(ads, 70, cin="NZ1"), said(entraide, 70, cin="NZ1"))
    together = entity(hub, ads)
    assert together == entity(hub, entraide)
    assert found(visitor, "Zineb Chraibi") == found(visitor, "Touria Chraibi") == [together]
    hub.take(said(entraide, 71, cin=None))
    assert (entity(hub, ads), entity(hub, entraide)) == apart
    assert (found(visitor, "Zineb Chraibi"), found(visitor, "Touria Chraibi")) == ([apart[0]], [apart[1]])
    hub.take(said(entraide, 72, given_name_fr=None, family_name_fr=None))
    assert found(visitor, "Touria", "1987") == []


def test_a_store_that_is_older_than_its_names_gets_them_by_a_command(
    hub: OpsHub, enter: Enter, mohamed: str
) -> None:
    before = kept(hub)
    assert len(before) > 1
    hub.rows("DELETE FROM record_name RETURNING 1")
    hub.rows("DELETE FROM setting WHERE name = 'names' RETURNING 1")
    visitor = enter("operator")
    form: dict[str, Any] = {"page": "/records", "name": "Mohamed Alaoui"}
    assert "run jisr names once" in visitor.post("/records", **form).text
    ran = CliRunner(env=hub.environment).invoke(jisr, ["names"])
    assert ran.exit_code == 0, ran.output
    assert kept(hub) == before
    assert found(visitor, "Mohamed Alaoui") == [mohamed]
