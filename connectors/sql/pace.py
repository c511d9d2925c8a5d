"""How many rows one transaction of the sink takes: as many as fit into the time that locks may be held.

What a transaction costs whatever its rows is a third of the sink's work where twenty rows go in together, and
nearly nothing where five hundred do. So rows that people may be at work on are written by themselves, and
only the time counts for which they are locked; for a new row nobody can wait.
"""

from __future__ import annotations

# Row locks are to be held for less than 100 ms (R28); a server that is busy for a moment needs a margin.
AIM_S = 0.08
# Of new rows: who waits is somebody who takes the same unique key at the same moment, or deletes what a new
# row refers to. As long as the sink itself would wait for a lock.
NEW_AIM_S = 0.25
FIRST_ROWS, FEWEST_ROWS, MOST_ROWS = 200, 20, 1_000


class Pace:
    """Grows on a fast database and shrinks on a slow one, by what the transactions before took."""

    def __init__(self, aim_s: float = AIM_S) -> None:
        self.rows = FIRST_ROWS
        self._aim_s = aim_s

    def took(self, rows: int, seconds: float) -> None:
        """A transaction of so many rows held its locks for so long."""
        if rows < self.rows // 2 and seconds < self._aim_s:
            # Few rows cost mostly what any transaction costs, and tell nothing of many.
            return
        fitting = rows * self._aim_s / max(seconds, 1e-6)
        # Half of the way: one slow moment says little.
        self.rows = min(max(int((self.rows + fitting) / 2), FEWEST_ROWS), MOST_ROWS)
