"""Dead letters as text for a person, and as JSON for a program. Values come veiled already."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from hub.ops.dead_letters import Letter
from hub.ops.effects import APPLIED, DEAD, HELD, NOTHING, SUPERSEDED, FieldEffect
from hub.ops.examination import Examined, Seen
from hub.ops.moments import milliseconds
from hub.ops.parts import local_time
from hub.ops.redrive import Preview, Redriven
from hub.ops.remedies import remedy
from hub.ops.rulings import AGREES, ENDED, WINS
from hub.store.dead_letters import OPEN, REDRIVEN, DeadLetterRow, Heap

_WOULD = {
    APPLIED: "would be applied",
    SUPERSEDED: "would change nothing",
    HELD: "would be held",
    DEAD: "would stay dead",
}
_OUTCOMES = {
    APPLIED: "would be applied",
    SUPERSEDED: "would change nothing: the record has said all of it again, or something later, or has ended",
    HELD: "would be held for a person (`jisr hold list`)",
    DEAD: "would stay dead",
}
_BECAME = {
    APPLIED: "applied",
    SUPERSEDED: "superseded: it changed nothing",
    HELD: "held for a person: `jisr hold list`",
    DEAD: "still dead",
}
# Of text that the message brings along.
_LONGEST = 200
_IDENTITIES = {
    "new": "a record that the hub does not know yet; it would stand for a new entity",
    "found": "a record that the hub does not know yet; it would be linked to",
    "same": "stands for",
    "moved": "would come to stand for",
}


def printable(line: str) -> str:
    """`line` without control characters: a dead letter may hold anything, and a terminal obeys it."""
    return "".join(
        letter if letter.isprintable() else letter.encode("unicode_escape").decode("ascii") for letter in line
    )


def _cut(text: str) -> str:
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}… ({len(text)} characters)"


def line(one: Letter) -> str:
    """One dead letter in a line; it repeats no value."""
    row = one.row
    whose = f"{row.agency}:{_cut(one.local_id)}" if one.local_id else row.agency
    where = f" in {_cut(row.path)}" if row.path else ""
    superseded = f"; superseded {one.superseded}" if one.superseded else ""
    return (
        f"dead letter {row.id}: {whose} ({row.record_type}) {row.code}{where}, {local_time(row.at_ms)}, "
        f"{_state(row)}{superseded}: {row.message}"
    )


def as_json(one: Letter) -> dict[str, Any]:
    """One dead letter without its bytes."""
    row = one.row
    found = {
        name: value for name, value in row._asdict().items() if name not in ("key", "value", "decided_at")
    }
    return {
        **found,
        "local_id": one.local_id or None,
        "superseded": one.superseded or None,
        "bytes": len(row.value or b""),
        "decided_ms": milliseconds(row.decided_at),
    }


def heap_lines(heaps: Iterable[Heap]) -> Iterator[str]:
    """How many there are of each kind, one kind a line."""
    for one in heaps:
        yield f"  {one.number:>7,}  {one.agency} {one.record_type} {one.code} ({one.state})"


def _state(row: DeadLetterRow) -> str:
    if row.state == OPEN:
        return f"open, redriven {_times(row.redrives)} in vain" if row.redrives else "open"
    became = f" and {row.outcome}" if row.state == REDRIVEN and row.outcome else ""
    return f"{row.state} by {row.who}{became}" + (f" ({row.why})" if row.why else "")


def _times(number: int) -> str:
    return "once" if number == 1 else f"{number} times"


# One dead letter


def story(one: Letter, found: Examined, hints: Mapping[str, str]) -> Iterator[str]:
    """One dead letter with all that is known of it; `hints`: language → what its field's contract allows."""
    row = one.row
    yield f"dead letter {row.id}: {_state(row)}"
    yield f"  {row.topic}[{row.partition}] at {row.kafka_offset}, appended {local_time(row.at_ms)}"
    yield (
        f"  speaks of {row.agency}:{_cut(one.local_id)}"
        if one.local_id
        else "  whose record it is cannot be read"
    )
    if one.superseded:
        yield (
            "  superseded: that record has said all of it again, or something later, or has ended: "
            f"{one.superseded}"
        )
    if row.decided_at is not None:
        deed = "redriven in vain" if row.state == OPEN else row.state
        yield f"  {deed} {local_time(milliseconds(row.decided_at) or 0)} by {row.who}: {row.why or '-'}"
    known = remedy(row.code, row.value)
    yield ""
    yield f"why: {row.code}{f' in {_cut(row.path)}' if row.path else ''}: {row.message}"
    yield f"  {known.meaning}"
    yield f"  to mend: {known.mend}"
    yield from (f"  the contract ({language}): {hint}" for language, hint in hints.items())
    yield ""
    yield from _examined(found)


