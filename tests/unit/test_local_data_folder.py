"""The data folder: private, one supervisor at a time, and never half written."""

from __future__ import annotations

import stat
import subprocess
import sys
from pathlib import Path

import pytest

from hub.errors import Fatal
from hub.local.data_folder import DataFolder, default_home, project_root, write_privately


@pytest.fixture
def folder(tmp_path: Path) -> DataFolder:
    folder = DataFolder(tmp_path / "home")
    folder.make()
    return folder


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_is_the_named_folder_or_the_projects(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "pyproject.toml").write_text('[project]\nname = "jisr-hub"\n')
    below = tmp_path / "deploy" / "kafka"
    below.mkdir(parents=True)
    monkeypatch.chdir(below)
    assert default_home({}) == tmp_path / ".jisr"
    assert default_home({"JISR_HOME": str(tmp_path / "x")}) == tmp_path / "x"


def test_another_project_is_not_ours(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text('[project]\nname = "other"\n')
    assert project_root(tmp_path) == tmp_path


def test_what_holds_secrets_is_private(folder: DataFolder) -> None:
    folder.write_state({"a": 1})
    secret = folder.secret_file("hub")
    assert [mode(path) for path in (folder.secrets, folder.logs, folder.agencies)] == [0o700] * 3
    assert [mode(path) for path in (secret, folder.state)] == [0o600] * 2
    # Others may pass: as root, PostgreSQL runs as another account, below this folder.
    assert mode(folder.home) == 0o711


def test_a_secret_is_made_once_and_differs_by_name(folder: DataFolder) -> None:
    first = folder.secret("a")
    assert len(bytes.fromhex(first)) == 32
    assert folder.secret("a") == first
    assert folder.secret("b") != first


def test_state_is_read_back_and_a_damaged_one_is_empty(folder: DataFolder) -> None:
    assert folder.read_state() == {}
    folder.write_state({"ports": {"kafka": 1}})
    assert folder.read_state() == {"ports": {"kafka": 1}}


@pytest.mark.parametrize(
    "content",
    [
        *(b'{"ports": ', b"\xff\xfe", b"[]", b'"x"', b'{"ports": 5}', b'{"ports": {"kafka": "x"}}'),
        *(b'{"processes": 7}', b'{"processes": [{}]}', b'{"supervisor": 1}'),
    ],
)
def test_a_damaged_state_is_none(folder: DataFolder, content: bytes) -> None:
    folder.state.write_bytes(content)
    assert folder.read_state() == {}


def test_a_file_in_place_of_the_folder_holds_nothing(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for home in (tmp_path / "file", tmp_path / "file" / "below"):
        folder = DataFolder(home)
        assert folder.read_state() == {}
        assert not folder.is_locked()
        with pytest.raises(Fatal, match="cannot be made"):
            folder.make()


def test_a_folder_of_somebody_else_is_named(folder: DataFolder) -> None:
    """A folder stands in the file's place: to root, who may run this, no file is closed."""
    (folder.home / "lock").mkdir()
    folder.state.mkdir()
    for ask in (folder.read_state, folder.is_locked, folder.locked().__enter__):
        with pytest.raises(Fatal, match=r"cannot be opened .* Name a folder of your own in JISR_HOME"):
            ask()


def test_a_write_that_fails_leaves_the_old_file_and_no_other(tmp_path: Path) -> None:
    path = tmp_path / "file"
    write_privately(path, "old")
    with pytest.raises(UnicodeEncodeError):
        write_privately(path, "\udcff")
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_holds_for_one_supervisor_at_a_time(folder: DataFolder) -> None:
    assert not folder.is_locked()
    with folder.locked():
        assert folder.is_locked()
        with pytest.raises(Fatal, match=r"already runs.*jisr down"), DataFolder(folder.home).locked():
            pass
    assert not folder.is_locked()


def test_a_supervisor_that_is_killed_lets_go(folder: DataFolder) -> None:
    code = (
        "import sys, time; from pathlib import Path; from hub.local.data_folder import DataFolder\n"
        "with DataFolder(Path(sys.argv[1])).locked():\n"
        "    print('held', flush=True); time.sleep(600)"
    )
    arguments = [sys.executable, "-c", code, str(folder.home)]
    with subprocess.Popen(arguments, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        assert folder.is_locked()
        process.kill()
    assert not folder.is_locked()


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(Fatal, match=r"data folder .*file/home cannot be made.*JISR_HOME"):
        DataFolder(tmp_path / "file" / "home").make()
