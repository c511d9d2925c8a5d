"""Pausing, resuming and starting anew a connector that runs as a process of its own, by the command line."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from click.testing import CliRunner, Result
from sqlalchemy import create_engine
from test_connector_run import MAPPING, Hub, PersonTable, free_port, registry, until
from test_connector_standby import stands_by

from hub.cli import jisr
from hub.contracts import topics
from hub.local.stack import Stack
from hub.store.migrate import migrate

__all__ = ["registry"]

WAIT = ("--who", "Samira", "--why", "the agency upgrades its database", "--wait", "120")


@pytest.fixture
def hub(stack: Stack, registry: tuple[str, Path], tmp_path: Path) -> Iterator[Hub]:
    hub = Hub(stack, registry, tmp_path, f"sqlite:///{tmp_path / 'agency.db'}")
    yield hub
    hub.close()


@pytest.fixture
def people(hub: Hub) -> PersonTable:
    return PersonTable(hub.url)


class Desk:
    """An operator's command line."""

    def __init__(self, hub: Hub, store: str) -> None:
        self.hub = hub
        secret = hub.folder / "secret"
        secret.write_bytes(b"a secret of the tests' hub......")
        self._env = {
            "JISR_STORE_URL": store,
            "JISR_BOOTSTRAP": hub.bootstrap,
            "JISR_REGISTRY_URL": hub.registry[0],
            "JISR_SECRET_FILE": str(secret),
            "JISR_AGREEMENTS": str(hub.agreements),
        }

    def run(self, *arguments: str) -> Result:
        return CliRunner(env=self._env).invoke(jisr, list(arguments))

    def connector(self, deed: str, *more: str) -> str:
        result = self.run("connector", deed, self.hub.agency, *more, *WAIT)
        assert result.exit_code == 0, result.output + repr(result.exception)
        return result.output

    def status(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.run("status", "--json").stdout)["connectors"]
        return found

    def side(self, name: str) -> dict[str, Any]:
        return next(one for one in self.status()["sides"] if one["side"] == name)

    def told(self, target: str) -> list[dict[str, Any]]:
        """All that connectors have told of a target, the newest last."""
        return [one for one in self.hub.decoded(topics.state(self.hub.agency)) if one["target"] == target]


@pytest.fixture
def desk(hub: Hub, stack: Stack) -> Iterator[Desk]:
    name = f"control_{uuid4().hex[:12]}"
    url = stack.create_database(name)
    engine = create_engine(url)
    migrate(engine)
    engine.dispose()
    yield Desk(hub, url)
    stack.drop_database(name)


class Staff:
    """People of the agency who type all the while."""

    def __init__(self, people: PersonTable) -> None:
        self._people = people
        self._home = threading.Event()
        self.typed = 0
        self._thread = threading.Thread(target=self._work)
        self._thread.start()

    def _work(self) -> None:
        while not self._home.wait(0.02):
            number = self.typed + 1
            self._people.execute("INSERT INTO personne (cin, nom) VALUES (?, 'Alami')", f"SH{number}")
            self.typed = number

    def go_home(self) -> None:
        self._home.set()
        self._thread.join()


@pytest.fixture
def staff(people: PersonTable) -> Iterator[Staff]:
    staff = Staff(people)
    yield staff
    staff.go_home()


def said(hub: Hub) -> set[str]:
    return {one["record"]["cin"] for one in hub.changes() if one["record"]}


def queued(people: PersonTable) -> int:
    return int(people.execute("SELECT count(*) FROM jisr_changes")[0][0])


def paused_gauges(hub: Hub) -> set[str]:
    lines = hub.metrics_or_nothing().splitlines()
    name = "jisr_connector_paused_timestamp_seconds{"
    return {
        line.partition('side="')[2].partition('"')[0]
        for line in lines
        if line.startswith(name) and float(line.split()[-1]) > 0
    }


