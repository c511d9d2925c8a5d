"""Moments as people give them on the command line: a day, a time in Morocco, or how long ago."""

from __future__ import annotations

import datetime
import re

import click

from hub.ops.parts import MOROCCO

_AGO = re.compile(r"(\d+)([mhd])")
_UNITS = {
    "m": datetime.timedelta(minutes=1),
    "h": datetime.timedelta(hours=1),
    "d": datetime.timedelta(days=1),
}
_EPOCH = datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)


class Moment(click.ParamType):
    """`2025-01-31`, `2025-01-31 14:05` (in Morocco, unless it says its offset), or `90m`, `2h`, `3d` ago."""

    name = "moment"

    def convert(
        self, value: str | datetime.datetime, param: click.Parameter | None, ctx: click.Context | None
    ) -> datetime.datetime:
        if isinstance(value, datetime.datetime):
            return value
        if ago := _AGO.fullmatch(value):
            try:
                return datetime.datetime.now(tz=MOROCCO) - int(ago[1]) * _UNITS[ago[2]]
            except OverflowError:
                self.fail(f"{value!r} ago there was no calendar", param, ctx)
        try:
            moment = datetime.datetime.fromisoformat(value)
        except ValueError:
            self.fail(
                f"{value!r}: give a day (2025-01-31), a time (2025-01-31 14:05), or 90m, 2h, 3d", param, ctx
            )
        return moment if moment.tzinfo else moment.replace(tzinfo=MOROCCO)


def milliseconds(moment: datetime.datetime | None) -> int | None:
    """Unix milliseconds; whole numbers all the way, since a float loses one here and there."""
    return None if moment is None else (moment - _EPOCH) // datetime.timedelta(milliseconds=1)


_MOMENT = Moment()

since = click.option(
    "--since", type=_MOMENT, metavar="TIME", help="From then on: a day, a time, or 2h, 3d ago."
)
until = click.option("--until", type=_MOMENT, metavar="TIME", help="Before then.")
