"""Who gets in where: permissions of routes and fields, sessions, forms, headers, limits. No server runs."""

from __future__ import annotations

import dataclasses
import inspect
import re
from collections.abc import Iterator
from html import escape
from typing import Any
from urllib.parse import parse_qs

import pytest
from click.testing import CliRunner
from starlette.responses import PlainTextResponse
from starlette.routing import Route
from support.console import CODE, LOGIN, ROOT, Visitor, away, console_of, contracts, form_token, visiting
from support.doors import MemoryDoors

from hub.cli import jisr
from hub.console import sessions
from hub.console.access import GRANTS, Permission, Role, User, allowed
from hub.console.application import build_console
from hub.console.limits import RateLimit
from hub.console.protection import HEADERS
from hub.console.routing import Guarded, Section
from hub.console.sections import SECTIONS
from hub.console.signing_in import LocalLogin
from hub.console.visit import Console, Visit, own_path
from hub.errors import ConfigurationError
from hub.ops.parts import Parts


@pytest.fixture(scope="module")
def parts() -> Iterator[Parts]:
    made = contracts()
    yield made
    made.close()


@pytest.fixture
def console(parts: Parts) -> Iterator[Console]:
    with console_of(parts, [SAMPLE], open_log=away) as made:
        yield made


@pytest.fixture
def visitor(console: Console) -> Iterator[Visitor]:
    with visiting(console) as somebody:
        yield somebody


def whose(visit: Visit) -> PlainTextResponse:
    """What an agency's page does first, and what it may show of a record."""
    visit.require_agency(visit.path("agency"))
    return PlainTextResponse(visit.local_id(visit.path("agency"), "AB123456"))


def broken(visit: Visit) -> PlainTextResponse:
    raise ValueError("AB123456 is no number")


SAMPLE = Section(
    (
        Guarded("/sample/{agency}", whose, Permission.SEE_PROGRESS),
        Guarded("/broken", broken, Permission.ANYONE),
        Guarded("/sample", lambda visit: PlainTextResponse("done"), Permission.SIGNED_IN, method="POST"),
    )
)


# Routes


def test_a_route_without_a_permission_is_not_mounted(console: Console) -> None:
    plain: Any = Route("/open", lambda request: PlainTextResponse("all"))
    for route in (plain, Guarded("/open", whose, None)):  # type: ignore[arg-type]
        console.sections = (Section((route,)),)
        with pytest.raises(ConfigurationError, match="'/open' declares no permission"):
            build_console(console, b"x" * 32)


def test_every_route_is_closed_to_whom_it_is_not_for(visitor: Visitor) -> None:
    """Each route of the console, asked by nobody and by every role: open to just those who may."""
    routes = [one for section in SECTIONS for one in section.routes]
    assert len(routes) > 8
    for role in (None, *Role):
        if role:
            visitor.enter(role, "ads")
        for route in routes:
            if route.path == "/live" and role:
                continue  # it would not end; what it tells is tried where there is something to tell
            path = re.sub(r"{\w+:int}", "1", route.path.replace("{agency}", "ads"))
            path = re.sub(r"{(entity|a|b)}", "AAAAAAAAAAAAAAAAAAAAAA", path)
            path = path.replace("{topic}", "hub.links").replace("{subject}", "x")
            ask = visitor.client.get if route.method == "GET" else visitor.client.post
            headers = {"content-type": "application/x-www-form-urlencoded"}
            status = ask(path, headers=headers, follow_redirects=False).status_code
            user = User("Souad", "s", role, "ads" if role is Role.AGENCY else None) if role else None
            if allowed(user, route.permission):
                # What lies behind does not answer here, and a form without its token is refused.
                assert status in ((200, 503) if route.method == "GET" else (403,)), (role, path, status)
            else:
                wanted = (401, 303) if user is None else (403,)
                assert status in wanted, (role, path, status)


