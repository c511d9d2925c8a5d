"""Whether a server of ours may listen where it is told to: asked before frameworks answer by a traceback."""

from __future__ import annotations

import socket

from hub.errors import ConfigurationError


def require_free(host: str, port: int) -> None:
    """Raises `ConfigurationError` where one may not listen there, as on a port that is taken; 0 is any."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        socket.create_server((host, port), family=family).close()
    except (OSError, OverflowError) as error:
        raise ConfigurationError(
            f"{host}:{port} cannot be listened on: {error}. Another program may: give another port"
        ) from error
