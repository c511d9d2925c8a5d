"""R8 on the real intake over PostgreSQL: it ends where the core alone, told everything at once, ends."""

from __future__ import annotations

import uuid
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from support.facts import differences, facts
from support.histories import arrivals, histories
from support.memory_hub import MemoryHub
from support.store_hub import StoreHub, empty, open_store

from hub.local.stack import Stack
from hub.store.engine import HubStore


@pytest.fixture(scope="module")
def store(stack: Stack) -> Iterator[HubStore]:
    """One database for all examples, emptied before each: a new one for each would take a second."""
    name = f"test_properties_{uuid.uuid4().hex[:12]}"
    store = open_store(stack.create_database(name))
    yield store
    store.close()
    stack.drop_database(name)


# No shrinking: each step of it costs a run over the store. The core's own property shrinks what both find.
@settings(
    max_examples=30,
    phases=[Phase.explicit, Phase.reuse, Phase.generate],
    suppress_health_check=list(HealthCheck),
)
@given(data=st.data(), contradicting=st.booleans())
def test_r8_intake_ends_as_the_core_does_in_any_order_and_batching(
    store: HubStore, data: st.DataObject, contradicting: bool
) -> None:
    lives = data.draw(histories(contradicting=contradicting))
    batches = data.draw(arrivals(lives, in_key_order=contradicting))
    at_leisure = data.draw(st.booleans(), label="what is due is settled only at the end")
    empty(store)
    hub = StoreHub(store)
    for batch in batches:
        hub.take(*batch)
        if not at_leisure:
            hub.settle_due()
    hub.settle_due()
    model = MemoryHub()
    model.take(*(change for life in lives for change in life))
    model.settle_due()
    expected = facts(model.world.records, model.world.entity_of, model.golden, model.inbox)
    assert differences(hub.facts(), expected) == {}
