"""Looking into Kafka, on a real one."""

from __future__ import annotations

import time
from contextlib import closing

from hub.contracts.topics import TopicSpec
from hub.local.stack import Stack
from hub.ops.log_reader import LogReader
from hub.ops.provision import provision_topics

WITHIN_S = 60


def test_what_the_client_has_forgotten_is_asked_for_all_the_same(stack: Stack) -> None:
    """kafka-python keeps in mind what it reads, and answers for that alone where it is asked for more."""
    provision_topics(stack.endpoints.kafka, [TopicSpec("remembered", 1), TopicSpec("forgotten", 2)])
    with closing(LogReader(stack.endpoints.kafka)) as log:
        places, missing = log.places(["remembered", "forgotten"])
        assert not missing
        assert log.ends(places).keys() == set(places)
        # In production that takes five minutes.
        log._consumer._cluster.config["metadata_max_age_ms"] = 100
        log._consumer.assign(log._known([("remembered", 0)]))
        deadline = time.monotonic() + WITHIN_S
        while log._consumer._cluster.partitions_for_topic("forgotten") is not None:
            assert time.monotonic() < deadline
            log._consumer.poll(timeout_ms=100)
        log._consumer._cluster.config["metadata_max_age_ms"] = 300_000
        assert log.ends(places) == log.beginnings(places) == dict.fromkeys(places, 0)
