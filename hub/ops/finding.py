"""Which entity a person at the command line means."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import text

from hub.core.policy import STEWARD
from hub.errors import Fatal
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


def find(parts: Parts, tx: Transaction, name: str, agency: str | None, record_type: str) -> Sought:
    """Find by `agency:local_id`, by a local id of `agency`, by a hub id, or by an agency's own entity name.

    Raises `NotFound`, with what it could have been.
    """
    if agency is not None and agency not in (*parts.agreements, STEWARD):
        raise NotFound(f"no agency {agency!r}: there are {', '.join(parts.agreements)}")
    prefix, colon, rest = name.partition(":")
    by_agency = agency
    if agency is None and colon and prefix in (*parts.agreements, STEWARD):
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
