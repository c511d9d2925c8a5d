"""Alerts and recording rules against the specification, the runbooks and promtool."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from hub.contracts.measures import COUNTER, HISTOGRAM, Measure
from hub.local.metrics_command import PARTS

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "deploy" / "prometheus"
RUNBOOKS = ROOT / "docs" / "runbooks"
SECTIONS = ["What it means", "What it does to people", "How to see it", "How to mend it"]
needs_promtool = pytest.mark.skipif(
    shutil.which("promtool") is None,
    reason="promtool is not installed (Debian's package prometheus): rules are not checked by it",
)


def read(path: Path) -> Any:
    return YAML(typ="safe").load(path.read_text(encoding="utf-8"))


def rules(name: str) -> list[dict[str, Any]]:
    return [rule for group in read(FOLDER / "rules" / name)["groups"] for rule in group["rules"]]


ALERTS = {rule["alert"]: rule for rule in rules("alerts.yml")}
RECORDED = {rule["record"] for rule in rules("recording.yml")}
MEASURES: dict[str, Measure] = {one.name: one for table, _ in PARTS.values() for one in table}


def series() -> Iterator[tuple[str, Measure]]:
    """Every series that is scraped, with what it is of."""
    for name, one in MEASURES.items():
        parts = ("_bucket", "_count", "_sum") if one.kind == HISTOGRAM else ("",)
        yield from ((f"{name}{part}", one) for part in parts)


SERIES = dict(series())


def promtool(*arguments: str | Path) -> None:
    done = subprocess.run(["promtool", *map(str, arguments)], text=True, capture_output=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@needs_promtool
def test_promtool_finds_nothing_wrong() -> None:
    promtool("check", "config", FOLDER / "prometheus.yml")
    promtool("check", "rules", "--lint=all", "--lint-fatal", *sorted((FOLDER / "rules").glob("*.yml")))


@needs_promtool
@pytest.mark.parametrize("path", sorted((FOLDER / "tests").glob("*.yml")), ids=lambda path: path.stem)
def test_alerts_fire_when_they_should_and_not_before(path: Path) -> None:
    promtool("test", "rules", path)


def test_every_alert_is_tested() -> None:
    files = ("alerts.yml", "alerts_of_hours.yml")
    assert sorted(one["name"] for f in files for one in read(FOLDER / "tests" / f)["tests"]) == sorted(ALERTS)


def metrics_in(expression: str) -> set[str]:
    words = set(re.findall(r"\bjisr_[a-z_]+\b", re.sub(r'=~?"[^"]*"', "", expression)))
    for alternatives, end in re.findall(r'"jisr_\(([a-z|]+)\)([a-z_]+)"', expression):
        words |= {f"jisr_{one}{end}" for one in alternatives.split("|")}
    return words


@pytest.mark.parametrize("rule", [*rules("recording.yml"), *rules("alerts.yml")], ids=str)
def test_rules_use_metrics_and_labels_that_there_are(rule: dict[str, Any]) -> None:
    expression = rule["expr"]
    assert metrics_in(expression) <= SERIES.keys()
    assert set(re.findall(r"\bjisr:[a-z0-9_:]+", expression)) <= RECORDED
    known = {"le", "job", "instance", "at", "__name__", "agency"}
    for name in metrics_in(expression):
        known |= set(SERIES[name].labels)
    known |= {"lane", "record_type"} if "jisr:" in expression else set()
    used = set(re.findall(r"[{,]\s*(\w+)(?:=~?|!=)\"", expression))
    used |= {w for by in re.findall(r"(?:by|on) \(([^)]*)\)", expression) for w in re.findall(r"\w+", by)}
    assert used <= known
    # A counter means nothing but as a rate or by its first appearance.
    for name in metrics_in(expression):
        if SERIES[name].kind in (COUNTER, HISTOGRAM):
            assert re.search(rf"(rate|increase)\({name}|{name}.*offset", expression), name


def test_what_is_gathered_by_every_worker_is_never_added_up() -> None:
    given = {name for name, one in MEASURES.items() if one.given}
    for rule in [*rules("recording.yml"), *rules("alerts.yml")]:
        for inside in re.findall(r"\bsum\b[^(]*(?:\([^)]*\))?\s*\(([^()]*)", rule["expr"]):
            assert not metrics_in(inside) & given, rule


def test_the_jobs_that_alerts_name_are_scraped() -> None:
    named = {job for one in ALERTS.values() for job in re.findall(r'job="(\w+)"', one["expr"])}
    assert named == {one["job_name"] for one in read(FOLDER / "prometheus.yml")["scrape_configs"]}


@pytest.mark.parametrize("name", ALERTS)
def test_an_alert_says_what_is_seen_what_it_means_and_where_to_read_on(name: str) -> None:
    alert = ALERTS[name]
    assert alert["labels"].keys() == {"severity"}
    assert alert["labels"]["severity"] in ("page", "ticket")
    assert alert["annotations"].keys() == {"summary", "impact", "runbook"}
    assert alert["annotations"]["runbook"] == f"docs/runbooks/{name}.md"
    page = (RUNBOOKS / f"{name}.md").read_text(encoding="utf-8")
    assert page.startswith(f"# {name}\n")
    assert re.findall(r"^## (.+)$", page, re.MULTILINE) == SECTIONS
    assert alert["annotations"]["impact"] in page
    # Whoever is called at night needs a command or a place to look at.
    assert re.search(r"`(jisr [a-z]|jisr_|/readyz|up\{)", page)


def test_every_runbook_is_of_an_alert_and_is_listed() -> None:
    pages = {path.stem for path in RUNBOOKS.glob("*.md")} - {"README"}
    assert pages == set(ALERTS)
    listed = re.findall(
        r"^\| \[(\w+)\]\(\1\.md\) \| (\w+) \|", (RUNBOOKS / "README.md").read_text("utf-8"), re.MULTILINE
    )
    assert listed == [(name, alert["labels"]["severity"]) for name, alert in ALERTS.items()]


def test_the_objective_is_what_the_documentation_says() -> None:
    operators = (ROOT / "docs" / "operators.md").read_text(encoding="utf-8")
    assert "99.9% of changes converge within 5 s" in operators
    for alert, burn, long, short in (
        ("JisrBudgetBurnsFast", "14.4", "1h", "5m"),
        ("JisrBudgetBurnsSlowly", "6", "6h", "30m"),
    ):
        expression = ALERTS[alert]["expr"]
        for window in (long, short):
            assert f"jisr:convergence_late:ratio{window} > {burn} * 0.001" in expression
