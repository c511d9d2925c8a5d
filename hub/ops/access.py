"""Who may do what on Kafka, as code: derived from the agreements, compared with a cluster, put in force.

The source of a message is known from its topic (R2), so Kafka's own rules are what an agency signs by. Users
of ours are known by their names; what concerns any other user is never touched.
"""

from __future__ import annotations

import datetime
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from kafka import KafkaAdminClient
from kafka.admin import (
    ACL,
    ACLFilter,
    ACLOperation,
    ACLPermissionType,
    ACLResourcePatternType,
    ResourcePattern,
    ResourcePatternFilter,
    ResourceType,
    ScramMechanism,
    UserScramCredentialDeletion,
    UserScramCredentialUpsertion,
)
from kafka.errors import (
    AuthorizationError,
    KafkaConnectionError,
    KafkaError,
    KafkaTimeoutError,
    SecurityDisabledError,
)

from hub.contracts.agreements import Agreement
from hub.contracts.kafka_connection import KafkaConnection, brief
from hub.contracts.topics import AGENCY_RIGHTS, READ, WRITE, agency_topics, hub_topics
from hub.errors import Fatal, Retriable

HUB_USER = "jisr-hub"
_AGENCY_PREFIX = "jisr-agency-"
_PRINCIPAL = "User:"
_CONNECT_MS, _TIMEOUT_MS = 10_000, 30_000
# Twice what Kafka asks for at least: a stolen copy of the metadata log costs more to search.
_ITERATIONS = 8192
_OPERATIONS = {READ: ACLOperation.READ, WRITE: ACLOperation.WRITE}


class NoAuthorizer(Fatal):
    """Kafka keeps no rights: everybody may do everything. Its server.properties must name an authorizer."""


@dataclass(frozen=True)
class Access:
    """What a release means for users. `ended`: users of agencies whose agreement is over but still in the
    release: they keep what they have, to be told what they may hold no more, until they are retired."""

    rights: frozenset[ACL]
    users: tuple[str, ...]
    ended: frozenset[str]


@dataclass(frozen=True)
class Difference:
    """What a cluster lacks of an `Access`, and has beyond it: rights, and users of ours with a password.

    `unknown`: users that have no password there; `leftover`: those who have one, and no agreement.
    """

    lacking: Sequence[ACL]
    beyond: Sequence[ACL]
    unknown: Sequence[str]
    leftover: Sequence[str]

    @property
    def in_order(self) -> bool:
        """Users without a password may sign in by other means: that alone is nothing wrong."""
        return not (self.lacking or self.beyond or self.leftover)


def agency_user(agency: str) -> str:
    """The Kafka user of an agency."""
    return _AGENCY_PREFIX + agency


def release_access(
    partitions: Mapping[str, int], agreements: Iterable[Agreement], group: str, today: datetime.date
) -> Access:
    """What a release allows; `group` is the prefix of the workers' consumer groups. Asks nobody."""
    rights = {_right(HUB_USER, READ, spec.name) for spec in hub_topics(partitions)}
    rights |= {_right(HUB_USER, WRITE, spec.name) for spec in hub_topics(partitions)}
    rights.add(_groups(HUB_USER, group))
    users, ended = [HUB_USER], set()
    for agreement in agreements:
        user = agency_user(agreement.agency)
        users.append(user)
        rights |= set(_agency_rights(agreement, partitions))
        if agreement.until < today:
            ended.add(user)
    return Access(frozenset(rights), tuple(users), frozenset(ended))


def compare_access(kafka: KafkaConnection, wanted: Access) -> Difference:
    """How a cluster differs; changes nothing. Blocks. Raises `NoAuthorizer`, and `Fatal` if refused."""
    with _connected(kafka) as client:
        return _compare(client, wanted)


def apply_access(kafka: KafkaConnection, wanted: Access) -> Difference:
    """Put a release's rights in force, and return what differed. Idempotent; makes no password.

    What is new is allowed before anything is taken away: nobody is cut off who stays.
    """
    with _connected(kafka) as client:
        found = _compare(client, wanted)
        _allow(client, found.lacking)
        _disallow(client, found.beyond)
        _forget_passwords(client, found.leftover)
        return found


def end_access(kafka: KafkaConnection, agency: str) -> int:
    """Take an agency's rights and password away; how many rights it had. Its open connections can then do
    nothing more. Raises `NoAuthorizer`, and `Fatal` if refused."""
    user = agency_user(agency)
    with _connected(kafka) as client:
        held = [right for right in _managed(client) if _user(right) == user]
        _disallow(client, held)
        _forget_passwords(client, [user] if user in _with_password(client) else [])
        return len(held)


def set_password(kafka: KafkaConnection, user: str, password: str) -> None:
    """Make the user's password, or replace it: the old one opens no connection any more."""
    if not is_ours(user):
        raise Fatal(f"{user}: not a user of ours; those are {HUB_USER} and {_AGENCY_PREFIX}AGENCY")
    with _connected(kafka) as client:
        upsertion = UserScramCredentialUpsertion(
            user, ScramMechanism.SCRAM_SHA_512, password, iterations=_ITERATIONS
        )
        _altered(client.alter_user_scram_credentials([upsertion]))


def is_ours(user: str) -> bool:
    """Whether a Kafka user is one that this file manages; others are nobody's business here."""
    return user == HUB_USER or user.startswith(_AGENCY_PREFIX)


