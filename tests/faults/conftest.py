"""One stage for all fault tests: to start it costs as much as to play several rounds on it.

The comparison comes first by its name: it counts messages about people whom nobody has edited for long.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from faults.stage import SEED, Stage

PEOPLE = 40


# Of the package, not the session: an idle stage would keep a third of a core busy to the session's end.
@pytest.fixture(scope="package")
def stage() -> Iterator[Stage]:
    with Stage(PEOPLE, SEED) as running:
        yield running
