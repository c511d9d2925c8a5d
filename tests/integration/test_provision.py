"""Topics are made as the release says, kept so, and never given other partitions."""

from __future__ import annotations

import uuid
from collections.abc import Iterator

import pytest
from kafka import KafkaAdminClient
from kafka.admin import ConfigResource

from hub.contracts.kafka_connection import KafkaConnection
from hub.contracts.topics import TopicSpec
from hub.errors import Fatal, Retriable
from hub.local import ports
from hub.local.stack import Stack
from hub.ops.provision import compare_topics, provision_topics


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
    kafka = stack.endpoints.kafka

    assert provision_topics(kafka, [first]) == [first.name]
    assert provision_topics(kafka, [first, second]) == [second.name]
    assert provision_topics(kafka, [first, second]) == []

    partitions = {t["name"]: len(t["partitions"]) for t in admin.describe_topics([first.name, second.name])}
    assert partitions == {first.name: 3, second.name: 1}
    assert setting(admin, first.name, "cleanup.policy") == "compact"


def test_no_topics_are_no_work(stack: Stack) -> None:
    assert provision_topics(stack.endpoints.kafka, []) == []


def test_puts_settings_right_and_leaves_others_alone(
    stack: Stack, admin: KafkaAdminClient, name: str
) -> None:
    kafka = stack.endpoints.kafka
    provision_topics(kafka, [TopicSpec(name, 1, {"retention.ms": "1000", "max.message.bytes": "5000"})])

    changed = TopicSpec(name, 1, {"retention.ms": "2000", "message.timestamp.type": "LogAppendTime"})
    assert provision_topics(kafka, [changed]) == []

    assert setting(admin, name, "retention.ms") == "2000"
    assert setting(admin, name, "message.timestamp.type") == "LogAppendTime"
    assert setting(admin, name, "max.message.bytes") == "5000"


def test_another_number_of_partitions_is_fatal(stack: Stack, admin: KafkaAdminClient, name: str) -> None:
    kafka = stack.endpoints.kafka
    provision_topics(kafka, [TopicSpec(name, 2)])

    # All else is done first.
    others = [TopicSpec(f"{name}.late", 1), TopicSpec(f"{name}.also", 2)]
    provision_topics(kafka, others[1:])
    wanted = [TopicSpec(name, 3, {"retention.ms": "-1"}), others[0], TopicSpec(others[1].name, 4)]
    words = rf"{name} has 2 partitions, this release needs 3.*; topic {name}.also has 2 partitions"
    with pytest.raises(Fatal, match=words):
        provision_topics(kafka, wanted)

    described = admin.describe_topics([spec.name for spec in wanted])
    assert {one["name"]: len(one["partitions"]) for one in described} == {
        name: 2,
        f"{name}.late": 1,
        f"{name}.also": 2,
    }
    assert setting(admin, name, "retention.ms") == "-1"


@pytest.mark.parametrize(("kept", "wanted", "becomes"), [("9000", "8000", "9000"), ("-1", "8000", "-1")])
def test_what_is_kept_for_longer_stays(
    stack: Stack, admin: KafkaAdminClient, name: str, kept: str, wanted: str, becomes: str
) -> None:
    """Shortening a retention would delete what somebody meant to keep."""
    kafka = stack.endpoints.kafka
    provision_topics(kafka, [TopicSpec(name, 1, {"retention.ms": kept})])
    shorter = TopicSpec(name, 1, {"retention.ms": wanted})
    assert compare_topics(kafka, [shorter])[0][0].in_order
    provision_topics(kafka, [shorter])
    assert setting(admin, name, "retention.ms") == becomes


def test_comparing_tells_all_and_changes_nothing(stack: Stack, admin: KafkaAdminClient, name: str) -> None:
    kafka = stack.endpoints.kafka
    provision_topics(kafka, [TopicSpec(f"{name}.{one}", 2, {"retention.ms": "1000"}) for one in "abc"])
    wanted = [
        TopicSpec(f"{name}.a", 2, {"retention.ms": "1000"}),
        TopicSpec(f"{name}.b", 3, {"retention.ms": "2000", "cleanup.policy": "delete"}),
        TopicSpec(f"{name}.missing", 1),
    ]
    fine, differs, missing = (standings := compare_topics(kafka, wanted)[0])
    assert [one.in_order for one in standings] == [True, False, False]
    assert (differs.misdivided, differs.partitions, differs.settings) == (True, 2, {"retention.ms": "1000"})
    assert (missing.missing, missing.misdivided, fine.settings) == (True, False, {})
    assert f"{name}.c" in compare_topics(kafka, wanted)[1]
    assert f"{name}.missing" not in admin.list_topics()
    assert setting(admin, f"{name}.b", "retention.ms") == "1000"


@pytest.mark.parametrize(
    "config", [{"retention.ms": "soon"}, {"no.such.setting": "1"}], ids=["bad value", "unknown setting"]
)
def test_a_setting_that_kafka_refuses_is_fatal(stack: Stack, name: str, config: dict[str, str]) -> None:
    kafka = stack.endpoints.kafka
    with pytest.raises(Fatal, match=name):
        provision_topics(kafka, [TopicSpec(name, 1, config)])

    provision_topics(kafka, [TopicSpec(name, 1)])
    with pytest.raises(Fatal, match=name):
        provision_topics(kafka, [TopicSpec(name, 1, config)])


def test_a_broker_that_is_away_is_retriable(name: str) -> None:
    closed = ports.assign(["nobody"], {})["nobody"]
    with pytest.raises(Retriable, match="does not answer"):
        provision_topics(
            KafkaConnection(f"127.0.0.1:{closed}"), [TopicSpec(name, 1)], {"bootstrap_timeout_ms": 500}
        )
