"""The composition root: the only place where the hub's parts are wired.

`faust -A hub.app worker` and `jisr hub` run the same application. Nothing is read or opened on import:
`app` is made when it is first asked for.
"""

from __future__ import annotations

import gc
import tempfile
import time
from contextlib import closing
from pathlib import Path
from typing import Any

import click
import faust
import faust.app.base
from aiokafka import AIOKafkaProducer
from faust.web import Request, Response, View
from kafka import KafkaAdminClient
from prometheus_client import generate_latest

from hub.contracts import topics
from hub.contracts.agreements import load_agreements
from hub.contracts.certificates import Certificates, certificate_files
from hub.contracts.client_logs import quieten_clients
from hub.contracts.events import EventSchemas
from hub.contracts.kafka_connection import brief
from hub.contracts.policies import terms_by_type, type_policies
from hub.contracts.records import Catalogue
from hub.contracts.registry_client import NotRegistered, RegistryClient
from hub.contracts.subjects import event_subjects
from hub.core.tokens import Ids
from hub.errors import Retriable
from hub.lanes.intake_lane import IntakeLane
from hub.lanes.joining import Joining
from hub.lanes.joins import JoinBrakes
from hub.lanes.lane import Lane
from hub.lanes.log import LogWriter, make_producer
from hub.lanes.messages import Encoder
from hub.lanes.reading import Reading
from hub.lanes.receipts import ReceiptsLane
from hub.lanes.restores import Restores
from hub.lanes.stewards import StewardsIntake
from hub.listening import require_free
from hub.ops.behind import StoreCheck
from hub.ops.brakes import brake_limits
from hub.ops.counting import Counting
from hub.ops.gathering import Gatherer
from hub.ops.gauges import Gauges, LaneState
from hub.ops.parts import Parts, today
from hub.ops.sweeping import Sweeper
from hub.settings import HubSettings, load_settings
from hub.store.engine import HubStore
from hub.store.facts import epoch
from hub.store.migrate import migrate

# A lane that has not come round for this long is stuck: batches take seconds at worst.
STUCK_AFTER_S = 60.0
# How long Kafka may take to answer at all before a lane says that it waits.
_CONNECT_MS = 5_000


class Hub:
    """One worker's parts, built from its settings."""

    def __init__(self, settings: HubSettings) -> None:
        self.settings = settings
        self.catalogue = Catalogue.load(settings.schemas / "records")
        self.events = EventSchemas(settings.schemas / "events")
        self.agreements = load_agreements(settings.agreements, self.catalogue)
        self.terms = terms_by_type(self.agreements)
        self.ids = Ids(settings.secret())
        self.store = HubStore(settings.store_url)
        self.registry = RegistryClient(settings.registry_url, ca_file=settings.registry_ca_file)
        self.lanes: list[Lane] = []
        self.counting = Counting()
        self.gatherer = self._gatherer()
        self.sweeper = Sweeper(settings)
        self._producer: AIOKafkaProducer | None = None

    def make_lanes(self, app: faust.App) -> list[Lane]:
        """The lanes as services of `app`."""
        common: dict[str, Any] = {
            "kafka": self.settings.kafka,
            "group": self.settings.group,
            "worker": self.settings.worker_name,
            "store": self.store,
            "topic_ids": self._topic_ids,
            "observer": self.counting,
            "loop": app.loop,
            "beacon": app.beacon,
        }
        types = type_policies(self.catalogue)
        joining = Joining(
            self.agreements,
            self.terms,
            order=self.catalogue.dependency_order(),
            partitions=self.catalogue.partitions,
            types=types,
        )
        brakes = JoinBrakes(brake_limits(self.settings))
        intake = StewardsIntake(
            self.catalogue,
            types,
            self.terms,
            self.ids,
            self.store.begin,
            today,
            epoch=self._epoch(),
            joining=joining.agencies,
            brakes=brakes,
            foreign=joining.foreign,
        )
        changes = [
            topics.changes(name, record_type)
            for name, agreement in self.agreements.items()
            for record_type in agreement.publishes
        ]
        self.lanes = [
            IntakeLane(
                intake=intake,
                joining=joining,
                reading=self._reading,
                encoder=self._encoder,
                writer=self._writer,
                history_days=self.settings.history_days,
                verify=self._verify,
                restores=self._restores(intake, brakes),
                topics=changes,
                **common,
            ),
            ReceiptsLane(
                schema=self.events.plain("receipt"),
                schema_of=self.registry.schema_by_id,
                ids=self.ids,
                topics=[topics.receipts(name) for name in self.agreements],
                **common,
            ),
        ]
        return self.lanes

    def _restores(self, intake: StewardsIntake, brakes: JoinBrakes) -> Restores:
        said = [(a, kind) for a, agreement in self.agreements.items() for kind in agreement.publishes]
        made = [
            (a, kind)
            for a, agreement in self.agreements.items()
            for kind, grants in agreement.receives.items()
            if any(grant.create for grant in grants)
        ]
        partitions = self.catalogue.partitions
        return Restores(intake, brakes, self.store.begin, self.ids, partitions, said, made)

    def migrate(self) -> None:
        """Bring the store up to this release; raises `StoreAway` while it does not answer."""
        with self.store.begin():
            pass
        migrate(self.store.engine)

    def _gatherer(self) -> Gatherer:
        """What metrics tell of store and log; not started yet."""
        joining = Joining(self.agreements, self.terms)
        gatherer = Gatherer(
            self.settings.kafka, self.store, self.agreements, joining, self.counting.gathering_failed
        )
        registry = self.counting.measures.counted
        registry.register(Gauges(gatherer, self.agreements, self._lane_states))
        files = [*certificate_files(self.settings.certificate_files), *self.settings.kafka.certificate_files]
        registry.register(Certificates(files))
        return gatherer

    def _lane_states(self) -> list[LaneState]:
        return [LaneState(lane.name, lane.ready, lane.progress) for lane in self.lanes]

    def stuck(self) -> list[str]:
        """Lanes that have not come round lately."""
        oldest = time.monotonic() - STUCK_AFTER_S
        return [lane.name for lane in self.lanes if lane.progress < oldest]

    def _epoch(self) -> int:
        with self.store.begin() as tx:
            return epoch(tx)

    def _verify(self) -> None:
        """Refuse to run on a store that does not know what has been published."""
        with closing(Parts(self.settings)) as parts:
            StoreCheck(parts).run()

    def _reading(self) -> Reading:
        return Reading(self.catalogue, self.events, self.terms, self.ids, self.registry.schema_by_id)

    def _encoder(self) -> Encoder:
        # The release registers its schemas beforehand (`jisr schema register`); a worker needs no token.
        subjects = event_subjects(self.catalogue, self.events, self.agreements)
        try:
            found = {name: self.registry.lookup(name, schema) for name, schema in subjects.items()}
        except NotRegistered as error:
            raise Retriable(f"{error}; run `jisr schema register` for this release") from error
        return Encoder(self.catalogue, self.events, self.ids, found)

    async def _writer(self) -> LogWriter:
        if self._producer is None:
            producer = make_producer(self.settings.kafka, self.settings.worker_name)
            try:
                await producer.start()
            except BaseException:
                await producer.stop()
                raise
            # Only now: one that was never started would wait for the broker for ever, without a word.
            self._producer = producer
        return LogWriter(self._producer)

    def _topic_ids(self) -> dict[str, str]:
        """Kafka's ids of all topics: a topic made anew under an old name has another."""
        try:
            admin = KafkaAdminClient(**self.settings.kafka.options(), bootstrap_timeout_ms=_CONNECT_MS)
            try:
                return {topic["name"]: str(topic["topic_id"]) for topic in admin.describe_topics()}
            finally:
                admin.close()
        except Exception as error:
            trouble = self.settings.kafka.trouble()
            raise Retriable(f"Kafka does not tell its topics: {brief(error)}{trouble}") from error

    async def close(self) -> None:
        self.gatherer.close()
        self.sweeper.close()
        if self._producer is not None:
            await self._producer.stop()
        self.store.close()


