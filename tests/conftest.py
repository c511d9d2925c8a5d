"""Fixtures that all tests share: one embedded stack per session, started when it is first asked for."""

from __future__ import annotations

import shutil
import tempfile
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from xdist.scheduler import LoadFileScheduling

from hub.local.stack import AgencyDatabase, Stack, StackOptions


@pytest.fixture(scope="session")
def stack() -> Iterator[Stack]:
    """Kafka and PostgreSQL, with an agency's database on each kind of server. Shared: leave it running,
    take a `database` of your own, and names of your own for topics and consumer groups."""
    # Not pytest's own temporary folder: its name would make paths longer than some tools allow, and it
    # keeps the data of the last three sessions.
    home = Path(tempfile.mkdtemp(prefix="jisr-test-"))
    agencies = [AgencyDatabase("ads"), AgencyDatabase("entraide", "sqlite")]
    try:
        with Stack(StackOptions(home=home, agencies=agencies)) as running:
            yield running
    finally:
        shutil.rmtree(home, ignore_errors=True)


@pytest.fixture
def new_database(stack: Stack) -> Iterator[Callable[[], str]]:
    """Makes an empty PostgreSQL database with a role of its own at each call; returns its URL."""
    made: list[str] = []

    def make() -> str:
        made.append(f"test_{uuid.uuid4().hex[:12]}")
        return stack.create_database(made[-1])

    yield make
    for name in made:
        stack.drop_database(name)


@pytest.fixture
def database(new_database: Callable[[], str]) -> str:
    """The URL (SQLAlchemy, psycopg) of an empty PostgreSQL database that is this test's alone."""
    return new_database()


class OneStagePerFolder(LoadFileScheduling):
    """Deals out files, as `--dist loadfile` does, but the faults as a whole: they share their stage."""

    def _split_scope(self, nodeid: str) -> str:
        file: str = super()._split_scope(nodeid)
        return "tests/faults" if file.startswith("tests/faults/") else file


def pytest_xdist_make_scheduler(config: pytest.Config, log: object) -> LoadFileScheduling | None:
    return OneStagePerFolder(config, log) if config.getoption("dist") == "loadfile" else None
