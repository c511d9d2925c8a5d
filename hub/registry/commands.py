"""`jisr registry …`"""

from __future__ import annotations

from pathlib import Path

import click
from sqlalchemy.exc import SQLAlchemyError

from hub.contracts.certificates import certificate_files as read_certificate_files
from hub.errors import ConfigurationError, Retriable
from hub.registry.server import build_app
from hub.registry.storage import Storage, open_engine
from hub.serving import serve as serve_app
from hub.serving import tls_of

# A request that hangs must not keep the process from stopping.
_GRACE_S = 10


@click.group()
def registry() -> None:
    """The schema registry."""


@registry.command()
@click.option(
    "--host",
    default="127.0.0.1",
    show_default=True,
    envvar="JISR_REGISTRY_HOST",
    help="Where it listens. Serve by TLS before you open another address: the token travels in a header.",
)
@click.option("--port", default=8081, show_default=True, envvar="JISR_REGISTRY_PORT", help="Its port.")
@click.option(
    "--database",
    required=True,
    envvar="JISR_REGISTRY_DATABASE",
    metavar="URL",
    help="PostgreSQL, as postgresql://user@host:port/name; its registry_ tables are made if missing.",
)
@click.option(
    "--token-file",
    type=click.Path(path_type=Path),
    envvar="JISR_REGISTRY_TOKEN_FILE",
    metavar="FILE",
    help="Holds the token that allows registering schemas; without it the registry is read-only.",
)
@click.option(
    "--certificate-file",
    type=click.Path(path_type=Path),
    envvar="JISR_REGISTRY_CERTIFICATE_FILE",
    metavar="FILE",
    help="PEM file with its certificate: it is then served by https.",
)
@click.option(
    "--key-file",
    type=click.Path(path_type=Path),
    envvar="JISR_REGISTRY_KEY_FILE",
    metavar="FILE",
    help="PEM file with that certificate's private key.",
)
@click.option(
    "--certificate-files",
    envvar="JISR_CERTIFICATE_FILES",
    metavar="FILE,…",
    help="PEM files whose end a metric tells.",
)
def serve(
    host: str,
    port: int,
    database: str,
    token_file: Path | None,
    certificate_file: Path | None,
    key_file: Path | None,
    certificate_files: str | None,
) -> None:
    """Serve the registry until SIGTERM or SIGINT."""
    tls = tls_of(certificate_file, key_file, "JISR_REGISTRY")
    token = read_token(token_file) if token_file else None
    storage = _open(database)
    files = [*([tls.certificate_file] if tls else []), *read_certificate_files(certificate_files)]
    app = build_app(storage, token, files)
    scheme = "https" if tls else "http"
    click.echo(f"schema registry on {scheme}://{host}:{port}" + ("" if token else " (read-only)"))
    serve_app(app, host, port, grace_s=_GRACE_S, tls=tls)


def read_token(path: Path) -> str:
    """The token in `path`; raises `ConfigurationError` if there is none: empty would let anyone in."""
    try:
        token = path.read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"registry token file {path}: {error}") from error
    if not token:
        raise ConfigurationError(f"registry token file {path} is empty: write a random token there")
    return token


def _open(database: str) -> Storage:
    try:
        storage = Storage(open_engine(database))
        storage.create_tables()
    except SQLAlchemyError as error:
        raise Retriable(f"the registry's database does not answer: {error}") from error
    return storage
