"""The supervisor against real processes: small Python programs."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from hub.errors import Fatal
from hub.local import process_tree
from hub.local.child import restart_delay_s
from hub.local.process_spec import Account, ProcessEvent, ProcessSpec, ProcessStatus, StartError, State
from hub.local.processes import Supervisor

ROOT = os.geteuid() == 0
NOBODY = 65534
DEADLINE_S = 20.0

# Tells that it runs, and waits. `{}` is done before that.
PROGRAM = """
import os, pathlib, signal, subprocess, sys, time
{}
pathlib.Path(sys.argv[1]).write_text(str(os.getpid()))
while True:
    time.sleep(60)
"""


def eventually(condition: Callable[[], Any], what: str) -> None:
    """Wait for something that must come about; fail with its name if it does not."""
    deadline = time.monotonic() + DEADLINE_S
    while not condition():
        assert time.monotonic() < deadline, f"never: {what}"
        time.sleep(0.01)


class Bench:
    """A supervisor, what it reported, and a way to describe small programs."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.events: list[ProcessEvent] = []
        self.supervisor = Supervisor(folder, self.events.append)

    def spec(self, name: str, before: str = "", **options: Any) -> ProcessSpec:
        marker = self.folder / f"{name}.ready"
        options.setdefault("ready", lambda: marker.exists() and marker.read_text() == str(self.pid(name)))
        code = PROGRAM.format(textwrap.dedent(before))
        return ProcessSpec(
            name=name,
            argv=[sys.executable, "-I", "-S", "-c", code, str(marker)],
            env=options.pop("env", {}),
            **options,
        )

    def status(self, name: str) -> ProcessStatus:
        return next(status for status in self.supervisor.processes() if status.name == name)

    def pid(self, name: str) -> int:
        pid = self.status(name).pid
        assert pid is not None, f"{name} does not run"
        return pid

    def happened(self) -> list[tuple[str, str]]:
        return [(event.name, event.kind) for event in self.events]


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    bench = Bench(tmp_path)
    yield bench
    bench.supervisor.stop()


def test_starts_in_order_and_stops_in_reverse(bench: Bench) -> None:
    first = bench.spec("first", "time.sleep(0.2)")
    bench.supervisor.start([bench.spec("second", after=["first"]), first])
    assert [status.state for status in bench.supervisor.processes()] == [State.READY] * 2

    bench.supervisor.stop()

    order = bench.happened()
    assert order.index(("first", "ready")) < order.index(("second", "started"))
    assert order.index(("second", "stopped")) < order.index(("first", "stopped"))
    assert [status.pid for status in bench.supervisor.processes()] == [None, None]


def test_one_that_exits_before_it_is_ready_fails_the_start_and_shows_its_log(bench: Bench) -> None:
    broken = bench.spec("broken", "sys.exit('the port is taken')")
    with pytest.raises(StartError, match=r"(?s)broken: exited with code 1.*broken\.log.*the port is taken"):
        bench.supervisor.start([broken, bench.spec("waiting", after=["broken"])])
    assert bench.status("waiting").state is State.WAITING


def test_one_that_misses_its_deadline_fails_the_start_with_the_last_answer(bench: Bench) -> None:
    def never() -> bool:
        raise ConnectionError("nobody there")

    with pytest.raises(StartError, match=r"(?s)slow: not ready within 0 s.*ConnectionError: nobody there"):
        bench.supervisor.start([bench.spec("slow", ready=never, ready_within_s=0.3)])


def test_a_program_that_does_not_exist_is_named(bench: Bench) -> None:
    with pytest.raises(StartError, match="cannot run /no/such/program: No such file"):
        bench.supervisor.start([ProcessSpec("absent", ["/no/such/program"], {}, lambda: False)])


def test_one_that_is_killed_comes_back(bench: Bench) -> None:
    bench.supervisor.start([bench.spec("worker")])
    before = bench.pid("worker")

    bench.supervisor.kill("worker")
    bench.supervisor.wait_ready("worker")

    assert bench.pid("worker") != before
    assert bench.status("worker").restarts == 1
    died = next(event for event in bench.events if event.kind == "died")
    assert (died.pid, died.detail) == (before, "ended by SIGKILL")


def test_one_that_ends_by_itself_comes_back(bench: Bench) -> None:
    bench.supervisor.start([bench.spec("worker", "signal.signal(signal.SIGUSR1, lambda *_: os._exit(0))")])
    os.kill(bench.pid("worker"), signal.SIGUSR1)
    eventually(lambda: bench.status("worker").restarts == 1, "a restart")
    bench.supervisor.wait_ready("worker")
    assert ("worker", "died") in bench.happened()


