"""Brakes for people and programs: one line each, and what a mass would do."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from hub.ops.brakes import BrakeStory
from hub.ops.parts import local_time
from hub.store.brakes import HELD, Brake

_WORDS = {
    "mass_delete": "deletions",
    "mass_update": "updates",
    "mass_join": "rows of a snapshot",
    "mass_lost": "records that its restored database does not have",
}


def brake_line(one: Brake) -> str:
    """One brake in a line."""
    opened = local_time(int(one.opened_at.timestamp() * 1000))
    decided = f", {one.state} by {one.who}: {one.why}" if one.who else ""
    left = f", {one.undone} not carried out yet" if one.state != HELD and one.undone else ""
    return (
        f"hold B{one.id}: {one.agency} ({one.record_type}) {one.kind}, {one.held} {_WORDS[one.kind]} since "
        f"{opened}; {one.allowed} would have passed, it had {one.live} live records{decided}{left}"
    )


def brake_json(one: Brake) -> dict[str, Any]:
    """One brake for programs."""
    return {
        **one._asdict(),
        "id": f"B{one.id}",
        **{
            name: None if (at := getattr(one, name)) is None else int(at.timestamp() * 1000)
            for name in ("opened_at", "last_at", "decided_at")
        },
    }


def story_lines(story: BrakeStory) -> Iterator[str]:
    """A brake and what its changes would do."""
    yield brake_line(story.brake)
    which = "all" if story.sampled == story.brake.held else f"the first {story.sampled}"
    yield f"  of {which}: {story.elsewhere} are of records that other agencies hold, too"
    for name, count in story.fields.items():
        yield f"  {name}: {count}"
    yield f"  for example {', '.join(story.examples)}"


def story_json(story: BrakeStory) -> dict[str, Any]:
    return {
        **brake_json(story.brake),
        "sampled": story.sampled,
        "elsewhere": story.elsewhere,
        "fields": story.fields,
        "examples": list(story.examples),
    }
