"""What must come of what was said: who is who, what is believed, and what each agency may hold.

Written down a second time and as plainly as possible, without `hub.core` and `hub.lanes`: all is worked out
at once from everything that was said, so that no order, batch, restart or repetition can matter.
"""

from __future__ import annotations

import datetime
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from itertools import combinations
from typing import Any

from hub.contracts.agreements import CONSENT, Agreement
from hub.contracts.records import Catalogue, FieldSpec
from simulation.said import Meant, Name, Record, earlier, plain

_UNKNOWN = object()


@dataclass(eq=False)
class Entity:
    """One person or thing: its records and its golden values; a reference's value is the entity meant."""

    founder: Record
    members: list[Record]
    golden: dict[str, Any] = field(default_factory=dict)
    said_at: dict[str, int] = field(default_factory=dict)
    live: bool = False

    @property
    def kind(self) -> str:
        return self.founder.name.record_type

    def of(self, agency: str) -> list[Record]:
        return [member for member in self.members if member.name.agency == agency]

    def primary(self, agency: str) -> Record | None:
        mine = [member for member in self.of(agency) if member.live and not member.lost]
        return min(mine, key=lambda record: (record.born, record.name), default=None)


@dataclass
class Claim:
    """What one record says of one field."""

    rank: int
    stamp: int
    name: Name
    value: Any

    def strength(self) -> tuple[Any, ...]:
        return -self.rank, self.stamp, self.name.agency, self.name.local_id, self.name.incarnation


