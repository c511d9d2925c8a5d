"""How often somebody may try: signing in, and having values revealed."""

from __future__ import annotations

import ipaddress
import threading
from collections import OrderedDict, deque
from collections.abc import Callable

from starlette.requests import Request

# So many keys are remembered at most; the one unheard of for longest is forgotten first.
_KEYS = 10_000


def caller(request: Request) -> str:
    """Where a request comes from, as attempts are counted: an address, of IPv6 its /64, since whoever has one
    address of that has them all. Behind a proxy that is not trusted it is the proxy's."""
    host = request.client.host if request.client else ""
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return host
    return host if address.version == 4 else str(ipaddress.ip_network((int(address) >> 64 << 64, 64)))


class RateLimit:
    """At most `times` within `window_s` seconds for each key; what is refused does not count. Thread-safe."""

    def __init__(self, times: int, window_s: float, clock: Callable[[], float]) -> None:
        self._times = times
        self._window_s = window_s
        self._clock = clock
        self._taken: OrderedDict[str, deque[float]] = OrderedDict()
        self._lock = threading.Lock()

    def take(self, key: str) -> float:
        """0.0 if it may go on, and then it counts; else in how many seconds it may be tried again."""
        with self._lock:
            now = self._clock()
            taken = self._taken.setdefault(key, deque())
            self._taken.move_to_end(key)
            while taken and taken[0] <= now - self._window_s:
                taken.popleft()
            if len(taken) >= self._times:
                return taken[0] + self._window_s - now
            taken.append(now)
            if len(self._taken) > _KEYS:
                self._taken.popitem(last=False)
            return 0.0
