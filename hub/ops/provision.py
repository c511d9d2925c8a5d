"""Topics as code: what the release says must exist, compared with and made on any Kafka cluster.

Nothing here deletes a topic, or changes how many partitions it has.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from kafka import KafkaAdminClient
from kafka.admin import ConfigResource
from kafka.errors import (
    KafkaConnectionError,
    KafkaError,
    KafkaTimeoutError,
    TopicAlreadyExistsError,
    for_code,
)

from hub.contracts.agreements import Agreement
from hub.contracts.kafka_connection import KafkaConnection, brief
from hub.contracts.topics import TopicSpec, agency_topics, hub_topics
from hub.errors import Fatal, Retriable

_TIMEOUT_MS = 30_000
_ALREADY_EXISTS: int = TopicAlreadyExistsError.errno

_OURS = re.compile(
    r"hub\.links|hub\.[a-z_]+\.(golden|assertions)"
    r"|[a-z][a-z0-9-]+\.(dlq|notices|receipts|control|state|[a-z_]+\.(changes|inbox))"
)

Settings = dict[str, dict[str, str]]  # topic → setting → value


@dataclass(frozen=True)
class Standing:
    """One topic as it is, beside what it must be.

    `partitions`: how many it has, None if there is no such topic; `settings`: those that differ from the
    specification, as they are (None where Kafka knows no such setting). `found`: all that the specification
    speaks of, as they are.
    """

    spec: TopicSpec
    partitions: int | None
    settings: Mapping[str, str | None] = field(default_factory=dict)
    found: Mapping[str, str | None] = field(default_factory=dict)

    @property
    def missing(self) -> bool:
        return self.partitions is None

    @property
    def misdivided(self) -> bool:
        """Whether it has another number of partitions: nothing here can mend that (R4)."""
        return self.partitions not in (None, self.spec.partitions)

    @property
    def in_order(self) -> bool:
        return not (self.missing or self.misdivided or self.settings)


def release_topics(partitions: Mapping[str, int], agreements: Iterable[Agreement]) -> list[TopicSpec]:
    """All topics that a release needs: its record types with their `partitions`, and its agreements."""
    topics = list(hub_topics(partitions))
    for agreement in agreements:
        topics += agency_topics(agreement.agency, agreement.record_types, partitions)
    return topics


def compare_topics(
    kafka: KafkaConnection, topics: Iterable[TopicSpec], client_options: Mapping[str, Any] | None = None
) -> tuple[list[Standing], list[str]]:
    """How each topic stands, in the order given, and which others there are, by name. Changes nothing.

    `client_options` go to kafka-python's admin client. Blocks. Raises Retriable if Kafka does
    not answer, Fatal if it refuses to.
    """
    wanted = list(topics)
    with _connected(kafka, client_options) as client:
        existing = set(client.list_topics())
        others = sorted(existing - {spec.name for spec in wanted})
        return _compare(client, wanted, existing), others


def provision_topics(
    kafka: KafkaConnection, topics: Iterable[TopicSpec], client_options: Mapping[str, Any] | None = None
) -> list[str]:
    """Make the topics that are missing, and return their names, in the order given. Idempotent.

    A topic that exists keeps its partitions and gets the settings that differ; settings that `topics`
    does not speak of are left alone, as are a longer retention and the replication factor, which is the
    cluster's own default.
    `client_options` as above. Blocks until each new partition has a leader. Raises Fatal, when all else is
    done, if topics have other numbers of partitions, or as soon as Kafka refuses a change; Retriable if it
    does not answer.
    """
    wanted = {spec.name: spec for spec in topics}
    with _connected(kafka, client_options) as client:
        existing = set(client.list_topics())
        created = _create(client, [spec for name, spec in wanted.items() if name not in existing])
        # Those that another process made in the meantime are compared like any other.
        found = [spec for name, spec in wanted.items() if name not in created]
        standings = _compare(client, found, {spec.name for spec in found})
        _mend_settings(client, [one for one in standings if one.settings])
    if misdivided := [one for one in standings if one.misdivided]:
        raise Fatal("; ".join(map(misdivision, misdivided)))
    return [name for name in wanted if name in created]


def is_ours(topic: str) -> bool:
    """Whether a topic is called as ours are; others on the same cluster are nobody's business here."""
    return _OURS.fullmatch(topic) is not None


