"""What a person's decision changed is published by the workers, as they publish all else (R26)."""

from __future__ import annotations

from hub.errors import Fatal
from hub.lanes.converged import Converged
from hub.lanes.messages import Encoder
from hub.lanes.publication import outbound
from hub.lanes.settling import Finish
from hub.store.stewardship import leave_publication
from hub.store.transaction import Transaction


def hand_over(encoder: Encoder) -> Finish:
    """The last step of a steward's transaction: notes what changed, for the next sweep of a worker.

    Raises `Fatal`, and so undoes everything, if a change cannot be applied.
    """

    def finish(tx: Transaction, done: Converged) -> None:
        if done.dead:
            raise Fatal(f"it cannot be applied: {done.dead[0].text}")
        _, payload = outbound(encoder, done)
        if payload is not None:
            leave_publication(tx, payload)

    return finish
