"""Answers: an edit that loses is told so, and its source gets the winning value back (R19)."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from typing import NamedTuple

from hub.core.assertions import Change, RecordKey, RecordState
from hub.core.merge import Golden, Winner
from hub.core.policy import STEWARD, FieldPolicy, TypePolicy
from hub.core.stamps import at

# Two systems that overwrite each other for ever are stopped after this many answers in the window.
REWRITE_LIMIT = 5
REWRITE_WINDOW_MS = 10 * 60 * 1000

NO_AUTHORITY = "no_authority"
OUTRANKED = "outranked"
OLDER = "older"
NOT_PERMITTED = "not_permitted"
STALE_FORM = "stale_form"
ECHO = "echo"
DELETED = "deleted"
# Never asserted, or of what is no more, so the hub does not contend with the source over them.
_NOT_REWRITTEN = frozenset({NOT_PERMITTED, STALE_FORM, DELETED})


class Answer(NamedTuple):
    """What the source of a lost edit is told: which fields, why, and which are now in dispute."""

    key: RecordKey
    event_id: str
    stamp: int
    lost: tuple[Lost, ...]
    disputed: tuple[str, ...]


class Lost(NamedTuple):
    """One field of an edit that did not become the golden value, and the rule that decided."""

    field: str
    reason: str


def answer(
    policy: TypePolicy, state: RecordState, change: Change, golden: Golden, *, deleted: bool = False
) -> Answer | None:
    """The answer to an absorbed edit, or None if it stands; counts the rewrite in `state`.

    `deleted`: a deletion that propagates has ended the entity, and the edit does not bring it back (R15).
    """
    lost = lost_fields(policy, change, golden, deleted=deleted)
    if not lost:
        return None
    disputed = count_rewrites(state, change, [one for one in lost if one.reason not in _NOT_REWRITTEN])
    return Answer(change.key, change.event_id, change.stamp, tuple(lost), tuple(disputed))


def lost_fields(policy: TypePolicy, change: Change, golden: Golden, *, deleted: bool = False) -> list[Lost]:
    """The fields of `change` (an update, absorbed) whose golden value is another, with the reason.

    Only updates: an insert or a snapshot says what its agency knows, nobody has just typed it. A steward has
    no database that could be told.
    """
    if change.operation != "update" or change.key.agency == STEWARD:
        return []
    lost = [Lost(name, NOT_PERMITTED) for name in change.withheld]
    lost += [Lost(name, STALE_FORM) for name in change.stale]
    if deleted:
        lost += [Lost(name, DELETED) for name in {*change.values, *change.added, *change.removed}]
        return sorted(lost)
    for name, value in change.values.items():
        reason = _reason(policy.fields[name], change, golden.get(name), value)
        if reason:
            lost.append(Lost(name, reason))
    for name in change.added.keys() | change.removed.keys():
        if _elements_lost(change, golden.get(name), name):
            no_say = policy.fields[name].rank(change.key.agency) is None
            lost.append(Lost(name, NO_AUTHORITY if no_say else OUTRANKED))
    if change.echoes is not None:
        lost += _outdated(change.echoes, golden)
    return sorted(lost)


def unaware(policy: TypePolicy, change: Change, golden: Golden) -> bool:
    """Whether a snapshot says what the hub knows otherwise: its agency, if it holds the entity, is told once
    more. Its side may have left these fields alone so far, or have put in them what it does not hold now; and
    nobody there has just typed them, so it is no answer."""
    if change.operation != "snapshot":
        return False
    lost = any(
        name in golden and _reason(policy.fields[name], change, golden[name], value)
        for name, value in change.values.items()
    )
    # A snapshot says all elements that the row has.
    return lost or any(
        name in golden and set(golden[name].elements or ()) != set(change.added.get(name, ()))
        for name in change.added.keys() | change.removed.keys()
    )


def _outdated(echoes: Change, golden: Golden) -> Iterator[Lost]:
    """Echoes of what does not stand any more: whoever wrote them must be told what does."""
    for name, value in echoes.values.items():
        won = golden.get(name)
        if (won and won.value) != value:
            yield Lost(name, ECHO)
    for name in echoes.added.keys() | echoes.removed.keys():
        if _elements_lost(echoes, golden.get(name), name):
            yield Lost(name, ECHO)


def _reason(field: FieldPolicy, change: Change, won: Winner | None, value: bytes | None) -> str | None:
    rank = field.rank(change.key.agency)
    if won is not None and won.value == value:
        return None
    if rank is None:
        return NO_AUTHORITY
    if won is None:
        return None
    if won.rank < rank:
        return OUTRANKED
    if field.merge in ("immutable", "max"):
        return field.merge
    return OLDER


def _elements_lost(change: Change, won: Winner | None, name: str) -> bool:
    present = set(won.elements or ()) if won else set()
    return not present.issuperset(change.added.get(name, ())) or not present.isdisjoint(
        change.removed.get(name, ())
    )


def count_rewrites(state: RecordState, change: Change, lost: list[Lost]) -> list[str]:
    """Count an answer to each lost field; return the fields that have now become disputed.

    Counted by the edits' own stamps, so that a replay counts alike.
    """
    newly = []
    oldest = change.effective - at(REWRITE_WINDOW_MS)
    for name, _ in lost:
        known = state.asserts.rewrites.get(name, [])
        if len(known) >= REWRITE_LIMIT:
            # In dispute until a steward speaks; a pause does not begin it all again.
            continue
        stamps = [stamp for stamp in known if stamp > oldest]
        state.asserts.rewrites[name] = [*stamps, change.effective][-REWRITE_LIMIT:]
        if len(stamps) == REWRITE_LIMIT - 1:
            newly.append(name)
    return newly


def disputed_fields(state: RecordState | None) -> frozenset[str]:
    """Fields that the hub no longer writes at this record, until a steward speaks (`end_disputes`)."""
    if state is None or not state.asserts.rewrites:
        return frozenset()
    return frozenset(name for name, stamps in state.asserts.rewrites.items() if len(stamps) >= REWRITE_LIMIT)


def end_disputes(states: Iterable[RecordState], fields: Collection[str]) -> set[bytes]:
    """Count answers to these fields anew, at each of the records of an entity of which a steward has spoken.

    A system that goes on writing its own value over the steward's is stopped once more. Returns the records
    that were changed.
    """
    changed = set()
    for state in states:
        for name in state.asserts.rewrites.keys() & set(fields):
            del state.asserts.rewrites[name]
            changed.add(state.id)
    return changed
