"""`jisr up`, `endpoints`, `down`: a stack in a process of its own, stopped in every way there is."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import psycopg
import pytest
from support import plain_http

from hub.local import process_tree

JISR = [sys.executable, "-c", "from hub.cli import main; main()"]
DEADLINE_S = 60.0


@pytest.fixture(scope="module")
def home() -> Iterator[Path]:
    """One data folder for all tests here: each start but the first finds what the last run left."""
    parent = Path(tempfile.mkdtemp(prefix="jisr-test-"))
    parent.chmod(0o711)  # the shared stack is in a folder that only its owner may pass: as root, a difference
    folder = parent / "données, مجلد"  # a name that is not ASCII, with what separates words and lists
    yield folder
    jisr(folder, "down")
    shutil.rmtree(parent)


def jisr(home: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "JISR_HOME": str(home)}
    return subprocess.run([*JISR, *arguments], env=environment, capture_output=True, text=True, timeout=120)


def state(home: Path) -> dict[str, Any]:
    return dict(json.loads((home / "stack.json").read_text()))


def endpoints(home: Path) -> dict[str, Any]:
    answer = jisr(home, "endpoints", "--json")
    assert answer.returncode == 0, answer.stderr
    return dict(json.loads(answer.stdout))


def belonging_to(home: Path) -> list[str]:
    """Every process that names the data folder, or descends from one that does, or works in it."""
    found = set()
    for process in psutil.process_iter():
        try:
            if str(home) in " ".join(process.cmdline()) or process.cwd().startswith(str(home)):
                found |= {process, *process.children(recursive=True)}
        except (psutil.NoSuchProcess, psutil.AccessDenied):
            continue
    return [str(process) for process in found]


def assert_nothing_is_left(home: Path) -> None:
    supervisor = state(home)["supervisor"]
    deadline = time.monotonic() + DEADLINE_S
    while (left := belonging_to(home)) or process_tree.is_same(supervisor["pid"], supervisor["created"]):
        assert time.monotonic() < deadline, left
        time.sleep(0.05)


def query(home: Path, statement: str) -> None:
    url = state(home)["endpoints"]["store"].replace("+psycopg", "")
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(statement.encode())


def test_endpoints_and_down_say_so_when_nothing_runs(home: Path) -> None:
    answer = jisr(home, "endpoints", "--json")
    assert answer.returncode == 1
    assert f"no stack is ready in {home}: start one with `jisr up`" in answer.stderr
    assert jisr(home, "down").stdout == f"nothing runs in {home}\n"


def test_up_in_the_background_tells_its_endpoints_and_down_ends_it(home: Path) -> None:
    answer = jisr(home, "up", "--detach")
    assert answer.returncode == 0, answer.stderr
    for process in ("postgres", "kafka", "registry", "hub-0", "console"):
        assert re.search(rf"{process} ready +\d+\.\d\d s", answer.stdout)
    # Its tables are not there yet, and a connector that cannot read them would only fail.
    assert "ads: no connector, since its database is empty" in answer.stdout
    found = endpoints(home)
    there = {"bootstrap", "registry", "store", "metrics", "agencies", "console", "console_code", "secure"}
    assert there == found.keys()
    assert plain_http.get(f"{found['console']}/livez").text == "ok"
    assert found["console_code"] in jisr(home, "endpoints").stdout
    assert found["bootstrap"] in jisr(home, "endpoints").stdout
    assert json.loads(plain_http.get(f"{found['registry']}/subjects").text) != []
    assert [plain_http.get(url).status_code for url in found["metrics"]] == [200, 200]
    query(home, "CREATE TABLE kept (n int)")

    again = jisr(home, "up", "--core")
    assert (again.returncode, "a stack already runs" in again.stderr) == (1, True)

    assert re.fullmatch(r"stopped in .* s, no process is left\n", jisr(home, "down").stdout)
    assert belonging_to(home) == []
    assert jisr(home, "endpoints").returncode == 1


@pytest.mark.skipif(sys.platform != "linux", reason="other kernels know no death signal")
def test_a_supervisor_that_is_killed_leaves_nothing(home: Path) -> None:
    before = state(home)["ports"]
    assert jisr(home, "up", "--core", "--detach").returncode == 0
    assert {name: state(home)["ports"][name] for name in before} == before
    query(home, "DROP TABLE kept")

    os.kill(state(home)["supervisor"]["pid"], signal.SIGKILL)
    assert_nothing_is_left(home)
    assert jisr(home, "endpoints").returncode == 1


def test_the_next_start_finds_other_ports_and_stops_leftovers(home: Path) -> None:
    # As on a kernel without death signals: the state names a process that still runs.
    leftover = subprocess.Popen([sys.executable, "-I", "-c", "import time; time.sleep(600)"])
    before = state(home)
    before["processes"] = [{"pid": leftover.pid, "created": process_tree.created(leftover.pid)}]
    (home / "stack.json").write_text(json.dumps(before))
    # And meanwhile somebody else took Kafka's ports.
    with socket.socket() as broker, socket.socket() as controller:
        for server, name in ((broker, "kafka"), (controller, "kafka-controller")):
            server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            server.bind(("127.0.0.1", before["ports"][name]))
            server.listen()
        answer = jisr(home, "up", "--core", "--detach")

    assert answer.returncode == 0, answer.stderr
    assert "1 processes of a killed stack stopped" in answer.stdout
    assert leftover.wait(timeout=10) == -signal.SIGTERM
    for name in ("kafka", "kafka-controller"):
        assert state(home)["ports"][name] != before["ports"][name]


def test_ctrl_c_ends_it_in_good_order(home: Path) -> None:
    os.kill(state(home)["supervisor"]["pid"], signal.SIGINT)
    assert_nothing_is_left(home)
    assert re.search(r"stopping\nstopped in \d.*\n$", (home / "logs" / "supervisor.log").read_text())
    assert (home / "logs" / "postgres.log").read_text().rstrip().endswith("database system is shut down")


def test_a_signal_during_the_start_leaves_nothing_either(home: Path) -> None:
    environment = {**os.environ, "JISR_HOME": str(home)}
    with subprocess.Popen(
        [*JISR, "up", "--core"], env=environment, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert "postgres ready" in process.stdout.readline()
        process.send_signal(signal.SIGINT)
        process.stdout.read()
        assert process.wait(timeout=60) == 0
    assert belonging_to(home) == []


def test_doctor_finds_this_machine_well(home: Path) -> None:
    answer = jisr(home, "doctor", "--json")
    report = json.loads(answer.stdout)
    assert [check for check in report["checks"] if check["essential"] and not check["ok"]] == []
    assert (answer.returncode, report["ok"]) == (0, True)
    names = {check["name"] for check in report["checks"]}
    assert {"python", "java", "postgresql", "kafka jars", "ports", "disk", "memory", "aiokafka"} <= names


def test_doctor_names_what_is_missing_and_fails(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    answer = jisr(tmp_path / "file" / "home", "doctor")
    assert answer.returncode == 1
    assert re.search(r"MISSING  data folder", answer.stdout)
