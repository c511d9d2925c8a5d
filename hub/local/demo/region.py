"""The region while the demonstration runs: the embedded stack, and a desk at every agency."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from sqlalchemy import Engine, create_engine

from hub.contracts.agreements import load_agreements
from hub.contracts.events import EventSchemas
from hub.contracts.records import Catalogue
from hub.errors import Fatal
from hub.local import process_tree
from hub.local.data_folder import DataFolder
from hub.local.demo.agencies.databases import AGENCY_DATABASES, create, load
from hub.local.demo.audit import Site
from hub.local.demo.copies import Population
from hub.local.demo.desk import Desk
from hub.local.stack import AgencyDatabase, Endpoints, Progress, Stack, StackOptions


class Region:
    """Four agencies with their people, and the hub between them. Data of an earlier run are removed.

    `local_ids`: agency → number of a person in the population → the agency's own id. `more`: of
    `StackOptions`.
    """

    def __init__(
        self,
        home: Path,
        people: Population,
        hub_workers: int,
        report: Callable[[Progress], None],
        **more: Any,
    ) -> None:
        self.population = people
        self.local_ids: dict[str, dict[int, str]] = {}
        self.desks: dict[str, Desk] = {}
        self.stack = Stack(
            StackOptions(
                home=home,
                agencies=[AgencyDatabase(name, kind) for name, (kind, _) in AGENCY_DATABASES.items()],
                processes="full",
                hub_workers=hub_workers,
                # Measured: in runs of minutes, compiling for load costs more than it saves.
                kafka_profile="fast-start",
                populate=self._populate,
                report=report,
                **more,
            )
        )
        options = self.stack.options
        self.catalogue = Catalogue.load(options.schemas / "records")
        self.events = EventSchemas(options.schemas / "events")
        self.agreements = load_agreements(options.agreements, self.catalogue)
        self._cleanup = ExitStack()

    @property
    def site(self) -> Site:
        """For the auditor."""
        return Site(self.bootstrap, self.desks, self.catalogue, self.events, self.agreements)

    @property
    def bootstrap(self) -> str:
        return self.stack.endpoints.bootstrap

    @property
    def registry_url(self) -> str:
        assert self.stack.endpoints.registry is not None, "the whole stack runs"
        return self.stack.endpoints.registry

    def start(self) -> None:
        """Remove an earlier run's data, start everything, return when all is ready. Blocks."""
        clear(self.stack.options.home)
        self._cleanup.callback(self.stack.stop)
        self.stack.start()
        self.store: Engine = create_engine(self.stack.endpoints.store, pool_size=1)
        self._cleanup.callback(self.store.dispose)

    def read_agreements(self) -> None:
        """The agreements as they are in the release now, which has changed."""
        self.agreements = load_agreements(self.stack.options.agreements, self.catalogue)

    def open_desk(self, agency: str, url: str) -> Desk:
        """A desk at one more agency, or at one whose database is another one now."""
        if agency in self.desks:
            self.desks[agency].close()
        self.desks[agency] = Desk(agency, url)
        self._cleanup.callback(self.desks[agency].close)
        return self.desks[agency]

    def stop(self) -> None:
        """Stop everything; may be called twice, and without `start`."""
        self._cleanup.close()

    def connectors_started_at(self) -> float:
        """When the first connector was started, in seconds since 1970."""
        started = [one.created for one in self.stack.processes() if one.name.startswith("connector-")]
        return min(moment for moment in started if moment is not None)

    def cpu_s(self) -> dict[str, float]:
        """Processor seconds that each process has taken so far, its children included."""
        return {
            one.name: process_tree.cpu_s(one.pid) for one in self.stack.processes() if one.pid is not None
        }

    def _populate(self, endpoints: Endpoints) -> None:
        for agency, url in endpoints.agencies.items():
            create(url, agency)
            self.local_ids[agency] = load(url, agency, self.population, batch=1_000)
            self.open_desk(agency, url)


def clear(home: Path) -> None:
    """Remove what an earlier demonstration left; raises Fatal if one is running there."""
    folder = DataFolder(home)
    if folder.is_locked():
        raise Fatal(f"a demonstration already runs in {home}: stop it with Ctrl-C, or wait for its end")
    left = folder.read_state().get("processes", [])
    process_tree.stop_leftovers((one["pid"], one["created"]) for one in left)
    shutil.rmtree(home, ignore_errors=True)
