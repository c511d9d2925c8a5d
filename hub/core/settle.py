"""Settling: from changed entities to what is said to whom, and in which version.

Pure: the world comes in loaded and locked, what has to be published goes out. Called with the same world
twice, it says nothing the second time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence, Set
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import msgspec

from hub.core.answers import Answer, answer, disputed_fields, unaware
from hub.core.assertions import Change, RecordState
from hub.core.crosswalk import Entity, Held, World, merged_into
from hub.core.disclosure import marks_of
from hub.core.echoes import note_told
from hub.core.merge import Golden, Winner, deleted_at, golden_record, is_live
from hub.core.policy import TypePolicy
from hub.core.projection import (
    DELETE,
    MERGED,
    RETRACT,
    UPSERT,
    Allowed,
    Consent,
    Content,
    Terms,
    allowed_by,
    grants_in_force,
    next_due_day,
    primary,
    project,
)
from hub.core.texts import text_of
from hub.core.undo import taken_back_fields

Reference = tuple[str, str, str]


class Target(NamedTuple):
    """What a reference leads to: the entity, which agencies hold it, and a person's consents."""

    entity: bytes
    holders: frozenset[str]
    consents: tuple[Consent, ...]


class Delivery(NamedTuple):
    """One projection to publish."""

    agency: str
    entity: bytes
    record_type: str
    version: int
    content: Content
    stamp: int
    seen: int


class Settled(NamedTuple):
    """One entity as it now stands, with what must be published of it. `held`: what agencies had been told
    of it before."""

    entity: Entity
    golden: Golden
    encoded: Mapping[str, bytes]
    references: Mapping[str, bytes | None]
    live: bool
    merged_into: bytes | None
    deliveries: tuple[Delivery, ...]
    held: Mapping[str, Held]
    answers: tuple[Answer, ...]
    golden_changed: bool
    holders_changed: bool
    due_day: int | None


@dataclass
class Rules:
    """What settling depends on beside the world: policies, agreements, and the day.

    `terms`: record type → the agreements that receive it. `join`: encodes a union field from its elements;
    `name`: an agency's encoded name of an entity. `joining`: agencies whose own records are still coming
    in; nothing is said to them yet, or what they have would be created there again. `now_ms`: Unix
    milliseconds, from which on what is told may be repeated.
    """

    types: Mapping[str, TypePolicy]
    terms: Mapping[str, tuple[Terms, ...]]
    join: Callable[[Sequence[bytes]], bytes]
    name: Callable[[str, bytes], bytes]
    day: int
    epoch: int = 0
    joining: frozenset[str] = frozenset()
    now_ms: int = 0

    @cached_property
    def echoing(self) -> Mapping[tuple[str, str], frozenset[str]]:
        """(Record type, agency) → the fields that it may ever be told, where the hub filters its echoes."""
        return {
            (record_type, terms.agency): frozenset().union(*(grant.fields for grant in terms.grants))
            for record_type, those in self.terms.items()
            for terms in those
            if terms.filters_echoes
        }

    @cached_property
    def _without_consent(self) -> Mapping[str, tuple[tuple[Terms, Allowed], ...]]:
        return {
            record_type: tuple((terms, allowed_by(grants_in_force(terms, (), self.day))) for terms in those)
            for record_type, those in self.terms.items()
        }

    def allowed(self, record_type: str, consents: Sequence[Consent]) -> Iterable[tuple[Terms, Allowed]]:
        """What each agency may hold today of an entity with these consents; nearly always without any."""
        if not consents:
            return self._without_consent.get(record_type, ())
        return tuple(
            (terms, allowed_by(grants_in_force(terms, consents, self.day)))
            for terms in self.terms.get(record_type, ())
        )


Edits = Sequence[tuple[Change, RecordState]]


def settle(
    world: World,
    entities: Iterable[bytes],
    rules: Rules,
    targets: Mapping[Reference, Target],
    edits: Mapping[bytes, Edits],
    concerned: frozenset[bytes] = frozenset(),
    restated: Mapping[bytes, frozenset[str]] | None = None,
) -> list[Settled]:
    """Settle each of `entities`; sets their versions and what they hold, in place.

    `edits`: entity → the changes just absorbed, to be answered where they lost (R19). `concerned`:
    entities of a merge or split, whose version rises in any case (R18). `restated`: entity → agencies
    that are told the current state once more, in its own version, because what was published may be lost
    or behind (R26).
    """
    members = world.members()
    return [
        _settle_one(
            world,
            world.entities[entity],
            members.get(entity, []),
            rules,
            targets,
            edits.get(entity, ()),
            entity in concerned,
            (restated or {}).get(entity),
        )
        for entity in sorted(entities)
    ]


