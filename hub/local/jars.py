"""The broker's jars: pinned by SHA-256, fetched once, kept in a cache that all projects share.

jgo is used as a Maven client for one coordinate at a time. Its own resolution of what a jar needs
picks versions that Maven would not, so the lock file names every jar, and nothing is resolved.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from hub.errors import ConfigurationError, Fatal, Retriable

CACHE_VARIABLE = "JISR_CACHE"
MIRROR_VARIABLE = "JISR_MAVEN_MIRROR"
LOCK_FILE = Path(__file__).resolve().parents[2] / "deploy" / "kafka" / "jars.lock"

_DOWNLOADS_AT_ONCE = 8
_READ_TIMEOUT_S = 30
_RETRIES = 2


@dataclass(frozen=True)
class PinnedJar:
    """One line of the lock file."""

    group: str
    artifact: str
    version: str
    sha256: str

    @property
    def coordinate(self) -> str:
        return f"{self.group}:{self.artifact}:{self.version}"

    @property
    def file_name(self) -> str:
        return f"{self.artifact}-{self.version}.jar"


def default_cache(environment: Mapping[str, str] | None = None) -> Path:
    """`jars` in $JISR_CACHE, else in `~/.cache/jisr`."""
    chosen = (os.environ if environment is None else environment).get(CACHE_VARIABLE)
    return (Path(chosen).expanduser() if chosen else Path.home() / ".cache" / "jisr") / "jars"


def read_lock(path: Path = LOCK_FILE) -> tuple[PinnedJar, ...]:
    """The jars of a lock file. Raises ConfigurationError naming the line that cannot be read."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except OSError as error:
        raise ConfigurationError(
            f"{path}: cannot be read ({error.strerror}); run from a checkout of Jisr Hub"
        ) from error
    return tuple(
        _parse(line, f"{path}:{number}")
        for number, line in enumerate(lines, 1)
        if line.strip() and not line.startswith("#")
    )


def _parse(line: str, place: str) -> PinnedJar:
    coordinate, _, sha256 = line.strip().partition(" ")
    parts = coordinate.split(":")
    if len(parts) != 3 or len(sha256) != 64:
        raise ConfigurationError(f"{place}: expected `group:artifact:version sha256`, got {line!r}")
    group, artifact, version = parts
    return PinnedJar(group, artifact, version, sha256)


def missing(jars: Iterable[PinnedJar], cache: Path) -> list[PinnedJar]:
    """Those that the cache lacks or holds with another content. Reads every file (40 MB: 0.1 s)."""
    return [jar for jar in jars if not _matches(cache / jar.file_name, jar.sha256)]


def ensure(
    jars: Sequence[PinnedJar], cache: Path, fetched: Callable[[PinnedJar], None] = lambda _: None
) -> list[Path]:
    """Paths of all the jars, verified, after fetching what is missing. Blocks while it downloads.

    From the Maven repository at $JISR_MAVEN_MIRROR, else from the public one; it need not be trusted.
    `fetched` is called for each download, from several threads. Raises Retriable if the registry
    does not answer, Fatal if it does not have the jar or its content is not the pinned one.
    """
    absent = missing(jars, cache)
    if absent:
        cache.mkdir(parents=True, exist_ok=True)
        with ThreadPoolExecutor(_DOWNLOADS_AT_ONCE, thread_name_prefix="jars") as pool:
            futures = [pool.submit(_fetch, jar, cache, fetched) for jar in absent]
            try:
                for future in futures:
                    future.result()
            except BaseException:
                pool.shutdown(cancel_futures=True)
                raise
    return [cache / jar.file_name for jar in jars]


def _fetch(jar: PinnedJar, cache: Path, fetched: Callable[[PinnedJar], None]) -> None:
    # A folder of its own per download: two stacks that start together never see half a file.
    staging = Path(tempfile.mkdtemp(dir=cache, prefix=".download-"))
    try:
        downloaded = _download(jar, staging)
        accept(jar, downloaded)
        downloaded.replace(cache / jar.file_name)
    finally:
        shutil.rmtree(staging, ignore_errors=True)
    fetched(jar)


def _download(jar: PinnedJar, staging: Path) -> Path:
    import requests  # jgo's own client, known by its errors
    from jgo.maven import MavenContext

    mirror = os.environ.get(MIRROR_VARIABLE)
    context = MavenContext(
        repo_cache=staging,
        local_repos=[],
        remote_repos={"mirror": mirror.rstrip("/")} if mirror else None,
        timeout=_READ_TIMEOUT_S,
    )
    artifact = context.project(jar.group, jar.artifact).at_version(jar.version).artifact()
    for attempt in range(_RETRIES + 1):
        try:
            return Path(artifact.resolve())
        except requests.RequestException as error:
            # A transfer that broke off leaves half a file, which jgo would take for the jar.
            artifact.cached_path.unlink(missing_ok=True)
            if attempt == _RETRIES:
                raise Retriable(f"{jar.coordinate}: {_unanswered(error)}") from error
        except RuntimeError as error:
            raise Fatal(
                f"{jar.coordinate}: the Maven registry does not have it; "
                f"check the coordinate in {LOCK_FILE.name}, and {MIRROR_VARIABLE} if you set it"
            ) from error
    raise AssertionError("unreachable")


def _unanswered(error: Exception) -> str:
    """What to do where a download failed."""
    import requests

    if isinstance(error, requests.exceptions.SSLError):
        return (
            "the Maven registry's certificate is not trusted; if a proxy with an authority of its own is on "
            "the way, name that authority's PEM file in REQUESTS_CA_BUNDLE and start again"
        )
    return (
        f"the Maven registry does not answer ({type(error).__name__}); check the network or proxy and start "
        f"again, or name a mirror that you can reach in {MIRROR_VARIABLE}"
    )


def accept(jar: PinnedJar, path: Path) -> None:
    """Return if the file is the pinned one; else delete it and raise Fatal."""
    actual = _sha256(path)
    if actual != jar.sha256:
        path.unlink()
        raise Fatal(
            f"{jar.coordinate}: refused and deleted, its SHA-256 is {actual}, and {LOCK_FILE.name} "
            f"pins {jar.sha256}: the registry or a proxy on the way serves another file"
        )


def _matches(path: Path, sha256: str) -> bool:
    return path.is_file() and _sha256(path) == sha256


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
