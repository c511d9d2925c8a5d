"""What a worker remembers of values that it has met stays small, however many people there are."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

from hub.contracts import values
from hub.contracts.policies import type_policies
from hub.contracts.records import Catalogue
from hub.contracts.wire import encode_string
from hub.core import matching, sounding
from hub.core.tokens import Ids
from hub.lanes.naming import Naming

CATALOGUE = Catalogue.load(Path(__file__).parents[2] / "schemas" / "records")
SAMPLE = 2_000
MOST_MB = 32


def test_all_caches_together_stay_small_when_they_are_full() -> None:
    """A worker may take 256 MB, and half of that are its libraries."""
    cin = values.SpecKey(CATALOGUE.records["person"].by_name["cin"])
    naming = Naming(CATALOGUE, type_policies(CATALOGUE), Ids(b"a secret of thirty-two bytes ....."))
    names = [f"{number:b}".replace("0", "di").replace("1", "no") for number in range(SAMPLE)]
    encoded = [encode_string(name) for name in names]
    full = (
        _when_full(values._canonical, [(cin, encode_string(f"SH{number}")) for number in range(SAMPLE)])
        + _when_full(matching._folded, [(raw,) for raw in encoded])
        + _when_full(sounding.sounds, [(name,) for name in names])
        # Dates are no larger.
        + 2 * _when_full(naming._of_name, [(raw,) for raw in encoded])
    )
    assert full < MOST_MB * 2**20


def _when_full(cache: Callable[..., Any], arguments: list[tuple[Any, ...]]) -> int:
    """Bytes that a cache takes when it is full, by what so many entries take."""
    cache.cache_clear()  # type: ignore[attr-defined]
    tracemalloc.start()
    for one in arguments:
        cache(*one)
    taken, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return taken // len(arguments) * int(cache.cache_parameters()["maxsize"])  # type: ignore[attr-defined]
