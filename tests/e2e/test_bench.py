"""A small run of the benchmark on the real stack: it ends with agencies that hold the same, or it fails."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from hub.local.stack import PROJECT

_WITHIN_S = 240


def test_a_small_benchmark_converges_and_tells_what_it_measured(tmp_path: Path) -> None:
    command = [sys.executable, "-c", "from hub.cli import main; main()", "bench", "--json"]
    drawing = tmp_path / "bench.svg"
    options = ["--changes", "200", "--only", "end_to_end_2", "--only", "growth", "--plot", str(drawing)]
    options += ["--entities", "100", "--entities", "200"]
    run = subprocess.run(
        [*command, *options],
        capture_output=True,
        text=True,
        timeout=_WITHIN_S,
        cwd=PROJECT,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    told = json.loads(run.stdout.splitlines()[-1])
    part = told["parts"]["end_to_end_2"]
    assert (told["changes"], part["changes"], part["targets"]) == (200, 200, 2)
    assert part["changes_per_s"] > 0
    assert {"hub-0", "kafka", "postgres", "connector-source"} <= part["cpu_us_per_delivery"].keys()
    assert part["memory_mb"]["hub-0"] > 0
    growth = told["parts"]["growth"]
    assert growth["100"]["edit_ratio"] == 1.0
    assert growth["200"]["edit_cpu_us"]["hub-0"] > 0
    assert growth["200"]["store_bytes"] > 0
    assert "growth: processor time per edit" in drawing.read_text(encoding="utf-8")
