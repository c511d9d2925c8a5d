"""What tests share: an agency on either database; a console over the module's `hub`, and browsers that come
in as a role."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from ops_hub import OpsHub
from sql_agency import Agency, started
from support.console import Visitor, console_of, visiting

from hub.console.visit import Console


@pytest.fixture
def console(hub: OpsHub) -> Iterator[Console]:
    with console_of(hub.parts) as made:
        yield made


@pytest.fixture
def enter(console: Console, hub: OpsHub) -> Iterator[Callable[..., Visitor]]:
    """Comes in as a role, in a language; by another console where one is given."""
    with ExitStack() as open_browsers:

        def come_in(role: str, agency: str = "", language: str = "en", at: Console = console) -> Visitor:
            visitor = open_browsers.enter_context(visiting(at, language))
            visitor.enter(role, hub.name(agency) if agency else "")
            return visitor

        yield come_in


@pytest.fixture(params=["postgresql", "sqlite"])
def agency(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Agency]:
    """An agency with a connector's source and sink, once on each kind of database."""
    yield from started(request.param, request, tmp_path)
