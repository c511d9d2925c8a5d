"""Records that a restored database has lost: what they said goes on with another row (R24). Pure."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from hub.core.assertions import RecordState
from hub.core.corrections import take_over
from hub.core.crosswalk import World
from hub.core.epochs import end
from hub.core.policy import TypePolicy
from hub.core.projection import primary


def pass_on(types: Mapping[str, TypePolicy], world: World, entities: Collection[bytes]) -> set[bytes]:
    """Let the agency's living record of an entity take over from those of its records that are lost.

    Whether the hub had it made, or people entered it again. One that they have deleted since takes over, too:
    it would have, had the loss been found out before, and who deletes a row does not get it back (R8, R15).
    Returns the records that this changed, in place.
    """
    lost = [
        state
        for record, state in world.records.items()
        if state.lost and world.entity_of.get(record) in entities
    ]
    if not lost:
        return set()
    members = world.members()
    changed: set[bytes] = set()
    for state in sorted(lost, key=lambda one: one.key):
        mine = [one for one in members[world.entity_of[state.id]] if one.key.agency == state.key.agency]
        heir = primary(mine) or _last_heir(mine, state.asserts.lost)
        if heir is not None:
            take_over(types[state.key.record_type], heir, state)
            end(state, max(state.seen, state.ended, 1), state.asserts.lost, returned=True)
            changed |= {state.id, heir.id}
    return changed


def _last_heir(mine: Collection[RecordState], epoch: int) -> RecordState | None:
    """The one that had a row in the epoch which misses another, and has ended in it."""
    ended = [one for one in mine if one.ended and one.asserts.epoch >= epoch]
    return min(ended, key=lambda one: (one.born, one.key), default=None)
