"""The drill of docs/operations.md on the whole stack: a store is lost, set back, and built anew (R31)."""

from __future__ import annotations

import json
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from kafka import KafkaAdminClient, TopicPartition
from sqlalchemy import text
from sqlalchemy.engine import make_url

from hub.contracts import topics
from hub.local import services
from hub.local.demo.agencies.databases import AGENCY_DATABASES
from hub.local.demo.audit import read_rows
from hub.local.demo.kept import read_kept
from hub.local.demo.population import population
from hub.local.demo.quiet import Quiet
from hub.local.demo.region import Region
from hub.local.demo.story.people import ADS_PHONE, ENTRAIDE_PHONE, SET_ADS_PHONE, Known, received
from hub.local.demo.story.scene import Scene
from hub.local.process_spec import ProcessSpec
from hub.local.stack import AgencyDatabase
from hub.ops.log_reader import LogReader
from hub.store.tables import metadata

PEOPLE = 25
# However slow the machine.
WITHIN_S = 240.0
TABLES = [f'"{name}"' for name in metadata.tables]
HOLDINGS = "SELECT agency, record_type, sum(entities) FROM holding GROUP BY 1, 2 HAVING sum(entities) > 0"
CROSSWALK = "SELECT id, entity, seen, ended FROM record"
# The transaction that wrote each row last: whoever writes a row, though it be the same, shows here.
WRITTEN = {
    "ads": "SELECT id_beneficiaire, CAST(xmin AS text) FROM beneficiaire",
    "entraide": 'SELECT "رقم_الملف", CAST(xmin AS text) FROM "المستفيدون"',
    "health": "SELECT patient_id, CAST(xmin AS text) FROM patient",
}


@pytest.fixture(scope="module")
def region() -> Iterator[Region]:
    """Four agencies with their people, connectors and all; the worker is the tests' own."""
    base = Path(tempfile.mkdtemp(prefix="jisr-drill-"))
    made = Region(base / "stack", population(PEOPLE, 7), 0, lambda _: None)
    try:
        made.start()
        yield made
    finally:
        made.stop()
        shutil.rmtree(base, ignore_errors=True)


@pytest.fixture(scope="module")
def scene(region: Region) -> Iterator[Scene]:
    """Whoever acts at the agencies: one for all tests, or the same people would come twice."""
    with closing(Scene(region)) as acting:
        yield acting


class Worker:
    """A hub worker that tests start and stop."""

    def __init__(self, region: Region) -> None:
        self._spec = services.hub_worker(region.stack, 0)
        self._process: subprocess.Popen[bytes] | None = None
        self._said = region.stack.options.home / "worker.txt"

    def end(self) -> str:
        """Wait until it ends by itself; what it said."""
        assert self._process is not None
        self._process.wait(WITHIN_S)
        self._process = None
        return self._said.read_text(encoding="utf-8")

    def run(self) -> None:
        """Start it unless it runs; returns when it is ready."""
        if self._process is not None:
            return
        spec = self._spec
        with self._said.open("wb") as said:
            self._process = process = subprocess.Popen(spec.argv, env=spec.env, cwd=spec.cwd, stderr=said)
        until(lambda: process.poll() is not None or ready(self._spec))
        assert process.poll() is None, "the worker has ended"

    def stop(self) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        process.terminate()
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


@pytest.fixture(scope="module")
def worker(region: Region) -> Iterator[Worker]:
    made = Worker(region)
    yield made
    made.stop()


def ready(spec: Any) -> bool:
    try:
        return bool(spec.ready())
    except Exception:
        return False


def until(look: Any) -> None:
    deadline = time.monotonic() + WITHIN_S
    while not look():
        assert time.monotonic() < deadline, "it did not come to be so"
        time.sleep(0.1)


def refusal(region: Region) -> str:
    """What a worker that does not run says."""
    spec = services.hub_worker(region.stack, 0)
    ended = subprocess.run(
        spec.argv, env=spec.env, cwd=spec.cwd, capture_output=True, text=True, timeout=WITHIN_S, check=False
    )
    assert ended.returncode != 0
    return ended.stderr


def rebuild(region: Region, *arguments: str) -> subprocess.CompletedProcess[str]:
    return jisr(services.hub_worker(region.stack, 0), "rebuild", *arguments)


def jisr(spec: ProcessSpec, *arguments: str) -> subprocess.CompletedProcess[str]:
    """A command, in the environment of a process of ours."""
    own = next(place for place, word in enumerate(spec.argv) if word in ("hub", "connector"))
    return subprocess.run(
        [*spec.argv[:own], *arguments],
        env=spec.env,
        capture_output=True,
        text=True,
        timeout=WITHIN_S,
        check=False,
    )


def at_rest(region: Region) -> None:
    with closing(Quiet(region)) as quiet:
        assert quiet.wait(WITHIN_S), "it does not come to rest"


def evidence(region: Region) -> dict[str, Any]:
    """All that must be as it was: rows, who wrote them, who is who, what is believed, who holds how much."""
    kept = read_kept(region.bootstrap, region.catalogue, region.events)
    with region.store.connect() as store:
        holdings = sorted(map(tuple, store.execute(text(HOLDINGS))))
        crosswalk = sorted(tuple(map(_plain, row)) for row in store.execute(text(CROSSWALK)))
    return {
        "status": standings(region),
        "rows": read_rows(region.site),
        "written": {agency: sorted(region.desks[agency].ask(sql)) for agency, sql in WRITTEN.items()},
        "crosswalk": crosswalk,
        "published crosswalk": kept.entity_of,
        "states": kept.states,
        "golden": {
            kind: {key: {**one, "version": 0} for key, one in those.items()}
            for kind, those in kept.golden.items()
        },
        "holdings": holdings,
    }


