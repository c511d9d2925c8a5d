"""Why the hub believes what it believes of one entity, and who is told what of it.

Made from the store at one moment by the functions that converge (golden record, strength, settlement), so
that an explanation cannot differ from what happens.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from hub.contracts.records import FieldSpec
from hub.core.answers import disputed_fields
from hub.core.assertions import RecordState
from hub.core.contents import Reference, reference_of
from hub.core.crosswalk import EPOCH_BITS, Entity, World
from hub.core.merge import Claim, Golden, golden_record
from hub.core.policy import STEWARD, FieldPolicy, TypePolicy
from hub.core.projection import UPSERT, Consent, consented, primary
from hub.core.settle import Settled
from hub.lanes.messages import hub_name
from hub.ops.finding import Sought
from hub.ops.parts import Parts, stamp_ms, stamp_time
from hub.ops.permissions import Situation, ground
from hub.ops.phrases import Phrase
from hub.ops.rulings import AGREES, WINS, Said, mentions, outcome, rule, sayings
from hub.ops.veil import Veil
from hub.store.transaction import Transaction


@dataclass(frozen=True)
class Member:
    """One local record's life that stands for the entity.

    `linked`: the agency's side says that it was created for the entity, or was told of it by a projection.
    `primary`: it receives the golden values. Times are local, of the agency's own stamps; `_ms` in Unix
    milliseconds, None where it is undated.
    """

    agency: str
    local_id: str
    incarnation: int
    record: str
    live: bool
    linked: bool
    primary: bool
    asserts: int
    first: str
    last: str
    ended: str | None
    last_ms: int | None = None
    ended_ms: int | None = None


@dataclass(frozen=True)
class Saying:
    """What one record says of a field, and what became of it. `outcome` is a word for programs.

    `when_ms`: Unix milliseconds, None where it is undated.
    """

    agency: str
    local_id: str
    incarnation: int
    value: str
    when: str
    outcome: str
    why: Phrase
    when_ms: int | None = None


@dataclass(frozen=True)
class FieldStory:
    """One field: the golden value with the rule that made it so, and everything said of it.

    For a list, `value` joins the elements that are there, and each saying is of one element.
    """

    name: str
    privacy: str
    merge: str
    authority: tuple[str, ...]
    value: str
    rule: Phrase
    sayings: tuple[Saying, ...]
    disputed_at: tuple[str, ...]


@dataclass(frozen=True)
class AgencyStory:
    """What one agency may hold: field → ground, field withheld → why, or why nothing at all.

    `name`: what the agency calls the entity. `told`: whether it was told what it may hold now. `addressed`:
    whether it was ever told anything. `echoes`:
    field → when it last repeated what it had been told, which was not taken for its own word; `echoes_ms`:
    the same in Unix milliseconds, None where it is undated.
    """

    agency: str
    name: str
    may_hold: bool
    fields: dict[str, Phrase]
    withheld: dict[str, Phrase]
    why_not: Phrase
    told: Phrase
    addressed: bool
    echoes: dict[str, str]
    echoes_ms: dict[str, int | None]


@dataclass(frozen=True)
class ConsentStory:
    """One consent of a person, by which grants on consent are in force or not. Days are counted from 1970.

    `in_force`: those of its recipients for whom it holds today.
    """

    about: str
    purpose: str
    recipients: tuple[str, ...]
    given: bool
    from_day: int | None
    until_day: int | None
    in_force: tuple[str, ...] = ()


@dataclass(frozen=True)
class Explanation:
    """All that the store tells of one entity. `names`: also of the records it was made of, for looking
    things up under what they were called before a merge."""

    entity: str
    record_type: str
    asked: str
    merged: str | None
    epoch: int
    version: int
    live: bool
    members: tuple[Member, ...]
    fields: tuple[FieldStory, ...]
    agencies: tuple[AgencyStory, ...]
    consents: tuple[ConsentStory, ...]


def explain(parts: Parts, tx: Transaction, sought: Sought, veil: Veil) -> Explanation:
    """Explain the entity that was found, from the store; `tx` sees one moment."""
    world = tx.entities({sought.entity})
    entity = world.entities[sought.entity]
    members = world.members()[entity.id]
    policy = parts.types[entity.record_type]
    situation = Situation(entity.id, world, parts.rules(tx), tx.look_at_targets(_references(parts, world)))
    settled = situation.settled()
    return Explanation(
        entity=hub_name(entity.id),
        record_type=entity.record_type,
        asked=sought.asked,
        merged=None if sought.merged is None else hub_name(sought.merged),
        epoch=entity.version >> EPOCH_BITS,
        version=entity.version & ((1 << EPOCH_BITS) - 1),
        live=settled.live,
        members=tuple(_member(state, members) for state in members),
        fields=tuple(
            _field(parts, field, members, settled.golden, veil)
            for field in policy.fields.values()
            if any(_speaks_of(state, field.name) for state in members)
        ),
        agencies=tuple(_agency(parts, situation, settled, entity, name) for name in parts.agreements),
        consents=tuple(
            _consent(one, list(entity.consents.values()), situation.rules.day)
            for _, one in sorted(entity.consents.items())
        ),
    )


def _consent(one: Consent, others: Sequence[Consent], day: int) -> ConsentStory:
    # None but this one and what takes it back: whether this one holds, not whether some other does.
    those = [one, *(other for other in others if not other.given)]
    return ConsentStory(
        f"{one.about_agency}:{one.about_local_id}",
        one.purpose,
        one.recipients,
        one.given,
        one.from_day,
        one.until_day,
        tuple(agency for agency in one.recipients if consented(those, agency, one.purpose, day)),
    )


def _references(parts: Parts, world: World) -> set[Reference]:
    """What the golden record of any of these entities refers to."""
    found = set()
    for entity, members in world.members().items():
        policy = parts.types[world.entities[entity].record_type]
        for name, won in golden_record(policy, members).items():
            reference = reference_of(policy, name, won)
            found |= {reference} if reference else set()
    return found


def _member(state: RecordState, members: Sequence[RecordState]) -> Member:
    chosen = primary(one for one in members if one.key.agency == state.key.agency)
    return Member(
        agency=state.key.agency,
        local_id=state.key.local_id,
        incarnation=state.key.incarnation,
        record=hub_name(state.id),
        live=state.live,
        linked=state.linked is not None,
        primary=chosen is state and state.key.agency != STEWARD,
        asserts=len(state.asserts.values) + len(state.asserts.unions),
        first=stamp_time(state.born),
        last=stamp_time(state.seen),
        ended=stamp_time(state.ended) if state.ended else None,
        last_ms=stamp_ms(state.seen),
        ended_ms=stamp_ms(state.ended) if state.ended else None,
    )


def _speaks_of(state: RecordState, name: str) -> bool:
    return name in state.asserts.values or name in state.asserts.unions


class _Told(NamedTuple):
    """A field's value in words, the rule, and what was said of it."""

    value: str
    rule: Phrase
    sayings: list[Saying]


