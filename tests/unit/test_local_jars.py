"""Pinned jars: what the lock file says is what runs, or nothing does."""

from __future__ import annotations

import hashlib
import ssl
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from hub.errors import ConfigurationError, Fatal, Retriable
from hub.local import jars, ports
from hub.local.jars import PinnedJar
from hub.local.tls import broker_certificate

CONTENT = b"class files"
JAR = PinnedJar("org.example", "thing", "1.0", hashlib.sha256(CONTENT).hexdigest())


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    return tmp_path / "cache" / "jars"


class Registry(ThreadingHTTPServer):
    """A Maven repository on the loopback interface. Each entry of `answers` serves one request for a jar:
    the content, None for "not found", or "break" to close the connection half-way."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.answers: list[bytes | str | None] = []
        self.asked: list[str] = []


class Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        assert isinstance(self.server, Registry)
        answer = None
        if not self.path.endswith(".sha1"):
            self.server.asked.append(self.path)
            answer = self.server.answers.pop(0)
        if answer is None:
            self.send_error(404)
        elif isinstance(answer, str):
            self.send_response(200)
            self.send_header("Content-Length", str(len(CONTENT)))
            self.end_headers()
            self.wfile.write(CONTENT[:3])
        else:
            self.send_response(200)
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def registry(monkeypatch: pytest.MonkeyPatch) -> Iterator[Registry]:
    with Registry() as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        monkeypatch.setenv("JISR_MAVEN_MIRROR", f"http://127.0.0.1:{server.server_address[1]}/maven/")
        yield server
        server.shutdown()
        thread.join()


def test_the_release_pins_kafka_and_what_it_needs() -> None:
    pinned = jars.read_lock()
    assert {jar.version for jar in pinned if jar.group == "org.apache.kafka"} == {"4.3.1"}
    assert {"kafka_2.13", "kafka-clients", "log4j-slf4j-impl"} <= {jar.artifact for jar in pinned}
    assert len({jar.file_name for jar in pinned}) == len(pinned)


def test_the_lock_file_holds_no_address() -> None:
    assert "http" not in jars.LOCK_FILE.read_text()


@pytest.mark.parametrize("line", ["a:b 00", f"a:b:c:d {'0' * 64}", "a:b:c", f"a:b:c {'0' * 63}"])
def test_a_line_that_cannot_be_read_is_named(tmp_path: Path, line: str) -> None:
    lock = tmp_path / "jars.lock"
    lock.write_text(f"# comment\n\n{line}\n")
    with pytest.raises(ConfigurationError, match=r"jars\.lock:3: expected"):
        jars.read_lock(lock)


def test_a_lock_file_that_is_absent_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"none\.lock: cannot be read"):
        jars.read_lock(tmp_path / "none.lock")


def test_fetches_once_and_verifies_at_every_start(cache: Path, registry: Registry) -> None:
    registry.answers = [CONTENT, CONTENT]
    fetched: list[PinnedJar] = []
    assert jars.ensure([JAR], cache, fetched.append) == [cache / "thing-1.0.jar"]
    assert jars.ensure([JAR], cache, fetched.append) == [cache / "thing-1.0.jar"]
    assert fetched == [JAR]
    assert registry.asked == ["/maven/org/example/thing/1.0/thing-1.0.jar"]

    (cache / "thing-1.0.jar").write_bytes(b"changed on disk")
    jars.ensure([JAR], cache, fetched.append)
    assert fetched == [JAR, JAR]
    assert (cache / "thing-1.0.jar").read_bytes() == CONTENT


def test_another_content_is_refused_and_deleted(cache: Path, registry: Registry) -> None:
    registry.answers = [b"something else"]
    with pytest.raises(Fatal, match=r"org\.example:thing:1\.0: refused and deleted, its SHA-256"):
        jars.ensure([JAR], cache)
    assert list(cache.iterdir()) == []


def test_a_registry_that_breaks_off_is_retriable_and_named(cache: Path, registry: Registry) -> None:
    registry.answers = ["break"] * 3
    with pytest.raises(Retriable, match=r"org\.example:thing:1\.0: .*network or proxy.*JISR_MAVEN_MIRROR"):
        jars.ensure([JAR], cache)
    assert registry.answers == []
    assert list(cache.iterdir()) == []


def test_one_break_of_the_connection_is_got_over(cache: Path, registry: Registry) -> None:
    registry.answers = ["break", CONTENT]
    assert jars.ensure([JAR], cache)[0].read_bytes() == CONTENT


def test_a_registry_that_is_away_is_retriable(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    closed = ports.assign(["nobody"], {})["nobody"]
    monkeypatch.setenv("JISR_MAVEN_MIRROR", f"http://127.0.0.1:{closed}")
    with pytest.raises(Retriable, match=r"org\.example:thing:1\.0: .*ConnectionError"):
        jars.ensure([JAR], cache)


def test_an_authority_that_is_not_known_is_told_with_the_setting_that_names_it(
    cache: Path, registry: Registry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = broker_certificate(tmp_path / "proxy")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(made.keystore)
    registry.socket = context.wrap_socket(registry.socket, server_side=True)
    monkeypatch.setenv("JISR_MAVEN_MIRROR", f"https://127.0.0.1:{registry.server_address[1]}/maven/")
    monkeypatch.delenv("REQUESTS_CA_BUNDLE", raising=False)
    monkeypatch.delenv("CURL_CA_BUNDLE", raising=False)
    with pytest.raises(Retriable, match=r"certificate is not trusted.*REQUESTS_CA_BUNDLE"):
        jars.ensure([JAR], cache)
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(made.ca_file))
    registry.answers = [CONTENT]
    assert jars.ensure([JAR], cache)[0].read_bytes() == CONTENT


def test_a_registry_without_the_jar_is_fatal_and_named(cache: Path, registry: Registry) -> None:
    registry.answers = [None]
    with pytest.raises(Fatal, match=r"org\.example:thing:1\.0: the Maven registry does not have it"):
        jars.ensure([JAR], cache)


def test_the_cache_can_be_elsewhere(tmp_path: Path) -> None:
    assert jars.default_cache({"JISR_CACHE": str(tmp_path)}) == tmp_path / "jars"
    assert jars.default_cache({}) == Path.home() / ".cache" / "jisr" / "jars"
