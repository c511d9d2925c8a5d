"""The composition root of a connector process: the only place where its parts are joined."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Callable, Iterator
from pathlib import Path

from connectors.control import ControlSide
from connectors.loops import Side, SinkSide, SourceSide
from connectors.messages import Reader, Writer
from connectors.metrics import Metrics
from connectors.noticing import NoticeSide
from connectors.runner import Runner
from connectors.settings import Settings, read_agency_key
from connectors.sql.convert import Converter
from connectors.sql.database import Database
from connectors.sql.database_check import check_database
from connectors.sql.dry_run import DryRun
from connectors.sql.mapping import Mapping
from connectors.sql.mapping_check import check_mapping, load_mapping
from connectors.sql.mapping_reader import Problem, read_mapping
from connectors.sql.notices import SqlNoticeBoard
from connectors.sql.postgresql import PostgreSQL
from connectors.sql.sink import SqlSink
from connectors.sql.source import SqlSource
from connectors.sql.sqlite import SQLite
from connectors.sql.sweep import Sweeper
from connectors.steering import Steering
from connectors.sweeping import SweepSide
from hub.contracts import topics
from hub.contracts.agreements import Agreement, load_agreements
from hub.contracts.events import EventSchemas
from hub.contracts.records import Catalogue
from hub.contracts.registry_client import RegistryClient
from hub.errors import ConfigurationError


def database(url: str, *, read_only: bool = False) -> Database:
    """The dialect for a URL, not connected yet; with `read_only` nothing can be written on it."""
    # SQLAlchemy's names of drivers are understood, so that one URL serves both.
    scheme, _, rest = url.partition("://")
    kind = scheme.partition("+")[0]
    if kind in ("postgresql", "postgres"):
        return PostgreSQL(f"postgresql://{rest}", read_only=read_only)
    if kind == "sqlite" and rest.startswith("/") and len(rest) > 1:
        return SQLite(Path(rest[1:]), read_only=read_only)
    raise ConfigurationError("the database's URL must begin with postgresql:// or sqlite:///")


def open_database(url: str) -> Database:
    """A connected database."""
    db = database(url)
    db.connect()
    return db


def agreement_of(agency: str, folder: Path, catalogue: Catalogue) -> Agreement:
    agreements = load_agreements(folder, catalogue)
    if agency not in agreements:
        raise ConfigurationError(
            f"{folder}: no agreement of {agency!r}; there are {', '.join(agreements)}: "
            f"write {folder / agency}.yaml first"
        )
    return agreements[agency]


def check(file: Path, schemas: Path, agreements: Path, url: str | None) -> list[Problem]:
    """Everything that is wrong with a mapping file, in the order of the file."""
    catalogue = Catalogue.load(schemas / "records")
    mapping, problems = read_mapping(file)
    agreement: Agreement | None = None
    try:
        agreement = agreement_of(mapping.agency, agreements, catalogue)
    except ConfigurationError as error:
        problems.append(Problem(mapping.at, str(error)))
    problems += check_mapping(mapping, catalogue, agreement)
    if url is not None:
        db = open_database(url)
        try:
            problems += check_database(mapping, catalogue, agreement, db)
        finally:
            db.close()
    return sorted(problems, key=lambda problem: (problem.at, problem.message))


@contextlib.contextmanager
def connect(file: Path, schemas: Path, agreements: Path, url: str) -> Iterator[tuple[Database, Mapping]]:
    """A checked mapping and its open database."""
    catalogue = Catalogue.load(schemas / "records")
    mapping, _ = read_mapping(file)
    agreement = agreement_of(mapping.agency, agreements, catalogue)
    mapping = covered(load_mapping(file, catalogue, agreement), agreement)
    db = open_database(url)
    try:
        yield db, mapping
    finally:
        db.close()


def runner(file: Path, settings: Settings) -> tuple[Runner, Metrics]:
    """A runner of the SQL connector; raises `ConfigurationError` before anything is opened."""
    agency = read_mapping(file)[0].agency
    metrics = Metrics(agency, [*settings.certificate_files, *settings.kafka.certificate_files])
    registry = RegistryClient(
        settings.registry_url, settings.registry_token, ca_file=settings.registry_ca_file
    )
    steering = Steering(known=False)

    def sides() -> list[Side]:
        """Made again, from the file as it is then, when the connector is told to start anew."""
        made = _sides(file, settings, registry, metrics)
        if made.agency != agency:
            raise ConfigurationError(
                f"{file}: its agency is {made.agency!r} now, and was {agency!r}: that is another connector"
            )
        names = [side.name for side in made.sides]
        control = ControlSide(agency, steering, names, Reader(registry), made.writer(), settings.kafka)
        return [control, *made.sides]

    return Runner(sides(), metrics, steering, sides), metrics


@dataclasses.dataclass(frozen=True)
class _Made:
    """The sides of a mapping file, and what makes writers for its agency."""

    agency: str
    writer: Callable[[], Writer]
    sides: list[Side]


def _sides(file: Path, settings: Settings, registry: RegistryClient, metrics: Metrics) -> _Made:
    catalogue = Catalogue.load(settings.schemas / "records")
    events = EventSchemas(settings.schemas / "events")
    key = read_agency_key(settings.agency_key_file)
    mapping, agreement = agreed(file, settings.agreements, catalogue)
    converters = converters_of(mapping, catalogue)
    source = SqlSource(
        database(settings.database_url),
        mapping,
        converters,
        agreement.publishes,
        report=lambda record, field, code: metrics.unmapped.labels(record, field, code).inc(),
    )
    sink = SqlSink(
        database(settings.database_url),
        mapping,
        converters,
        catalogue.dependency_order(),
        creates(agreement),
        report=lambda record, code: metrics.write_errors.labels(record, code).inc(),
    )
    inboxes = [topics.inbox(mapping.agency, name) for name in mapping.records]
    outgoing = [topics.changes(mapping.agency, name) for name in agreement.publishes]

    def writer() -> Writer:
        return Writer(mapping.agency, key, catalogue, events, registry)

    sides: list[Side] = [
        SourceSide(source, outgoing, Reader(registry), writer(), settings.kafka, metrics),
        SinkSide(sink, inboxes, Reader(registry), writer(), settings.kafka, metrics),
        NoticeSide(
            SqlNoticeBoard(database(settings.database_url), mapping),
            topics.notices(mapping.agency),
            Reader(registry),
            settings.kafka,
            metrics,
        ),
    ]
    if settings.sweep_every_s > 0:
        db = database(settings.database_url)
        sweeper = Sweeper(db, mapping, converters, repairs=settings.sweep_repair)
        every_s, rows_per_s = settings.sweep_every_s, settings.sweep_rows_per_s
        sides.append(SweepSide(sweeper, list(mapping.records), every_s, rows_per_s, metrics))
    return _Made(mapping.agency, writer, sides)


def swept(file: Path, schemas: Path, agreements: Path, url: str, *, repairs: bool) -> Sweeper:
    """What sweeps the tables of a mapping, not connected yet."""
    catalogue = Catalogue.load(schemas / "records")
    mapping, _ = agreed(file, agreements, catalogue)
    return Sweeper(database(url), mapping, converters_of(mapping, catalogue), repairs=repairs)


def dry_run(file: Path, schemas: Path, agreements: Path, url: str) -> DryRun:
    """What reads an agency's rows and changes nothing, not connected yet.

    Raises `ConfigurationError` with all that is wrong with the mapping.
    """
    catalogue = Catalogue.load(schemas / "records")
    mapping, agreement = agreed(file, agreements, catalogue)
    db = database(url, read_only=True)
    return DryRun(db, mapping, converters_of(mapping, catalogue), agreement.publishes)


def agreed(file: Path, agreements: Path, catalogue: Catalogue) -> tuple[Mapping, Agreement]:
    """A mapping, as far as its agency's agreement speaks of it, and that agreement."""
    named, _ = read_mapping(file)
    agreement = agreement_of(named.agency, agreements, catalogue)
    return covered(load_mapping(file, catalogue, agreement), agreement), agreement


def converters_of(mapping: Mapping, catalogue: Catalogue) -> dict[str, Converter]:
    return {
        name: Converter(catalogue.records[name], record, mapping.timezone)
        for name, record in mapping.records.items()
    }


def covered(mapping: Mapping, agreement: Agreement) -> Mapping:
    """The part of a mapping that the agreement speaks of: nothing else is even captured."""
    records = {n: record for n, record in mapping.records.items() if n in agreement.record_types}
    return dataclasses.replace(mapping, records=records)


def creates(agreement: Agreement) -> frozenset[str]:
    """Record types of which the agency takes rows that it does not have."""
    return frozenset(kind for kind, grants in agreement.receives.items() if any(g.create for g in grants))
