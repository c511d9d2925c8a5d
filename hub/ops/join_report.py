"""What came of an agency's join, from the store: in the form of its plan, so that the two can be compared.

What others would hold without the agency is found by the core, over the store without the agency's records.
Who is who is left as it is: that two entities became one by what the agency says is not taken apart again.
"""

from __future__ import annotations

import time
from collections.abc import Collection, Iterator, Mapping, Sequence

from sqlalchemy import text

from hub.contracts.wire import encoded_strings
from hub.core.assertions import RecordState
from hub.core.brakes import MASS_JOIN
from hub.core.crosswalk import World
from hub.core.matching import Review
from hub.core.projection import primary
from hub.core.texts import text_of
from hub.errors import ConfigurationError
from hub.ops.brakes import brake_limits
from hub.ops.join_counts import (
    EMPTIED,
    FILLED,
    REPLACED,
    Brake,
    Example,
    JoinCounts,
    TypeCounts,
    tally,
)
from hub.ops.join_effects import (
    NOWHERE,
    Comparison,
    Standing,
    golden_text,
    masked,
    rule_for,
    unresolved,
)
from hub.ops.join_identity import Identified
from hub.ops.join_rehearsal import CHUNK, standing
from hub.ops.parts import Parts, local_time
from hub.ops.veil import Veil
from hub.store import brakes as store
from hub.store.dead_letters import OPEN, DeadLetterRow, Wanted, dead_letters
from hub.store.stewardship import holds, reviews
from hub.store.transaction import Transaction

_ENTITIES = text("""
    SELECT DISTINCT entity FROM record
    WHERE agency = :agency AND record_type = :record_type AND ended = 0 AND entity > :after
    ORDER BY entity LIMIT :limit
""")

_REFUSED_THERE = text("""
    SELECT code, column_name, count(*) FROM undelivered
    WHERE agency = :agency AND record_type = :record_type AND state = 'refused' GROUP BY 1, 2
""")

_MANY = 1_000_000


class Without(Transaction):
    """A transaction that looks, and sees the store as if an agency had no records."""

    def __init__(self, tx: Transaction, agency: str) -> None:
        super().__init__(tx.connection)
        self._agency = agency

    def records(self, ids: Collection[bytes]) -> World:
        return self._others(super().records(ids))

    def members(self, entities: Collection[bytes]) -> World:
        return self._others(super().members(entities))

    def entities(self, ids: Collection[bytes]) -> World:
        """Also without the consents that nobody else has recorded."""
        world = super().entities(ids)
        consents = {one for entity in world.entities.values() for one in entity.consents}
        recorded = set(self.members(consents).entity_of.values())
        for entity in world.entities.values():
            entity.consents = {one: consent for one, consent in entity.consents.items() if one in recorded}
        return world

    def _others(self, world: World) -> World:
        for record in [one.id for one in world.records.values() if one.key.agency == self._agency]:
            del world.records[record], world.entity_of[record]
        return world


