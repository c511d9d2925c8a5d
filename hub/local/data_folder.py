"""The data folder (`.jisr/`): everything that outlives a run of the embedded stack.

kafka/ postgres/   the servers' data      agencies/*.sqlite3   agencies on SQLite
logs/*.log         each process's output  secrets/             one file each, mode 0600
stack.json         state, mode 0600       lock                 held by the running supervisor
"""

from __future__ import annotations

import fcntl
import json
import os
import secrets
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from hub.errors import Fatal

HOME_VARIABLE = "JISR_HOME"
_LOCK_ATTEMPTS, _LOCK_PAUSE_S = 5, 0.02


def project_root(start: Path | None = None) -> Path:
    """The nearest folder upwards whose pyproject.toml names jisr-hub, else `start` (default: cwd)."""
    start = (start or Path.cwd()).resolve()
    for folder in (start, *start.parents):
        project = folder / "pyproject.toml"
        if project.is_file() and 'name = "jisr-hub"' in project.read_text(encoding="utf-8"):
            return folder
    return start


def default_home(environment: Mapping[str, str] | None = None) -> Path:
    """$JISR_HOME, else `.jisr` in the project."""
    chosen = (os.environ if environment is None else environment).get(HOME_VARIABLE)
    return Path(chosen).expanduser().resolve() if chosen else project_root() / ".jisr"


class DataFolder:
    """Paths, secrets and state below one folder. Raises Fatal if the folder cannot be made."""

    def __init__(self, home: Path) -> None:
        self.home = home.resolve()
        self.kafka = self.home / "kafka"
        self.postgres = self.home / "postgres"
        self.agencies = self.home / "agencies"
        self.logs = self.home / "logs"
        self.secrets = self.home / "secrets"
        self.tls = self.home / "tls"
        self.state = self.home / "stack.json"
        self._lock = self.home / "lock"

    def make(self) -> None:
        """Make the folder and its private parts. Others may pass through it, not list or read it:
        as root, PostgreSQL runs as another account and must reach its own data below."""
        try:
            self.home.mkdir(parents=True, exist_ok=True, mode=0o711)
            for private in (self.agencies, self.logs, self.secrets):
                private.mkdir(exist_ok=True, mode=0o700)
        except OSError as error:
            raise Fatal(
                f"data folder {self.home} cannot be made ({error.strerror}): make it writable, "
                f"or name another one in {HOME_VARIABLE}"
            ) from error

    def secret(self, name: str) -> str:
        """The secret of that name; 256 random bits are made on first use."""
        return self.secret_file(name).read_text(encoding="ascii").strip()

    def secret_file(self, name: str) -> Path:
        """The file that holds the secret, mode 0600, made on first use."""
        path = self.secrets / name
        if not path.exists():
            write_privately(path, secrets.token_hex(32) + "\n")
        return path

    def log(self, process: str) -> Path:
        return self.logs / f"{process}.log"

    def read_state(self) -> dict[str, Any]:
        """What was last written, or empty: a damaged file only costs the ports' stability.

        Raises Fatal if it is somebody else's.
        """
        try:
            state = json.loads(self.state.read_text(encoding="utf-8"))
        except (FileNotFoundError, NotADirectoryError, ValueError):
            return {}
        except OSError as error:
            raise self._not_ours(error) from error
        return state if _is_state(state) else {}

    def write_state(self, state: Mapping[str, Any]) -> None:
        write_privately(self.state, json.dumps(state, indent=1) + "\n", durable=False)

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the folder for one supervisor. The kernel lets go of it however the process ends.

        Raises Fatal at once if another process holds it.
        """
        try:
            file = self._lock.open("a")
        except OSError as error:
            raise self._not_ours(error) from error
        with file:
            if not _flock(file):
                raise Fatal(
                    f"a stack already runs in {self.home}: use it (`jisr endpoints`), "
                    f"stop it (`jisr down`), or name another folder in {HOME_VARIABLE}"
                )
            yield

    def is_locked(self) -> bool:
        """Whether a supervisor runs in this folder right now."""
        try:
            with self._lock.open() as file:
                return not _flock(file)
        except (FileNotFoundError, NotADirectoryError):
            return False
        except OSError as error:
            raise self._not_ours(error) from error

    def _not_ours(self, error: OSError) -> Fatal:
        return Fatal(
            f"{error.filename} cannot be opened ({error.strerror}): is it another user's? "
            f"Name a folder of your own in {HOME_VARIABLE}"
        )


def _is_state(found: Any) -> bool:
    """Whether it has the form that `Stack` writes, in what is read of it."""
    if not isinstance(found, dict):
        return False
    ports, supervisor = found.get("ports", {}), found.get("supervisor", {"pid": 0, "created": 0.0})
    running = found.get("processes", [])
    if not isinstance(ports, dict) or not isinstance(running, list):
        return False
    if not all(isinstance(port, int) for port in ports.values()):
        return False
    return all(isinstance(one, dict) and {"pid", "created"} <= one.keys() for one in (supervisor, *running))


def _flock(file: IO[str]) -> bool:
    # Several attempts: `is_locked` holds it for an instant to find out.
    for _ in range(_LOCK_ATTEMPTS):
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            time.sleep(_LOCK_PAUSE_S)
        else:
            return True
    return False


def write_privately(path: Path, text: str, durable: bool = True) -> None:
    """Replace the file in one step, mode 0600 from its first byte: a reader sees old or new.

    `durable`: it survives a loss of power, for which this waits for the disk.
    """
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
            if durable:
                file.flush()
                os.fsync(file.fileno())
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
