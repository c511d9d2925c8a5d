"""Whether the files of a database are still those that a connection has open.

Who restores a database may put an older copy in its place beneath the connector. SQLite goes on with the
files that it has open, which have no name any more: what the connector wrote nobody would ever see, and what
people write it would not.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from hub.errors import Fatal, Retriable

# Device and number of a file.
_Identity = tuple[int, int]


@dataclass
class OpenFiles:
    """What a connection has open: the file, and the log beside it where the journal is a WAL."""

    path: Path
    file: _Identity
    log: _Identity | None = None

    @classmethod
    def at(cls, path: Path) -> OpenFiles:
        """What is there now; raises `Retriable` if there is no file."""
        file = _identity(path)
        if file is None:
            raise Retriable(f"{path}: no such file")
        return cls(path, file)

    def check(self) -> None:
        """Raises `Retriable` if another file is in the place: that one is to be opened. `Fatal` if only the
        log is another one, since it can only be let go of with the process."""
        if _identity(self.path) != self.file:
            raise Retriable(f"{self.path} was moved away, or another file is in its place")
        if self.is_log_lost():
            raise Fatal(
                f"{self.path} was written over beneath the connector, and its -wal removed: what this "
                "connector still has of the former database is given up. Start it again; and stop it before "
                "a restore"
            )

    def is_log_lost(self) -> bool:
        """Whether the file is the same, and its log is not.

        Whoever closed it last would write the lost log into the file, over what was restored: SQLite looks
        whether the file was moved, not whether the log was. While a connection is open, nothing else makes
        its log go away.
        """
        log = _identity(self.path.with_name(f"{self.path.name}-wal"))
        if self.log is None:
            self.log = log
        return log != self.log and _identity(self.path) == self.file


def _identity(path: Path) -> _Identity | None:
    try:
        found = path.stat()
    except OSError:  # none there, or none to be seen
        return None
    return found.st_dev, found.st_ino
