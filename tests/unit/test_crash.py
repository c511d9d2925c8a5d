"""Crash points: nothing without an order, and exactly the ordered passage with one."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from hub import crash
from hub.crash import VARIABLE, arm, crash_point, pending

PASS = """
from hub.crash import crash_point
for n in range(5):
    print(n, flush=True)
    crash_point("source.sent")
"""


def passing(folder: Path | None) -> subprocess.Popen[str]:
    environment = {} if folder is None else {VARIABLE: str(folder)}
    return subprocess.Popen([sys.executable, "-c", PASS], env=environment, stdout=subprocess.PIPE, text=True)


def test_without_orders_nothing_happens(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(VARIABLE, raising=False)
    crash_point("source.sent")
    monkeypatch.setenv(VARIABLE, str(tmp_path))
    crash_point("source.sent")


def test_the_ordered_passage_kills_once(tmp_path: Path) -> None:
    arm(tmp_path, "source.sent", passages=3)
    assert pending(tmp_path) == {"source.sent"}
    first = passing(tmp_path)
    assert first.communicate()[0].split() == ["0", "1", "2"]
    assert first.returncode == -signal.SIGKILL
    assert pending(tmp_path) == set()
    second = passing(tmp_path)
    assert second.communicate()[0].split() == ["0", "1", "2", "3", "4"]
    assert second.returncode == 0


def test_an_order_may_freeze_instead(tmp_path: Path) -> None:
    arm(tmp_path, "source.sent", what=signal.SIGSTOP)
    process = passing(tmp_path)
    try:
        while psutil.Process(process.pid).status() != psutil.STATUS_STOPPED:
            assert process.poll() is None
            time.sleep(0.01)
        process.send_signal(signal.SIGCONT)
        assert process.communicate()[0].split() == ["0", "1", "2", "3", "4"]
        assert process.returncode == 0
    finally:
        process.kill()


def test_a_point_must_be_in_the_table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, str(tmp_path))
    with pytest.raises(AssertionError, match="no crash point"):
        crash_point("source.lunch")


def test_a_simulation_is_told_of_each_passage_and_decides_itself(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    passed: list[str] = []
    monkeypatch.setenv(VARIABLE, str(tmp_path))
    monkeypatch.setattr(crash, "on_passage", passed.append)
    arm(tmp_path, "source.read")
    crash_point("source.read")
    assert passed == ["source.read"]
    assert pending(tmp_path) == {"source.read"}
