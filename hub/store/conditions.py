"""Conditions of a search, as far as they are given: what is not asked for is not in the statement.

A condition that lets everything pass where its parameter is null (`:x IS NULL OR x = :x`) keeps the server
from using an index whenever it plans without the parameters, and from a partial index always.
"""

from __future__ import annotations

from collections.abc import Mapping

# So far is counted where a page says no more than a number: who has more of something has very many.
COUNTED = 10_000


def given(conditions: Mapping[str, str], where: Mapping[str, object]) -> str:
    """The conditions whose parameter is not None, joined by AND; `true` if there is none."""
    return " AND ".join(text for name, text in conditions.items() if where.get(name) is not None) or "true"
