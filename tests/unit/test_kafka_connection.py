"""How Kafka is reached: what settings mean together, and what is refused before anything is sent."""

from __future__ import annotations

import ssl
from pathlib import Path

import click
import pytest
from click.testing import CliRunner
from kafka.errors import KafkaConnectionError

from hub.contracts.kafka_connection import KafkaConnection, brief, kafka_options
from hub.errors import ConfigurationError
from hub.local.tls import broker_certificate
from hub.settings import load_settings

ELSEWHERE = "kafka.example:9093"
PASSWORD = "a password that nobody may see"


@pytest.fixture
def password(tmp_path: Path) -> Path:
    path = tmp_path / "password"
    path.write_text(f"{PASSWORD}\n")
    return path


@pytest.mark.parametrize("bootstrap", ["127.0.0.1:9092", "localhost:9092,127.0.0.1:9093", "[::1]:9092"])
def test_on_loopback_nothing_needs_to_be_said(bootstrap: str) -> None:
    assert KafkaConnection(bootstrap).options() == {"bootstrap_servers": bootstrap.split(",")}


@pytest.mark.parametrize(
    "bootstrap", [ELSEWHERE, f"127.0.0.1:9092,{ELSEWHERE}", "localhost.example:9092", "127.example:9092", ""]
)
def test_elsewhere_nothing_travels_in_the_clear_because_a_setting_was_forgotten(bootstrap: str) -> None:
    with pytest.raises(ConfigurationError, match="JISR_KAFKA_PROTOCOL is not set"):
        KafkaConnection(bootstrap)


def test_in_the_clear_elsewhere_if_somebody_says_so() -> None:
    assert KafkaConnection(ELSEWHERE, "PLAINTEXT").options() == {"bootstrap_servers": [ELSEWHERE]}


def test_tls_and_a_user(tmp_path: Path, password: Path) -> None:
    made = broker_certificate(tmp_path / "tls")
    kafka = KafkaConnection(ELSEWHERE, "SASL_SSL", made.ca_file, user="salma", password_file=password)
    options = kafka.options()
    context = options.pop("ssl_context")
    assert options == {
        "bootstrap_servers": [ELSEWHERE],
        "security_protocol": "SASL_SSL",
        "sasl_mechanism": "SCRAM-SHA-512",
        "sasl_plain_username": "salma",
        "sasl_plain_password": PASSWORD,
    }
    assert context.verify_mode == ssl.CERT_REQUIRED
    assert context.check_hostname
    assert context.minimum_version == ssl.TLSVersion.TLSv1_2
    assert len(context.get_ca_certs()) == 1
    assert kafka.certificate_files == [made.ca_file]
    assert PASSWORD not in repr(kafka)


def test_a_new_password_holds_from_the_next_connection_on(password: Path) -> None:
    kafka = KafkaConnection(ELSEWHERE, "SASL_SSL", user="salma", password_file=password)
    assert kafka.options()["sasl_plain_password"] == PASSWORD
    password.write_text("another")
    assert kafka.options()["sasl_plain_password"] == "another"


def test_a_certificate_of_its_own(tmp_path: Path) -> None:
    made = broker_certificate(tmp_path / "tls")
    kafka = KafkaConnection(ELSEWHERE, "SSL", made.ca_file, made.keystore, made.keystore)
    assert kafka.options().keys() == {"bootstrap_servers", "security_protocol", "ssl_context"}
    assert kafka.certificate_files == [made.ca_file, made.keystore]


@pytest.mark.parametrize(
    ("given", "complaint"),
    [
        ({"protocol": "TLS"}, "'TLS': it is one of PLAINTEXT, SSL, SASL_SSL"),
        ({"protocol": "SASL_PLAINTEXT", "user": "u", "password_file": Path("p")}, "use SASL_SSL"),
        ({"protocol": "PLAINTEXT", "ca_file": Path("ca")}, "JISR_KAFKA_CA_FILE.* are for TLS"),
        ({"protocol": "PLAINTEXT", "user": "u"}, "JISR_KAFKA_USER.* are for signing in"),
        ({"protocol": "SSL", "password_file": Path("p")}, "JISR_KAFKA_USER.* are for signing in"),
        ({"protocol": "SSL", "key_file": Path("k")}, "belong together"),
        ({"protocol": "SSL", "certificate_file": Path("c")}, "belong together"),
        ({"protocol": "SASL_SSL"}, "set JISR_KAFKA_USER and JISR_KAFKA_PASSWORD_FILE"),
        ({"protocol": "SASL_SSL", "user": "u"}, "set JISR_KAFKA_USER and JISR_KAFKA_PASSWORD_FILE"),
        (
            {"protocol": "SASL_SSL", "user": "u", "password_file": Path("p"), "mechanism": "GSSAPI"},
            "'GSSAPI': it is one of SCRAM-SHA-512, SCRAM-SHA-256, PLAIN",
        ),
    ],
)
def test_what_does_not_fit_together_is_refused(given: dict[str, object], complaint: str) -> None:
    with pytest.raises(ConfigurationError, match=f"{ELSEWHERE}: .*{complaint}"):
        KafkaConnection(ELSEWHERE, **given)  # type: ignore[arg-type]


