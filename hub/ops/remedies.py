"""Dead letters in plain words: what each reason means, and how to mend it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple


class Remedy(NamedTuple):
    """What a reason means, and what to do about it."""

    meaning: str
    mend: str


_CLIENT = "Mend the agency's client, and let it send the record again"

REMEDIES: Mapping[str, Remedy] = {
    "undecodable": Remedy(
        "The bytes are not a change in Avro behind Confluent's frame, or not by the schema that they name.",
        f"{_CLIENT}. The same bytes can never be read: when the record has come again, discard this.",
    ),
    "unknown_schema_id": Remedy(
        "The registry knows no schema of the number in the message.",
        "Was it written for another registry, or before `jisr schema register`? Register the release, then "
        "redrive; else mend the client's registry address, and discard this.",
    ),
    "unsafe_schema": Remedy(
        "The writer's schema could hurt a decoder: it is recursive, too large or too deep.",
        "The agency must write with a schema of the release. Discard this when the record has come again.",
    ),
    "wrong_schema": Remedy(
        "The message was written as another event or another record type than this topic takes.",
        f"{_CLIENT}, to the topic of its record type.",
    ),
    "too_large": Remedy(
        "The message, or a list in it, is larger than any record can be.",
        "Find out at the agency what filled it. It can never be used: discard it when the record has come "
        "again.",
    ),
    "no_value": Remedy(
        "The message has no value. A tombstone says nothing in a changes topic.",
        "A deletion is said by operation `delete`. Mend the client, then discard this.",
    ),
    "no_key": Remedy(
        "The message has no key, so the order of a record's changes would be lost.",
        f"{_CLIENT}, with a stable opaque key per record.",
    ),
    "unknown_field": Remedy(
        "The mask names a field that the record type does not have.",
        "Was the client made for a newer release? Release that here, then redrive. Else mend its mask.",
    ),
    "invalid_value": Remedy(
        "One value is not what the contract allows. Its neighbours in the same message wait with it.",
        "Mend the value at the agency (or its mapping or code list) and save the record: that supersedes "
        "this. If the contract is what is wrong, release a wider one and redrive.",
    ),
    "unknown_entity": Remedy(
        "The message says that its record stands for an entity, by an id that this agency was never given.",
        "Was it copied from another agency, or from a test hub? Mend the client; without `entity` the hub "
        "finds the person by itself.",
    ),
    "agreement_ended": Remedy(
        "The agency's agreement had ended when it sent this. Only withdrawals and deletions still count.",
        "Was it renewed, or is it to be? Release the new agreement, then redrive; else retire the agency.",
    ),
    "incarnation_ended": Remedy(
        "The local id was deleted before, and is used again without saying so.",
        "The client must raise `incarnation` by one for each new life of an id; our connectors do.",
    ),
}

_UNKNOWN = Remedy("A reason that this release does not know.", "Redrive it with the release that does.")


def remedy(code: str, value: bytes | None) -> Remedy:
    """What a reason means for this message, and how to mend it."""
    found = REMEDIES.get(code, _UNKNOWN)
    if code == "undecodable" and (value or b"")[:1] in (b"{", b"[", b'"'):
        return found._replace(meaning="It looks like JSON: a change is Avro behind Confluent's frame.")
    return found
