"""The real intake over a real PostgreSQL, fed with changes; keeps what it published, as its readers would."""

from __future__ import annotations

import datetime
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import count
from typing import Any

from sqlalchemy import text

from hub.contracts import topics
from hub.core.assertions import Change, RecordKey
from hub.core.crosswalk import World
from hub.core.projection import Terms
from hub.core.settle import Delivery, Settled
from hub.errors import Retriable
from hub.lanes.converged import Converged, Note
from hub.lanes.intake import LANE, Intake
from hub.lanes.reading import DeadLetter, Message, Read
from hub.store.engine import HubStore
from hub.store.errors import Fenced
from hub.store.loading import Advance
from hub.store.migrate import migrate
from hub.store.positions import Position, load_positions, save_first_positions
from hub.store.transaction import Transaction
from support.contracts import CATALOGUE, IDS, TERMS, TODAY, TYPES
from support.facts import Facts, facts

_EPOCH = datetime.date(1970, 1, 1)
# How many of the database's sessions wait for a lock.
WAITING = (
    "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
)
# How often a batch is tried that the store rolled back to let another pass.
_TRIES = 20


class StoreHub:
    """One worker: takes batches, each in one transaction, and settles what they leave due.

    Workers over one store share `log`: what each committed, so that readers apply the highest version.
    """

    def __init__(
        self,
        store: HubStore,
        terms: Mapping[str, tuple[Terms, ...]] = TERMS,
        log: list[Converged] | None = None,
        epoch: int = 0,
    ) -> None:
        self.store = store
        self.day = TODAY
        self.rolled_back = 0
        self.log: list[Converged] = [] if log is None else log
        self.intake = Intake(CATALOGUE, TYPES, terms, IDS, store.begin, self._today, epoch)
        self._offsets = count()

    def _today(self) -> datetime.date:
        return _EPOCH + datetime.timedelta(days=self.day)

    # What happens to it

    def take(self, *changes: Change, dead: Sequence[DeadLetter] = ()) -> Converged:
        """One batch, without positions: as if a topic had carried it."""
        read = Read([(change, self.message(change)) for change in changes], list(dead))
        return self.converge(read, [])

    def converge(self, read: Read, advances: Sequence[Advance]) -> Converged:
        """One batch with its positions; raises `Fenced`."""
        return self._done(lambda: self.intake.converge(read, advances, _finish))

    def settle_due(self) -> list[Converged]:
        """Settle what is due, until nothing is."""
        rounds: list[Converged] = []
        for _ in range(100):
            rounds.append(self._done(lambda: self.intake.settle_due(1_000, _finish)))
            if not rounds[-1].due_taken:
                return rounds
        raise AssertionError("entities make each other due for ever")

    def _done(self, act: Callable[[], Converged]) -> Converged:
        """Act, again where the store lets another pass, as the lane does."""
        for _ in range(_TRIES):
            try:
                done = act()
            except Fenced:
                raise
            except Retriable as error:
                refusal = error
                self.rolled_back += 1
            else:
                self.log.append(done)
                return done
        raise AssertionError(f"{_TRIES} tries in vain") from refusal

    def restate(self, wanted: Mapping[bytes, Iterable[str]]) -> Converged:
        done = self.intake.restate({e: frozenset(agencies) for e, agencies in wanted.items()}, _finish)
        self.log.append(done)
        return done

    def message(self, change: Change) -> Message:
        """The message that could have carried the change."""
        topic = topics.changes(change.key.agency, change.key.record_type)
        return Message(topic, 0, next(self._offsets), 0, b"key", b"value")

    # What it knows

    def rows(self, statement: str, **parameters: Any) -> list[Any]:
        with self.store.begin() as tx:
            return list(tx.connection.execute(text(statement), parameters))

    def execute(self, statement: str, **parameters: Any) -> None:
        with self.store.begin() as tx:
            tx.connection.execute(text(statement), parameters)

    def world(self) -> World:
        """Everything in the store."""
        ids = {bytes(row.id) for row in self.rows("SELECT id FROM record")}
        entities = {bytes(row.id) for row in self.rows("SELECT id FROM entity")}
        with self.store.begin() as tx:
            world = tx.lock_entities(entities)
            records = tx.records(ids)
        assert records.records.keys() == world.records.keys(), "a record stands for no entity"
        return world

    def entity(self, key: RecordKey) -> bytes:
        with self.store.begin() as tx:
            return tx.records([IDS.record(*key)]).entity_of[IDS.record(*key)]

    @property
    def inbox(self) -> dict[tuple[str, bytes], Delivery]:
        """(agency, entity) → the delivery with the highest version; the latest of equal ones."""
        inbox: dict[tuple[str, bytes], Delivery] = {}
        for settled in self._published():
            for one in settled.deliveries:
                known = inbox.get((one.agency, one.entity))
                if known is None or known.version <= one.version:
                    inbox[one.agency, one.entity] = one
        return inbox

    @property
    def golden(self) -> dict[bytes, Settled]:
        """Entity → the golden record as last published."""
        golden: dict[bytes, tuple[int, Settled]] = {}
        for settled, version in self._versions():
            entity = settled.entity.id
            if settled.golden_changed and (entity not in golden or golden[entity][0] <= version):
                golden[entity] = version, settled
        return {entity: settled for entity, (_, settled) in golden.items()}

    def _published(self) -> list[Settled]:
        return [settled for done in self.log for settled in done.settled]

    def _versions(self) -> list[tuple[Settled, int]]:
        return [(settled, settled.entity.version) for settled in self._published()]

    @property
    def notes(self) -> list[Note]:
        return [note for done in self.log for note in done.notes]

    def facts(self) -> Facts:
        world = self.world()
        return facts(world.records, world.entity_of, self.golden, self.inbox)


def _finish(tx: Transaction, done: Converged) -> None:
    """What a lane does last in each transaction that matters here: nothing."""


def open_store(url: str) -> HubStore:
    """A store with its tables made."""
    store = HubStore(url)
    migrate(store.engine)
    return store


def empty(store: HubStore) -> None:
    """Make the store as good as new: quicker than another database for each of many examples."""
    with store.begin() as tx:
        tx.connection.execute(
            text(
                "TRUNCATE record, entity, identity, reference, position, publication, due, dead_letter, hold,"
                " review, decision, dispute, holding, audit, brake, brake_count, braked, history,"
                " reprojection, disclosure"
            )
        )


def start_positions(store: HubStore, partitions: Iterable[tuple[str, int]]) -> None:
    """Let the intake lane begin to read these partitions at offset 0."""
    with store.begin() as tx:
        save_first_positions(tx, LANE, {place: Position("topic-id", 0) for place in partitions})


def position(store: HubStore, topic: str, partition: int) -> int:
    """Where the intake lane reads on."""
    with store.begin() as tx:
        return load_positions(tx, LANE, [topic])[topic, partition].next_offset
