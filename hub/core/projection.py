"""Projections: what one agency may hold of one entity (R17).

A projection is a pure function of the golden record, the agency's agreement, the consents in force and
what the agency may refer to. Its `fields` are the whole of what the agency may hold from the hub, so a
withdrawn consent, a narrower agreement and a split are all this one function with other inputs.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from typing import NamedTuple

import msgspec

from hub.core.assertions import RecordState
from hub.core.merge import Golden

UPSERT, RETRACT, DELETE, MERGED = "upsert", "retract", "delete", "merged"
# In place of a life: a row was named that its side knows by itself.
BY_ITSELF = -1


class Grant(NamedTuple):
    """Fields that an agency may hold and on what ground; days are counted from 1970-01-01."""

    fields: frozenset[str]
    purpose: str
    needs_consent: bool
    create: bool
    until_day: int | None


class Terms(NamedTuple):
    """One agency's agreement on one record type. `filters_echoes`: whether the hub takes out of its changes
    what it only repeats."""

    agency: str
    publishes: frozenset[str]
    grants: tuple[Grant, ...]
    until_day: int
    filters_echoes: bool = False


class Consent(msgspec.Struct, array_like=True, frozen=True):
    """A consent as an input of the person's row; `about` names the local record that it was given for.

    `said_ms`: when its status was said; 0 if that is unknown.
    """

    about_agency: str
    about_local_id: str
    purpose: str
    recipients: tuple[str, ...]
    given: bool
    from_day: int | None
    until_day: int | None
    withdrawn: bool = False
    said_ms: int = 0

    def covers(self, agency: str, purpose: str, day: int) -> bool:
        return (
            self.given
            and self.purpose == purpose
            and agency in self.recipients
            and (self.from_day is None or self.from_day <= day)
            and (self.until_day is None or day <= self.until_day)
        )

    def withdraws(self, agency: str, purpose: str) -> bool:
        """Whether it takes back a consent for this; where it names no purpose or nobody, it means all."""
        return (
            self.withdrawn
            and self.purpose in ("", purpose)
            and (not self.recipients or agency in self.recipients)
        )

    def outlives(self, withdrawal: Consent) -> bool:
        """Whether it was surely given after `withdrawal`; what is not known speaks against it."""
        if not withdrawal.said_ms:
            days = self.from_day, withdrawal.from_day
            return None not in days and days[0] > days[1]  # type: ignore[operator]  # neither is None
        day = withdrawal.said_ms // _DAY_MS
        if self.from_day is not None and self.from_day != day:
            return self.from_day > day
        return self.said_ms > withdrawal.said_ms


_DAY_MS = 24 * 3600 * 1000


def consented(consents: Sequence[Consent], agency: str, purpose: str, day: int) -> bool:
    """Whether a consent lets `agency` know for `purpose`.

    A person withdraws where they are received, which need not be where they gave their consent: another
    record's withdrawal ends what was given before it.
    """
    withdrawals = [one for one in consents if one.withdraws(agency, purpose)]
    return any(
        one.covers(agency, purpose, day) and all(one.outlives(other) for other in withdrawals)
        for one in consents
    )


class Content(NamedTuple):
    """What is said to one agency of one entity, without version: equal content is not said again.

    `local_id` is the agency's row that is meant, where it has one. `known`: its side knows that by itself,
    from having made the row, unless it was told of another entity since; so to name it is no news. Values
    are encoded Avro; a field listed in `fields` without a value is known to be empty. A union field's value
    is the whole encoded array, a reference's the agency's own name of the entity referred to. `own`:
    fields that are the agency's own word, of a record whose row its restored database has lost (R24).
    `life`: which incarnation of the row is meant (R14).
    """

    operation: str
    local_id: str | None = None
    merged_into: bytes | None = None
    fields: tuple[str, ...] = ()
    values: Mapping[str, bytes] = {}
    known: bool = False
    own: tuple[str, ...] = ()
    life: int = 0

    @property
    def told_life(self) -> int:
        """The life that was named: of another one all is said again. Whose side knows it by itself was told
        of none; that a row was named at all is `BY_ITSELF`."""
        if self.known:
            return BY_ITSELF if self.operation == UPSERT else 0
        return self.life

    def differs_by_row(self, told_life: int) -> bool:
        """Whether another row is meant than when the same was told before, of `told_life`.

        That one is known by itself is no news; that it is gone is: its side may have taken what named it for
        a row that stands for somebody else by now, and have done nothing."""
        return not self.known and self.told_life != told_life

    def digest(self) -> bytes:
        """8 bytes: enough to see that nothing changed since the agency was last told."""
        named = None if self.known else self.local_id
        parts = [f"{self.operation}\0{named}\0{self.merged_into!r}\0".encode()]
        get = self.values.get
        for name in self.fields:
            value = get(name)
            if value is None:
                parts.append(_label(name, -1))
            else:
                parts += (_label(name, len(value)), value)
        parts += [_label(name, -2) for name in self.own]
        return hashlib.blake2b(b"".join(parts), digest_size=8).digest()


@lru_cache(maxsize=10_000)
def _label(name: str, length: int) -> bytes:
    """What stands before a value in a digest: lengths keep neighbours apart; -1 is not a length."""
    return f"{name}\0{length}\0".encode()


def grants_in_force(terms: Terms, consents: Iterable[Consent], day: int) -> list[Grant]:
    """The grants of an agreement that hold on `day`, given the person's consents."""
    if day > terms.until_day:
        return []
    given = list(consents)
    return [
        grant
        for grant in terms.grants
        if (grant.until_day is None or day <= grant.until_day)
        and (not grant.needs_consent or consented(given, terms.agency, grant.purpose, day))
    ]


