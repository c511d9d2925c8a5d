"""The last word under each key of a topic, kept on disk: a topic of millions must not fill a memory (R26)."""

from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Iterator
from hashlib import blake2b
from typing import NamedTuple

from hub.ops.said import Said

_PRINT_BYTES = 16
# Beyond so much, in KiB, SQLite moves its temporary table from memory to a file that nobody else sees.
_CACHE_KIB = 8 * 1024
_TABLE = """
    CREATE TABLE said (key BLOB PRIMARY KEY, version INTEGER, upsert INTEGER, prints BLOB) WITHOUT ROWID
"""
# A message that cannot be read has no version: it is the last word until another comes.
_PUT = """
    INSERT INTO said VALUES (?, ?, ?, ?) ON CONFLICT (key) DO UPDATE
    SET version = excluded.version, upsert = excluded.upsert, prints = excluded.prints
    WHERE said.version IS NULL OR excluded.version IS NULL OR excluded.version >= said.version
"""


class Word(NamedTuple):
    """The message of the highest version of a key. `version` is None if it cannot be read; `upsert`: it tells
    somebody to hold the entity."""

    version: int | None
    upsert: bool
    prints: bytes

    def says(self, content: bytes) -> bool:
        """Whether this content, or its digest, is what the message says."""
        one = _print(content)
        return any(self.prints.startswith(one, at) for at in range(0, len(self.prints), _PRINT_BYTES))


class LastSaid:
    """Keys with their last words. Of one thread; nothing is left of it once it is closed."""

    def __init__(self) -> None:
        # An empty name: a temporary database of this connection alone.
        self._table = sqlite3.connect("", isolation_level=None)
        self._table.execute("PRAGMA journal_mode = OFF")
        self._table.execute(f"PRAGMA cache_size = -{_CACHE_KIB}")
        self._table.execute(_TABLE)

    def put(self, key: bytes, said: Said | None) -> None:
        """Keep a message unless a later one of its key is kept; None: it cannot be read."""
        word: tuple[object, ...] = (None, False, b"")
        if said is not None:
            word = (said.version, said.upsert, b"".join(map(_print, sorted(said.digests))))
        self._table.execute(_PUT, (key, *word))

    def drop(self, key: bytes) -> None:
        self._table.execute("DELETE FROM said WHERE key = ?", (key,))

    def pop(self, key: bytes) -> Word | None:
        """The last word of a key, which is forgotten; None if there is none."""
        found = self._table.execute(
            "DELETE FROM said WHERE key = ? RETURNING version, upsert, prints", (key,)
        ).fetchall()
        return Word(found[0][0], bool(found[0][1]), found[0][2]) if found else None

    def rest(self) -> Iterator[tuple[bytes, Word]]:
        """What was not asked for."""
        for key, version, upsert, prints in self._table.execute("SELECT * FROM said"):
            yield key, Word(version, bool(upsert), prints)

    def close(self) -> None:
        self._table.close()


class Stopped(Exception):
    """Whoever paces was told to end."""


class Pace:
    """Holds work to so much a second, and ends it when it is told to."""

    def __init__(self, per_s: float | None = None, stop: threading.Event | None = None) -> None:
        """`per_s`: how many messages and rows a second; None: as fast as it goes."""
        self._per_s = per_s
        self._stop = stop or threading.Event()
        self._due = time.monotonic()

    def step(self, number: int = 1) -> None:
        """So much was done. Blocks until it is time for more; raises `Stopped`."""
        early = 0.0
        if self._per_s:
            # Time in which nothing could be done is not caught up with in a rush.
            self._due = max(self._due, time.monotonic() - 1) + number / self._per_s
            early = self._due - time.monotonic()
        # A wait of less than this is not worth its system call.
        if self._stop.wait(early) if early > 0.02 else self._stop.is_set():
            raise Stopped

    def rest(self, seconds: float) -> None:
        """Do nothing for a while; raises `Stopped`."""
        if self._stop.wait(seconds):
            raise Stopped


def _print(content: bytes) -> bytes:
    return blake2b(content, digest_size=_PRINT_BYTES).digest()
