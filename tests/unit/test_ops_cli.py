"""Which hub `jisr status` and its like look at: the one that is named, else the stack of this folder."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner

from hub.cli import jisr, use_embedded_stack
from hub.local.data_folder import DataFolder

ENDPOINTS = {"bootstrap": "127.0.0.1:1", "store": "postgresql://store", "registry": "http://127.0.0.1:2"}
SHOWN = {
    "agencies": {"ads": "postgresql+psycopg://ads:word@127.0.0.1:3/ads", "health": "sqlite:////x"},
    "metrics": [],
}
NAMES = ("JISR_BOOTSTRAP", "JISR_STORE_URL", "JISR_REGISTRY_URL", "JISR_SECRET_FILE")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[DataFolder]:
    """The data folder of a stack that runs, in an environment that names no hub."""
    for name in (*NAMES, "JISR_SCHEMAS", "JISR_AGREEMENTS"):
        # Set before it is removed, so that it is put back as it was whatever a test does.
        monkeypatch.setenv(name, "")
        monkeypatch.delenv(name)
    monkeypatch.setenv("JISR_HOME", str(tmp_path))
    made = DataFolder(tmp_path)
    made.make()
    made.write_state({"endpoints": ENDPOINTS})
    with made.locked():
        yield made


def environment() -> dict[str, str]:
    return {name: os.environ[name] for name in NAMES if name in os.environ}


def test_the_running_stack_is_used(folder: DataFolder) -> None:
    use_embedded_stack()
    assert environment() == {
        "JISR_BOOTSTRAP": "127.0.0.1:1",
        "JISR_STORE_URL": "postgresql://store",
        "JISR_REGISTRY_URL": "http://127.0.0.1:2",
        "JISR_SECRET_FILE": str(folder.secret_file("hub")),
    }


@pytest.mark.parametrize("name", NAMES)
def test_two_hubs_are_never_mixed(folder: DataFolder, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(name, "another hub's")
    use_embedded_stack()
    assert environment() == {name: "another hub's"}


def test_a_stack_that_does_not_run_or_is_not_up_yet_is_not_used(folder: DataFolder) -> None:
    folder.write_state({"endpoints": {**ENDPOINTS, "registry": None}})
    use_embedded_stack()
    assert environment() == {}


def test_a_stack_that_has_stopped_is_not_used(
    folder: DataFolder, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    stopped = DataFolder(tmp_path_factory.mktemp("stopped"))
    stopped.make()
    stopped.write_state({"endpoints": ENDPOINTS})
    monkeypatch.setenv("JISR_HOME", str(stopped.home))
    use_embedded_stack()
    assert environment() == {}


@pytest.mark.parametrize(
    ("command", "uses"),
    [
        ("status", True),
        ("hold", True),
        ("dlq", True),
        ("audit", True),
        ("topics", True),
        ("endpoints", False),
    ],
)
def test_only_commands_that_look_at_a_hub_do(folder: DataFolder, command: str, uses: bool) -> None:
    with pytest.raises(SystemExit) as ended:
        jisr([command, "--help"])
    assert ended.value.code == 0
    assert bool(environment()) is uses


@pytest.mark.parametrize("options", [[], ["--json"]])
def test_addresses_are_told_as_the_databases_own_tools_take_them(
    folder: DataFolder, options: list[str]
) -> None:
    store = {"store": "postgresql+psycopg://hub:word@127.0.0.1:3/hub"}
    folder.write_state({"endpoints": {**ENDPOINTS, **SHOWN, **store}})
    told = CliRunner().invoke(jisr, ["endpoints", *options], catch_exceptions=False).output
    assert "+psycopg" not in told
    for url in (
        "postgresql://hub:word@127.0.0.1:3/hub",
        "postgresql://ads:word@127.0.0.1:3/ads",
        "sqlite:////x",
    ):
        assert url in told