def test_a_death_takes_its_children_along(bench: Bench) -> None:
    child = bench.folder / "child"
    bench.supervisor.start(
        [
            bench.spec(
                "parent",
                f"""
                child = subprocess.Popen([sys.executable, "-I", "-c", "import time; time.sleep(600)"])
                pathlib.Path({str(child)!r}).write_text(str(child.pid))
                signal.signal(signal.SIGUSR1, lambda *_: os._exit(1))
                """,
            )
        ]
    )
    pid = int(child.read_text())
    os.kill(bench.pid("parent"), signal.SIGUSR1)
    eventually(lambda: process_tree.created(pid) is None, "the end of the child")


@pytest.mark.parametrize(
    ("deaths", "delay_s"), [(1, 0.0), (2, 0.1), (3, 0.2), (4, 0.4), (8, 6.4), (9, 10.0), (1000, 10.0)]
)
def test_the_first_restart_is_immediate_and_a_crash_loop_backs_off(deaths: int, delay_s: float) -> None:
    assert restart_delay_s(deaths) == delay_s


def test_pause_freezes_descendants_too_and_resume_wakes_them(bench: Bench) -> None:
    bench.supervisor.start(
        [
            bench.spec(
                "tree",
                # In a session of its own, as PostgreSQL's children are.
                'subprocess.Popen([sys.executable, "-I", "-c", "import time; time.sleep(600)"], '
                "start_new_session=True)",
            )
        ]
    )
    root = psutil.Process(bench.pid("tree"))
    tree = [root, *root.children(recursive=True)]
    assert len(tree) == 2

    bench.supervisor.pause("tree")
    assert [it.status() for it in tree] == [psutil.STATUS_STOPPED] * 2
    assert bench.status("tree").paused

    bench.supervisor.resume("tree")
    eventually(lambda: all(it.status() != psutil.STATUS_STOPPED for it in tree), "all awake")
    assert not bench.status("tree").paused
    assert bench.status("tree").restarts == 0
    tree[1].kill()


def test_stops_one_that_is_paused_in_good_order(bench: Bench) -> None:
    bench.supervisor.start(
        [bench.spec("worker", "signal.signal(signal.SIGTERM, lambda *_: os._exit(7))", stop_within_s=60)]
    )
    bench.supervisor.pause("worker")
    bench.supervisor.stop()
    assert [it.detail for it in bench.events if it.kind == "stopped"] == ["exited with code 7"]


def test_kills_one_that_ignores_the_stop_signal(bench: Bench) -> None:
    bench.supervisor.start(
        [bench.spec("deaf", "signal.signal(signal.SIGTERM, signal.SIG_IGN)", stop_within_s=0.2)]
    )
    bench.supervisor.stop()
    assert [it.detail for it in bench.events if it.kind == "stopped"] == ["ended by SIGKILL"]


def test_restart_stops_in_good_order_and_is_not_a_crash(bench: Bench) -> None:
    bench.supervisor.start([bench.spec("worker")])
    before = bench.pid("worker")
    bench.supervisor.restart("worker")
    assert bench.pid("worker") != before
    assert bench.status("worker").restarts == 0
    assert bench.happened() == [
        ("worker", kind) for kind in ("started", "ready", "stopped", "started", "ready")
    ]


def test_stop_is_idempotent_and_ends_its_thread(bench: Bench) -> None:
    # The stack that other tests share has a supervisor of its own.
    before = set(threading.enumerate())
    bench.supervisor.start([bench.spec("worker")])
    bench.supervisor.stop()
    bench.supervisor.stop()
    assert not [t.name for t in set(threading.enumerate()) - before if t.name == "supervisor"]


def test_stop_lets_go_of_a_start_that_waits(bench: Bench) -> None:
    failures: list[Exception] = []

    def start() -> None:
        try:
            bench.supervisor.start([bench.spec("slow", ready=lambda: False)])
        except StartError as error:
            failures.append(error)

    thread = threading.Thread(target=start)
    thread.start()
    eventually(lambda: ("slow", "started") in bench.happened(), "a process")
    bench.supervisor.stop()
    thread.join(DEADLINE_S)
    assert [str(failure) for failure in failures] == ["the supervisor is being stopped"]
    with pytest.raises(StartError, match="has stopped"):
        bench.supervisor.start([bench.spec("late")])


def test_faults_for_what_does_not_run_are_refused(bench: Bench) -> None:
    bench.supervisor.start([bench.spec("worker")])
    bench.supervisor.stop()
    with pytest.raises(Fatal, match="worker is not running"):
        bench.supervisor.kill("worker")


def test_a_listener_that_fails_does_not_end_the_supervision(tmp_path: Path) -> None:
    def fail(_: ProcessEvent) -> None:
        raise RuntimeError("listener")

    bench = Bench(tmp_path)
    bench.supervisor.stop()
    bench.supervisor = Supervisor(tmp_path, fail)
    try:
        bench.supervisor.start([bench.spec("worker")])
        bench.supervisor.kill("worker")
        bench.supervisor.wait_ready("worker")
    finally:
        bench.supervisor.stop()


