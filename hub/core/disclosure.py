"""What a delivery changes in what its agency holds: what it is told of, and what is taken back (R17).

An agency's holding is remembered as *marks* of the fields it was last told of: 3 bytes of a hash for each,
sorted. That is enough to tell afterwards, field by field, what an agreement or a consent really moved, and
costs an entity less than a list of names would.
"""

from __future__ import annotations

import hashlib
from functools import lru_cache

MARK_BYTES = 3
# An entity as a whole, where no field is meant; and what was told before marks were kept.
WHOLE, UNKNOWN = "", "*"


@lru_cache(maxsize=10_000)
def mark(field: str) -> bytes:
    """The mark of one field: `MARK_BYTES` bytes."""
    return hashlib.blake2b(field.encode(), digest_size=MARK_BYTES).digest()


@lru_cache(maxsize=10_000)
def marks_of(fields: tuple[str, ...]) -> bytes:
    """The marks of these fields, in an order of their own: equal for equal fields, empty for none."""
    return b"".join(sorted(map(mark, fields)))


def _apart(marks: bytes) -> set[bytes]:
    return {marks[start : start + MARK_BYTES] for start in range(0, len(marks), MARK_BYTES)}


def moved(was: bytes | None, now: bytes | None) -> tuple[frozenset[bytes | str], frozenset[bytes | str]]:
    """(What is told, what is taken back) where an agency held `was` of an entity and holds `now`.

    None: it holds nothing of the entity. Beginnings and ends are `WHOLE`; between them it is the marks of
    single fields. Of marks that were never kept (empty) nothing is known but that: `UNKNOWN` is told.
    """
    nothing: frozenset[bytes | str] = frozenset()
    if was == now:
        return nothing, nothing
    if was is None:
        return frozenset({WHOLE}), nothing
    if now is None:
        return nothing, frozenset({WHOLE})
    if not was:
        return frozenset({UNKNOWN}), nothing
    before, after = _apart(was), _apart(now)
    return frozenset(after - before), frozenset(before - after)