def _field(
    parts: Parts, field: FieldPolicy, members: Sequence[RecordState], golden: Golden, veil: Veil
) -> FieldStory:
    record_type = members[0].key.record_type
    spec = parts.catalogue.records[record_type].by_name[field.name]
    tell = _union if field.merge == "union" else _single
    told = tell(parts.types[record_type], spec, members, golden, veil)
    return FieldStory(
        name=field.name,
        privacy=spec.privacy,
        merge=field.merge,
        authority=spec.authority,
        value=told.value,
        rule=told.rule,
        sayings=tuple(told.sayings),
        disputed_at=tuple(
            f"{state.key.agency}:{state.key.local_id}"
            for state in members
            if field.name in disputed_fields(state)
        ),
    )


def _single(
    policy: TypePolicy, spec: FieldSpec, members: Sequence[RecordState], golden: Golden, veil: Veil
) -> _Told:
    said = sayings(policy.fields[spec.name], members)
    says = [
        _saying(one, veil.value(spec, one.value), *outcome(policy, spec.name, one, golden)) for one in said
    ]
    won = golden.get(spec.name)
    if won is None:
        return _Told("", Phrase("nobody who has spoken has a say"), says)
    why = rule(policy.fields[spec.name], said, Claim(won.rank, won.stamp, won.key, won.value))
    return _Told(veil.value(spec, won.value), why, says)


def _union(
    policy: TypePolicy, spec: FieldSpec, members: Sequence[RecordState], golden: Golden, veil: Veil
) -> _Told:
    found = mentions(policy.fields[spec.name], members)
    won = golden.get(spec.name)
    present = frozenset((won and won.elements) or ())
    says = [
        _mention(said, is_there, order == 0, element in present, veil.value(spec, element))
        for element, those in found.items()
        for order, (said, is_there) in enumerate(those)
    ]
    value = ", ".join(veil.value(spec, element) for element in found if element in present)
    return _Told(value, Phrase("union: of each element, the strongest who mentions it decides"), says)


def _saying(said: Said, value: str, word: str, why: Phrase) -> Saying:
    key = said.state.key
    when = stamp_time(said.stamp)
    return Saying(key.agency, key.local_id, key.incarnation, value, when, word, why, stamp_ms(said.stamp))


def _mention(said: Said, there: bool, strongest: bool, present: bool, element: str) -> Saying:
    """One record's word on one element; `present`: what stands."""
    value = f"{'+' if there else '-'} {element}"
    if said.claim is None:
        return _saying(said, value, "no_say", Phrase("deleted, or without authority: does not count"))
    if strongest:
        return _saying(said, value, WINS, Phrase("the strongest word on this element"))
    why = Phrase("a stronger word stands")
    return _saying(said, value, AGREES if there == present else "older", why)


def _agency(parts: Parts, situation: Situation, settled: Settled, entity: Entity, agency: str) -> AgencyStory:
    found = ground(situation, settled, agency)
    held, content = entity.held.get(agency), found.content
    echoes = sorted((held.echoes.dropped if held and held.echoes else {}).items())
    if content is None:
        told = Phrase("told (%(word)s)", word=held.operation) if held else Phrase("never told anything")
    elif held is not None and held.digest == content.digest():
        gone = Phrase("told (%(word)s)", word=content.operation)
        told = Phrase("told") if content.operation == UPSERT else gone
    else:
        told = Phrase("not told yet: it is due")
    return AgencyStory(
        agency=agency,
        name=parts.ids.pairwise(agency).name(entity.id),
        may_hold=content is not None and content.operation == UPSERT,
        fields=dict(found.fields),
        withheld=dict(found.withheld),
        why_not=found.why_not,
        told=told,
        addressed=held is not None,
        echoes={field: stamp_time(stamp) for field, stamp in echoes},
        echoes_ms={field: stamp_ms(stamp) for field, stamp in echoes},
    )
