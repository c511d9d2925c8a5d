"""Hybrid logical clock stamps (R10): Unix milliseconds and a counter in one integer.

`stamp = ms << 16 | counter`, so that comparing integers compares (ms, counter), and "a known stamp + 1"
is a plain addition. Source: Kulkarni et al., "Logical Physical Clocks", 2014.
"""

COUNTER_BITS = 16
_COUNTER = (1 << COUNTER_BITS) - 1

# A snapshot's value of unknown age: loses to everything that anyone has dated (R11).
LOWEST = 0

# How far ahead of the broker's append time a stamp may be (R10). Clocks of agencies are set by hand.
MAX_SKEW_MS = 5 * 60 * 1000


def at(ms: int, counter: int = 0) -> int:
    """The stamp of a clock reading in Unix milliseconds."""
    return ms << COUNTER_BITS | counter


def milliseconds(stamp: int) -> int:
    """Unix milliseconds of a stamp."""
    return stamp >> COUNTER_BITS


def capture(clock_ms: int, known: int) -> int:
    """The stamp of an edit made at `clock_ms` by someone who had been shown the stamp `known`."""
    return max(at(clock_ms), known + 1)


def bounded(stamp: int, append_ms: int, offset: int) -> int:
    """`stamp`, held back to `MAX_SKEW_MS` after the broker's append time of its message at `offset`.

    A clock that runs ahead would otherwise win every conflict until the others reach it; the append
    time is part of the log, so a replay decides alike. Messages of one batch share their append time:
    the offset, as the counter, keeps a record's edits in the order in which they were made (one key,
    one partition); where it begins anew, once in 65,536 messages, that order is lost.
    """
    return min(stamp, at(append_ms + MAX_SKEW_MS, offset & _COUNTER))
