"""Intake over an overlay comes to what it comes to over the store, and the store stays as it was."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import text
from support.changes import key, said
from support.facts import differences
from support.histories import arrivals, histories
from support.store_hub import StoreHub, empty, open_store

from hub.store.engine import HubStore
from hub.store.overlay import Overlay, OverlayTransaction


class OverlaidStore:
    """A store that can be read, and an overlay in which all is saved."""

    def __init__(self, real: HubStore) -> None:
        self.real, self.overlay = real, Overlay()

    @contextmanager
    def begin(self) -> Iterator[OverlayTransaction]:
        with self.real.begin() as below:
            below.connection.execute(text("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY"))
            with self.overlay.over(below) as tx:
                yield tx


class OverlaidHub(StoreHub):
    """The tests' intake over it."""

    def world(self) -> Any:
        below = {bytes(one) for (one,) in self.rows("SELECT id FROM entity")}
        with self.store.begin() as tx:
            return tx.lock_entities(below | self.store.overlay.entities.keys())  # type: ignore[attr-defined]


@pytest.fixture
def store(database: str) -> Iterator[HubStore]:
    real = open_store(database)
    yield real
    real.close()


@settings(
    max_examples=12,
    derandomize=True,
    database=None,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
@given(st.data())
def test_intake_comes_to_the_same(store: HubStore, data: st.DataObject) -> None:
    """Histories of persons, papers and consents: some of their batches really, the rest over the overlay."""
    batches = data.draw(arrivals(data.draw(histories())))
    first = data.draw(st.integers(0, len(batches)))
    empty(store)
    hub = StoreHub(store)
    for batch in batches[:first]:
        hub.take(*batch)
    hub.settle_due()
    below = hub.facts()
    planned = OverlaidHub(OverlaidStore(store), log=list(hub.log))  # type: ignore[arg-type]
    for batch in batches[first:]:
        planned.take(*batch)
    planned.settle_due()
    foreseen = planned.facts()
    assert differences(hub.facts(), below) == {}
    for batch in batches[first:]:
        hub.take(*batch)
    hub.settle_due()
    assert differences(foreseen, hub.facts()) == {}


def test_what_failed_leaves_nothing_behind(store: HubStore) -> None:
    planned = OverlaidHub(OverlaidStore(store))  # type: ignore[arg-type]
    planned.take(said(key("entraide", "1"), 1, cin="SH1"))
    overlay: Overlay = planned.store.overlay  # type: ignore[attr-defined]
    tables = [overlay.records, overlay.entities, overlay.sharers, overlay.members, overlay.named, overlay.due]
    before = [dict(table) for table in tables]
    with suppress(ZeroDivisionError), planned.store.begin() as tx:
        world = tx.lock_entities(set(overlay.entities))
        for one in world.entities.values():
            one.version += 1
        tx.save_entities(world.entities.values())
        tx.save_records(world, world.records)
        tx.claim_identities([(b"another", b"1")])
        tx.save_due(dict.fromkeys(world.entities, 0))
        raise ZeroDivisionError
    assert [dict(table) for table in tables] == before
