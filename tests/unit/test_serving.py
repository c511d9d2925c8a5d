"""HTTP by TLS: what a server shows, and what the registry's clients check it by."""

from __future__ import annotations

import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from hub.contracts.registry_client import RegistryClient
from hub.errors import ConfigurationError, Retriable
from hub.local import ports
from hub.local.tls import broker_certificate
from hub.serving import Tls, serve, tls_of

WAIT_S = 180
SERVER = """
import sys
from pathlib import Path
from starlette.applications import Starlette
from starlette.responses import JSONResponse
from starlette.routing import Route
from hub.serving import Tls, serve
app = Starlette(routes=[Route("/subjects", lambda _: JSONResponse(["a-value"]))])
serve(app, "127.0.0.1", int(sys.argv[1]), grace_s=1, tls=Tls(Path(sys.argv[2]), Path(sys.argv[2])))
"""


def test_a_registry_is_checked_by_the_authority_that_is_named(tmp_path: Path) -> None:
    shown, other = broker_certificate(tmp_path / "shown"), broker_certificate(tmp_path / "other")
    port = ports.assign(["registry"], {})["registry"]
    url = f"https://127.0.0.1:{port}"
    process = subprocess.Popen([sys.executable, "-c", SERVER, str(port), str(shown.keystore)])
    try:
        deadline = time.monotonic() + WAIT_S
        while not ports.accepts(port):
            assert process.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.1)
        assert RegistryClient(url, ca_file=shown.ca_file).subjects() == {"a-value"}
        for wrong in (RegistryClient(url, ca_file=other.ca_file), RegistryClient(url)):
            with pytest.raises(Retriable, match="certificate verify failed"):
                wrong.subjects()
    finally:
        process.terminate()
        assert process.wait(WAIT_S) == 0


def test_files_that_cannot_be_used_stop_a_start(tmp_path: Path) -> None:
    text = tmp_path / "text"
    text.write_text("")
    with pytest.raises(ConfigurationError, match=f"JISR_REGISTRY_CA_FILE: {text}"):
        RegistryClient("https://127.0.0.1:9", ca_file=text)
    with pytest.raises(ConfigurationError, match="cannot be used"):
        serve(None, "127.0.0.1", 9, grace_s=1, tls=Tls(text, text))
    for alone in ((text, None), (None, text)):
        with pytest.raises(ConfigurationError, match="JISR_X_CERTIFICATE_FILE and JISR_X_KEY_FILE belong"):
            tls_of(*alone, "JISR_X")


def test_a_port_that_is_taken_is_named_in_one_line() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(ConfigurationError, match=f"127.0.0.1:{port} cannot be listened on: .*in use"):
            serve(None, "127.0.0.1", port, grace_s=1)
