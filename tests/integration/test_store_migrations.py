"""The store's migrations make exactly the tables that the code speaks of."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Engine, create_engine, inspect

from hub.store.migrate import configuration, migrate, newest
from hub.store.tables import metadata


def test_migrations_and_tables_agree(database: str) -> None:
    engine = create_engine(database)
    migrate(engine)
    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, metadata) == []
    engine.dispose()


def test_the_newest_migration_is_known_without_alembic(database: str) -> None:
    assert newest() == ScriptDirectory.from_config(configuration()).get_current_head()
    engine = create_engine(database)
    migrate(engine)
    with engine.connect() as connection:
        assert MigrationContext.configure(connection).get_current_revision() == newest()
    engine.dispose()


def test_hubs_that_start_at_once_migrate_once(database: str) -> None:
    engines = [create_engine(database) for _ in range(4)]
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(migrate, engines))
    assert set(metadata.tables) <= set(inspect(engines[0]).get_table_names())
    for engine in engines:
        engine.dispose()


def _move(engine: Engine, revision: str) -> None:
    """Bring the tables to a revision, up or down."""
    config = configuration()
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        tables = inspect(connection).get_table_names()
        known = connection.exec_driver_sql("SELECT version_num FROM alembic_version") if tables else ()
        now = next(iter([row.version_num for row in known]), "")
        (command.upgrade if revision > now else command.downgrade)(config, revision)


def _letters(engine: Engine) -> list[tuple[object, ...]]:
    with engine.connect() as connection:
        rows = connection.exec_driver_sql(
            "SELECT kafka_offset, at_ms, state, value FROM dead_letter ORDER BY kafka_offset, at_ms"
        )
        return [(row.kafka_offset, row.at_ms, row.state, bytes(row.value)) for row in rows]


def _keep(engine: Engine, offset: int, at_ms: int, state: str | None = None) -> None:
    decided = {"state": "'discarded'", "who": "'Salma'", "why": "'old'"} if state == "discarded" else {}
    names, values = ("".join(f", {text}" for text in texts) for texts in (decided, decided.values()))
    columns = f"topic, partition, kafka_offset, agency, record_type, code, path, message, at_ms, value{names}"
    with engine.begin() as connection:
        connection.exec_driver_sql(
            f"INSERT INTO dead_letter ({columns})"
            f" VALUES ('t', 0, %s, 'ads', 'person', 'c', '', 'm', %s, %s{values})",
            (offset, at_ms, b"\0" + bytes([offset])),
        )


def test_dead_letters_live_through_their_migration_there_and_back(database: str) -> None:
    engine = create_engine(database)
    _move(engine, "0002")
    for offset in (1, 2, 3):
        _keep(engine, offset, 10)
    _move(engine, "0003")
    assert _letters(engine) == [(n, 10, "open", bytes([0, n])) for n in (1, 2, 3)]
    with engine.connect() as connection:
        numbers = [row.id for row in connection.exec_driver_sql("SELECT id FROM dead_letter")]
    assert len(set(numbers)) == 3
    # A topic made anew has another message at the same place; and a person has decided on one.
    _keep(engine, 3, 20)
    _keep(engine, 4, 20, "discarded")

    _move(engine, "0002")
    assert _letters(engine) == [
        (1, 10, "dead", b"\0\1"),
        (2, 10, "dead", b"\0\2"),
        (3, 20, "dead", b"\0\3"),
        (4, 20, "discarded", b"\0\4"),
    ]
    _keep(engine, 5, 30)
    assert _letters(engine)[-1] == (5, 30, "dead", b"\0\5")
    engine.dispose()


def test_every_migration_can_be_taken_back(database: str) -> None:
    engine = create_engine(database)
    migrate(engine)
    for revision in ("0002", "0001"):
        _move(engine, revision)
    migrate(engine)
    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, metadata) == []
    engine.dispose()
