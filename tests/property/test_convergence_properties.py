"""R8 on the core alone: any order, doubling and batching of the same changes gives the same hub."""

from __future__ import annotations

from collections.abc import Sequence

from hypothesis import given, settings
from hypothesis import strategies as st
from support.facts import Facts, differences, facts
from support.histories import Life, arrivals, histories
from support.memory_hub import MemoryHub

from hub.core.assertions import Change
from hub.core.projection import UPSERT, grants_in_force
from hub.core.settle import Delivery


def hub_of(batches: Sequence[Sequence[Change]]) -> MemoryHub:
    hub = MemoryHub()
    for batch in batches:
        hub.take(*batch)
        hub.settle_due()
    return hub


def facts_of(hub: MemoryHub) -> Facts:
    return facts(hub.world.records, hub.world.entity_of, hub.golden, hub.inbox)


def told_at_once(lives: Sequence[Life]) -> MemoryHub:
    return hub_of([[change for life in lives for change in life]])


def held(hub: MemoryHub) -> list[Delivery]:
    return [one for one in hub.inbox.values() if one.content.operation == UPSERT]


@given(data=st.data())
def test_r8_any_order_doubling_and_batching_gives_the_same_hub(data: st.DataObject) -> None:
    lives = data.draw(histories())
    batches = data.draw(arrivals(lives))
    assert differences(facts_of(hub_of(batches)), facts_of(told_at_once(lives))) == {}


@given(data=st.data())
def test_r8_any_interleaving_of_keys_gives_the_same_hub_even_where_identifiers_contradict(
    data: st.DataObject,
) -> None:
    lives = data.draw(histories(contradicting=True))
    batches = data.draw(arrivals(lives, in_key_order=True))
    assert differences(facts_of(hub_of(batches)), facts_of(told_at_once(lives))) == {}


@settings(max_examples=100)
@given(data=st.data())
def test_r16_a_closed_block_is_clustered_as_the_whole_world_is(data: st.DataObject) -> None:
    """So it is enough to look again at those who are connected to somebody whose evidence changed."""
    hub = told_at_once(data.draw(histories()))
    policy = hub.types["person"]
    people = [state.id for state in hub.world.records.values() if state.key.record_type == "person"]
    everybody = hub.clusters(policy, people)
    for person in people:
        block = hub.closed(policy, {person})
        assert hub.clusters(policy, block) == {record: everybody[record] for record in block}


@settings(max_examples=100)
@given(data=st.data())
def test_r16_a_merge_that_is_split_again_leaves_exactly_what_was_there(data: st.DataObject) -> None:
    hub = told_at_once(data.draw(histories()))
    people = sorted(state.key for state in hub.world.records.values() if state.key.record_type == "person")
    one, other = data.draw(st.sampled_from(people)), data.draw(st.sampled_from(people))
    if hub.entity(one) == hub.entity(other):
        return
    before = facts_of(hub)
    consents = {entity: dict(row.consents) for entity, row in hub.world.entities.items()}
    versions = {entity: row.version for entity, row in hub.world.entities.items()}
    for same in (True, False):
        hub.decide(one, other, same=same, stamp=2 - same)
        hub.settle_due()
        assert (hub.entity(one) == hub.entity(other)) is same
        now = {entity: row.version for entity, row in hub.world.entities.items()}
        assert all(now[entity] >= version for entity, version in versions.items())
        versions = now
    assert differences(facts_of(hub), before) == {}
    assert {entity: dict(row.consents) for entity, row in hub.world.entities.items()} == consents


@settings(max_examples=100)
@given(lives=histories(contradicting=True))
def test_r18_settling_again_says_nothing_and_raises_nothing(lives: list[Life]) -> None:
    hub = told_at_once(lives)
    versions = {entity: row.version for entity, row in hub.world.entities.items()}
    again = hub.again()
    assert [one for one in again if one.deliveries or one.answers or one.golden_changed] == []
    assert {entity: row.version for entity, row in hub.world.entities.items()} == versions


@settings(max_examples=100)
@given(data=st.data())
def test_r17_nobody_ever_holds_what_no_agreement_allows(data: st.DataObject) -> None:
    hub = MemoryHub()
    for batch in data.draw(arrivals(data.draw(histories()))):
        hub.take(*batch)
        hub.settle_due()
        for one in held(hub):
            assert set(one.content.fields) <= allowed(hub, one)
            assert one.content.values.keys() <= set(one.content.fields)


def allowed(hub: MemoryHub, one: Delivery) -> frozenset[str]:
    """The fields that the agency's grants open, under all consents that the hub has of anybody."""
    consents = [consent for row in hub.world.entities.values() for consent in row.consents.values()]
    (terms,) = [terms for terms in hub.terms[one.record_type] if terms.agency == one.agency]
    return frozenset().union(*(grant.fields for grant in grants_in_force(terms, consents, hub.day)))


@settings(max_examples=100)
@given(data=st.data())
def test_r16_what_is_disclosed_of_an_entity_was_said_by_its_own_records(data: st.DataObject) -> None:
    """Whoever is only up for review gives nothing to the other."""
    hub = MemoryHub()
    for batch in data.draw(arrivals(data.draw(histories(contradicting=True)), in_key_order=True)):
        hub.take(*batch)
        hub.settle_due()
        members = hub.world.members()
        for one in held(hub):
            policy = hub.types[one.record_type]
            for name, value in one.content.values.items():
                if name in policy.references or policy.fields[name].merge == "union":
                    continue
                said = [member.asserts.values.get(name, (0, None))[1] for member in members[one.entity]]
                assert value in said