def _settle_one(
    world: World,
    entity: Entity,
    members: list[RecordState],
    rules: Rules,
    targets: Mapping[Reference, Target],
    edits: Edits,
    concerned: bool,
    restated: frozenset[str] | None,
) -> Settled:
    policy = rules.types[entity.record_type]
    live = is_live(policy, members)
    golden = golden_record(policy, members) if live else {}
    deleted = not live and bool(deleted_at(policy, members))
    answers = tuple(
        a for change, state in edits if (a := answer(policy, state, change, golden, deleted=deleted))
    )
    answered = {a.key.agency for a in answers}
    answered |= {change.key.agency for change, _ in edits if unaware(policy, change, golden)}
    encoded = encode_golden(golden, rules.join)
    led_to = reference_targets(policy, golden, targets)
    moved = merged_into(world, entity.id) if not members else None
    # Whose rows were left alone for the sake of these edits; that they are to go may be forgotten, with a
    # tombstone.
    left = {one.agency for one in rules.terms.get(entity.record_type, ())} & answered if deleted else set()
    contents = _contents(entity, members, golden, encoded, led_to, rules, moved, policy, left)
    references = {name: target.entity if target else None for name, target in led_to.items()}
    digest = _golden_digest(golden, encoded, references, moved, live=live)
    golden_changed = digest != entity.golden
    digests = {agency: content.digest() for agency, content in contents.items()}
    told = {
        agency: content
        for agency, content in contents.items()
        if agency in answered
        or (held := entity.held.get(agency)) is None
        or (held.digest, held.life) != (digests[agency], content.life)
    }
    if golden_changed or told or concerned:
        entity.raise_version(rules.epoch)
    entity.golden = digest
    before, held_before = _holders(entity), dict(entity.held)
    if restated is not None:
        told |= {agency: contents[agency] for agency in restated if agency in contents}
        # Forgotten since, with a tombstone: what came to the inbox after that must not be its last word.
        for agency in sorted(restated - contents.keys() - rules.joining):
            told[agency] = _ended(policy, members, moved, told="")
            digests[agency] = told[agency].digest()
    for agency, content in {**contents, **told}.items():
        _hold(entity, agency, content, golden, rules, digests[agency] if agency in told else None)
    return Settled(
        entity=entity,
        golden=golden,
        encoded=encoded,
        references=references,
        live=live,
        merged_into=moved,
        deliveries=_deliveries(entity, told, golden, _seen(members)),
        held=held_before,
        answers=answers,
        golden_changed=golden_changed or restated is not None,
        holders_changed=before != _holders(entity),
        due_day=_due_day(entity, rules),
    )


def _hold(
    entity: Entity, agency: str, content: Content, golden: Golden, rules: Rules, told: bytes | None
) -> None:
    """Note what an agency is being told, and what of it may come back as an echo. `told`: the digest of
    `content`, None where it is not said.

    Where an agreement has come to say that echoes are filtered, or no longer, without anything to be told.
    """
    held = entity.held.get(agency)
    fields = rules.echoing.get((entity.record_type, agency))
    echoes = None if held is None else held.echoes
    if fields is None:
        echoes = None
    elif told or (held is not None and echoes is None):
        echoes = note_told(echoes, agency, content, golden, fields, rules.now_ms)
    if told:
        marks = marks_of(content.fields)
        entity.held[agency] = Held(told, content.operation, entity.version, echoes, marks, content.life)
    elif held is not None and echoes is not held.echoes:
        entity.held[agency] = msgspec.structs.replace(held, echoes=echoes)


def _golden_digest(
    golden: Golden,
    encoded: Mapping[str, bytes],
    references: Mapping[str, bytes | None],
    moved: bytes | None,
    *,
    live: bool,
) -> bytes:
    """What the golden record says, not who says it. A reference says which entity it leads to, so that it is
    published again when that one is heard of or merged; an unknown one is not the same as an empty one."""
    values = {**encoded, **{name: target or b"" for name, target in references.items()}}
    return Content(UPSERT if live else DELETE, None, moved, tuple(golden), values).digest()


def _deliveries(
    entity: Entity, told: Mapping[str, Content], golden: Golden, seen: Mapping[str, int]
) -> tuple[Delivery, ...]:
    return tuple(
        Delivery(
            agency,
            entity.id,
            entity.record_type,
            entity.version,
            content,
            max((golden[name].stamp for name in content.fields if name in golden), default=0),
            seen.get(agency, 0),
        )
        for agency, content in told.items()
    )


def encode_golden(golden: Golden, join: Callable[[Sequence[bytes]], bytes]) -> dict[str, bytes]:
    """The golden values by field; a field known to be empty is not in it."""
    encoded = {}
    for name, won in golden.items():
        value = won.value if won.elements is None else join(won.elements)
        if value is not None:
            encoded[name] = value
    return encoded


