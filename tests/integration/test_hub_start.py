"""A hub worker that is started while Kafka is away: it asks again, and then writes."""

from __future__ import annotations

import asyncio
import socket
import uuid
from pathlib import Path

import pytest
from aiokafka.errors import KafkaError
from click.testing import CliRunner

from hub.app import Hub, serve
from hub.contracts.topics import TopicSpec
from hub.errors import ConfigurationError
from hub.lanes.messages import OutMessage
from hub.local.stack import Stack
from hub.ops.provision import provision_topics
from hub.settings import HubSettings


def closed_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def test_a_worker_that_was_started_while_kafka_was_away_publishes_once_it_is_there(
    stack: Stack, tmp_path: Path
) -> None:
    topic = f"started-{uuid.uuid4().hex[:10]}"
    provision_topics(stack.endpoints.kafka, [TopicSpec(topic, 1)])
    (tmp_path / "secret").write_bytes(b"a secret of the tests, long enough")

    async def start() -> None:
        hub = Hub(
            HubSettings(
                bootstrap=f"127.0.0.1:{closed_port()}",
                registry_url="http://127.0.0.1:9",
                store_url=stack.endpoints.store,
                secret_file=tmp_path / "secret",
            )
        )
        # A lane asks again and again; none of these may be taken for a writer.
        for _ in range(2):
            with pytest.raises(KafkaError):
                await hub._writer()
        hub.settings = hub.settings.model_copy(update={"bootstrap": stack.endpoints.bootstrap})
        try:
            writer = await hub._writer()
            message = OutMessage(topic, b"key", b"value", ())
            places = await asyncio.wait_for(writer.publish([message], [message]), 60)
            assert places == {(topic, b"key"): (0, 0)}
        finally:
            await hub.close()

    asyncio.run(start())


def test_a_worker_whose_port_is_taken_says_so_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "secret").write_bytes(b"a secret of the tests, long enough")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        environment = {
            "JISR_BOOTSTRAP": "127.0.0.1:9",
            "JISR_REGISTRY_URL": "http://127.0.0.1:9",
            "JISR_STORE_URL": "postgresql://hub@127.0.0.1:9/hub",
            "JISR_SECRET_FILE": str(tmp_path / "secret"),
            "JISR_WEB_PORT": str(port),
        }
        ended = CliRunner().invoke(serve, env=environment)
    assert isinstance(ended.exception, ConfigurationError)
    assert f"127.0.0.1:{port} cannot be listened on" in str(ended.exception)
