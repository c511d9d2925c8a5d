"""`jisr console`."""

from __future__ import annotations

import secrets
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import click

from hub.console.application import build_console
from hub.console.doors import Doors, StoreDoors
from hub.console.entrance_commands import sessions, token
from hub.console.languages import load_languages
from hub.console.live import LiveStatus
from hub.console.oidc import Provider, ProviderLogin
from hub.console.rendering import load_templates
from hub.console.routing import Section
from hub.console.sections import SECTIONS
from hub.console.signing_in import LocalLogin
from hub.console.visit import Console
from hub.errors import ConfigurationError
from hub.ops.log_reader import KeptReaders, LogReader
from hub.ops.parts import Parts
from hub.serving import proxies_of, serve
from hub.settings import load_settings, read_secret

# A form that is being sent may come through.
_GRACE_S = 3
# To the store, kept open: one is for long with the look that all pages share, and a new one costs a page tens
# of milliseconds.
CONNECTIONS = 8


@click.group(invoke_without_command=True)
@click.pass_context
@click.option(
    "--host",
    default="127.0.0.1",
    show_default=True,
    envvar="JISR_CONSOLE_HOST",
    help="Where it listens; the local login needs loopback.",
)
@click.option("--port", default=8090, show_default=True, envvar="JISR_CONSOLE_PORT", help="Its port.")
@click.option(
    "--public-url",
    envvar="JISR_CONSOLE_PUBLIC_URL",
    metavar="URL",
    help="How browsers reach it, if not at --host: https://… of the proxy with TLS in front of it.",
)
@click.option(
    "--trusted-proxies",
    default="",
    envvar="JISR_CONSOLE_TRUSTED_PROXIES",
    metavar="ADDRESSES",
    help="Addresses or networks, separated by commas, of the proxies in front of it: their X-Forwarded-For "
    "tells who calls. Without it nobody's does.",
)
@click.option(
    "--secret-file",
    type=click.Path(path_type=Path),
    envvar="JISR_CONSOLE_SECRET_FILE",
    metavar="FILE",
    help="Signs sessions. Without it they end with the process.",
)
@click.option(
    "--oidc-issuer",
    envvar="JISR_CONSOLE_OIDC_ISSUER",
    metavar="URL",
    help="People sign in by this OpenID Connect provider; there is no local login then.",
)
@click.option(
    "--oidc-client-id",
    envvar="JISR_CONSOLE_OIDC_CLIENT_ID",
    metavar="ID",
    help="What the provider knows the console as.",
)
@click.option(
    "--oidc-client-secret-file",
    type=click.Path(path_type=Path),
    envvar="JISR_CONSOLE_OIDC_CLIENT_SECRET_FILE",
    metavar="FILE",
    help="Holds the secret that the provider gave it.",
)
@click.option(
    "--oidc-role-claim",
    default="jisr-role",
    show_default=True,
    envvar="JISR_CONSOLE_OIDC_ROLE_CLAIM",
    metavar="CLAIM",
    help="Of the ID token: operator, steward, auditor, or agency:NAME.",
)
@click.option(
    "--local-code-file",
    type=click.Path(path_type=Path),
    envvar="JISR_CONSOLE_LOCAL_CODE_FILE",
    metavar="FILE",
    help="The code of the local login; without it one is made and printed.",
)
def console(
    ctx: click.Context,
    /,
    host: str,
    port: int,
    public_url: str | None,
    trusted_proxies: str,
    secret_file: Path | None,
    local_code_file: Path | None,
    **oidc: Any,
) -> None:
    """Serve the console: pages and an HTTP API.

    Until SIGTERM or SIGINT; with a command, do what that says.
    """
    if ctx.invoked_subcommand is not None:
        return
    proxies = proxies_of(trusted_proxies, "JISR_CONSOLE_TRUSTED_PROXIES")
    secret = read_secret(secret_file, "JISR_CONSOLE_SECRET_FILE") if secret_file else secrets.token_bytes(32)
    login: ProviderLogin | LocalLogin
    if oidc["oidc_issuer"] is not None:
        login = ProviderLogin(provider(public_url or f"http://{host}:{port}", **oidc))
    else:
        login = local_login(host, local_code_file)
    with ExitStack() as closer:
        parts = closer.enter_context(closing(Parts(load_settings(), CONNECTIONS)))
        status = closer.enter_context(closing(LiveStatus(parts)))
        made = make_console(parts, status, login.section(), secure=_by_tls(public_url))
        closer.callback(made.readers.close)
        app = build_console(made, secret, _names(public_url))
        click.echo(f"console on http://{host}:{port}")
        if isinstance(login, LocalLogin) and local_code_file is None:
            click.echo(f"code of the local login: {login.code}")
        stopping = app.state.streams.end
        serve(
            app,
            host,
            port,
            grace_s=_GRACE_S,
            server_header=False,
            stopping=stopping,
            trusted_proxies=proxies,
        )


console.add_command(sessions)
console.add_command(token)


def make_console(
    parts: Parts, status: LiveStatus, login: Section, *, secure: bool, doors: Doors | None = None
) -> Console:
    """The console's parts, with every section and this way to sign in."""
    return Console(
        parts,
        status,
        load_languages(),
        load_templates(),
        sections=(*SECTIONS, login),
        doors=doors or StoreDoors(parts),
        readers=KeptReaders(lambda: LogReader(parts.settings.kafka)),
        secure=secure,
    )


def local_login(host: str, code_file: Path | None) -> LocalLogin:
    """The development login; raises `ConfigurationError` where others could reach it."""
    if code_file is None:
        return LocalLogin(host, secrets.token_urlsafe(9))
    return LocalLogin(host, read_secret(code_file, "JISR_CONSOLE_LOCAL_CODE_FILE").decode("latin-1").strip())


def provider(
    console_url: str,
    oidc_issuer: str,
    oidc_client_id: str | None,
    oidc_client_secret_file: Path | None,
    oidc_role_claim: str,
) -> Provider:
    """The OpenID Connect provider; raises `ConfigurationError` that names what is missing or unsafe."""
    if oidc_client_id is None or oidc_client_secret_file is None:
        raise ConfigurationError(
            "JISR_CONSOLE_OIDC_ISSUER needs JISR_CONSOLE_OIDC_CLIENT_ID and "
            "JISR_CONSOLE_OIDC_CLIENT_SECRET_FILE: register the console at the provider, with the redirect "
            f"URI {console_url.rstrip('/')}/sign-in/callback"
        )
    secret = read_secret(oidc_client_secret_file, "JISR_CONSOLE_OIDC_CLIENT_SECRET_FILE")
    return Provider(
        oidc_issuer, oidc_client_id, secret.decode("latin-1").strip(), console_url, oidc_role_claim
    )


def _by_tls(public_url: str | None) -> bool:
    return public_url is not None and urlsplit(public_url).scheme == "https"


def _names(public_url: str | None) -> list[str]:
    """The names by which browsers may call it: with any other, another site's page would be talking."""
    names = ["127.0.0.1", "localhost", "[::1]"]
    if public_url is None:
        return names
    found = urlsplit(public_url)
    if found.scheme not in ("http", "https") or not found.hostname or found.path not in ("", "/"):
        raise ConfigurationError(f"--public-url {public_url!r}: use https://name, without a path")
    return [*names, found.hostname]
