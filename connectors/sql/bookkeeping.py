"""The bookkeeping tables as SQLAlchemy knows them, made from their description in `tables`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Column, Identity, Index, MetaData, Table
from sqlalchemy.types import TypeEngine

from connectors.sql.tables import CHANGES, ENTITY, RETRY, SHADOW, TABLES, Bookkeeping

_INDEXES = (
    ("jisr_changes_by_row", CHANGES, ("record", "local_id")),
    ("jisr_retry_by_time", RETRY, ("next_at_ms",)),
    ("jisr_retry_by_target", RETRY, ("waits_for",)),
)
# A queue is emptied all the time: without this, reading it scans what was deleted.
_EAGER_VACUUM = {"autovacuum_vacuum_scale_factor": 0.0, "autovacuum_vacuum_threshold": 5000}
# In percent: an edit whose new row fits beside the old one touches no index and no other page. An edit of the
# agency's own writes the shadow twice: when it was sent, and when it comes back as what the hub holds.
_STORAGE = {
    CHANGES.name: _EAGER_VACUUM,
    SHADOW.name: {"fillfactor": 80},
    ENTITY.name: {"fillfactor": 90},
}


def bookkeeping(types: Mapping[str, TypeEngine[Any]], schema: str | None = None) -> dict[str, Table]:
    """The tables by short name, with their indexes. `types`: a type for each kind of column."""
    metadata = MetaData(schema=schema)
    tables = {described.name: _table(described, types, metadata) for described in TABLES}
    for name, described, columns in _INDEXES:
        Index(name, *(tables[described.name].c[column] for column in columns))
    return tables


def _table(described: Bookkeeping, types: Mapping[str, TypeEngine[Any]], metadata: MetaData) -> Table:
    columns: list[Column[Any]] = [
        Column(name, types[kind], primary_key=name in described.key, autoincrement=False)
        for name, kind in described.columns.items()
    ]
    if described.serial:
        columns.insert(0, Column(described.serial, types["bigint"], Identity(), primary_key=True))
    return Table(
        f"jisr_{described.name}",
        metadata,
        *columns,
        # A number of the queue must not come again after the queue was emptied.
        sqlite_autoincrement=bool(described.serial),
        postgresql_with=_STORAGE.get(described.name, {}),
    )
