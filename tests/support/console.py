"""A console to try: its real application, entered as somebody, asked as a browser asks."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
from starlette.testclient import TestClient

from hub.console.application import build_console
from hub.console.command import make_console
from hub.console.doors import Doors
from hub.console.live import LiveStatus
from hub.console.routing import Section
from hub.console.signing_in import LocalLogin
from hub.console.visit import Console
from hub.errors import Retriable
from hub.ops.log_reader import LogReader
from hub.ops.parts import Parts
from hub.settings import HubSettings
from support.doors import MemoryDoors

ROOT = Path(__file__).parents[2]
CODE = "the code of the tests"
SECRET = b"a secret of the tests, 32 bytes."
LOGIN = LocalLogin("127.0.0.1", CODE)
_TOKEN = re.compile(r'name="csrf" value="([^"]+)"')


def unanswered() -> HubSettings:
    """The release's contracts and agreements; of store and Kafka nothing answers."""
    return HubSettings(
        bootstrap="127.0.0.1:9",
        registry_url="http://127.0.0.1:9",
        store_url="postgresql+psycopg://nobody@127.0.0.1:9/none",
        secret_file=ROOT / "nowhere",
        schemas=ROOT / "schemas",
        agreements=ROOT / "deploy" / "agreements",
    )


def contracts() -> Parts:
    """What is built of `unanswered` settings. Close it when done."""
    return Parts(unanswered())


def away() -> LogReader:
    """Kafka, said to be away at once: finding out takes five seconds."""
    raise Retriable("Kafka on 127.0.0.1:9 does not answer")


class Visitor:
    """A browser without script: keeps cookies, and sends back the token that a page's forms hold."""

    def __init__(self, client: TestClient) -> None:
        self.client = client

    def get(self, path: str, **headers: str) -> httpx.Response:
        answer: httpx.Response = self.client.get(path, headers=headers)
        return answer

    def post(self, path: str, page: str = "/sign-in", **fields: str) -> httpx.Response:
        """Fill in a form of `page`, and send it."""
        token = form_token(self.get(page))
        answer: httpx.Response = self.client.post(path, data={"csrf": token, **fields})
        return answer

    def enter(self, role: str, agency: str = "", name: str = "Souad") -> None:
        answer = self.post("/sign-in", code=CODE, name=name, role=role, agency=agency, next="/livez")
        assert answer.text == "ok", answer.text


def form_token(page: httpx.Response) -> str:
    found = _TOKEN.search(page.text)
    assert found is not None, page.text
    return found[1]


@contextmanager
def console_of(
    parts: Parts,
    more: Iterable[Section] = (),
    *,
    secure: bool = False,
    open_log: Callable[[], LogReader] | None = None,
    doors: Doors | None = None,
) -> Iterator[Console]:
    """The console as `jisr console` makes it, with further sections."""
    status = LiveStatus(parts, open_log)
    made = None
    try:
        # Where there is no Kafka to try, there is no store either.
        doors = doors or (MemoryDoors() if open_log is away else None)
        made = make_console(parts, status, LOGIN.section(), secure=secure, doors=doors)
        made.sections = (*made.sections, *more)
        yield made
    finally:
        status.close()
        if made is not None:
            made.readers.close()


@contextmanager
def visiting(console: Console, language: str = "en") -> Iterator[Visitor]:
    """Somebody's browser at this console."""
    app = build_console(console, SECRET)
    scheme = "https" if console.secure else "http"
    with TestClient(app, f"{scheme}://127.0.0.1", raise_server_exceptions=False) as client:
        client.headers["Accept-Language"] = language
        yield Visitor(client)
