"""What is held as a program sees it: singly and by the mass, local ids covered."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

from hub.console.visit import Visit
from hub.ops.brakes import BrakeStory
from hub.ops.holds import HeldField, HeldStory
from hub.ops.moments import milliseconds
from hub.store.brakes import Brake
from hub.store.stewardship import HeldChange


@dataclass(frozen=True)
class HoldLine:
    """A held change. `state`: held, released or rejected; `local_id` is covered; `_ms`: Unix milliseconds."""

    id: int
    agency: str
    record_type: str
    reason: str
    fields: tuple[str, ...]
    local_id: str
    state: str
    since_ms: int | None
    who: str | None
    why: str | None
    decided_ms: int | None


@dataclass(frozen=True)
class HoldList:
    """Held changes, the oldest first. `next`: give it as `after` to read on, if not null."""

    holds: tuple[HoldLine, ...]
    next: int | None


@dataclass(frozen=True)
class HoldView:
    """One held change. `entity`: hub id of whom its record stands for; `said`: when it was said; `fields`:
    what waits, what the record and the golden record say now, covered, and which agency says the latter."""

    hold: HoldLine
    entity: str
    said: str
    fields: tuple[HeldField, ...]


@dataclass(frozen=True)
class HoldDecided:
    """What a decision came to: the state now, and whether it is new."""

    state: str
    new: bool


@dataclass(frozen=True)
class MassLine:
    """A mass that a brake holds or held. `changes`: all of it; `waiting`: those not carried out yet;
    `allowed`: so many would have passed; `live`: the agency's live records then."""

    id: int
    agency: str
    record_type: str
    reason: str
    state: str
    changes: int
    waiting: int
    allowed: int
    live: int
    since_ms: int | None
    who: str | None
    why: str | None
    decided_ms: int | None


@dataclass(frozen=True)
class MassList:
    """Masses by number."""

    masses: tuple[MassLine, ...]


@dataclass(frozen=True)
class MassView:
    """One mass, and what the first `sampled` of its changes would do: `fields`, how many speak of each;
    `elsewhere`, how many are of records that other agencies hold, too; `examples`: local ids, covered."""

    mass: MassLine
    sampled: int
    fields: dict[str, int]
    elsewhere: int
    examples: tuple[str, ...]


@dataclass(frozen=True)
class MassDecided:
    """How many changes a decision on a mass carried out now."""

    changes: int


def hold_line(visit: Visit, hold: HeldChange) -> HoldLine:
    """A held change as this reader may see it."""
    key = hold.change.key
    return HoldLine(
        id=hold.id,
        agency=key.agency,
        record_type=key.record_type,
        reason=hold.reason,
        fields=hold.fields,
        local_id=visit.local_id(key.agency, key.local_id),
        state=hold.state,
        since_ms=milliseconds(hold.created_at),
        who=hold.who,
        why=hold.why,
        decided_ms=milliseconds(hold.decided_at),
    )


def hold_view(visit: Visit, story: HeldStory) -> HoldView:
    # Whose word the golden value is, without the local id that it goes by there.
    fields = tuple(
        dataclasses.replace(one, golden_by=one.golden_by.partition(":")[0]) for one in story.fields
    )
    return HoldView(hold_line(visit, story.hold), story.entity, story.said, fields)


def mass_line(brake: Brake) -> MassLine:
    return MassLine(
        id=brake.id,
        agency=brake.agency,
        record_type=brake.record_type,
        reason=brake.kind,
        state=brake.state,
        changes=brake.held,
        waiting=brake.undone,
        allowed=brake.allowed,
        live=brake.live,
        since_ms=milliseconds(brake.opened_at),
        who=brake.who,
        why=brake.why,
        decided_ms=milliseconds(brake.decided_at),
    )


def mass_view(visit: Visit, story: BrakeStory) -> MassView:
    examples = tuple(visit.local_id(story.brake.agency, one) for one in story.examples)
    return MassView(mass_line(story.brake), story.sampled, story.fields, story.elsewhere, examples)
