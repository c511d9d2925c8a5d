"""Processes as the operating system sees them: identity, signals to all descendants, leftovers."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterable
from contextlib import suppress

import psutil  # type: ignore[import-untyped]

# The kernel counts a process's start in ticks of 10 ms, and the boot time is known to the second.
_SAME_START_S = 2.0
_STOP_WITHIN_S = 10.0


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
    with suppress(psutil.NoSuchProcess):
        root = psutil.Process(pid)
        for process in [root, *root.children(recursive=True)]:
            with suppress(psutil.NoSuchProcess):
                process.send_signal(number)


def stop_leftovers(processes: Iterable[tuple[int, float]]) -> list[int]:
    """Stop those of (pid, start) that still live, with their descendants; SIGTERM, then SIGKILL.

    Blocks until all are gone, for about ten seconds at most. Returns the pids that were found.
    """
    found: list[psutil.Process] = []
    for pid, when in processes:
        if is_same(pid, when):
            with suppress(psutil.NoSuchProcess):
                root = psutil.Process(pid)
                found += [root, *root.children(recursive=True)]
    for process in found:
        with suppress(psutil.NoSuchProcess):
            process.terminate()
            process.resume()  # a paused process cannot heed a signal
    _, alive = psutil.wait_procs(found, timeout=_STOP_WITHIN_S)
    for process in alive:
        with suppress(psutil.NoSuchProcess):
            process.kill()
    psutil.wait_procs(alive, timeout=_STOP_WITHIN_S)
    return [process.pid for process in found]


def describe_exit(code: int) -> str:
    """A return code of `subprocess` in words."""
    if code < 0:
        return f"ended by {signal.Signals(-code).name}"
    return f"exited with code {code}"
