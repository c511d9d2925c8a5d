"""The lane of a hub worker that takes changes in and publishes what follows (R25, R26)."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

from hub.contracts import topics as names
from hub.crash import crash_point
from hub.errors import Retriable
from hub.lanes.converged import Converged
from hub.lanes.intake import Intake
from hub.lanes.joining import Joining
from hub.lanes.lane import POLL_MS, Lane
from hub.lanes.log import LogWriter
from hub.lanes.messages import Encoder, OutMessage
from hub.lanes.observer import Observer
from hub.lanes.publication import (
    Outbound,
    behind,
    outbound,
    read_named,
    restated_records,
    stale_records,
)
from hub.lanes.reading import DeadLetter, Message, Read, Reading
from hub.lanes.restores import Restores
from hub.store.disclosures import end_reprojections
from hub.store.history import forget
from hub.store.loading import Advance
from hub.store.positions import (
    Farewell,
    leftover_publications,
    load_positions,
    save_farewells,
    take_farewells,
)
from hub.store.transaction import Transaction

# A publication older than this belongs to a worker that is gone, or it would have been removed.
_ORPHAN_AGE_S = 15.0
_SWEEP_S = 5.0
_JOINING_S = 0.5
# How much of what is due is settled at once: at most so many entities, and about as many as take so long, in
# seconds, since a live change that arrives meanwhile waits for them. Below the least of them a batch costs
# what any transaction costs: where that takes so long, fewer entities would not make it shorter.
_DUE_BATCH, _DUE_LEAST, _DUE_AIM_S = 1_000, 100, 0.2
# Inside a transaction: shorter than the store lets one be idle.
_BURY_TIMEOUT_S = 10.0


class IntakeLane(Lane):
    """Changes in, converged state in the store, projections and the hub's own topics out."""

    name = "intake"

    def __init__(
        self,
        *,
        intake: Intake,
        joining: Joining,
        reading: Callable[[], Reading],
        encoder: Callable[[], Encoder],
        writer: Callable[[], Awaitable[LogWriter]],
        observer: Observer,
        history_days: int,
        verify: Callable[[], None] = lambda: None,
        restores: Restores | None = None,
        **options: Any,
    ) -> None:
        """`history_days`: for how long assertions are kept that do not stand any more; `verify`: raises
        `Fatal` where this lane must not begin; `restores`: what looks after databases that were set back."""
        super().__init__(**options)
        self._intake = intake
        self._history_days = history_days
        self._joining = joining
        self._verify = verify
        self._restores = restores
        self._restores_at = 0.0
        self._terms_day = -1
        self._make_reading = reading
        self._make_encoder = encoder
        self._make_writer = writer
        self._observer = observer
        self._published: list[int] = []
        self._farewells: list[Farewell] = []
        self._swept = 0.0
        self._looked = 0.0
        self._due = True
        self._due_limit = _DUE_LEAST
        # Whether another worker held all that was due: a moment later it will not.
        self._in_vain = False

    async def prepare(self) -> None:
        await self.in_thread(self._verify)
        self._writer = await self._make_writer()
        self._encoder = await self.in_thread(self._make_encoder)
        self._reading = self._make_reading()
        await self._sweep(own=True)

    async def handle(self, messages: list[Message], advances: list[Advance]) -> None:
        started = time.perf_counter()
        read, done, out = await self.in_thread(self._converge, messages, advances)
        self._observer.converged(read, messages, done, time.perf_counter() - started)
        out.advances = advances
        await self._published_at_last(out)
        self._due = self._due or done.due_now > 0
        await self._between_batches()

    async def idle(self) -> None:
        if self._published:
            await self.in_thread(self._drop_published)
        await self._between_batches()

    async def _between_batches(self) -> None:
        """What must be done now and then, also under a steady stream of changes."""
        if time.monotonic() - self._swept > _SWEEP_S:
            await self.look_back()
            await self._sweep(own=False)
            await self.in_thread(self._bury)
            self._due = True
        await self._look_around()
        await self._look_at_restores()
        await self._settle_due()

    # In the lane's thread

    def _converge(self, messages: list[Message], advances: list[Advance]) -> tuple[Read, Converged, Outbound]:
        read = self._reading.read(messages)
        crash_point("intake.read")
        return read, *self._commit(lambda finish: self._intake.converge(read, advances, finish))

    def _commit(
        self, act: Callable[[Callable[[Transaction, Converged], None]], Converged]
    ) -> tuple[Converged, Outbound]:
        """Run one transaction of intake; its last step notes what must be published (R26)."""
        out = Outbound()

        def finish(tx: Transaction, done: Converged) -> None:
            nonlocal out
            out, payload = outbound(self._encoder, done)
            self._forget_published(tx)
            tx.save_dead_letters([dead_row(dead) for dead in done.dead])
            if payload is not None:
                out.publication = tx.save_publication(self._worker, payload)
            crash_point("intake.finishing")

        done = act(finish)
        if out.publication is not None:
            crash_point("intake.committed")
        self._published, self._farewells = [], []
        return done, out

    def _forget_published(self, tx: Transaction) -> None:
        tx.drop_publications(self._published)
        save_farewells(tx, self._farewells)

    def _drop_published(self) -> None:
        with self._store.begin() as tx:
            self._forget_published(tx)
        crash_point("publication.forgotten")
        self._published, self._farewells = [], []

    def _bury(self) -> None:
        """Write the tombstones of retractions that were acknowledged.

        Published before the commit, under the entities' locks: a projection that brings the entity back
        cannot be committed in between, and so never stands before its own tombstone.
        """
        with self._store.begin() as tx:
            acknowledged = take_farewells(tx, _DUE_BATCH)
            world = tx.lock_entities({entity for _, entity, _, _ in acknowledged})
            tombstones = []
            for agency, entity, record_type, version in acknowledged:
                if world.entities[entity].bury(agency, version):
                    tombstones.append(self._encoder.tombstone(agency, record_type, entity))
            tx.save_entities(world.entities.values())
            if tombstones:
                sending = asyncio.run_coroutine_threadsafe(self._writer.publish(tombstones), self.loop)
                try:
                    sending.result(_BURY_TIMEOUT_S)
                except TimeoutError as error:
                    raise Retriable("Kafka did not acknowledge tombstones") from error
                crash_point("tombstone.sent")

    def _behind(self, out: Outbound) -> tuple[dict[bytes, frozenset[str]], list[OutMessage]]:
        """Of what another worker moved on meanwhile: entities to say again, and messages about records."""
        with self._store.begin() as tx:
            moved = behind(tx, out)
            if not out.records or not (moved or self._displaced(tx, out.advances)):
                return moved, []
            return moved, stale_records(self._encoder, tx, out)

    def _displaced(self, tx: Transaction, advances: Sequence[Advance]) -> bool:
        """Whether somebody else reads these partitions by now; of what came from none it is not known."""
        if not advances:
            return True
        now = load_positions(tx, self.name, {a.topic for a in advances})
        return any(now[a.topic, a.partition].next_offset != a.following for a in advances)

    def _restate(self, wanted: Mapping[bytes, frozenset[str]]) -> tuple[Converged, Outbound]:
        return self._commit(lambda finish: self._intake.restate(wanted, finish))

    def _leftover(self, own: bool) -> tuple[list[int], Outbound]:
        """Take what a worker that is gone left unpublished, and build it from current state."""
        worker = self._worker if own else ""
        with self._store.begin() as tx:
            rows = [
                row
                for row in leftover_publications(tx, worker, _ORPHAN_AGE_S)
                if row[0] not in self._published
            ]
            entities, records, raw = read_named(payload for _, payload in rows)
            messages = raw + restated_records(self._encoder, tx, records)
        if not rows:
            return [], Outbound()
        out = Outbound(messages=messages)
        if entities:
            _, restated = self._restate(entities)
            restated.messages = messages + restated.messages
            out = restated
        out.records = sorted(records)
        return [row for row, _ in rows], out

    def _look_at_terms(self) -> bool:
        """Let in who has joined, apply agreements that changed or expired (R17); whether there were any."""
        with self._store.begin() as tx:
            admitted = self._joining.admit(tx)
            forget(tx, self._history_days)
            end_reprojections(tx.connection)
            changed = []
            if self._terms_day != self._intake.day:
                changed = self._joining.apply_terms(tx, self._intake.day)
                self._terms_day = self._intake.day
        if admitted:
            crash_point("joining.admitted")
        for agency in admitted:
            self.log.warning("%s has joined: its snapshot is taken in", agency)
        for record_type in changed:
            self.log.warning("the terms for %s changed: all of them are settled again", record_type)
        return bool(admitted or changed)

    # On the event loop

    async def _publish(self, out: Outbound) -> None:
        places = await self._writer.publish(out.messages, [message for message, _ in out.farewells])
        crash_point("publication.acknowledged")
        for message, delivery in out.farewells:
            where = places[message.topic, message.key]
            self._farewells.append(
                Farewell(
                    delivery.agency,
                    delivery.entity,
                    delivery.record_type,
                    message.topic,
                    *where,
                    delivery.version,
                )
            )
        self._observer.published(out.messages)
        if out.versions or out.records:
            moved, records = await self.in_thread(self._behind, out)
            if records:
                await self._published_at_last(Outbound(messages=records, records=out.records))
            if moved:
                _, again = await self.in_thread(self._restate, moved)
                await self._published_at_last(again)
        if out.publication is not None:
            self._published.append(out.publication)

    async def _look_around(self) -> None:
        """Look at agreements and newcomers: now and then, more often while somebody is joining."""
        wait_s = _JOINING_S if self._joining.anyone else _SWEEP_S
        if time.monotonic() - self._looked >= wait_s:
            self._looked = time.monotonic()
            self._due = await self.in_thread(self._look_at_terms) or self._due

    async def _look_at_restores(self) -> None:
        """One piece of what became of agencies' databases that were set back (R24)."""
        restores = self._restores
        if restores is None or (not restores.busy and time.monotonic() - self._restores_at < _SWEEP_S):
            return
        self._restores_at = time.monotonic()
        if await self.in_thread(restores.look):
            done, out = await self.in_thread(self._commit, restores.carry_out)
            await self._published_at_last(out)
            self._due = self._due or done.due_now > 0

    async def _settle_due(self) -> None:
        """Settle one batch of what is due: between live batches, so that it never holds them up."""
        if self._due:
            started, limit = time.perf_counter(), self._due_limit
            done, out = await self.in_thread(self._settle_due_batch, limit)
            await self._published_at_last(out)
            self._due_limit = due_limit(limit, done.due_taken, time.perf_counter() - started)
            self._due = done.due_taken == limit or done.due_now > 0 or done.due_busy > 0
            self._in_vain = done.due_taken == 0
        self.poll_ms = 0 if self._due and not self._in_vain else POLL_MS

    def _settle_due_batch(self, limit: int) -> tuple[Converged, Outbound]:
        return self._commit(lambda finish: self._intake.settle_due(limit, finish))

    async def _published_at_last(self, out: Outbound) -> None:
        await self.persist(lambda: self._publish(out))

    async def _sweep(self, *, own: bool) -> None:
        self._swept = time.monotonic()
        while True:
            rows, out = await self.in_thread(self._leftover, own)
            if not rows:
                return
            self.log.warning("publishing what %d earlier transactions left", len(rows))
            crash_point("leftover.restated")
            await self._publish(out)
            crash_point("leftover.published")
            self._published += rows
            await self.in_thread(self._drop_published)


def due_limit(before: int, taken: int, took_s: float) -> int:
    """How many due entities to settle at once next: as many as take `_DUE_AIM_S`, after `taken` of them, of
    `before` that were allowed, took so long. Grows to twice as many at most."""
    if not taken:
        return before
    affordable = int(_DUE_AIM_S * taken / max(took_s, 1e-6))
    return max(_DUE_LEAST, min(affordable, 2 * before, _DUE_BATCH))


def dead_row(dead: DeadLetter) -> dict[str, object]:
    """A dead letter as the columns of the table."""
    message = dead.message
    agency, record_type = names.split(message.topic)
    return {
        "topic": message.topic,
        "partition": message.partition,
        "kafka_offset": message.offset,
        "agency": agency,
        "record_type": record_type,
        "code": dead.code,
        "path": dead.path,
        "message": dead.text,
        "at_ms": message.timestamp_ms,
        "key": message.key,
        "value": message.value,
    }
