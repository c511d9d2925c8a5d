"""What a command of operations needs of the hub: read from its settings, opened on first use."""

from __future__ import annotations

import datetime
import zoneinfo
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from functools import cached_property
from typing import TypeVar

import psycopg
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from hub.contracts.agreements import load_agreements
from hub.contracts.events import EventSchemas
from hub.contracts.policies import day_number, terms_by_type, type_policies
from hub.contracts.records import Catalogue
from hub.contracts.registry_client import RegistryClient
from hub.contracts.subjects import event_subjects
from hub.contracts.values import encode_string
from hub.contracts.wire import encoded_strings
from hub.core import stamps
from hub.core.contents import Rules
from hub.core.projection import Terms
from hub.core.tokens import Ids
from hub.errors import Fatal
from hub.lanes.corrections import CorrectingIntake
from hub.lanes.intake import Intake
from hub.lanes.joining import Joining
from hub.lanes.joins import JoinBrakes
from hub.lanes.messages import Encoder
from hub.lanes.naming import Naming
from hub.lanes.reading import Reading
from hub.settings import HubSettings
from hub.store.engine import HubStore
from hub.store.facts import epoch
from hub.store.transaction import Transaction

# The civil time of all agencies: days begin by it, and people read moments in it.
MOROCCO = zoneinfo.ZoneInfo("Africa/Casablanca")
# Undefined table, undefined column.
_OTHER_TABLES = frozenset({"42P01", "42703"})
_ONE_MOMENT = text("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")


AnyIntake = TypeVar("AnyIntake", bound=Intake)
Begin = Callable[[], AbstractContextManager[Transaction]]


class Parts:
    """The release's contracts and agreements, the store and the registry. Close it when done."""

    def __init__(self, settings: HubSettings, connections: int = 1) -> None:
        """`connections`: to the store, kept open; where more are needed at once, each is made anew."""
        self.settings = settings
        self.catalogue = Catalogue.load(settings.schemas / "records")
        self.events = EventSchemas(settings.schemas / "events")
        self.agreements = load_agreements(settings.agreements, self.catalogue)
        self.types = type_policies(self.catalogue)
        self.terms = terms_by_type(self.agreements)
        self.joining = Joining(
            self.agreements,
            self.terms,
            order=self.catalogue.dependency_order(),
            partitions=self.catalogue.partitions,
            types=self.types,
        )
        self.store = HubStore(settings.store_url, pool_size=connections)

    @cached_property
    def ids(self) -> Ids:
        """The hub's ids; raises `ConfigurationError` if its secret is away."""
        return Ids(self.settings.secret())

    @cached_property
    def naming(self) -> Naming:
        """By which keys records are found by name; raises as `ids` does."""
        return Naming(self.catalogue, self.types, self.ids)

    @cached_property
    def registry(self) -> RegistryClient:
        return RegistryClient(self.settings.registry_url, ca_file=self.settings.registry_ca_file)

    @cached_property
    def intake(self) -> CorrectingIntake:
        """Intake as the workers run it."""
        return self.intake_over(CorrectingIntake, self.store.begin, epoch=self.epoch)

    def intake_over(
        self,
        kind: type[AnyIntake],
        begin: Begin,
        *,
        epoch: int = 0,
        terms: Mapping[str, tuple[Terms, ...]] | None = None,
        joining: Callable[[Transaction], frozenset[str]] | None = None,
        brakes: JoinBrakes | None = None,
    ) -> AnyIntake:
        """A kind of intake of this release, over the transactions that `begin` gives.

        `terms` and `joining` in place of the release's own are for what is only supposed, as is epoch 0.
        """
        return kind(
            self.catalogue,
            self.types,
            self.terms if terms is None else terms,
            self.ids,
            begin,
            today,
            epoch=epoch,
            joining=joining or self.joining.agencies,
            brakes=brakes,
        )

    @cached_property
    def epoch(self) -> int:
        """The store's epoch; asks the store."""
        with self.deciding() as tx:
            return epoch(tx)

    @cached_property
    def reading(self) -> Reading:
        """Reads changes as the workers do; asks the registry for schemas."""
        return Reading(self.catalogue, self.events, self.terms, self.ids, self.registry.schema_by_id)

    def encoder(self) -> Encoder:
        """What builds messages; asks the registry for the release's schemas."""
        subjects = event_subjects(self.catalogue, self.events, self.agreements)
        found = {name: self.registry.lookup(name, schema) for name, schema in subjects.items()}
        return Encoder(self.catalogue, self.events, self.ids, found)

    def rules(self, tx: Transaction) -> Rules:
        """What settling depends on today, as intake has it."""
        return Rules(
            types=self.types,
            terms=self.terms,
            join=encoded_strings,
            name=lambda agency, entity: encode_string(self.ids.pairwise(agency).name(entity)),
            day=day_number(today()),
            epoch=epoch(tx),
            joining=self.joining.agencies(tx),
        )

    @contextmanager
    def looking(self) -> Iterator[Transaction]:
        """A transaction that sees one moment of the store, locks nothing and changes nothing."""
        with self.deciding() as tx:
            tx.connection.execute(_ONE_MOMENT)
            yield tx

    @contextmanager
    def deciding(self) -> Iterator[Transaction]:
        """A transaction of the store; raises `Fatal` where its tables are not those of this release."""
        try:
            with self.store.begin() as tx:
                yield tx
        except (psycopg.Error, DBAPIError) as error:
            if getattr(getattr(error, "orig", error), "sqlstate", None) not in _OTHER_TABLES:
                raise
            raise Fatal(
                "the hub's store has not the tables of this release: start a hub worker of this release, "
                "which brings them up to date, or check JISR_STORE_URL"
            ) from error

    def close(self) -> None:
        self.store.close()
        if "registry" in self.__dict__:
            self.registry.close()


def today() -> datetime.date:
    """The civil day in Morocco, by which agreements and consents end."""
    return datetime.datetime.now(tz=MOROCCO).date()


def local_time(ms: int) -> str:
    """A moment in Unix milliseconds as people in Morocco read it, with its offset from UTC."""
    moment = datetime.datetime.fromtimestamp(ms / 1000, tz=MOROCCO)
    return moment.isoformat(sep=" ", timespec="milliseconds")


def stamp_ms(stamp: int) -> int | None:
    """A stamp in Unix milliseconds; None for what is undated."""
    return None if stamp == stamps.LOWEST else stamps.milliseconds(stamp)


def stamp_time(stamp: int) -> str:
    """A stamp as local time; its counter follows where it says more than the milliseconds."""
    if stamp == stamps.LOWEST:
        return "undated"
    counter = stamp & ((1 << stamps.COUNTER_BITS) - 1)
    return local_time(stamps.milliseconds(stamp)) + (f" +{counter}" if counter else "")
