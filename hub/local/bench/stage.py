"""The stage of a measurement: the embedded stack with one source and some targets, all of one table.

Each agency may know all fields of everybody, so that every change goes to every target.
"""

from __future__ import annotations

import shutil
import tempfile
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any, Self

import psutil  # type: ignore[import-untyped]
import psycopg
from sqlalchemy import Engine, create_engine

from hub.contracts.agreements import load_agreements
from hub.contracts.records import Catalogue
from hub.errors import Fatal
from hub.local.bench.workload import COLUMNS, TABLE, Row, fill
from hub.local.demo.desk import Desk
from hub.local.demo.quiet import Quiet, pause_s
from hub.local.kafka import Profile
from hub.local.stack import AgencyDatabase, Endpoints, Progress, Stack, StackOptions

SOURCE = "source"
_SAMPLE_S = 0.5
_ASK_EVERY_S = 0.05
_READY_WITHIN_S = 120.0
_AGREEMENT = """\
agency: {agency}
name: {{ar: "{agency}", fr: "{agency}", en: "{agency}"}}
until: 2099-12-31
snapshot: true
publishes:
  person: [{fields}]
receives:
  person:
    fields: [{fields}]
    purpose: social-integration
    legal_basis: public-mission
    create: {create}
"""
_MAPPING = """\
agency: {agency}
records:
  person:
    tables:
      - table: beneficiary
        key: id
        fields: {{{fields}}}
"""
# Every person as one line, in one order: what is equal here is equal in every field.
_DIGEST = """
    SELECT count(*), coalesce(md5(string_agg(line::text, chr(10) ORDER BY line::text)), '')
    FROM (SELECT to_jsonb(b) - 'id' - 'languages'
                 || jsonb_build_object('languages', ARRAY(SELECT unnest(languages) ORDER BY 1)) AS line
          FROM beneficiary b)
"""


def target(number: int) -> str:
    return f"target-{number}"


