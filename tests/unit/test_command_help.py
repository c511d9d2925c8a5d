"""What `--help` tells: each option what it is for, and which variable may stand in its place."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from hub.cli import jisr
from hub.console.audit import ACTIONS as WORDS
from hub.errors import ConfigurationError
from hub.ops.audit import ACTIONS
from hub.settings import HubSettings


def walk(command: click.Command, context: click.Context, path: str) -> Iterator[tuple[str, click.Command]]:
    if not isinstance(command, click.Group):
        yield path, command
        return
    for name in command.list_commands(context):
        child = command.get_command(context, name)
        assert child is not None
        yield from walk(child, context, f"{path} {name}")


COMMANDS = list(walk(jisr, click.Context(jisr), "jisr"))


@pytest.mark.parametrize(("path", "command"), COMMANDS, ids=[path for path, _ in COMMANDS])
def test_every_command_and_option_says_what_it_is_for(path: str, command: click.Command) -> None:
    assert command.help
    shown = command.get_help(click.Context(command, info_name=path, max_content_width=200))
    for option in command.params:
        if isinstance(option, click.Option):
            assert option.help, option.opts[0]
            assert not option.envvar or str(option.envvar) in shown, option.opts[0]


def groups(command: click.Command) -> Iterator[click.Group]:
    if isinstance(command, click.Group):
        yield command
        for name in command.list_commands(click.Context(command)):
            child = command.get_command(click.Context(command), name)
            assert child is not None
            yield from groups(child)


@pytest.mark.parametrize("group", list(groups(jisr)), ids=lambda group: group.name)
def test_a_list_of_commands_is_readable_in_80_columns(group: click.Group) -> None:
    shown = group.get_help(click.Context(group, terminal_width=80))
    for name in group.list_commands(click.Context(group)):
        line = re.search(rf"^  {name} +(.+)$", shown, re.MULTILINE)
        assert line is not None, name
        assert not line[1].endswith("..."), line[0]


def test_no_command_is_listed_twice() -> None:
    # Asked for twice: the first time imports what a group has from elsewhere.
    again = [path for path, _ in walk(jisr, click.Context(jisr), "jisr")]
    assert len(again) == len(set(again)) == len(COMMANDS)


def test_a_missing_option_names_its_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("JISR_REGISTRY_URL", raising=False)
    refused = CliRunner().invoke(jisr, ["schema", "register"])
    assert refused.exit_code == 2
    assert "'--registry-url'" in refused.output
    assert "JISR_REGISTRY_URL" in refused.output


def test_who_finds_no_hub_reads_what_is_not_set_and_how_to_start_one(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for name in HubSettings.model_fields:
        monkeypatch.delenv(f"JISR_{name.upper()}", raising=False)
    monkeypatch.setenv("JISR_HOME", str(tmp_path))
    monkeypatch.setenv("JISR_WEB_PORT", "web")
    refused = CliRunner().invoke(jisr, ["status"]).exception
    assert isinstance(refused, ConfigurationError)
    assert "not set: JISR_BOOTSTRAP, JISR_REGISTRY_URL, JISR_STORE_URL, JISR_SECRET_FILE" in str(refused)
    assert "JISR_WEB_PORT: " in str(refused)
    assert "`jisr up`" in str(refused)


@pytest.mark.parametrize(
    "words",
    [
        ["schema", "show", "--language", "fr", "person"],
        ["schema", "show", "--lang", "fr", "person"],
    ],
)
def test_what_options_were_called_before_is_understood(words: list[str]) -> None:
    assert "Carte" in CliRunner().invoke(jisr, words, catch_exceptions=False).output.title()


def test_the_trail_is_searched_by_every_action_that_the_console_has_words_for() -> None:
    assert tuple(WORDS) == ACTIONS
