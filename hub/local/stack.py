"""The composition: what `jisr up`, the demo and the tests start, as one object."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Literal, Self

import psycopg

from hub.contracts.kafka_connection import KafkaConnection
from hub.errors import Fatal
from hub.local import jars, kafka, ports, postgres, process_tree, tls
from hub.local.data_folder import DataFolder
from hub.local.process_spec import ProcessEvent, ProcessSpec, ProcessStatus
from hub.local.processes import Supervisor

PROJECT = jars.LOCK_FILE.parents[2]
STORE_DATABASE = "jisr_hub"
_SUPERUSER_SECRET = "postgres-superuser"  # noqa: S105  (the name of its file)


@dataclass(frozen=True)
class AgencyDatabase:
    """The database that stands for an agency's own system."""

    name: str
    kind: Literal["postgresql", "sqlite"] = "postgresql"

    @property
    def database(self) -> str:
        """Role and database on PostgreSQL; the prefix keeps any agency's name apart from ours."""
        return f"agency_{self.name.replace('-', '_')}"


@dataclass(frozen=True)
class SecureEndpoint:
    """Kafka's listener with TLS and passwords; `password_files` by user."""

    bootstrap: str
    ca_file: str
    password_files: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Endpoints:
    """Where everything answers. The URLs carry passwords: keep them as privately as the folder."""

    bootstrap: str
    store: str
    agencies: Mapping[str, str]
    registry: str | None = None
    metrics: Sequence[str] = ()
    console: str | None = None
    console_code: str | None = None
    secure: SecureEndpoint | None = None

    @property
    def kafka(self) -> KafkaConnection:
        """The plain listener, where one may do everything."""
        return KafkaConnection(self.bootstrap)


@dataclass(frozen=True)
class Progress:
    """A line for a person: `what` is done, in `seconds`. A process that died has a `detail`."""

    what: str
    seconds: float
    detail: str = ""


@dataclass(frozen=True)
class StackOptions:
    """What to start. `core` is Kafka and PostgreSQL with their databases; `full` is all of it.

    `home` is the data folder, `cache` the folder of the broker's jars. `populate` is called once the
    databases exist, while Kafka starts and before anything of ours runs: agencies' tables are made there.
    With `console`, the full stack has the console too. With `secure`, Kafka has a listener with TLS and
    passwords beside the plain one, and our processes speak there, each as its own user.
    `environment` is added to that of all our processes. `report` is called from several threads.
    """

    home: Path
    agencies: Sequence[AgencyDatabase] = ()
    processes: Literal["core", "full"] = "core"
    hub_workers: int = 1
    console: bool = False
    secure: bool = False
    kafka_profile: kafka.Profile = "fast-start"
    cache: Path = field(default_factory=jars.default_cache)
    project: Path = PROJECT
    schemas: Path = PROJECT / "schemas"
    agreements: Path = PROJECT / "deploy" / "agreements"
    connectors: Path = PROJECT / "deploy" / "connectors"
    populate: Callable[[Endpoints], None] | None = None
    environment: Mapping[str, str] = field(default_factory=dict)
    report: Callable[[Progress], None] = lambda _: None


