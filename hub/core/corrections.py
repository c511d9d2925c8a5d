"""Taking back what an agency has said or done: pure steps on the states of records (R15, R19, R32)."""

from __future__ import annotations

import copy
from collections.abc import Callable

from hub.core.assertions import Change, RecordKey, RecordState, Replaced, supersedes
from hub.core.crosswalk import World
from hub.core.epochs import LOST, end, first_life
from hub.core.policy import TypePolicy
from hub.core.undo import mark


def heir(
    policy: TypePolicy,
    world: World,
    state: RecordState,
    deleted: int,
    record_id: Callable[[RecordKey], bytes],
) -> RecordState | None:
    """Let a record live on whose deletion, with the stamp `deleted`, does not stand; changes `world`.

    At the agency the row is gone, and with it this life of the local id (R14): the next life takes over all
    that was said, so that nobody else notices, and the agency is told to make the row again. Where the agency
    has entered the same person again itself, that life takes over. None where the local id now stands for
    somebody else; `world` must hold the next life if there is one.
    """
    key = next_life(state)
    identity, entity = record_id(key), world.entity_of[state.id]
    following = world.records.get(identity)
    if following is None:
        following = _next_life(identity, key, state, entity, deleted)
        world.records[identity], world.entity_of[identity] = following, entity
    elif world.entity_of[identity] == entity:
        take_over(policy, following, state)
    else:
        return None
    end(state, deleted, state.asserts.epoch, returned=True)
    return following


def next_life(state: RecordState) -> RecordKey:
    """The key of the life of its local id that follows, as the agency's side counts them."""
    following = max(state.key.incarnation + 1, first_life(state.asserts.epoch))
    return state.key._replace(incarnation=following)


def _next_life(
    identity: bytes, key: RecordKey, state: RecordState, entity: bytes, deleted: int
) -> RecordState:
    asserts = copy.deepcopy(state.asserts)
    asserts.returned, asserts.restored = False, True
    return RecordState(
        id=identity,
        key=key,
        born=state.born,
        seen=max(state.seen, deleted),
        # Whoever has no identifier would else be taken for somebody new.
        linked=entity,
        asserts=asserts,
    )


def take_over(policy: TypePolicy, following: RecordState, state: RecordState) -> None:
    """Let `following` say what `state` said, where it has not said something later itself; in place."""
    values, unions = following.asserts.values, following.asserts.unions
    for name, said in state.asserts.values.items():
        if name not in values or supersedes(policy.fields[name].merge, said, values[name]):
            values[name] = said
    for name, elements in state.asserts.unions.items():
        mine = unions.setdefault(name, {})
        for element, word in elements.items():
            mine[element] = max(word, mine.get(element, word))


def reject(
    policy: TypePolicy, world: World, change: Change, record_id: Callable[[RecordKey], bytes]
) -> tuple[RecordState, ...]:
    """Let a change that was held never come; the states that this touches, none if the record is unknown.

    What it said is known to be answered: the source's side takes the agreed values again (R19).
    """
    state = world.records.get(record_id(change.key))
    if state is None or not state.live:
        return ()
    if change.operation == LOST:
        # It was meant to be gone, so it is as if it had been deleted.
        end(state, max(state.seen, change.stamp), change.epoch, returned=False)
        return (state,)
    if change.operation == "delete":
        following = heir(policy, world, state, change.stamp, record_id)
        return (state,) if following is None else (state, following)
    state.seen = max(state.seen, change.stamp)
    for name, value in change.values.items():
        # What a snapshot says has long been there: it stays the agency's own.
        if change.operation == "update" and name not in state.asserts.values:
            # As what was taken back: if nobody says anything of it, the agency's row is to hold nothing.
            marks = state.asserts.withdrawn.get(name, [])
            one = mark(Replaced(name, change.effective, value))
            state.asserts.withdrawn[name] = sorted({*marks, one})
    return (state,)
