"""What operators do in the console: connectors, sessions that are called back, tokens of programs."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from ops_hub import OpsHub, ops_hub
from support.console import Visitor, visiting

from hub.cli import jisr
from hub.console import doors
from hub.console.doors import StoreDoors
from hub.console.visit import Console
from hub.local.stack import Stack
from hub.ops.audit import Audit
from hub.store.audit import Search

Enter = Callable[..., Visitor]
WHO = ("--who", "Samira", "--why", "a laptop was lost")


@pytest.fixture(scope="module")
def hub(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[OpsHub]:
    folder: Path = tmp_path_factory.mktemp("console")
    with ops_hub(stack, folder) as made:
        yield made


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """What another process ended is known at the next request; else a test would wait for two seconds."""
    monkeypatch.setattr(doors, "FRESH_S", 0.0)


def command(hub: OpsHub, *arguments: str) -> Result:
    return CliRunner(env=dict(hub.environment)).invoke(jisr, ["console", *arguments])


def told(hub: OpsHub, *arguments: str) -> str:
    result = command(hub, *arguments)
    assert result.exit_code == 0, result.output + repr(result.exception)
    return result.stdout


def deeds(hub: OpsHub, action: str) -> list[tuple[str, str, str]]:
    found = Audit(hub.parts).search(Search(action=action), 100)
    return [(one.entry.who, one.entry.subject, one.entry.purpose) for one in found]


def test_an_operator_alone_steers_a_connector_and_that_is_kept(hub: OpsHub, enter: Enter) -> None:
    name = hub.name("entraide")
    page, api = f"/agencies/{name}", f"/api/v1/agencies/{name}/connector"
    for role in ("steward", "auditor", "agency"):
        visitor = enter(role, "entraide" if role == "agency" else "")
        assert "Start the connector anew" not in visitor.get(page).text
        refused = visitor.post(api, page=page, deed="pause", why="the database is upgraded")
        assert refused.status_code == 403
    operator = enter("operator")
    assert operator.client.post(api, data={"deed": "pause", "why": "without a token"}).status_code == 403
    for wrong in ({"deed": "stop"}, {"deed": "pause", "side": "notices"}, {"deed": "pause", "why": "short"}):
        assert operator.post(api, page=page, **{"why": "the database is upgraded"} | wrong).status_code == 400
    assert Audit(hub.parts).search(Search(action="pause"), 10) == []

    shown = operator.post(
        f"{page}/connector", page=page, deed="pause", side="sink", why="an upgrade, at night"
    )
    assert re.search(r"paused, <bdi>Souad</bdi>, .*: <bdi>an upgrade, at night</bdi>", shown.text)
    assert "not confirmed yet" in shown.text
    assert "it has never told" in shown.text
    seen = operator.get(f"/api/v1{page}").json()["progress"]["connectors"]["sides"]
    assert [(one["side"], one["wished"], one["pending"], one["state"]) for one in seen] == [
        ("source", "running", False, None),
        ("sink", "paused", True, None),
    ]
    assert "Sides of the connector are paused" in operator.get("/").text
    assert enter("agency", "ads").get(f"/api/v1{page}").status_code == 404
    found = operator.post(api, page=page, deed="resume", why="the upgrade is over").json()
    assert [(one["wished"], one["why"]) for one in found["sides"]] == [("running", "the upgrade is over")] * 2
    (paused,) = Audit(hub.parts).search(Search(action="pause"), 10)
    assert (paused.entry.who, paused.entry.subject, paused.entry.detail, paused.entry.purpose) == (
        "Souad",
        name,
        "sink",
        "an upgrade, at night",
    )
    assert "paused a connector" in enter("auditor").get("/audit").text


def test_a_session_ends_when_it_is_called_back(hub: OpsHub, enter: Enter) -> None:
    steward, operator = enter("steward"), enter("operator")
    assert steward.get("/sessions").text.count("@local-login") >= 2
    stranger = enter("agency", "ads")
    stranger.post("/sign-out", page="/sessions")
    stranger.enter("agency", hub.name("ads"), name="Karim")
    seen = stranger.get("/api/v1/sessions").json()["sessions"]
    assert [one["account"] for one in seen] == ["Karim@local-login"], "only one's own"
    assert (
        stranger.post("/sessions/end", page="/sessions", session="1", why="not mine to end").status_code
        == 403
    )

    (number,) = [one["id"] for one in seen]
    cookie = dict(stranger.client.cookies)
    ended = operator.post(
        "/api/v1/sessions/end", page="/sessions", session=str(number), why="a laptop was lost"
    )
    assert ended.json() == {"ended": 1}
    assert stranger.get("/api/v1/sessions").status_code == 401
    stranger.client.cookies.update(cookie)
    assert stranger.get("/api/v1/sessions").status_code == 401, "a copy of the cookie is worth nothing"
    assert deeds(hub, "end-sessions")[-1] == ("Souad", f"session {number}", "a laptop was lost")

    assert "ended: " in told(hub, "sessions", "revoke", "--account", "Souad@local-login", *WHO)
    for visitor in (steward, operator):
        assert visitor.get("/api/v1/sessions").status_code == 401
    assert told(hub, "sessions", "list").strip() == "nobody is signed in"
    assert "no such session is open" in told(hub, "sessions", "revoke", str(number), *WHO)
    assert command(hub, "sessions", "revoke", *WHO).exit_code == 2


def test_whoever_signs_out_everywhere_is_in_nowhere(enter: Enter) -> None:
    here, there = enter("operator"), enter("operator")
    page = here.post("/sessions/leave", page="/sessions")
    assert page.url.path == "/sign-in"
    assert there.get("/api/v1/overview").status_code == 401


def test_signing_out_ends_the_session_for_copies_of_its_cookie(enter: Enter) -> None:
    visitor = enter("operator")
    cookie = dict(visitor.client.cookies)
    visitor.post("/sign-out", page="/sessions")
    visitor.client.cookies.update(cookie)
    assert visitor.get("/api/v1/sessions").status_code == 401


def test_a_program_asks_by_a_token_until_it_is_revoked(hub: OpsHub, console: Console, enter: Enter) -> None:
    made = ("token", "create", "--name", "nightly report", "--expires-days", "30", *WHO)
    secret = told(hub, *made, "--role", "agency", "--agency", hub.name("ads")).strip()
    assert re.fullmatch(r"jisr_[\w-]{43}", secret)
    assert (
        hub.rows("SELECT 1 FROM console_token WHERE position(%s IN console_token::text) > 0", secret[5:])
        == []
    )
    assert "never used" in told(hub, "token", "list")
    bearer = {"Authorization": f"Bearer {secret}"}
    with visiting(console) as program:
        own, others = f"/api/v1/agencies/{hub.name('ads')}", f"/api/v1/agencies/{hub.name('health')}"
        assert program.get(own, **bearer).json()["agency"] == hub.name("ads")
        assert program.get(others, **bearer).status_code == 404
        assert program.get("/api/v1/audit", **bearer).status_code == 403
        assert program.client.cookies == {}
        # Not for pages, and not beside a session.
        assert program.get("/", **bearer).status_code == 400
        assert enter("operator").get(own, **bearer).status_code == 400
        wrong = program.get(own, Authorization="Bearer jisr_" + "A" * 43)
        assert (wrong.status_code, wrong.headers["www-authenticate"]) == (401, "Bearer")
        # Behind a proxy that asks for a password of its own, people still come by their sessions.
        assert enter("operator").get(own, Authorization="Basic eDp5").status_code == 200

        steering = told(hub, *made, "--role", "operator").strip()
        deed = {"deed": "pause", "side": "sink", "why": "the database is upgraded"}
        headers = {"Authorization": f"Bearer {steering}"}
        paused = program.client.post(f"{own}/connector", data=deed, headers=headers)
        assert paused.json()["sides"][1]["wished"] == "paused"
        assert program.client.post(f"{own}/connector", data=deed, headers=bearer).status_code == 403
        assert deeds(hub, "pause")[-1][0] == "nightly report"

        lines = told(hub, "token", "list").splitlines()
        assert all("last used" in line and "Samira" in line for line in lines)
        assert "lets nobody in any more" in told(hub, "token", "revoke", lines[0].split()[0], *WHO)
        assert program.get(own, **bearer).status_code == 401
        assert "no token" in str(command(hub, "token", "revoke", lines[0].split()[0], *WHO).exception)
        hub.rows("UPDATE console_token SET until = now() - interval '1 second' RETURNING 1")
        assert program.get(own, **headers).status_code == 401
    assert [one[0] for one in deeds(hub, "make-token")] == ["Samira"] * 2
    assert deeds(hub, "revoke-token") == [("Samira", f"token {lines[0].split()[0]}", "a laptop was lost")]


def test_tokens_that_cannot_be_meant_are_refused(hub: OpsHub) -> None:
    made = ("token", "create", "--name", "x", *WHO)
    no_agency = command(hub, *made, "--role", "agency", "--expires-days", "3")
    assert "is of an agency" in str(no_agency.exception)
    stranger = command(hub, *made, "--role", "agency", "--agency", "museum", "--expires-days", "3")
    assert "no agreement of 'museum'" in str(stranger.exception)
    assert command(hub, *made, "--role", "operator", "--expires-days", "900").exit_code == 2
    assert command(hub, *made, "--role", "operator").exit_code == 2


def test_a_session_is_asked_for_once_in_a_while(hub: OpsHub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doors, "FRESH_S", 2.0)
    now = [0.0]
    door = StoreDoors(hub.parts, lambda: now[0])
    hub.rows(
        "INSERT INTO console_session (mark, account, name, role, until)"
        " VALUES (%s, 'a', 'a', 'operator', now() + interval '1 hour') RETURNING 1",
        doors.mark("number"),
    )
    assert door.is_open("number")
    hub.rows("UPDATE console_session SET ended_at = now() RETURNING 1")
    assert door.is_open("number")
    now[0] = 2.0
    assert not door.is_open("number")
