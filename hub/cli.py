"""`jisr …`: the command line. Each group lives beside what it commands; this file only joins them."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Mapping

import click

from hub.errors import JisrError

# Name → where the command lives. Imported on use, so that `jisr --help` stays quick.
COMMANDS: Mapping[str, str] = {
    "up": "hub.local.commands:up",
    "down": "hub.local.commands:down",
    "endpoints": "hub.local.commands:endpoints",
    "doctor": "hub.local.commands:doctor",
    "demo": "hub.local.demo.command:demo",
    "registry": "hub.registry.commands:registry",
    "schema": "hub.registry.schema_commands:schema",
    "hub": "hub.app:serve",
    "status": "hub.ops.commands:status",
    "explain": "hub.ops.commands:explain",
    "connector": "connectors.commands:connector",
}


class LazyGroup(click.Group):
    """A group whose commands are imported when they are asked for."""

    def list_commands(self, _: click.Context) -> list[str]:
        return sorted(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        del ctx  # click passes it; which command is meant depends on the name alone
        target = COMMANDS.get(cmd_name)
        if target is None:
            return None
        module, _colon, attribute = target.partition(":")
        command = getattr(importlib.import_module(module), attribute)
        assert isinstance(command, click.Command)
        return command


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="jisr-hub", prog_name="jisr")
def jisr() -> None:
    """Jisr Hub keeps the records of many agencies converged (جسر)."""


def main() -> None:
    """Run `jisr`; an error of ours is one clear message on standard error, and exit code 1."""
    try:
        jisr()
    except JisrError as error:
        click.echo(f"jisr: {error}", err=True)
        sys.exit(1)
