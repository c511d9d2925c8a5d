"""`jisr demo` as a person runs it: the whole product, from an empty folder to the proof and the end."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

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
# A table of entraide, its key, and a column that others hold too.
_TABLE = ("المستفيدون", "رقم_الملف", "الهاتف")
# Looks, a second apart, at whether a repair has reached everybody.
_TRIES = 30


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
        _a_sweep_finds_and_mends_what_was_done_in_silence(home)
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


def _a_sweep_finds_and_mends_what_was_done_in_silence(home: Path) -> None:
    """At both ends nothing is wrong; then exactly what was done behind the triggers, and it converges."""
    clean, code = _swept(home)
    assert (_at_agencies(clean), code) == ([], 0)
    assert [topic for topic in clean["hub"] if topic["findings"]] == []
    assert sum(topic["messages"] for topic in clean["hub"]) > 1_000
    read = {
        one["agency"]: sum(r["cost"]["rows"] for r in one["records"].values()) for one in clean["agencies"]
    }
    assert min(read.values()) > 10, read
    audited = site(home)
    ads, entraide = audited.desks["ads"], audited.desks["entraide"]
    try:
        person = str(ads.one("SELECT min(id_beneficiaire) FROM beneficiaire"))
        plant = "UPDATE beneficiaire_contact SET telephone = :phone WHERE id_beneficiaire = :id"
        _unseen(ads, plant, phone="+212600000002", id=int(person))
        table, key, column = _TABLE
        other = str(entraide.one(f'SELECT max("{key}") FROM "{table}" WHERE "{column}" IS NOT NULL'))
        entraide.together(
            lambda connection: (
                write(connection, f'ALTER TABLE "{table}" DISABLE TRIGGER USER', {}),
                write(
                    connection,
                    f'UPDATE "{table}" SET "{column}" = NULL WHERE "{key}" = :id',
                    {"id": int(other)},
                ),
                write(connection, f'ALTER TABLE "{table}" ENABLE TRIGGER USER', {}),
            )
        )
        found, code = _swept(home, "--repair")
        assert code == 0
        assert sorted(_at_agencies(found)) == [("ads", person, "repaired"), ("entraide", other, "repaired")]
        environment = {**os.environ, "JISR_HOME": str(home / "demo")}
        command = [*DEMO[:-1], "status", "--wait-converged"]
        for _ in range(_TRIES):
            subprocess.run(command, cwd=ROOT, env=environment, check=True, capture_output=True)
            if (proven := audit(audited).proven) and not _at_agencies(_swept(home)[0]):
                break
            time.sleep(1)
        assert proven
        assert _at_agencies(_swept(home)[0]) == []
    finally:
        for one in audited.desks.values():
            one.close()


def _swept(home: Path, *arguments: str) -> tuple[dict[str, Any], int]:
    environment = {**os.environ, "JISR_HOME": str(home / "demo")}
    command = [*DEMO[:-1], "sweep", "--json", *arguments]
    for _ in range(_TRIES):
        done = subprocess.run(command, cwd=ROOT, env=environment, text=True, capture_output=True, check=False)
        # A connector that has run for a minute sweeps by itself; on a slow machine that may be now.
        if "another connector's sweep is at work" not in done.stderr:
            break
        time.sleep(1)
    assert done.stdout, done.stderr
    told: dict[str, Any] = json.loads(done.stdout)
    return told, done.returncode


def _at_agencies(told: dict[str, Any]) -> list[tuple[str, str, str]]:
    return [
        (one["agency"], finding["local_id"], finding["state"])
        for one in told["agencies"]
        for record in one["records"].values()
        for finding in record["findings"]
    ]


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
