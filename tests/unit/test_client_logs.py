"""What Kafka's clients log while a broker is away: each thing now and then, in one line."""

from __future__ import annotations

import logging

import pytest
from mode.utils.logging import ExtensionFormatter

from hub.contracts.client_logs import SAME_EVERY_S, Sparing


def test_a_client_says_the_same_thing_now_and_then_and_in_one_line(caplog: pytest.LogCaptureFixture) -> None:
    now = [0.0]
    logger = logging.getLogger("tests.client_logs")
    logger.propagate = False
    sparing = Sparing(lambda: now[0])
    logger.addHandler(sparing)
    child = logger.getChild("conn")
    for number in range(50):
        child.error("Unable connect to node %s", number)
        child.error(f"Expiring {number} records")
    child.warning("Got error")
    now[0] = SAME_EVERY_S
    child.error("Unable connect to node %s", 7, exc_info=ConnectionResetError("by peer"))
    logger.removeHandler(sparing)
    assert [(record.levelname, record.getMessage()) for record in caplog.records] == [
        ("ERROR", "Unable connect to node 0"),
        ("ERROR", "Expiring 0 records"),
        ("WARNING", "Got error"),
        ("ERROR", "Unable connect to node 7: ConnectionResetError('by peer') (and 49 times before)"),
    ]
    # As a worker writes it.
    (_, _, _, last) = (ExtensionFormatter(fmt="%(message)s").format(record) for record in caplog.records)
    assert "Unable connect to node 7" in last
    assert "Traceback" not in last
