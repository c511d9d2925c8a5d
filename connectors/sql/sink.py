"""The SQL sink: deliveries in short transactions, positions after them, receipts from what is stored.

A position is stored after the effects that it covers, in the same database: if the process dies between
the two, the deliveries come again and are recognised by their versions.
"""

from __future__ import annotations

import logging
import time
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from functools import partial

from connectors.sdk import Arrivals, Delivery, Partition, Receipt, Unsettled
from connectors.sql import forms, replay, retries, store
from connectors.sql.chunk import Chunk
from connectors.sql.convert import Converter
from connectors.sql.database import Database, Locked, Refusal, patiently
from connectors.sql.database_check import require_fit
from connectors.sql.decide import Decider
from connectors.sql.following import Followers
from connectors.sql.mapping import Mapping as AgencyMapping
from connectors.sql.pace import NEW_AIM_S, Pace
from connectors.sql.plan import Planner
from connectors.sql.recognise import Recogniser
from connectors.sql.retries import REFUSED, WAITING, PutOff
from connectors.sql.rows import EntityRow
from connectors.sql.tables import OUTBOX, POSITION
from hub.contracts import topics
from hub.crash import crash_point
from hub.errors import Retriable

log = logging.getLogger(__name__)

DUE_LIMIT = 200
# How often to look whether something can be written again by another mapping, or the database was set back.
LOOK_EVERY_S = 1.0
_REMOVES = ("retract", "delete")
_UNFIT = ("unknown_column", "unknown_table")
_POSITIONS = "SELECT topic, part, next_offset, committed_ms FROM {position} ORDER BY topic, part"
_OUTBOX = """
SELECT id, topic, part, entity, version, state, code, column_name FROM {outbox} ORDER BY id LIMIT 1000
"""
_SENT = "DELETE FROM {outbox} WHERE id IN_LIST(:ids)"


# Told of each write that was put off: record type, and the code of why.
WriteReport = Callable[[str, str], None]