class JoinReporter:
    """Reports on one agency. Blocks; a transaction per part, which locks nothing and changes nothing.

    `mapped`: record type → the fields that the agency's mapping holds; None counts all of its agreement.
    """

    def __init__(
        self,
        parts: Parts,
        agency: str,
        veil: Veil,
        mapped: Mapping[str, Collection[str]] | None = None,
    ) -> None:
        """Raises `ConfigurationError` if no agreement names the agency."""
        if agency not in parts.agreements:
            names = ", ".join(parts.agreements)
            raise ConfigurationError(f"there is no agreement of {agency!r}: there are {names}")
        self._parts = parts
        self._agency = agency
        self._veil = veil
        self._mapped = mapped
        self._found = JoinCounts("report", agency, local_time(time.time_ns() // 1_000_000))

    def report(self) -> JoinCounts:
        """What came of it, by record type."""
        order = self._parts.catalogue.dependency_order()
        for record_type in [one for one in order if self._wanted(one)]:
            found = self._found.types[record_type] = TypeCounts()
            for ids in self._chunks(record_type):
                self._look(found, record_type, ids)
            with self._parts.looking() as tx:
                self._refusals(tx, found, record_type)
                found.brake = self._brake(tx, record_type)
        return self._found

    def _wanted(self, record_type: str) -> bool:
        mapped = self._mapped is None or record_type in self._mapped
        return mapped and record_type in self._parts.agreements[self._agency].record_types

    def _chunks(self, record_type: str) -> Iterator[list[bytes]]:
        """The entities for which the agency has a record, some at a time."""
        where = {"agency": self._agency, "record_type": record_type, "after": b"", "limit": CHUNK}
        while True:
            with self._parts.looking() as tx:
                ids = [bytes(one) for (one,) in tx.connection.execute(_ENTITIES, where)]
            if ids:
                yield ids
            if len(ids) < CHUNK:
                return
            where["after"] = ids[-1]

    def _look(self, found: TypeCounts, record_type: str, ids: Sequence[bytes]) -> None:
        types = self._parts.types
        with self._parts.looking() as tx:
            rules = self._parts.rules(tx)
            after = Standing(*standing(tx, rules, types, ids))
            before = Standing(*standing(Without(tx, self._agency), rules, types, ids))
            Comparison(self._parts, self._agency, before, after, lambda one: one, self._veil).count(
                {record_type: found}
            )
            mine = {
                one.id
                for one in after.world.records.values()
                if one.key.agency == self._agency and one.live and after.world.entity_of[one.id] in ids
            }
            self._identify(tx, found, record_type, mine, after)
            for record in sorted(mine):
                self._count_here(tx, found, after, after.world.records[record])

    def _identify(
        self,
        tx: Transaction,
        found: TypeCounts,
        record_type: str,
        mine: Collection[bytes],
        after: Standing,
    ) -> None:
        world, speaking = after.world, {one for one in mine if _speaks(after.world.records[one])}
        found.rows += len(mine)
        found.silent += len(mine) - len(speaking)
        pairs = [
            Review(one.a, one.b, one.reason, one.fields)
            for one in reviews(tx, waiting=True, records=speaking, limit=_MANY)
        ]
        strangers = {record for one in pairs for record in (one.a, one.b)} - world.records.keys()
        seen = World(world.records | tx.records(strangers).records, world.entity_of, world.entities)
        policy = self._parts.types[record_type]
        Identified(policy, self._agency, seen, (), pairs, self._veil, afterwards=True).count(found, speaking)
        states = [world.records[one] for one in sorted(speaking)]
        for state, name, _ in unresolved(tx, self._parts.types, states):
            tally(found.waiting, (name, NOWHERE), Example(masked(state.key.local_id, self._veil)))
        for held in holds(tx, waiting=True, records=speaking, limit=_MANY):
            shown = Example(masked(held.change.key.local_id, self._veil))
            tally(found.held, (held.reason, ", ".join(held.fields)), shown)

    def _count_here(self, tx: Transaction, found: TypeCounts, after: Standing, state: RecordState) -> None:
        """Count where the hub tells the agency something else than the record says of itself."""
        entity = after.world.entity_of[state.id]
        content = after.held_by(self._agency, entity)
        members = after.world.members()[entity]
        chosen = primary(one for one in members if one.key.agency == self._agency)
        if content is None or chosen is None or chosen.id != state.id or not _speaks(state):
            return
        settled, record_type = after.settled[entity], state.key.record_type
        policy = self._parts.types[record_type]
        specs = self._parts.catalogue.records[record_type].by_name
        changed = 0
        for name in content.fields:
            if self._mapped is not None and name not in self._mapped[record_type]:
                continue
            said, told = self._said(tx, state, name), content.values.get(name)
            if name in policy.references and told is not None:
                told = settled.references.get(name)
            if said == told:
                continue
            changed += 1
            word = FILLED if said is None else EMPTIED if told is None else REPLACED
            won = golden_text(self._parts, record_type, name, settled.golden.get(name), self._veil)
            own = state.asserts.values.get(name)
            plain = own is not None and name not in policy.references
            was = self._veil.value(specs[name], own[1]) if own is not None and plain else ""
            example = Example(masked(state.key.local_id, self._veil), was, won)
            found.here_of(name).add(word, rule_for(policy, name, state, settled), example)
        found.here_rows += bool(changed)

    def _said(self, tx: Transaction, state: RecordState, name: str) -> bytes | None:
        """What the record says of a field, as a projection would: a list whole, a reference as its entity."""
        policy = self._parts.types[state.key.record_type]
        if (elements := state.asserts.unions.get(name)) is not None:
            present = sorted(one for one, (_, there) in elements.items() if there)
            return encoded_strings(present) if present else None
        own = state.asserts.values.get(name)
        if own is None or own[1] is None or name not in policy.references:
            return own[1] if own else None
        targets = tx.look_at_targets([(state.key.agency, policy.references[name], text_of(own[1]))])
        return next((target.entity for target in targets.values()), b"")

    def _refusals(self, tx: Transaction, found: TypeCounts, record_type: str) -> None:
        for dead in self._dead(tx, record_type):
            tally(found.refused, (dead.code, dead.path, ""), Example(f"jisr dlq show {dead.id}"))
            found.rows += 1
        where = {"agency": self._agency, "record_type": record_type}
        for code, column, number in tx.connection.execute(_REFUSED_THERE, where):
            for _ in range(number):
                tally(found.here_refused, (code, column), Example(""))

    def _dead(self, tx: Transaction, record_type: str) -> Iterator[DeadLetterRow]:
        """Open dead letters, a page at a time: each holds its whole message."""
        wanted, after = Wanted(agency=self._agency, record_type=record_type, state=OPEN), 0
        while page := dead_letters(tx, wanted, after=after, limit=CHUNK):
            yield from page
            after = page[-1].id

    def _brake(self, tx: Transaction, record_type: str) -> Brake:
        mine = [
            one
            for one in store.brakes(tx, agency=self._agency, every=True)
            if (one.record_type, one.kind) == (record_type, MASS_JOIN)
        ]
        if mine:
            last = mine[-1]
            return Brake(last.held, last.live, last.allowed, last.state == store.HELD)
        live = store.live_records(tx, self._agency, record_type)
        return Brake(0, live, brake_limits(self._parts.settings).of_kind[MASS_JOIN].of(live))


def _speaks(state: RecordState) -> bool:
    """Whether the agency said anything by it: of rows that the hub had it make, nothing is to be reported."""
    return state.linked is None or state.speaks
