"""A real Prometheus beside the whole stack: what it scrapes, what dashboards ask, which alert fires."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
from ruamel.yaml import YAML
from sqlalchemy import create_engine, text
from support import plain_http

from hub.local.demo.population import population
from hub.local.demo.region import Region
from hub.local.metrics_command import PARTS
from hub.local.ports import LOOPBACK, assign

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "deploy" / "prometheus"
PEOPLE = 25
# A bound on how long something broken keeps the tests; on a busy machine much is late that is not broken.
WITHIN_S = 120
# Of few changes in an hour one that is late is many, and on a busy machine some are.
BURNS = {("JisrBudgetBurnsFast", ""), ("JisrBudgetBurnsSlowly", "")}
# Of what is gathered, what is only there when something is wrong, or where a file is named.
RARE = {
    "jisr_undelivered_entities",
    "jisr_undelivered_age_seconds",
    "jisr_open_brakes",
    "jisr_certificate_expires_timestamp_seconds",
}

pytestmark = pytest.mark.skipif(
    shutil.which("prometheus") is None,
    reason="Prometheus is not installed (Debian's package prometheus): nothing scrapes the stack",
)


@dataclass
class Watch:
    """A Prometheus, asked as Grafana would."""

    url: str
    region: Region

    def ask(self, query: str) -> list[dict[str, Any]]:
        answer = plain_http.get(f"{self.url}/api/v1/query", params={"query": query}).json()
        assert answer["status"] == "success", (query, answer)
        found: list[dict[str, Any]] = answer["data"]["result"]
        return found

    def firing(self) -> set[tuple[str, str]]:
        """(alert, agency) of all that fire, but for the objective's."""
        alerts = plain_http.get(f"{self.url}/api/v1/alerts").json()["data"]["alerts"]
        return {
            (one["labels"]["alertname"], one["labels"].get("agency", ""))
            for one in alerts
            if one["state"] == "firing"
        } - BURNS


def eventually(condition: Callable[[], object], what: str) -> None:
    deadline = time.monotonic() + WITHIN_S
    while not condition():
        assert time.monotonic() < deadline, f"{what}: not within {WITHIN_S} s"
        time.sleep(0.2)


def quick(rules: str) -> str:
    """The real rules with seconds where people have minutes, and a window that a short test can fill."""
    rules = re.sub(r"\bfor: \w+", "for: 2s", rules)
    rules = re.sub(r"interval: \w+", "interval: 1s", rules)
    return re.sub(r"(jisr:convergence_age:seconds) > 60", r"\1 > 3", rules)


def configuration(folder: Path, endpoints: list[str]) -> Path:
    """The real configuration and rules, pointed at this stack."""
    content = YAML(typ="safe").load((FOLDER / "prometheus.yml").read_text(encoding="utf-8"))
    content["global"] = {"scrape_interval": "1s", "evaluation_interval": "1s"}
    addresses = [urlsplit(url).netloc for url in endpoints]
    targets = {"registry": addresses[:1], "hub": addresses[1:2], "connectors": addresses[2:]}
    for job in content["scrape_configs"]:
        job["static_configs"] = [{"targets": targets[job["job_name"]]}]
    (folder / "rules").mkdir()
    for path in (FOLDER / "rules").glob("*.yml"):
        (folder / "rules" / path.name).write_text(quick(path.read_text(encoding="utf-8")), encoding="utf-8")
    with (folder / "prometheus.yml").open("w", encoding="utf-8") as file:
        YAML(typ="safe").dump(content, file)
    return folder / "prometheus.yml"


@contextmanager
def prometheus(folder: Path, endpoints: list[str]) -> Iterator[str]:
    file = configuration(folder, endpoints)
    address = f"{LOOPBACK}:{assign(['prometheus'], {})['prometheus']}"
    command = ["prometheus", f"--config.file={file}", f"--storage.tsdb.path={folder / 'data'}"]
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            [*command, f"--web.listen-address={address}"], stdout=log, stderr=subprocess.STDOUT
        )
        try:
            yield f"http://{address}"
        finally:
            process.terminate()
            process.wait(30)


@pytest.fixture(scope="module")
def watch() -> Iterator[Watch]:
    """A stack of four agencies that has converged, scraped since its start."""
    folder = Path(tempfile.mkdtemp(prefix="jisr-prometheus-"))
    region = Region(folder / "stack", population(PEOPLE, 1), 1, lambda _: None)
    try:
        region.start()
        with prometheus(folder, list(region.stack.endpoints.metrics)) as url:
            made = Watch(url, region)
            eventually(lambda: answers(f"{url}/-/ready"), "Prometheus is ready")
            eventually(lambda: at_rest(made), "everything has converged")
            yield made
    finally:
        region.stop()
        shutil.rmtree(folder, ignore_errors=True)


def answers(url: str) -> bool:
    try:
        return plain_http.get(url).status_code == 200
    except httpx.TransportError:
        return False


