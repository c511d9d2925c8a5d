"""The way into the store: an engine, transactions, and what its failures mean."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
from psycopg.types.array import ListBinaryDumper
from sqlalchemy import Engine, create_engine, event
from sqlalchemy.exc import DBAPIError

from hub.errors import Retriable
from hub.store.address import postgresql_url
from hub.store.errors import StoreAway
from hub.store.transaction import STAGED, Transaction

# Connection, resources (a full disk, too many connections), shutdown or start, system: it may be well again,
# as may a standby that is read only until it takes over.
_AWAY = ("08", "53", "57P", "58", "25006")
# Deadlock and serialization failure: PostgreSQL rolled us back so that others can go on; do it again.
_TRY_AGAIN = frozenset({"40P01", "40001"})
# A worker that is frozen, or whose machine is gone, inside a transaction holds its locks until the server
# ends that: nobody could take over before. Far longer than any batch computes between two statements.
ABANDONED_AFTER_S = 20.0

# A server whose machine or network is gone says nothing, not even that: by the system's defaults a worker
# would wait for it for two hours.
_GONE_AFTER_S = 30
_LIVELINESS = {
    "keepalives_idle": _GONE_AFTER_S // 2,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": _GONE_AFTER_S * 1000,
}


class HubStore:
    """The hub's PostgreSQL. `url`: `postgresql://…`, as SQLAlchemy has it.

    A transaction that does nothing for `abandoned_after_s` is ended by the server.
    Raises `ConfigurationError` for another URL.
    """

    def __init__(self, url: str, pool_size: int = 4, abandoned_after_s: float = ABANDONED_AFTER_S) -> None:
        abandoned_ms = int(abandoned_after_s * 1000)
        self.engine: Engine = create_engine(
            postgresql_url(url, "JISR_STORE_URL"),
            pool_size=pool_size,
            pool_pre_ping=True,
            connect_args={
                "connect_timeout": 5,
                "application_name": "jisr-hub",
                **_LIVELINESS,
                "options": f"-c idle_in_transaction_session_timeout={abandoned_ms}",
            },
        )
        event.listen(self.engine, "connect", _prepare)

    @contextmanager
    def begin(self) -> Iterator[Transaction]:
        """A transaction; commits at the end. Blocks. Raises `StoreAway` if the database breaks off.

        After `StoreAway` the outcome of a COMMIT may be unknown: whoever moved a position in it finds out
        by trying again, since the position moved with the effects (R25).
        """
        try:
            with self.engine.begin() as connection:
                tx = Transaction(connection)
                yield tx
                tx.save_counts()
        except DBAPIError as error:
            raise _explained(error.orig, lost=error.connection_invalidated) from error
        except psycopg.Error as error:
            # COPY goes past SQLAlchemy, and so do its errors.
            raise _explained(error, lost=False) from error

    def close(self) -> None:
        self.engine.dispose()


def _prepare(connection: Any, _: Any) -> None:
    """Make the temporary tables that batches go through, once per connection."""
    # As text, each id of an array was quoted by regular expressions: a twentieth of a worker's time.
    connection.adapters.register_dumper(list, ListBinaryDumper)
    with connection.cursor() as cursor:
        for staging in STAGED:
            cursor.execute(staging.create)
    connection.commit()


def _explained(error: BaseException | None, *, lost: bool) -> BaseException:
    """`Retriable` or `StoreAway` where trying again may help; else the error itself, which is a bug."""
    sqlstate = getattr(error, "sqlstate", None)
    if sqlstate in _TRY_AGAIN:
        return Retriable("the store rolled a transaction back to let another pass")
    if isinstance(error, psycopg.Error) and sqlstate and sqlstate.startswith(_AWAY):
        # The first line alone: others may name values.
        return StoreAway(f"the hub's store cannot do its work: {error.diag.message_primary} ({sqlstate})")
    if lost or sqlstate is None:
        return StoreAway(f"the hub's store does not answer: {error}")
    return error or StoreAway("the hub's store does not answer")
