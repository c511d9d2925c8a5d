"""Publication: what a committed transaction changed goes out to Kafka (R26).

The transaction leaves a `publication` row that names what changed. The messages are built from memory; if
the worker dies first, another builds them from current state. Nothing is published before its commit.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import msgspec

from hub.core.projection import UPSERT
from hub.core.settle import Delivery, Settled
from hub.lanes.converged import Converged
from hub.lanes.messages import Encoder, OutMessage
from hub.lanes.refusals import refusals
from hub.store.loading import Advance
from hub.store.transaction import Transaction

Raw = tuple[str, bytes, bytes | None, tuple[tuple[str, bytes], ...]]


class Named(msgspec.Struct, array_like=True):
    """What a publication row names: entities with the agencies told, records, and what has no state.

    `raw`: notices and dead letters, which cannot be built again from state, as whole messages.
    """

    entities: dict[bytes, list[str]] = msgspec.field(default_factory=dict)
    records: list[bytes] = msgspec.field(default_factory=list)
    raw: list[Raw] = msgspec.field(default_factory=list)


_ENCODE = msgspec.msgpack.Encoder().encode
_DECODE = msgspec.msgpack.Decoder(Named).decode


@dataclass
class Outbound:
    """What must go out after a commit: messages, and what to check after their acknowledgement.

    `versions`: the entities' versions as published; `told`: which agencies were told of each;
    `farewells`: messages after which an agency holds nothing of an entity; `records`: those of which
    assertions or links are said, as read up to `advances`.
    """

    messages: list[OutMessage] = field(default_factory=list)
    versions: dict[bytes, int] = field(default_factory=dict)
    told: dict[bytes, frozenset[str]] = field(default_factory=dict)
    publication: int | None = None
    farewells: list[tuple[OutMessage, Delivery]] = field(default_factory=list)
    records: list[bytes] = field(default_factory=list)
    advances: Sequence[Advance] = ()


def outbound(encoder: Encoder, done: Converged) -> tuple[Outbound, bytes | None]:
    """The messages of a transaction and the payload of its publication row (None: nothing to publish)."""
    out = Outbound()
    named = Named()
    for settled in done.settled:
        _add_settled(encoder, settled, out, named)
    for state in done.states.values():
        out.messages.append(encoder.assertions(state))
    for state, entity in done.links.values():
        out.messages.append(encoder.link(state, entity.id, entity.version))
    named.records = out.records = sorted(done.states.keys() | done.links.keys())
    raw = [encoder.notice(*note) for note in (*done.notes, *refusals(done.dead))]
    for settled in done.settled:
        for answer in settled.answers:
            raw += encoder.answer(answer, settled.entity.id)
    raw += [encoder.dead_letter(dead) for dead in done.dead]
    out.messages += raw
    named.raw = [(m.topic, m.key, m.value, m.headers) for m in raw]
    empty = not (named.entities or named.records or named.raw)
    return out, None if empty else _ENCODE(named)


def _add_settled(encoder: Encoder, settled: Settled, out: Outbound, named: Named) -> None:
    if not settled.golden_changed and not settled.deliveries:
        return
    entity = settled.entity
    if settled.golden_changed:
        out.messages.append(encoder.golden(settled))
    for delivery in settled.deliveries:
        message = encoder.projection(delivery)
        out.messages.append(message)
        if delivery.content.operation != UPSERT:
            out.farewells.append((message, delivery))
    told = frozenset(delivery.agency for delivery in settled.deliveries)
    out.versions[entity.id] = entity.version
    # The same entity may be settled twice in one transaction; what is told last stands.
    out.told[entity.id] = out.told.get(entity.id, frozenset()) | told
    named.entities[entity.id] = sorted(out.told[entity.id])


def named_payload(entities: Mapping[bytes, list[str]], records: list[bytes]) -> bytes:
    """The payload of a publication row that has the current state of these said again."""
    return _ENCODE(Named(dict(entities), records))


def read_named(payloads: Iterable[bytes]) -> tuple[dict[bytes, frozenset[str]], set[bytes], list[OutMessage]]:
    """What publication rows name: entities with agencies, records, and messages as they were."""
    entities: dict[bytes, frozenset[str]] = {}
    records: set[bytes] = set()
    raw: list[OutMessage] = []
    for payload in payloads:
        named = _DECODE(payload)
        for entity, agencies in named.entities.items():
            entities[entity] = entities.get(entity, frozenset()) | frozenset(agencies)
        records.update(named.records)
        raw += [OutMessage(*message) for message in named.raw]
    return entities, records, raw


def behind(tx: Transaction, out: Outbound) -> dict[bytes, frozenset[str]]:
    """Entities that another worker moved on while `out` was being published, with who was told.

    The order of the two workers' messages in a topic is unknown, so the current state is said again.
    """
    now = tx.versions(out.versions)
    return {
        entity: out.told[entity]
        for entity, version in out.versions.items()
        if now.get(entity, version) > version
    }


def stale_records(encoder: Encoder, tx: Transaction, out: Outbound) -> list[OutMessage]:
    """What is now to be said of the records of `out` in place of what it said (R31).

    To be asked where another worker may have said it meanwhile: which of the two messages is the last of its
    topic is unknown.
    """
    said = {(message.topic, message.key): message.value for message in out.messages}
    now = restated_records(encoder, tx, out.records)
    return [m for m in now if said.get((m.topic, m.key), m.value) != m.value]


def restated_records(encoder: Encoder, tx: Transaction, records: Iterable[bytes]) -> list[OutMessage]:
    """The current assertions and links of records."""
    world = tx.records(set(records))
    versions = tx.versions(set(world.entity_of.values()))
    messages = [encoder.assertions(state) for state in world.records.values()]
    for record, state in world.records.items():
        entity = world.entity_of[record]
        messages.append(encoder.link(state, entity, versions.get(entity, 0)))
    return messages
