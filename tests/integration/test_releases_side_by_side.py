"""Policies change with a release: all is computed anew, also beside a worker of the old one (R5).

Over a real PostgreSQL.
"""

from __future__ import annotations

import dataclasses
import datetime
from collections.abc import Iterator, Mapping

import pytest
from support.changes import key, said
from support.contracts import CATALOGUE, IDS, TERMS, TODAY, TYPES
from support.store_hub import StoreHub, open_store

from hub.contracts.values import encode_string
from hub.core.policy import TypePolicy
from hub.lanes.intake import Intake
from hub.lanes.joining import Joining

ONE, OTHER = "+212600000001", "+212600000002"
BORN = {"birth_date": datetime.date(1990, 1, 1), "cin": "SH1"}


@pytest.fixture
def hub(database: str) -> Iterator[StoreHub]:
    store = open_store(database)
    yield StoreHub(store)
    store.close()


def ranking(*agencies: str) -> Mapping[str, TypePolicy]:
    """The release, but that these have a say in a person's phone, in this order, and nobody else."""
    person = TYPES["person"]
    phone = dataclasses.replace(
        person.fields["phone"], ranks={name: rank for rank, name in enumerate(agencies)}, others=None
    )
    return {**TYPES, "person": dataclasses.replace(person, fields={**person.fields, "phone": phone})}


class Worker(StoreHub):
    """A worker of one release; begins as the lane does."""

    def __init__(self, hub: StoreHub, types: Mapping[str, TypePolicy]) -> None:
        super().__init__(hub.store, log=hub.log)
        self.joining = Joining({}, TERMS, types=types)
        self.intake = Intake(
            CATALOGUE, types, TERMS, IDS, self.store.begin, self._today, foreign=self.joining.foreign
        )
        self.changed = self.begin()

    def begin(self) -> list[str]:
        with self.store.begin() as tx:
            return self.joining.apply_terms(tx, TODAY)

    def phones(self) -> dict[str, bytes | None]:
        return {agency: one.content.values.get("phone") for (agency, _), one in self.inbox.items()}


def both_say(worker: Worker) -> None:
    worker.take(said(key("entraide", "1"), 1, **BORN, phone=ONE))
    worker.take(said(key("ads", "1"), 2, **BORN, phone=OTHER))
    worker.settle_due()


def test_another_authority_computes_what_is_known_anew(hub: StoreHub) -> None:
    old = Worker(hub, ranking("entraide", "ads"))
    both_say(old)
    assert set(old.phones().values()) == {encode_string(ONE)}
    versions = {place: one.version for place, one in old.inbox.items()}
    new = Worker(hub, ranking("ads", "entraide"))
    assert new.changed == ["person"]
    new.settle_due()
    assert set(new.phones().values()) == {encode_string(OTHER)}
    assert all(one.version > versions[place] for place, one in new.inbox.items())
    # Once: a second worker of the same release finds it applied.
    assert Worker(hub, ranking("ads", "entraide")).changed == []


def test_what_a_worker_of_the_old_release_settles_meanwhile_does_not_stay(hub: StoreHub) -> None:
    old = Worker(hub, ranking("entraide", "ads"))
    both_say(old)
    new = Worker(hub, ranking("ads", "entraide"))
    new.settle_due()
    old.take(said(key("entraide", "1"), 3, "update", phone=ONE, given_name_fr="Zineb"))
    assert set(old.phones().values()) == {encode_string(ONE)}
    # It leaves what is due to those whose rules are in force.
    assert [done.due_taken for done in old.settle_due()] == [0]
    new.settle_due()
    assert set(new.phones().values()) == {encode_string(OTHER)}
    names = {one.content.values.get("given_name_fr") for one in new.inbox.values()}
    assert encode_string("Zineb") in names


def test_r19_a_snapshot_that_says_what_is_known_otherwise_brings_the_value_back(hub: StoreHub) -> None:
    worker = Worker(hub, TYPES)
    worker.take(said(key("entraide", "1"), 5, **BORN, phone=ONE))
    worker.take(said(key("ads", "1"), 6, **BORN))
    worker.settle_due()
    before = {place: one.version for place, one in worker.inbox.items()}
    done = worker.take(said(key("ads", "1"), 7, "snapshot", asserted=0, phone=OTHER))
    told = [one for settled in done.settled for one in settled.deliveries]
    assert [(one.agency, one.content.values["phone"]) for one in told] == [("ads", encode_string(ONE))]
    assert told[0].version > before["ads", told[0].entity]
    # Nobody has just typed it: it is no answer, and there is no notice.
    assert [settled.answers for settled in done.settled] == [()]
    same = worker.take(said(key("ads", "1"), 8, "snapshot", asserted=0, phone=ONE))
    assert [one for settled in same.settled for one in settled.deliveries] == []
