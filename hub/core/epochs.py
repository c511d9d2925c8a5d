"""Epochs of an agency's database: what became of its records when it was set back to an earlier state (R24).

An epoch begins when the database is restored from a backup. Which of its records are there in an epoch is a
set like everything else (R8): a row that a later epoch has again lives again, whatever an earlier one did to
it; one that is missing when an epoch has said everything is lost, and stays so until it is heard of there.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import TYPE_CHECKING

from hub.core.policy import TypePolicy
from hub.core.texts import encoded_text, text_of

if TYPE_CHECKING:
    from hub.core.assertions import RecordState

# The epoch of an agency whose database was never set back, or which does not count.
FIRST = 1
# The hub's own word on a record that an epoch does not have; no agency says it.
LOST = "lost"
# Lives of a local id within one epoch: those that begin in a later one are counted from further up, so that
# an id which a restored database gives out a second time never stands for the record that it has forgotten.
_LIVES_BITS = 16
# Parts a reference from the number below which the life is that it means: no local id is typed with it.
_BELOW = "\x1f"
_NUMBER = re.compile("[0-9]{1,9}", re.ASCII)


def first_life(epoch: int) -> int:
    """The lowest incarnation of a life that begins in `epoch`."""
    return epoch << _LIVES_BITS if epoch > FIRST else 0


def heard(state: RecordState, epoch: int) -> None:
    """The row was there in `epoch`: what ended it in an earlier one has been undone by the restore."""
    asserts = state.asserts
    asserts.epoch = max(asserts.epoch, epoch)
    if state.ended and epoch > asserts.ended_in:
        state.ended, asserts.returned = 0, False


def end(state: RecordState, stamp: int, epoch: int, *, returned: bool) -> None:
    """The row was deleted in `epoch`; `returned`: by the hub's own side. Changes nothing once a later epoch
    has it again."""
    asserts = state.asserts
    later = epoch > asserts.ended_in
    asserts.ended_in = max(asserts.ended_in, epoch)
    if epoch < asserts.epoch:
        return
    if later:
        state.ended, asserts.returned = stamp, returned
    elif epoch == asserts.ended_in:
        state.ended, asserts.returned = max(state.ended, stamp), asserts.returned or returned


def miss(policy: TypePolicy, state: RecordState, epoch: int) -> None:
    """The row is missing in `epoch`, all of which has been said.

    What it refers to is what that id meant before: the restored database may give it to something else.
    """
    state.asserts.lost = max(state.asserts.lost, epoch)
    if not state.lost:
        return
    for name in policy.references:
        stamp, value = state.asserts.values.get(name, (0, None))
        if value is not None:
            state.asserts.values[name] = stamp, as_meant(policy, state, name, value)


def as_meant(policy: TypePolicy, state: RecordState, name: str, value: bytes | None) -> bytes | None:
    """What a record says of a field; of one that is lost, a reference as it was meant before. Also where it
    was said once more, or taken in late, after the loss was found."""
    if value is None or name not in policy.references or not state.lost:
        return value
    local_id, below = meant(text_of(value))
    return value if below is not None else encoded_text(named_below(local_id, first_life(state.asserts.lost)))


def named_below(local_id: str, below: int | None) -> str:
    """A local id in a reference that means the latest life below a number; see `meant`."""
    return local_id if below is None else f"{local_id}{_BELOW}{below}"


def meant(local_id: str) -> tuple[str, int | None]:
    """(local id, below which number the life is that is meant; None: the latest) of a reference."""
    plain, pinned, below = local_id.rpartition(_BELOW)
    if not pinned or not _NUMBER.fullmatch(below):
        # Whatever an agency has in its local ids.
        return local_id, None
    return plain, int(below)


def life_meant(lives: Iterable[RecordState], below: int | None) -> RecordState | None:
    """Which of the lives of one local id a reference means; see `meant`.

    The latest of those that the agency had in its latest epoch: a life that began after the backup is not
    what the restored database means by that id, however high its number.
    """
    if below is not None:
        those = (one for one in lives if one.key.incarnation < below)
        return max(those, key=lambda one: one.key.incarnation, default=None)
    return max(lives, key=lambda one: (one.asserts.epoch, one.key.incarnation), default=None)