def told(right: ACL) -> str:
    """A right in one line."""
    pattern = right.resource_pattern
    more = "…" if pattern.pattern_type == ACLResourcePatternType.PREFIXED else ""
    verb = "may" if right.permission_type == ACLPermissionType.ALLOW else "must not"
    host = "" if right.host == "*" else f" from {right.host}"
    operation, kind = right.operation.name.lower(), pattern.resource_type.name.lower()
    return f"{_user(right)} {verb} {operation} {kind} {pattern.resource_name}{more}{host}"


def in_order(rights: Iterable[ACL]) -> list[ACL]:
    """Rights as a person reads them: by user, then by what they are about."""
    return sorted(rights, key=lambda one: (one.principal, one.resource_pattern.resource_name, one.operation))


def _agency_rights(agreement: Agreement, partitions: Mapping[str, int]) -> Iterator[ACL]:
    agency, user = agreement.agency, agency_user(agreement.agency)
    for spec in agency_topics(agency, agreement.record_types, partitions):
        *_, record_type, kind = spec.name.split(".")
        # An agency that only hears of a record type has nothing to say there.
        silent = kind == "changes" and record_type not in agreement.publishes
        allowed = () if silent else AGENCY_RIGHTS[kind]
        yield from (_right(user, operation, spec.name) for operation in allowed)
        yield _right(HUB_USER, READ, spec.name)
        if WRITE not in AGENCY_RIGHTS[kind]:
            yield _right(HUB_USER, WRITE, spec.name)
    # A dot is in no agency's name: `ads.` is no beginning of what belongs to `ads-south`.
    yield _groups(user, f"{agency}.")


def _right(user: str, operation: str, topic: str) -> ACL:
    return _acl(user, _OPERATIONS[operation], ResourcePattern(ResourceType.TOPIC, topic))


def _groups(user: str, prefix: str) -> ACL:
    pattern = ResourcePattern(ResourceType.GROUP, prefix, ACLResourcePatternType.PREFIXED)
    return _acl(user, ACLOperation.READ, pattern)


def _acl(user: str, operation: ACLOperation, pattern: ResourcePattern) -> ACL:
    # Reading and writing imply describing (KIP-133), and writing implies idempotence (KIP-679).
    return ACL(_PRINCIPAL + user, "*", operation, ACLPermissionType.ALLOW, pattern)


def _user(right: ACL) -> str:
    return str(right.principal).removeprefix(_PRINCIPAL)


@contextmanager
def _connected(kafka: KafkaConnection) -> Iterator[KafkaAdminClient]:
    try:
        client = KafkaAdminClient(
            **kafka.options(),
            client_id="jisr-access",
            bootstrap_timeout_ms=_CONNECT_MS,
            request_timeout_ms=_TIMEOUT_MS,
        )
        try:
            yield client
        finally:
            client.close()
    except SecurityDisabledError as error:
        raise NoAuthorizer(
            f"Kafka at {kafka} has no authorizer, so everybody may do everything: set authorizer.class.name "
            "in its server.properties (docs/operators.md, Users and rights)"
        ) from error
    except AuthorizationError as error:
        raise Fatal(
            f"Kafka at {kafka} refuses: {error}; rights and passwords are an administrator's to change: "
            "set JISR_KAFKA_USER to one of its super.users"
        ) from error
    except (KafkaConnectionError, KafkaTimeoutError) as error:
        raise Retriable(f"Kafka at {kafka} does not answer: {brief(error)}{kafka.trouble()}") from error
    except KafkaError as error:
        raise Fatal(f"Kafka at {kafka} refuses to show or change rights: {error}") from error


def _compare(client: KafkaAdminClient, wanted: Access) -> Difference:
    held, due = (
        {right for right in rights if _user(right) not in wanted.ended}
        for rights in (_managed(client), wanted.rights)
    )
    known = _with_password(client)
    return Difference(
        in_order(due - held),
        in_order(held - due),
        [user for user in wanted.users if user not in known | wanted.ended],
        sorted(user for user in known if is_ours(user) and user not in wanted.users),
    )


def _managed(client: KafkaAdminClient) -> list[ACL]:
    everything = ACLFilter(
        None,
        None,
        ACLOperation.ANY,
        ACLPermissionType.ANY,
        ResourcePatternFilter(ResourceType.ANY, None, ACLResourcePatternType.ANY),
    )
    found, _ = client.describe_acls(everything)
    return [right for right in found if is_ours(_user(right))]


def _with_password(client: KafkaAdminClient) -> set[str]:
    return set(client.describe_user_scram_credentials())


def _allow(client: KafkaAdminClient, rights: Sequence[ACL]) -> None:
    if rights and (failed := client.create_acls(list(rights))["failed"]):
        raise failed[0](f"{len(failed)} of {len(rights)} rights cannot be given")


def _disallow(client: KafkaAdminClient, rights: Sequence[ACL]) -> None:
    # A right names itself exactly: nothing else is matched.
    for _, _, error in client.delete_acls(list(rights)) if rights else ():
        if error.errno:
            raise error("a right cannot be taken away")


def _forget_passwords(client: KafkaAdminClient, users: Sequence[str]) -> None:
    described = client.describe_user_scram_credentials(list(users)) if users else {}
    deletions = [
        UserScramCredentialDeletion(user, one["mechanism"])
        for user, found in described.items()
        for one in found["credential_infos"]
    ]
    if deletions:
        _altered(client.alter_user_scram_credentials(deletions))


def _altered(answer: Mapping[str, Any]) -> None:
    if refused := {user: message for user, message in answer.items() if message is not None}:
        raise Fatal(
            "; ".join(f"the password of {user} cannot be changed: {m}" for user, m in refused.items())
        )
