"""How a process reaches Kafka: where, by which protocol, as whom. One object for both client libraries."""

from __future__ import annotations

import functools
import ipaddress
import socket
import ssl
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from hub.errors import ConfigurationError

PLAINTEXT, SSL, SASL_SSL = "PLAINTEXT", "SSL", "SASL_SSL"
PROTOCOLS = (PLAINTEXT, SSL, SASL_SSL)
SCRAM = "SCRAM-SHA-512"
_HANDSHAKE_S = 3.0
_BRIEF = 200
MECHANISMS = (SCRAM, "SCRAM-SHA-256", "PLAIN")

# Setting → meaning: of `HubSettings`, and of every command that speaks to Kafka.
MEANINGS: Mapping[str, str] = {
    "kafka_protocol": "How to speak to Kafka: SASL_SSL, SSL or PLAINTEXT. Needed unless it is on loopback.",
    "kafka_ca_file": "PEM file of the authorities that Kafka's certificate is checked by; else the system's.",
    "kafka_certificate_file": "PEM file with this part's own certificate, where Kafka asks for one.",
    "kafka_key_file": "PEM file with that certificate's private key.",
    "kafka_mechanism": f"How to sign in with SASL_SSL: {', '.join(MECHANISMS)}; {SCRAM} if not set.",
    "kafka_user": "As whom to sign in with SASL_SSL.",
    "kafka_password_file": "File with that user's password.",
}


@dataclass(frozen=True)
class KafkaConnection:
    """Kafka's servers, and how they and this part know each other. Raises `ConfigurationError` if wrong.

    `bootstrap`: host:port, separated by commas. Without a `protocol` it is PLAINTEXT on loopback, and refused
    elsewhere: nothing travels in the clear because a setting was forgotten. Files are read whenever
    `options` is called, so a renewed certificate or password holds from the next connection on.
    """

    bootstrap: str
    protocol: str | None = None
    ca_file: Path | None = None
    certificate_file: Path | None = None
    key_file: Path | None = None
    mechanism: str | None = None
    user: str | None = None
    password_file: Path | None = None

    def __post_init__(self) -> None:
        for problem in (self._wrong_protocol(), self._wrong_files(), self._wrong_user()):
            if problem:
                raise ConfigurationError(f"Kafka at {self.bootstrap}: {problem}")

    def __str__(self) -> str:
        return self.bootstrap

    @property
    def certificate_files(self) -> list[Path]:
        """The PEM files whose end ends the connection, too."""
        return [path for path in (self.ca_file, self.certificate_file) if path is not None]

    def options(self) -> dict[str, Any]:
        """Keyword arguments of a client, the same for kafka-python and aiokafka. Reads the files.

        Raises `ConfigurationError` for a file that cannot be read or holds something else.
        """
        found: dict[str, Any] = {"bootstrap_servers": self.bootstrap.split(",")}
        if self.protocol not in (SSL, SASL_SSL):
            return found
        found |= {"security_protocol": self.protocol, "ssl_context": self._ssl_context()}
        if self.protocol == SASL_SSL:
            found |= {
                "sasl_mechanism": self.mechanism or SCRAM,
                "sasl_plain_username": self.user,
                "sasl_plain_password": self._password(),
            }
        return found

    def checked(self) -> KafkaConnection:
        """Itself, once all of its files have been read: what is wrong with them stops a start."""
        self.options()
        return self

    def trouble(self) -> str:
        """Why no connection comes about, as far as a TLS handshake tells; empty if it tells nothing.

        The client libraries tell of a time-out only: kafka-python drops the broker's answer where it comes
        together with the end of the connection. Blocks for seconds at most, at a server that is silent.
        """
        if self.protocol not in (SSL, SASL_SSL):
            return ""
        context = self._ssl_context()
        for server in self.bootstrap.split(","):
            host, _, port = server.strip().rpartition(":")
            try:
                with (
                    socket.create_connection((host.strip("[]"), int(port)), _HANDSHAKE_S) as plain,
                    context.wrap_socket(plain, server_hostname=host.strip("[]")),
                ):
                    return f"; {server} speaks TLS, and then ends the connection: see {self._named_by()}"
            except ssl.SSLCertVerificationError as error:
                return (
                    f"; the certificate of {server} is refused ({error.verify_message}): see "
                    "JISR_KAFKA_CA_FILE, and the name in JISR_BOOTSTRAP"
                )
            except ssl.SSLError as error:
                return f"; {server} does not speak TLS as this part does ({error.reason})"
            except (OSError, ValueError):
                continue
        return ""

    def _named_by(self) -> str:
        """The settings that say who this is."""
        if self.protocol == SASL_SSL:
            return f"JISR_KAFKA_USER ({self.user}) and JISR_KAFKA_PASSWORD_FILE ({self.password_file})"
        return f"JISR_KAFKA_CERTIFICATE_FILE ({self.certificate_file})"

    def _wrong_protocol(self) -> str | None:
        if self.protocol is None:
            if all(map(_on_loopback, self.bootstrap.split(","))):
                return None
            return (
                "JISR_KAFKA_PROTOCOL is not set: set it to SASL_SSL, or to PLAINTEXT where a private "
                "network alone keeps others out"
            )
        if self.protocol == "SASL_PLAINTEXT":
            return "JISR_KAFKA_PROTOCOL: SASL_PLAINTEXT signs in and then speaks in the clear: use SASL_SSL"
        if self.protocol not in PROTOCOLS:
            return f"JISR_KAFKA_PROTOCOL is {self.protocol!r}: it is one of {', '.join(PROTOCOLS)}"
        return None

    def _wrong_files(self) -> str | None:
        given = [self.ca_file, self.certificate_file, self.key_file]
        if self.protocol not in (SSL, SASL_SSL) and any(given):
            return (
                "JISR_KAFKA_CA_FILE, …_CERTIFICATE_FILE and …_KEY_FILE are for TLS: "
                "set JISR_KAFKA_PROTOCOL to SASL_SSL or SSL, or leave them out"
            )
        if (self.certificate_file is None) != (self.key_file is None):
            return (
                "JISR_KAFKA_CERTIFICATE_FILE and JISR_KAFKA_KEY_FILE belong together: one of them is not set"
            )
        return None

    def _wrong_user(self) -> str | None:
        if self.protocol != SASL_SSL:
            if self.mechanism or self.user or self.password_file:
                return (
                    "JISR_KAFKA_USER, …_PASSWORD_FILE and …_MECHANISM are for signing in: "
                    "set JISR_KAFKA_PROTOCOL to SASL_SSL, or leave them out"
                )
            return None
        if not self.user or self.password_file is None:
            return "JISR_KAFKA_PROTOCOL is SASL_SSL: set JISR_KAFKA_USER and JISR_KAFKA_PASSWORD_FILE"
        if self.mechanism is not None and self.mechanism not in MECHANISMS:
            return f"JISR_KAFKA_MECHANISM is {self.mechanism!r}: it is one of {', '.join(MECHANISMS)}"
        return None

    def _ssl_context(self) -> ssl.SSLContext:
        try:
            context = ssl.create_default_context(cafile=self.ca_file)
        except OSError as error:  # ssl.SSLError is one
            raise ConfigurationError(
                f"JISR_KAFKA_CA_FILE: {self.ca_file} holds no certificates in PEM that can be read: {error}"
            ) from error
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        if self.certificate_file is not None:
            try:
                # A key under a password would be asked for at the terminal: refused instead.
                context.load_cert_chain(self.certificate_file, self.key_file, password="")
            except (OSError, ValueError) as error:
                raise ConfigurationError(
                    f"JISR_KAFKA_CERTIFICATE_FILE: {self.certificate_file} with the key {self.key_file} "
                    f"(PEM, without a password) cannot be used: {error}"
                ) from error
        return context

    def _password(self) -> str:
        assert self.password_file is not None
        try:
            password = self.password_file.read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigurationError(
                f"JISR_KAFKA_PASSWORD_FILE: {self.password_file} cannot be read: {error}"
            ) from error
        if not password:
            raise ConfigurationError(f"JISR_KAFKA_PASSWORD_FILE: {self.password_file} is empty")
        return password


