"""What records asserted before, and beside what stands: kept for some days, so that it can stand again.

Intake writes it: `Transaction.save_replaced`.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

import msgspec
from sqlalchemy import text

from hub.core.assertions import Replaced
from hub.store.transaction import Transaction

_KEPT = text("SELECT record, said FROM history WHERE record = ANY(CAST(:records AS bytea[]))")

_FORGET = text("""
    DELETE FROM history WHERE ctid IN (
        SELECT ctid FROM history WHERE kept_at < now() - make_interval(days => :days) LIMIT :limit)
""")

_SAID_SINCE = text("""
    SELECT id FROM record
    WHERE agency = :agency AND seen >= :since AND id > :after
      AND (CAST(:record_type AS text) IS NULL OR record_type = :record_type)
      AND (CAST(:local_id AS text) IS NULL OR local_id = :local_id)
    ORDER BY id LIMIT :limit
""")

_FORGET_REFERENCES = text("""
    DELETE FROM reference USING unnest(CAST(:records AS bytea[]), CAST(:fields AS text[])) AS v(r, f)
    WHERE record = v.r AND field = v.f
""")

_FORGET_DISPUTES = text("""
    DELETE FROM dispute USING unnest(CAST(:records AS bytea[]), CAST(:fields AS text[])) AS v(r, f)
    WHERE record = v.r AND field = v.f
""")

# Of one look, so that no transaction deletes for long.
FORGET_LIMIT = 20_000

_DECODE = msgspec.msgpack.Decoder(list[Replaced]).decode


def kept(tx: Transaction, records: Collection[bytes]) -> dict[bytes, list[Replaced]]:
    """Everything kept of these records; what was said in several batches may come several times."""
    found: dict[bytes, list[Replaced]] = {record: [] for record in records}
    if records:
        for record, said in tx.connection.execute(_KEPT, {"records": sorted(records)}):
            found[bytes(record)] += _DECODE(said)
    return found


def forget(tx: Transaction, days: int) -> int:
    """Drop some of what was kept for longer; how many rows."""
    return tx.connection.execute(_FORGET, {"days": days, "limit": FORGET_LIMIT}).rowcount


def said_since(
    tx: Transaction,
    agency: str,
    since: int,
    after: bytes,
    limit: int,
    record_type: str | None = None,
    local_id: str | None = None,
) -> list[bytes]:
    """The next records of an agency, by id after `after`, from which anything was heard since a stamp."""
    where = {
        "agency": agency,
        "since": since,
        "after": after,
        "limit": limit,
        "record_type": record_type,
        "local_id": local_id,
    }
    return [bytes(record) for (record,) in tx.connection.execute(_SAID_SINCE, where)]


def forget_words(tx: Transaction, withdrawn: Mapping[bytes, Collection[str]]) -> None:
    """Drop what else is known of fields that records no longer assert so: references and disputes."""
    rows = sorted((record, name) for record, names in withdrawn.items() for name in names)
    if rows:
        where = {"records": [record for record, _ in rows], "fields": [name for _, name in rows]}
        tx.connection.execute(_FORGET_REFERENCES, where)
        tx.connection.execute(_FORGET_DISPUTES, where)