class Reference:
    """Everything that should be, from the records that were said."""

    def __init__(
        self,
        records: Mapping[Name, Record],
        named: Mapping[Name, str],
        catalogue: Catalogue,
        agreements: Mapping[str, Agreement],
        today: datetime.date,
        disputed: Mapping[tuple[str, str, str], frozenset[str]],
        decided: Mapping[frozenset[Name], bool],
        handed_on: frozenset[Name],
    ) -> None:
        """`named`: how the hub names each record; `linked` of a record is such a name. `disputed`: the fields
        of a place over which the hub contends no longer. `decided`: what a steward said last of two records,
        whether they are one. `handed_on`: see `_pass_on`."""
        self.records, self.catalogue, self.agreements = records, catalogue, agreements
        self._today, self._disputed, self._decided = today, disputed, decided
        self._by_name = {named[name]: record for name, record in records.items()}
        self.entity_of: dict[Name, Entity] = {}
        self.entities: list[Entity] = []
        self._handed_on = handed_on
        self._lives: dict[tuple[str, str, str], list[Record]] = {}
        for name in sorted(records):
            self._lives.setdefault(name[:3], []).append(records[name])
        for kind in catalogue.dependency_order():
            self._identify(kind, sorted(record.name for record in records.values() if record.name[1] == kind))
        for entity in self.entities:
            for record in entity.members:
                self._pass_on(entity, record)
        for entity in self.entities:
            self._believe(entity)
        self.fields: dict[str, dict[int, frozenset[str]]] = {agency: {} for agency in agreements}
        for entity in self.entities:
            for agency, agreement in agreements.items():
                self.fields[agency][id(entity)] = self._allowed(entity, agreement)

    def may_hold(self, agency: str, entity: Entity) -> frozenset[str]:
        """The fields that an agency may hold from the hub; empty if it may not hold the entity."""
        return self.fields[agency][id(entity)]

    def at(self, agency: str, kind: str, local_id: str | Meant) -> Record | None:
        """The life of a local record that its id means: the last, of those that the agency last had.

        A life of which a restored database knows nothing is nobody's whom it names (R24).
        """
        if isinstance(local_id, Meant):
            those = self._lives.get((agency, kind, local_id.local_id), ())
            before = [one for one in those if one.name[3] < local_id.below]
            return max(before, key=lambda one: one.name[3], default=None)
        lives = self._lives.get((agency, kind, local_id), ())
        return max(lives, key=lambda one: (one.epoch, one.name[3]), default=None)

    # What a restored database has lost (R24)

    def _pass_on(self, entity: Entity, lost: Record) -> None:
        """Let another record of the agency say what one has said whose row it has lost, and end that life.

        Another one that has been deleted since had taken over, if the hub knew by then that this one was
        lost: which of both came first nobody said.
        """
        if not lost.lost:
            return
        mine = [one for one in entity.of(lost.name.agency) if not one.missing_in]
        if lost.name not in self._handed_on:
            mine = [one for one in mine if one.live]
        else:
            mine = [one for one in mine if one.live or one.ended_in >= lost.missing_in]
        heir = min(mine, key=lambda one: (not one.live, one.born, one.name), default=None)
        if heir is not None:
            contract = self.catalogue.records[entity.kind].by_name
            for name, said in lost.values.items():
                first = contract[name].merge == "immutable"
                known = heir.values.get(name)
                if known is None or (earlier(said, known) if first else said[0] > known[0]):
                    heir.values[name] = said
            for name, elements in lost.elements.items():
                theirs = heir.elements.setdefault(name, {})
                for element, word in elements.items():
                    theirs[element] = max(word, theirs.get(element, word))
            lost.ended, lost.returned = 1, True

    # Who is who (R16)

    def _identify(self, kind: str, names: list[Name]) -> None:
        group_of = {name: [self.records[name]] for name in names}

        def join(a: Name, b: Name) -> None:
            if group_of[a] is not group_of[b]:
                both = group_of[a] + group_of[b]
                group_of.update(dict.fromkeys([record.name for record in both], both))

        # A steward's word goes before everything; then what a row was made for.
        apart = {pair for pair, same in self._decided.items() if not same}
        for pair in self._decided.keys() - apart:
            if pair <= group_of.keys():
                join(*pair)
        for name in names:
            founder = self._by_name.get(self.records[name].linked or "")
            if founder is not None and founder.name[1] == kind and {name, founder.name} not in apart:
                join(name, founder.name)
        fields = self.catalogue.records[kind].fields
        for a, b in combinations(names, 2):
            one, other = self.records[a], self.records[b]
            if group_of[a] is not group_of[b] and _same(fields, one, other):
                against = any(
                    {x.name, y.name} in apart or _contradict(fields, x, y)
                    for x in group_of[a]
                    for y in group_of[b]
                )
                if not against:
                    join(a, b)
        for group in {id(group): group for group in group_of.values()}.values():
            founder = min(group, key=lambda record: (record.linked is not None, record.born, record.name))
            entity = Entity(founder, sorted(group, key=lambda record: record.name))
            self.entities.append(entity)
            self.entity_of.update(dict.fromkeys([record.name for record in group], entity))

    # What is believed (R9, R11, R15)

    def _believe(self, entity: Entity) -> None:
        contract = self.catalogue.records[entity.kind]
        horizon = 0
        if contract.delete == "propagate":
            horizon = max((m.ended for m in entity.members if m.ended and not m.returned), default=0)
        living = [member for member in entity.members if member.live]
        entity.live = any(stamp > horizon or not horizon for member in living for stamp, _ in _words(member))
        if not entity.live:
            return
        for spec in contract.fields:
            if spec.kind == "strings":
                value, stamp = _union(spec, living, horizon)
            else:
                value, stamp = self._single(spec, living, horizon)
            if value is not _UNKNOWN:
                entity.golden[spec.name], entity.said_at[spec.name] = value, stamp

    def _single(self, spec: FieldSpec, living: Iterable[Record], horizon: int) -> tuple[Any, int]:
        claims = [
            Claim(rank, *member.values[spec.name][:1], member.name, member.values[spec.name][1])
            for member in living
            if spec.name in member.values
            and (member.values[spec.name][0] > horizon or not horizon)
            and (rank := _rank(spec, member.name.agency)) is not None
        ]
        if not claims:
            return _UNKNOWN, 0
        if spec.merge == "immutable":
            won = min(claims, key=lambda c: (c.value is None, c.rank, c.stamp == 0, c.stamp, c.name))
        elif spec.merge == "max":
            codes = list(spec.codes)
            won = max(claims, key=lambda c: (codes.index(c.value) if c.value in codes else -1, c.strength()))
        else:
            won = max(claims, key=Claim.strength)
        if spec.reference and won.value is not None:
            target = self.at(won.name.agency, spec.reference, won.value)
            return (None if target is None else self.entity_of[target.name]), won.stamp
        return plain(won.value), won.stamp

    # What an agency may hold (R15, R17, R20, R21)

    def _allowed(self, entity: Entity, agreement: Agreement) -> frozenset[str]:
        if not entity.live or self._today > agreement.until:
            return frozenset()
        agency = agreement.agency
        grants = [
            grant
            for grant in agreement.receives.get(entity.kind, ())
            if (grant.until is None or self._today <= grant.until)
            and (grant.legal_basis != CONSENT or self._consented(entity, agency, grant.purpose))
        ]
        primary = entity.primary(agency)
        disputed = self._disputed.get(primary.name[:3], frozenset()) if primary else frozenset()
        fields = frozenset(n for g in grants for n in g.fields if n in entity.golden and n not in disputed)
        mine = entity.of(agency)
        # Whose row was lost is entered again, whoever was deleted beside them.
        deleted = any(not one.returned for one in mine) and not any(one.lost for one in mine)
        if primary is None and (deleted or not any(grant.create for grant in grants)):
            return frozenset()
        for spec in self.catalogue.records[entity.kind].references:
            target = entity.golden.get(spec.name)
            if spec.name in fields and target is not None and not self.may_hold(agency, target):
                return frozenset()
        return fields

    def _consented(self, entity: Entity, agency: str, purpose: str) -> bool:
        about = {id(entity), *(id(v) for v in entity.golden.values() if isinstance(v, Entity))}
        consents = [
            one
            for one in self.entities
            if one.kind == "consent" and one.live and id(one.golden.get("person")) in about
        ]
        taken = [
            one for one in consents
            if one.golden.get("status") == "withdrawn"
            and one.golden.get("purpose") in (None, purpose)
            and (not one.golden.get("recipients") or agency in one.golden["recipients"])
        ]  # fmt: skip
        return any(
            one.golden.get("status") == "given"
            and one.golden.get("purpose") == purpose
            and agency in (one.golden.get("recipients") or ())
            and (one.golden.get("given_on") or self._today) <= self._today
            # All days here are today: what was said later, counts.
            and all(one.said_at["status"] >> 16 > other.said_at["status"] >> 16 for other in taken)
            for one in consents
        )


