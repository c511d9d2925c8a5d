"""An agency's database that cannot be reached: said with where and why, and without a password."""

from __future__ import annotations

import socket

import pytest

from connectors.compose import database
from hub.errors import ConfigurationError, Retriable


@pytest.mark.parametrize("url", ["postgresql://u:s3cret@host:port/db", "postgresql://u:s3:cret@[::1/db"])
def test_a_port_that_is_no_number_is_named(url: str) -> None:
    with pytest.raises(ConfigurationError, match="its port is no number") as refusal:
        database(url)
    assert "s3" not in str(refusal.value)


def test_a_server_that_does_not_answer_is_named_by_its_address() -> None:
    with socket.socket() as unheard:
        unheard.bind(("127.0.0.1", 0))
        port = unheard.getsockname()[1]
        with pytest.raises(Retriable) as away:
            database(f"postgresql://u:s3cret@127.0.0.1:{port}/db").connect()
    assert f"port {port}" in str(away.value)
    assert "refused" in str(away.value)
    assert "s3" not in str(away.value)
