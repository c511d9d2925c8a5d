"""Cases that every connector keeps, whatever its system; an integrator brings the system.

A test class inherits `SourceCases`, `SinkCases` or both, gives `record`, `values`, `edit` and `system`, and
pytest runs the cases:

    class TestOurs(SourceCases):
        record = Catalogue.load(Path("schemas/records")).records["person"]
        values = {"family_name_fr": "Alaoui", "given_name_fr": "Leila"}
        edit = {"given_name_fr": "Layla"}

        @pytest.fixture
        def system(self, tmp_path: Path) -> Ours:
            return Ours(tmp_path)  # a `SourceSystem`

What they do not try: a system that was set back to an earlier state (`look_back`), ids that are used again,
and lists.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from typing import Any, ClassVar, Protocol

from connectors.sdk import Arrivals, Change, Delivery, Partition, Sent, Sink, Source
from hub.contracts import topics
from hub.contracts.records import RecordType
from hub.contracts.values import normalise

# More than any case enters.
_LIMIT = 100


class SourceSystem(Protocol):
    """An agency's system, new and empty, and what its people do there, in values of the contract."""

    def source(self) -> Source:
        """A source over it that is not connected, as a process has it that has just started."""

    def insert(self, values: Mapping[str, Any]) -> str:
        """Somebody at the agency enters a record; its local id."""

    def update(self, local_id: str, values: Mapping[str, Any]) -> None:
        """Somebody changes these fields of it."""

    def delete(self, local_id: str) -> None:
        """Somebody deletes it."""


class System(SourceSystem, Protocol):
    """One that also takes what the agency may know."""

    def sink(self) -> Sink:
        """A sink over it that is not connected."""

    def holds(self) -> Mapping[str, Mapping[str, Any]]:
        """The records that are there now, by local id; null where nothing is known."""


class _Cases:
    """`values`: a whole record, without lists; `edit`: other values for some of its fields.

    With both of them it may be a second record beside the first: identifiers differ.
    """

    record: ClassVar[RecordType]
    values: ClassVar[Mapping[str, Any]]
    edit: ClassVar[Mapping[str, Any]]


def said(source: Source) -> list[Change]:
    """All that a connected source has to say, acknowledged."""
    changes: list[Change] = []
    while (batch := source.read(_LIMIT)) is not None:
        changes += batch.changes
        source.acknowledge(batch)
    return changes


def started(system: SourceSystem) -> Source:
    """A source that has said all that there was."""
    source = system.source()
    source.connect()
    said(source)
    return source


class SourceCases(_Cases):
    """What holds for every source."""

    def test_what_was_there_before_is_said_and_then_all_is_complete(self, system: SourceSystem) -> None:
        local_id = system.insert(self.values)
        source = system.source()
        source.connect()
        batch = source.read(_LIMIT)
        assert batch is not None, "a record that was there is not read"
        assert not source.complete(), "it is not acknowledged yet, so not all has been said"
        source.acknowledge(batch)
        rest = said(source)
        assert source.complete(), "all has been said: the hub waits for this before it makes records here"
        told = [(change.local_id, change.operation) for change in (*batch.changes, *rest)]
        assert told in ([(local_id, "snapshot")], [(local_id, "insert")])
        epoch = source.epoch()
        assert epoch.number == 0 or self.record.name in epoch.record_types
        source.close()

    def test_what_was_not_acknowledged_comes_again_as_the_same_change(self, system: SourceSystem) -> None:
        source = started(system)
        system.insert(self.values)
        first = source.read(_LIMIT)
        assert first is not None, "an edit is not read"
        source.close()
        again = system.source()
        again.connect()
        second = again.read(_LIMIT)
        assert second is not None, "an edit was lost by a restart"
        assert second.changes == first.changes, "it must be the same change: event id, stamp and all"
        again.close()

    def test_what_was_acknowledged_does_not_come_again(self, system: SourceSystem) -> None:
        source = started(system)
        system.insert(self.values)
        sent = [Sent(c.event_id, c.record_type, c.local_id, c.stamp, c.operation) for c in said(source)]
        assert sent, "an edit is not read"
        source.close()
        again = system.source()
        again.connect()
        assert not again.look_back(sent), "nothing was set back: all that the log has is known here"
        assert said(again) == []
        assert again.complete(), "what was said before the restart has been said"
        again.close()

    def test_an_edit_says_what_it_changed_and_nothing_else(self, system: SourceSystem) -> None:
        source = started(system)
        local_id = system.insert(self.values)
        (new,) = said(source)
        assert (new.record_type, new.local_id, new.operation) == (self.record.name, local_id, "insert")
        assert {name: new.values[name] for name in self.values} == dict(self.values)
        system.update(local_id, self.edit)
        (change,) = said(source)
        assert (change.local_id, change.operation) == (local_id, "update")
        assert set(change.changed) == set(self.edit), "the mask is what changed, and nothing else (R12)"
        assert {name: change.values[name] for name in self.edit} == dict(self.edit)
        source.close()

    def test_values_are_as_the_contract_has_them(self, system: SourceSystem) -> None:
        source = started(system)
        system.insert(self.values)
        for change in said(source):
            for name in change.changed:
                value = change.values.get(name)
                assert value is None or normalise(self.record.by_name[name], value) == value, name
        source.close()

    def test_stamps_rise_and_no_event_id_comes_twice(self, system: SourceSystem) -> None:
        source = started(system)
        local_id = system.insert(self.values)
        changes = said(source)
        for values in (self.edit, {name: self.values[name] for name in self.edit}, self.edit):
            system.update(local_id, values)
            changes += said(source)
        stamps = [change.stamp for change in changes]
        assert len(stamps) == 4
        assert all(one < later for one, later in itertools.pairwise(stamps)), "a later edit must win"
        assert len({change.event_id for change in changes}) == len(changes)
        source.close()

    def test_a_deletion_is_said(self, system: SourceSystem) -> None:
        source = started(system)
        local_id = system.insert(self.values)
        (new,) = said(source)
        system.delete(local_id)
        (end,) = said(source)
        assert (end.local_id, end.operation, end.incarnation) == (local_id, "delete", new.incarnation)
        assert end.stamp > new.stamp
        source.close()

    def test_no_batch_is_larger_than_asked_for_and_none_lacks(self, system: SourceSystem) -> None:
        source = started(system)
        entered = [system.insert(values) for values in (self.values, {**self.values, **self.edit})]
        told: list[str] = []
        while (batch := source.read(1)) is not None:
            assert len(batch.changes) <= 1
            told += [change.local_id for change in batch.changes]
            source.acknowledge(batch)
        assert sorted(told) == sorted(entered)
        assert source.backlog() == 0
        source.close()

    def test_it_may_be_closed_at_any_time(self, system: SourceSystem) -> None:
        source = system.source()
        source.close()
        source.connect()
        source.close()
        source.close()
        source.connect()
        assert said(source) == []
        source.close()


