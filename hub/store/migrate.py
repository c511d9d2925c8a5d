"""Bring the store's tables up to this release."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import Connection, Engine, inspect, text

if TYPE_CHECKING:
    from alembic.config import Config

# Any constant will do, as long as it is ours: two hubs that start at once must not both migrate.
_MIGRATION_LOCK = 7_231_904_411
_MIGRATIONS = Path(__file__).parent / "migrations"


def configuration() -> Config:
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(_MIGRATIONS))
    config.set_main_option("path_separator", "os")
    return config


def newest() -> str:
    """The revision of this release: migrations' files begin with theirs."""
    return max(path.name for path in (_MIGRATIONS / "versions").glob("*.py")).partition("_")[0]


def migrate(engine: Engine) -> None:
    """Apply what is missing; several processes may call it at once. Blocks while another migrates."""
    with engine.begin() as connection:
        connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _MIGRATION_LOCK})
        if _revision(connection) == newest():
            return
        # Here, since it takes 0.2 s, and most starts find the store as it should be.
        from alembic import command

        config = configuration()
        config.attributes["connection"] = connection
        command.upgrade(config, "head")


def _revision(connection: Connection) -> str | None:
    if not inspect(connection).has_table("alembic_version"):
        return None
    known: str | None = connection.scalar(text("SELECT version_num FROM alembic_version"))
    return known
