"""A region from a seed: agencies with people and connectors, two hub workers, faults, and rest at the end."""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from random import Random
from typing import Any

from connectors.compose import creates
from connectors.loops import SinkSide, SourceSide
from connectors.runner import Runner
from connectors.sql.sink import SqlSink
from connectors.sql.source import SqlSource
from connectors.sql.sweep import Sweeper
from connectors.sweeping import SweepSide
from hub.contracts import topics
from hub.contracts.kafka_connection import KafkaConnection
from hub.core import stamps
from hub.core.brakes import Limits
from hub.lanes.joining import Joining
from hub.lanes.joins import JoinBrakes
from hub.lanes.log import LogWriter
from hub.lanes.restores import Restores
from hub.lanes.stewards import StewardsIntake
from simulation.agency import AgencyDatabase, HubWrote
from simulation.broker import Broker, LaneProducer
from simulation.deeds import TODAY, draw, draw_decisions, draw_restores, draw_sweeps
from simulation.parts import AGENCIES, SCHEMAS, SIDES, codec, parts
from simulation.people import Entry, People, Place
from simulation.ports import PARTITIONS, Clock, SimulatedIntake, SimulatedReceipts, Turn, ports
from simulation.rest import unrest
from simulation.restores import Operators
from simulation.said import read_sayings
from simulation.schedule import Gone, Process, Schedule
from simulation.stewards import Stewards
from simulation.store import MemoryStore

WORKERS = ("hub-0", "hub-1")
DEEDS = 14
# Of how many looks while people work one repeats a message.
ONE_LOOK_REPEATS_IN = 3
# How often it is looked who is to be restarted; who dies comes back at once, or some seconds later.
LOOK_MS = 400
AWAY_MS = (400, 400, 8_000)
# Longer than it takes the group to give a silent worker up.
FROZEN_MS = 9_000
# How often a connector sweeps each record type, if it does, and how fast: beside everything else.
SWEEP_EVERY_S = 2.0
SWEEP_ROWS_PER_S = 20.0
# How long everything may take to come to rest, in simulated time: retries wait for minutes.
REST_MS = 5 * 60 * 1000


@dataclass
class Observer:
    """`hub.lanes.observer.Observer`: nobody looks."""

    def converged(self, *_: Any) -> None: ...
    def published(self, *_: Any) -> None: ...
    def acknowledged(self, *_: Any) -> None: ...
    def receipt_skipped(self, agency: str) -> None:
        raise AssertionError(f"a receipt of {agency} could not be used")


@dataclass
class Options:
    """What a run is made of. `schedule`: draws the order and the faults; by default the seed of the deeds.

    `often`: kinds of deeds that people do more often. `steward`: whether one decides, and often; `sweeps`:
    whether connectors sweep; None: as the seed has it. `restore`: likewise, whether an agency's database is
    restored; then no steward decides unless told to.
    """

    seed: int
    schedule: str = ""
    plain: bool = False
    often: Collection[str] = ()
    steward: bool | None = None
    sweeps: bool | None = None
    restore: bool | None = None
    # How many faults there are at most, and of how many passages of a crash point one is a fault.
    most_faults: int = 4
    one_passage_in: int = 40


