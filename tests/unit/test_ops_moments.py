"""Moments as people give them."""

from __future__ import annotations

import datetime

import click
import pytest

from hub.ops.moments import Moment, milliseconds
from hub.ops.parts import MOROCCO

HOUR_MS = 3600 * 1000


def ms(text: str) -> int:
    found = milliseconds(Moment().convert(text, None, None))
    assert found is not None
    return found


def test_a_day_begins_in_morocco() -> None:
    # Morocco is at UTC+1, but in Ramadan at UTC+0.
    assert ms("2025-01-31") == ms("2025-01-30T23:00+00:00")
    assert ms("2025-03-15") == ms("2025-03-15T00:00+00:00")
    assert ms("2025-01-31 14:05") == ms("2025-01-31T13:05Z")


@pytest.mark.parametrize(("text", "hours"), [("90m", 1.5), ("2h", 2), ("3d", 72)])
def test_so_long_ago(text: str, hours: float) -> None:
    now = milliseconds(datetime.datetime.now(tz=MOROCCO)) or 0
    assert abs(now - ms(text) - hours * HOUR_MS) < HOUR_MS / 60


@pytest.mark.parametrize("text", ["yesterday", "2025-13-01", "5x", "-1d", "", "99999999999d"])
def test_what_is_no_moment_is_refused(text: str) -> None:
    with pytest.raises(click.BadParameter):
        ms(text)


def test_milliseconds_are_whole() -> None:
    for found in range(1_735_689_600_000, 1_735_689_601_000):
        moment = datetime.datetime.fromtimestamp(0, tz=datetime.UTC) + datetime.timedelta(milliseconds=found)
        assert milliseconds(moment) == found
    assert milliseconds(None) is None
