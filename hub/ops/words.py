"""A steward's word on a field: what is true, whatever agencies say, until it is taken back (R9, R19).

Each field of which a steward has spoken is a record of its own, of the source `steward`, made for the entity
that is meant. So it goes where its person goes in a merge or a split, and ends without touching another.
"""

from __future__ import annotations

import datetime
import itertools
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import NamedTuple

from sqlalchemy import text

from hub.contracts.records import FieldSpec, RecordType
from hub.contracts.values import InvalidValue, encode
from hub.core import stamps
from hub.core.assertions import Change, RecordKey, RecordState
from hub.core.merge import golden_record
from hub.core.policy import STEWARD
from hub.errors import Fatal
from hub.lanes.consents import CONSENT
from hub.lanes.converged import Converged
from hub.lanes.messages import hub_name
from hub.ops.audit import Person
from hub.ops.finding import NotFound, find
from hub.ops.handing_over import hand_over
from hub.ops.parts import Parts
from hub.store.audit import note
from hub.store.transaction import Transaction

# What the audit trail calls them.
SAY, TAKE_BACK = "say", "take_back"

_DISPUTES = text("""
    SELECT d.agency, d.record_type, r.local_id, r.entity, d.field, d.created_at
    FROM dispute d JOIN record r ON r.id = d.record
    WHERE CAST(:agency AS text) IS NULL OR d.agency = :agency
    ORDER BY d.created_at, d.agency, d.record_type, r.local_id, d.field LIMIT :limit
""")
_END_DISPUTES = text("DELETE FROM dispute WHERE record = ANY(CAST(:records AS bytea[])) AND field = :field")

_TRUE, _FALSE = ("true", "yes"), ("false", "no")


class NothingSaid(Fatal):
    """A steward's word without a value."""


class Dispute(NamedTuple):
    """A field that the hub stopped rewriting at an agency's record; `entity`: the hub id."""

    agency: str
    record_type: str
    local_id: str
    entity: str
    field: str
    since: datetime.datetime


def speakable(record: RecordType) -> tuple[FieldSpec, ...]:
    """The fields of which a steward may speak.

    Not of a consent, which is what a person said to an agency, and not of what leads to another record by a
    local id, which only an agency has.
    """
    return () if record.name == CONSENT else tuple(spec for spec in record.fields if not spec.reference)


