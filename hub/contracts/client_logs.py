"""What the libraries that speak to Kafka may log: said once for workers and connectors."""

from __future__ import annotations

import logging
import re
import time
from collections.abc import Callable

# While a broker is away, a client says so a hundred times a second: a gigabyte a day.
SAME_EVERY_S = 30.0
_MOST_KEPT = 500
_NUMBER = re.compile(r"\d+")


class Sparing(logging.Handler):
    """Passes on to the root's handlers what was not said within the last `SAME_EVERY_S`, in one line."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self._clock = clock
        # What was said, without its numbers → when, and how often since.
        self._said: dict[tuple[str, str], tuple[float, int]] = {}

    def emit(self, record: logging.LogRecord) -> None:
        told, now = (record.name, _NUMBER.sub("", str(record.msg))), self._clock()
        at, again = self._said.get(told, (-SAME_EVERY_S, 0))
        if now - at < SAME_EVERY_S:
            self._said[told] = at, again + 1
            return
        if len(self._said) >= _MOST_KEPT:
            self._said.clear()
        self._said[told] = now, 0
        logging.getLogger().callHandlers(_in_one_line(record, again))


def _in_one_line(record: logging.LogRecord, again: int) -> logging.LogRecord:
    """A copy with the exception instead of its traceback, which leads through the library alone."""
    made = logging.makeLogRecord(record.__dict__)
    cause = record.exc_info[1] if record.exc_info else None
    text = record.getMessage() + (f": {cause!r}" if cause else "")
    made.msg = f"{text} (and {again} times before)" if again else text
    # Formatters of others expect a tuple.
    made.args, made.exc_info, made.exc_text = (), None, None
    return made


def quieten_clients() -> None:
    """Log of the clients' own remarks only what somebody could mend; said of a whole process, when it starts.

    At DEBUG and INFO kafka-python prints keys and values, or a line per connection, and merely to make such
    messages took 8% of a worker's time.
    """
    for name in ("aiokafka", "kafka", "httpx"):
        logger = logging.getLogger(name)
        logger.setLevel(logging.WARNING)
        if logger.propagate:
            logger.propagate = False
            logger.addHandler(Sparing())
    # On a busy machine it warns of every step that took longer than 0.1 s: nothing that anybody could mend.
    logging.getLogger("kafka.net.selector").setLevel(logging.ERROR)