def at_rest(watch: Watch) -> bool:
    """Every agency has joined, and nothing is on its way."""
    joined = watch.ask("jisr:joining:bool == 0")
    ages = watch.ask("jisr:convergence_age:seconds == 0")
    return len(joined) == len(ages) == len(watch.region.agreements)


def edit(watch: Watch) -> None:
    """Somebody at entraide changes a phone number, which the other agencies may know."""
    table, key = '"المستفيدون"', '"رقم_الملف"'
    watch.region.desks["entraide"].do(
        f'UPDATE {table} SET "الهاتف" = :phone WHERE {key} = (SELECT min({key}) FROM {table})',
        phone=f"+2126{time.time_ns() % 10**8:08}",
    )


@contextmanager
def stopped(region: Region, agency: str) -> Iterator[None]:
    """The agency's database lets nobody in, and has thrown everybody out."""
    engine = create_engine(region.stack.superuser_url(), isolation_level="AUTOCOMMIT")
    name = f"agency_{agency}"
    with engine.connect() as server:
        server.execute(text(f"ALTER DATABASE {name} ALLOW_CONNECTIONS false"))
        server.execute(
            text("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = :d"), {"d": name}
        )
        try:
            yield
        finally:
            server.execute(text(f"ALTER DATABASE {name} ALLOW_CONNECTIONS true"))
    engine.dispose()


def test_every_part_is_scraped_and_tells_what_the_specification_says(watch: Watch) -> None:
    parts = len(watch.region.stack.endpoints.metrics)
    eventually(lambda: len(watch.ask("up == 1")) == parts, "every part is scraped")
    edit(watch)
    eventually(lambda: watch.ask("jisr_change_delay_seconds_count"), "the edit has been taken in")
    names = {one["metric"]["__name__"] for one in watch.ask('{__name__=~"jisr_.+"}')}
    told = {re.sub(r"_(bucket|sum|count)$", "", name) for name in names}
    specified = {one.name: one for table, _ in PARTS.values() for one in table}
    assert told <= specified.keys()
    # What has labels and is counted is there from its first time on.
    always = {name for name, one in specified.items() if one.given or not one.labels}
    busy = {"jisr_changes_total", "jisr_change_delay_seconds", "jisr_published_total", "jisr_connector_up"}
    assert sorted((always | busy) - told - RARE) == []


def test_delays_are_measured_from_commit_to_commit(watch: Watch) -> None:
    def counted() -> Mapping[str, float]:
        found = watch.ask("jisr_connector_convergence_seconds_count")
        return {one["metric"]["agency"]: float(one["value"][1]) for one in found}

    before = counted()
    edit(watch)
    eventually(lambda: counted()["ads"] > before.get("ads", 0), "an edit is counted where it arrives")
    assert float(watch.ask('jisr_change_delay_seconds_count{agency="entraide"}')[0]["value"][1]) >= 1


def dashboard_queries() -> Iterator[tuple[str, str, str]]:
    """(dashboard, panel, query) of all of the dashboards that Grafana is given, in English."""
    for path in sorted((ROOT / "deploy" / "grafana" / "dashboards" / "en").glob("*.json")):
        for panel in json.loads(path.read_text(encoding="utf-8"))["panels"]:
            yield from ((path.stem, panel["title"], target["expr"]) for target in panel["targets"])


def test_every_query_of_the_dashboards_returns_data(watch: Watch) -> None:
    queries = list(dashboard_queries())
    assert {name for name, _, _ in queries} == {
        f"jisr-{name}" for name in ("overview", "agency", "pipeline", "matching", "capacity")
    }
    edit(watch)
    eventually(lambda: watch.ask("jisr:convergence_seconds:p99 > 0"), "an edit has arrived")
    empty = []
    for dashboard, panel, query in queries:
        expression = query.replace("$__rate_interval", "1m").replace("$agency", "ads")
        if not watch.ask(expression):
            empty.append((dashboard, panel, expression))
    assert empty == []


def test_the_overview_tells_who_is_converged(watch: Watch) -> None:
    states = [
        query for name, panel, query in dashboard_queries() if (name, panel) == ("jisr-overview", "Agencies")
    ]

    def converged() -> bool:
        found = {one["metric"]["agency"]: one["value"][1] for one in watch.ask(states[0])}
        return found == dict.fromkeys(watch.region.agreements, "0")

    eventually(converged, "all are converged")


def test_when_an_agencys_database_stops_the_right_alerts_fire_and_clear(watch: Watch) -> None:
    eventually(lambda: not watch.firing(), "nothing fires")
    away = {("JisrAgencyAway", "ads"), ("JisrConvergenceLate", "ads")}
    with stopped(watch.region, "ads"):
        edit(watch)
        # These, and nobody else is blamed.
        eventually(lambda: watch.firing() == away, "the alerts fire")
    eventually(lambda: not watch.firing(), "the alerts clear")
