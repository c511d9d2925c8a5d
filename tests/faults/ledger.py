"""The ledger: every change that was acknowledged to whoever made it, and what was never sure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

# (topic, partition, offset)
Place = tuple[str, int, int]


@dataclass(frozen=True)
class Entry:
    """One acknowledged change: an agency's database committed it, or the broker took it from a stock client.

    `operation`: insert, update or delete. `values`: the fields that it said, in the hub's terms.
    """

    agency: str
    record_type: str
    local_id: str
    operation: str
    values: Mapping[str, Any] = field(default_factory=dict)

    def __str__(self) -> str:
        fields = ", ".join(self.values)
        return f"{self.agency}: {self.operation} of {self.record_type} {self.local_id} ({fields})"


@dataclass
class Ledger:
    """`unsure`: rows that somebody began to make, as (agency, field, value), until their commit is known: if
    it broke off, nobody knows whether they are there. `poison`: where messages stand that no reader can use.
    """

    entries: list[Entry] = field(default_factory=list)
    unsure: set[tuple[str, str, Any]] = field(default_factory=set)
    poison: set[Place] = field(default_factory=set)

    def note(self, entry: Entry) -> None:
        self.entries.append(entry)
