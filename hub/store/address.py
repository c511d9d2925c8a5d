"""Where a PostgreSQL is: an SQLAlchemy URL, looked at before it is used."""

from __future__ import annotations

from sqlalchemy import URL, make_url
from sqlalchemy.exc import ArgumentError

from hub.errors import ConfigurationError

_DRIVER = "postgresql+psycopg"


def postgresql_url(url: str, setting: str) -> URL:
    """What `setting` says, with the driver that is installed: `postgresql://…` will do.

    Raises `ConfigurationError` for what is no URL of PostgreSQL.
    """
    try:
        parsed = make_url(url)
    except (ArgumentError, ValueError):
        parsed = None
    if parsed is None or parsed.drivername not in ("postgresql", _DRIVER):
        # Not as it was given: it may hold a password.
        raise ConfigurationError(f"{setting}: not of the form postgresql://user:password@host:5432/database")
    return parsed.set(drivername=_DRIVER)
