"""How many rows one transaction of the sink takes: as many as fit into the time that locks may be held."""

from __future__ import annotations

# Row locks are to be held for less than 100 ms (R28); a server that is busy for a moment needs a margin.
AIM_S = 0.08
FIRST_ROWS, FEWEST_ROWS, MOST_ROWS = 200, 20, 1_000


class Pace:
    """Grows on a fast database and shrinks on a slow one, by what the transactions before took."""

    def __init__(self) -> None:
        self.rows = FIRST_ROWS

    def took(self, rows: int, seconds: float) -> None:
        """A transaction of so many rows took so long."""
        if rows < self.rows // 2 and seconds < AIM_S:
            # Few rows cost mostly what any transaction costs, and tell nothing of many.
            return
        fitting = rows * AIM_S / max(seconds, 1e-6)
        # Half of the way: one slow moment says little.
        self.rows = min(max(int((self.rows + fitting) / 2), FEWEST_ROWS), MOST_ROWS)