def reference_of(policy: TypePolicy, name: str, won: Winner) -> Reference | None:
    """What the winning assertion of a reference field refers to, in its agency's terms (R20)."""
    if name not in policy.references or won.value is None:
        return None
    return won.key.agency, policy.references[name], text_of(won.value)


def reference_targets(
    policy: TypePolicy, golden: Golden, targets: Mapping[Reference, Target]
) -> dict[str, Target | None]:
    """Reference fields that hold something → what they lead to; None while that is unknown (R27)."""
    return {
        name: targets.get(reference)
        for name, won in golden.items()
        if name in policy.references and (reference := reference_of(policy, name, won)) is not None
    }


def _contents(
    entity: Entity,
    members: list[RecordState],
    golden: Golden,
    encoded: Mapping[str, bytes],
    led_to: Mapping[str, Target | None],
    rules: Rules,
    moved: bytes | None,
    policy: TypePolicy,
    left: Set[str],
) -> dict[str, Content]:
    """What each agency is to be told: its projection, or that it holds something no longer; also those of
    `left`, who hold something though they were told."""
    contents: dict[str, Content] = {}
    consents = _consents(entity, led_to)
    for terms, allowed in rules.allowed(entity.record_type, consents):
        agency = terms.agency
        if agency in rules.joining:
            continue
        mine = [member for member in members if member.key.agency == agency]
        chosen = primary(mine)
        references = {
            name: rules.name(agency, target.entity) if target and agency in target.holders else None
            for name, target in led_to.items()
        }
        content = golden and project(
            entity.id,
            golden,
            mine,
            allowed,
            encoded,
            references,
            disputed_fields(chosen, golden),
            taken_back_fields(chosen, golden),
        )
        if content:
            contents[agency] = content
    over = _left_over(member for member in members if member.key.agency not in contents)
    for agency in sorted((entity.held.keys() | left | over.keys()) - contents.keys() - rules.joining):
        # Also when it was told before: the message may have died with the worker that had to send it. Also
        # where the agreement speaks of such records no longer.
        before = entity.held.get(agency)
        ended = _ended(policy, members, moved, before.operation if before else "")
        local_id, known = over.get(agency, (None, False))
        contents[agency] = ended._replace(local_id=local_id, known=known)
    return contents


def _left_over(members: Iterable[RecordState]) -> dict[str, tuple[str, bool]]:
    """Agency → the row that the hub had made there and that is to go; whether its side knows which is meant.

    It does not where another row had received what the hub says, and has been removed with it. And it is
    told also where it was told of no such entity, or that it had become part of another: since then a split
    has given the row back.
    """
    by_agency: dict[str, list[RecordState]] = {}
    for member in members:
        by_agency.setdefault(member.key.agency, []).append(member)
    found = {agency: (primary(mine), len(mine) == 1) for agency, mine in by_agency.items()}
    return {
        agency: (one.key.local_id, alone)
        for agency, (one, alone) in found.items()
        if one is not None and one.linked is not None and not (one.asserts.values or one.asserts.unions)
    }


def _ended(policy: TypePolicy, members: list[RecordState], moved: bytes | None, told: str) -> Content:
    """What ends the holding of an agency that was last told `told`.

    What was retracted or deleted stays so: what happens to the entity later is not the agency's to know.
    """
    if told in (RETRACT, DELETE):
        return Content(told)
    if moved is not None:
        return Content(MERGED, merged_into=moved)
    propagates = policy.delete == "propagate" and not is_live(policy, members)
    return Content(DELETE if propagates else RETRACT)


def _consents(entity: Entity, led_to: Mapping[str, Target | None]) -> tuple[Consent, ...]:
    """The consents that a projection needs: the person's own, or those of the person referred to."""
    about = [target.consents for target in led_to.values() if target is not None]
    return tuple(entity.consents.values()) + tuple(c for consents in about for c in consents)


def _holders(entity: Entity) -> frozenset[str]:
    return frozenset(agency for agency, held in entity.held.items() if held.operation == UPSERT)


def _seen(members: Iterable[RecordState]) -> dict[str, int]:
    """The highest stamp received from each agency's primary record."""
    by_agency: dict[str, list[RecordState]] = {}
    for member in members:
        by_agency.setdefault(member.key.agency, []).append(member)
    return {
        agency: chosen.seen for agency, mine in by_agency.items() if (chosen := primary(mine)) is not None
    }


def _due_day(entity: Entity, rules: Rules) -> int | None:
    if not entity.consents:
        return None
    # Of every record type: what refers to a person is held under the person's consents too.
    days = [
        day
        for those in rules.terms.values()
        for terms in those
        if any(grant.needs_consent for grant in terms.grants)
        and (day := next_due_day(terms, entity.consents.values(), rules.day)) is not None
    ]
    return min(days, default=None)
