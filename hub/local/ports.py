"""Free TCP ports on the loopback interface that stay the same from one start to the next."""

from __future__ import annotations

import random
import socket
from collections.abc import Iterable, Mapping

from hub.errors import Fatal

LOOPBACK = "127.0.0.1"

# Below the kernels' usual range for outgoing connections (Linux: from 32768, macOS: from 49152): a
# port from there can be taken by any client in the moment between a server's death and its restart.
FIRST_PORT, LAST_PORT = 20_000, 32_000
_ATTEMPTS = 200


def is_free(port: int) -> bool:
    """Whether a server could listen there now; connections that still time out do not count."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
            probe.listen(1)
        except OSError:
            return False
    return True


def accepts(port: int, timeout_s: float = 0.5) -> bool:
    """Whether something listens there. Blocks for `timeout_s` at most."""
    try:
        with socket.create_connection((LOOPBACK, port), timeout_s):
            return True
    except OSError:
        return False


def assign(names: Iterable[str], known: Mapping[str, int]) -> dict[str, int]:
    """A free port for each name: the known one unless it is taken meanwhile. Keeps what is unasked."""
    ports = dict(known)
    for name in names:
        port = ports.pop(name, None)
        if port is None or port in ports.values() or not is_free(port):
            port = _pick(set(ports.values()))
        ports[name] = port
    return ports


def _pick(taken: set[int]) -> int:
    for _ in range(_ATTEMPTS):
        port = random.randint(FIRST_PORT, LAST_PORT)  # noqa: S311  (spreads, protects nothing)
        if port not in taken and is_free(port):
            return port
    raise Fatal(
        f"no free TCP port on {LOOPBACK} between {FIRST_PORT} and {LAST_PORT}: "
        "this machine allows no listening there, or nearly all are in use"
    )
