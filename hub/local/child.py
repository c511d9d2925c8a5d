"""One supervised process over all its lives: how it is forked, how it died, what it last wrote."""

from __future__ import annotations

import subprocess
import time
from collections import deque
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from hub.local import launch, process_tree
from hub.local.process_spec import ProcessSpec, State

# Deaths within this time of each other count as a crash loop, older ones are forgiven.
_CRASH_WINDOW_S = 30.0
_FIRST_DELAY_S, _LONGEST_DELAY_S = 0.1, 10.0
_LOG_TAIL_LINES = 15
_LOG_TAIL_BYTES = 16 * 1024
_ROTATE_LOG_BYTES = 16 * 1024 * 1024


def restart_delay_s(deaths: int) -> float:
    """Seconds to wait before a restart, after so many deaths within the window, this one included.

    The first comes back at once: a worker that was killed must not wait for a politeness meant for
    a process that cannot start.
    """
    return 0.0 if deaths <= 1 else min(_LONGEST_DELAY_S, _FIRST_DELAY_S * 2.0 ** (deaths - 2))


@dataclass
class Child:
    """The supervisor's own record; changed under its condition, or by its thread alone."""

    spec: ProcessSpec
    log: Path
    state: State = State.WAITING
    process: subprocess.Popen[bytes] | None = None
    created: float | None = None
    started_at: float = 0.0
    due_at: float = 0.0
    restarts: int = 0
    was_ready: bool = False
    paused: bool = False
    failure: str = ""
    probe_error: str = ""
    deaths: deque[float] = field(default_factory=deque)

    @property
    def pid(self) -> int | None:
        """Of the running process, else None. Only the supervisor's thread reaps."""
        running = self.process is not None and self.process.returncode is None
        return self.process.pid if self.process and running else None

    @property
    def uptime_s(self) -> float:
        return time.monotonic() - self.started_at

    def spawn(self) -> None:
        """Fork, from the supervisor's thread."""
        account = self.spec.account
        command = launch.command(
            self.spec.argv,
            account=(account.uid, account.gid) if account else None,
            keep_reading=bool(account and account.keep_reading),
            death_signal=self.spec.death_signal,
        )
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(  # noqa: S603  (no shell; argv comes from a spec)
                command,
                env=dict(self.spec.env),
                cwd=self.spec.cwd,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self.paused = False
        self.started_at = time.monotonic()
        self.created = process_tree.created(self.process.pid)

    def rotate_log(self) -> None:
        """Keep one older log: without it an installation that runs for months fills the disk."""
        with suppress(FileNotFoundError):
            if self.log.stat().st_size > _ROTATE_LOG_BYTES:
                self.log.replace(self.log.with_suffix(".log.1"))

    def count_death(self) -> None:
        """Note that it died, and when it may come back."""
        now = time.monotonic()
        self.deaths.append(now)
        while self.deaths[0] < now - _CRASH_WINDOW_S:
            self.deaths.popleft()
        self.due_at = now + restart_delay_s(len(self.deaths))

    def explain(self) -> str:
        """Why it is not ready, for a person, with the end of its log."""
        lines = [f"process {self.spec.name}: {self.failure}"]
        if self.probe_error:
            lines.append(f"last answer to 'ready?': {self.probe_error}")
        tail = _tail(self.log)
        lines.append(f"the end of {self.log}:" if tail else f"it wrote nothing to {self.log}")
        return "\n".join([*lines, *(f"  | {line}" for line in tail)])


def _tail(log: Path) -> list[str]:
    with suppress(OSError), log.open("rb") as file:
        file.seek(max(0, log.stat().st_size - _LOG_TAIL_BYTES))
        return file.read().decode("utf-8", "replace").splitlines()[-_LOG_TAIL_LINES:]
    return []
