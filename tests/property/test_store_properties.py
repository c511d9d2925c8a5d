"""R8 on the real intake over PostgreSQL: it ends where the core alone, told everything at once, ends."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support.facts import differences, facts
from support.histories import arrivals, histories
from support.memory_hub import MemoryHub
from support.store_hub import StoreHub, empty, open_store

from hub.store.engine import HubStore


@pytest.fixture
def store(database: str) -> Iterator[HubStore]:
    store = open_store(database)
    yield store
    store.close()


@settings(max_examples=100, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_intake_ends_as_the_core_does_in_any_order_and_batching(data: st.DataObject, store: HubStore) -> None:
    lives = data.draw(histories())
    batches = data.draw(arrivals(lives))
    empty(store)
    hub = StoreHub(store)
    for batch in batches:
        hub.take(*batch)
        if data.draw(st.booleans(), label="settle what is due now"):
            hub.settle_due()
    hub.settle_due()
    model = MemoryHub()
    model.take(*(change for life in lives for change in life))
    model.settle_due()
    expected = facts(model.world.records, model.world.entity_of, model.golden, model.inbox)
    assert differences(hub.facts(), expected) == {}
