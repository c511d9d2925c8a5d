"""The SQL source: captured edits, then dirty rows, then the rows that were there before capture."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Any

from connectors.sdk import Batch, Change, Epoch, Sent
from connectors.sql import dirty, forms, restored, row_print, snapshot, store, sweep_state
from connectors.sql.assemble import Edit, assemble, group, noted
from connectors.sql.convert import Converter, Unmappable
from connectors.sql.database import Database, patiently
from connectors.sql.database_check import require_fit
from connectors.sql.mapping import Mapping as AgencyMapping
from connectors.sql.put_over import as_update
from connectors.sql.rows import DELETE, INSERT, TRUNCATE, UPDATE, Captured, Shadow
from connectors.sql.work import Progress, Work
from hub.core.epochs import FIRST, first_life
from hub.crash import crash_point
from hub.errors import Retriable

log = logging.getLogger(__name__)

# How often to ask below which number the queue can only be empty.
FLOOR_EVERY_S = 1.0
# How often to look whether the agency's tables still are as the mapping says.
FIT_EVERY_S = 15.0

# Told of each value that could not be said: record type, field, code.
ProblemReport = Callable[[str, str, str], None]


class SqlSource:
    """Implements `connectors.sdk.Source` on an agency's database.

    `published` are the fields of each record type that the agreement lets the agency say.
    """

    def __init__(
        self,
        database: Database,
        mapping: AgencyMapping,
        converters: Mapping[str, Converter],
        published: Mapping[str, Collection[str]],
        report: ProblemReport = lambda *_: None,
    ) -> None:
        self.db = database
        self.mapping = mapping
        self._given = converters
        self.converters = dict(converters)
        self.published = published
        self.printers = row_print.printers(mapping.records)
        self._report = report
        self.number = FIRST
        self._set_back_ms = 0
        # Up to where the queue was sent, as this connector knows itself; the epoch beneath which the database
        # was found set back.
        self._sent = self._beneath = 0
        self._snapshots: dict[str, Progress] = {}
        self._floor = 0
        self._look_at = 0.0
        self._tried = 0
        # Numbers of the queue with which lives begin of which the hub has heard, before a restore.
        self._begun: Collection[int] = frozenset()
        self._fit_at = 0.0

    def connect(self) -> None:
        self.db.connect()
        self._floor, self._look_at = 0, 0.0
        self.db.claim("source")
        store.prepare(self.db, self.mapping.agency)
        self._look_at_tables()
        self.db.drop_capture(self.mapping.records.values())
        for name, printer in self.printers.items():
            sweep_state.adopt_form(self.db, name, printer.form)
        patiently(self._adopt)
        self._tried = store.tried(self.db)
        self._begin_epoch()

    def _look_at_tables(self) -> None:
        """Raises `ConfigurationError` if they do not fit the mapping; puts triggers back that are gone.

        A table that is rebuilt loses them, and a load may leave them disabled: nobody would hear of any
        edit. What was edited meanwhile, a sweep finds (R30).
        """
        require_fit(self.mapping, self.db)
        for name, record in self.mapping.records.items():
            if self.db.install_capture(record) and sweep_state.make_due(self.db, name):
                log.warning(
                    "%s: triggers were gone, disabled or others; they are put back, and a sweep is due", name
                )
        self._fit_at = time.monotonic() + FIT_EVERY_S

    def _begin_epoch(self) -> None:
        self.number, progress = store.state(self.db)
        self._sent = store.tried(self.db)
        self._set_back_ms = store.set_back_ms(self.db)
        self._snapshots = snapshot.pending(self.mapping, progress)

    def _adopt(self) -> None:
        """Work by this mapping from now on; what it reads otherwise than the last one is read again."""
        with self.db.transaction():
            known, (_, progress) = forms.load(self.db, "source"), store.state(self.db)
            for name, record in self.mapping.records.items():
                form = forms.form_of(record, self.mapping.timezone, self.published.get(name, ()))
                before = known.get(name)
                if before is None:
                    known[name] = forms.Known(form)
                elif before.form != form:
                    known[name] = forms.succeed(before, form)
                    self._read_again(name, forms.differing(before.form, form), progress)
                self.converters[name] = self._given[name].preceded_by(forms.former_maps(known[name]))
            forms.save(self.db, "source", known)

    def _read_again(self, record: str, fields: Collection[str], stored: Mapping[str, Any]) -> None:
        """Within the caller's transaction. Only what may be said is worth reading."""
        wanted = sorted(set(fields).intersection(self.published.get(record, ())))
        if wanted:
            log.warning("%s: the mapping is another one: all rows are read for %s", record, ", ".join(wanted))
            snapshot.save(self.db, {record: snapshot.again(stored.get(record, {}), wanted)})

    def close(self) -> None:
        self.db.close()

    def complete(self) -> bool:
        return not self._snapshots

    def epoch(self) -> Epoch:
        return Epoch(self.number, frozenset(self.mapping.records), self._set_back_ms)

    def backlog(self) -> int:
        queue, marked = self.db.query(
            "SELECT (SELECT count(*) FROM {changes}), (SELECT count(*) FROM {dirty})"
        )[0]
        return int(queue) + int(marked)

    def look_back(self, sent: Sequence[Sent]) -> bool:
        epoch = restored.later_epoch(self.db, self.number, sent)
        if epoch is None and self._beneath:
            # Seen by itself, and the log does not tell: perhaps it may not be read.
            epoch = self._beneath + 1
        self._beneath = 0
        if epoch is not None:
            log.error(
                "the agency's database was set back to an earlier state: the hub has changes that it no "
                "longer knows of. Epoch %d begins, and all rows are read again",
                epoch,
            )
            patiently(lambda: store.new_epoch(self.db, epoch, self.db.clock_ms()))
            self._begin_epoch()
        self._note_sent(sent)
        return epoch is not None

    def _note_sent(self, sent: Sequence[Sent]) -> None:
        """Of what waits in the queue, and was sent before the database was set back."""
        last, self._begun = restored.still_queued(self.db, sent)
        if not self.db.tells_transactions and last > store.tried(self.db):
            # Sent by themselves, as what was tried: people may have gone on after the restore, and what they
            # typed back would else be one change with what it takes back.
            patiently(lambda: store.note_tried(self.db, last))
            self._tried = self._sent = last

    def read(self, limit: int) -> Batch | None:
        """Edits first; when there are none, a page of the dirty rows or of the snapshot."""
        batch = patiently(lambda: self._read(limit))
        for change in batch.changes if batch else ():
            change.epoch = self.number
        return batch

    def _read(self, limit: int) -> Batch | None:
        if time.monotonic() >= self._fit_at:
            self._look_at_tables()
        settled = self._floor
        if time.monotonic() >= self._look_at:
            self._look_beneath()
            settled = self.db.settled_seq()
            self._look_at = time.monotonic() + FLOOR_EVERY_S
        rows = self._queue(limit)
        if rows and not self.db.tells_transactions:
            rows = self._as_tried(rows)
        # All at or below `settled` that there will ever be is in `rows`, unless they were cut off.
        floor = settled if len(rows) < limit else self._floor
        if rows:
            batch = self._edits(rows)
            batch.token.floor = floor
            return batch
        self._floor = floor
        return dirty.read(self, limit) or snapshot.read(self, self._snapshots, limit)

    def _look_beneath(self) -> None:
        """Raises `Retriable` if the database is another one than a moment ago: all is asked anew (R24)."""
        (number, _), sent = store.state(self.db), store.tried(self.db)
        if number > self.number:
            raise Retriable("a new epoch was begun for the agency's database")
        if number < self.number or sent < self._sent:
            self._beneath = self.number
            raise Retriable("the agency's database was set back to an earlier state beneath its connector")

    def _queue(self, limit: int) -> list[Captured]:
        params = {"floor": self._floor, "limit": limit}
        while True:
            rows = store.captured(self.db.query(store.READ_QUEUE, params))
            # What was sent before the database was set back stands for the row that it has.
            new = [row for row in rows if row.seq not in self._begun]
            # Read again until there is nothing to renew: other rows may have come meanwhile.
            if not store.renew_lives(self.db, new, first_life(self.number)):
                return rows

    def _as_tried(self, rows: list[Captured]) -> list[Captured]:
        """Rows that may have been sent already, by themselves; else `rows`, noted as tried from now on.

        Without transactions' numbers all that waits of one record is one change. What came after a try must
        not be mixed into it: an event id would mean two things, and what was typed and sent, then typed back
        while nobody had acknowledged it, would never be said.
        """
        if rows[0].seq > self._tried:
            patiently(lambda: store.note_tried(self.db, rows[-1].seq))
            self._tried = rows[-1].seq
            return rows
        if rows[-1].seq < self._tried:
            rows = self._queue(self._tried - rows[0].seq + 1)
        return [row for row in rows if row.seq <= self._tried]

    def _edits(self, rows: list[Captured]) -> Batch:
        for row in rows:
            if row.op == TRUNCATE:
                log.warning("table %s of %s was truncated: its records are kept", row.part, row.record)
                self._report(row.record, "", "truncate")
        edits = group(row for row in rows if row.record in self.converters)
        shadows = self._shadows_of(edits)
        changes = []
        over: set[tuple[str, str]] = set()
        for edit in edits:
            shadow = shadows[edit.record].setdefault(edit.local_id, Shadow(edit.record, edit.local_id))
            converter, printer = self.converters[edit.record], self.printers[edit.record]
            # In SQLite only REPLACE puts a row over another; elsewhere it is a load after a truncate.
            if as_update(edit, shadow, converter, printer, emptied=not self.db.tells_transactions):
                over.add((edit.record, edit.local_id))
            published = self.published.get(edit.record, ())
            outcome = assemble(edit, shadow, converter, published, self.event_id)
            self.complain(edit.record, outcome.problems)
            if outcome.change is not None:
                noted(shadow, outcome.change)
                changes.append(outcome.change)
        effects = row_print.effects(rows, self.printers, over)
        foreign = {(row.record, row.local_id) for row in rows if self._is_foreign(row)}
        return Batch(changes, Work(seqs=[row.seq for row in rows], effects=effects, foreign=foreign))

    def _is_foreign(self, row: Captured) -> bool:
        """Whether the row was captured by a former mapping, without columns that this one reads."""
        printer = self.printers.get(row.record)
        if printer is None or row.op not in (INSERT, UPDATE, DELETE):
            return False
        return not set().union(row.old or {}, row.new or {}).issuperset(printer.columns.get(row.part, ()))

    def _shadows_of(self, edits: Iterable[Edit]) -> dict[str, dict[str, Shadow]]:
        ids: dict[str, set[str]] = {}
        for edit in edits:
            ids.setdefault(edit.record, set()).add(edit.local_id)
        return {record: store.shadows(self.db, record, names) for record, names in ids.items()}

    def event_id(self, record: str, number: int | str) -> str:
        return f"{self.mapping.agency}:{record}:{self.number}-{number}"

    def complain(self, record: str, problems: Mapping[str, Unmappable]) -> None:
        """Note values that could not be said: by field and reason, never by value."""
        for name, problem in problems.items():
            log.warning("%s: %s; the rest of the row is sent", record, problem)
            self._report(record, name, problem.code)

    def acknowledge(self, batch: Batch) -> None:
        """In one transaction: forget the rows, tell the shadows."""
        work: Work = batch.token
        patiently(lambda: self._forget(batch, work))
        self._floor = max(self._floor, work.floor)
        self._sent = max([self._sent, *work.seqs])
        self._snapshots = {
            record: work.snapshot.get(record, progress)
            for record, progress in self._snapshots.items()
            if not work.snapshot.get(record, progress).done
        }

    def _forget(self, batch: Batch, work: Work) -> None:
        by_record: dict[str, list[Change]] = {}
        for change in (*batch.changes, *work.gone):
            if change.operation != "link":
                by_record.setdefault(change.record_type, []).append(change)
        with self.db.transaction():
            # Rows that said nothing have another look all the same.
            for record in sorted(by_record.keys() | work.effects.keys()):
                changes, effects = by_record.get(record, []), work.effects.get(record, {})
                ids = {change.local_id for change in changes} | effects.keys()
                known = store.known_shadows(self.db, record, ids)
                shadows = {local_id: known.get(local_id) or Shadow(record, local_id) for local_id in ids}
                for local_id, effect in effects.items():
                    shadow = shadows[local_id]
                    life = None if shadow.deleted else shadow.incarnation
                    row_print_ = effect.on(shadow.row_print, life)
                    # Of a row captured without all columns it is not known what it looks like (R30).
                    shadow.row_print = None if (record, local_id) in work.foreign else row_print_
                snapshot.note_prints(self.db, record, work.seen.get(record, {}), shadows)
                for change in changes:
                    noted(shadows[change.local_id], change)
                for change in (c for c in work.gone if c.record_type == record):
                    dirty.ended(shadows[change.local_id], change)
                dirty.forget_prints(record, work.dirty, shadows)
                store.save_shadows(self.db, known.values())
                store.add_shadows(self.db, (shadows[local_id] for local_id in ids - known.keys()))
            if work.seqs:
                self.db.execute(store.FORGET, {"seqs": work.seqs})
                self.db.execute(store.READ_UP_TO, {"seq": work.seqs[-1]})
            dirty.forget(self.db, work.dirty)
            snapshot.save(self.db, work.snapshot)
            crash_point("source.forgetting")
