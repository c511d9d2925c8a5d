"""Who is found by name: by the keys that are kept with records."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from sqlalchemy import text

from hub.store.transaction import Transaction

# One condition for each word: an array of arrays would not reach the index.
_FIND = "SELECT r.id FROM record_name n JOIN record r ON r.id = n.record WHERE {} LIMIT :limit"


def find_names(tx: Transaction, sought: Sequence[Collection[int]], limit: int) -> list[bytes]:
    """Up to `limit` records that have one key of each of these sets."""
    conditions = " AND ".join(f"n.keys && CAST(:k{place} AS bigint[])" for place in range(len(sought)))
    where = {f"k{place}": sorted(keys) for place, keys in enumerate(sought)}
    # The number of conditions alone is ours to choose; keys are parameters.
    rows = tx.connection.execute(text(_FIND.format(conditions)), {**where, "limit": limit})
    return [bytes(row.id) for row in rows]
