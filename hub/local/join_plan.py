"""The plan of a join: an agency's rows, through its mapping, into a rehearsal of the hub (decision 031).

Here meet what runs at the agency and what runs at the hub. Rows are read as a first snapshot reads them,
written and read as messages are, taken in by intake over an overlay of the store; and what the hub would say
back is planned by what writes into the agency's tables. Nothing is written at either end.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Collection, Iterator
from dataclasses import dataclass

from connectors.messages import Reader, Writer
from connectors.sql.dry_run import DryRun, ReadRow, record_types
from hub.contracts import topics
from hub.contracts.own_schemas import OwnSchemas
from hub.contracts.subjects import event_subjects
from hub.core.crosswalk import World
from hub.lanes.messages import Encoder
from hub.lanes.reading import Message, Reading
from hub.local.join_here import Here
from hub.ops.join_counts import Example, JoinCounts, TypeCounts, tally
from hub.ops.join_effects import NOWHERE, Comparison, Standing, masked, unresolved
from hub.ops.join_identity import Identified
from hub.ops.join_rehearsal import CHUNK, JoinRehearsal, standing
from hub.ops.parts import Parts, local_time
from hub.ops.veil import Veil
from hub.store.transaction import Transaction

# Why a reference leads nowhere, if there is a row: it is beyond those that were read.
BEYOND = "beyond"


@dataclass(frozen=True)
class Wish:
    """What is to be planned: one record type or all (None), so many rows of each, at which pace."""

    record_type: str | None = None
    limit: int | None = None
    rows_per_s: float = 500.0


class JoinPlanner:
    """Plans one join. Blocks; `dry` is connected."""

    def __init__(self, parts: Parts, dry: DryRun, wish: Wish, veil: Veil) -> None:
        self._parts = parts
        self._dry = dry
        self._wish = wish
        self._veil = veil
        self._agency = dry.mapping.agency
        schemas = OwnSchemas()
        # The keys of messages that go nowhere.
        self._writer = Writer(self._agency, secrets.token_bytes(32), parts.catalogue, parts.events, schemas)
        reading = Reading(parts.catalogue, parts.events, parts.terms, parts.ids, schemas.schema_by_id)
        self._rehearsal = JoinRehearsal(parts, self._agency, reading)
        subjects = event_subjects(parts.catalogue, parts.events, parts.agreements)
        numbers = {name: schemas.lookup(name, schema) for name, schema in subjects.items()}
        encoder = Encoder(parts.catalogue, parts.events, parts.ids, numbers)
        self._here = Here(parts, dry, encoder, Reader(schemas), veil)
        # By record type, and by the hub's id of each record.
        self._rows: dict[str, dict[bytes, ReadRow]] = {}
        self._found = JoinCounts("plan", self._agency, local_time(time.time_ns() // 1_000_000))

    def plan(self) -> JoinCounts:
        """What would come of it. Raises `ConfigurationError` for a record type that is not mapped."""
        order = self._parts.catalogue.dependency_order()
        for record_type in record_types(self._dry.mapping, order, self._wish.record_type):
            self._found.types[record_type] = TypeCounts()
            self._rows[record_type] = {}
            self._read(record_type)
        self._rehearsal.admit()
        for ids in self._chunks():
            self._compare(ids)
        self._count_holds()
        with self._rehearsal.before() as (tx, _):
            for record_type, found in self._found.types.items():
                found.brake = self._rehearsal.scales.verdict(tx, self._agency, record_type)
        return self._found

    # Reading

    def _read(self, record_type: str) -> None:
        found, wish = self._found.types[record_type], self._wish
        last = ""
        for page in self._dry.pages(record_type, wish.limit, wish.rows_per_s):
            found.rows += len(page)
            last = page[-1].local_id
            self._take(record_type, page)
        found.more = found.rows == wish.limit and self._dry.more(record_type, last)

    def _take(self, record_type: str, page: list[ReadRow]) -> None:
        found, kept = self._found.types[record_type], self._rows[record_type]
        topic, now_ms = topics.changes(self._agency, record_type), time.time_ns() // 1_000_000
        messages = []
        for number, row in enumerate(page):
            for name, problem in row.problems.items():
                example = Example(masked(row.local_id, self._veil))
                tally(found.unread, (problem.code, name, problem.column), example)
            if row.change is None:
                found.silent += 1
                continue
            sent = self._writer.change(row.change)
            messages.append(Message(topic, 0, number, now_ms, sent.key, sent.value))
            kept[self._record(record_type, row)] = row
        for dead in self._rehearsal.take(messages).dead:
            row = page[dead.message.offset]
            kept.pop(self._record(record_type, row))
            column = self._dry.column_of(record_type, dead.path)
            tally(found.refused, (dead.code, dead.path, column), Example(masked(row.local_id, self._veil)))

    def _record(self, record_type: str, row: ReadRow) -> bytes:
        incarnation = row.change.incarnation if row.change else 0
        return self._parts.ids.record(self._agency, record_type, row.local_id, incarnation)

    # Comparing

    def _chunks(self) -> Iterator[list[bytes]]:
        """The entities concerned, some at a time; those that would be one come together."""
        ids = sorted(self._rehearsal.overlay.entities)
        groups: dict[bytes, list[bytes]] = {}
        for entity in ids:
            groups.setdefault(self._now(entity), []).append(entity)
        chunk: list[bytes] = []
        for entity, those in sorted(groups.items()):
            chunk += {entity, *those}
            if len(chunk) >= CHUNK:
                yield chunk
                chunk = []
        if chunk:
            yield chunk

    def _now(self, entity: bytes) -> bytes:
        """The entity for which the founding record of `entity` would stand."""
        row = self._rehearsal.overlay.records.get(entity)
        return row[5] if row is not None else entity

    def _compare(self, ids: Collection[bytes]) -> None:
        types = self._parts.types
        with self._rehearsal.before() as (tx, rules):
            before = Standing(*standing(tx, rules, types, ids))
        with self._rehearsal.after() as (tx, rules):
            after = Standing(*standing(tx, rules, types, ids))
            Comparison(self._parts, self._agency, before, after, self._now, self._veil).count(
                self._found.types
            )
            for record_type, kept in self._rows.items():
                mine = kept.keys() & after.world.records.keys()
                mine = {one for one in mine if after.world.entity_of[one] in after.settled}
                if mine:
                    self._look(tx, record_type, mine, before.world, after)

    def _look(
        self, tx: Transaction, record_type: str, mine: Collection[bytes], before: World, after: Standing
    ) -> None:
        found, rows = self._found.types[record_type], self._rows[record_type]
        reviews = [one for one in self._rehearsal.overlay.reviews.values() if one.a in mine or one.b in mine]
        strangers = {record for one in reviews for record in (one.a, one.b)} - after.world.records.keys()
        records = after.world.records | tx.records(strangers).records
        world = World(records, after.world.entity_of, after.world.entities)
        policy = self._parts.types[record_type]
        Identified(policy, self._agency, world, before.records, reviews, self._veil).count(found, mine)
        self._wait(tx, record_type, mine, world)
        for record in sorted(mine):
            self._here.count(tx, found, rows[record], record, after)

    def _wait(self, tx: Transaction, record_type: str, mine: Collection[bytes], world: World) -> None:
        """Count references that lead nowhere, by why (R27)."""
        states = [world.records[one] for one in sorted(mine)]
        missing = unresolved(tx, self._parts.types, states)
        by_kind: dict[str, set[str]] = {}
        for _, _, (_, kind, local_id) in missing:
            by_kind.setdefault(kind, set()).add(local_id)
        there = {kind: self._dry.present(kind, ids) for kind, ids in by_kind.items()}
        for state, name, (_, kind, local_id) in missing:
            why = BEYOND if local_id in there[kind] else NOWHERE
            shown = masked(state.key.local_id, self._veil)
            tally(self._found.types[record_type].waiting, (name, why), Example(shown))

    def _count_holds(self) -> None:
        for one in self._rehearsal.overlay.holds.values():
            key = one.change.key
            if key.record_type in self._found.types:
                shown = Example(masked(key.local_id, self._veil))
                held = self._found.types[key.record_type].held
                tally(held, (one.reason, ", ".join(one.fields)), shown)