class SqlSink:
    """Implements `connectors.sdk.Sink` on an agency's database.

    `order` lists record types so that each comes after those that it refers to; `creates` are those of
    which the agency wants rows that it does not have.
    """

    def __init__(
        self,
        database: Database,
        mapping: AgencyMapping,
        converters: Mapping[str, Converter],
        order: Sequence[str],
        creates: Collection[str],
        report: WriteReport = lambda *_: None,
    ) -> None:
        self.db = database
        self._report = report
        self.mapping = mapping
        self._given = converters
        self.converters = dict(converters)
        self.order = [name for name in order if name in mapping.records]
        self.creates = creates
        self._deciders: dict[str, Decider] = {}
        self._recognisers: dict[str, Recogniser] = {}
        self._unconfirmed: set[Partition] = set()
        self._told: dict[Partition, int] = {}
        self._news = self._waits = self._news_wait = False
        self._pace, self._pace_of_new = Pace(), Pace(NEW_AIM_S)
        self._replays: dict[str, replay.Replay] = {}
        self._positions: dict[Partition, int] = {}
        self._look_at = self._beneath_at = 0.0
        self._tables = [table.table for record in mapping.records.values() for table in record.tables]
        self._layout = ""

    def connect(self) -> Mapping[Partition, int]:
        self.db.connect()
        self.db.claim("sink")
        store.prepare(self.db, self.mapping.agency)
        self._layout = self.db.layout(self._tables)
        require_fit(self.mapping, self.db)
        patiently(self._adopt)
        self._describe()
        positions = {(topic, part): int(offset) for topic, part, offset, _ in self.db.query(_POSITIONS)}
        self._positions = dict(positions)
        self._unconfirmed, self._news = set(positions), True
        return positions

    def _describe(self) -> None:
        """Know the columns: a value is written, and a row found, by its column's type. What was refused may
        fit by now."""
        self._deciders = {name: self._decider(name) for name in self.order}
        since_ms = store.installed_ms(self.db)
        self._recognisers = {
            name: Recogniser(self.db, decider.map, decider.planner, since_ms)
            for name, decider in self._deciders.items()
        }
        retries.retry_refused(self.db)
        self._waits = True

    def _adopt(self) -> None:
        with self.db.transaction():
            known, self._replays = replay.adopt(self.db, self.mapping)
        self.converters = {
            name: converter.preceded_by(forms.former_maps(known.get(name)))
            for name, converter in self._given.items()
        }

    def _decider(self, record: str) -> Decider:
        record_map = self.mapping.records[record]
        columns = {table.part: self.db.columns(table.table) for table in record_map.tables}
        planner = Planner(self.converters[record], columns, self._replays.get(record, replay.Replay()))
        return Decider(record_map, planner, record in self.creates)

    def _replay(self) -> None:
        """Begin or end to write again what a new mapping holds otherwise; raises `Retriable` to begin."""
        if not self._replays or time.monotonic() < self._look_at:
            return
        self._look_at = time.monotonic() + LOOK_EVERY_S
        for record, one in list(self._replays.items()):
            if one.withheld:
                with self.db.transaction():
                    begun = replay.begin(self.db, self.mapping, record, one.withheld)
                if begun:
                    raise Retriable(f"the inbox of {record} is read once more, for another mapping")
            elif one.over(topics.inbox(self.mapping.agency, record), self._positions):
                with self.db.transaction():
                    replay.end(self.db, record)
                del self._replays[record]
                self._deciders[record] = self._decider(record)

    def close(self) -> None:
        self.db.close()

    def _look_beneath(self) -> None:
        """Raises `Retriable` if positions are lower than they were: the database was set back (R24)."""
        if time.monotonic() < self._beneath_at:
            return
        self._beneath_at = time.monotonic() + LOOK_EVERY_S
        stored = {(topic, part): int(offset) for topic, part, offset, _ in self.db.query(_POSITIONS)}
        if any(stored.get(place, 0) < offset for place, offset in self._positions.items()):
            raise Retriable("the agency's database was set back to an earlier state beneath its connector")
        layout = self.db.layout(self._tables)
        if layout != self._layout:
            log.warning("the agency's tables were changed: they are looked at anew")
            require_fit(self.mapping, self.db)
            self._layout = layout
            self._describe()

    def apply(self, arrivals: Arrivals) -> Mapping[str, int]:
        patiently(self._look_beneath)
        patiently(self._replay)
        due = self._due()
        wanted = coalesce((*due, *arrivals.deliveries))
        retried = {(delivery.record_type, delivery.entity) for delivery in due}
        counts: Counter[str] = Counter(superseded=len(due) + len(arrivals.deliveries) - len(wanted))
        # What refers to a record comes after it, and goes before it.
        for record in self.order:
            self._of_record(record, [d for d in wanted if d.operation not in _REMOVES], retried, counts)
        for record in reversed(self.order):
            self._of_record(record, [d for d in wanted if d.operation in _REMOVES], retried, counts)
        self._advance(arrivals)
        return +counts

    def _of_record(
        self,
        record: str,
        deliveries: Sequence[Delivery],
        retried: Collection[tuple[str, str]],
        counts: Counter[str],
    ) -> None:
        mine = [delivery for delivery in deliveries if delivery.record_type == record]
        names = {entity for kind, entity in retried if kind == record}
        present, new = self._by_presence(record, mine)
        for those, pace in ((present, self._pace), (new, self._pace_of_new)):
            while those:
                rows = pace.rows
                self._chunk(record, those[:rows], names, counts, pace)
                those = those[rows:]

    def _by_presence(
        self, record: str, deliveries: Sequence[Delivery]
    ) -> tuple[Sequence[Delivery], Sequence[Delivery]]:
        """Those that may mean a row which is there, and those that can only make one.

        In this order, so that a row whose entity became part of another one is that one's before it would be
        made anew. Where a transaction locks the whole database anyway, it holds up everybody.
        """
        unnamed = [delivery.entity for delivery in deliveries if delivery.local_id is None]
        if not self.db.for_update or not unnamed:
            return deliveries, ()
        new = set(unnamed) - store.standing(self.db, record, unnamed)
        return [d for d in deliveries if d.entity not in new], [d for d in deliveries if d.entity in new]

    def _due(self) -> list[Delivery]:
        if not self._waits:
            return []
        records = {name: converter.record for name, converter in self.converters.items()}
        due = retries.due(self.db, records, self.db.clock_ms(), DUE_LIMIT)
        self._waits = bool(due) or bool(self.waiting())
        return due

    def _chunk(
        self,
        record: str,
        deliveries: Sequence[Delivery],
        retried: Collection[str],
        counts: Counter[str],
        pace: Pace,
    ) -> None:
        """Apply all in one transaction; what one row's refusal undoes is tried again without it."""
        recogniser = self._recognisers[record]
        patiently(partial(recogniser.prepare, deliveries))
        followers = Followers(self.db, record, self.converters)
        chunk = Chunk(self.db, self._deciders[record], recogniser, followers, self._waits)
        began = time.monotonic()
        try:
            with self.db.transaction(by_hub=True):
                steps = chunk.apply(deliveries, retried)
                settled = [step.delivery.entity for step in steps if step.put_off is None]
                if self._waits and settled:
                    retries.wake(self.db, settled)
                crash_point("sink.applying")
            crash_point("sink.applied")
        except (Refusal, Locked) as error:
            if len(deliveries) > 1:
                middle = len(deliveries) // 2
                self._chunk(record, deliveries[:middle], retried, counts, pace)
                self._chunk(record, deliveries[middle:], retried, counts, pace)
            else:
                patiently(partial(self._refuse, record, deliveries[0], error))
                counts[REFUSED if isinstance(error, Refusal) else WAITING] += 1
            return
        pace.took(len(deliveries), time.monotonic() - (chunk.locked_at or began))
        counts.update(step.outcome for step in steps)
        for put_off in [step.put_off for step in steps if step.put_off is not None]:
            self._report(record, put_off.code)
        self._news = self._news or chunk.news
        self._waits = self._waits or chunk.followed or any(step.put_off is not None for step in steps)

    def _refuse(self, record: str, delivery: Delivery, error: Refusal | Locked) -> None:
        """Keep a delivery that the database refuses; its version counts as seen."""
        if isinstance(error, Refusal) and error.code in _UNFIT:
            # A column that the mapping names is gone: that is said with its place, and refuses nothing.
            require_fit(self.mapping, self.db)
        if isinstance(error, Refusal):
            item = PutOff(delivery, REFUSED, error.code, error.column)
        else:
            item = PutOff(delivery, WAITING, "locked")
        self._report(record, item.code)
        log.info("%s: a delivery is put off: %s", record, error)
        with self.db.transaction():
            before = retries.prior(self.db, record, [delivery.entity])
            known = store.entities(self.db, record, [delivery.entity])
            row = known.get(delivery.entity) or EntityRow(record, delivery.entity)
            row.version = max(row.version, delivery.version)
            store.save_entities(self.db, [row])
            retries.put_off(self.db, record, [item], before, self.db.clock_ms())
        self._waits = self._news = True

    def _advance(self, arrivals: Arrivals) -> None:
        if not arrivals.positions:
            return
        now_ms = self.db.clock_ms()
        rows = [
            {"topic": topic, "part": part, "next_offset": offset, "committed_ms": now_ms}
            for (topic, part), offset in arrivals.positions.items()
        ]
        unreadable = [
            retries.outbox_row(partition, exception)
            for partition, exceptions in arrivals.unreadable.items()
            for exception in exceptions
        ]

        def store_positions() -> None:
            with self.db.transaction():
                self.db.upsert(POSITION, rows)
                self.db.append(OUTBOX, unreadable)

        patiently(store_positions)
        self._positions |= arrivals.positions
        self._unconfirmed |= set(arrivals.positions)
        self._news = self._news or bool(unreadable)

    def receipts(self) -> Sequence[Receipt]:
        told = self.db.query(_OUTBOX) if self._news else []
        if not told and not self._unconfirmed:
            return []
        exceptions: dict[Partition, list[Unsettled]] = {}
        ids: dict[Partition, list[int]] = {}
        for number, topic, part, *rest in told:
            exceptions.setdefault((topic, part), []).append(Unsettled(*rest))
            ids.setdefault((topic, part), []).append(number)
        positions = {(topic, part): rest for topic, part, *rest in self.db.query(_POSITIONS)}
        # After a death the news may be there before the first position of their partition: they wait for it.
        self._news_wait = not exceptions.keys() <= positions.keys()
        return [
            Receipt(*place, int(offset), int(at_ms), exceptions.get(place, []), ids.get(place, []))
            for place, (offset, at_ms) in positions.items()
            if place in self._unconfirmed or place in exceptions
        ]

    def confirm(self, receipts: Sequence[Receipt]) -> None:
        ids = [number for receipt in receipts for number in receipt.token]
        if ids:
            patiently(partial(self._sent, ids))
        self._news = bool(ids) or self._news_wait
        self._unconfirmed -= {(receipt.topic, receipt.partition) for receipt in receipts}

    def _sent(self, ids: list[int]) -> None:
        with self.db.transaction():
            self.db.execute(_SENT, {"ids": ids})

    def waiting(self) -> Mapping[str, int]:
        return retries.by_code(self.db)


def coalesce(deliveries: Iterable[Delivery]) -> list[Delivery]:
    """The highest version of each entity, in the order of their first appearance; of equals the later."""
    best: dict[tuple[str, str], Delivery] = {}
    for delivery in deliveries:
        key = (delivery.record_type, delivery.entity)
        if key not in best or best[key].version <= delivery.version:
            best[key] = delivery
    return list(best.values())
