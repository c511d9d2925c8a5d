"""The stage of fault tests: one running stack with a small region, reused round after round."""

from __future__ import annotations

import os
import shutil
import signal
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, suppress
from pathlib import Path

import psutil
import psycopg
from kafka.errors import KafkaError
from psycopg import sql
from sqlalchemy.engine import make_url
from sqlalchemy.exc import DBAPIError

from faults import oracle
from faults.ledger import Ledger
from faults.schedule import AT_START, Round, Step
from faults.staff import Staff
from faults.stock import Stock
from hub import crash
from hub.local import services
from hub.local.demo.agencies.databases import AGENCY_DATABASES
from hub.local.demo.loading import expected_rows, rows_held
from hub.local.demo.population import population
from hub.local.demo.quiet import Quiet
from hub.local.demo.region import Region
from hub.local.demo.story.scene import Scene
from hub.local.stack import PROJECT, AgencyDatabase
from hub.settings import read_secret

# What is drawn follows from it: who lives there, and which faults when.
SEED = int(os.environ.get("FAULTS_SEED") or 1)
WORKERS = 2
# However slow the machine: what takes longer than this does not come to rest.
_SETTLES_WITHIN_S = 240.0
_LOOK_EVERY_S = 0.1
_BETWEEN_EDITS_S = 0.03
_UNDER_LOAD_S = 0.01
_AWAY_S = 3.0
# Each at another person: the hub stops answering agencies that contend over one for long (R19).
_MEANWHILE = ("phone_at_entraide", "commune_at_region", "phone_at_ads")
# Points that such edits do not lead to.
_TO_PASS = {"tombstone.sent": ("receive", "dismiss")}
_MAPPINGS = PROJECT / "deploy" / "connectors"
_LATE = "health"
_BACKENDS = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s"
_ALLOW = "ALTER DATABASE {} WITH ALLOW_CONNECTIONS {}"


