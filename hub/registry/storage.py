"""What the registry keeps in PostgreSQL; several instances may share one database."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from typing import NamedTuple

from sqlalchemy import (
    Column,
    Connection,
    DateTime,
    Engine,
    ForeignKey,
    Integer,
    MetaData,
    Select,
    Table,
    Text,
    UniqueConstraint,
    create_engine,
    delete,
    func,
    select,
)
from sqlalchemy.dialects.postgresql import insert

from hub.contracts.safety import JsonSchema
from hub.store.address import postgresql_url

# All writers queue on one lock, so that ids rise without a gap and a subject's versions are compared with
# what is really there. Registrations are rare; readers take no lock. The number is arbitrary but fixed.
_WRITE_LOCK = 0x6A69_7372_5245_47
_STATEMENT_TIMEOUT_MS = 10_000
_EVERY_SUBJECT = ""

_metadata = MetaData()
_schemas = Table(
    "registry_schema",
    _metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("fingerprint", Text, nullable=False, unique=True),
    Column("text", Text, nullable=False),
    Column("registered_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
)
_versions = Table(
    "registry_version",
    _metadata,
    Column("subject", Text, primary_key=True),
    Column("version", Integer, primary_key=True),
    Column("schema_id", ForeignKey(_schemas.c.id), nullable=False, index=True),
    Column("registered_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
    UniqueConstraint("subject", "schema_id"),
)
_levels = Table(
    "registry_level",
    _metadata,
    Column("subject", Text, primary_key=True),
    Column("level", Text, nullable=False),
)


class Version(NamedTuple):
    """One version of a subject; `text` is the schema as minified JSON."""

    subject: str
    version: int
    id: int
    text: str


# Called with a subject's versions, newest first, and its level; raises if the newcomer may not follow.
Admission = Callable[[Sequence[Version], str | None], None]


def open_engine(database_url: str) -> Engine:
    """An engine that gives up after seconds, so that a request fails instead of piling up.

    Raises `ConfigurationError` for what is no URL of PostgreSQL.
    """
    options = f"-c statement_timeout={_STATEMENT_TIMEOUT_MS}"
    return create_engine(
        postgresql_url(database_url, "--database"),
        pool_size=10,
        pool_timeout=5,
        pool_pre_ping=True,
        connect_args={"connect_timeout": 5, "options": options},
    )


class Storage:
    """Blocking; thread-safe. Raises SQLAlchemy's errors if the database is away."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def create_tables(self) -> None:
        """Create what is missing; instances that start together take turns."""
        with self._engine.begin() as connection:
            _lock(connection)
            _metadata.create_all(connection)

    def ping(self) -> None:
        with self._engine.connect() as connection:
            connection.execute(select(func.count()).select_from(_levels))

    def close(self) -> None:
        self._engine.dispose()

    def subjects(self) -> list[str]:
        with self._engine.connect() as connection:
            query = select(_versions.c.subject).distinct().order_by(_versions.c.subject)
            return list(connection.scalars(query))

    def versions(self, subject: str) -> list[Version]:
        """Newest first."""
        with self._engine.connect() as connection:
            return _read(connection, _query().where(_versions.c.subject == subject))

    def uses(self, schema_id: int) -> list[Version]:
        with self._engine.connect() as connection:
            return _read(connection, _query().where(_versions.c.schema_id == schema_id))

    def text(self, schema_id: int) -> str | None:
        with self._engine.connect() as connection:
            return connection.scalar(select(_schemas.c.text).where(_schemas.c.id == schema_id))

    def find(self, subject: str, schema: JsonSchema) -> Version | None:
        with self._engine.connect() as connection:
            return _find(connection, subject, schema)

    def register(self, subject: str, schema: JsonSchema, admit: Admission) -> int:
        """The id of `schema` under `subject`: the one it has, or a new one if `admit` lets it in.

        The same schema has the same id under every subject. One transaction.
        """
        with self._engine.begin() as connection:
            _lock(connection)
            known = _find(connection, subject, schema)
            if known:
                return known.id
            earlier = _read(connection, _query().where(_versions.c.subject == subject))
            admit(earlier, _level(connection, subject) or _level(connection, _EVERY_SUBJECT))
            schema_id = _schema_id(connection, schema)
            version = earlier[0].version + 1 if earlier else 1
            row = {"subject": subject, "version": version, "schema_id": schema_id}
            connection.execute(insert(_versions).values(row))
            return schema_id

    def level(self, subject: str = _EVERY_SUBJECT) -> str | None:
        """The level set for the subject itself, or without one for all subjects; None: not set."""
        with self._engine.connect() as connection:
            return _level(connection, subject)

    def set_level(self, level: str | None, subject: str = _EVERY_SUBJECT) -> None:
        """Set or, with None, remove the level."""
        with self._engine.begin() as connection:
            _lock(connection)
            connection.execute(delete(_levels).where(_levels.c.subject == subject))
            if level is not None:
                connection.execute(insert(_levels).values(subject=subject, level=level))


def _lock(connection: Connection) -> None:
    connection.execute(select(func.pg_advisory_xact_lock(_WRITE_LOCK)))


def _fingerprint(schema: JsonSchema) -> str:
    """Equal for schemas that differ in white space and the order of attributes only."""
    return hashlib.sha256(json.dumps(schema, sort_keys=True).encode()).hexdigest()


def _query() -> Select[str, int, int, str]:
    return (
        select(_versions.c.subject, _versions.c.version, _schemas.c.id, _schemas.c.text)
        .join(_schemas, _schemas.c.id == _versions.c.schema_id)
        .order_by(_versions.c.version.desc(), _versions.c.subject)
    )


def _read(connection: Connection, query: Select[str, int, int, str]) -> list[Version]:
    return [Version(*row) for row in connection.execute(query)]


def _find(connection: Connection, subject: str, schema: JsonSchema) -> Version | None:
    matching = (_versions.c.subject == subject, _schemas.c.fingerprint == _fingerprint(schema))
    found = _read(connection, _query().where(*matching))
    return found[0] if found else None


def _level(connection: Connection, subject: str) -> str | None:
    return connection.scalar(select(_levels.c.level).where(_levels.c.subject == subject))


def _schema_id(connection: Connection, schema: JsonSchema) -> int:
    fingerprint = _fingerprint(schema)
    known = connection.scalar(select(_schemas.c.id).where(_schemas.c.fingerprint == fingerprint))
    if known is not None:
        return int(known)
    schema_id = int(connection.scalar(select(func.coalesce(func.max(_schemas.c.id), 0))) or 0) + 1
    text = json.dumps(schema, ensure_ascii=False, separators=(",", ":"))
    row = {"id": schema_id, "fingerprint": fingerprint, "text": text}
    connection.execute(insert(_schemas).values(row))
    return schema_id