def test_each_role_is_denied_what_is_not_granted() -> None:
    assert set(GRANTS) == set(Role)
    reveals = {role for role in Role if Permission.REVEAL in GRANTS[role]}
    decides = {role for role in Role if Permission.DECIDE in GRANTS[role]}
    watches = {role for role in Role if Permission.SEE_AUDIT in GRANTS[role]}
    assert reveals == decides == {Role.STEWARD}
    assert watches == {Role.AUDITOR}, "who is watched does not watch"
    assert Permission.SEE_RECORDS not in GRANTS[Role.AGENCY]
    assert not any(allowed(None, permission) for permission in Permission if permission != Permission.ANYONE)


def test_an_agency_sees_itself_alone_and_its_own_ids(visitor: Visitor) -> None:
    visitor.enter("agency", "ads")
    assert visitor.get("/sample/ads").text == "AB123456"
    other, none = visitor.get("/sample/entraide"), visitor.get("/sample/nothing")
    assert other.status_code == none.status_code == 404
    assert "There is no such agency" in other.text
    visitor.enter("steward")
    assert visitor.get("/sample/ads").text == "A•••"


# Signing in


def test_nobody_comes_in_without_the_code(visitor: Visitor) -> None:
    answer = visitor.post("/sign-in", code="wrong", name="Souad", role="operator")
    assert answer.status_code == 400
    assert "The code is not right" in answer.text
    assert visitor.get("/sample/ads").url.path == "/sign-in"


@pytest.mark.parametrize(
    "fields", [{"role": "owner"}, {"role": "agency", "agency": "none"}, {"name": " "}, {"name": "a\x00"}]
)
def test_nobody_comes_in_as_what_there_is_not(visitor: Visitor, fields: dict[str, str]) -> None:
    answer = visitor.post("/sign-in", **{"code": CODE, "name": "Souad", "role": "operator"} | fields)
    assert answer.status_code == 400
    assert visitor.get("/sample/ads").url.path == "/sign-in"


def test_trying_codes_is_limited_and_says_for_how_long(visitor: Visitor) -> None:
    answers = [visitor.post("/sign-in", code="wrong", name="S", role="operator") for _ in range(11)]
    assert [one.status_code for one in answers] == [400] * 10 + [429]
    assert 0 < int(answers[-1].headers["retry-after"]) <= 301
    assert visitor.post("/sign-in", code=CODE, name="S", role="operator").status_code == 429


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1", "hub.example", "localhost.example"])
def test_the_local_login_refuses_to_start_where_others_reach_it(host: str) -> None:
    with pytest.raises(ConfigurationError, match=r"listen on 127\.0\.0\.1"):
        LocalLogin(host, CODE)
    result = CliRunner().invoke(jisr, ["console", "--host", host, "--port", "1"])
    assert isinstance(result.exception, ConfigurationError)


def test_a_session_ends_and_signing_in_begins_it_anew(visitor: Visitor, console: Console) -> None:
    before = form_token(visitor.get("/sign-in"))
    visitor.enter("operator")
    assert form_token(visitor.get("/sign-in")) != before, "a token that was planted beforehand is worthless"
    now = console.clock()
    console.clock = lambda: now + sessions.LASTS_S + 1
    assert visitor.get("/sample/ads").url.path == "/sign-in"


def test_signing_out_ends_a_session(visitor: Visitor) -> None:
    visitor.enter("operator")
    visitor.post("/sign-out", page="/sign-in")
    assert visitor.get("/sample/ads").url.path == "/sign-in"


def test_a_session_that_nobody_signed_is_none(visitor: Visitor) -> None:
    visitor.enter("agency", "ads")
    cookie = visitor.client.cookies[sessions.COOKIE]
    visitor.client.cookies.set(sessions.COOKIE, "x" + cookie[1:], domain="127.0.0.1")
    assert visitor.get("/sample/ads").url.path == "/sign-in"


