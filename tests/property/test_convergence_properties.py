"""R8 on the core alone: any order, doubling and batching of the same changes gives the same hub."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st
from support.facts import Facts, differences, facts
from support.histories import Life, arrivals, histories
from support.memory_hub import MemoryHub

from hub.core.assertions import Change


def hub_of(batches: list[list[Change]]) -> MemoryHub:
    hub = MemoryHub()
    for batch in batches:
        hub.take(*batch)
        hub.settle_due()
    return hub


def facts_of(hub: MemoryHub) -> Facts:
    return facts(hub.world.records, hub.world.entity_of, hub.golden, hub.inbox)


def at_once(lives: list[Life]) -> Facts:
    return facts_of(hub_of([[change for life in lives for change in life]]))


@settings(max_examples=300)
@given(data=st.data())
def test_any_order_doubling_and_batching_gives_the_same_hub(data: st.DataObject) -> None:
    lives = data.draw(histories())
    batches = data.draw(arrivals(lives))
    assert differences(facts_of(hub_of(batches)), at_once(lives)) == {}


@settings(max_examples=200)
@given(data=st.data())
def test_any_interleaving_of_keys_gives_the_same_hub_even_where_identifiers_contradict(
    data: st.DataObject,
) -> None:
    lives = data.draw(histories(contradicting=True))
    batches = data.draw(arrivals(lives, in_key_order=True))
    assert differences(facts_of(hub_of(batches)), at_once(lives)) == {}
