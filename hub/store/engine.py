"""The way into the store: an engine, transactions, and what its failures mean."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import Engine, create_engine
from sqlalchemy.exc import DBAPIError

from hub.errors import Retriable
from hub.store.errors import StoreAway
from hub.store.transaction import Transaction

# Deadlock and serialization failure: PostgreSQL rolled us back so that others can go on; do it again.
_TRY_AGAIN = frozenset({"40P01", "40001"})


class HubStore:
    """The hub's PostgreSQL. `url`: an SQLAlchemy URL (`postgresql+psycopg://…`)."""

    def __init__(self, url: str, pool_size: int = 4) -> None:
        self.engine: Engine = create_engine(
            url,
            pool_size=pool_size,
            pool_pre_ping=True,
            connect_args={"connect_timeout": 5, "application_name": "jisr-hub"},
        )

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
                tx.save_holdings()
        except DBAPIError as error:
            if getattr(error.orig, "sqlstate", None) in _TRY_AGAIN:
                raise Retriable("the store rolled a transaction back to let another pass") from error
            if error.connection_invalidated or getattr(error.orig, "sqlstate", None) is None:
                raise StoreAway(f"the hub's store does not answer: {error.orig}") from error
            raise

    def close(self) -> None:
        self.engine.dispose()