def _examined(found: Examined) -> Iterator[str]:
    if found.seen:
        yield f"what could be read ({found.schema}, schema id {found.schema_id})"
        width = max(len(one.path) for one in found.seen)
        yield from (_seen(one, width, found) for one in found.seen)
    else:
        yield "nothing could be read"
    if found.problem:
        where = f" in {found.broke_path}" if found.broke_path else ""
        yield f"  reading broke at byte {found.broke_at}{where}: {found.problem}"
    yield ""
    covered = (
        "; what is personal, or could not be read, is covered: see --reveal" if found.bytes_covered else ""
    )
    yield f"{found.size} bytes{covered}"
    yield from (f"  {row}" for row in found.dump)


def _seen(one: Seen, width: int, found: Examined) -> str:
    mark = "*" if one.problem or (one.start, one.path) == (found.broke_at, found.broke_path) else " "
    problem = f"   <- {one.problem}" if one.problem else ""
    place = f"{one.start}-{one.end - 1}" if one.end > one.start else f"{one.start}"
    return f"{mark} {place:>13}  {one.path:<{width}}  {_cut(one.value)}{problem}"


def story_json(one: Letter, found: Examined, hints: Mapping[str, str]) -> dict[str, Any]:
    """One dead letter with all that is known of it."""
    known = remedy(one.row.code, one.row.value)
    return {
        **as_json(one),
        "meaning": known.meaning,
        "mend": known.mend,
        "contract": dict(hints),
        "examined": dataclasses.asdict(found),
    }


# What a redrive would do, and did


def preview_lines(one: Preview) -> Iterator[str]:
    """What redriving one dead letter would come to."""
    difference = "" if one.changes or one.outcome != APPLIED else ", and makes no difference: it is in effect"
    why = f": {one.why}" if one.why else ""
    yield f"dead letter {one.number}: {_OUTCOMES[one.outcome]}{difference}{why}"
    if not one.record:
        return
    yield f"  {one.operation} of {one.record}: {_IDENTITIES[one.identity]} {one.entity}"
    yield from (f"  {effect_line(effect)}" for effect in one.fields)
    if one.reviews:
        yield f"  pairs that a person would have to look at (`jisr review list`): {one.reviews}"
    if one.told:
        told = ", ".join(f"{agency} ({operation})" for agency, operation in sorted(one.told.items()))
        yield f"  agencies that would be told: {told}"


def effect_line(one: FieldEffect) -> str:
    """What a change would come to in one field."""
    value = f" {one.value}" if one.value else ""
    return f"{one.name}:{value}: {_effect(one)}"


def _effect(one: FieldEffect) -> str:
    was = f"in place of {one.before}" if one.before else "where there was nothing"
    since = f" of {one.rival_when}" if one.rival_when else ""
    if one.outcome == WINS:
        return f"would win {was}" if one.changes else "no change: it is the golden value already"
    if one.outcome == AGREES:
        return "no change: what stands says the same"
    if one.outcome == SUPERSEDED:
        return f"no change: {one.why}" + (f" ({one.rival_when})" if one.rival_when else "")
    if one.outcome == HELD:
        return f"would be held: {one.why}"
    if one.outcome in (NOTHING, ENDED) or not one.rival:
        return f"no change: {one.why}"
    return f"would lose to {one.rival}'s value{since} ({one.why})"


def preview_json(one: Preview) -> dict[str, Any]:
    """What redriving one dead letter would come to."""
    return dataclasses.asdict(one)


def foreseen(outcomes: Iterable[str]) -> str:
    """How many would come to what."""
    return _counted(outcomes, _WOULD)


def summary(outcomes: Iterable[str]) -> str:
    """How many came to what."""
    return _counted(outcomes, {word: word for word in _WOULD})


def _counted(outcomes: Iterable[str], words: Mapping[str, str]) -> str:
    counts = Counter(outcomes)
    return ", ".join(f"{counts[outcome]} {word}" for outcome, word in words.items() if counts[outcome])


def redriven_line(one: Redriven) -> str:
    """What became of one dead letter."""
    return f"dead letter {one.number}: {_BECAME[one.outcome]}" + (f": {one.why}" if one.why else "")


def numbers(ids: Sequence[int]) -> str:
    """`dead letter 17`, or `23 dead letters`."""
    return f"dead letter {ids[0]}" if len(ids) == 1 else f"{len(ids)} dead letters"
