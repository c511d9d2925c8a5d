"""Every setting of a hub worker: type, default, meaning. Read from the environment, `JISR_…`."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from hub.contracts.kafka_connection import MEANINGS, KafkaConnection, connection
from hub.errors import ConfigurationError


class HubSettings(BaseSettings):
    """Settings of `jisr hub` and `faust -A hub.app worker`."""

    model_config = SettingsConfigDict(env_prefix="JISR_", extra="ignore", env_ignore_empty=True)

    bootstrap: str = Field(description="Kafka's bootstrap servers, host:port separated by commas.")
    kafka_protocol: str | None = Field(default=None, description=MEANINGS["kafka_protocol"])
    kafka_ca_file: Path | None = Field(default=None, description=MEANINGS["kafka_ca_file"])
    kafka_certificate_file: Path | None = Field(default=None, description=MEANINGS["kafka_certificate_file"])
    kafka_key_file: Path | None = Field(default=None, description=MEANINGS["kafka_key_file"])
    kafka_mechanism: str | None = Field(default=None, description=MEANINGS["kafka_mechanism"])
    kafka_user: str | None = Field(default=None, description=MEANINGS["kafka_user"])
    kafka_password_file: Path | None = Field(default=None, description=MEANINGS["kafka_password_file"])
    registry_url: str = Field(description="A Confluent-compatible schema registry.")
    registry_ca_file: Path | None = Field(
        default=None,
        description="PEM file of the authorities that an https registry is checked by; else the system's.",
    )
    store_url: str = Field(description="The hub's PostgreSQL, as postgresql://user:password@host:port/name.")
    secret_file: Path = Field(
        description="File with the hub's secret, from which all ids derive; 32 random bytes or more. "
        "Losing it loses every id; a copy belongs in a safe."
    )
    schemas: Path = Field(default=Path("schemas"), description="Folder with records/ and events/.")
    agreements: Path = Field(default=Path("deploy/agreements"), description="Folder of agreements.")
    worker_name: str = Field(
        default="hub-0", description="This worker's name: stable over restarts, unique among workers."
    )
    web_host: str = Field(default="127.0.0.1", description="Where /metrics, /livez and /readyz listen.")
    web_port: int = Field(default=6066, description="Their port.")
    certificate_files: str | None = Field(
        default=None, description="PEM files, separated by commas, whose end a metric tells."
    )
    group: str = Field(default="jisr-hub", description="Prefix of the workers' consumer groups.")

    brake_window_min: int = Field(
        default=10, ge=1, le=1440, description="Minutes within which changes are counted for the brakes."
    )
    brake_deletes: int = Field(default=50, ge=0, description="So many deletions in the window always pass.")
    brake_deletes_percent: float = Field(
        default=5.0, ge=0, description="So many of an agency's live records, in percent, may be deleted, too."
    )
    brake_updates: int = Field(default=500, ge=0, description="So many updates in the window always pass.")
    brake_updates_percent: float = Field(
        default=20.0, ge=0, description="So many of an agency's live records, in percent, may change, too."
    )

    history_days: int = Field(
        default=30,
        ge=1,
        description="For how many days `jisr undo` can take back; assertions are kept so long.",
    )

    sweep_every_h: float = Field(
        default=24.0,
        ge=0,
        description="Every how many hours each topic is compared with the store; 0: never.",
    )
    sweep_per_s: float = Field(
        default=2_000.0, gt=0, description="At most so many messages and rows a second are read for that."
    )
    sweep_repair: bool = Field(
        default=False, description="Whether what is lost is said again (`1`), or only told."
    )

    @property
    def kafka(self) -> KafkaConnection:
        """How Kafka is reached; raises `ConfigurationError` if the settings do not fit together."""
        return connection(self.bootstrap, {name: getattr(self, name) for name in MEANINGS})

    def secret(self) -> bytes:
        """The hub's secret; raises `ConfigurationError` if the file is away or too short."""
        return read_secret(self.secret_file, "JISR_SECRET_FILE")


def load_settings() -> HubSettings:
    """Settings from the environment; raises `ConfigurationError` that names what is missing or wrong."""
    try:
        settings = HubSettings()  # type: ignore[call-arg]  # filled from the environment
    except ValidationError as error:
        raise ConfigurationError(_problems(error)) from error
    settings.kafka.checked()
    return settings


def _problems(error: ValidationError) -> str:
    """What is missing and what is wrong, and how to mend it."""
    named = [(f"JISR_{'_'.join(map(str, one['loc'])).upper()}", one) for one in error.errors()]
    missing = [name for name, one in named if one["type"] == "missing"]
    wrong = [f"{name}: {one['msg']}" for name, one in named if one["type"] != "missing"]
    told = [*([f"not set: {', '.join(missing)}"] if missing else []), *wrong]
    # The embedded stack is looked at only where nothing names another hub, not even in part.
    here = "; where `jisr up` runs, set none of JISR_BOOTSTRAP, …_URL, JISR_SECRET_FILE" if missing else ""
    return f"settings: {'; '.join(told)}. See docs/operators.md for each{here}"


def read_secret(path: Path, setting: str) -> bytes:
    """The bytes of a secret file; at least 16."""
    try:
        secret = path.read_bytes()
    except OSError as error:
        raise ConfigurationError(f"{setting}: {path} cannot be read: {error.strerror}") from error
    if len(secret.strip()) < 16:
        raise ConfigurationError(f"{setting}: {path} holds fewer than 16 bytes: not a secret")
    return secret