def standings(region: Region) -> list[dict[str, Any]]:
    """What `jisr status` counts, once every agency has acknowledged all; without what depends on the time."""
    spec = services.hub_worker(region.stack, 0)
    told = jisr(spec, "status", "--json", "--wait-converged", "--timeout", str(WITHIN_S))
    assert told.returncode == 0, told.stderr
    counted = json.loads(told.stdout)["standings"]
    return [{name: n for name, n in one.items() if isinstance(n, (int, str))} for one in counted]


def _plain(value: Any) -> Any:
    return bytes(value) if isinstance(value, (memoryview, bytes)) else value


def differing(before: dict[str, Any], now: dict[str, Any]) -> list[str]:
    return [name for name in before if before[name] != now[name]]


def epochs(region: Region) -> set[int]:
    kept = read_kept(region.bootstrap, region.catalogue, region.events)
    return {one["version"] >> 40 for those in kept.golden.values() for one in those.values()}


def as_owner(region: Region, *statements: str) -> None:
    with region.store.begin() as store:
        for statement in statements:
            store.exec_driver_sql(statement)
    region.store.dispose()


def test_r31_the_drill_of_a_lost_store(region: Region, worker: Worker, scene: Scene) -> None:
    worker.run()
    at_rest(region)
    before = evidence(region)
    worker.stop()
    as_owner(region, f"DROP TABLE {', '.join(TABLES)}, alembic_version")
    assert "`jisr rebuild`" in refusal(region)
    done = rebuild(region, "--yes")
    assert done.returncode == 0, done.stderr
    assert "built in epoch 1" in done.stdout
    worker.run()
    at_rest(region)
    assert differing(before, evidence(region)) == []
    assert epochs(region) == {1}
    an_edit_flows(scene, received(scene, phone=scene.phone()))


@pytest.mark.campaign
def test_r18_the_drill_of_a_store_of_yesterday(region: Region, worker: Worker, scene: Scene) -> None:
    worker.run()
    known = received(scene, phone=scene.phone())
    at_rest(region)
    copies = (f"CREATE TABLE yesterday.{t} AS TABLE {t}" for t in TABLES)
    as_owner(region, "CREATE SCHEMA yesterday", *copies)
    received(scene, phone=scene.phone())
    an_edit_flows(scene, known)
    at_rest(region)
    now = evidence(region)
    put_back = (f"INSERT INTO {t} OVERRIDING SYSTEM VALUE TABLE yesterday.{t}" for t in TABLES)
    as_owner(region, f"TRUNCATE {', '.join(TABLES)}", *put_back, "DROP SCHEMA yesterday CASCADE")
    # The worker runs on, until it notices that its positions went back.
    assert "it was set back" in worker.end()
    assert "older than what it has published" in refusal(region)
    refused = rebuild(region, "--yes")
    name = make_url(region.stack.endpoints.store).database
    assert (refused.returncode, f"--replace {name}" in refused.stderr) == (1, True)
    done = rebuild(region, "--yes", "--replace", str(name))
    assert done.returncode == 0, done.stderr
    worker.run()
    at_rest(region)
    assert differing(now, evidence(region)) == []
    swept = jisr(services.hub_worker(region.stack, 0), "sweep")
    assert swept.returncode == 0, swept.stdout
    an_edit_flows(scene, known)


@pytest.mark.campaign
def test_r25_the_drill_of_a_gap(region: Region, worker: Worker, scene: Scene) -> None:
    worker.run()
    known = received(scene, phone=scene.phone())
    scene.find("ads", ADS_PHONE, id=known.ads)
    at_rest(region)
    worker.stop()
    phone = scene.phone()
    scene.edit("ads", SET_ADS_PHONE, phone=phone, id=known.ads)
    topic = topics.changes("ads", "person")
    lost(region, topic)
    said = refusal(region)
    assert f"{topic}[" in said
    assert "`jisr connector resnapshot FILE`" in said
    assert f"`jisr topics skip-gap {topic}`" in said
    connector = services.connector(region.stack, AgencyDatabase("ads", AGENCY_DATABASES["ads"][0]))
    again = jisr(connector, "connector", "resnapshot", str(connector.argv[-1]), "--yes")
    assert again.returncode == 0, again.stderr
    region.stack.restart(connector.name)
    spec = services.hub_worker(region.stack, 0)
    assert "nothing is changed" in jisr(spec, "topics", "skip-gap", topic).stdout
    why = ("--yes", "--who", "Salma", "--why", "said again")
    skipped = jisr(spec, "topics", "skip-gap", topic, *why)
    assert "the lane begins at what is there" in skipped.stdout, skipped.stderr
    worker.run()
    scene.see("entraide", phone, ENTRAIDE_PHONE, id=known.entraide)
    at_rest(region)
    assert "has no gap" in jisr(spec, "topics", "skip-gap", topic).stdout


def lost(region: Region, topic: str) -> None:
    """What a retention that is too short does: the unread edit comes to the topic, and is gone."""
    with closing(Quiet(region)) as quiet:
        until(lambda: not quiet.all_read())
    with closing(KafkaAdminClient(bootstrap_servers=region.bootstrap)) as admin:
        with closing(LogReader(region.stack.endpoints.kafka)) as log:
            ends = log.ends(log.places([topic])[0])
        admin.delete_records({TopicPartition(*place): end for place, end in ends.items()})


def an_edit_flows(scene: Scene, known: Known) -> None:
    """What is typed at one agency is read at another."""
    scene.find("ads", ADS_PHONE, id=known.ads)
    phone = scene.phone()
    scene.edit("ads", SET_ADS_PHONE, phone=phone, id=known.ads)
    scene.see("entraide", phone, ENTRAIDE_PHONE, id=known.entraide)
