"""What the bookkeeping tables hold, as Python values. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from connectors.sql.local_values import Local

# Operations of a captured row: a trigger's three, a row made or removed again by the sink, a truncated
# table.
INSERT, UPDATE, DELETE, LINK, UNLINK, TRUNCATE = "I", "U", "D", "L", "X", "T"

Columns = Mapping[str, Local]
# A field's local columns as `convert.fingerprint` shows them, in the order of its slot.
Prints = list[Any]


@dataclass(slots=True)
class Captured:
    """One row of `jisr_changes`: what a trigger saw of one row of one table.

    `known` is the highest stamp that the shadow knew when the row changed (R10); `clock_ms` the
    database's clock. `txid` is 0 where the database has none. `actor`: the account that did it.
    """

    seq: int
    txid: int
    record: str
    part: int
    local_id: str
    op: str
    incarnation: int
    known: int
    clock_ms: int
    old: Columns | None
    new: Columns | None
    actor: str | None = None


@dataclass(slots=True)
class Shadow:
    """One row of `jisr_shadow`: what this side knows of one local record.

    `known`: highest stamp delivered. `last`: highest stamp sent. `born`: stamp of this incarnation's
    insert, if the agency made it. By field: `delivered` = [value as the hub sent it, local columns as they
    became], of a reference [local id, local columns, entity], only while the row's value is the hub's;
    `own` = stamp of the agency's last captured edit; `replaced` = [local columns that the hub wrote over,
    when in ms] (R13); `kept` = the agency's own local columns that the hub wrote over, given back when the
    hub's value is withdrawn (R17).
    `row_print`: what the row looked like (`row_print`); None while that is not known.
    """

    record: str
    local_id: str
    entity: str | None = None
    incarnation: int = 0
    deleted: bool = False
    created_by_hub: bool = False
    known: int = 0
    last: int = 0
    born: int = 0
    delivered: dict[str, list[Any]] = field(default_factory=dict)
    own: dict[str, int] = field(default_factory=dict)
    replaced: dict[str, list[Any]] = field(default_factory=dict)
    kept: dict[str, Prints] = field(default_factory=dict)
    row_print: str | None = None

    def is_anothers(self, entity: str) -> bool:
        """Whether the record stands for somebody, and that is not this entity."""
        return self.entity not in (None, entity)


@dataclass(slots=True)
class EntityRow:
    """One row of `jisr_entity`: the highest version applied, and the local record that stands for it.

    `named`: the local record that the hub itself named last. Of one that was made here it may not have heard
    yet; one that it has named, and names no longer, stands for somebody else now (R21).
    `brought`: the row that had been made for it, and that the hub had not named, when it became part of
    another; `brought_born` tells its life from a later one of the same id (R14)."""

    record: str
    entity: str
    version: int = 0
    local_id: str | None = None
    merged_into: str | None = None
    named: str | None = None
    brought: str | None = None
    brought_born: int | None = None

    def takes_back(self, shadow: Shadow) -> bool:
        """Whether this is the living row that it brought along: the hub, once it has heard of the row, counts
        it to whom it was made for, whoever it stands for here meanwhile."""
        made = shadow.created_by_hub and not shadow.deleted and shadow.born == self.brought_born
        return made and shadow.local_id == self.brought
