"""From contracts and agreements to the core's policies."""

from __future__ import annotations

import datetime
from collections.abc import Callable, Mapping
from typing import Any

from hub.contracts.agreements import CONSENT, Agreement, Grant
from hub.contracts.records import ANYONE, Catalogue, FieldSpec, RecordType
from hub.contracts.values import decode
from hub.core import policy, projection

_EPOCH = datetime.date(1970, 1, 1)


def day_number(date: datetime.date) -> int:
    """Days since 1970-01-01."""
    return (date - _EPOCH).days


def type_policies(catalogue: Catalogue) -> dict[str, policy.TypePolicy]:
    """The core's view of every record type."""
    return {name: _type_policy(record) for name, record in catalogue.records.items()}


def _type_policy(record: RecordType) -> policy.TypePolicy:
    return policy.TypePolicy(
        record.name, {spec.name: _field_policy(spec) for spec in record.fields}, record.delete
    )


def _field_policy(spec: FieldSpec) -> policy.FieldPolicy:
    return policy.FieldPolicy(
        name=spec.name,
        merge=spec.merge,
        ranks={agency: rank for rank, agency in enumerate(spec.authority) if agency != ANYONE},
        others=spec.authority.index(ANYONE) if ANYONE in spec.authority else None,
        precedence=_precedence(spec) if spec.merge == "max" else None,
        match=spec.match,
        natural_key=spec.natural_key,
        reference=spec.reference,
    )


def _precedence(spec: FieldSpec) -> Callable[[bytes], Any]:
    """How values of a field merged by max compare: by their place in the code list, else by value."""
    places = {code: place for place, code in enumerate(spec.codes)}

    def precedence(raw: bytes) -> Any:
        value = decode(spec, raw)
        return places.get(value, -1) if places else value

    return precedence


def terms_by_type(agreements: Mapping[str, Agreement]) -> dict[str, tuple[projection.Terms, ...]]:
    """Record type → the terms of every agency that says or hears anything of it, by agency."""
    terms: dict[str, list[projection.Terms]] = {}
    for agreement in sorted(agreements.values(), key=lambda agreement: agreement.agency):
        for record_type in agreement.record_types:
            terms.setdefault(record_type, []).append(_terms(agreement, record_type))
    return {record_type: tuple(those) for record_type, those in terms.items()}


def _terms(agreement: Agreement, record_type: str) -> projection.Terms:
    return projection.Terms(
        agreement.agency,
        agreement.publishes.get(record_type, frozenset()),
        tuple(map(_grant, agreement.receives.get(record_type, ()))),
        day_number(agreement.until),
        agreement.filters_echoes,
    )


def _grant(grant: Grant) -> projection.Grant:
    return projection.Grant(
        frozenset(grant.fields),
        grant.purpose,
        grant.legal_basis == CONSENT,
        grant.create,
        None if grant.until is None else day_number(grant.until),
    )