@pytest.mark.parametrize(
    "changed",
    [
        {"role": "owner"},
        {"role": "agency", "agency": None},
        {"agency": "gone", "role": "agency"},
        {"name": 3},
    ],
)
def test_a_session_of_somebody_who_cannot_be_is_none(changed: dict[str, Any]) -> None:
    session: dict[str, Any] = {}
    sessions.sign_in(session, User("Souad", "souad", Role.OPERATOR), 0, "number")
    agencies = frozenset({"ads"})
    assert sessions.signed_in(session, 1, agencies) is not None
    session["user"] = {**session["user"], **changed}
    assert sessions.signed_in(session, 1, agencies) is None


def test_cookies_are_kept_from_scripts_and_other_sites(parts: Parts) -> None:
    with console_of(parts, secure=True) as secure, visiting(secure) as visitor:
        for answer in (visitor.get("/sign-in"), visitor.post("/language", language="fr").history[0]):
            cookie = answer.headers["set-cookie"].lower()
            assert "httponly" in cookie
            assert "samesite=lax" in cookie
            assert "secure" in cookie
        assert "max-age=" in visitor.get("/sign-in").headers["strict-transport-security"]


# Forms


def test_a_form_without_its_token_changes_nothing(visitor: Visitor) -> None:
    visitor.enter("operator")
    for data in ({}, {"csrf": ""}, {"csrf": "another"}):
        answer = visitor.client.post("/sample", data={"x": "1", **data})
        assert answer.status_code == 403
        assert "no longer valid" in answer.text
    assert visitor.post("/sample", page="/sign-in").text == "done"


def test_another_sessions_token_does_not_do(console: Console) -> None:
    with visiting(console) as one, visiting(console) as other:
        one.enter("operator")
        other.enter("operator")
        token = form_token(other.get("/sign-in"))
        assert one.client.post("/sample", data={"csrf": token}).status_code == 403


def test_what_is_no_form_or_too_large_is_refused(visitor: Visitor) -> None:
    assert visitor.client.post("/sign-in", json={"code": CODE}).status_code == 400
    assert visitor.client.post("/sign-in", data={"csrf": "x" * 70_000}).status_code == 413
    assert visitor.client.post("/sign-in", data={f"f{n}": "1" for n in range(200)}).status_code == 400


@pytest.mark.parametrize("path", ["https://evil.example", "//evil.example", "/\\evil.example", "/a\r\nb", ""])
def test_nobody_is_sent_elsewhere(visitor: Visitor, path: str) -> None:
    assert own_path(path) == "/"
    answer = visitor.post("/language", language="fr", next=path)
    assert answer.history[0].headers["location"] == "/"


# Answers


def test_every_answer_has_the_headers_and_no_page_needs_more(visitor: Visitor) -> None:
    for path in ("/livez", "/sign-in", "/static/console.css", "/nowhere", "/api/v1/overview", "/broken"):
        answer = visitor.get(path)
        assert {name: answer.headers.get(name) for name in HEADERS} == HEADERS, path
        assert "unsafe" not in answer.headers["content-security-policy"]
    assert visitor.get("/sign-in").headers["cache-control"] == "no-store"
    for page in (ROOT / "hub/console/templates").glob("*.html"):
        content = page.read_text(encoding="utf-8")
        assert " style=" not in content, page
        assert " onclick=" not in content, page
        assert "://" not in content, f"{page}: nothing comes from elsewhere"


def test_a_console_called_by_another_name_does_not_answer(visitor: Visitor) -> None:
    assert visitor.get("/livez", host="evil.example").status_code == 400


def test_a_fault_is_told_in_the_readers_language_and_says_nothing_of_anybody(
    visitor: Visitor, caplog: pytest.LogCaptureFixture
) -> None:
    told = visitor.get("/broken", **{"accept-language": "fr"})
    assert told.status_code == 500
    assert "C'est une panne de la console" in told.text
    assert "AB123456" not in told.text + "".join(record.getMessage() for record in caplog.records)
    missing = visitor.get("/nowhere/AB123456", **{"accept-language": "ar"})
    assert missing.status_code == 404
    assert 'lang="ar" dir="rtl"' in missing.text
    assert "لا توجد هذه الصفحة" in missing.text


