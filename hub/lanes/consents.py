"""A consent's golden record, as an input of the person's row (R17)."""

from __future__ import annotations

from typing import Any

from hub.contracts.policies import day_number
from hub.contracts.records import RecordType
from hub.contracts.values import decode
from hub.core import stamps
from hub.core.merge import Golden, Winner
from hub.core.projection import Consent
from hub.core.settle import Settled

CONSENT = "consent"
PERSON = "person"


def consent_of(record: RecordType, settled: Settled) -> Consent | None:
    """What a settled consent says; None if it says nothing of anybody, or is no longer asserted."""
    return consent_said(record, settled.golden) if settled.live else None


def consent_said(record: RecordType, golden: Golden) -> Consent | None:
    """What the golden record of a consent that lives says; None if it says nothing of anybody."""
    if PERSON not in golden:
        return None
    value = {name: _value(record, name, won) for name, won in golden.items()}
    since, until = value.get("given_on"), value.get("valid_until")
    return Consent(
        about_agency=golden[PERSON].key.agency,
        about_local_id=value[PERSON] or "",
        purpose=value.get("purpose") or "",
        recipients=tuple(value.get("recipients") or ()),
        given=value.get("status") == "given",
        from_day=None if since is None else day_number(since),
        until_day=None if until is None else day_number(until),
        withdrawn=value.get("status") == "withdrawn",
        said_ms=stamps.milliseconds(golden["status"].stamp) if "status" in golden else 0,
    )


def _value(record: RecordType, name: str, won: Winner) -> Any:
    spec = record.by_name[name]
    if won.elements is not None:
        return [decode(spec, element) for element in won.elements]
    return None if won.value is None else decode(spec, won.value)
