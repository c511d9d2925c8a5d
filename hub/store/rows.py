"""Rows of the store's tables, and what the core makes of them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec

from hub.core.assertions import RecordKey, RecordState, pack, unpack
from hub.core.contents import Reference
from hub.core.crosswalk import Entity, Held, World
from hub.core.epochs import meant
from hub.core.projection import UPSERT, Consent

# What each agency was last told, and a person's consents, as entities keep them.
HELD = msgspec.msgpack.Decoder(dict[str, Held])
CONSENTS = msgspec.msgpack.Decoder(dict[bytes, Consent])
ENCODE = msgspec.msgpack.Encoder().encode


def columns_of(references: Iterable[Reference], *, singular: bool = False) -> dict[str, list[str]]:
    """References as parameters of a statement that unnests them: by local ids, whichever life is meant."""
    rows = list(references) if singular else sorted(references)
    names = ("agency", "record_type", "local_id") if singular else ("agencies", "types", "local_ids")
    columns = {name: [row[position] for row in rows] for position, name in enumerate(names)}
    return {**columns, names[2]: [meant(local_id)[0] for local_id in columns[names[2]]]}


def lives_of(references: Iterable[Reference]) -> dict[str, list[Any]]:
    """As `columns_of`, with `below`: the number below which the life is that each means, or None (R24)."""
    rows = sorted(references)
    return {**columns_of(rows), "below": [meant(local_id)[1] for _, _, local_id in rows]}


def read_records(world: World, rows: Iterable[Any]) -> None:
    """Add records from their columns, in the order of the table."""
    for row in rows:
        (identity, agency, kind, local_id, incarnation, entity, born, seen, ended, linked, asserts) = row
        state = RecordState(
            id=bytes(identity),
            key=RecordKey(agency, kind, local_id, incarnation),
            born=born,
            seen=seen,
            ended=ended,
            linked=linked and bytes(linked),
            asserts=unpack(asserts),
        )
        world.records[state.id] = state
        world.entity_of[state.id] = bytes(entity)


def row_of_record(state: RecordState, entity: bytes) -> tuple[Any, ...]:
    """A record as the columns of the table."""
    s = state
    return (s.id, *s.key, entity, s.born, s.seen, s.ended, s.linked, pack(s.asserts))


def holders(entity: Entity) -> frozenset[str]:
    """The agencies that were last told to hold the entity."""
    return frozenset([agency for agency, held in entity.held.items() if held.operation == UPSERT])


def row_of_entity(one: Entity) -> tuple[Any, ...]:
    """An entity as the columns of the table."""
    return (
        one.id,
        one.record_type,
        one.version,
        one.golden,
        ENCODE(one.held),
        ENCODE(one.consents),
        one.about,
    )


def entity_of_row(row: Any) -> Entity:
    """An entity from its columns, in the order of the table."""
    identity, record_type, version, golden, held, consents, about = row
    return Entity(
        id=bytes(identity),
        record_type=record_type,
        version=version,
        golden=bytes(golden),
        held=HELD.decode(held),
        consents=CONSENTS.decode(consents),
        about=about and bytes(about),
    )
