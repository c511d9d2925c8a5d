"""Two connectors of one agency: one works, the other stands by and takes over when the first one dies."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from sql_agency import empty_database
from sqlalchemy import create_engine, text
from support import plain_http
from test_connector_run import Hub, free_port, registry, until

from hub.local.stack import Stack

__all__ = ["registry"]

_TABLE = "CREATE TABLE personne (id {} PRIMARY KEY, cin text, nom text NOT NULL, tel text)"
_DEATHS = 1

Execute = Callable[[str], list[tuple[Any, ...]]]


@pytest.fixture(params=["postgresql", "sqlite"])
def hub(
    request: pytest.FixtureRequest, stack: Stack, registry: tuple[str, Path], tmp_path: Path
) -> Iterator[Hub]:
    hub = Hub(stack, registry, tmp_path, empty_database(request.param, request, tmp_path))
    yield hub
    hub.close()


@pytest.fixture
def execute(hub: Hub) -> Iterator[Execute]:
    """A statement of the agency's people."""
    engine = create_engine(hub.url)

    def execute(sql: str) -> list[tuple[Any, ...]]:
        with engine.begin() as connection:
            result = connection.execute(text(sql))
            return [tuple(row) for row in result] if result.returns_rows else []

    execute(_TABLE.format("INTEGER" if hub.url.startswith("sqlite") else "serial"))
    yield execute
    engine.dispose()


def sides(port: int) -> dict[str, str]:
    """What is not ready at a connector, and why; a connector that does not answer yet has one side."""
    try:
        told = plain_http.get(f"http://127.0.0.1:{port}/readyz").content
    except httpx.TransportError:
        return {"process": "starts"}
    waiting: dict[str, str] = json.loads(told)["sides"]
    return waiting


def stands_by(port: int) -> bool:
    waiting = sides(port)
    return waiting.keys() >= {"source", "sink"} and all("only one may be" in w for w in waiting.values())


def test_a_connector_that_stands_by_takes_over_and_nothing_is_lost_or_doubled(
    hub: Hub, execute: Execute
) -> None:
    at_work = hub.start()
    hub.ready()
    for number in range(_DEATHS):
        port = free_port()
        standby = hub.start(JISR_WEB_PORT=str(port))
        until(lambda port=port: stands_by(port), "the second one stands by")  # type: ignore[misc]
        execute(f"INSERT INTO personne VALUES ({local_id(number)}, 'SH{number}', 'Alami', NULL)")
        hub.deliver(f"E{number}", 1, {"family_name_fr": f"Bennani {number}"})
        at_work.kill()
        at_work.wait()
        execute(f"UPDATE personne SET tel = '+21261234567{number}' WHERE id = {local_id(number)}")
        hub.deliver(f"E{number}", 2, {"family_name_fr": f"Idrissi {number}"})
        until(lambda port=port: not sides(port), "the second one has taken over")  # type: ignore[misc]
        at_work = standby
    wanted = {(f"Idrissi {number}",) for number in range(_DEATHS)}

    def delivered() -> bool:
        return set(execute("SELECT nom FROM personne WHERE nom <> 'Alami'")) == wanted

    until(delivered, "the deliveries")
    edits = {(str(local_id(number)), f"+21261234567{number}") for number in range(_DEATHS)}
    until(lambda: said(hub) >= edits, "the edits")
    assert execute("SELECT count(*) FROM personne") == [(2 * _DEATHS,)]
    by_id: dict[str, dict[str, Any]] = {}
    for change in hub.changes():
        assert by_id.setdefault(change["event_id"], change) == change


def local_id(number: int) -> int:
    """Apart from those that either database gives to the rows that the connector makes."""
    return 100 * (number + 1)


def said(hub: Hub) -> set[tuple[str, str]]:
    return {(one["local_id"], (one["record"] or {}).get("phone")) for one in hub.changes()}
