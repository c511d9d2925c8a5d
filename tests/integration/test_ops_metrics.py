"""What metrics gather from a real store and real offsets: the numbers that `jisr status` has, and gently."""

from __future__ import annotations

import datetime
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from ops_hub import OpsHub, ops_hub
from sqlalchemy import text
from support.changes import said

from hub.lanes.joining import Joining
from hub.lanes.publication import outbound
from hub.local.stack import Stack
from hub.ops import store_gauges
from hub.ops.gathering import DELIVERY, INTAKE, OFFSETS, RECEIPTS, REFERENCES, STORE, Gatherer
from hub.ops.log_reader import LogReader
from hub.ops.status import StatusReader
from hub.store.engine import HubStore

BORN = datetime.date(1990, 5, 1)


@pytest.fixture(scope="module")
def shared(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[OpsHub]:
    folder: Path = tmp_path_factory.mktemp("ops")
    with ops_hub(stack, folder, joining=["region"]) as made:
        yield made


@pytest.fixture
def hub(shared: OpsHub) -> OpsHub:
    shared.rest()
    return shared


def gatherer(hub: OpsHub, failed: list[str], store: HubStore | None = None) -> Gatherer:
    parts = hub.parts
    joining = Joining(parts.agreements, parts.terms)
    made = Gatherer(hub.parts.settings.kafka, store or parts.store, parts.agreements, joining, failed.append)
    for part in (OFFSETS, STORE, REFERENCES):
        made.gather(part)
    return made


def busy(hub: OpsHub) -> None:
    """Three people of entraide for ads, of whom one is refused; a review, a hold, a reference to nobody."""
    people = [said(hub.key("entraide", str(n)), 1, "insert", cin=f"SH{n}", birth_date=BORN) for n in range(3)]
    hub.take(*people)
    hub.take(said(hub.key("entraide", "0"), 2, cin="SH99"))
    hub.take(said(hub.key("ads", "9"), 1, "insert", cin="SH1", birth_date=datetime.date(1950, 1, 1)))
    hub.take(said(hub.key("ads", "7", "enrolment"), 1, "insert", number="INS-2026-000123", person="nobody"))
    hub.publish()
    hub.rows(
        "INSERT INTO undelivered SELECT %s, id, 'person', 1, 'refused', 'a word of their own', 'tel', 1000 "
        "FROM entity WHERE record_type = 'person' LIMIT 1 RETURNING 1",
        hub.name("ads"),
    )


def braked(hub: OpsHub) -> None:
    """A mass of deletions of ads that is held, and one of health on which somebody has decided."""
    hub.rows(
        "INSERT INTO brake (agency, record_type, kind, state, live, allowed) VALUES"
        " (%s, 'person', 'mass_delete', 'held', 9, 1), (%s, 'person', 'mass_update', 'released', 9, 1)"
        " RETURNING 1",
        hub.name("ads"),
        hub.name("health"),
    )


def test_what_is_gathered_is_what_status_tells(hub: OpsHub) -> None:
    busy(hub)
    braked(hub)
    failed: list[str] = []
    found = gatherer(hub, failed).gathered
    assert failed == []
    with closing(LogReader(hub.parts.settings.kafka)) as log:
        status = StatusReader(hub.parts, log).status()
    assert found.offsets is not None
    assert found.store is not None
    gauges, behind = found.store.gauges, found.offsets.behind
    for one in status.standings:
        side = (one.agency, one.record_type)
        pending, unread = behind[(DELIVERY, *side)], behind[(INTAKE, *side)]
        assert (pending.number if pending else 0, unread.number if unread else 0) == (one.pending, one.unread)
        assert gauges.entitled.get(side, 0) == one.entitled
        assert gauges.held[side].number if side in gauges.held else one.held == 0
        refused = [n.number for key, n in gauges.undelivered.items() if key[:3] == (*side, "refused")]
        assert sum(refused) == one.refused
        assert (found.references or {}).get(side, 0) == one.waiting_references
    assert gauges.reviews["person"].number == status.open_reviews == 1
    assert sum(held.number for held in gauges.held.values()) == 1
    assert (found.references or {})[hub.name("ads"), "enrolment"] == 1
    assert found.offsets.missing_topics == 0
    assert found.store.joining == {hub.name("region")}
    assert (gauges.due, gauges.unpublished.number) == (status.due, 0)
    assert gauges.brakes == {(hub.name("ads"), "person", "mass_delete")}
    # A code from outside must not become a label.
    assert {key[3] for key in gauges.undelivered} == {"other"}


def test_the_oldest_of_what_is_pending_is_dated(hub: OpsHub) -> None:
    before = time.time() * 1000
    busy(hub)
    made = gatherer(hub, [])
    assert made.gathered.offsets is not None
    pending = made.gathered.offsets.behind[DELIVERY, hub.name("ads"), "person"]
    assert pending is not None
    assert before - 1_000 <= pending.oldest_ms <= time.time() * 1000 + 1_000
    # What is still the first is not read from Kafka again.
    known = dict(made._appended)
    made.gather(OFFSETS)
    assert made._appended == known
    hub.acknowledge_all("ads", "entraide")
    made.gather(OFFSETS)
    assert made.gathered.offsets.behind[DELIVERY, hub.name("ads"), "person"] is None
    assert made.gathered.offsets.behind[RECEIPTS, hub.name("ads"), ""] is None


def test_unpublished_transactions_are_counted_by_entities_with_their_age(hub: OpsHub) -> None:
    encoder = hub.parts.encoder()

    def finish(tx, done):  # type: ignore[no-untyped-def]
        tx.save_publication("a worker that is gone", outbound(encoder, done)[1])

    person = said(hub.key("entraide", "1"), 1, "insert", cin="SH1", birth_date=BORN)
    hub.parts.intake.apply(lambda _: [person], finish)
    found = gatherer(hub, []).gathered.store
    assert found is not None
    assert found.gauges.unpublished.number == 1
    assert time.time() * 1000 - found.gauges.unpublished.oldest_ms < 60_000


def test_no_number_is_counted_beyond_its_cap(hub: OpsHub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store_gauges, "CAP", 2)
    people = [said(hub.key("entraide", str(n)), 1, "insert", cin=f"SH{n}", birth_date=BORN) for n in range(4)]
    hub.take(*people)
    hub.take(*(said(hub.key("entraide", str(n)), 2, cin=f"SH9{n}") for n in range(4)))
    found = gatherer(hub, []).gathered.store
    assert found is not None
    assert [held.number for held in found.gauges.held.values()] == [2]


def gently(hub: OpsHub, statement: str, limit_ms: int) -> None:
    with hub.parts.store.begin() as tx:
        store_gauges.gently(tx, limit_ms)
        tx.connection.execute(text(statement))


def test_the_store_can_be_looked_at_only_gently(hub: OpsHub) -> None:
    with pytest.raises(Exception, match="statement timeout"):
        gently(hub, "SELECT pg_sleep(5)", 50)
    with pytest.raises(Exception, match="read-only"):
        gently(hub, "INSERT INTO setting VALUES ('a', 'b')", 1_000)


def test_what_cannot_be_gathered_is_counted_and_in_the_end_forgotten(hub: OpsHub) -> None:
    failed: list[str] = []
    made = gatherer(hub, failed)
    away = HubStore("postgresql+psycopg://nobody@127.0.0.1:1/none")
    made._store = away
    made.gather(STORE)
    made.gather(OFFSETS)
    assert failed == [STORE, OFFSETS]
    assert made.gathered.store is not None
    made.gathered.at[STORE] -= 3_600
    made.gather(STORE)
    assert made.gathered.store is None
