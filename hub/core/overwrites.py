"""Which values of newcomers take the place of what others hold (R32). Pure."""

from __future__ import annotations

from collections.abc import Collection

from hub.core.crosswalk import World
from hub.core.merge import golden_record
from hub.core.policy import TypePolicy


def overwriting(
    policy: TypePolicy, world: World, newcomers: Collection[bytes], joining: Collection[str]
) -> dict[bytes, set[str]]:
    """Those of the records `newcomers` whose word becomes golden in place of another agency's, and of what.

    What fills a gap, or agrees, is what a join is for. Agencies that are `joining` together have nothing
    yet that could be changed.
    """
    found: dict[bytes, set[str]] = {}
    concerned = {world.entity_of[record] for record in newcomers}
    members = world.members()
    for entity in concerned:
        those = members[entity]
        others = [one for one in those if one.id not in newcomers]
        if not any(one.live and one.key.agency not in joining for one in others):
            continue
        before = golden_record(policy, others)
        ids = {one.key: one.id for one in those}
        for name, won in golden_record(policy, those).items():
            was = before.get(name)
            if (
                was is not None
                and was.value not in (None, won.value)
                and was.key.agency not in joining
                and was.key.agency != won.key.agency
                and ids[won.key] in newcomers
            ):
                found.setdefault(ids[won.key], set()).add(name)
    return found
