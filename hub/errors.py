"""The error tree: the class of an error decides what the caller does, and nothing else does.

- `Fatal`      — a person must act; the process stops with the message (exit code 1 from `jisr`).
- `Retriable`  — a dependency is away; pause, keep polling, try again.
- `SkipRecord` — this record cannot be used; it goes to the dead letters, its neighbours go on.

Every message says what is wrong, where, and how to mend it.
"""


class JisrError(Exception):
    """Base of every error that Jisr Hub raises on purpose."""


class Fatal(JisrError):
    """Going on would lose or damage something: stop, and say what to mend."""


class Retriable(JisrError):
    """A dependency does not answer: the same call may succeed later, unchanged."""


class SkipRecord(JisrError):
    """One record cannot be used.

    `code` is a stable word for machines (`undecodable`, `invalid_value`, …), `path` the place in the
    record (a field's name, or empty), the message says the rest to a person.
    """

    def __init__(self, code: str, message: str, path: str = "") -> None:
        super().__init__(message)
        self.code = code
        self.path = path


class ConfigurationError(Fatal):
    """A file or setting is wrong: the message names it, with line and column where there is one."""
