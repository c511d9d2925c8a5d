"""Topics are made as the release says, kept so, and never given other partitions."""

from __future__ import annotations

import uuid
from collections.abc import Iterator

import pytest
from kafka import KafkaAdminClient
from kafka.admin import ConfigResource

from hub.contracts.topics import TopicSpec
from hub.errors import Fatal, Retriable
from hub.local import ports
from hub.local.stack import Stack
from hub.ops.provision import provision_topics


@pytest.fixture
def name() -> str:
    return f"provision-{uuid.uuid4().hex[:8]}"


@pytest.fixture
def admin(stack: Stack) -> Iterator[KafkaAdminClient]:
    client = KafkaAdminClient(bootstrap_servers=stack.endpoints.bootstrap)
    yield client
    client.close()


def setting(admin: KafkaAdminClient, topic: str, key: str) -> str:
    described = admin.describe_configs([ConfigResource("TOPIC", topic)], config_filter="all")
    return str(described["topic"][topic][key]["value"])


def test_makes_what_is_missing_and_only_that(stack: Stack, admin: KafkaAdminClient, name: str) -> None:
    first = TopicSpec(f"{name}.a", 3, {"cleanup.policy": "compact"})
    second = TopicSpec(f"{name}.b", 1)
    bootstrap = stack.endpoints.bootstrap

    assert provision_topics(bootstrap, [first]) == [first.name]
    assert provision_topics(bootstrap, [first, second]) == [second.name]
    assert provision_topics(bootstrap, [first, second]) == []

    partitions = {t["name"]: len(t["partitions"]) for t in admin.describe_topics([first.name, second.name])}
    assert partitions == {first.name: 3, second.name: 1}
    assert setting(admin, first.name, "cleanup.policy") == "compact"


def test_no_topics_are_no_work(stack: Stack) -> None:
    assert provision_topics(stack.endpoints.bootstrap, []) == []


def test_puts_settings_right_and_leaves_others_alone(
    stack: Stack, admin: KafkaAdminClient, name: str
) -> None:
    bootstrap = stack.endpoints.bootstrap
    provision_topics(bootstrap, [TopicSpec(name, 1, {"retention.ms": "1000", "max.message.bytes": "5000"})])

    changed = TopicSpec(name, 1, {"retention.ms": "2000", "message.timestamp.type": "LogAppendTime"})
    assert provision_topics(bootstrap, [changed]) == []

    assert setting(admin, name, "retention.ms") == "2000"
    assert setting(admin, name, "message.timestamp.type") == "LogAppendTime"
    assert setting(admin, name, "max.message.bytes") == "5000"


def test_another_number_of_partitions_is_fatal(stack: Stack, admin: KafkaAdminClient, name: str) -> None:
    bootstrap = stack.endpoints.bootstrap
    provision_topics(bootstrap, [TopicSpec(name, 2)])

    with pytest.raises(Fatal, match=rf"{name} has 2 partitions, this release needs 3"):
        provision_topics(bootstrap, [TopicSpec(name, 3)])

    assert len(admin.describe_topics([name])[0]["partitions"]) == 2


@pytest.mark.parametrize(
    "config", [{"retention.ms": "soon"}, {"no.such.setting": "1"}], ids=["bad value", "unknown setting"]
)
def test_a_setting_that_kafka_refuses_is_fatal(stack: Stack, name: str, config: dict[str, str]) -> None:
    bootstrap = stack.endpoints.bootstrap
    with pytest.raises(Fatal, match=name):
        provision_topics(bootstrap, [TopicSpec(name, 1, config)])

    provision_topics(bootstrap, [TopicSpec(name, 1)])
    with pytest.raises(Fatal, match=name):
        provision_topics(bootstrap, [TopicSpec(name, 1, config)])


def test_a_broker_that_is_away_is_retriable(name: str) -> None:
    closed = ports.assign(["nobody"], {})["nobody"]
    with pytest.raises(Retriable, match="does not answer"):
        provision_topics(f"127.0.0.1:{closed}", [TopicSpec(name, 1)], {"bootstrap_timeout_ms": 500})