def test_a_pause_outlives_deaths_and_loses_nothing(
    hub: Hub, people: PersonTable, desk: Desk, staff: Staff
) -> None:
    connector = hub.start()
    hub.ready()
    port = free_port()
    standby = hub.start(JISR_WEB_PORT=str(port))
    until(lambda: stands_by(port), "the second one stands by")
    until(lambda: len(said(hub)) > 5, "edits flow")
    hub.deliver("E1", 1, {"family_name_fr": "Bennani"})
    until(lambda: people.execute("SELECT 1 FROM personne WHERE nom = 'Bennani'"), "deliveries flow")
    assert (desk.side("source")["wished"], desk.side("source")["pending"]) == ("running", False)

    assert "confirmed" in desk.connector("pause")
    before = staff.typed
    told = said(hub)
    hub.deliver("E2", 1, {"family_name_fr": "Idrissi"})
    until(lambda: staff.typed > before + 20, "people go on typing")
    # Nobody holds a connection or a claim: what an upgrade of the database needs.
    until(lambda: paused_gauges(hub) == {"source", "sink", "notices", "sweep"}, "the metric of the pause")
    since = desk.side("sink")["since_ms"]

    for process in (connector, standby):
        process.kill()
        process.wait()
    connector = hub.start()
    until(lambda: paused_gauges(hub) == {"source", "sink", "notices", "sweep"}, "it starts paused")
    assert connector.poll() is None
    assert said(hub) == told, "a paused connector says nothing"
    assert queued(people) > 20
    assert people.execute("SELECT 1 FROM personne WHERE nom = 'Idrissi'") == []
    sink = desk.side("sink")
    assert (sink["wished"], sink["state"], sink["pending"], sink["since_ms"]) == (
        "paused",
        "paused",
        False,
        since,
    )
    assert (sink["who"], sink["why"]) == (WAIT[1], WAIT[3])
    assert f"connector {hub.agency} sink: paused since" in desk.run("status").stdout

    desk.connector("resume", "--side", "sink")
    until(lambda: people.execute("SELECT 1 FROM personne WHERE nom = 'Idrissi'"), "what waited is delivered")
    assert said(hub) == told
    _send_again(hub, "paused")  # A wish that comes late changes nothing.
    desk.connector("resume")
    staff.go_home()
    wanted = {f"SH{number}" for number in range(1, staff.typed + 1)}
    until(lambda: said(hub) >= wanted and not queued(people), "everything that was typed is said")
    by_id: dict[str, dict[str, Any]] = {}
    for change in hub.changes():
        assert by_id.setdefault(change["event_id"], change) == change
    assert {one["state"] for one in desk.status()["sides"]} == {"running"}
    assert paused_gauges(hub) == set()


def _send_again(hub: Hub, state: str) -> None:
    """All earlier wishes of a kind once more, as a producer that doubts might."""
    topic = topics.control(hub.agency)
    for record in hub.read(topic):
        if hub.decode(record.value)["state"] == state:
            hub.producer.send(topic, key=record.key, value=record.value).get(30)


def test_a_restart_reads_the_mapping_again_and_happens_once(
    hub: Hub, people: PersonTable, desk: Desk
) -> None:
    people.execute("ALTER TABLE personne ADD COLUMN gsm text")
    people.execute("INSERT INTO personne VALUES (1, 'SH1', 'Alami', NULL, NULL)")
    connector = hub.start()
    hub.ready()
    until(hub.changes, "the snapshot")
    mapping = MAPPING.replace("AGENCY", hub.agency).replace("phone: tel", "phone: gsm")
    hub.mapping.write_text(mapping, encoding="utf-8")
    assert "confirmed" in desk.connector("restart")
    people.execute("UPDATE personne SET gsm = '+212612345678' WHERE id = 1")
    until(lambda: any((c["record"] or {}).get("phone") for c in hub.changes()), "the column that is new")

    starts = {one["since_ms"] for one in desk.told("process")}
    assert len(starts) == 2
    _send_again(hub, "running")
    hub.mapping.write_text(mapping.replace("personne", "nobody.knows: ["), encoding="utf-8")
    result = desk.run("connector", "restart", hub.agency, *WAIT)
    assert result.exit_code == 1
    assert "its mapping file is wrong" in result.output
    assert [one["problem"] for one in desk.status()["restarts"]] == ["mapping"]
    assert f"connector {hub.agency}: could not start anew (mapping)" in desk.run("status").stdout
    people.execute("UPDATE personne SET nom = 'Tazi' WHERE id = 1")
    until(lambda: any((c["record"] or {}).get("family_name_fr") == "Tazi" for c in hub.changes()), "it works")
    assert {one["since_ms"] for one in desk.told("process")} == starts, "it did not start anew"
    assert connector.poll() is None


def test_wishes_are_audited_and_refused_where_they_cannot_be_meant(hub: Hub, desk: Desk) -> None:
    stranger = desk.run("connector", "pause", "museum", "--who", "S", "--why", "x")
    assert "there is no agreement of 'museum'" in str(stranger.exception)
    assert desk.run("connector", "pause", hub.agency, "--who", "S").exit_code == 2
    # No connector runs: the wish keeps, and is shown as not confirmed.
    result = desk.run("connector", "pause", hub.agency, "--side", "source", *WAIT[:-1], "0.1")
    assert (result.exit_code, "source: not confirmed yet" in result.output) == (1, True)
    assert desk.side("source")["pending"] is True
    assert desk.side("sink") | {"wished_ms": None, "pending": False} == desk.side("sink")
    trail = json.loads(desk.run("audit", "list", "--json").stdout)
    assert [(one["action"], one["subject"], one["detail"]) for one in trail] == [
        ("pause", hub.agency, "source")
    ]
