"""The form of a dashboard: a list of panels with their queries, in three languages."""

from __future__ import annotations

from typing import Literal, NamedTuple

Language = Literal["en", "fr", "ar"]
LANGUAGES: tuple[Language, ...] = ("en", "fr", "ar")
Kind = Literal["stat", "bars", "lines", "states"]
# English, French, Arabic.
Words = tuple[str, str, str]


class Query(NamedTuple):
    """A query of Prometheus, and what its series are called; `$agency` is the agency chosen."""

    expr: str
    legend: str = ""


class Panel(NamedTuple):
    """One panel. `warn` and `bad`: from where its colour changes; lower is worse where bad < warn. `paused`:
    from where it is neither good nor bad."""

    kind: Kind
    title: Words
    description: Words
    queries: tuple[Query, ...]
    unit: str = "short"
    width: int = 8
    warn: float | None = None
    bad: float | None = None
    paused: float | None = None


class Board(NamedTuple):
    """One dashboard; `by_agency`: with a choice of agency at its top."""

    uid: str
    title: Words
    description: Words
    panels: tuple[Panel, ...]
    by_agency: bool = False


RATE = "[$__rate_interval]"
# Age of the oldest change that has not come through, by agency.
AGE = "jisr:convergence_age:seconds"


def quantile(share: float, histogram: str, by: str = "") -> str:
    """The value below which this share of a histogram's observations lies."""
    labels = f"{by}, le" if by else "le"
    return f"histogram_quantile({share}, sum by ({labels}) (rate({histogram}_bucket{RATE})))"