def misdivision(standing: Standing) -> str:
    """What is wrong with a topic of another number of partitions, and what can be done."""
    spec = standing.spec
    return (
        f"topic {spec.name} has {standing.partitions} partitions, this release needs "
        f"{spec.partitions}: the count fixes which partition a key belongs to (R4), so it is never "
        "changed in place; move the data to a new topic, or restore the release that made this one"
    )


@contextmanager
def _connected(
    kafka: KafkaConnection, client_options: Mapping[str, Any] | None
) -> Iterator[KafkaAdminClient]:
    try:
        client = KafkaAdminClient(
            **kafka.options(),
            client_id="jisr-provision",
            request_timeout_ms=_TIMEOUT_MS,
            **(client_options or {}),
        )
        try:
            yield client
        finally:
            client.close()
    except (KafkaConnectionError, KafkaTimeoutError) as error:
        raise Retriable(f"Kafka at {kafka} does not answer: {brief(error)}{kafka.trouble()}") from error
    except KafkaError as error:
        raise Fatal(f"Kafka at {kafka} refuses to show, make or change topics: {error}") from error


def _compare(
    client: KafkaAdminClient, specs: Sequence[TopicSpec], existing: Collection[str]
) -> list[Standing]:
    names = [spec.name for spec in specs if spec.name in existing]
    if not names:
        return [Standing(spec, None) for spec in specs]
    counts = {topic["name"]: len(topic["partitions"]) for topic in client.describe_topics(names)}
    settings = _settings(client, names)
    return [
        _standing(spec, counts[spec.name], settings[spec.name])
        if spec.name in existing
        else Standing(spec, None)
        for spec in specs
    ]


def _standing(spec: TopicSpec, partitions: int, settings: Mapping[str, str]) -> Standing:
    found = {key: settings.get(key) for key in spec.config}
    return Standing(spec, partitions, _differing(spec, settings), found)


def _differing(spec: TopicSpec, found: Mapping[str, str]) -> dict[str, str | None]:
    return {
        key: found.get(key) for key, value in spec.config.items() if not _meets(key, value, found.get(key))
    }


def _meets(key: str, wanted: str, found: str | None) -> bool:
    """Whether a setting will do. Who keeps messages for longer has a reason, and shortening it loses them."""
    if key == "retention.ms" and wanted.isdigit() and found is not None:
        return int(found) < 0 or int(found) >= int(wanted)
    return found == wanted


def _create(client: KafkaAdminClient, specs: Sequence[TopicSpec]) -> set[str]:
    if not specs:
        return set()
    answer = client.create_topics(
        {spec.name: {"num_partitions": spec.partitions, "configs": dict(spec.config)} for spec in specs},
        timeout_ms=_TIMEOUT_MS,
        raise_errors=False,
    )
    created = set()
    for topic in answer["topics"]:
        if topic["error_code"] == 0:
            created.add(topic["name"])
        elif topic["error_code"] != _ALREADY_EXISTS:
            reason = topic.get("error_message") or for_code(topic["error_code"]).__name__
            raise Fatal(f"topic {topic['name']} cannot be made: {reason}")
    client.wait_for_topics([spec.name for spec in specs], timeout_ms=_TIMEOUT_MS)
    return created


def _mend_settings(client: KafkaAdminClient, standings: Sequence[Standing]) -> None:
    changes = {one.spec.name: {key: one.spec.config[key] for key in one.settings} for one in standings}
    if not changes:
        return
    resources = [ConfigResource("TOPIC", name, configs) for name, configs in changes.items()]
    answer = client.alter_configs(resources, raise_on_unknown=False, incremental=True)
    for name, result in answer["topic"].items():
        if result != "OK":
            raise Fatal(f"topic {name}: settings {changes[name]} are refused: {result}")


def _settings(client: KafkaAdminClient, names: Sequence[str]) -> Settings:
    resources = [ConfigResource("TOPIC", name) for name in names]
    described = client.describe_configs(resources, config_filter="all")["topic"]
    return {
        name: {key: entry["value"] for key, entry in settings.items()} for name, settings in described.items()
    }
