"""What refers to an entity and what it refers to, by golden records, with what is dated or coded of each."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass

from hub.contracts.records import FieldSpec, RecordType
from hub.core.assertions import RecordState
from hub.core.contents import Reference, reference_of
from hub.core.merge import Golden, golden_record
from hub.lanes.messages import hub_name
from hub.ops.parts import Parts
from hub.ops.veil import Veil
from hub.store.transaction import Transaction

# So many records that refer to one are looked at; a centre may have thousands.
LIMIT = 100


@dataclass(frozen=True)
class Related:
    """Another entity, by its hub id, that refers to the one asked about, or (`towards`) is referred to by it.

    `field`: the reference; `values`: its dates and codes, veiled; `live`: some record supports it.
    """

    entity: str
    record_type: str
    field: str
    towards: bool
    live: bool
    values: dict[str, str]


def related(
    parts: Parts, tx: Transaction, entity: bytes, members: Sequence[RecordState], veil: Veil
) -> list[Related]:
    """What the entity refers to, then up to `LIMIT` that refer to it; `tx` sees one moment."""
    return [*_towards(parts, tx, members, veil), *_from_others(parts, tx, entity, members, veil)]


def own_values(parts: Parts, members: Sequence[RecordState], veil: Veil) -> dict[str, str]:
    """The dates and codes of an entity with these members, veiled."""
    record_type = members[0].key.record_type
    golden = golden_record(parts.types[record_type], members)
    return _values(parts.catalogue.records[record_type], golden, veil)


def _towards(parts: Parts, tx: Transaction, members: Sequence[RecordState], veil: Veil) -> Iterator[Related]:
    policy = parts.types[members[0].key.record_type]
    led = {
        name: reference
        for name, won in golden_record(policy, members).items()
        if (reference := reference_of(policy, name, won)) is not None
    }
    targets = tx.look_at_targets(set(led.values()))
    for name, reference in led.items():
        if reference in targets:
            target = targets[reference].entity
            yield _related(parts, target, _members(tx, {target})[target], name, veil, towards=True)


def _from_others(
    parts: Parts, tx: Transaction, entity: bytes, members: Sequence[RecordState], veil: Veil
) -> Iterator[Related]:
    names: set[Reference] = {
        (state.key.agency, state.key.record_type, state.key.local_id) for state in members
    }
    others = _members(tx, sorted(tx.some_dependents(names, LIMIT + 1) - {entity})[:LIMIT])
    for other, those in others.items():
        policy = parts.types[those[0].key.record_type]
        golden = golden_record(policy, those)
        # One of its records may refer here while a stronger one leads elsewhere.
        field = next((name for name, won in golden.items() if reference_of(policy, name, won) in names), None)
        if field is not None:
            yield _related(parts, other, those, field, veil, towards=False)


def _members(tx: Transaction, entities: Collection[bytes]) -> Mapping[bytes, list[RecordState]]:
    return {entity: those for entity, those in tx.members(entities).members().items() if those}


def _related(
    parts: Parts, entity: bytes, members: Sequence[RecordState], field: str, veil: Veil, *, towards: bool
) -> Related:
    record_type = members[0].key.record_type
    golden = golden_record(parts.types[record_type], members)
    return Related(
        entity=hub_name(entity),
        record_type=record_type,
        field=field,
        towards=towards,
        live=any(state.live for state in members),
        values=_values(parts.catalogue.records[record_type], golden, veil),
    )


def _values(record: RecordType, golden: Golden, veil: Veil) -> dict[str, str]:
    shown = {}
    for spec in record.fields:
        won = golden.get(spec.name)
        if won is not None and _is_telling(spec):
            elements = won.elements if spec.kind == "strings" else (won.value,)
            shown[spec.name] = ", ".join(veil.value(spec, one) for one in elements or ())
    return shown


def _is_telling(spec: FieldSpec) -> bool:
    """Dates and codes tell how somebody goes on; who they are is told by other fields."""
    return spec.match is None and (spec.kind == "date" or bool(spec.codes))
