"""What a connector process is told, from options or `JISR_…` variables."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from hub.contracts.kafka_connection import KafkaConnection
from hub.errors import ConfigurationError

MINIMUM_KEY_BYTES = 16


@dataclass(frozen=True)
class Settings:
    """`kafka` is how Kafka is reached; `database_url` `postgresql://…` or `sqlite:///file`.

    `agency_key_file` holds the agency's own secret, with which its message keys are made opaque (R4).
    `sweep_every_s` is how often rows are compared with what was known of them, 0 for never;
    `sweep_rows_per_s` at which pace; `sweep_repair` whether what is found is passed on as edits (R30).
    `certificate_files` are PEM files whose end a metric tells.
    `web_port` serves /metrics, /livez and /readyz on 127.0.0.1; None serves nothing.
    """

    kafka: KafkaConnection
    registry_url: str
    database_url: str = field(repr=False)
    agency_key_file: Path
    schemas: Path = Path("schemas")
    agreements: Path = Path("deploy/agreements")
    registry_ca_file: Path | None = None
    registry_token: str | None = field(default=None, repr=False)
    sweep_every_s: float = 24 * 3600.0
    sweep_rows_per_s: float = 500.0
    sweep_repair: bool = False
    certificate_files: tuple[Path, ...] = ()
    web_host: str = "127.0.0.1"
    web_port: int | None = None


def read_agency_key(path: Path) -> bytes:
    """The agency's key; raises `ConfigurationError` if it is missing or too short to keep a secret."""
    try:
        key = path.read_bytes()
    except OSError as error:
        raise ConfigurationError(f"{path}: the agency's key cannot be read: {error.strerror}") from error
    if len(key) < MINIMUM_KEY_BYTES:
        raise ConfigurationError(
            f"{path}: {len(key)} bytes are too short for a key; write at least {MINIMUM_KEY_BYTES} random "
            f"bytes: head -c 32 /dev/urandom > {path}"
        )
    return key