def test_programs_are_told_in_json(visitor: Visitor) -> None:
    answer = visitor.get("/api/v1/overview")
    assert answer.status_code == 401
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json() == {
        "type": "about:blank",
        "title": "Unauthorized",
        "status": 401,
        "detail": "Please sign in first.",
    }


def test_kafka_that_is_away_is_said_and_not_asked_by_everybody(parts: Parts) -> None:
    with console_of(parts, doors=MemoryDoors()) as console, visiting(console) as visitor:
        visitor.enter("operator")
        for path in ("/", "/api/v1/overview"):
            answer = visitor.get(path)
            assert answer.status_code == 503
            assert "does not answer" in answer.text
            assert "127.0.0.1:9" not in answer.text


def test_the_choice_of_a_language_is_kept(visitor: Visitor) -> None:
    answer = visitor.post("/language", language="ar", next="/sign-in")
    assert answer.url.path == "/sign-in"
    assert 'dir="rtl"' in answer.text
    assert visitor.post("/language", language="xx").status_code == 400


def test_what_was_asked_for_is_kept_through_signing_in_and_another_language(visitor: Visitor) -> None:
    filtered = "/dead-letters?agency=ads&code=undecodable"
    assert parse_qs(visitor.get(filtered).url.query.decode())["next"] == [filtered]
    asked = "/sign-in?next=/livez&x=1"
    assert f'name="next" value="{escape(asked)}"' in visitor.get(asked).text


def test_names_that_somebody_gives_are_escaped_and_isolated(visitor: Visitor) -> None:
    name = 'S" & x'
    visitor.enter("operator", name=name)
    assert "<bdi>S&#34; &amp; x</bdi>" in visitor.get("/sign-in").text
    assert visitor.post("/sign-in", code=CODE, name="<b>", role="operator").status_code == 400


def test_the_description_of_the_api_has_every_route_of_it(visitor: Visitor) -> None:
    visitor.enter("operator")
    described = visitor.get("/api/v1/openapi.json").json()
    assert described["openapi"] == "3.1.0"
    routes = {one.path for section in SECTIONS for one in section.routes if one.path.startswith("/api/")}
    assert set(described["paths"]) == {path.replace(":int}", "}") for path in routes}
    assert len(routes) >= 4
    standing = described["components"]["schemas"]["Standing"]
    assert "converged" in standing["properties"]
    reference = described["paths"]["/api/v1/overview"]["get"]["responses"]["200"]["content"]
    assert reference["application/json"]["schema"] == {"$ref": "#/components/schemas/Overview"}
    for path in described["paths"].values():
        # A program's token may be used only so often, whatever is asked.
        assert all("429" in operation["responses"] for operation in path.values())
    agency = described["paths"]["/api/v1/agencies/{agency}"]["get"]["parameters"]
    assert agency == [{"name": "agency", "in": "path", "required": True, "schema": {"type": "string"}}]


def test_a_rate_is_limited_for_each_and_recovers() -> None:
    now = 0.0
    limit = RateLimit(2, 10.0, lambda: now)
    assert [limit.take("a"), limit.take("a"), limit.take("b")] == [0.0, 0.0, 0.0]
    now = 4.0
    assert limit.take("a") == 6.0
    now = 10.0
    assert limit.take("a") == 0.0


def test_a_secret_must_be_one(console: Console) -> None:
    with pytest.raises(ConfigurationError, match="fewer than 16 bytes"):
        build_console(console, b"short")
    with pytest.raises(ConfigurationError, match="6 characters"):
        dataclasses.replace(LOGIN, code="12345")


def test_nothing_is_read_on_import() -> None:
    """Every endpoint takes a visit, into which the console's parts are handed."""
    for section in SECTIONS:
        for route in section.routes:
            assert list(inspect.signature(route.endpoint).parameters) == ["visit"], route.path
