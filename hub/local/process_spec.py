"""What the supervisor is told of a process, and what it tells: plain values."""

from __future__ import annotations

import signal
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from hub.errors import Fatal


@dataclass(frozen=True)
class Account:
    """Whom a process runs as, if not as ourselves. `keep_reading`: may pass root's own folders."""

    uid: int
    gid: int
    keep_reading: bool = False


@dataclass(frozen=True)
class ProcessSpec:
    """How one process is started, known to be ready, and stopped.

    `ready` is called again and again from a thread of its own until it is true; it may block for a
    second or so, and an exception counts as not yet. `env` is the whole environment, nothing is
    inherited. `after` names the processes that must be ready first; they are stopped later.
    """

    name: str
    argv: Sequence[str]
    env: Mapping[str, str]
    ready: Callable[[], bool]
    cwd: Path | None = None
    after: Sequence[str] = ()
    account: Account | None = None
    stop_signal: signal.Signals = signal.SIGTERM
    death_signal: signal.Signals = signal.SIGKILL
    ready_within_s: float = 240.0
    stop_within_s: float = 10.0


class State(StrEnum):
    WAITING = "waiting"  # for the processes it comes after
    STARTING = "starting"
    READY = "ready"
    BACKING_OFF = "backing-off"  # died, comes back in a moment
    STOPPING = "stopping"
    STOPPED = "stopped"


@dataclass(frozen=True)
class ProcessStatus:
    """One process as it is now. `created` (seconds since 1970) tells a pid from a later namesake."""

    name: str
    state: State
    pid: int | None
    created: float | None
    restarts: int
    paused: bool


@dataclass(frozen=True)
class ProcessEvent:
    """Something happened to a process. `kind`: started, ready, died, stopped.

    `seconds` is the time since the process was started.
    """

    name: str
    kind: str
    pid: int
    seconds: float
    detail: str = ""


class StartError(Fatal):
    """A process did not become ready; the message shows the end of its log."""
