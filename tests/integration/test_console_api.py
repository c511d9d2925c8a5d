"""The API against its own description: whatever is asked, answered as described, and never by a fault.

schemathesis makes the requests up from `/api/v1/openapi.json`, the same ones in every run, and sends them to
the console over HTTP, over a real store, Kafka and registry.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import schemathesis
import uvicorn
from console_hub import console_hub
from hypothesis import HealthCheck, Phase, given, settings
from ops_hub import OpsHub, wait_until
from schemathesis import Case
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)
from support import plain_http
from support.console import CODE, SECRET, console_of, form_token

from hub.console.application import build_console
from hub.console.openapi import description
from hub.lanes.messages import hub_name
from hub.local.ports import LOOPBACK, assign
from hub.local.stack import Stack
from hub.ops.brakes import Brakes
from hub.ops.holds import Holds
from hub.serving import Server

# Of each operation; as many again for nobody signed in would tell no more.
EXAMPLES, OF_NOBODY = 12, 3
CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
]


@pytest.fixture(scope="module")
def hub(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[OpsHub]:
    folder: Path = tmp_path_factory.mktemp("api")
    with console_hub(stack, folder) as made:
        yield made


class Api:
    """The API as it is served, and how it describes itself."""

    def __init__(self, url: str, document: dict[str, Any]) -> None:
        self.url = url
        self.document = document

    def signed_in(self, role: str) -> tuple[dict[str, str], str]:
        """The session of somebody with this role, and the token of its forms."""
        with httpx.Client(base_url=self.url, timeout=240) as client:
            form = {"csrf": form_token(client.get("/sign-in")), "code": CODE, "name": "Souad", "role": role}
            client.post("/sign-in", data={**form, "next": "/livez"})
            return dict(client.cookies), form_token(client.get("/"))

    def each(self, examples: int, judge: Callable[[Case], None]) -> None:
        """Judge so many requests of every operation."""
        for found in schemathesis.openapi.from_dict(self.document).get_all_operations():
            operation = found.ok()

            @settings(
                max_examples=examples,
                derandomize=True,
                database=None,
                deadline=None,
                phases=[Phase.explicit, Phase.generate],
                suppress_health_check=list(HealthCheck),
            )
            @given(case=operation.as_strategy())
            def ask(case: Case) -> None:
                judge(case)

            ask()


@pytest.fixture(scope="module")
def api(hub: OpsHub) -> Iterator[Api]:
    port = assign(["console"], {})["console"]
    url = f"http://{LOOPBACK}:{port}"
    with console_of(hub.parts) as console:
        app = build_console(console, SECRET)
        server = Server(uvicorn.Config(app, LOOPBACK, port, log_level="warning"), app.state.streams.end)
        thread = threading.Thread(target=server.run, name="console")
        thread.start()
        try:
            wait_until(lambda: plain_http.get(f"{url}/livez").text == "ok")
            yield Api(url, description(console.sections))
        finally:
            server.should_exit = True
            thread.join(120)


@pytest.mark.parametrize("role", ["operator", pytest.param("auditor", marks=pytest.mark.campaign)])
def test_whatever_is_asked_is_answered_as_described(api: Api, role: str) -> None:
    cookies, token = api.signed_in(role)

    def judge(case: Case) -> None:
        if isinstance(case.body, dict) and "csrf" in case.body:
            case.body["csrf"] = token
        answer = case.call(base_url=api.url, cookies=cookies, timeout=240)
        case.validate_response(answer, checks=CHECKS)

    api.each(EXAMPLES, judge)


def test_nobody_gets_in_by_any_operation(api: Api) -> None:
    seen: set[int] = set()

    def judge(case: Case) -> None:
        answer = case.call(base_url=api.url, timeout=240)
        seen.add(answer.status_code)
        assert answer.headers["content-type"] == ["application/problem+json"], answer.text

    api.each(OF_NOBODY, judge)
    # 404 where a made-up word led beside every route, 429 once enough tokens were made up.
    assert seen <= {401, 403, 404, 429}
    assert 401 in seen


def test_what_is_there_is_as_described(hub: OpsHub, api: Api) -> None:
    """Answers that are found by no chance: of things that there are."""
    cookies, _ = api.signed_in("steward")
    entity = hub_name(hub.rows("SELECT entity FROM record LIMIT 1")[0].entity)
    ads = hub.name("ads")
    topic = f"{ads}.person.inbox"
    operations = schemathesis.openapi.from_dict(api.document)
    with httpx.Client(base_url=api.url, cookies=cookies, timeout=240) as client:
        for path, places in {
            "/api/v1/overview": {},
            "/api/v1/agencies/{agency}": {"agency": ads},
            "/api/v1/records/{entity}": {"entity": entity},
            "/api/v1/reviews": {},
            "/api/v1/dead-letters": {},
            "/api/v1/holds": {},
            "/api/v1/holds/{hold}": {"hold": Holds(hub.parts).list()[0].id},
            "/api/v1/masses": {},
            "/api/v1/masses/{mass}": {"mass": Brakes(hub.parts).list()[0].id},
            "/api/v1/topics": {},
            "/api/v1/topics/{topic}": {"topic": topic},
            "/api/v1/schemas": {},
            "/api/v1/openapi.json": {},
        }.items():
            answer = client.get(path.format(**places))
            assert answer.status_code == 200, answer.text
            operations[path]["GET"].validate_response(answer)


@pytest.mark.parametrize(
    "path",
    [
        "/api/v1/dead-letters?agency=a%00b",
        "/api/v1/records/a%00b",
        "/dead-letters?code=%00",
        "/holds/999999999999999999999999",
        "/masses/999999999999999999999999",
        "/dead-letters/999999999999999999999999",
    ],
)
def test_what_the_store_could_not_take_is_refused(api: Api, path: str) -> None:
    cookies, _ = api.signed_in("operator")
    assert plain_http.get(f"{api.url}{path}", cookies=cookies, timeout=240).status_code == 400


def test_a_subject_that_no_registry_would_take_is_not_found(api: Api) -> None:
    """Found by the test before: the console said that the hub refuses it as things stand now."""
    cookies, _ = api.signed_in("operator")
    path = "/api/v1/schemas/.%C2%B0%F3%BD%B3%BE%E5%BB%B6V"
    assert plain_http.get(f"{api.url}{path}", cookies=cookies, timeout=240).status_code == 404
