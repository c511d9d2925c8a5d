"""A worker with brakes, for tests of operations: takes batches as the lane does."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

from ops_hub import OpsHub

from hub.contracts import topics
from hub.core.assertions import Change
from hub.core.brakes import MASS_DELETE, MASS_JOIN, MASS_UPDATE, Limit, Limits
from hub.lanes.converged import Converged
from hub.lanes.corrections import CorrectingIntake
from hub.lanes.joins import JoinBrakes
from hub.lanes.publication import outbound
from hub.lanes.reading import Message, Read
from hub.ops.parts import today
from hub.store.transaction import Transaction

LIMITS = Limits(10, {MASS_DELETE: Limit(5, 50.0), MASS_UPDATE: Limit(8, 50.0), MASS_JOIN: Limit(4, 25.0)})
MINUTE_MS = 60_000
NOON_MS = 1_780_000_000_000


class Worker:
    """A hub's worker with brakes: takes batches as the lane does, at moments of the broker's clock."""

    def __init__(self, hub: OpsHub) -> None:
        self.hub, parts = hub, hub.parts
        self.intake = CorrectingIntake(
            parts.catalogue,
            parts.types,
            parts.terms,
            parts.ids,
            parts.store.begin,
            today,
            joining=parts.joining.agencies,
            brakes=JoinBrakes(LIMITS, clock=lambda: 0.0),
        )
        self._offsets = itertools.count()

    def take(self, changes: Sequence[Change], at_minute: float = 0) -> Converged:
        read = Read([(change, self._message(change, at_minute)) for change in changes])
        encoder = self.hub.parts.encoder()

        def finish(_: Transaction, done: Converged) -> None:
            self.hub.outs.append(outbound(encoder, done)[0])

        return self.intake.converge(read, [], finish)

    def _message(self, change: Change, at_minute: float) -> Message:
        topic = topics.changes(change.key.agency, change.key.record_type)
        return Message(topic, 0, next(self._offsets), NOON_MS + int(at_minute * MINUTE_MS), b"k", b"v")
