"""An agency's joining in rehearsal: intake as workers run it, over an overlay of the store (R16, R32).

Nothing is written and nothing locked. The brake of a join weighs, and lets pass: what is shown is what comes
about when a person has released it, beside whether it would be held until then.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace

from hub.core.assertions import RecordKey
from hub.core.brakes import MASS_JOIN, Limits
from hub.core.contents import Rules
from hub.core.crosswalk import World
from hub.core.policy import TypePolicy
from hub.core.settle import Settled, settle
from hub.lanes.brakes import Said
from hub.lanes.converged import Converged, Note
from hub.lanes.intake import Intake
from hub.lanes.joins import JoinBrakes, MassJoin
from hub.lanes.reading import Message, Read, Reading
from hub.lanes.references import references_in
from hub.ops.brakes import brake_limits
from hub.ops.join_counts import Brake
from hub.ops.parts import Parts
from hub.ops.rehearsal import publish_nothing
from hub.store import brakes as store
from hub.store.brakes import Counted, Group
from hub.store.overlay import Overlay, OverlayTransaction
from hub.store.transaction import Transaction

# Entities that are settled or compared at a time.
CHUNK = 200


class _Scales(JoinBrakes):
    """The brakes of a join by the same limits, which hold nothing.

    All counts as of one moment: how fast the rows will come when the agency joins is not known, and the
    brake of a plan must not be the milder one.
    """

    def __init__(self, limits: Limits, overlay: Overlay) -> None:
        super().__init__(limits)
        self._limits_of = limits
        self._overlay = overlay
        self.numbers: Counter[Group] = Counter()
        self.masses: set[tuple[str, str]] = set()

    def weaken(
        self,
        tx: Transaction,
        batch: Sequence[Said],
        weak: Mapping[bytes, Collection[str]],
        record_id: Callable[[RecordKey], bytes],
    ) -> tuple[Sequence[Said], list[Note]]:
        del tx, weak, record_id  # nothing has been held
        return batch, []

    def weigh(
        self,
        tx: Transaction,
        policy: TypePolicy,
        world: World,
        batch: Sequence[Said],
        record_id: Callable[[RecordKey], bytes],
        joining: Collection[str],
    ) -> None:
        try:
            super().weigh(tx, policy, world, batch, record_id, joining)
        except MassJoin as mass:
            self.masses |= {(world.records[one].key.agency, policy.name) for one in mass.records}

    def count(self, tx: Transaction, numbers: Counter[tuple[Group, int]]) -> Counted:
        del tx  # counted in memory
        before = {(group, minute): self.numbers[group] for group, minute in numbers}
        for (group, _), number in numbers.items():
            self.numbers[group] += number
        return Counted(before, {}, {})

    def _live_records(self, tx: Transaction, group: Group) -> int:
        agency, record_type, _ = group
        rows = self._overlay.records.values()
        mine = {row[0] for row in rows if row[1:3] == (agency, record_type) and not row[8]}
        below = Transaction(tx.connection)
        known = below.records(mine).records.keys()
        return store.live_records(below, agency, record_type) + len(mine - known)

    def verdict(self, tx: Transaction, agency: str, record_type: str) -> Brake:
        """What came of it for one record type."""
        group = (agency, record_type, MASS_JOIN)
        live = self._live_records(tx, group)
        limit = self._limits_of.of_kind[MASS_JOIN].of(live)
        return Brake(self.numbers[group], live, limit, (agency, record_type) in self.masses)


class JoinRehearsal:
    """Takes an agency's messages in, and settles what follows. Blocks; one transaction per batch.

    `reading`: reads what was written with numbers that no registry gave.
    """

    def __init__(self, parts: Parts, agency: str, reading: Reading) -> None:
        self._parts = parts
        self._agency = agency
        self._reading = reading
        self.overlay = Overlay()
        self.scales = _Scales(brake_limits(parts.settings), self.overlay)
        self._intake = self._over(parts.joining.agencies, self.scales)
        self._joined = self._over(lambda tx: parts.joining.agencies(tx) - {agency}, None)

    def _over(self, joining: Callable[[Transaction], frozenset[str]], brakes: JoinBrakes | None) -> Intake:
        return self._parts.intake_over(Intake, self._begin, joining=joining, brakes=brakes)

    def take(self, messages: Sequence[Message]) -> Converged:
        """Take in messages of one record type; the result's `dead` has those that cannot be used."""
        read = self._reading.read(messages)
        return self._intake.converge(Read(read.changes, read.dead), [], publish_nothing)

    def admit(self) -> None:
        """Let the agency in: all that is concerned is settled as when its snapshot has been taken in."""
        with self._begin() as tx:
            world = tx.entities(set(self.overlay.entities))
            targets = tx.look_at_targets(references_in(world, world.entities, self._parts.types))
            wanted = set(self.overlay.entities) | {target.entity for target in targets.values()}
            kinds = {one.id: one.record_type for one in tx.entities(wanted).entities.values()}
            order = self._parts.catalogue.dependency_order()
            self.overlay.due.clear()
            tx.save_due(dict.fromkeys(sorted(kinds, key=lambda one: (order.index(kinds[one]), one)), 0))
        while self._joined.settle_due(CHUNK, publish_nothing).due_taken:
            pass

    @contextmanager
    def before(self) -> Iterator[tuple[Transaction, Rules]]:
        """The store as it is, with its rules."""
        with self._parts.looking() as tx:
            yield tx, self._parts.rules(tx)

    @contextmanager
    def after(self) -> Iterator[tuple[Transaction, Rules]]:
        """The store as it would be, with the rules that hold when the agency has been let in."""
        with self._parts.looking() as below, self.overlay.over(below) as tx:
            rules = self._parts.rules(below)
            yield tx, replace(rules, joining=rules.joining - {self._agency})

    @contextmanager
    def _begin(self) -> Iterator[OverlayTransaction]:
        counted = self.scales.numbers.copy()
        try:
            with self._parts.looking() as below, self.overlay.over(below) as tx:
                yield tx
        except BaseException:
            # Tried again: what was counted in vain must not count twice.
            self.scales.numbers = counted
            raise


def standing(
    tx: Transaction, rules: Rules, types: Mapping[str, TypePolicy], ids: Collection[bytes]
) -> tuple[World, dict[bytes, Settled]]:
    """These entities with their members, and as they settle, with what each agency may hold of them."""
    world = tx.entities(ids)
    present = list(world.entities)
    # Where the founding record of a merged entity stands now says what it was merged into.
    founders = tx.records(set(present) - set(world.entity_of.values()))
    world.records |= founders.records
    world.entity_of |= founders.entity_of
    targets = tx.look_at_targets(references_in(world, present, types))
    restated = {
        entity: frozenset(terms.agency for terms in rules.terms.get(one.record_type, ()))
        for entity, one in world.entities.items()
    }
    settled = settle(world, present, rules, targets, {}, frozenset(), restated)
    return world, {one.entity.id: one for one in settled}