class Words:
    """Says and takes back. Blocks; each is one transaction, published by the workers soon after."""

    def __init__(self, parts: Parts, clock: Callable[[], float] = time.time) -> None:
        self._parts = parts
        self._clock = clock

    def disputes(self, agency: str | None = None, limit: int = 1_000) -> list[Dispute]:
        """Fields in dispute, the oldest first."""
        with self._parts.looking() as tx:
            rows = tx.connection.execute(_DISPUTES, {"agency": agency, "limit": limit})
            return [Dispute(row[0], row[1], row[2], hub_name(bytes(row[3])), row[4], row[5]) for row in rows]

    def say(
        self,
        name: str,
        field: str,
        said: Sequence[str] | None,
        who: str | Person,
        why: str,
        *,
        agency: str | None = None,
        record_type: str = "person",
    ) -> str:
        """Say what a field holds, of whom `name` means as in `find`; returns the hub id.

        `said`: the value as text, of a list each of its elements; None: that it is known to be empty. Raises
        `NotFound`, `InvalidValue` or `NothingSaid`, and `Fatal` for that of which a steward has no word.
        """
        entity, kind, spec = self._meant(name, field, agency, record_type)
        wanted = _encoded(spec, said)

        def change(tx: Transaction, members: Mapping[bytes, RecordState]) -> list[Change]:
            before = [one.seen for one in _words(members.values(), field)]
            stamp = stamps.capture(int(self._clock() * 1000), max(before, default=0))
            one = Change(
                key=self._key(tx, kind, entity, field),
                operation="update",
                stamp=stamp,
                effective=stamp,
                entity=entity,
                # It contradicts whatever it likes, also what was said in the same way before.
                confirmed=True,
            )
            if spec.kind == "strings":
                there = golden_record(self._parts.types[kind], members.values()).get(field)
                one.added[field] = wanted
                one.removed[field] = [e for e in there.elements or () if e not in wanted] if there else []
            else:
                one.values[field] = wanted[0] if wanted else None
            return [one]

        return self._apply(entity, kind, field, change, Person.named(who), SAY, why)

    def take_back(
        self,
        name: str,
        field: str,
        who: str | Person,
        why: str,
        *,
        agency: str | None = None,
        record_type: str = "person",
    ) -> str:
        """Take a steward's word on a field back: what agencies say stands again. Returns the hub id.

        Raises `NotFound`, also where no steward has spoken of the field.
        """
        entity, kind, _ = self._meant(name, field, agency, record_type)

        def change(_: Transaction, members: Mapping[bytes, RecordState]) -> list[Change]:
            words = [one for one in _words(members.values(), field) if one.live]
            if not words:
                raise NotFound(
                    f"no steward's word on {field!r} stands there: `jisr explain` tells who says what"
                )
            now_ms = int(self._clock() * 1000)
            ends = [(one.key, stamps.capture(now_ms, one.seen)) for one in words]
            # Not a deletion: where those propagate, it would end the entity (R15).
            return [Change(key=key, operation="unlink", stamp=at, effective=at) for key, at in ends]

        return self._apply(entity, kind, field, change, Person.named(who), TAKE_BACK, why)

    def _meant(
        self, name: str, field: str, agency: str | None, record_type: str
    ) -> tuple[bytes, str, FieldSpec]:
        """The entity, its record type, and the field; raises `Fatal` where a steward has no word."""
        with self._parts.looking() as tx:
            entity = find(self._parts, tx, name, agency, record_type).entity
            record = self._parts.catalogue.records[tx.entities({entity}).entities[entity].record_type]
        if field not in record.by_name:
            raise NotFound(f"no field {field!r} of {record.name}: there are {', '.join(record.by_name)}")
        spec = record.by_name[field]
        if spec not in speakable(record):
            raise Fatal(f"{field} of a {record.name} only an agency can say: have it corrected there")
        return entity, record.name, spec

    def _key(self, tx: Transaction, record_type: str, entity: bytes, field: str) -> RecordKey:
        """The record that says it: the one that has, or its next life where that was taken back."""
        for incarnation in itertools.count():
            key = RecordKey(STEWARD, record_type, f"{hub_name(entity)}.{field}", incarnation)
            record = self._parts.ids.record(*key)
            known = tx.records({record}).records.get(record)
            if known is None or known.live:
                break
        return key

    def _apply(
        self,
        entity: bytes,
        record_type: str,
        field: str,
        change: Callable[[Transaction, Mapping[bytes, RecordState]], list[Change]],
        person: Person,
        action: str,
        why: str,
    ) -> str:
        def members(tx: Transaction) -> Mapping[bytes, RecordState]:
            # Whom the founding record stands for now: it may have become another's since it was looked for.
            return tx.members({tx.records({entity}).entity_of.get(entity, entity)}).records

        def take(tx: Transaction) -> Sequence[Change]:
            changes = change(tx, members(tx))
            subject = f"{record_type} {hub_name(entity)}"
            note(tx, [person.entry(action, subject, why, record_type=record_type, detail=field)])
            return changes

        # Asked for beforehand: the registry must not be waited for while rows are locked.
        publish = hand_over(self._parts.encoder())

        def finish(tx: Transaction, done: Converged) -> None:
            if action == SAY:
                tx.connection.execute(_END_DISPUTES, {"records": sorted(members(tx)), "field": field})
            publish(tx, done)

        self._parts.intake.apply(take, finish)
        return hub_name(entity)


def _words(members: Iterable[RecordState], field: str) -> list[RecordState]:
    """The records by which stewards have spoken of a field, also those that were taken back."""
    return [
        one
        for one in members
        if one.key.agency == STEWARD and (field in one.asserts.values or field in one.asserts.unions)
    ]


def _encoded(spec: FieldSpec, said: Sequence[str] | None) -> list[bytes]:
    """The value's canonical bytes, or those of each element; none for what is known to be empty.

    Raises `NothingSaid`, or `InvalidValue` for a text that the contract does not know, without repeating it.
    """
    if said is None:
        return []
    if spec.kind != "strings" and len(said) != 1:
        raise Fatal(f"{spec.name} holds one value, not {len(said)}")
    # Of a list each element by itself.
    found = {raw for one in said if (raw := encode(spec, _parsed(spec, one))) is not None}
    if not found:
        raise NothingSaid(f"{spec.name}: nothing is said; say with --empty that it is known to be empty")
    return sorted(found)


def _parsed(spec: FieldSpec, said: str) -> object:
    try:
        return _PARSERS.get(spec.kind, str)(said.strip())
    except ValueError:
        raise InvalidValue(spec.name, f"no {_KINDS[spec.kind]}") from None


def _truth(said: str) -> bool:
    if said.lower() not in (*_TRUE, *_FALSE):
        raise ValueError
    return said.lower() in _TRUE


_PARSERS: Mapping[str, Callable[[str], object]] = {
    "int": int,
    "long": int,
    "double": float,
    "boolean": _truth,
    "date": datetime.date.fromisoformat,
}
_KINDS = {
    "int": "whole number",
    "long": "whole number",
    "double": "number",
    "boolean": "true or false",
    "date": "date: YYYY-MM-DD is expected",
}
