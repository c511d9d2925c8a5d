"""`jisr demo` as a person runs it: the whole product, from an empty folder to the proof and the end."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from hub.contracts.agreements import load_agreements
from hub.contracts.events import EventSchemas
from hub.contracts.records import Catalogue
from hub.local.demo.audit import Site, audit
from hub.local.demo.desk import Desk, write
from hub.local.demo.population import RECORD_TYPES
from hub.local.demo.story.steps import STEPS

ROOT = Path(__file__).parents[2]
DEMO = [sys.executable, "-c", "from hub.cli import main; main()", "demo"]
PEOPLE = 60
# As the hub's sink writes: capture does not see it, so that nothing mends it.
UNSEEN = "SET LOCAL jisr.origin = 'hub'"


@pytest.fixture(scope="module")
def home() -> Iterator[Path]:
    # Not pytest's own temporary folder: as root, PostgreSQL runs as another user, who may not enter it.
    folder = Path(tempfile.mkdtemp(prefix="jisr-demo-"))
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


def start(home: Path, *arguments: str) -> subprocess.Popen[str]:
    environment = {**os.environ, "JISR_HOME": str(home)}
    return subprocess.Popen(
        [*DEMO, "--people", str(PEOPLE), *arguments],
        cwd=ROOT,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def belonging_to(home: Path) -> list[str]:
    """Processes that still work on this folder."""
    found = []
    for process in psutil.process_iter(["cmdline", "environ", "pid"]):
        words = [*(process.info["cmdline"] or ()), *(process.info["environ"] or {}).values()]
        if process.pid != os.getpid() and any(str(home) in word for word in words):
            found.append(" ".join(process.info["cmdline"] or ()))
    return found


def site(home: Path) -> Site:
    """The kept demonstration, as an auditor who has only its endpoints."""
    endpoints = json.loads((home / "demo" / "stack.json").read_text(encoding="utf-8"))["endpoints"]
    catalogue = Catalogue.load(ROOT / "schemas" / "records")
    events = EventSchemas(ROOT / "schemas" / "events")
    agreements = load_agreements(ROOT / "deploy" / "agreements", catalogue)
    desks = {agency: Desk(agency, url) for agency, url in endpoints["agencies"].items()}
    return Site(endpoints["bootstrap"], desks, catalogue, events, agreements)


def test_the_demonstration_converges_proves_it_and_ends_cleanly(home: Path) -> None:
    process = start(home, "--json", "--keep")
    assert process.stdout is not None
    assert process.stderr is not None
    try:
        answer = process.stdout.readline()
        assert answer, process.stderr.read()
        report = json.loads(answer)
        assert [(step["name"], step["problem"]) for step in report["steps"] if not step["ok"]] == []
        assert [step["name"] for step in report["steps"]] == [step.name for step in STEPS]
        assert all(step["delay_ms"] > 0 for step in report["steps"])
        assert report["problems"] == []
        assert (report["converged"], report["ok"]) == (True, True)
        assert report["changes_per_s"] > 0
        assert {name: set(held) for name, held in report["agencies"].items()} == {
            name: set(held) for name, held in RECORD_TYPES.items()
        }
        for held in report["agencies"].values():
            for sheet in held.values():
                assert sheet["rows"] == sheet["entitled"] + sheet["duplicates"] > 0
                assert sheet["held_digest"] == sheet["entitled_digest"]

        _a_planted_divergence_is_found(home)
    finally:
        process.send_signal(signal.SIGINT)
        _, shown = process.communicate(timeout=60)
    assert process.returncode == 0, shown
    assert "ar: " in shown
    assert "every agency holds exactly what it may hold" in shown
    assert belonging_to(home) == []


def _a_planted_divergence_is_found(home: Path) -> None:
    """The proof can fail: a value changed behind everybody's back in one real database."""
    audited = site(home)
    desk = audited.desks["ads"]
    try:
        assert audit(audited).proven
        person = desk.one("SELECT min(id_beneficiaire) FROM beneficiaire")
        before = desk.one("SELECT telephone FROM beneficiaire_contact WHERE id_beneficiaire = :id", id=person)
        plant = "UPDATE beneficiaire_contact SET telephone = :phone WHERE id_beneficiaire = :id"
        _unseen(desk, plant, phone="+212600000001", id=person)
        judged = audit(audited)
        assert [(s.agency, s.record_type) for s in judged.sheets if not s.equal] == [("ads", "person")]
        assert any("phone" in problem for problem in judged.problems())
        _unseen(desk, plant, phone=before, id=person)
        assert audit(audited).proven
    finally:
        for one in audited.desks.values():
            one.close()


def _unseen(desk: Desk, sql: str, **values: object) -> None:
    desk.together(lambda connection: (write(connection, UNSEEN, {}), write(connection, sql, values)))


def test_ctrl_c_in_the_middle_of_a_second_run_leaves_nothing(home: Path) -> None:
    process = start(home)
    assert process.stdout is not None
    seen = []
    for line in iter(process.stdout.readline, ""):
        seen.append(line)
        if "agencies populated" in line:
            break
    process.send_signal(signal.SIGINT)
    rest, errors = process.communicate(timeout=60)
    assert process.returncode == 130, f"{''.join(seen)}{rest}{errors}"
    assert "stopping" in rest
    assert belonging_to(home) == []
