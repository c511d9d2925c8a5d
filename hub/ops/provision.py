"""Topics as code: what the release says must exist, made and kept so on any Kafka cluster."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
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

from hub.contracts.topics import TopicSpec
from hub.errors import Fatal, Retriable

_TIMEOUT_MS = 30_000
_ALREADY_EXISTS: int = TopicAlreadyExistsError.errno

Settings = dict[str, dict[str, str]]  # topic → setting → value


def provision_topics(
    bootstrap: str, topics: Iterable[TopicSpec], client_options: Mapping[str, Any] | None = None
) -> list[str]:
    """Make the topics that are missing, and return their names, in the order given. Idempotent.

    A topic that exists keeps its partitions and gets the settings that differ; settings that `topics`
    does not speak of are left alone, as is the replication factor, which is the cluster's own default.
    `client_options` go to kafka-python's admin client (TLS, SASL). Blocks until each new partition has a
    leader. Raises Fatal if a topic has another number of partitions, or Kafka refuses a change; Retriable
    if it does not answer.
    """
    wanted = {spec.name: spec for spec in topics}
    try:
        client = KafkaAdminClient(
            bootstrap_servers=bootstrap,
            client_id="jisr-provision",
            request_timeout_ms=_TIMEOUT_MS,
            **(client_options or {}),
        )
        try:
            return _provision(client, wanted)
        finally:
            client.close()
    except (KafkaConnectionError, KafkaTimeoutError) as error:
        raise Retriable(f"Kafka at {bootstrap} does not answer: {error}") from error
    except KafkaError as error:
        raise Fatal(f"Kafka at {bootstrap} refuses to make or change topics: {error}") from error


def _provision(client: KafkaAdminClient, wanted: Mapping[str, TopicSpec]) -> list[str]:
    existing = set(client.list_topics())
    created = _create(client, [spec for name, spec in wanted.items() if name not in existing])
    # Those that another process made in the meantime are checked like any other.
    found = [spec for name, spec in wanted.items() if name not in created]
    if found:
        _check_partitions(client, found)
        _mend_settings(client, found)
    return [name for name in wanted if name in created]


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


def _check_partitions(client: KafkaAdminClient, specs: Sequence[TopicSpec]) -> None:
    counts = {
        topic["name"]: len(topic["partitions"])
        for topic in client.describe_topics([spec.name for spec in specs])
    }
    for spec in specs:
        if counts[spec.name] != spec.partitions:
            raise Fatal(
                f"topic {spec.name} has {counts[spec.name]} partitions, this release needs "
                f"{spec.partitions}: the count fixes which partition a key belongs to (R4), so it is never "
                "changed in place; move the data to a new topic, or restore the release that made this one"
            )


def _mend_settings(client: KafkaAdminClient, specs: Sequence[TopicSpec]) -> None:
    found = _settings(client, [spec.name for spec in specs])
    changes = {
        spec.name: {key: value for key, value in spec.config.items() if found[spec.name].get(key) != value}
        for spec in specs
    }
    resources = [ConfigResource("TOPIC", name, configs) for name, configs in changes.items() if configs]
    if not resources:
        return
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
