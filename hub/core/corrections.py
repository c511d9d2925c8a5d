"""Taking back what an agency has said or done: pure steps on the states of records (R15, R19, R32)."""

from __future__ import annotations

import copy
from collections.abc import Callable

from hub.core.assertions import Change, RecordKey, RecordState
from hub.core.crosswalk import World


def heir(
    world: World, state: RecordState, deleted: int, record_id: Callable[[RecordKey], bytes]
) -> RecordState | None:
    """Let a record live on whose deletion, with the stamp `deleted`, does not stand; changes `world`.

    At the agency the row is gone, and with it this life of the local id (R14): the next life takes over all
    that was said, so that nobody else notices, and the agency is told to make the row again. None if the
    local id already has a next life: then the agency has entered it again itself.
    """
    key = state.key._replace(incarnation=state.key.incarnation + 1)
    identity = record_id(key)
    if identity in world.records:
        return None
    asserts = copy.deepcopy(state.asserts)
    asserts.returned, asserts.restored = False, True
    entity = world.entity_of[state.id]
    following = RecordState(
        id=identity,
        key=key,
        born=state.born,
        seen=max(state.seen, deleted),
        # Whoever has no identifier would else be taken for somebody new.
        linked=entity,
        asserts=asserts,
    )
    world.records[identity], world.entity_of[identity] = following, entity
    state.ended = max(state.ended, deleted)
    state.asserts.returned = True
    return following


def reject(world: World, change: Change, record_id: Callable[[RecordKey], bytes]) -> tuple[RecordState, ...]:
    """Let a change that was held never come; the states that this touches, none if the record is unknown.

    What it said is known to be answered: the source's side takes the agreed values again (R19).
    """
    state = world.records.get(record_id(change.key))
    if state is None or not state.live:
        return ()
    if change.operation == "delete":
        following = heir(world, state, change.stamp, record_id)
        return (state,) if following is None else (state, following)
    state.seen = max(state.seen, change.stamp)
    return (state,)
