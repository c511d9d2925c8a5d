"""The hub's store in memory: what `hub.store` offers to the lanes, without PostgreSQL.

The methods of `Transaction` are written down a second time over `tables`. A test holds both to each other on
the same sequences.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import msgspec

from hub.core.assertions import RecordKey, RecordState, Replaced, pack, unpack
from hub.core.contents import Reference, Target
from hub.core.crosswalk import Entity, Held, World
from hub.core.epochs import meant
from hub.core.matching import Decision, Review
from hub.core.projection import UPSERT, Consent
from hub.core.step import Hold
from hub.errors import Retriable
from hub.store.errors import Fenced, StoreAway
from hub.store.loading import Advance
from hub.store.transaction import Transaction
from simulation.schedule import Schedule
from simulation.statements import Statements, add_due
from simulation.tables import MemoryTables, Session

TABLES = (
    "record", "entity", "identity", "reference", "position", "publication", "due", "dead_letter", "hold",
    "review", "decision", "dispute", "receipt", "undelivered", "farewell", "setting", "lock",
)  # fmt: skip
# Of how many transactions one finds the store away, or loses the answer to its COMMIT.
ONE_IS_LOST_IN = 250
_MAX_LOOKS = 8
_ENCODE = msgspec.msgpack.Encoder().encode
_HELD = msgspec.msgpack.Decoder(dict[str, Held])
_CONSENTS = msgspec.msgpack.Decoder(dict[bytes, Consent])


class LockOrder(AssertionError):
    """Locks were taken in another order than R25 has it: sooner or later two workers wait in a circle."""


class MemoryStore:
    """`hub.store.engine.HubStore`."""

    def __init__(self, schedule: Schedule, *, fails: bool = True) -> None:
        self.schedule = schedule
        self.tables = MemoryTables(schedule, TABLES)
        self.fails = fails

    @contextmanager
    def begin(self) -> Iterator[MemoryTransaction]:
        lost = self.fails and self.schedule.chance(ONE_IS_LOST_IN)
        if lost and self.schedule.chance(2):
            raise StoreAway("the hub's store does not answer: simulated")
        self.schedule.pause()
        session = Session(self.tables)
        try:
            yield MemoryTransaction(session)
            session.commit()
        finally:
            session.release()
        if lost:
            raise StoreAway("whether the COMMIT arrived is not known: simulated")

    def rows(self, table: str) -> list[Any]:
        """What is committed."""
        return [row for _, row in sorted(self.tables.committed[table].items())]

    def close(self) -> None:
        pass


class MemoryTransaction(Transaction):
    """`hub.store.transaction.Transaction`."""

    def __init__(self, session: Session) -> None:
        self.session = session
        super().__init__(Statements(session))  # type: ignore[arg-type]
        # Which classes of locks were taken so far; identities and entities by record type (R25).
        self._taken: set[tuple[str, str]] = set()

    def save_counts(self) -> None:
        pass

    def save_replaced(self, replaced: Mapping[bytes, Sequence[Replaced]]) -> None:
        """What stood before is kept for a person who takes something back: nobody does here."""

    # Positions

    def advance(self, lane: str, advances: Sequence[Advance]) -> None:
        self._in_order("positions", {"references", "identities", "entities"})
        for one in sorted(advances):
            key = (lane, one.topic, one.partition)
            self.session.lock("position", key)
            row = self.session.get("position", key)
            if row is None or row[4] != one.expected:
                raise Fenced(f"lane {lane}: {key} moved by another worker")
            self.session.put("position", key, (*row[:4], one.following))

    # Loading and locking

    def lock_references(self, *, alone: bool) -> None:
        self._in_order("references", {"identities", "entities"})
        self.session.lock("lock", "references", alone=alone)

    def records(self, ids: Collection[bytes]) -> World:
        self.session.schedule.pause()
        rows = [row for one in sorted(ids) if (row := self.session.get("record", one)) is not None]
        return self._read_records(rows)

    def claim_identities(self, claims: Iterable[tuple[bytes, bytes]]) -> dict[bytes, list[bytes]]:
        found: dict[bytes, list[bytes]] = {}
        for value, record in sorted(set(claims)):
            row = self.session.get("record", record)
            if row is not None and ("entities", row[2]) in self._taken:
                raise LockOrder(f"an identity of a {row[2]} is claimed after entities were locked")
            self.session.lock("identity", value)
            known = self.session.get("identity", value) or ()
            if record not in known:
                self.session.put("identity", value, (*known, record))
            found[value] = list(self.session.get("identity", value) or ())
        return found

    def lock_entities(self, ids: Collection[bytes]) -> World:
        world = World()
        self.lock_early(ids)
        for one in sorted(ids):
            if (row := self.session.get("entity", one)) is not None and self.session.holds("entity", one):
                world.entities[one] = _entity(row)
        self._add_members(world, ids)
        return world

    def lock_early(self, ids: Collection[bytes], *, shared: bool = False) -> None:
        # Those that are there when the statement begins; who comes meanwhile is not seen.
        for one in [one for one in sorted(ids) if self.session.get("entity", one) is not None]:
            self.session.lock("entity", one, alone=not shared)
            self._taken.add(("entities", (self.session.get("entity", one) or ("", ""))[1]))

    def lock_free(self, ids: Collection[bytes]) -> tuple[set[bytes], set[bytes]]:
        present = {one for one in sorted(ids) if self.session.get("entity", one) is not None}
        free = {one for one in sorted(present) if not self.session.is_locked("entity", one)}
        self.lock_early(free)
        return free, present - free

    def entities(self, ids: Collection[bytes]) -> World:
        world = self.members(ids)
        for one in sorted(ids):
            if (row := self.session.get("entity", one)) is not None:
                world.entities[one] = _entity(row)
        return world

    def members(self, entities: Collection[bytes]) -> World:
        world = World()
        self._add_members(world, entities)
        return world

    def _add_members(self, world: World, entities: Collection[bytes]) -> None:
        self.session.schedule.pause()
        wanted = set(entities)
        found = self._read_records([row for _, row in self.session.rows("record") if row[5] in wanted])
        world.records |= found.records
        world.entity_of |= found.entity_of

    def led_to(self, references: Collection[Reference]) -> dict[str, set[bytes]]:
        found: dict[str, set[bytes]] = {}
        for _, row in self._lives(references):
            found.setdefault(row[2], set()).add(row[5])
        return found

    def _lives(self, references: Collection[Reference]) -> list[tuple[Reference, tuple[Any, ...]]]:
        """Records that references may mean, each with the reference; that which it means comes last (R24)."""
        wanted: dict[Reference, list[tuple[Reference, int | None]]] = {}
        for one in sorted(set(references)):
            plain, below = meant(one[2])
            wanted.setdefault((one[0], one[1], plain), []).append((one, below))
        found = [
            (0 if below else unpack(row[10]).epoch, row[4], one, row)
            for _, row in self.session.rows("record")
            for one, below in wanted.get(tuple(row[1:4]), ())
            if below is None or row[4] < below
        ]
        return [(one, row) for _, _, one, row in sorted(found, key=lambda item: item[:2])]

    def targets(
        self, references: Collection[Reference], *, locked: bool, patient: bool = True
    ) -> dict[Reference, Target]:
        for _ in range(_MAX_LOOKS):
            found = self._leads_to(references, locked, patient)
            now = self._latest(references)
            if all(found[place].entity == row[5] for place, row in now.items() if place in found):
                return found
        raise Retriable("what references lead to moved while it was locked")

    def look_at_targets(self, references: Collection[Reference]) -> dict[Reference, Target]:
        return self._leads_to(references, None)

    def _latest(self, references: Collection[Reference]) -> dict[Reference, tuple[Any, ...]]:
        return dict(self._lives(references))

    def _leads_to(
        self, references: Collection[Reference], alone: bool | None, patient: bool = True
    ) -> dict[Reference, Target]:
        """As a statement sees it: the crosswalk of when it began, the entities as they are once locked."""
        rows = self._lives(references)
        if alone is not None:
            if not patient:
                rows = [one for one in rows if not self.session.is_locked("entity", one[1][5], alone=alone)]
            for entity in sorted({row[5] for _, row in rows}):
                self.session.lock("entity", entity, alone=alone)
        found = {}
        for reference, row in rows:
            entity_row = self.session.get("entity", row[5])
            if entity_row is not None:
                entity = _entity(entity_row)
                holders = frozenset(a for a, held in entity.held.items() if held.operation == UPSERT)
                found[reference] = Target(row[5], holders, tuple(entity.consents.values()))
        return found

    def dependents(self, targets: Collection[Reference]) -> dict[bytes, str]:
        wanted = {(*one[:2], meant(one[2])[0]) for one in targets}
        records = [key[0] for key, row in self.session.rows("reference") if row in wanted]
        rows = [self.session.get("record", record) for record in records]
        return {row[5]: row[2] for row in rows if row is not None}

    def decisions(self, records: Collection[bytes]) -> list[Decision]:
        return [Decision(*row) for _, row in self.session.rows("decision") if {row[0], row[1]} & set(records)]

    def take_due(self, day: int, limit: int) -> dict[bytes, int]:
        due = sorted((row[0], number, row[1]) for number, row in self.session.rows("due") if row[0] <= day)
        free = [row for row in due if not self.session.is_locked("due", row[1])][:limit]
        for _, number, _ in free:
            self.session.delete("due", number)
        # The earliest last, so that it stays.
        return {entity: when for when, _, entity in reversed(free)}

    def _in_order(self, kind: str, later: set[str]) -> None:
        wrong = sorted({taken for taken, _ in self._taken} & later)
        if wrong:
            raise LockOrder(f"{kind} are locked after {', '.join(wrong)}")
        self._taken.add((kind, ""))

    @staticmethod
    def _read_records(rows: Iterable[tuple[Any, ...]]) -> World:
        world = World()
        for identity, agency, kind, local_id, incarnation, entity, born, seen, ended, linked, asserts in rows:
            world.records[identity] = RecordState(
                id=identity,
                key=RecordKey(agency, kind, local_id, incarnation),
                born=born,
                seen=seen,
                ended=ended,
                linked=linked,
                asserts=unpack(asserts),
            )
            world.entity_of[identity] = entity
        return world

    # Saving

    def save_records(self, world: World, ids: Iterable[bytes]) -> None:
        for one in sorted(ids):
            s = world.records[one]
            entity = world.entity_of[one]
            row = (one, *s.key, entity, s.born, s.seen, s.ended, s.linked, pack(s.asserts))
            self.session.put("record", one, row)

    def save_names(self, keys: Mapping[bytes, Collection[int]]) -> None:
        del keys  # nobody is looked for by name in a simulation

    def save_entities(self, entities: Iterable[Entity]) -> None:
        for e in sorted(entities, key=lambda entity: entity.id):
            row = (e.id, e.record_type, e.version, e.golden, _ENCODE(e.held), _ENCODE(e.consents), e.about)
            self.session.put("entity", e.id, row)

    def save_references(self, rows: Sequence[tuple[bytes, str, Reference]]) -> None:
        for record, field, reference in sorted(rows):
            # By local ids, whichever life is meant.
            place = (*reference[:2], meant(reference[2])[0])
            self.session.put("reference", (record, field), place)

    def save_due(self, days: Mapping[bytes, int]) -> None:
        add_due(self.session, {entity: days[entity] for entity in sorted(days)})

    def save_holds(self, holds: Sequence[Hold]) -> None:
        for one in holds:
            key = (one.record, one.change.event_id, one.reason)
            if self.session.get("hold", key) is None:
                self.session.put("hold", key, (*key, one.fields))

    def save_reviews(self, world: World, reviews: Sequence[Review]) -> None:
        for one in reviews:
            key = (one.a, one.b)
            self.session.lock("review", key)
            known = self.session.get("review", key)
            self.session.put("review", key, (*one, known[4] if known else "open"))

    def save_disputes(self, disputes: Sequence[tuple[bytes, str, RecordKey]]) -> None:
        for record, name, key in disputes:
            self.session.put("dispute", (record, name), (record, name, tuple(key)))

    def save_dead_letters(self, rows: Sequence[Mapping[str, object]]) -> None:
        for row in rows:
            key = (row["topic"], row["partition"], row["kafka_offset"], row["at_ms"])
            self.session.put("dead_letter", key, (row["code"], row["message"]))

    # Publication

    def versions(self, entities: Collection[bytes]) -> dict[bytes, int]:
        rows = [self.session.get("entity", one) for one in sorted(entities)]
        return {row[0]: row[2] for row in rows if row is not None}

    def save_publication(self, worker: str, payload: bytes) -> int:
        self.session.tables.serial += 1
        number = self.session.tables.serial
        self.session.put("publication", number, (number, worker, payload, self.session.schedule.now_ms))
        return number

    def drop_publications(self, ids: Collection[int]) -> None:
        for number in sorted(ids):
            if self.session.get("publication", number) is not None:
                self.session.delete("publication", number)


def _entity(row: tuple[Any, ...]) -> Entity:
    identity, kind, version, golden, held, consents, about = row
    return Entity(
        id=identity,
        record_type=kind,
        version=version,
        golden=golden,
        held=_HELD.decode(held),
        consents=_CONSENTS.decode(consents),
        about=about,
    )