class _LanesOnly(faust.app.base.BootStrategy):  # type: ignore[misc]
    """faust hosts the process and its web pages; the lanes have consumers and a producer of their own.

    faust's own consumer refuses to start without an agent's topics.
    """

    enable_kafka = False


class HubApp(faust.App):  # type: ignore[misc]
    """One hub worker."""

    BootStrategy = _LanesOnly


def make_app(settings: HubSettings) -> faust.App:
    """The faust application of one hub worker."""
    hub = Hub(settings)
    app = HubApp(
        f"{settings.group}-{settings.worker_name}",
        broker=f"aiokafka://{settings.bootstrap}",
        store="memory://",
        # Nothing is kept there (all state is in the store), but faust makes the folder.
        datadir=Path(tempfile.gettempdir()) / f"jisr-{settings.group}-{settings.worker_name}",
        topic_allow_declare=False,
        topic_disable_leader=True,
        web_host=settings.web_host,
        web_port=settings.web_port,
        web_bind=settings.web_host,
    )
    _serve_probes(app, hub)

    @app.service
    class Lanes(faust.Service):  # type: ignore[misc]
        """Migrates the store, then runs the lanes."""

        async def on_start(self) -> None:
            await self.loop.run_in_executor(None, hub.migrate)
            # A batch makes some hundred thousand objects that live as long as the batch; looking for
            # cycles among them again and again took a third of a worker's time.
            gc.collect()
            gc.freeze()
            gc.set_threshold(200_000, 20, 50)
            for lane in hub.make_lanes(app):
                await self.add_runtime_dependency(lane)
            hub.gatherer.start()
            hub.sweeper.start()

        async def on_shutdown(self) -> None:
            await hub.close()

    return app


def _serve_probes(app: faust.App, hub: Hub) -> None:
    async def metrics(view: View, _: Request) -> Response:
        body = generate_latest(hub.counting.measures.registry)
        return view.bytes(body, content_type="text/plain; version=0.0.4")

    async def livez(view: View, _: Request) -> Response:
        stuck = hub.stuck()
        return view.json({"stuck": stuck}, status=503 if stuck else 200)

    async def readyz(view: View, _: Request) -> Response:
        waiting = [lane.name for lane in hub.lanes if not lane.ready]
        return view.json({"waiting": waiting}, status=200 if hub.lanes and not waiting else 503)

    for page in (metrics, livez, readyz):
        app.page(f"/{page.__name__}")(page)


@click.command("hub")
@click.option("--loglevel", default="WARN", show_default=True, help="How much to log.")
def serve(loglevel: str) -> None:
    """Run one hub worker; several may run at once.

    The same as `faust -A hub.app worker`. Settings come from the environment: see docs/operators.md.
    """
    quieten_clients()
    settings = load_settings()
    require_free(settings.web_host, settings.web_port)
    application = make_app(settings)
    application.finalize()
    worker = application.Worker(loglevel=loglevel, redirect_stdouts=False, quiet=True)
    raise SystemExit(worker.execute_from_commandline())


def __getattr__(name: str) -> Any:
    if name != "app":
        raise AttributeError(name)
    application = make_app(load_settings())
    globals()["app"] = application
    return application