class SinkCases(_Cases):
    """What holds for every sink; `agency` begins the names of its inboxes."""

    agency: ClassVar[str]

    @property
    def inbox(self) -> Partition:
        return topics.inbox(self.agency, self.record.name), 0

    def delivery(self, version: int, values: Mapping[str, Any], operation: str = "upsert") -> Delivery:
        """Of one entity, always the same; `seen`: the hub has heard of every edit here."""
        return Delivery(
            record_type=self.record.name,
            entity="-" * 22,
            version=version,
            operation=operation,
            fields=tuple(values),
            values=dict(values),
            seen=2**62,
            partition=self.inbox,
        )

    def apply(self, sink: Sink, *deliveries: Delivery, offset: int) -> None:
        sink.apply(Arrivals(list(deliveries), {self.inbox: offset}))

    def held(self, system: System) -> list[dict[str, Any]]:
        """Of each record that is there, the fields of these cases."""
        return [{name: row.get(name) for name in self.values} for row in system.holds().values()]

    def test_what_arrives_is_held_and_its_position_with_it(self, system: System) -> None:
        sink = system.sink()
        assert dict(sink.connect()) == {}
        self.apply(sink, self.delivery(1, self.values), offset=1)
        assert self.held(system) == [dict(self.values)]
        sink.close()
        again = system.sink()
        assert dict(again.connect()) == {self.inbox: 1}, "positions are kept where the records are"
        again.close()

    def test_what_is_not_newer_changes_nothing(self, system: System) -> None:
        sink = system.sink()
        sink.connect()
        newer = {**self.values, **self.edit}
        self.apply(sink, self.delivery(2, newer), offset=1)
        for offset, old in enumerate((self.delivery(1, self.values), self.delivery(2, newer)), 2):
            self.apply(sink, old, offset=offset)
            assert self.held(system) == [newer], "messages come twice, and late (R18)"
        sink.close()

    def test_in_any_order_within_a_batch_the_latest_stands(self, system: System) -> None:
        sink = system.sink()
        sink.connect()
        newer = {**self.values, **self.edit}
        self.apply(sink, self.delivery(2, newer), self.delivery(1, self.values), offset=2)
        assert self.held(system) == [newer]
        sink.close()

    def test_a_field_that_is_no_longer_listed_goes(self, system: System) -> None:
        sink = system.sink()
        sink.connect()
        self.apply(sink, self.delivery(1, self.values), offset=1)
        kept = {name: value for name, value in self.values.items() if name not in self.edit}
        self.apply(sink, self.delivery(2, kept), offset=2)
        assert self.held(system) == [{name: kept.get(name) for name in self.values}], "not ours to hold (R17)"
        sink.close()

    def test_a_retraction_leaves_nothing_of_the_hubs(self, system: System) -> None:
        sink = system.sink()
        sink.connect()
        self.apply(sink, self.delivery(1, self.values), offset=1)
        self.apply(sink, self.delivery(2, {}, "retract"), offset=2)
        assert not [row for row in self.held(system) if any(value is not None for value in row.values())]
        sink.close()

    def test_receipts_are_given_until_they_are_confirmed(self, system: System) -> None:
        sink = system.sink()
        sink.connect()
        self.apply(sink, self.delivery(1, self.values), offset=7)
        told = [((one.topic, one.partition), one.offset) for one in sink.receipts()]
        assert told == [(self.inbox, 7)]
        sink.close()
        again = system.sink()
        again.connect()
        receipts = again.receipts()
        assert [((one.topic, one.partition), one.offset) for one in receipts] == told, "lost by a restart"
        again.confirm(receipts)
        assert list(again.receipts()) == []
        again.close()

    def test_its_own_writes_are_no_word_of_the_agencys(self, system: System) -> None:
        source, sink = started(system), system.sink()
        sink.connect()
        self.apply(sink, self.delivery(1, self.values), offset=1)
        (link,) = said(source)
        assert (link.operation, link.entity, link.changed) == ("link", "-" * 22, ())
        self.apply(sink, self.delivery(2, {**self.values, **self.edit}), offset=2)
        assert said(source) == [], "an echo would confirm what others say with ever new stamps (R12)"
        source.close()
        sink.close()

    def test_it_may_be_closed_at_any_time(self, system: System) -> None:
        sink = system.sink()
        sink.close()
        sink.connect()
        sink.close()
        sink.close()
