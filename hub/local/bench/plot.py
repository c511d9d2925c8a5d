"""Draws what was measured: one SVG file of bars, without a library, for a browser or a page."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from html import escape
from typing import Any, NamedTuple

_WIDTH, _LEFT, _RIGHT = 860, 260, 90
_BAR, _ROW, _HEAD = 16, 22, 44
_COLOURS = ("#1f6f8b", "#c8553d", "#588157", "#8d6a9f")
_STYLE = "font-family: system-ui, sans-serif; font-size: 12px"


class Bars(NamedTuple):
    """One panel: its title, which names the unit, and (label, value, number of its colour)."""

    title: str
    rows: Sequence[tuple[str, float, int]]


def draw(found: Mapping[str, Any]) -> str:
    """An SVG of everything in the parts' results that can be compared by length."""
    panels = [one for name, part in found.items() for one in _panels(name, part) if one.rows]
    body: list[str] = []
    top = 12
    for panel in panels:
        body += _panel(panel, top)
        top += _HEAD + _ROW * len(panel.rows)
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {top}" style="{_STYLE}">'
    return "\n".join([head, f'<rect width="{_WIDTH}" height="{top}" fill="#fff"/>', *body, "</svg>", ""])


def _panels(name: str, part: Mapping[str, Any]) -> Iterator[Bars]:
    """Numbers that share a unit stand in one panel; those of a nested result under its own name."""
    by_unit: dict[str, list[tuple[str, float, int]]] = {}
    for path, value in _numbers(part):
        unit = next((u for u in _UNITS if path[-1].endswith(u) or u in path[:-1]), None)
        if unit is not None:
            label = " · ".join(path)
            rows = by_unit.setdefault(unit, [])
            rows.append((label, value, len(path) % len(_COLOURS)))
    for unit, rows in by_unit.items():
        yield Bars(f"{name}: {_UNITS[unit]}", rows)


# How a measurement's name ends, and what that means.
_UNITS = {
    "_per_s": "per second",
    "cpu_us_per_delivery": "processor time per delivery, µs",
    "cpu_us_per_change": "processor time per change, µs",
    "server_cpu_us_per_change": "processor time of the servers per change, µs",
    "cpu_us_per_row": "processor time per row, µs",
    "new_cpu_us": "processor time per newcomer, µs",
    "edit_cpu_us": "processor time per edit, µs",
    "edit_ratio": "processor time of an edit, as a ratio to the fewest entities",
    "memory_mb": "most memory, MB",
    "_bytes": "bytes kept per entity",
    "_ms": "delay, ms",
    "longest_delay_s": "longest delay of an edit, s",
    "seconds": "seconds",
}


def _numbers(part: Mapping[str, Any], path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], float]]:
    for name, value in part.items():
        if isinstance(value, Mapping):
            yield from _numbers(value, (*path, name))
        elif isinstance(value, (int, float)):
            yield (*path, name), float(value)


def _panel(panel: Bars, top: int) -> Iterator[str]:
    longest = max(value for _, value, _ in panel.rows) or 1.0
    yield f'<text x="12" y="{top + 18}" font-weight="bold">{escape(panel.title)}</text>'
    for number, (label, value, colour) in enumerate(panel.rows):
        y = top + _HEAD - 14 + number * _ROW
        width = round((_WIDTH - _LEFT - _RIGHT) * value / longest, 1)
        yield f'<text x="{_LEFT - 8}" y="{y + 12}" text-anchor="end">{escape(label)}</text>'
        yield f'<rect x="{_LEFT}" y="{y}" width="{width}" height="{_BAR}" fill="{_COLOURS[colour]}"/>'
        yield f'<text x="{_LEFT + width + 6}" y="{y + 12}">{value:,g}</text>'
