"""Finding somebody by name, and the keys of records that were there before there were any (decision 044)."""

from __future__ import annotations

import datetime
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from sqlalchemy import text

from hub.core.assertions import RecordState
from hub.core.crosswalk import World
from hub.core.matching import folded
from hub.core.merge import golden_record
from hub.core.policy import STEWARD
from hub.core.sounding import SCHEME
from hub.core.texts import text_of
from hub.errors import Fatal
from hub.lanes.messages import hub_name
from hub.lanes.naming import Naming
from hub.ops.parts import Parts
from hub.ops.veil import Veil
from hub.store.facts import NAMES, fact, put_fact
from hub.store.naming import find_names
from hub.store.rows import read_records
from hub.store.transaction import Transaction

# So many files are shown. Whoever gets more says when the person was born: nobody shall leaf through names.
SHOWN = 20
# So many records are compared at most with how the name was typed.
COMPARED = 400
_PAGE = 1_000

# Locked, so that no worker changes one between this and its keys; in the order in which workers save them.
_UNINDEXED = text("""
    SELECT id, agency, record_type, local_id, incarnation, entity, born, seen, ended, linked, asserts
    FROM record WHERE id > :after ORDER BY id LIMIT :limit FOR SHARE
""")


class TooVague(Fatal):
    """Too little to look by: two words of a name, or one and a birth date or year."""


@dataclass(frozen=True)
class Namesake:
    """An entity with a record of a name like the one that was typed.

    `entity`: its hub id as text; `names`: what its golden record has, by field, veiled; `spelled`: some
    record has every word as typed, in either script, else it sounds alike.
    """

    entity: str
    record_type: str
    names: dict[str, str]
    agencies: tuple[str, ...]
    live: bool
    spelled: bool


@dataclass(frozen=True)
class Namesakes:
    """The best of those found; `more`: others were left out; `partial`: old records have no keys yet."""

    found: tuple[Namesake, ...]
    more: bool
    partial: bool


def find_by_name(
    parts: Parts, tx: Transaction, name: str, born: datetime.date | int | None, veil: Veil
) -> Namesakes:
    """Who has this name, however it is spelled; `born`: the day or the year. `tx` sees one moment.

    Raises `TooVague`.
    """
    naming = parts.naming
    sought: list[frozenset[int]] = naming.sought(name)
    if not sought or len(sought) + (born is not None) < 2:
        raise TooVague("give two words of the name, or one and when the person was born")
    if born is not None:
        sought.append(frozenset({naming.born_in(born) if isinstance(born, int) else naming.born(born)}))
    those = tx.records(find_names(tx, sought, COMPARED + 1))
    typed = frozenset(folded(name).split())
    spelled = {those.entity_of[one.id] for one in those.records.values() if typed <= _words(naming, one)}
    entities = sorted(set(those.entity_of.values()), key=lambda entity: (entity not in spelled, entity))
    members = tx.members(entities[:SHOWN]).members()
    return Namesakes(
        tuple(_namesake(parts, one, members[one], one in spelled, veil) for one in entities[:SHOWN]),
        more=len(entities) > SHOWN or len(those.records) > COMPARED,
        partial=fact(tx, NAMES) != str(SCHEME),
    )


def _words(naming: Naming, state: RecordState) -> frozenset[str]:
    said = (
        state.asserts.values.get(spec.name, (0, None))[1]
        for spec in naming.name_fields(state.key.record_type)
    )
    return frozenset(word for raw in said if raw is not None for word in folded(text_of(raw)).split())


def _namesake(
    parts: Parts, entity: bytes, members: Sequence[RecordState], spelled: bool, veil: Veil
) -> Namesake:
    record_type = members[0].key.record_type
    golden = golden_record(parts.types[record_type], members)
    knowing = {state.key.agency for state in members if state.live} - {STEWARD}
    return Namesake(
        hub_name(entity),
        record_type,
        {
            spec.name: veil.value(spec, won.value)
            for spec in parts.naming.name_fields(record_type)
            if (won := golden.get(spec.name)) is not None and won.value is not None
        },
        tuple(sorted(knowing)),
        bool(knowing),
        spelled,
    )


def index_names(parts: Parts, report: Callable[[int], None] = lambda _: None) -> int:
    """Make the keys of all records anew, page by page, while workers go on; returns how many were looked at.

    For a store that had records before there were keys, or keys of another scheme. Blocks; may be repeated.
    """
    after, seen = b"", 0
    while True:
        with parts.deciding() as tx:
            world = World()
            read_records(world, tx.connection.execute(_UNINDEXED, {"after": after, "limit": _PAGE}))
            if not world.records:
                put_fact(tx, NAMES, str(SCHEME))
                return seen
            parts.naming.save(tx, world, world.records)
        after, seen = max(world.records), seen + len(world.records)
        report(seen)
