"""`jisr …`: the command line. Each group lives beside what it commands; this file only joins them."""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Mapping

import click

from hub.errors import JisrError

# What it is for → name → where the command lives. Imported on use, so that `jisr` starts quickly.
SECTIONS: Mapping[str, Mapping[str, str]] = {
    "To try it on one machine": {
        "demo": "hub.local.demo.command:demo",
        "up": "hub.local.commands:up",
        "down": "hub.local.commands:down",
        "endpoints": "hub.local.commands:endpoints",
        "doctor": "hub.local.commands:doctor",
        "bench": "hub.local.bench.command:bench",
    },
    "Parts that run": {
        "hub": "hub.app:serve",
        "connector": "connectors.commands:connector",
        "registry": "hub.registry.commands:registry",
        "console": "hub.console.command:console",
    },
    "To see how it is": {
        "status": "hub.ops.commands:status",
        "explain": "hub.ops.commands:explain",
        "sweep": "hub.local.sweep_command:sweep",
        "metrics": "hub.local.metrics_command:metrics",
        "audit": "hub.ops.audit_commands:audit",
    },
    "What a person decides": {
        "hold": "hub.ops.steward_commands:hold",
        "review": "hub.ops.steward_commands:review",
        "value": "hub.ops.value_commands:value",
        "dlq": "hub.ops.dlq_commands:dlq",
        "undo": "hub.ops.undo_command:undo",
    },
    "A release and its agencies": {
        "schema": "hub.registry.schema_commands:schema",
        "topics": "hub.ops.topics_commands:topics",
        "access": "hub.ops.access_commands:access",
        "agreement": "hub.ops.agreement_commands:agreement",
        "agency": "hub.ops.agency_commands:agency",
        "names": "hub.ops.naming_command:names",
        "rebuild": "hub.ops.rebuild_command:rebuild",
    },
}
COMMANDS = {name: target for section in SECTIONS.values() for name, target in section.items()}
# Commands of a group that need more than the group's own package may know: the hub, or both sides at once.
ADDED: Mapping[str, Mapping[str, str]] = {
    "connector": {
        "plan": "hub.local.join_commands:plan",
        "report": "hub.local.join_commands:report",
        "pause": "hub.ops.steering_commands:pause",
        "resume": "hub.ops.steering_commands:resume",
        "restart": "hub.ops.steering_commands:restart",
    }
}
# These look at a running hub: the one that the environment names, else the embedded stack of this folder.
_LOOKING = frozenset(
    {
        "status",
        "explain",
        "hold",
        "review",
        "value",
        "dlq",
        "audit",
        "topics",
        "access",
        "sweep",
        "undo",
        "agency",
        "agreement",
        "console",
        "rebuild",
        "names",
    }
)


def imported(target: str) -> click.Command:
    """The command at `module:attribute`."""
    module, _colon, attribute = target.partition(":")
    command = getattr(importlib.import_module(module), attribute)
    assert isinstance(command, click.Command)
    _show_variables(command)
    return command


def _show_variables(command: click.Command) -> None:
    """In help, and where an option is missing, the variable that may stand in its place is named."""
    for option in command.params:
        if isinstance(option, click.Option) and option.envvar:
            option.show_envvar = True
    if isinstance(command, click.Group):
        for child in command.commands.values():
            _show_variables(child)


class WithAdded(click.Group):
    """A group with commands that live elsewhere."""

    def __init__(self, group: click.Group, added: Mapping[str, str]) -> None:
        super().__init__(group.name, dict(group.commands), help=group.help)
        self._added = added

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted({*super().list_commands(ctx), *self._added})

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in self._added:
            return super().get_command(ctx, cmd_name)
        if cmd_name not in self.commands:
            self.add_command(imported(self._added[cmd_name]), cmd_name)
        return super().get_command(ctx, cmd_name)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args and args[0] in self._added:
            use_embedded_stack()
        return super().resolve_command(ctx, args)


class LazyGroup(click.Group):
    """A group whose commands are imported when they are asked for."""

    def list_commands(self, _: click.Context) -> list[str]:
        return sorted(COMMANDS)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        del ctx  # as below
        width = max(map(len, COMMANDS))
        for title, section in SECTIONS.items():
            with formatter.section(title):
                formatter.write_dl(
                    [
                        (name.ljust(width), imported(target).get_short_help_str(formatter.width - 6 - width))
                        for name, target in section.items()
                    ]
                )

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        del ctx  # click passes it; which command is meant depends on the name alone
        target = COMMANDS.get(cmd_name)
        if target is None:
            return None
        command = imported(target)
        if cmd_name in ADDED and isinstance(command, click.Group):
            return WithAdded(command, ADDED[cmd_name])
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        name, command, rest = super().resolve_command(ctx, args)
        if name in _LOOKING:
            use_embedded_stack()
        return name, command, rest


def use_embedded_stack() -> None:
    """Name the embedded stack's hub in the environment, if one runs here and no other hub is named.

    All or nothing: the store of one hub with the Kafka of another would be worse than no answer.
    """
    from hub.local.data_folder import DataFolder, default_home

    folder = DataFolder(default_home())
    found = folder.read_state().get("endpoints") if folder.is_locked() else None
    if not found or not found.get("registry"):
        return
    from hub.local.stack import PROJECT

    hub = {
        "JISR_BOOTSTRAP": found["bootstrap"],
        "JISR_STORE_URL": found["store"],
        "JISR_REGISTRY_URL": found["registry"],
        "JISR_SECRET_FILE": str(folder.secret_file("hub")),
    }
    if not hub.keys() & os.environ.keys():
        os.environ.update(hub)
        os.environ.setdefault("JISR_SCHEMAS", str(PROJECT / "schemas"))
        os.environ.setdefault("JISR_AGREEMENTS", str(PROJECT / "deploy" / "agreements"))


@click.group(
    cls=LazyGroup,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="README.md says where to begin; docs/design.md has the words, and the rules (R1 to R32).",
)
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
