"""Is everything as it should be, once all is at rest? Compares what was said, what was told, what is held."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from typing import Any

from connectors.sql.row_print import RowPrinter
from connectors.sql.sweep_look import Look
from hub.contracts import topics
from simulation.agency import ask
from simulation.evidence import is_said
from simulation.forms import FORMS
from simulation.people import Entry, Place
from simulation.promises import Promises
from simulation.reference import Entity
from simulation.said import Name, Record, Saying, plain
from simulation.tellings import Tellings


class Judge(Promises, Tellings):
    """All that is wrong with a region at rest: `problems`."""

    def problems(self) -> list[str]:
        return [
            *self._unsaid(),
            *self._invented(),
            *self._repeated_otherwise(),
            *self._dead(),
            *self.told_wrongly(),
            *self._rows(),
            *self._doubled(),
            *self._asked_again(),
            *self._found_by_sweeps(),
            *self.promises_broken(),
        ]

    # What people did, and what was said

    def _unsaid(self) -> Iterator[str]:
        """Acknowledged edits that are lost: the last word on each field must be said, or said to be stale."""
        said = self._said_of()
        for place, entries in self._entries().items():
            says = self.given.agreements[place[0]].publishes.get(place[1], frozenset())
            last: dict[str, list[Entry]] = defaultdict(list)
            for entry in entries:
                if self.region.people.is_undone(entry):
                    # Lost with the database that it was written into, unless it had been said by then.
                    continue
                if entry.operation == "delete":
                    last.clear()
                for name in says.intersection(entry.values):
                    last[name].append(entry)
            for name, words in last.items():
                value = words[-1].values[name]
                undone = any(entry.before.get(name) == value for entry in words)
                if not undone and not any(is_said(one, name, value) for one in said[place]):
                    yield f"{place}: {name} was typed, and never said"
            deleted = [entry for entry in entries if entry.operation == "delete"]
            least = sum(not self.region.people.is_undone(entry) for entry in deleted)
            # What waited to be said when a copy was made was perhaps said before and after it was put back:
            # of two lives, since those of the later epoch are counted anew.
            most = len(deleted) + self._waiting(place, deleted)
            ends = {one.name for one in said[place] if one.change["operation"] == "delete"}
            if not least <= len(ends) <= most:
                yield f"{place}: was deleted {least} to {most} times, which was said {len(ends)} times"

    def _waiting(self, place: Place, deleted: list[Entry]) -> int:
        """How many of these deletions may have waited in the queue when a copy was made."""
        for one in self.region.operators.ledger:
            if one.agency == place[0]:
                before = sum(entry.at_ms <= one.copied_ms for entry in deleted)
                said = {
                    saying.name
                    for saying in self.sayings
                    if saying.name[:3] == place
                    and saying.at_ms <= one.copied_ms
                    and saying.change["operation"] == "delete"
                }
                return before - len(said)
        return 0

    def _typed_by(self, name: Name, entries: Mapping[Place, list[Entry]]) -> list[Entry]:
        """Who may have typed what a record says; a row that was made again, for one that a restored database
        has lost, says what people had typed into that one."""
        if any(one.agency == name.agency for one in self.region.operators.ledger):
            return [e for place, those in entries.items() if place[:2] == name[:2] for e in those]
        return entries[name[:3]]

    def _invented(self) -> Iterator[str]:
        """What was said and nobody typed."""
        entries = self._entries()
        for one in self.sayings:
            if one.change["operation"] not in ("insert", "update", "snapshot"):
                continue
            says = self.given.agreements[one.name.agency].publishes.get(one.name.record_type, frozenset())
            for name in says.intersection((*one.change["changed"], *one.change["stale"])):
                if not _was_typed(self._typed_by(one.name, entries), one, name):
                    yield f"{one.name}: {name} was said, and nobody typed it"

    def _repeated_otherwise(self) -> Iterator[str]:
        first: dict[tuple[str, str], Any] = {}
        for one in self.sayings:
            # Which entity an edit names is as its agency knows it then, and decides nothing (R16).
            change = {**one.change, "entity": None}
            before = first.setdefault((one.name.agency, one.change["event_id"]), change)
            if before != change:
                yield f"{one.name}: event {one.change['event_id']} was said twice, and not alike"

    def _dead(self) -> Iterator[str]:
        for agency in self.given.agreements:
            for letter in self._messages(topics.dead_letters(agency)):
                yield f"{agency}: a dead letter: {letter['code']} {letter['message']}"

    # What the agencies hold

    def _rows(self) -> Iterator[str]:
        for agency, forms in FORMS.items():
            for kind, form in forms.items():
                held: set[int] = set()
                for local_id, row in form.all(self.region.databases[agency].handle).items():
                    record = self.reference.at(agency, kind, local_id)
                    if record is None or not record.live:
                        yield f"{agency}: {kind} {local_id}: a row of which nothing was said"
                        continue
                    entity = self.reference.entity_of[record.name]
                    if entity.primary(agency) is record:
                        held.add(id(entity))
                        yield from self._row(record, entity, row)
                for entity in self.reference.entities:
                    if (
                        entity.kind == kind
                        and self.reference.may_hold(agency, entity)
                        and id(entity) not in held
                    ):
                        yield f"{agency}: {kind} of {entity.founder.name}: may hold it, and has no row"

    def _row(self, record: Record, entity: Entity, row: Mapping[str, Any]) -> Iterator[str]:
        agency, kind, local_id, _ = record.name
        where = f"{agency}: {kind} {local_id} of {entity.founder.name}"
        fields = self.reference.may_hold(agency, entity)
        if not fields and record.linked is not None and not record.speaks:
            yield f"{where}: may not hold it, and has a row"
            return
        says = self.given.agreements[agency].publishes.get(kind, frozenset())
        for name, value in row.items():
            if name in fields:
                wanted = entity.golden[name]
                if isinstance(wanted, Entity):
                    target = self.reference.at(agency, "person", str(value))
                    value = target and self.reference.entity_of[target.name]
                if value != wanted:
                    yield f"{where}: holds another {name} than is believed"
            elif name in says and value != self._own(record, name):
                yield f"{where}: holds another {name} than it says itself"

    def _own(self, record: Record, name: str) -> Any:
        if name in record.elements:
            return plain([element for element, (_, there) in record.elements[name].items() if there])
        return plain(record.value(name))

    def _doubled(self) -> Iterator[str]:
        """Rows made twice for one entity: living ones that connectors made."""
        made: dict[tuple[str, str, str], int] = defaultdict(int)
        for record in self.reference.records.values():
            if record.made_for is not None and record.live and not record.lost:
                made[record.name.agency, record.name.record_type, record.made_for] += 1
        for place, number in made.items():
            if number > 1:
                yield f"{place}: {number} rows were made for one entity"

    def _asked_again(self) -> Iterator[str]:
        """Reviews that a steward is still asked for, though the pair was decided."""
        for a, b, reason, *_, state in self.region.store.rows("review"):
            pair = frozenset(name for name, one in self.hub_id.items() if one in (a, b))
            if state == "open" and pair in self.decided:
                yield f"{sorted(pair)}: asked for again ({reason}), and was decided"

    def _found_by_sweeps(self) -> Iterator[str]:
        """Nobody works behind the triggers here: whatever a sweep found is none of that (R30), whether it
        came while all were at work, or comes now."""
        for agency, database in self.region.databases.items():
            for record, local_id, kind in ask(database, "SELECT record, local_id, kind FROM jisr_finding"):
                yield f"{agency}: {record} {local_id}: a sweep takes it for {kind}"
            db = self.given.at_rest[agency]
            db.database = database
            db.connect()
            for kind, converter in self.given.converters[agency].items():
                look = Look(db, converter, RowPrinter(converter.map))
                look.rows(None)
                look.gone(None)
                for finding in look.findings:
                    yield f"{agency}: {kind} {finding.local_id}: a sweep would take it for {finding.text()}"


def _was_typed(entries: list[Entry], one: Saying, name: str) -> bool:
    value = one.value(name)
    typed = [entry for entry in entries if name in entry.values]
    if isinstance(value, list):
        # A row that is read again says all of a list to which people have added something, also what the hub
        # had delivered: which elements are its own nobody has kept (docs/design.md, what is not built).
        again = one.change["operation"] == "snapshot" and one.change["epoch"] > 1
        added = {
            element
            for e in typed
            for element in set(e.values[name] or ()).difference(
                (e.before.get(name) or ()) if not again else ()
            )
        }
        removed = {element for e in typed for element in e.before.get(name) or ()}
        return added.issuperset(value) and removed.issuperset(one.change["removed"].get(name, ()))
    return any(entry.values[name] == value for entry in typed)
