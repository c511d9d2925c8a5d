"""Which entity a person at the command line means."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import text

from hub.contracts.records import RecordType
from hub.contracts.values import encode
from hub.core.policy import STEWARD
from hub.errors import Fatal
from hub.lanes.identify import identity_key
from hub.lanes.messages import hub_id
from hub.ops.parts import Parts
from hub.store.transaction import Transaction

_NAME_LENGTH = 22

_BY_LOCAL_ID = text("""
    SELECT id, entity FROM record
    WHERE agency = :agency AND record_type = :record_type AND local_id = :local_id
    ORDER BY incarnation DESC LIMIT 1
""")

_BY_ID = text("""
    SELECT e.id, coalesce(r.entity, e.id) FROM entity e LEFT JOIN record r ON r.id = e.id
    WHERE e.id = ANY(CAST(:ids AS bytea[]))
""")

_BY_IDENTITY = text("""
    SELECT r.id, r.entity FROM identity i JOIN record r ON r.id = ANY(i.records) WHERE i.value = :value
""")


class NotFound(Fatal):
    """Nothing in the store goes by this name."""


@dataclass(frozen=True)
class Sought:
    """What was found: the entity that stands now, and how it was asked for.

    `merged`: the entity that was meant, if it is now part of `entity`. `record`: the local record's
    latest life, if one was meant.
    """

    entity: bytes
    asked: str
    merged: bytes | None = None
    record: bytes | None = None


def require_agency(parts: Parts, agency: str | None) -> None:
    """Raise `NotFound` for a name that is no agency's of this release, nor the steward's."""
    if agency is not None and agency not in (*parts.agreements, STEWARD):
        raise NotFound(f"no agency {agency!r}: there are {', '.join(parts.agreements)}")


def find(parts: Parts, tx: Transaction, name: str, agency: str | None, record_type: str) -> Sought:
    """Find by `agency:local_id`, by a local id of `agency`, by a hub id, or by an agency's own entity name.

    Raises `NotFound`, with what it could have been.
    """
    require_agency(parts, agency)
    if record_type not in parts.catalogue.records:
        raise NotFound(f"no record type {record_type!r}: there are {', '.join(parts.catalogue.records)}")
    prefix, colon, rest = name.partition(":")
    by_agency = agency
    if agency is None and colon:
        require_agency(parts, prefix)
        by_agency, name = prefix, rest
    found = by_agency and _by_local_id(tx, by_agency, record_type, name)
    found = found or _by_name(parts, tx, name, by_agency)
    if found:
        return found
    tried = f"a {record_type} of {by_agency}" if by_agency else "a hub id or any agency's name of an entity"
    raise NotFound(
        f"{name!r} is not known as {tried}: give a hub id, agency:local_id, or a local id with --agency "
        "(and --record-type for what is no person)"
    )


def find_entity(tx: Transaction, name: str) -> Sought:
    """Find by hub id alone: no local id, and no agency's name of an entity. Raises `NotFound`."""
    try:
        meant = hub_id(name)
    except ValueError:
        raise NotFound("this is no hub id: it has 22 letters, digits, - and _") from None
    row = tx.connection.execute(_BY_ID, {"ids": [meant]}).one_or_none()
    if row is None:
        raise NotFound("nobody has this hub id")
    now = bytes(row[1])
    return Sought(now, f"hub id {name}", merged=meant if now != meant else None)


def identifying_fields(record: RecordType) -> tuple[str, ...]:
    """The fields by one of which a record can be found: strong identifiers, or a natural key of one field."""
    keys = record.natural_keys
    found = keys if len(keys) == 1 else () if keys else record.identifiers
    return tuple(spec.name for spec in found)


def find_by_identifier(
    parts: Parts, tx: Transaction, record_type: str, field: str, value: str
) -> list[bytes]:
    """The entities of which some record says exactly this identifier now; `field` is an identifying one.

    Raises `InvalidValue` where the contract knows no such value; its text does not repeat it.
    """
    raw = encode(parts.catalogue.records[record_type].by_name[field], value)
    if raw is None:
        return []
    rows = tx.connection.execute(_BY_IDENTITY, {"value": identity_key(record_type, field, raw)})
    entity_of = {bytes(row.id): bytes(row.entity) for row in rows}
    # Who said it once is kept there, too.
    saying = [
        state.id
        for state in tx.records(entity_of).records.values()
        if state.asserts.values.get(field, (0, None))[1] == raw
    ]
    return sorted({entity_of[record] for record in saying})


def _by_local_id(tx: Transaction, agency: str, record_type: str, local_id: str) -> Sought | None:
    where = {"agency": agency, "record_type": record_type, "local_id": local_id}
    row = tx.connection.execute(_BY_LOCAL_ID, where).one_or_none()
    if row is None:
        return None
    return Sought(bytes(row.entity), f"{agency}:{local_id}", record=bytes(row.id))


def _by_name(parts: Parts, tx: Transaction, name: str, agency: str | None) -> Sought | None:
    """By a name of 22 characters: the hub's, or an agency's, which only that agency's key turns back."""
    if len(name) != _NAME_LENGTH:
        return None
    meant: dict[bytes, str] = {}
    for one in parts.agreements if agency is None else (agency,):
        entity = parts.ids.pairwise(one).hub_id(name)
        if entity is not None:
            meant[entity] = f"{one}'s name {name}"
    if agency is None:
        try:
            meant[hub_id(name)] = f"hub id {name}"
        except ValueError:
            return None
    for found, stands in tx.connection.execute(_BY_ID, {"ids": sorted(meant)}):
        entity, now = bytes(found), bytes(stands)
        return Sought(now, meant[entity], merged=entity if now != entity else None)
    return None
