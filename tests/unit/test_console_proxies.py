"""Who calls the console, as its limits count: the real process, trusting nobody or the proxy before it."""

from __future__ import annotations

import os
import subprocess
import sys
import time

import httpx
import pytest
from click.testing import CliRunner
from starlette.requests import Request
from support.console import ROOT, form_token

from hub.cli import jisr
from hub.console.limits import caller
from hub.errors import ConfigurationError
from hub.local import ports
from hub.serving import proxies_of

WAIT_S = 180
# As long as nobody may come in, neither store nor Kafka is asked.
ELSEWHERE = {
    "JISR_BOOTSTRAP": "127.0.0.1:9",
    "JISR_REGISTRY_URL": "http://127.0.0.1:9",
    "JISR_STORE_URL": "postgresql+psycopg://nobody@127.0.0.1:9/none",
    "JISR_SECRET_FILE": str(ROOT / "nowhere"),
}


def wrong_codes(client: httpx.Client, forwarded: list[str]) -> list[int]:
    """The status of a wrong code for each X-Forwarded-For."""
    fields = {"csrf": form_token(client.get("/sign-in")), "code": "wrong", "name": "S", "role": "operator"}
    return [
        client.post("/sign-in", data=fields, headers={"X-Forwarded-For": one}).status_code
        for one in forwarded
    ]


@pytest.mark.parametrize("trusted", ["", "127.0.0.1, 192.0.2.0/24"])
def test_attempts_are_counted_by_who_makes_them_whatever_they_say(trusted: str) -> None:
    port = ports.assign(["console"], {})["console"]
    command = [sys.executable, "-c", "from hub.cli import main; main()", "console", "--port", str(port)]
    # What uvicorn would read by itself does not count.
    settings = {"JISR_CONSOLE_TRUSTED_PROXIES": trusted, "FORWARDED_ALLOW_IPS": "*"}
    console = subprocess.Popen(
        command, cwd=ROOT, env={**os.environ, **ELSEWHERE, **settings}, stdout=subprocess.DEVNULL
    )
    try:
        deadline = time.monotonic() + WAIT_S
        while not ports.accepts(port):
            assert console.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.1)
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=WAIT_S) as client:
            # As an attacker varies it, and a proxy appends where they come from; a second one is passed, too.
            invented = [f"198.51.100.{n}, 203.0.113.7, 192.0.2.9" for n in range(11)]
            assert wrong_codes(client, invented) == [400] * 10 + [429]
            # Somebody else behind the same proxy; without one that is trusted there is no telling them apart.
            assert wrong_codes(client, ["203.0.113.8"]) == [400 if trusted else 429]
    finally:
        console.terminate()
        assert console.wait(WAIT_S) == 0


@pytest.mark.parametrize(
    ("given", "complaint"),
    [
        ("proxy.example", "'proxy.example' is no address"),
        ("192.0.2.7, 192.0.2.7/24", "'192.0.2.7/24' is no address"),
        ("*", r"'\*' is no address"),
        ("0.0.0.0/0", "everybody is in"),
        ("::/0", "everybody is in"),
    ],
)
def test_a_proxy_that_cannot_be_told_stops_a_start(given: str, complaint: str) -> None:
    result = CliRunner().invoke(jisr, ["console", "--port", "1", "--trusted-proxies", given])
    assert isinstance(result.exception, ConfigurationError)
    with pytest.raises(ConfigurationError, match=f"JISR_CONSOLE_TRUSTED_PROXIES: .*{complaint}|{complaint}"):
        raise result.exception


def test_proxies_are_addresses_and_networks() -> None:
    given = " 192.0.2.7,10.9.0.0/24 ,, 2001:db8::/32"
    assert proxies_of(given, "X") == ("192.0.2.7", "10.9.0.0/24", "2001:db8::/32")
    assert proxies_of("", "X") == ()


@pytest.mark.parametrize(
    ("host", "counted"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2::9", "2001:db8:1:2::/64"),
        ("unknown", "unknown"),
    ],
)
def test_one_household_has_one_count(host: str, counted: str) -> None:
    assert caller(Request({"type": "http", "client": (host, 5)})) == counted
