"""`jisr topics` on a real Kafka: what is missing or differs is told, made or mended; nothing is deleted."""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from kafka import KafkaAdminClient
from kafka.admin import ConfigResource

from hub.cli import jisr
from hub.contracts.topics import TopicSpec, changes, dead_letters, notices, receipts
from hub.errors import Retriable
from hub.local import ports
from hub.local.stack import Stack
from hub.ops.provision import provision_topics


@pytest.fixture
def name() -> str:
    return f"topics-{uuid.uuid4().hex[:8]}"


@pytest.fixture
def admin(stack: Stack) -> Iterator[KafkaAdminClient]:
    client = KafkaAdminClient(bootstrap_servers=stack.endpoints.bootstrap)
    yield client
    client.close()


def setting(admin: KafkaAdminClient, topic: str, key: str, wanted: str) -> str:
    """The topic's setting, waited for: a broker tells of a change a moment after it was acknowledged."""
    until = time.monotonic() + 20
    while (found := _setting(admin, topic, key)) != wanted and time.monotonic() < until:
        time.sleep(0.05)
    return found


def _setting(admin: KafkaAdminClient, topic: str, key: str) -> str:
    described = admin.describe_configs([ConfigResource("TOPIC", topic)], config_filter="all")
    return str(described["topic"][topic][key]["value"])


@pytest.fixture
def release(stack: Stack, name: str, tmp_path: Path) -> Callable[..., Result]:
    """Runs `jisr topics` for the release's one record type and one agency that nobody else has."""
    records = tmp_path / "schemas" / "records"
    records.mkdir(parents=True)
    path = Path(__file__).parents[2] / "schemas" / "records" / "centre.avsc"
    text = path.read_text(encoding="utf-8").replace('"centre"', '"centre_x"').replace("entraide", name)
    (records / "centre_x.avsc").write_text(text, encoding="utf-8")
    (tmp_path / "agreements").mkdir()
    (tmp_path / "agreements" / "one.yaml").write_text(
        f"agency: {name}\nname: {{ar: وكالة, fr: Agence, en: Agency}}\nuntil: 2099-12-31\n"
        "snapshot: false\npublishes:\n  centre_x: [name_fr]\nreceives: {}\n"
    )
    release = {
        "JISR_BOOTSTRAP": stack.endpoints.bootstrap,
        "JISR_SCHEMAS": str(tmp_path / "schemas"),
        "JISR_AGREEMENTS": str(tmp_path / "agreements"),
    }

    def run(*arguments: str) -> Result:
        return CliRunner().invoke(jisr, ["topics", *arguments], env=release)

    return run


def test_the_command_tells_what_is_needed_and_makes_it(
    admin: KafkaAdminClient, name: str, release: Callable[..., Result]
) -> None:
    needed = {one["topic"]: one for one in json.loads(release("list", "--json").stdout)}
    assert {changes(name, "centre_x"), dead_letters(name), notices(name), "hub.links"} <= needed.keys()
    assert needed[changes(name, "centre_x")]["partitions"] == 6
    assert f"{changes(name, 'centre_x')}" in release("list").stdout

    checked = release("check")
    assert checked.exit_code == 1
    assert f"topic {changes(name, 'centre_x')} is missing: `jisr topics create` makes it" in checked.stdout
    dry = release("create", "--dry-run")
    assert (dry.exit_code, f"would make {dead_letters(name)}: 1 partitions" in dry.stdout) == (0, True)
    assert dead_letters(name) not in admin.list_topics()

    made = release("create")
    assert made.exit_code == 0, made.output
    assert f"making {dead_letters(name)}" in made.stdout
    assert f"{len(needed)} topics are in order" in made.stdout
    assert needed.keys() <= set(admin.list_topics())

    again = release("check")
    assert (again.exit_code, again.stdout.splitlines()[-1]) == (
        0, f"{len(needed)} of {len(needed)} topics are in order",
    )  # fmt: skip
    assert release("create", "--dry-run").stdout == "nothing to do\n"
    assert release("create").stdout == f"{len(needed)} topics are in order, 0 of them made now\n"


def test_the_command_tells_what_differs_and_how_to_mend_it(
    stack: Stack, admin: KafkaAdminClient, name: str, release: Callable[..., Result]
) -> None:
    release("create")
    short = {"retention.ms": "1000"}
    admin.alter_configs(
        [ConfigResource("TOPIC", dead_letters(name), short)], raise_on_unknown=False, incremental=True
    )
    assert setting(admin, dead_letters(name), "retention.ms", "1000") == "1000"
    checked = release("check")
    assert checked.exit_code == 1
    words = "retention.ms is 1000, should be 7776000000; `jisr topics create` puts it right"
    assert f"topic {dead_letters(name)} differs: {words}" in checked.stdout
    told = json.loads(release("check", "--json").stdout)["topics"]
    (found,) = [one for one in told if one["state"] != "in_order"]
    assert (found["topic"], found["state"], found["settings_found"]) == (dead_letters(name), "differs", short)
    assert f"would put right {dead_letters(name)}: retention.ms is" in release("create", "--dry-run").stdout
    assert setting(admin, dead_letters(name), "retention.ms", "1000") == "1000"
    assert release("create").exit_code == 0
    assert setting(admin, dead_letters(name), "retention.ms", "7776000000") == "7776000000"


def test_other_partitions_are_told_and_left(
    stack: Stack, admin: KafkaAdminClient, name: str, release: Callable[..., Result]
) -> None:
    provision_topics(stack.endpoints.kafka, [TopicSpec(changes(name, "centre_x"), 2)])
    words = f"topic {changes(name, 'centre_x')} has 2 partitions, this release needs 6"
    assert (release("check").exit_code, words in release("check").stdout) == (1, True)
    dry = release("create", "--dry-run")
    assert (dry.exit_code, words in dry.stderr) == (1, True)
    refused = release("create")
    assert (refused.exit_code, words in str(refused.exception)) == (1, True)
    assert dead_letters(name) in admin.list_topics()
    assert len(admin.describe_topics([changes(name, "centre_x")])[0]["partitions"]) == 2


def test_topics_of_an_agency_that_left_are_told_and_kept(
    stack: Stack, admin: KafkaAdminClient, name: str, release: Callable[..., Result]
) -> None:
    release("create")
    left, foreign = receipts(f"{name}-left"), f"{name}.orders"
    provision_topics(stack.endpoints.kafka, [TopicSpec(left, 1), TopicSpec(foreign, 1)])
    checked = release("check")
    assert checked.exit_code == 0
    assert f"topic {left} is not needed by this release" in checked.stdout
    assert foreign not in checked.stdout
    assert left in json.loads(release("check", "--json").stdout)["unneeded"]
    release("create")
    assert {left, foreign} <= set(admin.list_topics())


@pytest.mark.campaign
def test_a_kafka_that_is_away_is_one_message(release: Callable[..., Result], name: str) -> None:
    closed = ports.assign(["nobody"], {})["nobody"]
    refused = release("check", "--bootstrap", f"127.0.0.1:{closed}")
    assert isinstance(refused.exception, Retriable)
