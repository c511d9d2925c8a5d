"""Mistakes planted into production functions, one rule each: what does not find them proves nothing.

Each is what somebody might write who does not know the rule. `planted` lists them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any
from unittest import mock

# (where, name, replacement)
Change = tuple[Any, str, Any]


@dataclass(frozen=True)
class Plant:
    """One mistake; `rule` is the one that it breaks, `seed` one that found it when it was last looked
    for, `often` the kinds of deeds that bring it to light."""

    rule: str
    what: str
    changes: Callable[[], list[Change]]
    seed: int
    often: tuple[str, ...]

    @contextmanager
    def planted(self) -> Iterator[None]:
        with ExitStack() as stack:
            for where, name, replacement in self.changes():
                stack.enter_context(mock.patch.object(where, name, replacement))
            yield


PLANTS: list[Plant] = []


def plant(
    rule: str, what: str, seed: int = 0, often: tuple[str, ...] = ()
) -> Callable[[Callable[[], list[Change]]], Callable[[], list[Change]]]:
    def note(changes: Callable[[], list[Change]]) -> Callable[[], list[Change]]:
        PLANTS.append(Plant(rule, what, changes, seed, often))
        return changes

    return note