@dataclass
class Region:
    """One run."""

    options: Options
    faults: list[str] = field(default_factory=list)
    _processes: dict[str, Process] = field(default_factory=dict)

    def __post_init__(self) -> None:
        options, self.parts = self.options, parts()
        self.schedule = Schedule(options.schedule or f"schedule {options.seed}")
        self.broker = Broker(self.schedule, self._topics())
        self.store = MemoryStore(self.schedule)
        skew = Random(f"clocks {options.seed}")
        self.databases = {
            name: AgencyDatabase(
                self.schedule,
                name,
                skew.choice((0, 0, -2_000, 90_000, 3_600_000)) if not options.plain else 0,
                self.parts.templates[name],
            )
            for name in AGENCIES
        }
        for name, database in self.databases.items():
            database.watch = partial(self._look, name)
        self.people = People(self.schedule, self.databases, plain=options.plain)
        self.deeds = draw(options.seed, DEEDS, plain=options.plain, often=options.often)
        self.stewards = Stewards(self.store, self.parts)
        self.sweeps = draw_sweeps(options.seed) if options.sweeps is None else options.sweeps
        idle = options.plain or options.steward is False or (options.restore and not options.steward)
        self.decisions = [] if idle else draw_decisions(options.seed, often=bool(options.steward))
        self.operators = Operators(
            self.schedule, self.databases, self.people, self._stop, self._restart, self._receipts_of
        )
        never = options.plain or options.restore is False or (self.decisions and not options.restore)
        often = bool(options.restore)
        self.restores = [] if never else draw_restores(options.seed, DEEDS - options.seed % 4, often=often)
        # When who died is started again.
        self._restarts: dict[str, int] = {}
        self.seen_wrong: list[str] = []
        self._quiet = False
        # How many are still to do something.
        self.at_work = 0

    def _topics(self) -> dict[str, int]:
        found = {spec.name: spec.partitions for spec in topics.hub_topics(self.parts.catalogue.partitions)}
        for name, agreement in self.parts.agreements.items():
            for spec in topics.agency_topics(name, agreement.record_types, self.parts.catalogue.partitions):
                found[spec.name] = (
                    PARTITIONS if spec.name.endswith((".changes", ".inbox")) else spec.partitions
                )
        return found

    # The run

    def run(self) -> None:
        """Everything from the first deed to rest; raises what failed."""
        with ports(self.schedule, self.broker, self._passage):
            everybody = Process("people")
            try:
                self._before_capture()
                for name in AGENCIES:
                    self._start_connector(name)
                for name in WORKERS:
                    self._start_worker(name)
                works = [("people", self._people)]
                if self.decisions:
                    works.append(("steward", partial(self.stewards.work, self.decisions)))
                if self.restores:
                    works.append(("operator", partial(self.operators.work, self.restores)))
                self.at_work = len(works)
                for name, work in works:
                    self.schedule.spawn(everybody, name, partial(self._to_its_end, work))
                self._supervise()
            finally:
                self._quiet = True
                for process in [*self._processes.values(), everybody]:
                    with suppress(Gone):
                        self.schedule.kill(process)
            if self.schedule.failure is not None:
                raise self.schedule.failure

    def _before_capture(self) -> None:
        """The first deeds were done long ago: nobody captured them, a snapshot has them."""
        for database in self.databases.values():
            database.handle.execute("UPDATE jisr_origin SET hub = 1")
        early = self.options.seed % 4
        for deed in self.deeds[:early]:
            self.people.do(deed)
        for database in self.databases.values():
            database.handle.execute("UPDATE jisr_origin SET hub = 0")
        self.deeds = self.deeds[early:]

    def _people(self) -> None:
        # Whether people begin before all have joined is up to the seed.
        self.schedule.wait(timeout_ms=self.schedule.rng.choice((0, 0, 15_000)))
        self.people.work(self.deeds)

    def _to_its_end(self, work: Callable[[], None]) -> None:
        work()
        self.at_work -= 1

    def _supervise(self) -> None:
        """Restart who died, repeat messages, and wait until all is at rest."""
        rested, deadline_ms = 0, self.schedule.now_ms + REST_MS
        while rested < 2:
            self.schedule.wait(timeout_ms=LOOK_MS)
            if self.schedule.failure is not None:
                return
            assert self.schedule.now_ms < deadline_ms, f"no rest: {', '.join(unrest(self))}"
            now_ms = self.schedule.now_ms
            due = [name for name, at_ms in self._restarts.items() if at_ms <= now_ms]
            for name in due:
                del self._restarts[name]
                (self._start_worker if name in WORKERS else self._start_connector)(name)
            if self.at_work and self.schedule.chance(ONE_LOOK_REPEATS_IN):
                self.broker.repeat(self.schedule.rng.choice((".changes", ".inbox")))
            rested = 0 if due or self._restarts or unrest(self) else rested + 1
            self._quiet = not self.at_work and self._quiet

    def _look(self, agency: str, wrote: HubWrote) -> None:
        """The hub wrote over a value: if a person had typed it, the hub must have heard of that (R28)."""
        place = (agency, wrote.record_type, wrote.local_id)
        says = self.parts.agreements[agency].publishes.get(wrote.record_type, frozenset())
        done = [e for e in self.people.ledger if e.place == place and not self.people.is_undone(e)]
        typed = [entry for entry in done if wrote.field in entry.values]
        # What people have deleted is not theirs when the hub makes a row of that id.
        if not typed or done[-1].operation == "delete" or wrote.field not in says:
            return
        if typed[-1].values[wrote.field] != wrote.before:
            return
        wrote_until = self.databases[agency].hub_wrote_until(wrote.at_ms)
        earlier = [one for one in wrote_until if one[1:4] == wrote[1:4]]
        if earlier and earlier[-1].at_ms >= typed[-1].at_ms:
            return
        # Of the record's current life the hub has heard of everything up to `seen`.
        lives = [row for row in self.store.rows("record") if row[1:4] == place]
        seen = max((row[7] for row in lives), default=0)
        late = seen < stamps.at(typed[-1].at_ms + self.databases[agency].skew_ms)
        if late and not self._is_typed_back(place, wrote, typed[0], seen):
            self.seen_wrong.append(f"{place}: {wrote.field} was written over before the hub had heard of it")

    def _is_typed_back(self, place: Place, wrote: HubWrote, first: Entry, seen: int) -> bool:
        """Whether the value is again what the hub last heard of it: of what was typed and typed back before
        it was sent, it can hear nothing."""
        said = [
            one
            for one in read_sayings(self.broker, SCHEMAS)
            if one.name[:3] == place and wrote.field in (*one.change["changed"], *one.change["stale"])
        ]
        if not said:
            return bool(first.before.get(wrote.field) == wrote.before)
        last = max(said, key=lambda one: one.change["stamp"])
        return last.change["stamp"] <= seen and bool(last.value(wrote.field) == wrote.before)

    # Processes

    def _passage(self, point: str) -> None:
        """A crash point is passed: perhaps somebody dies here, or is frozen, or others go on."""
        schedule = self.schedule
        process = schedule.current.process
        if schedule.current.dying or process.name not in self._processes:
            return
        if (
            not self._quiet
            and len(self.faults) < self.options.most_faults
            and schedule.chance(self.options.one_passage_in)
        ):
            if process.name in WORKERS and schedule.chance(3):
                self.faults.append(f"{process.name} frozen at {point}")
                process.frozen_until_ms = schedule.now_ms + FROZEN_MS
            else:
                self.faults.append(f"{process.name} killed at {point}")
                self._restart(process.name, schedule.rng.choice(AWAY_MS))
                schedule.kill(process)
        schedule.pause()

    def _restart(self, name: str, away_ms: int) -> None:
        self._restarts[name] = self.schedule.now_ms + away_ms

    def _stop(self, name: str) -> None:
        self._restarts.pop(name, None)
        if self._processes[name].alive:
            self.schedule.kill(self._processes[name])

    def _receipts_of(self, agency: str) -> int:
        return len(self.broker.log[topics.receipts(agency), 0])

    def _start_worker(self, name: str) -> None:
        process = self._processes[name] = Process(name)
        given, schedule, loaded = self.parts, self.schedule, self.broker.partitions
        order = given.catalogue.dependency_order()
        counts = dict.fromkeys(given.catalogue.records, PARTITIONS)
        joining = Joining(given.agreements, given.terms, Clock(schedule).monotonic, order, counts)
        brakes = JoinBrakes(Limits(), Clock(schedule).monotonic)
        intake = StewardsIntake(
            given.catalogue, given.types, given.terms, given.ids, self.store.begin, lambda: TODAY,
            joining=joining.agencies,
        )  # fmt: skip
        restores = Restores(intake, brakes, self.store.begin, given.ids, counts, given.said, given.made)
        common: dict[str, Any] = {
            "kafka": KafkaConnection("127.0.0.1:9"),
            "group": "jisr",
            "worker": name,
            "store": self.store,
            "topic_ids": lambda: dict.fromkeys(loaded, "the topic's id"),
            "observer": Observer(),
        }

        async def writer() -> LogWriter:
            return LogWriter(LaneProducer(self.broker))

        lanes = [
            SimulatedIntake(
                intake=intake, joining=joining, reading=lambda: given.reading, encoder=lambda: given.encoder,
                writer=writer, history_days=7, restores=restores if self.restores else None,
                topics=[t for t in loaded if t.endswith(".changes")], **common,
            ),
            SimulatedReceipts(
                schema=given.events.plain("receipt"), schema_of=given.schemas.schema_by_id, ids=given.ids,
                topics=[t for t in loaded if t.endswith(".receipts")], **common,
            ),
        ]  # fmt: skip
        for lane in lanes:
            lane.schedule = schedule
            schedule.spawn(process, f"{name} {lane.name}", lane.run)

    def _start_connector(self, agency: str) -> None:
        process = self._processes[agency] = Process(agency)
        given, database = self.parts, self.databases[agency]
        mapping, converters = given.mappings[agency], given.converters[agency]
        agreement = given.agreements[agency]
        for side in SIDES:
            given.databases[agency, side].database = database
        source = SqlSource(given.databases[agency, "source"], mapping, converters, agreement.publishes)
        sink = SqlSink(
            given.databases[agency, "sink"], mapping, converters, given.catalogue.dependency_order(),
            creates(agreement),
        )  # fmt: skip
        outgoing = [topics.changes(agency, kind) for kind in agreement.publishes]
        inboxes = [topics.inbox(agency, kind) for kind in mapping.records]
        reader, writer = codec(agency)
        sides: list[Any] = [
            SourceSide(source, outgoing, reader, writer, "", given.metrics),
            SinkSide(sink, inboxes, reader, writer, "", given.metrics),
        ]
        if self.sweeps:
            sweeper = Sweeper(given.databases[agency, "sweep"], mapping, converters, repairs=True)
            records = list(mapping.records)
            sides.append(SweepSide(sweeper, records, SWEEP_EVERY_S, SWEEP_ROWS_PER_S, given.metrics))
        for side in sides:
            runner = Runner([side], given.metrics)
            writes = (lambda: database.writes) if side.name == "source" else None
            runner._turns[side.name] = Turn(self.schedule, writes)  # type: ignore[assignment]
            self.schedule.spawn(process, f"{agency} {side.name}", lambda r=runner, s=side: self._drive(r, s))

    def _drive(self, runner: Runner, side: Any) -> None:
        # It ends by its death alone.
        runner._drive(side, threading.Event())
        if runner._failure is not None and not isinstance(runner._failure, Gone):
            raise runner._failure