def test_a_process_gets_its_own_environment_and_nothing_else(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("JISR_STORE_URL", "not for you")
    bench.supervisor.start(
        [bench.spec("worker", "print(sorted(os.environ), flush=True)", env={"GIVEN": "1"})]
    )
    written = (bench.folder / "worker.log").read_text()
    assert "GIVEN" in written
    assert "JISR_STORE_URL" not in written
    assert "PATH" not in written


def test_a_large_log_is_put_aside_at_the_start(bench: Bench) -> None:
    log = bench.folder / "worker.log"
    with log.open("wb") as file:
        file.truncate(17 * 1024 * 1024)
    bench.supervisor.start([bench.spec("worker")])
    assert log.stat().st_size < 1024
    assert log.with_suffix(".log.1").stat().st_size == 17 * 1024 * 1024


# A supervisor of its own process, to be killed. It tells the pid of its child and whether it listens.
SUPERVISOR = """
import json, socket, sys, time
from pathlib import Path
from hub.local.process_spec import Account, ProcessSpec
from hub.local.processes import Supervisor
options = json.loads(sys.argv[1])
supervisor = Supervisor(Path(options["folder"]))
account = Account(*options["account"]) if options["account"] else None
supervisor.start([ProcessSpec("child", options["argv"], {}, lambda: True, account=account)])
print(supervisor.processes()[0].pid, flush=True)
time.sleep(600)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="other kernels know no death signal")
@pytest.mark.parametrize(
    "account",
    [
        None,
        pytest.param((NOBODY, NOBODY), marks=pytest.mark.skipif(not ROOT, reason="needs root")),
        pytest.param((NOBODY, NOBODY, True), marks=pytest.mark.skipif(not ROOT, reason="needs root")),
    ],
    ids=["as ourselves", "as another account", "as another account that may read"],
)
def test_a_supervisor_that_is_killed_leaves_nothing_behind(
    tmp_path: Path, account: tuple[int, int, bool] | None
) -> None:
    options = {"folder": str(tmp_path), "account": account, "argv": ["/bin/sleep", "600"]}
    supervisor = subprocess.Popen(
        [sys.executable, "-c", SUPERVISOR, json.dumps(options)], stdout=subprocess.PIPE, text=True
    )
    assert supervisor.stdout is not None
    child = int(supervisor.stdout.readline())
    # Not only the launcher: the program itself must be the one that is ended.
    eventually(lambda: psutil.Process(child).name() == "sleep", "the program runs")

    supervisor.kill()
    supervisor.wait()
    supervisor.stdout.close()

    eventually(lambda: process_tree.created(child) is None, "the end of the child")


@pytest.mark.skipif(not ROOT, reason="needs root")
@pytest.mark.parametrize("keep_reading", [False, True])
def test_another_account_passes_roots_folders_only_if_it_is_to(bench: Bench, keep_reading: bool) -> None:
    closed = bench.folder / "closed"
    closed.mkdir(mode=0o700)
    (closed / "file").write_text("text")
    spec = ProcessSpec(
        name="reader",
        argv=["/bin/sh", "-c", f"id -u; cat {closed}/file; sleep 600"],
        env={"PATH": "/usr/bin:/bin", "LC_ALL": "C"},
        ready=lambda: len((bench.folder / "reader.log").read_text().splitlines()) == 2,
        account=Account(NOBODY, NOBODY, keep_reading),
    )
    bench.supervisor.start([spec])
    uid, text = (bench.folder / "reader.log").read_text().splitlines()
    assert uid == str(NOBODY)
    assert (text == "text") is keep_reading


def test_leftovers_are_told_from_later_namesakes() -> None:
    process = subprocess.Popen([sys.executable, "-I", "-c", "import time; time.sleep(600)"])
    created = process_tree.created(process.pid)
    assert created is not None
    try:
        assert process_tree.stop_leftovers([(process.pid, created - 60)]) == []
        assert process.poll() is None

        assert process_tree.stop_leftovers([(process.pid, created)]) == [process.pid]
        assert process_tree.created(process.pid) is None
    finally:
        process.kill()
        process.wait()


def test_a_leftover_that_is_paused_is_stopped_with_its_children() -> None:
    code = "import subprocess, time; subprocess.Popen(['/bin/sleep', '600']); time.sleep(600)"
    process = subprocess.Popen([sys.executable, "-I", "-c", code])
    root = psutil.Process(process.pid)
    eventually(lambda: root.children(), "the child")
    [child] = root.children()
    process.send_signal(signal.SIGSTOP)
    assert set(process_tree.stop_leftovers([(process.pid, root.create_time())])) == {process.pid, child.pid}
    process.wait()
    assert process_tree.created(child.pid) is None