class Stage:
    """A running stack of a source and `targets` targets, of which the first knows `known` people already.

    Entering starts it and returns once all agencies have joined; leaving stops it and removes its data.
    `environment`: settings of workers and connectors besides.
    """

    def __init__(
        self,
        targets: int,
        known: Sequence[Row],
        report: Callable[[Progress], None],
        kafka_profile: Profile = "load",
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self.targets = [target(number) for number in range(1, targets + 1)]
        self._known = known
        self._kafka_profile = kafka_profile
        self._environment = environment or {}
        self._report = report
        self._cleanup = ExitStack()
        self.desks: dict[str, Desk] = {}
        self.peak_mb: dict[str, float] = {}

    def __enter__(self) -> Self:
        try:
            self._start()
        except BaseException:
            self._cleanup.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._cleanup.close()

    @property
    def bootstrap(self) -> str:
        return self.stack.endpoints.bootstrap

    def url(self, agency: str) -> str:
        """For psycopg."""
        return self.stack.endpoints.agencies[agency].replace("+psycopg", "", 1)

    def pause(self, *agencies: str) -> None:
        """Freeze the connectors of these agencies."""
        for agency in agencies:
            self.stack.pause(f"connector-{agency}")

    def resume(self, *agencies: str) -> None:
        for agency in agencies:
            self.stack.resume(f"connector-{agency}")

    def settle(self, within_s: float) -> None:
        """Return once nothing is under way between any two; raises `Fatal` if that takes too long."""
        if not self.quiet.wait(within_s):
            raise Fatal(
                f"the stack did not come to rest within {within_s:.0f} s: its logs are in {self.logs}"
            )

    def idle(self, agency: str) -> bool:
        """Whether everything that was captured at the agency is in Kafka."""
        return not self.desks[agency].one("SELECT EXISTS (SELECT FROM jisr_changes)")

    def last_commit_s(self) -> float:
        """When a target last committed something from the hub, in seconds since 1970."""
        return self.quiet.last_commit_s()

    def wait(self, reached: Callable[[], bool], within_s: float) -> None:
        """Return once `reached`, asked again and again; raises `Fatal` if that takes too long."""
        deadline = time.monotonic() + within_s
        while (began := time.monotonic()) < deadline:
            if reached():
                return
            time.sleep(pause_s(began, _ASK_EVERY_S))
        raise Fatal(f"no end within {within_s:.0f} s: the stack's logs are in {self.logs}")

    def check(self) -> None:
        """Raises `Fatal` unless every target holds exactly the people of the source, alike in every field."""
        held = {agency: self.desks[agency].ask(_DIGEST)[0] for agency in (SOURCE, *self.targets)}
        if len(set(held.values())) != 1:
            raise Fatal(f"the agencies do not hold the same: {held}")

    # How

    def _start(self) -> None:
        home = Path(tempfile.mkdtemp(prefix="jisr-bench-"))
        self.logs = home / "data" / "logs"
        self._cleanup.callback(shutil.rmtree, home, ignore_errors=True)
        agencies = [SOURCE, *self.targets]
        for folder in ("agreements", "connectors"):
            (home / folder).mkdir()
        for agency in agencies:
            # The source inserts people itself; given those whom others know, it would have them twice.
            create = "false" if agency == SOURCE else "true"
            agreement = _AGREEMENT.format(agency=agency, fields=", ".join(COLUMNS), create=create)
            mapping = _MAPPING.format(agency=agency, fields=", ".join(f"{c}: {c}" for c in COLUMNS))
            (home / "agreements" / f"{agency}.yaml").write_text(agreement, encoding="utf-8")
            (home / "connectors" / f"{agency}.yaml").write_text(mapping, encoding="utf-8")
        options = StackOptions(
            home=home / "data",
            agencies=[AgencyDatabase(agency) for agency in agencies],
            processes="full",
            kafka_profile=self._kafka_profile,
            agreements=home / "agreements",
            connectors=home / "connectors",
            populate=self._populate,
            report=self._report,
            # The workload changes two thirds of its people at once: what brakes are for. They go on counting.
            environment={"JISR_BRAKE_UPDATES": "1000000000", **self._environment},
        )
        self.stack = Stack(options)
        self._cleanup.enter_context(self.stack)
        catalogue = Catalogue.load(options.schemas / "records")
        self.agreements = load_agreements(options.agreements, catalogue)
        self.store: Engine = create_engine(self.stack.endpoints.store, pool_size=1)
        self._cleanup.callback(self.store.dispose)
        self.quiet = Quiet(self)
        self._cleanup.callback(self.quiet.close)
        self._sample()
        self.settle(_READY_WITHIN_S)

    def _populate(self, endpoints: Endpoints) -> None:
        for agency, url in endpoints.agencies.items():
            with psycopg.connect(url.replace("+psycopg", "", 1)) as connection:
                connection.execute(TABLE)
            self.desks[agency] = Desk(agency, url)
            self._cleanup.callback(self.desks[agency].close)
        fill(endpoints.agencies[target(1)].replace("+psycopg", "", 1), self._known)

    def _processes(self) -> dict[str, Any]:
        found = {}
        for one in self.stack.processes():
            with suppress(psutil.Error):
                if one.pid is not None:
                    found[one.name] = psutil.Process(one.pid)
        return found

    def _sample(self) -> None:
        """Note the most memory that each process takes, until the stage is left."""
        done = threading.Event()

        def sample() -> None:
            while not done.wait(_SAMPLE_S):
                for name, process in self._processes().items():
                    with suppress(psutil.Error):
                        now = process.memory_info().rss / 2**20
                        self.peak_mb[name] = max(self.peak_mb.get(name, 0.0), round(now, 1))

        thread = threading.Thread(target=sample, name="memory", daemon=True)
        thread.start()
        self._cleanup.callback(thread.join)
        self._cleanup.callback(done.set)