class Stack:
    """The embedded stack. `with Stack(options) as stack:` starts all, and stops all whatever happens.

    One stack per data folder: a second one raises Fatal. What a killed one left is stopped first.
    """

    def __init__(self, options: StackOptions) -> None:
        self.options = options
        self.folder = DataFolder(options.home)
        self._cleanup = ExitStack()
        self._ports: dict[str, int] = {}
        self._endpoints: Endpoints | None = None
        self._phase = "starting"
        self._saving = threading.Lock()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    @property
    def endpoints(self) -> Endpoints:
        assert self._endpoints is not None, "the stack has not been started"
        return self._endpoints

    @endpoints.setter
    def endpoints(self, endpoints: Endpoints) -> None:
        self._endpoints = endpoints
        self._save()

    def start(self) -> None:
        """Start everything and return when all is ready. Blocks: seconds, and a download once.

        Raises Fatal or Retriable with what to mend, after stopping what was started.
        """
        self.folder.make()
        try:
            self._cleanup.enter_context(self.folder.locked())
            self._stop_leftovers()
            self.supervisor = Supervisor(self.folder.logs, self._on_event)
            self._cleanup.callback(self._stop_processes)
            self._start_core()
            if self.options.populate is not None:
                self.step("agencies populated", partial(self.options.populate, self.endpoints))
            if self.options.processes == "full":
                # Here, since it imports much of the hub, which a mere core does not need.
                from hub.local import services

                services.bring_up(self)
            self.await_kafka()
            self._phase = "ready"
            self._save()
        except (OSError, psycopg.Error) as error:  # a full disk, a folder of somebody else's
            self.stop()
            raise Fatal(f"the stack in {self.folder.home} cannot be started: {error}") from error
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """Stop everything, dependants first. Idempotent; blocks for the processes' graces at most."""
        self._cleanup.close()

    def run(self, specs: Sequence[ProcessSpec]) -> None:
        """Start more processes and return when they are ready. Raises StartError."""
        self.supervisor.start(specs)

    def await_kafka(self) -> None:
        """Return when Kafka is ready, which starts while other things are done; raises what it raised."""
        self._kafka_start.result()

    def step(self, what: str, action: Callable[[], object]) -> None:
        """Do something between two groups of processes, and report how long it took."""
        begun = time.monotonic()
        action()
        self.options.report(Progress(what, time.monotonic() - begun))

    def note(self, what: str) -> None:
        """Report something that took no time."""
        self.options.report(Progress(what, 0.0))

    def port(self, name: str) -> int:
        """A free port on 127.0.0.1, the same for that name at every start unless taken meanwhile."""
        self._ports = ports.assign([name], self._ports)
        return self._ports[name]

    # Faults, for tests and the demo.

    def kill(self, name: str) -> None:
        """SIGKILL; the supervisor brings the process back. `wait_ready` waits for it."""
        self.supervisor.kill(name)

    def wait_ready(self, name: str) -> None:
        """Block until the process is ready (again). Raises StartError after its deadline."""
        self.supervisor.wait_ready(name)

    def pause(self, name: str) -> None:
        """Freeze the process and all its descendants."""
        self.supervisor.pause(name)

    def resume(self, name: str) -> None:
        """Undo `pause`."""
        self.supervisor.resume(name)

    def restart(self, name: str, spec: ProcessSpec | None = None) -> None:
        """Stop the process in good order, start it again (as `spec` says), and return when it is ready."""
        self.supervisor.restart(name, spec)

    def rest(self, name: str) -> None:
        """Stop the process in good order; it stays stopped until `wake`."""
        self.supervisor.rest(name)

    def wake(self, name: str) -> None:
        """Start a process that rests, and return when it is ready."""
        self.supervisor.wake(name)

    def processes(self) -> list[ProcessStatus]:
        """All processes, in the order of their start."""
        return self.supervisor.processes()

    def cpu_s(self) -> dict[str, float]:
        """Processor seconds that each process has taken so far, its children included."""
        running = ((one.name, one.pid) for one in self.processes())
        return {name: process_tree.cpu_s(pid) for name, pid in running if pid is not None}

    # Databases.

    def create_database(self, name: str) -> str:
        """A PostgreSQL database with a role of its own, made if missing; returns its URL."""
        password = self.folder.secret(f"database-{name}")
        postgres.ensure_database(self._ports["postgres"], self._superuser_password, name, password)
        return postgres.url(self._ports["postgres"], name, password)

    def drop_database(self, name: str) -> None:
        """Remove a PostgreSQL database, its connections and its role."""
        postgres.drop_database(self._ports["postgres"], self._superuser_password, name)

    def copy_database(self, name: str, copy: str) -> None:
        """Make `copy` of a PostgreSQL database as it is now, as a backup does; its clients are sent away."""
        postgres.copy_database(self._ports["postgres"], self._superuser_password, name, copy)

    def set_back_database(self, name: str, copy: str) -> None:
        """Put a copy of it in place of a PostgreSQL database, as a restore does; the copy is used up."""
        postgres.set_back_database(self._ports["postgres"], self._superuser_password, name, copy)

    def superuser_url(self, database: str = "postgres") -> str:
        """For tests that look at the server from above; no process is given it."""
        port, password = self._ports["postgres"], self._superuser_password
        return postgres.url(port, postgres.SUPERUSER, password, database)

    @property
    def _superuser_password(self) -> str:
        return self.folder.secret(_SUPERUSER_SECRET)

    # Starting and stopping.

    def _start_core(self) -> None:
        """PostgreSQL and the databases; Kafka, which takes longest, gets ready in the meantime."""
        known = self.folder.read_state().get("ports", {})
        self._ports = ports.assign(["kafka", "kafka-controller", "postgres"], known)
        self._listener: kafka.SecureListener | None = None
        self._secure: SecureEndpoint | None = None
        if self.options.secure:
            certificate, port = tls.broker_certificate(self.folder.tls), self.port("kafka-secure")
            self._listener = kafka.SecureListener(port, certificate.keystore)
            self._secure = SecureEndpoint(f"{ports.LOOPBACK}:{port}", str(certificate.ca_file))
        self._save()
        pool = ThreadPoolExecutor(1, thread_name_prefix="kafka")
        self._kafka_start = pool.submit(self._start_kafka)
        pool.shutdown(wait=False)
        self._start_postgres()
        self.step("databases ready", self._make_databases)

    def _start_kafka(self) -> None:
        pinned = jars.read_lock()
        if jars.missing(pinned, self.options.cache):
            what = f"Kafka's {len(pinned)} jars fetched and verified"
            self.step(what, lambda: jars.ensure(pinned, self.options.cache, self._go_on))
        paths = [self.options.cache / jar.file_name for jar in pinned]
        broker, controller = self._ports["kafka"], self._ports["kafka-controller"]
        profile, data = self.options.kafka_profile, self.folder.kafka
        program = kafka.prepare(data, paths, profile, broker, controller, self._listener)
        self.run([kafka.spec(program, data, broker)])

    def _go_on(self, _: jars.PinnedJar) -> None:
        """Raise once the stack is being stopped: Ctrl-C need not wait for the rest of a download."""
        if self._phase != "starting":
            raise Fatal("the stack was stopped during its start")

    def _start_postgres(self) -> None:
        account = postgres.account_for(self.folder.postgres)
        password = self._superuser_password
        data = postgres.prepare(self.folder.postgres, account, password)
        self.run([postgres.spec(data, account, self._ports["postgres"], password)])

    def _make_databases(self) -> None:
        self.endpoints = Endpoints(
            bootstrap=f"{ports.LOOPBACK}:{self._ports['kafka']}",
            store=self.create_database(STORE_DATABASE),
            agencies={agency.name: self._agency_url(agency) for agency in self.options.agencies},
            secure=self._secure,
        )

    def _agency_url(self, agency: AgencyDatabase) -> str:
        if agency.kind == "postgresql":
            return self.create_database(agency.database)
        return f"sqlite:///{self.folder.agencies / agency.name}.sqlite3"

    def _stop_leftovers(self) -> None:
        """A supervisor that was killed took its processes along where the kernel helps; elsewhere,
        and if it failed to, they would hold the ports and data of this start."""
        left = self.folder.read_state().get("processes", [])
        found = process_tree.stop_leftovers((it["pid"], it["created"]) for it in left)
        if found:
            self.note(f"{len(found)} processes of a killed stack stopped")

    def _stop_processes(self) -> None:
        self._phase = "stopping"
        self.supervisor.stop()
        self._phase = "stopped"
        self._save()

    def _on_event(self, event: ProcessEvent) -> None:
        self._save()
        if event.kind in ("ready", "died"):
            self.options.report(Progress(f"{event.name} {event.kind}", event.seconds, event.detail))

    def _save(self) -> None:
        with self._saving:  # several threads tell of events, and the last word must be the newest
            processes = [
                {"name": status.name, "pid": status.pid, "created": status.created}
                for status in self.supervisor.processes()
                if status.pid is not None
            ]
            self.folder.write_state(
                {
                    "phase": self._phase,
                    "supervisor": {"pid": os.getpid(), "created": process_tree.created(os.getpid())},
                    "ports": self._ports,
                    "endpoints": self._endpoints and asdict(self._endpoints),
                    "processes": processes,
                }
            )
