"""What records refer to, as their agencies said it: references by (agency, record type, local id) (R20)."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from hub.core.assertions import RecordState
from hub.core.contents import Reference
from hub.core.crosswalk import World
from hub.core.policy import TypePolicy
from hub.core.texts import text_of


def references_of(state: RecordState, types: Mapping[str, TypePolicy]) -> list[tuple[str, Reference]]:
    """What a record says that it refers to: (field, reference)."""
    found = []
    for name, kind in types[state.key.record_type].references.items():
        assertion = state.asserts.values.get(name)
        if assertion is not None and assertion[1] is not None:
            found.append((name, (state.key.agency, kind, text_of(assertion[1]))))
    return found


def references_in(
    world: World, entities: Collection[bytes], types: Mapping[str, TypePolicy]
) -> set[Reference]:
    """Everything that the living members of these entities refer to."""
    if not any(types[world.entities[entity].record_type].references for entity in entities):
        return set()
    return {
        reference
        for record, entity in world.entity_of.items()
        if entity in entities and world.records[record].live
        for _, reference in references_of(world.records[record], types)
    }
