"""An edit's new row stays in the page of the old one, where no index has to be told (decision 051)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import pytest
from sqlalchemy import text
from support.store_hub import open_store

from connectors.sql import store as bookkeeping
from connectors.sql.postgresql import PostgreSQL
from connectors.sql.rows import EntityRow, Shadow
from hub.store.engine import HubStore
from hub.store.tables import metadata
from hub.store.transaction import STAGED

_PEOPLE = 400
_ID_BYTES = 16
# Of each page one row: the page's number, and the row's key.
_ONE_OF_EACH_PAGE = """
    SELECT DISTINCT ON (page) (ctid::text::point)[0]::int AS page, {key} FROM {table} ORDER BY page, {key}
"""


@pytest.fixture
def store(database: str) -> Iterator[HubStore]:
    store = open_store(database)
    yield store
    store.close()


@pytest.fixture
def agency(database: str) -> Iterator[PostgreSQL]:
    db = PostgreSQL(database)
    db.connect()
    bookkeeping.prepare(db, "ads")
    yield db
    db.close()


def test_edits_of_the_store_stay_in_their_pages(store: HubStore) -> None:
    ids = [number.to_bytes(_ID_BYTES, "big") for number in range(_PEOPLE)]

    def save(those: Sequence[bytes], version: int) -> None:
        records = [(i, "ads", "person", i.hex(), 0, i, 1, version, 0, None, b"a" * 300) for i in those]
        entities = [(i, "person", version, b"g" * 16, b"h" * 120, b"c", None) for i in those]
        with store.begin() as tx:
            for staging, rows in zip(STAGED, (records, entities), strict=True):
                staging.save(tx.connection, rows)

    def some(table: str) -> list[tuple[int, bytes]]:
        with store.begin() as tx:
            found = tx.connection.execute(text(_ONE_OF_EACH_PAGE.format(key="id", table=table)))
            return [(page, bytes(key)) for page, key in found]

    def pages(table: str) -> dict[bytes, int]:
        with store.begin() as tx:
            found = tx.connection.execute(text(f"SELECT id, (ctid::text::point)[0]::int FROM {table}"))
            return {bytes(key): page for key, page in found}

    save(ids, 1)
    before = {table: pages(table) for table in ("record", "entity")}
    edited = {key for table in before for _, key in some(table)[:-1]}
    assert len(edited) > 10
    save(sorted(edited), 2)
    for table, where in before.items():
        assert pages(table) == where


def test_edits_of_an_agencys_bookkeeping_stay_in_their_pages(agency: PostgreSQL) -> None:
    def pages(table: str, key: str) -> dict[str, int]:
        return dict(agency.query(f"SELECT {key}, (ctid::text::point)[0]::int FROM {{{table}}}"))

    def some(table: str, key: str) -> list[str]:
        found = agency.query(_ONE_OF_EACH_PAGE.format(key=key, table=f"{{{table}}}"))
        return [name for _, name in found[:-1]]

    def save(shadows: Sequence[str], entities: Sequence[str], version: int) -> None:
        delivered = {f"field {n}": ["+212600000000", version] for n in range(14)}
        with agency.transaction():
            bookkeeping.save_shadows(
                agency, [Shadow("person", i, known=version, delivered=delivered) for i in shadows]
            )
            bookkeeping.save_entities(agency, [EntityRow("person", i, version) for i in entities])

    everybody = [f"{number:032}" for number in range(_PEOPLE)]
    save(everybody, everybody, 1)
    shadows, entities = pages("shadow", "local_id"), pages("entity", "entity")
    edited = some("shadow", "local_id"), some("entity", "entity")
    assert len(edited[0]) > 10
    assert edited[1]
    # When the edit was sent, and when it comes back.
    for version in (2, 3):
        save(*edited, version)
    assert pages("shadow", "local_id") == shadows
    assert pages("entity", "entity") == entities


def test_migrations_leave_the_room_that_the_tables_speak_of(store: HubStore) -> None:
    with store.begin() as tx:
        rows = tx.connection.execute(text("SELECT relname, reloptions FROM pg_class WHERE relkind = 'r'"))
        options = {name: set(given or ()) for name, given in rows}
    for name, table in metadata.tables.items():
        wanted: dict[str, Any] = table.dialect_options["postgresql"]["with"] or {}
        assert options[name] == {f"{option}={value}" for option, value in wanted.items()}, name
