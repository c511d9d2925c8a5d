"""The store when a worker does not play along."""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import text
from support.store_hub import open_store

from connectors.sql.postgresql import PostgreSQL
from hub.store.engine import HubStore
from hub.store.errors import StoreAway

_TURN = text(
    "INSERT INTO setting (name, value) VALUES ('turn', :who) ON CONFLICT (name) DO UPDATE SET value = :who"
)
# Far beyond what it takes; only a test that hangs reaches it.
_PATIENCE_S = 60


@pytest.fixture
def store(database: str) -> Iterator[HubStore]:
    store = open_store(database)
    yield store
    store.close()


def test_a_worker_frozen_inside_a_transaction_does_not_keep_the_others(
    store: HubStore, database: str
) -> None:
    frozen = HubStore(database, abandoned_after_s=0.2)
    held, others_are_done = threading.Event(), threading.Event()

    def freeze() -> None:
        with frozen.begin() as tx:
            tx.connection.execute(_TURN, {"who": "frozen"})
            held.set()
            assert others_are_done.wait(_PATIENCE_S)
            tx.connection.execute(_TURN, {"who": "frozen"})

    with ThreadPoolExecutor(1) as pool:
        thawed = pool.submit(freeze)
        assert held.wait(_PATIENCE_S)
        with store.begin() as tx:
            tx.connection.execute(_TURN, {"who": "other"})
        others_are_done.set()
        with pytest.raises(StoreAway):
            thawed.result(_PATIENCE_S)
    with store.begin() as tx:
        assert (
            tx.connection.execute(text("SELECT value FROM setting WHERE name = 'turn'")).scalar() == "other"
        )
    frozen.close()


def test_a_store_that_takes_no_writes_is_waited_for(store: HubStore, database: str) -> None:
    """As a standby that has not taken over yet."""
    with store.begin() as tx:
        name = tx.connection.execute(text("SELECT quote_ident(current_database())")).scalar()
        tx.connection.execute(text(f"ALTER DATABASE {name} SET default_transaction_read_only = on"))
    standby = HubStore(database)
    with pytest.raises(StoreAway, match=r"read-only transaction \(25006\)"), standby.begin():
        pass
    standby.close()


def test_a_server_whose_machine_is_gone_is_given_up_after_half_a_minute(
    store: HubStore, database: str
) -> None:
    """What the system is asked for: a machine that goes away cannot be had here."""
    agency = PostgreSQL(database)
    agency.connect()
    with store.begin() as tx:
        for connection in (tx.connection, agency._db):
            with socket.socket(fileno=os.dup(connection.connection.driver_connection.fileno())) as raw:
                asked = (socket.TCP_KEEPIDLE, socket.TCP_KEEPINTVL, socket.TCP_KEEPCNT)
                idle, interval, count = (raw.getsockopt(socket.IPPROTO_TCP, one) for one in asked)
                unanswered_ms = raw.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT)
            assert idle + interval * count == 30
            assert unanswered_ms == 30_000
    agency.close()
