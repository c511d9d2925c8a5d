"""The dashboards: built from their table, in every language, of metrics that there are."""

from __future__ import annotations

import importlib
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from hub.local.metrics_command import PARTS

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "deploy" / "grafana"
GIVEN_BY_PROMETHEUS = {"ALERTS", "scrape_samples_scraped", "up"}


# As `build.py` finds it, which is run from that folder.
sys.path.insert(0, str(FOLDER))
BOARDS: Any = importlib.import_module("boards").BOARDS
sys.path.remove(str(FOLDER))
PANELS = [(board, panel) for board in BOARDS for panel in board.panels]


def test_the_files_are_what_the_table_says(tmp_path: Path) -> None:
    subprocess.run([sys.executable, FOLDER / "build.py", tmp_path], check=True)
    made = {path.relative_to(tmp_path): path.read_text("utf-8") for path in tmp_path.rglob("*.json")}
    there = FOLDER / "dashboards"
    kept = {path.relative_to(there): path.read_text("utf-8") for path in there.rglob("*.json")}
    assert kept == made, "run `make dashboards`"


def test_every_text_is_there_in_every_language_and_is_another() -> None:
    words = [w for b in BOARDS for w in (b.title, b.description)]
    words += [w for _, panel in PANELS for w in (panel.title, panel.description)]
    for english, french, arabic in words:
        assert english
        assert french
        assert re.search(r"[\u0600-\u06ff]", arabic), arabic
        assert len({english, french, arabic}) == 3, english


@pytest.mark.parametrize(("board", "panel"), PANELS, ids=lambda one: getattr(one, "uid", one.title[0]))
def test_queries_use_metrics_that_there_are(board: Any, panel: Any) -> None:
    specified = {one.name for table, _ in PARTS.values() for one in table}
    recorded = set(re.findall(r"record: (\S+)", (ROOT / "deploy/prometheus/rules/recording.yml").read_text()))
    for query in panel.queries:
        for name in re.findall(r"\bjisr_[a-z_]+", query.expr):
            assert re.sub(r"_(bucket|sum|count)$", "", name) in specified, name
        for name in re.findall(r"\bjisr:[a-z0-9_:]+", query.expr):
            assert name in recorded, name
        assert ("$agency" in query.expr + query.legend) <= board.by_agency


def test_rows_are_full() -> None:
    for board in BOARDS:
        left = 24
        for panel in board.panels:
            left -= panel.width
            assert left >= 0, (board.uid, panel.title)
            left = left or 24
        assert left == 24, board.uid


def test_what_is_provisioned_is_there() -> None:
    yaml = YAML(typ="safe")
    providers = yaml.load((FOLDER / "provisioning/dashboards/jisr.yml").read_text("utf-8"))["providers"]
    folders = {Path(one["options"]["path"]).name for one in providers}
    assert folders == {path.name for path in (FOLDER / "dashboards").iterdir()}
    source = yaml.load((FOLDER / "provisioning/datasources/prometheus.yml").read_text("utf-8"))
    (uid,) = (one["uid"] for one in source["datasources"])
    uids = []
    for path in (FOLDER / "dashboards").rglob("*.json"):
        board = json.loads(path.read_text("utf-8"))
        uids.append(board["uid"])
        assert {panel["datasource"]["uid"] for panel in board["panels"]} == {uid}
        assert len({panel["id"] for panel in board["panels"]}) == len(board["panels"])
    assert len(uids) == len(set(uids)) == 15


# Agency → (its series: [age, source up, sink up, source paused], the state that is shown).
SIDES = {
    "well": ((1, 1, 1, 0), 0),
    "late": ((9, 1, 1, 0), 1),
    "half": ((9, 1, 0, 0), 2),
    "away": ((1, None, None, None), 2),
    "paused": ((900, 0, 1, 1_700_000_000), 3),
    "both": ((900, 0, None, 1_700_000_000), 3),
    "more": ((900, 0, 0, 1_700_000_000), 2),
}


@pytest.mark.skipif(shutil.which("promtool") is None, reason="promtool is not installed (package prometheus)")
def test_a_paused_agency_is_not_broken_unless_its_other_side_is(tmp_path: Path) -> None:
    (query,) = (q for _, panel in PANELS if panel.title[0] == "Agencies" for q in panel.queries)
    series = []
    for agency, ((age, source, sink, paused), _) in SIDES.items():
        side = f'agency="{agency}",side'
        told = {
            f'jisr:convergence_age:seconds{{agency="{agency}"}}': age,
            f'jisr_connector_up{{{side}="source"}}': source,
            f'jisr_connector_up{{{side}="sink"}}': sink,
            f'jisr_connector_up{{{side}="sweep"}}': 0,
            # What stands by counts not.
            f'jisr_connector_up{{{side}="source",instance="other"}}': None if source is None else 0,
            f'jisr_connector_paused_timestamp_seconds{{{side}="source"}}': paused,
            f'jisr_connector_paused_timestamp_seconds{{{side}="sink"}}': None if paused is None else 0,
        }
        series += [
            {"series": name, "values": str(value)} for name, value in told.items() if value is not None
        ]
    wanted = [{"labels": f'{{agency="{agency}"}}', "value": state} for agency, (_, state) in SIDES.items()]
    test = {"expr": query.expr, "eval_time": "0m", "exp_samples": wanted}
    content = {"rule_files": [], "tests": [{"input_series": series, "promql_expr_test": [test]}]}
    path = tmp_path / "states.yml"
    path.write_text(json.dumps(content))
    done = subprocess.run(["promtool", "test", "rules", path], text=True, capture_output=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