def _words(member: Record) -> list[tuple[int, Any]]:
    return [*member.values.values(), *(said for those in member.elements.values() for said in those.values())]


def _rank(spec: FieldSpec, agency: str) -> int | None:
    names = list(spec.authority)
    return names.index(agency) if agency in names else names.index("*") if "*" in names else None


def _union(spec: FieldSpec, living: Iterable[Record], horizon: int) -> tuple[Any, int]:
    best: dict[str, tuple[tuple[Any, ...], bool, int]] = {}
    for member in living:
        rank = _rank(spec, member.name.agency)
        for element, (stamp, there) in member.elements.get(spec.name, {}).items():
            if rank is not None and (stamp > horizon or not horizon):
                strength = Claim(rank, stamp, member.name, element).strength()
                best[element] = max(best.get(element, ((), False, 0)), ((*strength, there), there, stamp))
    if not best:
        return _UNKNOWN, 0
    return plain([element for element, (_, there, _) in best.items() if there]), max(
        b[2] for b in best.values()
    )


def _same(fields: Iterable[FieldSpec], a: Record, b: Record) -> bool:
    """Whether two records are one by themselves: a shared natural key, or an identifier and more (R16)."""
    key = [spec.name for spec in fields if spec.natural_key]
    if key:
        return all(a.value(name) is not None and a.value(name) == b.value(name) for name in key)
    shared = [
        s
        for s in fields
        if s.match == "identifier" and a.value(s.name) and a.value(s.name) == b.value(s.name)
    ]
    return bool(shared) and (_agree(a, b, "birth_date") or _agree(a, b, "family_name_fr", "given_name_fr"))


def _agree(a: Record, b: Record, *names: str) -> bool:
    return all(a.value(name) is not None and a.value(name) == b.value(name) for name in names)


def _contradict(fields: Iterable[FieldSpec], a: Record, b: Record) -> bool:
    return any(
        a.value(spec.name) and b.value(spec.name) and a.value(spec.name) != b.value(spec.name)
        for spec in fields
        if spec.match in ("identifier", "birth_date", "sex")
    )
