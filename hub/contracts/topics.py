"""Topic names and their settings. The source of a message is known from its topic (R2)."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from hub.contracts.records import HUB, PARTITIONS, STEWARD
from hub.errors import ConfigurationError

_DAY_MS = 24 * 3600 * 1000

# Of a record type whose contract does not say how many; fixed at creation, since a key's partition is its
# order (R4).
CHANGES_PARTITIONS = PARTITIONS
INBOX_PARTITIONS = PARTITIONS // 2
LINKS_PARTITIONS = 6

LINKS = "hub.links"

READ, WRITE = "read", "write"
# What an agency may do with a topic of its own, by the last word of its name. It reads its own changes to
# find out what a restored database forgot (R24). All other topics are the hub's alone (R2).
AGENCY_RIGHTS: Mapping[str, tuple[str, ...]] = {
    "changes": (READ, WRITE),
    "inbox": (READ,),
    "notices": (READ,),
    "receipts": (WRITE,),
    "dlq": (READ,),
    "control": (READ,),
    "state": (READ, WRITE),
}


@dataclass(frozen=True)
class TopicSpec:
    """A topic as it must exist: its name, number of partitions and broker settings."""

    name: str
    partitions: int
    config: Mapping[str, str] = field(default_factory=dict)


def agency_name(name: str) -> str:
    """`name` if an agency may be called so; a dot would make topic names ambiguous (R2)."""
    if name in (HUB, STEWARD) or not re.fullmatch(r"[a-z][a-z0-9-]{1,39}", name):
        raise ConfigurationError(
            f"agency name {name!r}: use 2-40 lower-case letters, digits and hyphens; "
            f"{HUB!r} and {STEWARD!r} are reserved"
        )
    return name


def changes(agency: str, record_type: str) -> str:
    return f"{agency}.{record_type}.changes"


def inbox(agency: str, record_type: str) -> str:
    return f"{agency}.{record_type}.inbox"


def notices(agency: str) -> str:
    return f"{agency}.notices"


def receipts(agency: str) -> str:
    return f"{agency}.receipts"


def dead_letters(agency: str) -> str:
    return f"{agency}.dlq"


def control(agency: str) -> str:
    """What the hub's operators want of the agency's connector: the hub alone writes it, the agency reads."""
    return f"{agency}.control"


def state(agency: str) -> str:
    """How the agency's connector is: the agency writes and reads it, the hub reads."""
    return f"{agency}.state"


def golden(record_type: str) -> str:
    return f"hub.{record_type}.golden"


def assertions(record_type: str) -> str:
    return f"hub.{record_type}.assertions"


def subject(topic: str) -> str:
    """The registry's subject of a topic's values (Confluent's TopicNameStrategy)."""
    return f"{topic}-value"


def split(topic: str) -> tuple[str, str]:
    """(agency, record type) of a changes or inbox topic."""
    agency, record_type, _ = topic.split(".")
    return agency, record_type


# LogAppendTime: the bound on clock skew is taken against it, so that a replay decides alike (R10).
_APPEND_TIME = {"message.timestamp.type": "LogAppendTime"}
_KEPT = {"cleanup.policy": "compact", **_APPEND_TIME}
# Read whole whenever somebody asks how a connector is, and told again each minute: compacted soon.
_LATEST = {**_KEPT, "segment.ms": str(3600 * 1000)}


def agency_topics(
    agency: str, record_types: Iterable[str], partitions: Mapping[str, int]
) -> Iterator[TopicSpec]:
    """All topics of one agency for the record types of its agreement; `partitions` by record type."""
    short = {"cleanup.policy": "delete", "retention.ms": str(7 * _DAY_MS), **_APPEND_TIME}
    for record_type in record_types:
        count = partitions[record_type]
        yield TopicSpec(changes(agency, record_type), count, short)
        # One connector reads what several workers write.
        yield TopicSpec(inbox(agency, record_type), (count + 1) // 2, _KEPT)
    yield TopicSpec(notices(agency), 1, {**short, "retention.ms": str(30 * _DAY_MS)})
    yield TopicSpec(receipts(agency), 1, short)
    yield TopicSpec(dead_letters(agency), 1, {**short, "retention.ms": str(90 * _DAY_MS)})
    yield TopicSpec(control(agency), 1, _LATEST)
    yield TopicSpec(state(agency), 1, _LATEST)


def hub_topics(partitions: Mapping[str, int]) -> Iterator[TopicSpec]:
    """The hub's own topics, for record types with their `partitions`.

    Compacted and kept, so that the store can be rebuilt (R31).
    """
    for record_type, count in partitions.items():
        yield TopicSpec(golden(record_type), count, _KEPT)
        yield TopicSpec(assertions(record_type), count, _KEPT)
    yield TopicSpec(LINKS, LINKS_PARTITIONS, _KEPT)