def brief(error: BaseException) -> str:
    """A client's error for a message of ours: some hold a broker's whole answer, with every topic."""
    text = repr(error)
    return text if len(text) <= _BRIEF else f"{text[:_BRIEF]}…"


def _on_loopback(server: str) -> bool:
    host = server.strip().rpartition(":")[0].strip("[]")
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def kafka_options(command: Callable[..., None]) -> Callable[..., None]:
    """The options of a command that speaks to Kafka; they arrive as one `kafka`, checked."""

    @click.option(
        "--bootstrap", required=True, envvar="JISR_BOOTSTRAP", metavar="HOST:PORT,…", help="Kafka's servers."
    )
    @functools.wraps(command)
    def connected(*, bootstrap: str, **rest: Any) -> None:
        given = {name: rest.pop(name) for name in MEANINGS}
        command(kafka=connection(bootstrap, given).checked(), **rest)

    for name, meaning in reversed(list(MEANINGS.items())):
        connected = click.option(
            f"--{name.replace('_', '-')}",
            envvar=f"JISR_{name.upper()}",
            type=click.Path(path_type=Path) if name.endswith("_file") else str,
            help=meaning,
        )(connected)
    return connected


def connection(bootstrap: str, given: Mapping[str, Any]) -> KafkaConnection:
    """The connection that settings describe; `given` by the names in `MEANINGS`. Empty is as if not given."""
    return KafkaConnection(
        bootstrap, **{name.removeprefix("kafka_"): given[name] or None for name in MEANINGS}
    )
