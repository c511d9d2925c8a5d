"""Dead letters in words: reasons with what to do and whose move it is, and what a redrive comes to."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from hub.console.attention import Mover
from hub.console.holds import REASONS as HELD_FOR
from hub.console.languages import marked
from hub.console.overview import MOVER_WORDS
from hub.console.visit import Visit
from hub.core.answers import NO_AUTHORITY, NOT_PERMITTED, OLDER, OUTRANKED
from hub.ops.effects import APPLIED, DEAD, HELD, NOTHING, SUPERSEDED, FieldEffect
from hub.ops.rulings import AGREES, ENDED, WINS
from hub.store.dead_letters import DISCARDED, OPEN, REDRIVEN


class Reason(NamedTuple):
    """A reason as marked messages: its name, what is to be done; and whose move it is."""

    name: str
    step: str
    mover: Mover


_AGAIN = marked(
    "The agency mends its client and sends the record again. Discard this when it has come again."
)
_UNKNOWN = Reason(
    marked("A reason that this release does not know"),
    marked("Take it in again with the release that knows it."),
    Mover.OPERATOR,
)

# One for each of `hub.ops.remedies`, which the command line shows.
REASONS: Mapping[str, Reason] = {
    "undecodable": Reason(marked("The bytes cannot be read as a change"), _AGAIN, Mover.AGENCY),
    "unknown_schema_id": Reason(
        marked("The registry knows no schema of this number"),
        marked(
            "Register the release if it is not; then take this in again. Else the agency mends its address."
        ),
        Mover.OPERATOR,
    ),
    "unsafe_schema": Reason(
        marked("Its schema could hurt whoever decodes it"),
        marked(
            "The agency writes with a schema of the release. Discard this when the record has come again."
        ),
        Mover.AGENCY,
    ),
    "wrong_schema": Reason(
        marked("It was written as something else than this topic takes"),
        marked("The agency mends its client, and sends it to the topic of its record type."),
        Mover.AGENCY,
    ),
    "too_large": Reason(
        marked("The message, or a list in it, is too large"),
        marked("The agency finds out what filled it. Discard this when the record has come again."),
        Mover.AGENCY,
    ),
    "no_value": Reason(
        marked("The message has no value"),
        marked("The agency says deletions by the operation “delete”. Then discard this."),
        Mover.AGENCY,
    ),
    "no_key": Reason(
        marked("The message has no key"),
        marked(
            "The agency mends its client: each record needs a stable key. Then it sends the record again."
        ),
        Mover.AGENCY,
    ),
    "unknown_field": Reason(
        marked("It names a field that the record type does not have"),
        marked(
            "For a newer release: release it here, then take this in again. Else the agency mends its client."
        ),
        Mover.OPERATOR,
    ),
    "invalid_value": Reason(
        marked("A value is not what the contract allows"),
        marked(
            "The agency mends the value and saves the record. If the contract is wrong, release a wider one."
        ),
        Mover.AGENCY,
    ),
    "unknown_entity": Reason(
        marked("It names an entity that this agency was never given"),
        marked("The agency mends its client: without that name the hub finds the person by itself."),
        Mover.AGENCY,
    ),
    "agreement_ended": Reason(
        marked("The agency's agreement had ended when it was sent"),
        marked("Release a renewed agreement, then take this in again; else retire the agency."),
        Mover.OPERATOR,
    ),
    "incarnation_ended": Reason(
        marked("A deleted local id is used again without saying so"),
        marked("The agency's client raises the incarnation by one for each new life of an id."),
        Mover.AGENCY,
    ),
}

STATES = {
    OPEN: marked("Open"),
    REDRIVEN: marked("Taken in again"),
    DISCARDED: marked("Discarded"),
}

# What taking in again would come to, and came to.
OUTCOMES = {
    APPLIED: marked("would be applied"),
    SUPERSEDED: marked("would change nothing: it is superseded"),
    HELD: marked("would be held for a person"),
    DEAD: marked("would stay dead"),
}
BECAME = {
    APPLIED: marked("applied"),
    SUPERSEDED: marked("superseded: it changed nothing"),
    HELD: marked("held for a person"),
    DEAD: marked("still dead"),
}
IDENTITIES = {
    "new": marked("It would stand for somebody new."),
    "found": marked("It would be linked to somebody whom the hub knows."),
    "same": marked("It stands for the same as before."),
    "moved": marked("It would come to stand for somebody else."),
}

_WOULD_WIN = marked("Would become the golden value")
_THERE = marked("No change: it stands already")
_EFFECTS = {
    AGREES: _THERE,
    SUPERSEDED: marked("No change: the record has said otherwise since"),
    HELD: marked("Would be held: an outdated form"),
    NOT_PERMITTED: marked("No change: the agreement does not let the agency say this"),
    NOTHING: marked("No change: an empty field says nothing here"),
    ENDED: marked("No change: the record has ended"),
    OLDER: marked("No change: a newer word stands"),
    OUTRANKED: marked("No change: an agency with more authority has spoken"),
    NO_AUTHORITY: marked("No change: the agency has no say over this field"),
    "immutable": marked("No change: the first word stays"),
    "max": marked("No change: a higher value stands"),
}
_WEAKER = marked("No change: another word stands")


def reason(code: str) -> Reason:
    """The reason of this code."""
    return REASONS.get(code, _UNKNOWN)


def effect(one: FieldEffect) -> str:
    """What becomes of one field, as a marked message."""
    if one.outcome == WINS:
        return _WOULD_WIN if one.changes else _THERE
    return _EFFECTS.get(one.outcome, _WEAKER)


def held_in_words(visit: Visit, record_type: str, why: str) -> str:
    """Why a change would be held, as a preview has it: `code: field, field; code: …`."""
    told = []
    for part in why.split("; "):
        code, _, names = part.partition(": ")
        fields = visit.wording.fields(record_type, filter(None, names.split(", ")))
        told.append(f"{visit.words(HELD_FOR.get(code, code))}: {fields}")
    return "; ".join(told)


def words() -> dict[str, Any]:
    """What the pages of dead letters are worded with."""
    return {
        "reason": reason,
        "effect": effect,
        "states": STATES,
        "outcomes": OUTCOMES,
        "became": BECAME,
        "identities": IDENTITIES,
        "movers": MOVER_WORDS,
    }
