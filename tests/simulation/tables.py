"""A small database in memory: tables of rows, transactions at READ COMMITTED, locks of rows.

Committed rows are seen by all, written ones by their transaction alone until it commits. Who wants a lock
that another transaction holds waits; who would close a circle of waiters is at fault.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from simulation.schedule import Schedule

Row = tuple[Any, ...]
Key = Any
Lock = tuple[str, Key]


class Circle(AssertionError):
    """Transactions wait for each other: PostgreSQL would roll one back, but the order of locks forbids it."""


class MemoryTables:
    """What is committed, and who holds which locks."""

    def __init__(self, schedule: Schedule, names: tuple[str, ...]) -> None:
        self.schedule = schedule
        self.committed: dict[str, dict[Key, Row]] = {name: {} for name in names}
        # Lock → the transactions that hold it, each alone or together with others.
        self.locks: dict[Lock, dict[Session, bool]] = {}
        self.serial = 0


class Session:
    """One transaction on the tables."""

    def __init__(self, tables: MemoryTables) -> None:
        self.tables = tables
        self.schedule = tables.schedule
        self._written: dict[str, dict[Key, Row | None]] = {name: {} for name in tables.committed}
        self._held: set[Lock] = set()
        self._waits_for: Lock | None = None

    # Rows

    def get(self, table: str, key: Key) -> Row | None:
        written = self._written[table]
        return written[key] if key in written else self.tables.committed[table].get(key)

    def rows(self, table: str) -> Iterator[tuple[Key, Row]]:
        """All rows, in the order of their keys."""
        there = self.tables.committed[table]
        if self._written[table]:
            merged: dict[Key, Row | None] = {**there, **self._written[table]}
            there = {key: row for key, row in merged.items() if row is not None}
        return iter(sorted(there.items()))

    def put(self, table: str, key: Key, row: Row) -> None:
        self.lock(table, key)
        self._written[table][key] = row

    def delete(self, table: str, key: Key) -> None:
        self.lock(table, key)
        self._written[table][key] = None

    # Locks

    def lock(self, table: str, key: Key, *, alone: bool = True) -> None:
        """Hold this row, alone or with others who only look; blocks, or raises `Retriable`."""
        lock = (table, key)
        while not self._may_take(lock, alone):
            self._waits_for = lock
            if self._closes_a_circle():
                raise Circle(f"two workers wait for each other: for {table} after others")
            self.schedule.wait(lambda: self._may_take(lock, alone))
            self._waits_for = None
        holders = self.tables.locks.setdefault(lock, {})
        holders[self] = alone or holders.get(self, False)
        self._held.add(lock)

    def is_locked(self, table: str, key: Key, *, alone: bool = True) -> bool:
        """Whether another transaction holds this row, so that it cannot be had now."""
        return not self._may_take((table, key), alone)

    def holds(self, table: str, key: Key) -> bool:
        return (table, key) in self._held

    def _may_take(self, lock: Lock, alone: bool) -> bool:
        holders = self.tables.locks.get(lock, {})
        return all(who is self or not (alone or others_alone) for who, others_alone in holders.items())

    def _closes_a_circle(self) -> bool:
        seen: set[Session] = set()
        ahead = [self]
        while ahead:
            lock = ahead.pop()._waits_for
            for who in self.tables.locks.get(lock, {}) if lock is not None else ():
                if who is self and seen:
                    return True
                if who not in seen and who is not self:
                    seen.add(who)
                    ahead.append(who)
        return False

    # The end

    def commit(self) -> None:
        for name, written in self._written.items():
            there = self.tables.committed[name]
            for key, row in written.items():
                if row is None:
                    there.pop(key, None)
                else:
                    there[key] = row
        self.release()

    def release(self) -> None:
        for lock in self._held:
            holders = self.tables.locks[lock]
            del holders[self]
            if not holders:
                del self.tables.locks[lock]
        self._held.clear()
