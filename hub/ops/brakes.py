"""Brakes as a person sees them: what a mass would do, and the word that lets it through or takes it back."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from hub.core.assertions import Change
from hub.core.brakes import MASS_DELETE, MASS_JOIN, MASS_LOST, MASS_UPDATE, Limit, Limits
from hub.core.projection import UPSERT
from hub.errors import Fatal
from hub.ops.audit import Person
from hub.ops.finding import NotFound
from hub.ops.handing_over import hand_over
from hub.ops.parts import Parts
from hub.settings import HubSettings
from hub.store import brakes as store
from hub.store.audit import note
from hub.store.brakes import HELD, REJECTED, RELEASED, Brake
from hub.store.transaction import Transaction

# One transaction of what is released or rejected: like a batch of a worker, so that live edits get through.
CHUNK = 500
# How many of the held changes are looked at for what they would do.
SAMPLE = 1_000
_EXAMPLES = 5


def brake_limits(settings: HubSettings) -> Limits:
    """From how many changes on a mass is held (R32)."""
    return Limits(
        settings.brake_window_min,
        {
            MASS_DELETE: Limit(settings.brake_deletes, settings.brake_deletes_percent),
            MASS_UPDATE: Limit(settings.brake_updates, settings.brake_updates_percent),
            MASS_JOIN: Limit(settings.brake_updates, settings.brake_updates_percent),
            MASS_LOST: Limit(settings.brake_deletes, settings.brake_deletes_percent),
        },
    )


@dataclass(frozen=True)
class BrakeStory:
    """A brake, and what the first `sampled` of its changes would do.

    `fields`: field → how many speak of it; `elsewhere`: how many of the records are of entities that other
    agencies hold; `examples`: local ids.
    """

    brake: Brake
    sampled: int
    fields: dict[str, int]
    elsewhere: int
    examples: tuple[str, ...]


class Brakes:
    """Shows and decides brakes. Blocks. A decision that is cut off goes on when it is made again."""

    def __init__(self, parts: Parts, clock: Callable[[], float] = time.time) -> None:
        self._parts = parts
        self._clock = clock

    def list(self, agency: str | None = None, *, all_states: bool = False) -> list[Brake]:
        """Brakes that hold something back, or all, by number."""
        with self._parts.looking() as tx:
            return store.brakes(tx, agency=agency, every=all_states)

    def show(self, number: int) -> BrakeStory:
        """One brake and what its changes would do; raises `NotFound`."""
        with self._parts.looking() as tx:
            brake = _known(tx, number)
            changes = store.sample(tx, number, SAMPLE)
            elsewhere = self._elsewhere(tx, brake, changes)
        fields = Counter(
            name for change in changes for name in {*change.values, *change.added, *change.removed}
        )
        examples = sorted({change.key.local_id for change in changes})[:_EXAMPLES]
        return BrakeStory(brake, len(changes), dict(sorted(fields.items())), elsewhere, tuple(examples))

    def _elsewhere(self, tx: Transaction, brake: Brake, changes: Sequence[Change]) -> int:
        world = tx.records({self._parts.ids.record(*change.key) for change in changes})
        entities = tx.entities(set(world.entity_of.values())).entities
        return sum(
            any(a != brake.agency and held.operation == UPSERT for a, held in entities[entity].held.items())
            for entity in world.entity_of.values()
        )

    def release(self, number: int, who: str | Person, why: str) -> int:
        """Apply what is held, as if it came only now; returns how many changes that were.

        More of the kind passes for the length of the window, so that an import that is still running is not
        held again at once. Raises `NotFound`, `Fatal`.
        """
        return self._carry_out(number, RELEASED, who, why, self._parts.intake.apply)

    def reject(self, number: int, who: str | Person, why: str) -> int:
        """Never apply what is held; the agency gets the agreed values again. Raises `NotFound`, `Fatal`."""
        return self._carry_out(number, REJECTED, who, why, self._parts.intake.reject)

    def _carry_out(
        self, number: int, state: str, who: str | Person, why: str, act: Callable[..., object]
    ) -> int:
        # Asked for beforehand: the registry must not be waited for while rows are locked.
        finish = hand_over(self._parts.encoder())
        done = 0
        taken = 0

        def take(tx: Transaction) -> Sequence[Change]:
            nonlocal taken
            self._decide(tx, number, state, who, why)
            changes = store.take_braked(tx, number, CHUNK)
            taken = len(changes)
            return changes

        while True:
            act(take, finish)
            done += taken
            if taken < CHUNK:
                return done

    def _decide(self, tx: Transaction, number: int, state: str, who: str | Person, why: str) -> None:
        before = store.lock_brake(tx, number)
        if before is None:
            raise NotFound(f"no brake B{number}: `jisr hold list --all` shows all")
        if before not in (HELD, state):
            raise Fatal(f"B{number} was {before} already: that cannot be taken back")
        if before == HELD:
            window_ms = self._parts.settings.brake_window_min * 60_000
            until = int(self._clock() * 1000) + window_ms if state == RELEASED else None
            person = Person.named(who)
            store.decide_brake(tx, number, state, person.name, why, until)
            brake = _known(tx, number)
            action = "release" if state == RELEASED else "reject"
            detail = f"{brake.kind}, {brake.held} changes"
            note(
                tx,
                [
                    person.entry(
                        action,
                        f"hold B{number}",
                        why,
                        agency=brake.agency,
                        record_type=brake.record_type,
                        detail=detail,
                    )
                ],
            )


def _known(tx: Transaction, number: int) -> Brake:
    found = store.brakes(tx, brake_id=number)
    if not found:
        raise NotFound(f"no brake B{number}: `jisr hold list --all` shows all")
    return found[0]
