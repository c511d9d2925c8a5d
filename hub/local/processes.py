"""The supervisor: starts processes, waits until they are ready, brings back what dies, stops all.

One thread of its own forks every process and watches them. The thread lives as long as the
supervisor, which matters: Linux ends a process with a death signal when the *thread* that forked it
ends. So a supervisor that is killed, even by SIGKILL, leaves nothing behind.
"""

from __future__ import annotations

import queue
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from contextlib import suppress
from pathlib import Path

from hub.errors import Fatal
from hub.local import process_tree
from hub.local.child import Child
from hub.local.process_spec import (
    ProcessEvent,
    ProcessSpec,
    ProcessStatus,
    StartError,
    State,
)

# How often deaths are looked for: the delay that the supervisor adds to a worker's return.
_WATCH_EVERY_S = 0.05
# Asked often at first, since a worker that is killed is back in no time; then less: the question costs the
# server work, and a line in its log, while it recovers.
_FIRST_PROBE_S, _LONGEST_PROBE_S, _PROBE_GROWTH = 0.02, 0.25, 1.2


class Supervisor:
    """Runs a growing list of processes. Methods may be called from any thread, and block."""

    def __init__(self, logs: Path, report: Callable[[ProcessEvent], None] = lambda _: None) -> None:
        """`logs`: folder for `<name>.log`. `report` is called from several threads."""
        self._logs = logs
        self._report = report
        self._children: dict[str, Child] = {}
        self._changed = threading.Condition()
        self._commands: queue.Queue[Callable[[], None]] = queue.Queue()
        self._stopping = False
        self._open = True
        self._thread = threading.Thread(target=self._run, name="supervisor", daemon=True)
        self._thread.start()

    def start(self, specs: Sequence[ProcessSpec]) -> None:
        """Start these, each after those it names, and return when all are ready.

        Raises StartError as soon as one exits before it was ever ready, or misses its deadline;
        the others go on until `stop`.
        """
        children = [Child(spec, self._logs / f"{spec.name}.log") for spec in specs]
        known = self._children.keys() | {spec.name for spec in specs}
        unknown = {name for spec in specs for name in spec.after} - known
        assert not unknown, f"processes start after unknown ones: {unknown}"
        for child in children:
            child.rotate_log()
        self._do(lambda: self._adopt(children))
        with self._changed:
            self._changed.wait_for(
                lambda: (
                    self._stopping
                    or any(child.failure for child in children)
                    or all(child.was_ready for child in children)
                )
            )
        for child in children:
            if child.failure:
                raise StartError(child.explain())
        self._refuse_if_stopping()

    def stop(self) -> None:
        """Stop everything, dependants first: the stop signal, a grace, then SIGKILL. Idempotent.

        A `start` that waits in another thread raises StartError.
        """
        if not self._thread.is_alive():
            return
        self._do(self._begin_to_stop)
        remaining = dict(self._children)
        while remaining:
            needed = {name for child in remaining.values() for name in child.spec.after}
            leaves = [child for name, child in remaining.items() if name not in needed]
            assert leaves, f"processes wait for each other: {sorted(remaining)}"
            self._stop_together(leaves)
            for child in leaves:
                del remaining[child.spec.name]
        with self._changed:
            self._open = False
        self._thread.join()

    def kill(self, name: str) -> None:
        """SIGKILL to the process and its group; returns when it is dead. It is brought back at once."""
        child, pid = self._children[name], self._pid(name)
        process_tree.signal_group(pid, signal.SIGKILL)
        with self._changed:
            self._changed.wait_for(lambda: child.pid != pid)

    def pause(self, name: str) -> None:
        """Freeze the process and all its descendants (SIGSTOP): it lives, and does nothing."""
        process_tree.freeze(self._pid(name))
        self._children[name].paused = True

    def resume(self, name: str) -> None:
        """Undo `pause`."""
        self._children[name].paused = False
        process_tree.signal_tree(self._pid(name), signal.SIGCONT)

    def restart(self, name: str, spec: ProcessSpec | None = None) -> None:
        """Stop the process as `stop` would, start it again, and return when it is ready.

        `spec` is how it is started from now on, if that changes.
        """
        self.rest(name)
        self.wake(name, spec)

    def rest(self, name: str) -> None:
        """Stop the process as `stop` would; it stays stopped until `wake`."""
        child = self._children[name]
        self._do(lambda: self._expect_end([child]))
        self._stop_together([child])

    def wake(self, name: str, spec: ProcessSpec | None = None) -> None:
        """Start a process that rests, and return when it is ready. Raises StartError."""
        child = self._children[name]
        child.spec = spec or child.spec
        self._do(lambda: self._spawn(child))
        self.wait_ready(name)

    def wait_ready(self, name: str) -> None:
        """Block until the process is ready (again). Raises StartError after its own deadline."""
        child = self._children[name]
        limit_s = child.spec.ready_within_s
        with self._changed:
            if not self._changed.wait_for(lambda: self._stopping or child.state is State.READY, limit_s):
                child.failure = f"not ready within {limit_s:.0f} s"
                raise StartError(child.explain())
        self._refuse_if_stopping()

    def processes(self) -> list[ProcessStatus]:
        """All processes, in the order of their start."""
        return [
            ProcessStatus(name, child.state, child.pid, child.created, child.restarts, child.paused)
            for name, child in self._children.items()
        ]

    # In the supervisor's thread.

    def _run(self) -> None:
        while self._open:
            with suppress(queue.Empty):
                self._commands.get(timeout=_WATCH_EVERY_S)()
            for child in self._children.values():
                self._watch(child)
        while not self._commands.empty():  # none is put any more; whoever waits for one must be let go
            self._commands.get()()

    def _adopt(self, children: Sequence[Child]) -> None:
        self._refuse_if_stopping()
        # A new dictionary: other threads may be reading the old one.
        self._children = {**self._children, **{child.spec.name: child for child in children}}

    def _begin_to_stop(self) -> None:
        self._stopping = True
        self._expect_end(list(self._children.values()))

    def _watch(self, child: Child) -> None:
        if child.pid is not None:
            assert child.process is not None
            if child.process.poll() is not None:
                self._ended(child, child.process)
        elif child.state is State.WAITING:
            if all(self._children[name].was_ready for name in child.spec.after):
                self._spawn(child)
        elif child.state is State.BACKING_OFF and time.monotonic() >= child.due_at:
            child.restarts += 1
            self._spawn(child)

    def _spawn(self, child: Child) -> None:
        try:
            child.spawn()
        except OSError as error:  # out of processes or memory, or the log's disk is full
            child.failure = f"cannot be started: {error}"
            child.count_death()
            self._set(child, State.BACKING_OFF if child.was_ready else State.STOPPED)
            return
        self._set(child, State.STARTING)
        self._tell(child, "started")
        arguments = (child, child.process)
        threading.Thread(target=self._probe, args=arguments, daemon=True).start()

    def _ended(self, child: Child, process: subprocess.Popen[bytes]) -> None:
        # What it left behind would hold its locks and ports against its successor.
        process_tree.signal_group(process.pid, signal.SIGKILL)
        how = process_tree.describe_exit(process.returncode)
        if child.state is State.STOPPING:
            self._tell(child, "stopped", how)
            self._set(child, State.STOPPED)
        elif not child.was_ready:
            child.failure = how
            self._set(child, State.STOPPED)
        else:
            child.count_death()
            self._tell(child, "died", how)
            self._set(child, State.BACKING_OFF)

    def _expect_end(self, children: Sequence[Child]) -> None:
        with self._changed:
            for child in children:
                child.state = State.STOPPED if child.pid is None else State.STOPPING
            self._changed.notify_all()

    # In a thread of its own, one per start.

    def _probe(self, child: Child, process: subprocess.Popen[bytes]) -> None:
        """Ask until the process is ready, ended, being stopped, or out of time."""
        pause_s = _FIRST_PROBE_S
        while process.returncode is None and child.state is State.STARTING:
            try:
                ready = child.spec.ready()
            except Exception as error:
                ready, child.probe_error = False, f"{type(error).__name__}: {error}"
            if ready and process.returncode is None:
                # Told before it counts, so that nothing that waits for it is told of earlier.
                self._tell(child, "ready")
                self._became_ready(child)
                return
            if not child.was_ready and child.uptime_s > child.spec.ready_within_s:
                child.failure = f"not ready within {child.spec.ready_within_s:.0f} s"
                self._set(child, child.state)
                return
            time.sleep(pause_s)
            pause_s = min(_LONGEST_PROBE_S, pause_s * _PROBE_GROWTH)

    def _became_ready(self, child: Child) -> None:
        with self._changed:
            if child.state is State.STARTING:  # not if it is being stopped meanwhile
                child.was_ready, child.state = True, State.READY
                self._changed.notify_all()

    # In the caller's thread.

    def _stop_together(self, children: Sequence[Child]) -> None:
        begun = time.monotonic()
        for child in children:
            if child.pid is not None:
                process_tree.signal_group(child.pid, child.spec.stop_signal)
                process_tree.signal_tree(child.pid, signal.SIGCONT)  # paused, it heeds no signal
        with self._changed:
            for child in children:
                left_s = begun + child.spec.stop_within_s - time.monotonic()
                ended = self._changed.wait_for(lambda c=child: c.pid is None, max(0.0, left_s))  # type: ignore[misc]
                if not ended and child.pid is not None:
                    process_tree.signal_tree(child.pid, signal.SIGKILL)
            self._changed.wait_for(lambda: all(child.pid is None for child in children))

    def _do(self, action: Callable[[], None]) -> None:
        """Let the supervisor's thread run it: only that thread forks and judges deaths."""
        done: Future[None] = Future()

        def run() -> None:
            try:
                action()
                done.set_result(None)
            except BaseException as error:
                done.set_exception(error)

        with self._changed:
            if not self._open:
                raise StartError("the supervisor has stopped")
            self._commands.put(run)
        done.result()

    def _refuse_if_stopping(self) -> None:
        if self._stopping:
            raise StartError("the supervisor is being stopped")

    def _pid(self, name: str) -> int:
        child = self._children[name]
        if child.pid is None:
            raise Fatal(f"process {name} is not running ({child.state.value})")
        return child.pid

    def _set(self, child: Child, state: State) -> None:
        with self._changed:
            child.state = state
            self._changed.notify_all()

    def _tell(self, child: Child, kind: str, detail: str = "") -> None:
        assert child.process is not None
        event = ProcessEvent(child.spec.name, kind, child.process.pid, child.uptime_s, detail)
        with suppress(Exception):  # a listener's fault must not end the supervision
            self._report(event)
