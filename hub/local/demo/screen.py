"""What a person sees: bars and colours on a terminal, plain lines anywhere else."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

_LINE_EVERY_S = 2.0
_PLAIN_WIDTH = 132

Show = Callable[[Mapping[str, int]], None]


class Screen:
    """Writes to standard output, or to standard error where that is kept for a program's answer."""

    def __init__(self, *, stderr: bool) -> None:
        stream = sys.stderr if stderr else sys.stdout
        terminal = stream.isatty()
        self._console = Console(
            file=stream, width=None if terminal else _PLAIN_WIDTH, highlight=False, no_color=not terminal
        )
        self._terminal = terminal

    def line(self, text: str = "", style: str = "") -> None:
        """One line; `text` is shown as it is."""
        self._console.print(escape(text), style=style or None, soft_wrap=True)

    def progress_line(self, progress: Any) -> None:
        """A line of the embedded stack's (`hub.local.stack.Progress`)."""
        detail = f" ({progress.detail})" if progress.detail else ""
        self.line(f"  {progress.what}{detail}  {progress.seconds:.2f} s", "dim")

    def heading(self, text: str) -> None:
        self.line()
        self.line(text, "bold")

    def verdict(self, ok: bool, text: str) -> None:
        """A line that begins with ✓ or ✗."""
        self.line(f"{'✓' if ok else '✗'} {text}", "green" if ok else "bold red")

    def table(self, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
        """A table; columns after the second are numbers or marks, to the right. Fits 80 characters."""
        table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
        for position, name in enumerate(columns):
            table.add_column(name, justify="left" if position < 2 else "right", no_wrap=True)
        for row in rows:
            table.add_row(*map(escape, row))
        self._console.print(table)

    @contextmanager
    def progress(self, goal: Mapping[str, int]) -> Iterator[Show]:
        """A bar for each agency while the block runs; call what it gives with how far each has come."""
        if not self._terminal:
            yield self._lines(goal)
            return
        columns = (
            TextColumn("{task.description:<16}"),
            BarColumn(40),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
        )
        with Progress(*columns, console=self._console) as progress:
            bars = {name: progress.add_task(name, total=total) for name, total in goal.items()}

            def show(done: Mapping[str, int]) -> None:
                for name, count in done.items():
                    progress.update(bars[name], completed=min(count, goal[name]))

            yield show

    def _lines(self, goal: Mapping[str, int]) -> Show:
        last = {"at": 0.0}

        def show(done: Mapping[str, int]) -> None:
            if time.monotonic() - last["at"] >= _LINE_EVERY_S:
                last["at"] = time.monotonic()
                self.line("  ".join(f"{name} {done[name]}/{total}" for name, total in goal.items()))

        return show
