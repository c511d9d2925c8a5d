"""The registry client against a server that misbehaves on request: each answer's error, and the caches."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from hub.contracts import registry_client
from hub.contracts.registry_client import UNKNOWN_ID_TTL_S, RegistryClient, RegistryRefusal
from hub.errors import Retriable, SkipRecord

SAFE = {"type": "record", "name": "R", "fields": [{"name": "x", "type": "int"}]}
UNSAFE = {"type": "array", "items": "null"}


class Scripted(ThreadingHTTPServer):
    """Answers every request with `answer` (status, body) and keeps what it was asked."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.answer: tuple[int, bytes] = (200, b"{}")
        self.asked: list[tuple[str, str | None]] = []
        self.url = f"http://127.0.0.1:{self.server_port}"

    def answers(self, status: int, body: Any) -> None:
        self.answer = (status, body if isinstance(body, bytes) else json.dumps(body).encode())


class Handler(BaseHTTPRequestHandler):
    server: Scripted

    def do_GET(self) -> None:
        self.server.asked.append((self.path, self.headers.get("Authorization")))
        status, body = self.server.answer
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Location", "http://127.0.0.1:1/elsewhere")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
        pass


@pytest.fixture
def server() -> Iterator[Scripted]:
    server = Scripted()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


class Clock:
    def __init__(self) -> None:
        self.now = 1_000.0

    def __call__(self) -> float:
        return self.now


UNKNOWN = {"error_code": 40403, "message": "Schema 7 not found"}


def test_a_schema_is_asked_for_once(server: Scripted) -> None:
    server.answers(200, {"schema": json.dumps(SAFE)})
    client = RegistryClient(server.url)
    first = client.schema_by_id(7)
    assert first == SAFE
    server.answers(500, {})
    assert client.schema_by_id(7) is first
    assert server.asked == [("/schemas/ids/7", None)]


def test_threads_share_one_schema(server: Scripted) -> None:
    server.answers(200, {"schema": json.dumps(SAFE)})
    client = RegistryClient(server.url)
    with ThreadPoolExecutor(8) as pool:
        schemas = list(pool.map(client.schema_by_id, [7] * 50))
    assert all(schema is schemas[0] for schema in schemas)


def test_an_unknown_id_is_asked_for_again_later(server: Scripted) -> None:
    server.answers(404, UNKNOWN)
    clock = Clock()
    client = RegistryClient(server.url, clock=clock)
    for _ in range(3):
        with pytest.raises(SkipRecord, match="schema id 7 is not in the registry") as caught:
            client.schema_by_id(7)
        assert caught.value.code == "unknown_schema_id"
    assert len(server.asked) == 1
    server.answers(200, {"schema": json.dumps(SAFE)})
    clock.now += UNKNOWN_ID_TTL_S + 1
    assert client.schema_by_id(7) == SAFE


def test_invented_ids_do_not_fill_the_memory(server: Scripted, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry_client, "MAX_UNKNOWN_IDS", 5)
    server.answers(404, UNKNOWN)
    client = RegistryClient(server.url, clock=Clock())
    for schema_id in range(20):
        with pytest.raises(SkipRecord):
            client.schema_by_id(schema_id)
    assert len(client._unknown_until) <= 5


UNUSABLE = {
    "unsafe": {"schema": json.dumps(UNSAFE)},
    "no JSON": {"schema": "{"},
    "union": {"schema": '["null", "int"]'},
    "other type": {"schema": json.dumps(SAFE), "schemaType": "JSON"},
    "references": {"schema": json.dumps(SAFE), "references": [{"name": "a"}]},
}


@pytest.mark.parametrize("answer", UNUSABLE.values(), ids=UNUSABLE)
def test_a_schema_that_must_not_be_decoded_with(server: Scripted, answer: Any) -> None:
    server.answers(200, answer)
    with pytest.raises(SkipRecord, match="schema id 7") as caught:
        RegistryClient(server.url).schema_by_id(7)
    assert caught.value.code == "unsafe_schema"


ERRORS = {
    "server error": (500, {"error_code": 50001, "message": "broken"}, Retriable, "500: broken"),
    "gateway": (502, b"<html>", Retriable, "502"),
    "too many requests": (429, b"", Retriable, "429"),
    "page instead of JSON": (200, b"<html>", Retriable, "not as a schema registry"),
    "JSON of another server": (200, ["hello"], Retriable, "not as a schema registry"),
    "no schema in it": (200, {"schema": 3}, Retriable, "not as a schema registry"),
    "wrong token": (401, {"error_code": 40101, "message": "token"}, RegistryRefusal, "401.*token"),
    "wrong path": (404, {"error_code": 404, "message": "HTTP 404"}, RegistryRefusal, "404"),
    "another server": (404, b"<html>", RegistryRefusal, "404"),
    "moved": (302, b"", RegistryRefusal, "302"),
}


@pytest.mark.parametrize(("status", "body", "error", "message"), ERRORS.values(), ids=ERRORS)
def test_errors(server: Scripted, status: int, body: Any, error: type[Exception], message: str) -> None:
    server.answers(status, body)
    client = RegistryClient(server.url)
    for _ in range(2):
        with pytest.raises(error, match=message):
            client.schema_by_id(7)
    assert len(server.asked) == 2


def test_nobody_there_is_retriable() -> None:
    with pytest.raises(Retriable, match="does not answer"):
        RegistryClient("http://127.0.0.1:1", timeout_s=1).schema_by_id(7)


def test_credentials(server: Scripted) -> None:
    server.answers(404, UNKNOWN)
    with_password = server.url.replace("http://", "http://user:se%40cret@") + "/"
    clients = (RegistryClient(server.url, "tok"), RegistryClient(with_password))
    for client in clients:
        with pytest.raises(SkipRecord) as caught:
            client.schema_by_id(7)
        assert "cret" not in str(caught.value)
    assert [header for _, header in server.asked] == ["Bearer tok", "Basic dXNlcjpzZUBjcmV0"]


def test_a_path_before_the_api(server: Scripted) -> None:
    server.answers(200, {"schema": json.dumps(SAFE)})
    RegistryClient(f"{server.url}/apis/ccompat/v7/").schema_by_id(7)
    assert server.asked[0][0] == "/apis/ccompat/v7/schemas/ids/7"
