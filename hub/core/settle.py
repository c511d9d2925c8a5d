"""Settling: from changed entities to what is said to whom, and in which version.

Pure: the world comes in loaded and locked, what has to be published goes out. Called with the same world
twice, it says nothing the second time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import NamedTuple

import msgspec

from hub.core.answers import Answer, answer, unaware
from hub.core.assertions import Change, RecordState
from hub.core.contents import Reference, Rules, Target, contents, ended, reference_targets
from hub.core.crosswalk import Entity, Held, World, merged_into
from hub.core.disclosure import marks_of
from hub.core.echoes import note_told
from hub.core.merge import Golden, deleted_at, golden_record, is_live
from hub.core.projection import (
    DELETE,
    UPSERT,
    Content,
    next_due_day,
    primary,
)


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
    current = contents(entity, members, golden, encoded, led_to, rules, moved, policy, left)
    references = {name: target.entity if target else None for name, target in led_to.items()}
    digest = _golden_digest(golden, encoded, references, moved, live=live)
    golden_changed = digest != entity.golden
    digests = {agency: content.digest() for agency, content in current.items()}
    told = {
        agency: content
        for agency, content in current.items()
        if agency in answered
        or (held := entity.held.get(agency)) is None
        or held.digest != digests[agency]
        or content.differs_by_row(held.life)
    }
    if golden_changed or told or concerned:
        entity.raise_version(rules.epoch)
    entity.golden = digest
    before, held_before = _holders(entity), dict(entity.held)
    if restated is not None:
        told |= {agency: current[agency] for agency in restated if agency in current}
        # Forgotten since, with a tombstone: what came to the inbox after that must not be its last word.
        for agency in sorted(restated - current.keys() - rules.joining):
            told[agency] = ended(policy, members, moved, told="")
            digests[agency] = told[agency].digest()
    for agency, content in {**current, **told}.items():
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
        entity.held[agency] = Held(told, content.operation, entity.version, echoes, marks, content.told_life)
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
