"""Processes as the operating system sees them: identity, signals to all descendants, leftovers."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterable
from contextlib import suppress

import psutil  # type: ignore[import-untyped]

# The kernel counts a process's start in ticks of 10 ms, and the boot time is known to the second.
_SAME_START_S = 2.0
_WAIT_S, _POLL_S = 10.0, 0.01
_ENDED = (psutil.STATUS_ZOMBIE, psutil.STATUS_DEAD)
_FROZEN = (psutil.STATUS_STOPPED, *_ENDED)


def created(pid: int) -> float | None:
    """When the process was started (seconds since 1970); None if there is none, or only a zombie."""
    try:
        process = psutil.Process(pid)
        if process.status() == psutil.STATUS_ZOMBIE:
            return None
        return float(process.create_time())
    except psutil.NoSuchProcess:
        return None


def is_same(pid: int, when: float) -> bool:
    """Whether the process of that pid and start still lives: pids are used again."""
    now = created(pid)
    return now is not None and abs(now - when) < _SAME_START_S


def signal_group(pid: int, number: signal.Signals) -> None:
    """To a process that leads its own group, and to the group; nothing if it is gone."""
    with suppress(ProcessLookupError):
        os.killpg(pid, number)


def signal_tree(pid: int, number: signal.Signals) -> None:
    """To a process and all its descendants, also those in sessions of their own (PostgreSQL's)."""
    for process in _tree(pid):
        with suppress(psutil.NoSuchProcess):
            process.send_signal(number)


def freeze(pid: int) -> None:
    """SIGSTOP to a process and all its descendants; returns when all have stopped."""
    signal_tree(pid, signal.SIGSTOP)
    _wait(lambda: all(_status(it) in _FROZEN for it in _tree(pid)))


def stop_leftovers(processes: Iterable[tuple[int, float]]) -> list[int]:
    """Stop those of (pid, start) that still live, with their descendants; SIGTERM, then SIGKILL.

    Blocks until all are gone, for some seconds at most. Returns the pids that were found.
    """
    found = [it for pid, when in processes if is_same(pid, when) for it in _tree(pid)]
    for process in found:
        with suppress(psutil.NoSuchProcess):
            process.terminate()
            process.resume()  # a paused process cannot heed a signal
    if not _wait(lambda: not any(map(_lives, found))):
        for process in filter(_lives, found):
            with suppress(psutil.NoSuchProcess):
                process.kill()
        _wait(lambda: not any(map(_lives, found)))
    return [process.pid for process in found]


def _tree(pid: int) -> list[psutil.Process]:
    with suppress(psutil.NoSuchProcess):
        root = psutil.Process(pid)
        return [root, *root.children(recursive=True)]
    return []


def _status(process: psutil.Process) -> str:
    with suppress(psutil.NoSuchProcess):
        return str(process.status()) if process.is_running() else psutil.STATUS_DEAD
    return str(psutil.STATUS_DEAD)


def _lives(process: psutil.Process) -> bool:
    # A zombie is not waited for: in a container without an init process nobody ever reaps it.
    return _status(process) not in _ENDED


def _wait(condition: Callable[[], bool]) -> bool:
    deadline = time.monotonic() + _WAIT_S
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(_POLL_S)
    return True


def describe_exit(code: int) -> str:
    """A return code of `subprocess` in words."""
    if code < 0:
        return f"ended by {signal.Signals(-code).name}"
    return f"exited with code {code}"


def cpu_s(pid: int) -> float:
    """Processor seconds that a process has taken so far, its children included; 0 if it is gone."""
    total = 0.0
    with suppress(psutil.Error):
        process = psutil.Process(pid)
        # Children that have ended are counted with their parent, those that live are not.
        ended = process.cpu_times()
        total = ended.children_user + ended.children_system
        for one in (process, *process.children(recursive=True)):
            with suppress(psutil.Error):
                total += one.cpu_times().user + one.cpu_times().system
    return round(total, 2)