def test_files_that_cannot_be_used_are_named(tmp_path: Path, password: Path) -> None:
    made = broker_certificate(tmp_path / "tls")
    away, text = tmp_path / "away", tmp_path / "text"
    text.write_text("")
    signing = {"user": "salma", "password_file": password}
    for wrong, complaint in [
        (KafkaConnection(ELSEWHERE, "SSL", away), f"JISR_KAFKA_CA_FILE: {away}"),
        (KafkaConnection(ELSEWHERE, "SSL", text), f"JISR_KAFKA_CA_FILE: {text}"),
        (KafkaConnection(ELSEWHERE, "SSL", None, made.ca_file, made.keystore), "JISR_KAFKA_CERTIFICATE_FILE"),
        (KafkaConnection(ELSEWHERE, "SSL", None, made.keystore, text), "JISR_KAFKA_CERTIFICATE_FILE"),
        (KafkaConnection(ELSEWHERE, "SASL_SSL", **{**signing, "password_file": away}), f"{away} cannot be"),
        (KafkaConnection(ELSEWHERE, "SASL_SSL", **{**signing, "password_file": text}), f"{text} is empty"),
    ]:
        with pytest.raises(ConfigurationError, match=complaint):
            wrong.checked()


def test_a_worker_is_told_at_its_start(monkeypatch: pytest.MonkeyPatch, password: Path) -> None:
    needed = {
        "BOOTSTRAP": ELSEWHERE,
        "REGISTRY_URL": "http://127.0.0.1:9",
        "STORE_URL": "postgresql+psycopg://nowhere",
        "SECRET_FILE": str(password),
    }
    for name, value in needed.items():
        monkeypatch.setenv(f"JISR_{name}", value)
    with pytest.raises(ConfigurationError, match="JISR_KAFKA_PROTOCOL is not set"):
        load_settings()
    monkeypatch.setenv("JISR_KAFKA_PROTOCOL", "SASL_SSL")
    monkeypatch.setenv("JISR_KAFKA_USER", "salma")
    monkeypatch.setenv("JISR_KAFKA_PASSWORD_FILE", str(password))
    monkeypatch.setenv("JISR_KAFKA_CA_FILE", "")
    assert load_settings().kafka == KafkaConnection(
        ELSEWHERE, "SASL_SSL", user="salma", password_file=password
    )


def test_a_command_takes_the_same_settings(password: Path) -> None:
    taken: list[KafkaConnection] = []

    @click.command()
    @kafka_options
    def command(kafka: KafkaConnection) -> None:
        taken.append(kafka)

    environment = {
        "JISR_BOOTSTRAP": ELSEWHERE,
        "JISR_KAFKA_PROTOCOL": "SASL_SSL",
        "JISR_KAFKA_PASSWORD_FILE": str(password),
        "JISR_KAFKA_CA_FILE": "",
    }
    answer = CliRunner().invoke(command, ["--kafka-user", "salma"], env=environment)
    assert answer.exit_code == 0, answer.output
    assert taken == [KafkaConnection(ELSEWHERE, "SASL_SSL", user="salma", password_file=password)]
    assert isinstance(CliRunner().invoke(command, [], env=environment).exception, ConfigurationError)


def test_of_a_broker_s_whole_answer_only_the_beginning_is_told() -> None:
    assert brief(KafkaConnectionError("refused")) == "KafkaConnectionError('refused')"
    told = brief(KafkaConnectionError("one topic, " * 9_000))
    assert told.startswith("KafkaConnectionError('one topic, one topic")
    assert len(told) < 250