class Allowed(NamedTuple):
    """What some grants together allow: fields, and whether records may be created."""

    fields: frozenset[str]
    create: bool


def allowed_by(grants: Iterable[Grant]) -> Allowed:
    """The union of what the grants allow."""
    those = list(grants)
    return Allowed(frozenset().union(*(g.fields for g in those)), any(g.create for g in those))


def next_due_day(terms: Terms, consents: Iterable[Consent], day: int) -> int | None:
    """The first day after `day` on which the passing of time alone may change what is in force."""
    days = [terms.until_day, *(g.until_day for g in terms.grants)]
    ends = [last + 1 for last in days if last is not None]
    if any(grant.needs_consent for grant in terms.grants):
        for consent in consents:
            ends += [consent.until_day + 1] if consent.until_day is not None else []
            ends += [consent.from_day] if consent.from_day is not None else []
    return min((end for end in ends if end > day), default=None)


def primary(members: Iterable[RecordState]) -> RecordState | None:
    """The one record of an agency that receives the golden values: its oldest living one with a row (R21)."""
    living = [member for member in members if member.live and not member.lost]
    if len(living) < 2:
        return living[0] if living else None
    return min(living, key=lambda member: (member.born, member.key))


def project(
    entity: bytes,
    golden: Golden,
    mine: Sequence[RecordState],
    allowed: Allowed,
    encoded: Mapping[str, bytes],
    references: Mapping[str, bytes | None],
    disputed: frozenset[str] = frozenset(),
    taken_back: Sequence[str] = (),
) -> Content | None:
    """What the agency with the records `mine` may hold of `entity`; None: nothing.

    `encoded`: the golden record's values. `references`: for each reference field of the golden record,
    the encoded name of its target, or None where the target is not projected to the agency (R20).
    `taken_back`: fields of which nobody says anything since the agency's word was taken back: known to be
    empty there, or its own row would keep what does not stand.
    """
    fields = tuple([name for name in golden if name in allowed.fields and name not in disputed])
    if not fields:
        return None
    target = primary(mine)
    lost = {record.key for record in mine if record.lost}
    deleted_there = not lost and any(not record.asserts.returned for record in mine)
    if target is None and (deleted_there or not allowed.create):
        # Not re-created where it was deleted (R15); or the agency only updates what it has.
        return None
    if references and any(references.get(name, b"") is None for name in fields):
        return None
    values = {
        name: value for name in fields if (value := references.get(name) or encoded.get(name)) is not None
    }
    if target is None:
        own = tuple([name for name in fields if golden[name].key in lost]) if lost else ()
        return Content(UPSERT, None, None, fields, values, own=own)
    fields += tuple([name for name in taken_back if name in allowed.fields and name not in disputed])
    # Which row it made for the entity its side knows by itself, unless it has been told of another one since:
    # perhaps of one that has ended by now. Whoever was told that the entity had become part of
    # another one knows it no more, so it is named all the same (R21); that is no news, or every row that is
    # made would be answered.
    by_itself = len(mine) == 1 and target.linked == entity and not target.asserts.restored
    life = target.key.incarnation
    return Content(UPSERT, target.key.local_id, None, fields, values, by_itself, life=life)
