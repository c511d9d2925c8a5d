"""What the core needs to know of a record type: its fields' rules, nothing of files or formats."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

STEWARD = "steward"


@dataclass(frozen=True, slots=True)
class FieldPolicy:
    """One field's rules.

    `ranks`: agency → authority rank, 0 the highest; `others`: the rank of any other agency, or None where
    it has no say. `precedence` orders encoded values for the merge rule `max`.
    """

    name: str
    merge: str = "latest"
    ranks: Mapping[str, int] | None = None
    others: int | None = 0
    precedence: Callable[[bytes], Any] | None = None
    match: str | None = None
    natural_key: bool = False
    reference: str | None = None

    def rank(self, agency: str) -> int | None:
        """The agency's authority: 0 is the highest, None has no say; a steward stands above all (R9)."""
        if agency == STEWARD:
            return -1
        return (self.ranks or {}).get(agency, self.others)


@dataclass(frozen=True)
class TypePolicy:
    """One record type's rules; `fields` in schema order."""

    name: str
    fields: Mapping[str, FieldPolicy]
    delete: str = "withdraw"

    @cached_property
    def identifiers(self) -> tuple[str, ...]:
        """Fields that identify a person by themselves, when nothing contradicts (R16)."""
        return tuple(f.name for f in self.fields.values() if f.match == "identifier")

    @cached_property
    def natural_key(self) -> tuple[str, ...]:
        """Fields that together name a thing that is no person (R16)."""
        return tuple(f.name for f in self.fields.values() if f.natural_key)

    @cached_property
    def evidence(self) -> frozenset[str]:
        """Every field on which identification depends."""
        return frozenset(f.name for f in self.fields.values() if f.match or f.natural_key)

    @cached_property
    def matched(self) -> Mapping[str, str]:
        """Role in matching (`birth_date`, `sex`, `name_ar_family`…) → field name."""
        roles = {f.match: f.name for f in self.fields.values() if f.match}
        roles.pop("identifier", None)
        return roles

    @cached_property
    def references(self) -> Mapping[str, str]:
        """Fields that refer to another record → its type (R20)."""
        return {f.name: f.reference for f in self.fields.values() if f.reference}

    def effect(self) -> str:
        """All on which golden records and projections of the same assertions depend, as a text."""
        fields = (
            f"{f.name}:{f.merge}:{sorted((f.ranks or {}).items())}:{f.others}:{f.reference}"
            for f in self.fields.values()
        )
        return f"{self.delete};{';'.join(fields)}"
