"""`jisr demo --act 2`: ordinary life on the whole product, each turn judged from outside."""

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

from hub.local.demo.everyday.steps import TURNS

ROOT = Path(__file__).parents[2]
DEMO = [sys.executable, "-c", "from hub.cli import main; main()", "demo", "--act", "2", "--people", "60"]


@pytest.fixture
def home() -> Iterator[Path]:
    # Not pytest's own temporary folder: as root, PostgreSQL runs as another user, who may not enter it.
    folder = Path(tempfile.mkdtemp(prefix="jisr-act2-"))
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


@pytest.mark.campaign
def test_every_turn_comes_true_and_the_region_is_proven_at_the_end(home: Path) -> None:
    environment = {**os.environ, "JISR_HOME": str(home)}
    process = subprocess.Popen(
        [*DEMO, "--json"],
        cwd=ROOT,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        answer, shown = process.communicate(timeout=1200)
    except BaseException:
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=60)
        raise
    assert answer, shown
    report = json.loads(answer)
    assert [(one["name"], one["problem"]) for one in report["steps"] if not one["ok"]] == []
    assert [one["name"] for one in report["steps"]] == [turn.name for turn in TURNS]
    assert all(one["remarks"] for one in report["steps"])
    assert report["problems"] == []
    assert (report["converged"], report["ok"], process.returncode) == (True, True, 0)
    assert [one for one in psutil.process_iter(["cmdline"]) if str(home) in str(one.info["cmdline"])] == []