class Stage:
    """Everything that runs, and what was done to it. `with Stage(...) as stage` starts and stops all."""

    def __init__(self, people: int, seed: int) -> None:
        # Not pytest's own temporary folder: as root, PostgreSQL runs as another user, who may not enter it.
        self._base = Path(tempfile.mkdtemp(prefix="jisr-faults-"))
        self.crashes = self._base / "crashes"
        self.crashes.mkdir()
        self.caught: set[str] = set()
        self.ledger = Ledger()
        self._spare = 10_000_000
        self._restarts: list[Future[None]] = []
        self._pool = ThreadPoolExecutor(1)
        self._cleanup = ExitStack()
        self._cleanup.callback(self._pool.shutdown)
        self.region = Region(
            self._base / "stack",
            population(people, seed),
            WORKERS,
            lambda _: None,
            agreements=self._agreements(),
            connectors=self._mappings(),
            # Whole topics are repeated: nothing is to wait for a person.
            environment={
                crash.VARIABLE: str(self.crashes),
                "JISR_BRAKE_UPDATES": "1000000000",
                "JISR_BRAKE_DELETES": "1000000000",
            },
        )

    def __enter__(self) -> Stage:
        self._cleanup.callback(shutil.rmtree, self._base, ignore_errors=True)
        try:
            self._start()
        except BaseException:
            self._cleanup.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._thaw_all()
        self._cleanup.close()

    def _agreements(self) -> Path:
        """Those of the release, and one of an agency that speaks by Kafka alone."""
        folder = self._base / "agreements"
        shutil.copytree(PROJECT / "deploy" / "agreements", folder)
        shutil.copy(Path(__file__).parent / "agreements" / "youth.yaml", folder)
        return folder

    def _mappings(self) -> Path:
        """Those of the release, but for the agency that joins a hub at work."""
        folder = self._base / "connectors"
        shutil.copytree(_MAPPINGS, folder)
        (folder / f"{_LATE}.yaml").unlink()
        return folder

    def _join_late(self) -> None:
        """The last agency joins; the worker that lets it in is killed at that moment."""
        for point in AT_START:
            crash.arm(self.crashes, point)
        shutil.copy(_MAPPINGS / f"{_LATE}.yaml", self._base / "connectors")
        stack = self.region.stack
        stack.run([services.connector(stack, AgencyDatabase(_LATE, AGENCY_DATABASES[_LATE][0]))])
        self.until(lambda: not crash.pending(self.crashes), "an agency is let in")
        self.caught.update(AT_START)

    def _start(self) -> None:
        self._cleanup.callback(self.region.stop)
        self.region.start()
        self.quiet = Quiet(self.region)
        self._cleanup.callback(self.quiet.close)
        self.scene = Scene(self.region)
        self._cleanup.callback(self.scene.close)
        self.staff = Staff(self.scene, self.ledger)
        self.stock = Stock(self.region, self.ledger)
        self._cleanup.callback(self.stock.close)
        self.initial = {
            (agency, record_type): frozenset(rows)
            for agency, tables in oracle.read_rows(self.region.site).items()
            for record_type, rows in tables.items()
        }
        self._join_late()
        goal = expected_rows(self.region)
        self.until(lambda: all(n >= goal[a] for a, n in rows_held(self.region).items()), "the load converges")
        self.settle()

    # What a schedule says

    def play(self, round_: Round) -> list[str]:
        """Do all steps, let everything come to rest, ask the oracle; returns what is wrong."""
        try:
            for step in round_.steps:
                self.act(step)
            self._thaw_all()
            while self._restarts:
                self._restarts.pop().result()
            self.settle()
        except AssertionError as error:
            return [str(error)]
        return self.verdict()

    def act(self, step: Step) -> None:
        """Do one step, and wait for nothing."""
        getattr(self, f"_{step.kind}")(step)

    def verdict(self) -> list[str]:
        secret = read_secret(self.region.stack.folder.secret_file("hub"), "the hub's secret")
        return oracle.judge(oracle.collect(self.region.site, self.ledger, self.initial, secret))

    def settle(self) -> None:
        """Wait until nothing is under way any more."""
        before: list[object] = [None]

        def resting() -> bool:
            now, last = self.quiet.look(), before[0]
            before[0] = now
            # Twice with nothing new in between: what was looked at first may have moved on meanwhile.
            return now is not None and now == last

        self.until(resting, "everything comes to rest")

    def until(self, look: Callable[[], bool], what: str) -> None:
        """Wait until something holds; what is away just now cannot be asked."""
        deadline = time.monotonic() + _SETTLES_WITHIN_S
        trouble = ""
        while True:
            try:
                if look():
                    return
            except (DBAPIError, KafkaError, psycopg.Error) as error:
                trouble = f" ({type(error).__name__})"
            assert time.monotonic() < deadline, f"not within {_SETTLES_WITHIN_S:.0f} s: {what}{trouble}"
            time.sleep(_LOOK_EVERY_S)

    def _edit(self, step: Step) -> None:
        self.staff.edit(step)
        time.sleep(_BETWEEN_EDITS_S)

    def _pass(self, _: Step) -> None:
        """Let some seconds go by: long enough for everybody to notice what is away."""
        time.sleep(_AWAY_S)

    def _arm(self, step: Step) -> None:
        crash.arm(self.crashes, step.what, step.number)

    def _freeze(self, step: Step) -> None:
        crash.arm(self.crashes, step.what, step.number, signal.SIGSTOP)

    def _caught(self, step: Step) -> None:
        """Wait until somebody was caught at a point; people go on working meanwhile."""

        def caught() -> bool:
            if step.what not in crash.pending(self.crashes):
                return True
            self._meanwhile(_TO_PASS.get(step.what, _MEANWHILE))
            return False

        self.until(caught, f"somebody passes {step.what}")
        self.caught.add(step.what)

    def _meanwhile(self, kinds: Sequence[str] = _MEANWHILE) -> None:
        """One edit that no schedule says."""
        self._spare += 1
        self.staff.edit(Step("edit", kinds[self._spare % len(kinds)], self._spare, self._spare))

    def _thaw(self, step: Step) -> None:
        """Let whoever is frozen go on, once others have done what there was to do, as far as they can."""
        stopped = self._frozen()
        names = {one.pid: one.name for one in self.region.stack.processes()}
        assert stopped, f"nobody is frozen at {step.what}"
        if any(names[one.pid].startswith("hub-") for one in stopped):
            # A connector has nobody to take over from it; what it would do waits.
            self.settle()
        self._thaw_all()

    def _thaw_all(self) -> None:
        for one in self._frozen():
            one.send_signal(signal.SIGCONT)

    def _frozen(self) -> list[psutil.Process]:
        found = []
        for status in self.region.stack.processes():
            with suppress(psutil.NoSuchProcess):  # it has just died, and comes back
                if status.pid is not None:
                    process = psutil.Process(status.pid)
                    if process.status() == psutil.STATUS_STOPPED:
                        found.append(process)
        return found

    def _kill(self, step: Step) -> None:
        self.region.stack.wait_ready(step.what)
        self.region.stack.kill(step.what)

    def _restart(self, step: Step) -> None:
        """Stop and start a worker in good order, while people go on working."""
        self.region.stack.wait_ready(step.what)
        self._restarts.append(self._pool.submit(self.region.stack.restart, step.what))

    def _join(self, step: Step) -> None:
        """Another hub worker begins to work, while people go on working."""
        stack = self.region.stack
        if step.what not in {one.name for one in stack.processes()}:
            number = int(step.what.removeprefix("hub-"))
            spec = services.hub_worker(stack, number)
            self._restarts.append(self._pool.submit(stack.run, [spec]))

    def _die(self, step: Step) -> None:
        """A worker or connector is killed, and comes back while people go on working."""
        self._kill(step)
        self._restarts.append(self._pool.submit(self.region.stack.wait_ready, step.what))

    def _busy(self, _: Step) -> None:
        """People work, without a pause, until everybody who starts is there."""
        while self._restarts:
            self._meanwhile()
            time.sleep(_UNDER_LOAD_S)
            if self._restarts[-1].done():
                self._restarts.pop().result()

    def _database(self, name: str) -> str:
        endpoints = self.region.stack.endpoints
        url = endpoints.store if name == "store" else endpoints.agencies[name]
        return str(make_url(url).database)

    def _as_superuser(self, *statements: tuple[sql.Composable | str, tuple[object, ...]]) -> None:
        def act() -> bool:
            url = make_url(self.region.stack.superuser_url()).set(drivername="postgresql")
            with psycopg.connect(url.render_as_string(hide_password=False), autocommit=True) as connection:
                for statement, values in statements:
                    connection.execute(statement, values or None)
            return True

        self.until(act, "PostgreSQL lets its superuser in")

    def _cut(self, step: Step) -> None:
        self._as_superuser((_BACKENDS, (self._database(step.what),)))

    def _away(self, step: Step) -> None:
        name = self._database(step.what)
        refuse = sql.SQL(_ALLOW).format(sql.Identifier(name), sql.SQL("false"))
        self._as_superuser((refuse, ()), (_BACKENDS, (name,)))

    def _back(self, step: Step) -> None:
        name = sql.Identifier(self._database(step.what))
        self._as_superuser((sql.SQL(_ALLOW).format(name, sql.SQL("true")), ()))

    def _repeat(self, step: Step) -> None:
        self.stock.repeat(step)

    def _poison(self, step: Step) -> None:
        self.stock.poison(step, self.region.local_ids["ads"][min(self.region.local_ids["ads"])])

    def _youth(self, step: Step) -> None:
        if not self.staff.newcomers:
            self.staff.edit(Step("edit", "receive", 0, step.serial + 40_000_000))
        if self.staff.newcomers:
            _, who = self.staff.newcomers[step.number % len(self.staff.newcomers)]
            self.stock.speak(step, who)
